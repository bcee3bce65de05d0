"""Columns out of HDF5: every way of storing them against h5py's own reading, and files that lie."""

import struct

import fsspec
import h5py
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from intake_tcga.errors import FileFormatError
from intake_tcga.hdf5 import string_columns
from intake_tcga.hdf5.file import Hdf5File
from intake_tcga.hdf5.heap_strings import REFERENCE, gather_batch, plan_batches, slices_of
from intake_tcga.hdf5.string_columns import read_column
from intake_tcga.transfer.ranged import RangedFile

UTF8, ASCII = h5py.string_dtype("utf-8"), h5py.string_dtype("ascii")
STORAGE = {
    "in one piece": {},
    "chunks": {"maxshape": (None,), "chunks": (3,)},
    "gzip": {"maxshape": (None,), "chunks": (7,), "compression": "gzip"},
    "gzip and shuffle": {"maxshape": (None,), "chunks": (4,), "compression": "gzip", "shuffle": True},
    "filter of h5py alone": {"maxshape": (None,), "chunks": (5,), "compression": "lzf"},
}


@pytest.fixture
def past_hdf5(monkeypatch):
    """Fail where strings are read through h5py after all."""

    def refuse(*_):
        raise AssertionError("read through h5py")
        yield

    monkeypatch.setattr(string_columns, "_through_h5py", refuse)


def write(path, values, dtype=UTF8, **storage):
    with h5py.File(path, "w") as file:
        file.create_dataset("texts", data=np.array(values, dtype=object), dtype=dtype, **storage)
    return path


def naive(path, name="texts"):
    with h5py.File(path) as file:
        return [bytes(value).decode("utf-8", "replace") for value in file[name][()]]


def column_of(path, name="texts", rows=None):
    file = Hdf5File(path)
    try:
        return read_column(file, name, rows)
    finally:
        file.close()


texts = st.lists(
    st.one_of(
        st.binary(max_size=12).map(lambda value: value.replace(b"\0", b"")),
        st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=8).map(
            str.encode
        ),
        st.sampled_from([b"", b"liver", b"muscle", b"na\xefve", b"x" * 5000]),
    ),
    min_size=1,
    max_size=40,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    values=texts,
    storage=st.sampled_from(sorted(STORAGE)),
    dtype=st.sampled_from([UTF8, ASCII]),
    data=st.data(),
)
def test_variable_length_strings_are_what_h5py_reads(tmp_path, values, storage, dtype, data):
    path = write(tmp_path / "file.h5", values, dtype, **STORAGE[storage])
    assert (
        column_of(path).to_pylist() == naive(path) == [value.decode("utf-8", "replace") for value in values]
    )
    rows = data.draw(st.lists(st.integers(0, len(values) - 1), max_size=50))
    assert column_of(path, rows=np.array(rows, dtype=np.intp)).to_pylist() == [
        naive(path)[row] for row in rows
    ]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    values=texts,
    padding=st.sampled_from([h5py.h5t.STR_NULLTERM, h5py.h5t.STR_NULLPAD, h5py.h5t.STR_SPACEPAD]),
    chunks=st.sampled_from([None, 3]),
    data=st.data(),
)
def test_fixed_length_strings_end_where_their_padding_begins(tmp_path, values, padding, chunks, data):
    path = tmp_path / "file.h5"
    width = max(map(len, values)) + 1
    blank = b" " if padding == h5py.h5t.STR_SPACEPAD else b"\0"
    stored = np.array([value.ljust(width, blank) for value in values], dtype=f"S{width}")
    with h5py.File(path, "w") as file:
        tid = h5py.h5t.C_S1.copy()
        tid.set_size(width)
        tid.set_strpad(padding)
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        if chunks:
            plist.set_chunk((chunks,))
        did = h5py.h5d.create(
            file.id,
            b"texts",
            tid,
            h5py.h5s.create_simple((len(values),), (h5py.h5s.UNLIMITED if chunks else len(values),)),
            plist,
        )
        did.write(h5py.h5s.ALL, h5py.h5s.ALL, stored, tid)
    decoded = [value.decode("utf-8", "replace") for value in values]
    expected = [text.rstrip(" ") for text in decoded] if padding == h5py.h5t.STR_SPACEPAD else decoded
    assert column_of(path).to_pylist() == expected
    rows = data.draw(st.lists(st.integers(0, len(values) - 1), max_size=50))
    assert column_of(path, rows=np.array(rows, dtype=np.intp)).to_pylist() == [expected[row] for row in rows]


def test_long_datasets_that_share_their_heaps(tmp_path, past_hdf5):
    """Fields that grow by turns put their strings into one another's heaps; some rows are written twice."""
    path, rng = tmp_path / "file.h5", np.random.default_rng(0)
    n = 5000
    columns = {
        "titles": [f"sample {i}".encode() * (1 + i % 3) for i in range(n)],
        "protocols": [b"TRIzol \xe2\x82\xac %d " % (i // 700) * 40 for i in range(n)],
        "mostly empty": [b"" if i % 5 else b"text" for i in range(n)],
    }
    with h5py.File(path, "w") as file:
        for name in columns:
            file.create_dataset(name, (n + 100,), UTF8, chunks=(333,), maxshape=(None,))
        for start in range(0, n, 250):
            for name, values in columns.items():
                file[name][start : start + 250] = values[start : start + 250]
        for row in rng.integers(n, size=200).tolist():
            columns["titles"][row] = b"again " * int(rng.integers(1, 30))
            file["titles"][row] = columns["titles"][row]
    for name, values in columns.items():
        expected = [value.decode() for value in values] + [""] * 100
        assert column_of(path, name).to_pylist() == expected
        rows = rng.integers(n + 100, size=300)
        assert column_of(path, name, rows).to_pylist() == [expected[row] for row in rows]
    assert pa.types.is_dictionary(column_of(path, "protocols").type)
    assert column_of(path, "titles").type == pa.string()


def test_strings_in_the_order_of_no_heap(tmp_path, past_hdf5, monkeypatch):
    """Rows written back to front, over many batches, are still in the order of rows."""
    monkeypatch.setattr("intake_tcga.hdf5.heap_strings._BATCH", 5000)
    path, n = tmp_path / "file.h5", 2000
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset("texts", (n,), UTF8)
        for start in range(n - 50, -1, -50):
            dataset[start : start + 50] = [f"row {row}".encode() for row in range(start, start + 50)]
    assert column_of(path).to_pylist() == [f"row {row}" for row in range(n)]


def test_heaps_larger_than_expected_are_read_in_halves(tmp_path, past_hdf5, monkeypatch):
    monkeypatch.setattr("intake_tcga.hdf5.heap_strings._MOST_AT_ONCE", 10_000)
    path, n = tmp_path / "file.h5", 3000
    with h5py.File(path, "w") as file:
        for name in ("a", "b"):
            file.create_dataset(name, (n,), UTF8, chunks=(100,))
        for start in range(0, n, 10):
            for name in ("a", "b"):
                file[name][start : start + 10] = [f"{name} {row}" for row in range(start, start + 10)]
    assert column_of(path, "b").to_pylist() == [f"b {row}" for row in range(n)]


def test_files_of_an_unusual_build_are_read_through_h5py(tmp_path):
    values = [f"text {i % 50}".encode() for i in range(500)]
    for name, options in {"block": {"userblock_size": 512}, "core": {"driver": "core"}}.items():
        with h5py.File(tmp_path / name, "w", **options) as file:
            file.create_dataset("texts", data=values, dtype=UTF8, chunks=(64,))
        assert column_of(tmp_path / name).to_pylist() == [value.decode() for value in values]
    small = h5py.h5p.create(h5py.h5p.FILE_CREATE)
    small.set_sizes(4, 4)
    with h5py.File(h5py.h5f.create(bytes(tmp_path / "four.h5"), h5py.h5f.ACC_TRUNC, small)) as file:
        file.create_dataset("texts", data=values, dtype=UTF8, chunks=(64,))
    assert column_of(tmp_path / "four.h5").to_pylist() == [value.decode() for value in values]


def test_a_remote_file_is_read_by_its_ranges(tmp_path, past_hdf5):
    values = [f"series {i // 40}, sample {i}" for i in range(20_000)]
    path = tmp_path / "file.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("texts", data=values, dtype=UTF8, chunks=(500,), compression="gzip")
        file["numbers"] = np.arange(20_000.0)
    with fsspec.open("memory://columns.h5", "wb") as copy:
        copy.write(path.read_bytes())
    remote = Hdf5File(RangedFile("memory://columns.h5"), state=tmp_path / "state")
    assert read_column(remote, "texts").to_pylist() == values
    assert read_column(remote, "numbers").to_pylist() == list(range(20_000))
    before = remote.remote.bytes_read
    assert read_column(remote, "texts", np.array([19_999, 7])).to_pylist() == [values[-1], values[7]]
    assert remote.remote.bytes_read - before < path.stat().st_size / 4
    remote.close()


@pytest.mark.parametrize("dtype", ["i1", "u4", "<i8", ">f4", "f8", "?"])
def test_numbers_keep_their_type(tmp_path, dtype):
    values = np.array([1, 0, 3, 1], dtype=dtype)
    with h5py.File(tmp_path / "file.h5", "w") as file:
        file["numbers"] = values
        file.create_dataset("chunked", data=values, chunks=(3,), compression="gzip")
    for name in ("numbers", "chunked"):
        column = column_of(tmp_path / "file.h5", name)
        assert column.to_pylist() == values.tolist()
        assert column.to_numpy(zero_copy_only=False).dtype == np.dtype(dtype).newbyteorder("=")
        assert (
            column_of(tmp_path / "file.h5", name, np.array([3, 0, 3])).to_pylist()
            == values[[3, 0, 3]].tolist()
        )


def test_nothing_at_all(tmp_path):
    path = tmp_path / "file.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("none", (0,), UTF8, maxshape=(None,), chunks=(5,))
        file.create_dataset("never written", (6,), UTF8)
        file.create_dataset("numbers", (0,), "f8")
        file.create_dataset("fixed", (0,), "S5")
    assert column_of(path, "none").to_pylist() == column_of(path, "numbers").to_pylist() == []
    assert column_of(path, "fixed").to_pylist() == []
    assert column_of(path, "never written").to_pylist() == [""] * 6
    assert column_of(path, "never written", np.array([], dtype=np.intp)).to_pylist() == []


def test_what_is_no_column_is_refused(tmp_path):
    path = tmp_path / "file.h5"
    with h5py.File(path, "w") as file:
        file["matrix"] = np.zeros((2, 2))
        file["scalar"] = 5
        file["pairs"] = np.zeros(2, dtype=[("a", "i4"), ("b", "f4")])
        file.create_dataset("ragged", (2,), h5py.vlen_dtype("i4"))
        file.create_group("group")
        file.create_dataset("huge", (2**33,), "S100", chunks=(1000,))
        file.create_dataset("endless", (2**34,), UTF8, chunks=(1000,))
    for name in ("matrix", "scalar", "pairs", "ragged", "group", "huge", "endless", "absent"):
        with pytest.raises(FileFormatError, match=name):
            column_of(path, name)


# ── files that lie ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def honest(tmp_path):
    values = [f"value number {i}" for i in range(600)]
    path = write(tmp_path / "file.h5", values, chunks=(100,))
    return path, path.read_bytes(), values


def heaps_in(content):
    at = content.find(b"GCOL")
    while at >= 0:
        yield at
        at = content.find(b"GCOL", at + 1)


def patched(path, content, at, data):
    path.write_bytes(content[:at] + data + content[at + len(data) :])
    return path


def test_damaged_heaps_are_errors_and_never_other_text(honest):
    path, content, _ = honest
    heap = next(heaps_in(content))
    lies = {
        "signature": (heap, b"GCOX"),
        "size of nothing": (heap + 8, struct.pack("<Q", 0)),
        "size beyond the file": (heap + 8, struct.pack("<Q", 2**40)),
        "size into the next": (heap + 8, struct.pack("<Q", len(content))),
        "another number": (heap + 16, struct.pack("<H", 999)),
        "another length": (heap + 24, struct.pack("<Q", 3)),
        "length beyond the heap": (heap + 24, struct.pack("<Q", 2**31)),
        "negative length": (heap + 24, struct.pack("<Q", 2**63 + 5)),
        "free block without a length": (heap + 16, struct.pack("<HHIQ", 0, 0, 0, 0)),
    }
    for what, (at, data) in lies.items():
        with pytest.raises(FileFormatError):
            pytest.fail(f"{what}: {column_of(patched(path, content, at, data))[:3]}")


def test_references_that_lie(tmp_path, honest):
    path, content, values = honest
    with h5py.File(path) as file:
        chunk = file["texts"].id.get_chunk_info(0)
    first, second = chunk.byte_offset, chunk.byte_offset + 16
    lies = [
        (first, struct.pack("<IQI", 2**32 - 1, *struct.unpack_from("<QI", content, first + 4))),
        (first + 4, struct.pack("<Q", 2**60)),
        (first + 4, struct.pack("<Q", len(content) - 8)),
        (first + 4, struct.pack("<Q", 8)),
        (first + 12, struct.pack("<I", 2**31)),
        (first + 12, struct.pack("<I", 0)),
    ]
    for at, data in lies:
        with pytest.raises(FileFormatError):
            column_of(patched(path, content, at, data))
    # Two rows may mean one string; HDF5 never writes that, and reads it.
    patched(path, content, second, content[first : first + 16])
    assert column_of(path).to_pylist() == naive(path) == [values[0], values[0], *values[2:]]


def test_a_bomb_of_references_is_refused_before_it_goes_off(tmp_path):
    """A few rows' worth of file that claims terabytes: each row the same large string."""
    n = 50_000
    path = write(tmp_path / "bomb.h5", [b"x" * 1_000_000] + [b""] * (n - 1), chunks=(n,), maxshape=(None,))
    with h5py.File(path) as file:
        place = file["texts"].id.get_chunk_info(0).byte_offset
    content = path.read_bytes()
    patched(path, content, place, content[place : place + 16] * n)
    with pytest.raises(FileFormatError, match="claims 50000000000 bytes of text"):
        column_of(path)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_damage_is_an_error_or_harmless(honest, data):
    path, content, values = honest
    at = data.draw(st.integers(0, len(content) - 1))
    replaced = data.draw(st.binary(min_size=1, max_size=8))
    patched(path, content, at, replaced[: len(content) - at])
    try:
        column = column_of(path)
    except FileFormatError:
        return
    assert len(column) <= 2**20
    if len(column) == len(values):  # a letter here and there may be another one
        assert sum(a != b for a, b in zip(column.to_pylist(), values, strict=True)) <= 100


@pytest.mark.parametrize("seed", range(3))
def test_heaps_made_up_at_random_neither_crash_nor_hang(seed):
    rng = np.random.default_rng(seed)
    for _ in range(200):
        content = rng.integers(0, 4, 4096, dtype=np.uint8).tobytes()
        content = b"GCOL\1\0\0\0" + struct.pack("<Q", int(rng.integers(0, 5000))) + content[16:]
        references = np.zeros(5, dtype=REFERENCE)
        references["heap"] = rng.choice([0, 8, 0, 0], 5)
        references["number"] = rng.integers(0, 4, 5)
        references["length"] = rng.integers(0, 20, 5)

        def read(ranges, content=content):
            return [content[at : at + n] for at, n in ranges]

        try:
            _, batches = plan_batches(references, len(content), "a test")
            [gather_batch(read, batch, "a test") for batch in batches]
        except FileFormatError:
            pass


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 10)), max_size=20))
@settings(deadline=None)
def test_slices_of_a_buffer(slices):
    content = np.arange(65, 105, dtype=np.uint8)
    starts = np.array([at for at, _ in slices], dtype=np.int64)
    lengths = np.array([n for _, n in slices], dtype=np.int64)
    expected = [content[at : at + n].tobytes() for at, n in slices]
    assert slices_of(content, starts, lengths).to_pylist() == expected
