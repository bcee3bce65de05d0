"""Where chunks are, walked in the file's own index, against HDF5's word; damaged and hostile indexes."""

import functools
import struct

import h5py
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from intake_tcga.errors import FileFormatError
from intake_tcga.hdf5 import chunk_layout, chunk_nodes
from intake_tcga.hdf5.chunk_index import TreeIndex, chunk_counts, numbers_of
from intake_tcga.hdf5.chunks import Request, read
from intake_tcga.hdf5.file import Hdf5File
from intake_tcga.hdf5.object_headers import chunk_tree


@pytest.fixture(autouse=True)
def _always_a_tree(monkeypatch):
    monkeypatch.setattr(chunk_layout, "_INDEX_SMALL", 0)


class Bytes:
    """Ranges of a file, with a count of the calls and ranges."""

    def __init__(self, path):
        self.body = path.read_bytes()
        self.calls, self.ranges = 0, 0

    def read(self, ranges):
        self.calls += 1
        self.ranges += len(ranges)
        return [self.body[offset : offset + length] for offset, length in ranges]


def layout(path, kept=None):
    with h5py.File(path) as file:
        return chunk_layout.layout_of(
            file["x"], "/x", functools.partial(pread, path), remote=kept is not None, kept=kept
        )


def pread(path, offset, length):
    return path.read_bytes()[offset : offset + length]


def told_by_hdf5(path):
    """Offset, size and mask of every chunk, in C order; zeros for those never written."""
    with h5py.File(path) as file:
        x = file["x"]
        counts = chunk_counts(x.shape, x.chunks)
        places = np.zeros((*counts, 3), np.int64)

        def note(chunk):
            at = tuple(a // b for a, b in zip(chunk.chunk_offset, x.chunks, strict=True))
            places[at] = chunk.byte_offset, chunk.size, chunk.filter_mask

        x.id.chunk_iter(note)
    return places.reshape(-1, 3)


def all_places(found, path):
    numbers = np.arange(np.prod(found.counts))
    places = found.locate(numbers, Bytes(path).read)
    return np.stack([places.offset, places.size, places.mask], axis=1)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_tree_is_what_hdf5_says(tmp_path, data):
    rank = data.draw(st.integers(1, 3))
    shape = tuple(data.draw(st.lists(st.integers(1, 40), min_size=rank, max_size=rank)))
    chunks = tuple(data.draw(st.integers(1, max(1, n // 2))) for n in shape)
    later = tuple(data.draw(st.integers(1, 45)) for _ in shape)
    path = tmp_path / "x.h5"
    libver = data.draw(st.sampled_from([None, ("earliest", "v108"), ("v108", "v108")]))
    with h5py.File(path, "w", libver=libver, track_order=data.draw(st.booleans())) as file:
        x = file.create_dataset(
            "x", shape, "i2", chunks=chunks, maxshape=(None,) * rank,
            compression=data.draw(st.sampled_from([None, "gzip"])),
        )  # fmt: skip
        for name in range(
            data.draw(st.sampled_from([0, 30]))
        ):  # attributes that need a second block of the header
            x.attrs[f"attribute {name}"] = "some text" * 10
        for _ in range(data.draw(st.integers(0, 4))):
            start = [data.draw(st.integers(0, n - 1)) for n in shape]
            stop = [data.draw(st.integers(a + 1, n)) for a, n in zip(start, shape, strict=True)]
            x[tuple(map(slice, start, stop))] = 7
        x.resize(later)
    found = layout(path)
    assert isinstance(found.index, TreeIndex)
    np.testing.assert_array_equal(all_places(found, path), told_by_hdf5(path))


@pytest.fixture
def deep(tmp_path):
    """5,000 chunks: a tree of three levels, written as ARCHS4's are, sample by sample."""
    path = tmp_path / "deep.h5"
    with h5py.File(path, "w") as file:
        x = file.create_dataset("x", (10, 1000), "u1", chunks=(2, 1), maxshape=(10, None))
        for sample in range(1000):
            for row in range(5):
                x.id.write_direct_chunk((2 * row, sample), bytes([row, sample % 251]))
    return path


def columns(found, samples):
    samples = np.sort(np.asarray(samples))
    return numbers_of(
        [np.repeat(np.arange(5), len(samples)), np.tile(samples, 5)], chunk_counts((10, 1000), (2, 1))
    )


def test_all_nodes_of_a_level_are_read_at_once_and_never_again(deep):
    found, told = layout(deep), told_by_hdf5(deep)
    bytes_ = Bytes(deep)
    wanted = columns(found, [3, 500, 998])
    np.testing.assert_array_equal(found.locate(wanted, bytes_.read).offset, told[wanted][:, 0])
    assert bytes_.calls == 3  # one a level
    assert bytes_.ranges <= 1 + 15 + 15
    calls = bytes_.calls
    np.testing.assert_array_equal(found.locate(wanted, bytes_.read).offset, told[wanted][:, 0])
    near = columns(found, [4, 501, 997])
    np.testing.assert_array_equal(found.locate(near, bytes_.read).offset, told[near][:, 0])
    assert bytes_.calls == calls


def test_the_whole_index_is_never_read_for_a_part(deep):
    found, bytes_ = layout(deep), Bytes(deep)
    found.locate(columns(found, [700]), bytes_.read)
    assert bytes_.ranges <= 11


def test_nodes_are_kept_for_the_next_process(deep, tmp_path):
    told, kept = told_by_hdf5(deep), tmp_path / "kept"
    first, wanted = Bytes(deep), None
    found = layout(deep, kept)
    wanted = columns(found, [3, 500, 998])
    found.locate(wanted, first.read)
    again, second = layout(deep, kept), Bytes(deep)
    np.testing.assert_array_equal(again.locate(wanted, second.read).offset, told[wanted][:, 0])
    assert second.calls == 0
    (folder,) = kept.iterdir()
    assert sum(file.stat().st_size for file in folder.iterdir()) < 24 * 5000 / 4  # part of the index, packed


@pytest.mark.parametrize(
    "harm",
    [
        lambda body: body[:-9],
        lambda body: b"",
        lambda body: b"x" * 500,
        lambda body: body[:30] + b"zz" + body[32:],
    ],
)
def test_kept_nodes_that_are_damaged_are_read_again(deep, tmp_path, harm):
    told, kept = told_by_hdf5(deep), tmp_path / "kept"
    found = layout(deep, kept)
    wanted = columns(found, [3, 500])
    found.locate(wanted, Bytes(deep).read)
    for file in kept.rglob("*.nodes"):
        file.write_bytes(harm(file.read_bytes()))
    bytes_ = Bytes(deep)
    np.testing.assert_array_equal(layout(deep, kept).locate(wanted, bytes_.read).offset, told[wanted][:, 0])
    assert bytes_.calls == 3


def test_kept_nodes_are_few_files_of_bounded_size(deep, tmp_path, monkeypatch):
    kept, told = tmp_path / "kept", told_by_hdf5(deep)
    found = layout(deep, kept)
    for sample in range(0, 1000, 30):
        found.locate(columns(found, [sample]), Bytes(deep).read)
    assert len(list(kept.rglob("*.nodes"))) <= chunk_nodes._MOST_FILES + 1
    bytes_ = Bytes(deep)
    layout(deep, kept).locate(columns(found, range(0, 1000, 30)), bytes_.read)
    assert bytes_.calls == 0
    monkeypatch.setattr(chunk_nodes, "_KEPT", 2000)
    monkeypatch.setattr(chunk_nodes, "_REMEMBERED", 4000)
    found = layout(deep, kept)
    for sample in range(5, 1000, 30):
        wanted = columns(found, [sample])
        np.testing.assert_array_equal(found.locate(wanted, Bytes(deep).read).offset, told[wanted][:, 0])
    assert sum(file.stat().st_size for file in kept.rglob("*.nodes")) <= 2000
    assert found.index._memory._bytes <= 4000


def test_a_folder_that_cannot_be_written_is_no_error(deep, tmp_path):
    (tmp_path / "kept").write_text("a file")
    found = layout(deep, tmp_path / "kept")
    wanted = columns(found, [3])
    assert found.locate(wanted, Bytes(deep).read).size.all()


# ── damage ────────────────────────────────────────────────────────────────────────────────────────────────────────


def read_columns(path):
    target = np.empty((10, 3), "u1")
    read(
        Hdf5File(path),
        [Request("/x", (slice(0, 10), np.array([3, 500, 998])), target, (slice(0, 10), slice(0, 3)))],
    )
    return target


def root_of(path):
    with h5py.File(path) as file:
        return chunk_tree(functools.partial(pread, path), chunk_layout._header(file["x"].id)).root


KEY = 8 + 3 * 8
HARMS = {
    "signature": lambda node, root: node.__setitem__(slice(0, 4), b"EERT"),
    "kind": lambda node, root: node.__setitem__(4, 0),
    "level": lambda node, root: node.__setitem__(5, 1),
    "many levels": lambda node, root: node.__setitem__(5, 255),
    "used": lambda node, root: node.__setitem__(slice(6, 8), b"\xff\xff"),
    "cycle": lambda node, root: node.__setitem__(slice(24 + KEY, 32 + KEY), root.to_bytes(8, "little")),
    "outside": lambda node, root: node.__setitem__(slice(24 + KEY, 32 + KEY), (2**40).to_bytes(8, "little")),
    "nowhere": lambda node, root: node.__setitem__(slice(24 + KEY, 32 + KEY), b"\xff" * 8),
    "order": lambda node, root: node.__setitem__(slice(24 + 8, 24 + 16), (9).to_bytes(8, "little")),
}


@pytest.mark.parametrize("harm", HARMS)
def test_a_damaged_index_is_an_error_that_names_file_and_dataset(deep, harm):
    root, body = root_of(deep), bytearray(deep.read_bytes())
    node = body[root : root + 2616]
    assert node[:4] == b"TREE"
    assert node[5] == 2
    HARMS[harm](node, root)
    body[root : root + 2616] = node
    deep.write_bytes(body)
    with pytest.raises(FileFormatError, match=r"deep\.h5 is damaged: of '/x', .*Open it again"):
        read_columns(deep)


@pytest.mark.parametrize("what", ["outside", "absurd"])
def test_a_chunk_where_none_can_be_is_named_by_its_position(deep, what):
    body, told = bytearray(deep.read_bytes()), told_by_hdf5(deep)
    offset = int(told[2 * 1000 + 500, 0])  # rows 4–5, column 500
    at = body.index(offset.to_bytes(8, "little"))
    if what == "outside":
        body[at : at + 8] = (2**41).to_bytes(8, "little")
    else:
        body[at - KEY : at - KEY + 4] = (2**31).to_bytes(4, "little")
    deep.write_bytes(body)
    with pytest.raises(FileFormatError, match="chunk of '/x' at rows 4–5, columns 500–500 lies at bytes"):
        read_columns(deep)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_the_index_says_the_work_is_bounded(deep, tmp_path, data):
    clean = deep.read_bytes()
    nodes = []
    at = clean.find(b"TREE\1")
    while at >= 0:
        nodes.append(at)
        at = clean.find(b"TREE\1", at + 1)
    body = bytearray(clean)
    for _ in range(data.draw(st.integers(1, 6))):
        node = data.draw(st.sampled_from(nodes))
        at = node + data.draw(st.integers(0, 2000))
        places = st.sampled_from(nodes).map(lambda place: place.to_bytes(8, "little"))
        value = data.draw(st.one_of(st.binary(min_size=1, max_size=8), places))
        body[at : at + len(value)] = value
    path = tmp_path / "harmed.h5"
    path.write_bytes(body[: len(clean)])
    found, bytes_ = layout(path), Bytes(path)
    wanted = columns(found, [3, 500, 998])
    try:
        places = found.locate(wanted, bytes_.read)
    except FileFormatError:
        pass
    else:
        assert len(places.size) == len(wanted)
    assert bytes_.ranges <= 256 * len(wanted)


def test_a_header_that_goes_in_circles_is_an_error():
    start = bytearray(b"\x89HDF\r\n\x1a\n" + bytes(56))
    start[13:15] = b"\x08\x08"  # widths of addresses and lengths
    itself = struct.pack("<HHB3xQQ", 0x10, 16, 0, 80, 24)  # a continuation at byte 80, which is this one
    body = bytes(start) + struct.pack("<BxHII4x", 1, 1, 1, 24) + itself
    with pytest.raises(FileFormatError, match="does not end"):
        chunk_tree(lambda offset, length: body[offset : offset + length], 64)


@pytest.mark.parametrize("length", [0, 8, 66, 79, 90])
def test_a_header_that_ends_early_is_an_error(deep, length):
    with h5py.File(deep) as file:
        header = chunk_layout._header(file["x"].id)
    body = deep.read_bytes()

    def short(offset, wanted):
        return (
            body[offset : min(offset + wanted, header + length)]
            if offset >= header
            else body[offset : offset + wanted]
        )

    with pytest.raises(FileFormatError):
        chunk_tree(short, header)
