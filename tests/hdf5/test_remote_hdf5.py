"""HDF5 files on a server: what is read, from how few requests, and what is kept for the next time."""

import gc
import os
import pickle
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import faulty_server as faults
import h5py
import numpy as np
import pytest
from faulty_server import FaultyServer

from intake_tcga.errors import FileFormatError, IntegrityError, RemoteNotFoundError, TransferError
from intake_tcga.hdf5.chunks import Request, estimate, read
from intake_tcga.hdf5.file import Hdf5File
from intake_tcga.transfer.budget import Budget
from intake_tcga.transfer.ranged import RangedFile

QUICK = Budget(attempts=2, connect_timeout=5, stall_timeout=2, backoff=0.01, longest_wait=0.1)
GENES, SAMPLES = 3000, 400


@pytest.fixture(scope="module")
def archs4_like(tmp_path_factory):
    """A matrix of columns, between fields that lie far apart."""
    path = tmp_path_factory.mktemp("remote") / "a.h5"
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        file.attrs["note"] = "a text, which lies in a heap"
        for name in range(6):
            file[f"meta/samples/field{name}"] = [f"{name} {i} µ" * 20 for i in range(SAMPLES)]
        values = rng.integers(0, 2**20, (GENES, SAMPLES), dtype="u4")
        file.create_dataset(
            "data/expression", data=values, chunks=(1000, 1), compression="gzip", maxshape=(GENES, None)
        )
        file["meta/genes/symbol"] = [f"G{i}" for i in range(GENES)]
    return path, values


@pytest.fixture
def server(archs4_like):
    with FaultyServer({"a.h5": archs4_like[0].read_bytes()}) as server:
        yield server


def remote(server, tmp_path, name="a.h5", **options):
    return Hdf5File(RangedFile(server.url(name), budget=QUICK, **options), state=tmp_path / "state")


def columns(file, samples, path="/data/expression"):
    """Read samples × genes out of genes × samples."""
    shape = file.array_info(path).shape
    result = np.full((len(samples), shape[0]), 77, "u4")
    everything = slice(0, shape[0])
    read(
        file,
        [Request(path, (everything, np.asarray(samples)), result.T, (everything, slice(0, len(samples))))],
    )
    return result


def test_all_that_a_local_file_tells(server, archs4_like, tmp_path):
    file, local = remote(server, tmp_path), Hdf5File(archs4_like[0])
    assert file.describe() == local.describe()
    assert file.members("/meta/samples") == local.members("/meta/samples")
    array = local.array_info("/meta/samples/field3")
    assert file.array_info("/meta/samples/field3") == array
    assert file.text(array).tolist() == local.text(array).tolist()
    assert file.attributes() == {"note": "a text, which lies in a heap"}
    assert (file.kind("/data"), file.kind("/data/none")) == ("group", None)
    assert file.path == server.url("a.h5")
    assert local.kept is None


def test_samples_in_any_order_and_twice(server, archs4_like, tmp_path):
    samples = [399, 3, 250, 3, 0]
    np.testing.assert_array_equal(columns(remote(server, tmp_path), samples), archs4_like[1][:, samples].T)


def test_what_is_read_is_little_and_what_is_known_is_not_read_again(server, archs4_like, tmp_path):
    size = archs4_like[0].stat().st_size
    file = remote(server, tmp_path)
    columns(file, [5, 300])
    assert file.remote.bytes_read < size / 6
    requests = file.remote.requests
    columns(file, [5, 300])
    columns(file, [6, 301])
    assert file.remote.requests - requests <= 2 * 6  # the chunks alone
    file.close()
    again = remote(server, tmp_path)
    again.array_info("/data/expression")
    again.members("/data")
    assert again.remote.requests <= 2
    requests = again.remote.requests
    np.testing.assert_array_equal(columns(again, [7, 299]), archs4_like[1][:, [7, 299]].T)
    assert again.remote.requests - requests <= 6


def test_opening_reads_neither_all_headers_nor_the_index(server, archs4_like, tmp_path):
    file = remote(server, tmp_path)
    assert file.array_info("/data/expression").shape == (GENES, SAMPLES)
    assert len(file.members("/meta/samples")) == 6
    assert file.remote.requests <= 4
    assert estimate(file, []).chunks == 0


def test_another_file_under_the_same_url_is_not_taken_for_the_kept_one(server, archs4_like, tmp_path):
    columns(remote(server, tmp_path), [5])
    other = tmp_path / "other.h5"
    with h5py.File(other, "w") as file:
        file["pad"] = np.zeros(1000)
        file.create_dataset(
            "data/expression", data=archs4_like[1][::-1], chunks=(1000, 1), compression="gzip"
        )
    server.bodies["a.h5"] = other.read_bytes()
    np.testing.assert_array_equal(columns(remote(server, tmp_path), [5]), archs4_like[1][::-1, [5]].T)


def test_nothing_is_kept_of_a_file_that_nothing_tells_from_the_next_one(server, archs4_like, tmp_path):
    server.etags = False
    file = remote(server, tmp_path)
    columns(file, [5])
    assert file.kept is None
    assert not [path for path in (tmp_path / "state").rglob("*") if path.is_file()]
    server.etags = True
    columns(remote(server, tmp_path), [5])
    assert list((tmp_path / "state").rglob("*.nodes"))


def test_a_file_that_changes_while_it_is_read_is_an_error(server, archs4_like, tmp_path):
    file = remote(server, tmp_path)
    columns(file, [5])
    server.bodies["a.h5"] = archs4_like[0].read_bytes()[:-8] + b"changed."
    with pytest.raises(IntegrityError):
        columns(file, [200])


LAYOUTS = {
    "tree": {"chunks": (7, 5), "compression": "gzip"},
    "tree, shuffled": {"chunks": (7, 5), "compression": "gzip", "shuffle": True},
    "tree, plain": {"chunks": (7, 5)},
    "one piece": {},
    "lzf": {"chunks": (7, 5), "compression": "lzf"},
    "fletcher": {"chunks": (7, 5), "compression": "gzip", "fletcher32": True},
    "big-endian": {"chunks": (7, 5), "dtype": ">u4"},
    "fixed array": {"chunks": (7, 5), "compression": "gzip", "libver": "latest"},
    "extensible array": {"chunks": (7, 5), "maxshape": (None, 50), "libver": "latest"},
    "extensible array along columns": {"chunks": (7, 5), "maxshape": (60, None), "libver": "latest"},
    "extensible array, room along rows": {"chunks": (7, 5), "maxshape": (90, None), "libver": "v110"},
    "fixed array with room": {"chunks": (7, 5), "maxshape": (90, 200), "libver": "latest"},
    "tree that grows along columns": {"chunks": (7, 5), "maxshape": (60, None), "compression": "gzip"},
    "tree of version 2": {"chunks": (7, 5), "maxshape": (None, None), "libver": "latest"},
    "single chunk": {"chunks": (60, 50), "compression": "gzip", "libver": "latest"},
    "user block": {"chunks": (7, 5), "userblock_size": 512},
    "compact": {"compact": True},
}


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("index_whole", [2**16, 3])
def test_every_layout(name, index_whole, tmp_path, monkeypatch):
    monkeypatch.setattr("intake_tcga.hdf5.chunk_layout._INDEX_WHOLE", index_whole)
    how = dict(LAYOUTS[name])
    values = np.random.default_rng(1).integers(0, 2**31, (60, 50)).astype(how.pop("dtype", "u4"))
    with h5py.File(
        tmp_path / "x.h5", "w", libver=how.pop("libver", None), userblock_size=how.pop("userblock_size", 0)
    ) as file:
        if how.pop("compact", False):
            plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            plist.set_layout(h5py.h5d.COMPACT)
            space = h5py.h5s.create_simple(values.shape)
            h5py.h5d.create(file.id, b"x", h5py.h5t.NATIVE_UINT32, space, plist).write(
                h5py.h5s.ALL, h5py.h5s.ALL, np.ascontiguousarray(values)
            )
        else:
            file.create_dataset("x", data=values, **how)
        sparse = file.create_dataset("sparse", (60, 50), "u4", chunks=(7, 5), fillvalue=9)
        sparse[20:22, 30:32] = 1
        expected = sparse[()]
    samples = [49, 3, 3, 17]
    with FaultyServer({"x.h5": (tmp_path / "x.h5").read_bytes()}) as server:
        for path in (Hdf5File(tmp_path / "x.h5"), remote(server, tmp_path, "x.h5")):
            np.testing.assert_array_equal(columns(path, samples, "/x"), values[:, samples].T)
            np.testing.assert_array_equal(columns(path, samples, "/sparse"), expected[:, samples].T)
            path.close()


# ── what goes wrong ───────────────────────────────────────────────────────────────────────────────────────────────


def harmed(body, path, harm):
    """Damage the second chunk of sample 250."""
    with h5py.File(path) as file:
        info = file["data/expression"].id.get_chunk_info_by_coord((1000, 250))
    changed = bytearray(body)
    harm(changed, info)
    return bytes(changed)


def test_a_damaged_chunk_is_an_error_that_says_which_and_nothing_is_kept(server, archs4_like, tmp_path):
    clean = server.bodies["a.h5"]

    def harm(body, info):
        body[info.byte_offset + info.size // 2] ^= 0xFF

    server.bodies["a.h5"] = harmed(clean, archs4_like[0], harm)
    file = remote(server, tmp_path)
    with pytest.raises(
        FileFormatError, match="rows 1000–1999, columns 250–250 does not decode .*Try again"
    ) as caught:
        columns(file, [1, 250])
    assert server.url("a.h5") in str(caught.value)
    assert not file.kept.exists()
    np.testing.assert_array_equal(columns(file, [1, 249]), archs4_like[1][:, [1, 249]].T)


def test_a_chunk_beyond_the_end_is_an_error(server, archs4_like, tmp_path):
    with h5py.File(archs4_like[0]) as file:
        last = max(
            (file["data/expression"].id.get_chunk_info(i) for i in range(3 * SAMPLES)),
            key=lambda one: one.byte_offset,
        )
    server.bodies["a.h5"] = server.bodies["a.h5"][: last.byte_offset + 3]
    with pytest.raises(FileFormatError, match="a.h5"):
        columns(remote(server, tmp_path), [last.chunk_offset[1]])


@pytest.mark.parametrize("stage", ["opening", "index", "chunks"])
def test_a_server_that_fails_is_a_transfer_error(server, tmp_path, stage):
    file = remote(server, tmp_path)
    if stage != "opening":
        file.array_info("/data/expression")
    if stage == "chunks":
        columns(file, [5])
    server.fail("a.h5", faults.status(503), times=1000)
    with pytest.raises(TransferError):
        columns(file, [6])
    server._faults.clear()
    assert columns(file, [6]).shape == (1, GENES)


def test_what_is_not_there_or_not_hdf5(server, tmp_path):
    with pytest.raises(RemoteNotFoundError):
        remote(server, tmp_path, "none.h5").members()
    server.bodies["b.h5"] = b"<html>" + bytes(5000)
    with pytest.raises(FileFormatError, match="not an HDF5 file"):
        remote(server, tmp_path, "b.h5").members()


@pytest.mark.parametrize(
    "ask", [lambda file: file.attributes(), lambda file: file.text(file.array_info("/names"))]
)
def test_a_string_heap_that_hdf5_would_never_return_from(server, tmp_path, ask):
    with h5py.File(tmp_path / "heap.h5", "w") as file:
        file.attrs["note"] = "a text"
        file["names"] = ["a", "b"]
    body = bytearray((tmp_path / "heap.h5").read_bytes())
    heap = body.index(b"GCOL")
    at = heap + 16
    while int.from_bytes(body[at : at + 2], "little"):  # the objects before the free block
        at += 16 + (int.from_bytes(body[at + 8 : at + 16], "little") + 7) // 8 * 8
    body[at + 8 : at + 16] = bytes(8)
    server.bodies["heap.h5"] = bytes(body)
    with pytest.raises(FileFormatError, match="free block"):
        ask(remote(server, tmp_path, "heap.h5"))


# ── processes, threads, garbage ───────────────────────────────────────────────────────────────────────────────────


def test_pickled_files_reopen_and_closed_ones_too(server, archs4_like, tmp_path):
    file = remote(server, tmp_path)
    expected = columns(file, [4])
    copy = pickle.loads(pickle.dumps(file))
    file.close()
    np.testing.assert_array_equal(columns(copy, [4]), expected)
    np.testing.assert_array_equal(columns(file, [4]), expected)


def test_many_threads_share_a_file_while_h5py_objects_become_garbage(server, archs4_like, tmp_path):
    """h5py's objects wait for its lock when they are collected, wherever that is: also where the network is served."""
    file, stop = remote(server, tmp_path), threading.Event()

    def litter():
        while not stop.is_set():
            with h5py.File(archs4_like[0]) as other:
                ring = [other["data/expression"], other["meta"]]
                ring.append(ring)

    thread = threading.Thread(target=litter)
    thread.start()
    thresholds = gc.get_threshold()
    gc.set_threshold(50, 2, 2)
    try:
        with ThreadPoolExecutor(4) as pool:
            for samples, found in pool.map(
                lambda i: ([i, i + 200], columns(file, [i, i + 200])), range(0, 200, 8)
            ):
                np.testing.assert_array_equal(found, archs4_like[1][:, samples].T)
                if samples[0] == 80:
                    file.close()
    finally:
        gc.set_threshold(*thresholds)
        stop.set()
        thread.join()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_reads_too(server, archs4_like, tmp_path):
    file = remote(server, tmp_path)
    columns(file, [4])
    child = os.fork()
    if child == 0:
        try:
            right = (columns(file, [9, 300]) == archs4_like[1][:, [9, 300]].T).all()
        except BaseException:  # noqa: BLE001
            right = False
        os._exit(0 if right else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    np.testing.assert_array_equal(columns(file, [9, 300]), archs4_like[1][:, [9, 300]].T)


def test_a_process_that_ends_with_the_file_open_ends_well(archs4_like, tmp_path):
    """HDF5 closes its files after Python is gone, and would call a Python file then."""
    code = (
        "import sys\n"
        "from intake_tcga.hdf5.file import Hdf5File\n"
        "from intake_tcga.transfer.ranged import RangedFile\n"
        "file = Hdf5File(RangedFile(sys.argv[1]), state=sys.argv[2])\n"
        "print(file.members())\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, str(archs4_like[0]), str(tmp_path)],
        check=False,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert (ended.returncode, ended.stdout) == (0, "('data', 'meta')\n"), ended.stderr


# ── how much ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_estimate_is_near_and_costs_nothing(server, archs4_like, tmp_path):
    file = remote(server, tmp_path)
    file.array_info("/data/expression")
    requests = file.remote.requests
    samples = np.array([5, 300, 5])
    target = np.empty((GENES, 3), "u4")
    request = Request("/data/expression", (slice(0, GENES), samples), target, (slice(0, GENES), slice(0, 3)))
    expected = estimate(file, [request])
    assert file.remote.requests - requests <= 1
    with h5py.File(archs4_like[0]) as h5:
        stored = sum(
            h5["data/expression"].id.get_chunk_info_by_coord((row, sample)).size
            for row in (0, 1000, 2000)
            for sample in (5, 300)
        )
    assert expected.chunks == 6
    assert 0.8 * stored <= expected.bytes <= 1.5 * stored
    one_gene = Request(
        "/data/expression", (slice(7, 8), slice(0, SAMPLES)), None, (slice(0, 1), slice(0, SAMPLES))
    )
    fifty = Request(
        "/data/expression", (slice(7, 57), slice(0, SAMPLES)), None, (slice(0, 50), slice(0, SAMPLES))
    )
    assert estimate(file, [one_gene]) == estimate(file, [fifty])
    assert estimate(file, [one_gene]).chunks == SAMPLES


def test_what_is_kept_can_be_thrown_away_at_any_time(server, archs4_like, tmp_path):
    file = remote(server, tmp_path)
    columns(file, [5])
    shutil.rmtree(tmp_path / "state")
    np.testing.assert_array_equal(columns(file, [100]), archs4_like[1][:, [100]].T)
