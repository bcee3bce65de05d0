"""File-like reading by blocks: what Python's own files do, with few requests and bounded memory."""

import gc
import io
import pickle
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import faulty_server as faults
import h5py
import numpy as np
import pytest
from faulty_server import FaultyServer
from hypothesis import given, settings
from hypothesis import strategies as st

from intake_tcga.cache.blocks import BlockFile
from intake_tcga.errors import FileFormatError, IntegrityError, OptionError, TransferError
from intake_tcga.transfer.budget import Budget
from intake_tcga.transfer.ranged import RangedFile

BODY = np.random.default_rng(1).bytes(100_003)
QUICK = Budget(attempts=2, stall_timeout=0.6, backoff=0.01)


@pytest.fixture
def server():
    with FaultyServer({"a": BODY}) as server:
        yield server


def blocks(server, name="a", **options):
    return BlockFile(RangedFile(server.url(name), budget=QUICK), **{"block_size": 1000, **options})


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("read"), st.integers(-1, 600)),
        st.tuples(st.just("readinto"), st.integers(0, 600)),
        st.tuples(st.just("seek"), st.integers(0, 700)),
        st.tuples(st.just("from the end"), st.integers(-500, 50)),
        st.tuples(st.just("from here"), st.integers(0, 50)),
    ),
    max_size=20,
)


@settings(deadline=None)
@given(STEPS, st.integers(1, 200), st.integers(1, 1000))
def test_it_reads_as_python_files_do(tmp_path_factory, steps, block_size, memory):
    path = tmp_path_factory.getbasetemp() / "blocks"
    if not path.exists():
        path.write_bytes(BODY[:503])
    model = io.BytesIO(BODY[:503])
    with BlockFile(RangedFile(path), block_size=block_size, memory=memory) as file:
        for step, number in steps:
            if step == "read":
                assert file.read(number) == model.read(number)
            elif step == "readinto":
                ours, theirs = bytearray(number), bytearray(number)
                assert file.readinto(ours) == model.readinto(theirs)
                assert ours == theirs
            else:
                whence = {"seek": 0, "from here": 1, "from the end": 2}[step]
                assert file.seek(number, whence) == model.seek(number, whence)
            assert file.tell() == model.tell()
        assert sum(map(len, file._blocks.values())) <= max(memory, block_size)


def test_each_block_is_asked_for_once_and_the_first_tells_the_size(server):
    file = blocks(server)
    assert file.seek(0, io.SEEK_END) == len(BODY)
    file.seek(10)
    assert file.read(500) == BODY[10:510]
    assert [one.headers["range"] for one in server.requests] == ["bytes=0-999"]
    assert file.read_at(1500, 100) == BODY[1500:1600]
    assert file.read_at(1100, 900) == BODY[1100:2000]
    assert file.file.requests == 2
    assert file.read_at(100_001, 2) == BODY[-2:]
    assert file.file.bytes_read == 1000 + 1000 + 3


def test_all_blocks_of_one_read_come_at_once(server):
    file = blocks(server)
    assert file.read_at(0, 1) + file.read_at(4000, 1) == BODY[:1] + BODY[4000:4001]
    before = file.file.requests
    assert file.read_at(100, 8000) == BODY[100:8100]
    assert file.file.requests == before + 2  # on both sides of the one that is there


def test_memory_is_bounded(server):
    file = blocks(server, memory=3500)
    for at in range(0, 20_000, 1000):
        file.read_at(at, 1)
        assert len(file._blocks) <= 3
    asked = file.file.requests
    file.read_at(19_000, 1)
    assert file.file.requests == asked
    file.read_at(0, 1)
    assert file.file.requests == asked + 1
    assert file.read_at(0, 50_000) == BODY[:50_000]  # passed through
    assert len(file._blocks) <= 3


def test_blocks_are_kept_for_the_next_process(server, tmp_path):
    keep = tmp_path / "kept"
    first = blocks(server, keep=keep)
    assert first.read_at(500, 3000) == BODY[500:3500]
    again = blocks(server, keep=keep)
    assert again.read_at(500, 3000) == BODY[500:3500]
    assert again.file.bytes_read <= 1000  # what told which version it is
    known = pickle.loads(pickle.dumps(first))
    server.fail("a", faults.status(500), times=None)
    assert known.read_at(500, 3000) == BODY[500:3500]
    with pytest.raises(TransferError):
        known.read_at(50_000, 1)
    assert len(list(keep.rglob("*-*"))) == 4  # nothing but what was read, and no leftovers


def test_damaged_kept_blocks_are_read_again(server, tmp_path):
    blocks(server, keep=tmp_path).read_at(0, 3000)
    kept = sorted(path for path in tmp_path.rglob("1000-*"))
    assert len(kept) == 3
    for path, damage in zip(kept, (b"", kept[0].read_bytes()[:-3], b"x" * 1016), strict=True):
        path.write_bytes(damage)
    assert blocks(server, keep=tmp_path).read_at(0, 3000) == BODY[:3000]
    assert len(server.requests) >= 2
    assert pickle.loads(pickle.dumps(blocks(server, keep=tmp_path))).read_at(0, 3000) == BODY[:3000]


def test_kept_blocks_of_another_version_are_not_taken(server, tmp_path):
    blocks(server, keep=tmp_path).read_at(0, 3000)
    server.bodies["a"] = BODY[::-1]
    assert blocks(server, keep=tmp_path).read_at(0, 3000) == BODY[::-1][:3000]
    server.etags = False
    assert blocks(server, keep=tmp_path).read_at(0, 3000) == BODY[::-1][:3000]
    assert len(list(tmp_path.iterdir())) == 2  # what has no tag is not kept


def test_a_folder_that_cannot_be_written_makes_it_slower_only(server, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    assert blocks(server, keep=tmp_path / "file").read_at(0, 3000) == BODY[:3000]


def test_a_file_that_changed(server):
    file = blocks(server)
    file.read_at(0, 10)
    server.bodies["a"] = BODY[::-1]
    assert file.read_at(0, 10) == BODY[:10]
    with pytest.raises(IntegrityError, match="has changed"):
        file.read_at(5000, 10)


def test_wrong_places(server):
    file = blocks(server)
    with pytest.raises(FileFormatError, match="so none at"):
        file.read_at(100_000, 10)
    with pytest.raises(FileFormatError):
        file.read_at(-5, 10)
    with pytest.raises(ValueError, match="before the file's start"):
        file.seek(-1)
    file.seek(200_000)
    assert file.read(5) == b""
    for wrong in ({"block_size": 0}, {"memory": 0}):
        with pytest.raises(OptionError):
            blocks(server, **wrong)


def test_closed_is_closed(server):
    with blocks(server) as file:
        file.read(5)
    for use in (file.read, file.tell, lambda: file.seek(0), lambda: file.read_at(0, 1)):
        with pytest.raises(ValueError, match="closed"):
            use()
    assert pickle.loads(pickle.dumps(file)).closed
    assert bytes(file.file.read([(0, 5)])[0]) == BODY[:5]


def test_pickles_keep_the_position(server):
    file = blocks(server, memory=5000)
    file.seek(7000)
    again = pickle.loads(pickle.dumps(file))
    assert again.read(10) == BODY[7000:7010]
    assert (again.block_size, again.memory) == (1000, 5000)


def test_many_threads_read_at_once(server):
    file = blocks(server, memory=4000)
    with ThreadPoolExecutor(8) as pool:
        spans = [(at * 311 % 99_000, 1 + at * 7 % 900) for at in range(300)]
        for (at, size), data in zip(spans, pool.map(lambda span: file.read_at(*span), spans), strict=True):
            assert data == BODY[at : at + size]
    assert gc.isenabled()


@pytest.fixture
def hdf5():
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        for number in range(20):
            file[f"group{number}/x"] = np.arange(number, 5000 + number)
    return content.getvalue()


def test_h5py_reads_it(server, hdf5):
    server.bodies["a.h5"] = hdf5
    with h5py.File(blocks(server, "a.h5", block_size=16 * 1024), "r") as file:
        for number in range(20):
            np.testing.assert_array_equal(file[f"group{number}/x"][()], np.arange(number, 5000 + number))


SERVER = """
import pathlib, sys
from faulty_server import FaultyServer
with FaultyServer({"a.h5": pathlib.Path(sys.argv[1]).read_bytes()}) as server:
    print(server.url("a.h5"), flush=True)
    sys.stdin.read()
"""


def test_garbage_of_h5py_in_fsspecs_thread_does_not_stop_it(hdf5, tmp_path):
    """Cycles with open h5py objects are collected in whichever thread allocates: here the one that is waited for."""
    from fsspec.asyn import get_loop

    (tmp_path / "b.h5").write_bytes(hdf5)
    # A process of its own: threads of a server in this one would collect the garbage, and wait, just as well.
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(tmp_path / "b.h5")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[1],
    )
    url = server.stdout.readline().strip()
    done = threading.Event()

    def litter():
        cycle = [h5py.File(tmp_path / "b.h5", "r")]
        cycle.append(cycle)

    def allocate():
        _ = [[number] for number in range(3000)]
        if not done.is_set():
            get_loop().call_later(0.001, allocate)

    assert RangedFile(url).size == len(hdf5)  # whatever must be imported
    get_loop().call_soon_threadsafe(allocate)
    try:
        for _ in range(5):
            litter()
            with h5py.File(BlockFile(RangedFile(url), block_size=512, memory=1024), "r") as file:
                assert file["group7/x"][5] == 12
    finally:
        done.set()
        server.communicate()
    assert gc.isenabled()


def test_collecting_stays_off_for_who_turned_it_off(server):
    gc.disable()
    try:
        blocks(server).read_at(0, 10)
        assert not gc.isenabled()
    finally:
        gc.enable()
