"""Ranges of files on misbehaving servers, on S3, in memory and here: right bytes of one version, or a clear error."""

import asyncio
import base64
import gc
import hashlib
import itertools
import os
import pickle
import signal
import socket
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import faulty_server as faults
import fsspec
import pytest
from faulty_server import FaultyServer
from s3_server import s3_server

from intake_tcga.errors import (
    AccessDeniedError,
    FileFormatError,
    IntakeTcgaError,
    IntegrityError,
    MissingFileError,
    OfflineError,
    OptionError,
    RemoteNotFoundError,
    TransferError,
)
from intake_tcga.transfer.budget import Budget
from intake_tcga.transfer.ranged import Identity, RangedFile

BODY = bytes(itertools.islice(itertools.cycle(range(251)), 3_000_000))
OTHER = bytes(reversed(BODY))
SIZE = len(BODY)
QUICK = Budget(
    attempts=3,
    connect_timeout=5,
    stall_timeout=0.6,
    min_rate=1000,
    min_rate_window=0.8,
    backoff=0.01,
    longest_wait=0.3,
)
FAR = [(5, 10), (1_000_000, 1000), (2_000_000, 500_000), (SIZE - 1, 1)]  # four requests


@pytest.fixture
def server():
    with FaultyServer({"a.h5": BODY, "empty": b""}) as server:
        yield server


def ranged(server, name="a.h5", **options):
    return RangedFile(server.url(name), **{"budget": QUICK, **options})


def right(file, ranges=FAR):
    return [bytes(one) for one in file.read(ranges)] == [BODY[at : at + size] for at, size in ranges]


def test_ranges_in_any_order_with_counts(server):
    file = ranged(server)
    assert file.requests == 0
    assert not server.requests
    ranges = [(9, 3), (0, 2), (9, 3), (1_000_000, 4), (50, 0)]
    assert right(file, ranges)
    assert (file.requests, file.bytes_read) == (2, 12 + 4)
    assert file.size == SIZE  # known since the first answer
    assert file.requests == len(server.requests) == 2
    assert all(one.headers["accept-encoding"] == "identity" for one in server.requests)
    assert server.statuses == {206: 2}


def test_gap_and_largest(server):
    file = ranged(server)
    assert [bytes(one) for one in file.read([(0, 5), (10, 5)], gap=4)] == [BODY[:5], BODY[10:15]]
    assert file.requests == 2
    (whole,) = file.read([(0, SIZE)], largest=400_000)
    assert whole == BODY
    assert file.requests == 2 + 8


def test_identity_costs_one_request_of_one_byte(server):
    file = ranged(server)
    identity = file.identity
    assert identity == Identity(server.url("a.h5"), SIZE, identity.validator)
    assert (file.requests, file.bytes_read) == (1, 1)
    assert file.identity is identity
    assert len(identity.key) == 20
    assert file.requests == 1


def test_head_takes_what_there_is(server):
    file = ranged(server)
    assert file.head(10**7) == BODY
    assert file.requests == 1
    assert ranged(server, "empty").head(10) == b""
    assert ranged(server, "empty").size == 0


class Together:
    """Answer that many requests at once only, which proves that they come at once; and count whether more do."""

    def __init__(self, parties):
        self.gate = threading.Barrier(parties, timeout=10)
        self.lock = threading.Lock()
        self.now = self.most = 0

    def __call__(self, reply):
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        self.gate.wait()
        with self.lock:
            self.now -= 1
        faults.good(reply)


def test_requests_are_under_way_together_but_no_more_than_allowed(server):
    together = Together(4)
    server.fail("a.h5", together, times=None)
    file = ranged(server, concurrency=4, budget=Budget())
    assert right(file, [(at * 100_000, 10) for at in range(24)])
    assert file.requests == 24
    assert together.most == 4


def test_all_files_of_a_host_share_a_limit(server):
    together = Together(32)
    server.fail("a.h5", together, times=None)
    ranges = [(at * 90_000, 10) for at in range(32)]
    with ThreadPoolExecutor(4) as pool:
        files = [ranged(server, concurrency=20, budget=Budget()) for _ in range(4)]
        assert all(pool.map(lambda file: right(file, ranges), files))
    assert together.most == 32


@pytest.mark.parametrize("wrong", [0, 33])
def test_concurrency_has_limits(wrong):
    with pytest.raises(OptionError, match=f"concurrency={wrong}"):
        RangedFile("https://host/a", concurrency=wrong)


def short_answer(reply):
    """Answer with fewer bytes than were asked for, and say so."""
    reply.end -= (reply.end - reply.start) // 2
    faults.good(reply)


def elsewhere(reply):
    """Answer with another range than was asked for."""
    reply.start, reply.end = reply.start + 1, reply.end + 1
    faults.good(reply)


def unsaid(reply):
    """Answer with a range and not say which."""
    reply.head(206, len(reply.rest()))
    reply.send(reply.rest())


TRANSIENT = {
    "dropped": [faults.drop(0.5)],
    "dropped at once": [faults.drop(0.0), faults.drop(0.0)],
    "503 with Retry-After": [faults.status(503, "0")] * 2,
    "429": [faults.status(429, "0")],
    "500": [faults.status(500)],
    "stall": [faults.stall],
    "silence": [faults.silent],
    "fewer bytes": [short_answer],
    "other bytes": [elsewhere],
    "unsaid bytes": [unsaid],
}


@pytest.mark.parametrize("fault", TRANSIENT)
def test_transient_faults_are_recovered(server, fault):
    for one in TRANSIENT[fault]:
        server.fail("a.h5", one)
    assert right(ranged(server))


@pytest.mark.parametrize("fault", TRANSIENT)
def test_faults_that_stay_are_errors(server, fault):
    server.fail("a.h5", TRANSIENT[fault][0], times=None)
    with pytest.raises(TransferError, match="attempts in a row|could not be fetched"):
        ranged(server).read([(0, 600), (SIZE - 1, 1)])


def test_what_came_before_a_drop_is_not_asked_for_again(server):
    server.fail("a.h5", faults.drop(0.5))
    file = ranged(server)
    assert right(file, [(0, 2_000_000)])
    assert file.bytes_read == 2_000_000
    assert [one.headers["range"] for one in server.requests][1] != "bytes=0-1999999"


def test_an_answer_that_breaks_behind_its_last_byte_is_whole(server):
    def no_end(reply):
        rest = reply.rest()
        last = reply.start + len(rest) - 1
        reply.head(
            206, Transfer_Encoding="chunked", Content_Range=f"bytes {reply.start}-{last}/{len(reply.body)}"
        )
        reply.chunk(rest)
        reply.hang_up()

    file = ranged(server)
    assert file.size == SIZE
    server.fail("a.h5", no_end)
    assert right(file, [(1000, 5000)])
    assert len(server.requests) == 2


def test_without_a_tag_nothing_is_joined(server):
    server.etags = False
    server.fail("a.h5", faults.drop(0.5))
    file = ranged(server)
    assert right(file, [(0, 2_000_000)])
    assert [one.headers["range"] for one in server.requests] == ["bytes=0-1999999"] * 2
    assert file.identity.validator is None


@pytest.mark.parametrize("honoured", [True, False], ids=["If-Match honoured", "If-Match ignored"])
def test_a_file_that_changed_is_an_error(server, honoured):
    file = ranged(server)
    assert right(file)
    server.bodies["a.h5"] = OTHER
    if not honoured:
        server.fail("a.h5", faults.good, times=None)
    with pytest.raises(IntegrityError, match="has changed since it was opened"):
        file.read([(0, 5)])
    again = pickle.loads(pickle.dumps(file))
    with pytest.raises(IntegrityError, match="has changed"):
        again.read([(0, 5)])


def test_a_file_that_changes_between_two_answers_of_one_call(server):
    server.fail("a.h5", faults.changed_then_dropped(OTHER))
    server.fail("a.h5", faults.good, times=None)
    with pytest.raises(IntegrityError, match="has changed"):
        ranged(server).read([(0, 100_000)])


def test_without_tags_another_size_shows_the_change(server):
    server.etags = False
    file = ranged(server)
    assert right(file)
    server.bodies["a.h5"] = BODY[:-1]
    with pytest.raises(IntegrityError, match=r"2,999,999 bytes where it had 3,000,000"):
        file.read([(0, 5)])


def test_last_modified_stands_in_for_a_tag(server):
    server.etags = False
    server.headers["Last-Modified"] = "Wed, 21 Oct 2015 07:28:00 GMT"
    file = ranged(server)
    assert file.identity.validator == "Wed, 21 Oct 2015 07:28:00 GMT"
    server.headers["Last-Modified"] = "Thu, 22 Oct 2015 07:28:00 GMT"
    with pytest.raises(IntegrityError, match="has changed"):
        file.read([(0, 5)])


def test_the_size_that_was_expected(server):
    assert right(ranged(server, size=SIZE))
    with pytest.raises(IntegrityError, match=r"3,000,000 bytes where 3,000,001 are expected"):
        ranged(server, size=SIZE + 1).read([(0, 5)])


def of_each_part(reply):
    """Say the digest of the answer's own bytes, as HTTP has it."""
    reply.extra["Content-MD5"] = base64.b64encode(hashlib.md5(reply.rest()).digest()).decode()
    faults.good(reply)


def test_the_md5_that_was_expected(server):
    md5 = hashlib.md5(BODY)
    for said in (
        md5.hexdigest(),
        md5.hexdigest().upper(),
        base64.b64encode(md5.digest()).decode(),
        "no digest",
    ):
        server.headers["Content-MD5"] = said
        assert right(ranged(server, md5=md5.hexdigest()))
    for other in ("0" * 32, base64.b64encode(bytes(16)).decode()):
        server.headers["Content-MD5"] = other
        with pytest.raises(
            IntegrityError, match=f"has the md5 {'0' * 32} where {md5.hexdigest()} is expected"
        ):
            ranged(server, md5=md5.hexdigest()).read([(0, 5)])
        assert right(ranged(server))
    server.headers.clear()
    server.fail("a.h5", of_each_part, times=None)
    assert right(ranged(server, md5=md5.hexdigest()))


def test_a_small_file_that_is_read_whole_is_hashed(server):
    server.ranges = False
    server.bodies["small"] = body = BODY[:1000]
    assert ranged(server, "small", md5=hashlib.md5(body).hexdigest()).read([(5, 3)]) == [body[5:8]]
    with pytest.raises(IntegrityError, match="is expected"):
        ranged(server, "small", md5="0" * 32).read([(5, 3)])


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("beyond", [(SIZE - 5, 6), (SIZE, 1), (10**15, 10**12)])
def test_past_the_end(server, known, beyond):
    file = ranged(server, size=SIZE if known else None)
    with pytest.raises(FileFormatError, match="3,000,000 bytes, so none at"):
        file.read([(0, 5), beyond])
    assert len(server.requests) <= (0 if known else 2)


def test_a_server_that_answers_whole_past_the_end(server):
    server.ranges = False
    with pytest.raises(FileFormatError, match="3,000,000 bytes, so none at"):
        ranged(server).read([(SIZE, 5)])


def test_a_server_without_ranges_is_not_waited_for(server):
    server.ranges = False
    server.fail("a.h5", faults.endless, times=None)
    with pytest.raises(TransferError, match="an unknown number of bytes; download the file"):
        ranged(server).read([(0, 5)])
    with FaultyServer({"a.h5": BODY}, ranges=False) as other:
        with pytest.raises(TransferError, match="all 3,000,000 bytes; download the file"):
            ranged(other).read([(0, 5)])
        assert len(other.requests) == 1


def test_a_small_file_is_read_whole_where_there_are_no_ranges(server):
    server.ranges = False
    server.bodies["small"] = BODY[:1000]
    file = ranged(server, "small")
    assert [bytes(one) for one in file.read([(5, 10)])] == [BODY[5:15]]
    assert file.size == 1000
    assert [bytes(one) for one in file.read([(995, 5)])] == [BODY[995:1000]]
    assert len(server.requests) == 1
    with pytest.raises(FileFormatError):
        file.read([(995, 6)])


def test_packed_answers_are_refused(server):
    server.fail("a.h5", faults.encoded, times=None)
    with pytest.raises(TransferError, match="packs the answers"):
        ranged(server).read([(0, 5)])


def test_what_retries_cannot_cure_is_not_retried(server):
    with pytest.raises(RemoteNotFoundError, match=r"none\.h5 does not exist"):
        ranged(server, "none.h5").read([(0, 5)])
    server.fail("a.h5", faults.status(403))
    with pytest.raises(AccessDeniedError, match="HTTP 403"):
        ranged(server).read([(0, 5)])
    server.fail("a.h5", faults.captive_portal)
    with pytest.raises(IntakeTcgaError):
        ranged(server, size=SIZE).read([(0, 5)])
    assert len(server.requests) == 3


@pytest.mark.parametrize("fault", [faults.status(404), faults.drop(0), faults.redirect("/a.h5")])
def test_errors_pickle_with_all_that_hangs_on_them(server, fault):
    """As dask's workers send them, with traceback and context."""
    pickling = pytest.importorskip("tblib.pickling_support")
    server.fail("a.h5", fault, times=None)
    with pytest.raises(TransferError) as raised:
        ranged(server).read(FAR)
    pickling.install(raised.value)
    copy = pickle.loads(pickle.dumps(raised.value))
    assert type(copy) is type(raised.value)
    assert str(copy) == str(raised.value)


def test_redirects(server):
    with FaultyServer() as front:
        front.fail("x", faults.redirect(server.url("a.h5")), times=None)
        assert right(ranged(front, "x"))
        front.fail("y", faults.redirect("ftp://127.0.0.1/a.h5"), times=None)
        with pytest.raises(TransferError, match="not http or https"):
            ranged(front, "y").read([(0, 5)])


def test_options_and_headers_reach_the_server(server):
    options = {"http": {"headers": {"X-One": "1", "X-Two": "1"}}, "s3": {"anon": True}}
    file = ranged(server, storage_options=options, headers={"X-Two": "2"})
    assert right(file, [(0, 5)])
    assert server.requests[0].headers["x-one"] == "1"
    assert server.requests[0].headers["x-two"] == "2"
    assert options["http"]["headers"] == {"X-One": "1", "X-Two": "1"}


def test_credentials_are_never_shown(server):
    url = server.url("none.h5?sig=s3cr3t").replace("http://", "http://me:s3cr3t@")
    file = RangedFile(url, budget=QUICK, headers={"X-Auth-Token": "s3cr3t"})
    with pytest.raises(RemoteNotFoundError) as caught:
        file.read([(0, 5)])
    assert "s3cr3t" not in str(caught.value) + repr(file) + file.shown_url


def test_offline_needs_no_socket(server, tmp_path):
    file = ranged(server, offline=True)
    with pytest.raises(OfflineError, match="offline mode"):
        file.read([(0, 5)])
    (tmp_path / "a.h5").write_bytes(BODY)
    assert right(RangedFile(tmp_path / "a.h5", offline=True))


def test_the_deadline_is_of_a_whole_call(server):
    server.fail("a.h5", faults.silent, times=None)
    with pytest.raises(TransferError, match=r"not complete after 0\.3 s"):
        ranged(server, budget=Budget(deadline=0.3)).read([(0, 5)])


def test_nobody_at_home():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/a.h5"
        with pytest.raises(TransferError, match="cannot be reached"):
            RangedFile(url, budget=QUICK).read([(0, 5)])


def test_ctrl_c_gets_through(server):
    server.fail("a.h5", faults.silent, times=None)
    file = ranged(server, budget=Budget())
    threading.Timer(0.3, signal.raise_signal, [signal.SIGINT]).start()
    with pytest.raises(KeyboardInterrupt):
        file.read([(0, 5)])
    server._faults.clear()
    assert right(file)  # and nothing is broken by it


def test_many_threads_share_one_file(server):
    file = ranged(server)
    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(lambda at: right(file, [(at * 1000, 700), (at * 2000, 9)]), range(200)))
    assert file.requests == len(server.requests)


def test_dask_threads(server):
    import dask

    file = ranged(server)
    parts = [dask.delayed(lambda at: bytes(file.read([(at, 10)])[0]))(at) for at in range(0, 50_000, 1000)]
    assert list(dask.compute(*parts, scheduler="threads")) == [
        BODY[at : at + 10] for at in range(0, 50_000, 1000)
    ]


def test_pickles_keep_what_is_known(server):
    file = ranged(server, headers={"X-One": "1"})
    assert right(file)
    again = pickle.loads(pickle.dumps(file))
    assert again.identity == file.identity
    assert again.requests == 0
    assert right(again)
    file.close()
    assert right(file)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("local", [False, True])
def test_forks(server, tmp_path, local):
    (tmp_path / "a.h5").write_bytes(BODY)
    file = RangedFile(tmp_path / "a.h5") if local else ranged(server)
    assert right(file)
    child = os.fork()
    if child == 0:
        os._exit(0 if right(file) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert right(file)


def test_asking_in_fsspecs_own_thread_is_an_error_not_a_hang(server):
    from fsspec.asyn import get_loop, sync

    async def ask():
        return ranged(server).read([(0, 5)])

    with pytest.raises(TransferError, match="own thread"):
        sync(get_loop(), ask)


def test_a_thread_that_waits_for_hdf5_does_not_stop_a_reader_inside_hdf5(server):
    """fsspec's thread may be collecting h5py's garbage, which takes the lock that the reader holds."""
    from fsspec.asyn import get_loop
    from h5py._objects import phil

    file = ranged(server)
    assert right(file)
    waits = threading.Event()

    def collect():
        waits.set()
        with phil:
            pass

    with phil:
        get_loop().call_soon_threadsafe(collect)
        waits.wait()
        assert right(file)
    assert right(ranged(server))


def test_local_files(tmp_path):
    path = tmp_path / "a.h5"
    path.write_bytes(BODY)
    for given in (path, str(path), path.as_uri(), f"local://{path}"):
        file = RangedFile(given, size=SIZE)
        assert right(file)
        assert file.identity.validator == f"{path.stat().st_mtime_ns}-{path.stat().st_ino}"
    assert file.bytes_read == sum(size for _, size in FAR)
    with pytest.raises(FileFormatError, match="so none at"):
        file.read([(SIZE, 1)])
    path.write_bytes(OTHER[:-7])
    with pytest.raises(IntegrityError, match="has changed"):
        file.read([(0, 5)])
    assert pickle.loads(pickle.dumps(RangedFile(path))).size == SIZE - 7
    with pytest.raises(MissingFileError, match="nothing there"):
        RangedFile(tmp_path / "nothing there").read([(0, 1)])
    with pytest.raises(TransferError):
        RangedFile(tmp_path).read([(0, 1)])
    with pytest.raises(IntegrityError, match="are expected"):
        RangedFile(path, size=SIZE).read([(0, 1)])


def test_local_descriptors_are_closed(tmp_path, recwarn):
    (tmp_path / "a.h5").write_bytes(BODY)
    for _ in range(50):
        assert right(RangedFile(tmp_path / "a.h5"))
    gc.collect()
    descriptors = Path("/proc/self/fd")
    if descriptors.exists():
        assert tmp_path / "a.h5" not in [one.resolve() for one in descriptors.iterdir()]
    assert not [warning for warning in recwarn if warning.category is ResourceWarning]


def test_memory():
    fs = fsspec.filesystem("memory")
    fs.pipe("/folder/a.h5", BODY)
    file = RangedFile("memory://folder/a.h5", offline=True)
    assert right(file)
    assert file.size == SIZE
    assert file.requests == 1 + 4 + 1  # what it is before, and whether it still is after
    fs.pipe("/folder/a.h5", OTHER[:-1])
    with pytest.raises(IntegrityError, match="has changed"):
        file.read([(0, 5)])
    with pytest.raises(RemoteNotFoundError):
        RangedFile("memory://folder/none").read([(0, 5)])


def test_a_member_of_an_archive_behind_http(tmp_path):
    import io
    import zipfile

    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.h5", BODY)
    with FaultyServer({"all.zip": packed.getvalue()}) as server:
        assert right(RangedFile(f"zip://a.h5::{server.url('all.zip')}"))


@pytest.fixture(scope="module")
def s3():
    with s3_server("bucket") as options:
        yield options


def test_s3(s3):
    fs = fsspec.filesystem("s3", **s3)
    fs.pipe("bucket/folder/a.h5", BODY)
    url = "s3://bucket/folder/a.h5"
    file = RangedFile(url, storage_options=s3, budget=QUICK)
    assert right(file)
    assert (file.requests, file.bytes_read) == (4, sum(size for _, size in FAR))
    assert file.identity.validator == fs.info("bucket/folder/a.h5")["ETag"]
    assert right(pickle.loads(pickle.dumps(file)))
    assert right(RangedFile(url, storage_options={"s3": s3}, size=SIZE, budget=QUICK))
    with pytest.raises(FileFormatError, match="3,000,000 bytes, so none at"):
        RangedFile(url, storage_options=s3, budget=QUICK).read([(SIZE + 5, 5)])
    with pytest.raises(FileFormatError, match="3,000,000 bytes, so none at"):
        RangedFile(url, storage_options=s3, budget=QUICK).read([(SIZE - 5, 15)])
    with pytest.raises(RemoteNotFoundError) as caught:
        RangedFile("s3://bucket/none", storage_options=s3, budget=QUICK).read([(0, 1)])
    assert "s3cr3t" not in str(caught.value)
    with pytest.raises(OfflineError):
        RangedFile(url, storage_options=s3, offline=True).read([(0, 1)])


def test_a_store_without_ranges_is_not_read_whole(s3, monkeypatch):
    from s3fs import S3FileSystem

    fsspec.filesystem("s3", **s3).pipe("bucket/c.h5", BODY)
    real = S3FileSystem._call_s3
    asked = []

    async def ignoring(self, method, *args, **kwargs):
        if method == "get_object":
            kwargs.pop("Range")
            reply = await real(self, method, *args, **kwargs)
            monkeypatch.setattr(
                type(reply["Body"]), "read", lambda *_: asked.append("all of it"), raising=False
            )
            return reply
        return await real(self, method, *args, **kwargs)

    monkeypatch.setattr(S3FileSystem, "_call_s3", ignoring)
    with pytest.raises(TransferError, match="cannot be read in part"):
        RangedFile("s3://bucket/c.h5", size=SIZE, storage_options=s3, budget=QUICK).read([(1000, 5)])
    assert asked == []


@pytest.mark.parametrize("changed", [OTHER, b"short"])
def test_s3_objects_that_change(s3, changed):
    fs = fsspec.filesystem("s3", **s3)
    fs.pipe("bucket/b.h5", BODY)
    file = RangedFile("s3://bucket/b.h5", storage_options=s3, budget=QUICK)
    assert right(file)
    fs.pipe("bucket/b.h5", changed)
    with pytest.raises(IntegrityError, match="has changed"):
        file.read([(1000, 5)])


def test_s3_objects_without_bytes(s3):
    fsspec.filesystem("s3", **s3).pipe("bucket/empty", b"")
    assert RangedFile("s3://bucket/empty", storage_options=s3, budget=QUICK).size == 0


def test_bytes_that_come_just_when_a_wait_ends_are_there(server, monkeypatch):
    """The wait gives up, and before the reader looks whether all is done, it is."""
    original = asyncio.run_coroutine_threadsafe

    class JustLate(Future):
        def __init__(self, real):
            super().__init__()
            self.real = real

        def result(self, timeout=None):
            self.real.result(30)
            if not self.done():
                self.set_result(None)
                raise TimeoutError
            return super().result(timeout)

    monkeypatch.setattr(asyncio, "run_coroutine_threadsafe", lambda *args: JustLate(original(*args)))
    assert right(ranged(server))


def test_errors_do_not_carry_the_group_they_came_in(server):
    """Which would be their own context, without end: no such error crosses process borders."""
    with pytest.raises(RemoteNotFoundError) as caught:
        RangedFile(server.url("gone.h5"), budget=QUICK).read([(0, 10)])
    error = caught.value
    while error is not None:
        assert not isinstance(error, BaseExceptionGroup)
        error = error.__context__
