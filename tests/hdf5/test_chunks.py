"""Chunks read and inflated past HDF5, against h5py."""

import gc
import os
import tracemalloc

import h5py
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from intake_tcga.cache.store import VerifiedFileCache
from intake_tcga.digest import Digest
from intake_tcga.errors import FileFormatError
from intake_tcga.hdf5 import chunk_layout
from intake_tcga.hdf5.byte_sources import LocalBytes
from intake_tcga.hdf5.chunk_pieces import Pieces
from intake_tcga.hdf5.chunks import Request, read
from intake_tcga.hdf5.file import Hdf5File
from intake_tcga.remote import RemoteFile


def whole(shape):
    return tuple(slice(0, n) for n in shape)


def read_all(path, name="x"):
    with h5py.File(path) as file:
        shape, dtype = file[name].shape, file[name].dtype
    target = np.full(shape, 77, dtype.newbyteorder("="))
    read(Hdf5File(path), [Request(f"/{name}", whole(shape), target, whole(shape))])
    return target


def write(path, values, **how):
    with h5py.File(path, "w", **{k: how.pop(k) for k in ("libver", "userblock_size") if k in how}) as file:
        file.create_dataset("x", data=values, **how)
    return path


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_dataset_and_selection(tmp_path, data):
    shape = tuple(data.draw(st.lists(st.integers(0, 11), min_size=1, max_size=3)))
    dtype = data.draw(st.sampled_from(["f8", "f4", ">f8", "i1", "u2", ">i4", "?", "f2"]))
    values = np.random.default_rng(0).integers(0, 90, shape).astype(dtype)
    how = {"libver": data.draw(st.sampled_from([None, "latest"])),
           "userblock_size": data.draw(st.sampled_from([0, 512]))}  # fmt: skip
    if 0 not in shape and data.draw(st.booleans()):
        how["chunks"] = tuple(data.draw(st.integers(1, n)) for n in shape)
        how["compression"] = data.draw(st.sampled_from([None, "gzip", "lzf"]))
        how["shuffle"] = data.draw(st.booleans())
        how["fletcher32"] = data.draw(st.booleans())
        how["scaleoffset"] = None
    path = write(tmp_path / "x.h5", values, **how)
    source = []
    for n in shape:
        if n and data.draw(st.booleans()):
            source.append(np.array(data.draw(st.lists(st.integers(0, n - 1), max_size=6)), dtype=np.intp))
        else:
            start = data.draw(st.integers(0, n))
            source.append(slice(start, data.draw(st.integers(start, n)), data.draw(st.integers(1, 3))))
    arrays = [np.arange(n)[part] for n, part in zip(shape, source, strict=True)]
    expected = values[np.ix_(*arrays)]
    target = np.zeros(expected.shape, expected.dtype.newbyteorder("="))
    read(Hdf5File(path), [Request("/x", tuple(source), target, whole(target.shape))])
    np.testing.assert_array_equal(target, expected)


@given(
    st.integers(1, 9), st.lists(st.integers(0, 29), max_size=12), st.lists(st.integers(0, 99), unique=True, min_size=12)
)  # fmt: skip
def test_along_an_axis_everything_goes_where_it_belongs(chunk, source, dest):
    at, to = np.array(source, dtype=np.intp), np.array(dest[: len(source)], dtype=np.intp)
    result = np.full(100, -1)
    for number, within, where in Pieces(at, to, chunk, 30) if source else ():
        assert np.max(np.arange(chunk)[within]) < chunk
        result[where] = np.arange(number * chunk, (number + 1) * chunk)[within]
    np.testing.assert_array_equal(result[to], at)


def test_pieces_along_a_million_samples_do_not_pile_up():
    many = 100_000
    for source in (slice(0, many), np.arange(many)[::-1]):
        pieces = Pieces(source, slice(0, many), 1, many)
        tracemalloc.start()
        try:
            assert sum(1 for _ in pieces) == len(pieces) == many
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 2**20


def test_archs4_like_columns(tmp_path):
    values = np.random.default_rng(0).integers(0, 9, (5000, 40), dtype="u4")
    path = write(tmp_path / "x.h5", values, chunks=(2000, 1), compression="gzip", maxshape=(5000, None))
    columns = np.array([3, 39, 17, 3])
    target = np.empty((5000, 4), "u4")
    read(Hdf5File(path), [Request("/x", (slice(0, 5000), columns), target, whole(target.shape))])
    np.testing.assert_array_equal(target, values[:, columns])


def test_too_many_chunks_are_looked_up_one_by_one(tmp_path, monkeypatch):
    monkeypatch.setattr(chunk_layout, "_INDEX_SMALL", 3)
    values = np.arange(120.0).reshape(10, 12)
    np.testing.assert_array_equal(
        read_all(write(tmp_path / "x.h5", values, chunks=(2, 5), compression="gzip")), values
    )


def test_chunks_that_were_never_written_are_fill_values(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        sparse = file.create_dataset("x", (10, 10), "f4", chunks=(3, 3), compression="gzip", fillvalue=np.nan)
        sparse[4:6, 4:6] = 1
        file.create_dataset("y", (10, 10), "i2", fillvalue=7)
        expected = sparse[()]
    np.testing.assert_array_equal(read_all(tmp_path / "x.h5"), expected)
    assert (read_all(tmp_path / "x.h5", "y") == 7).all()


def test_numbers_are_converted_to_the_targets_type(tmp_path):
    path = write(tmp_path / "x.h5", np.arange(6, dtype="i2").reshape(2, 3), chunks=(1, 2))
    target = np.empty((2, 3), "f8")
    read(Hdf5File(path), [Request("/x", whole((2, 3)), target, whole((2, 3)))])
    np.testing.assert_array_equal(target, [[0, 1, 2], [3, 4, 5]])


@pytest.fixture
def big(tmp_path):
    values = np.random.default_rng(0).normal(size=(400, 300))
    return write(tmp_path / "big.h5", values, chunks=(40, 30), compression="gzip"), values


def test_many_chunks_in_threads(big, monkeypatch):
    path, values = big
    monkeypatch.setattr(LocalBytes, "window", 4096)
    np.testing.assert_array_equal(read_all(path), values)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_threads_start_afresh_in_a_forked_child(big):
    path, values = big
    file = Hdf5File(path)
    target = np.empty_like(values)
    request = Request("/x", whole(values.shape), target, whole(values.shape))
    read(file, [request])
    child = os.fork()
    if child == 0:
        target[:] = 0
        read(file, [request])
        os._exit(0 if (target == values).all() else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def damage(path, change):
    with h5py.File(path) as file:
        info = file["x"].id.get_chunk_info(37)
    body = bytearray(path.read_bytes())
    change(body, info)
    path.write_bytes(body)


def flip(body, info):
    body[info.byte_offset + info.size // 2] ^= 0xFF


def cut(body, info):
    del body[info.byte_offset + 5 :]


@pytest.mark.parametrize("change", [flip, cut])
def test_a_damaged_chunk_is_an_error_that_names_the_file(big, change):
    path, values = big
    damage(path, change)
    request = Request("/x", whole(values.shape), np.empty_like(values), whole(values.shape))
    with pytest.raises(FileFormatError, match="big.h5"):
        read(Hdf5File(path), [request])


@pytest.mark.parametrize("known", [True, False])
def test_a_damaged_chunk_of_a_cached_file_heals_at_its_next_fetch(big, tmp_path, known):
    """Damage that size, time and inode do not show: a bad disk."""
    source, values = big
    cache = VerifiedFileCache(tmp_path / "cache", read_only=[])
    file = RemoteFile(source.as_uri(), "big.h5", digest=Digest.of(source) if known else None)
    path = cache.fetch(file)
    before = path.stat()
    damage(path, flip)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert cache.fetch(file) == path  # trusted: nobody has noticed
    with pytest.raises(FileFormatError, match="Open it again"):
        read_all(path)
    assert cache.info()[0].verified_at is None
    np.testing.assert_array_equal(read_all(cache.fetch(file)), values)
    assert cache.clear() == [path]


def test_a_damaged_chunk_of_a_right_file_does_not_lose_its_memory(big, tmp_path):
    """Published so: it is hashed once more, and stays ours."""
    source, _ = big
    damage(source, flip)
    cache = VerifiedFileCache(tmp_path / "cache", read_only=[])
    file = RemoteFile(source.as_uri(), "big.h5", digest=Digest.of(source))
    path = cache.fetch(file)
    inode = path.stat().st_ino
    with pytest.raises(FileFormatError):
        read_all(path)
    assert cache.fetch(file) == path
    assert path.stat().st_ino == inode
    assert cache.info()[0].verified_at
    assert cache.clear() == [path]


def test_other_chunks_of_a_damaged_file_are_readable(big):
    path, values = big
    damage(path, flip)
    target = np.empty((40, 300))
    read(Hdf5File(path), [Request("/x", (slice(0, 40), slice(0, 300)), target, whole((40, 300)))])
    np.testing.assert_array_equal(target, values[:40])


def test_a_file_replaced_while_it_is_open_is_still_the_old_one(big):
    path, values = big
    file = Hdf5File(path)
    target = np.empty_like(values)
    request = Request("/x", whole(values.shape), target, whole(values.shape))
    read(file, [request])
    other = write(path.with_name("other.h5"), values + 1, chunks=(7, 7), compression="gzip")
    other.replace(path)
    read(file, [request])
    np.testing.assert_array_equal(target, values)
    file.close()
    read(file, [request])
    np.testing.assert_array_equal(target, values + 1)


def test_no_descriptor_is_left_open(big):
    path, values = big
    gc.collect()  # files of other tests, which would be closed in between
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else None  # noqa: PTH208, PTH112
    if before is None:
        pytest.skip("no /proc on this system")
    for _ in range(5):
        file = Hdf5File(path)
        read(file, [Request("/x", whole(values.shape), np.empty_like(values), whole(values.shape))])
        file.close()
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
