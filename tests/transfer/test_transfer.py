"""Downloads against a server that misbehaves: right bytes or a clear error, in bounded time and bytes."""

import asyncio
import hashlib
import itertools
import logging
import os
import signal
import threading
import time
import traceback

import faulty_server as faults
import pytest
from faulty_server import FaultyServer

from intake_tcga.digest import Digest
from intake_tcga.errors import (
    AccessDeniedError,
    IntakeTcgaError,
    IntegrityError,
    MissingDependencyError,
    OfflineError,
    OptionError,
    RemoteNotFoundError,
    TransferError,
)
from intake_tcga.remote import RemoteFile
from intake_tcga.transfer import download, is_local, read_small, split_options
from intake_tcga.transfer.budget import Budget, Patience
from intake_tcga.transfer.parts import Part

BODY = bytes(itertools.islice(itertools.cycle(range(251)), 700_000))
SIZE = len(BODY)
SHA256 = Digest("sha256", hashlib.sha256(BODY).hexdigest())
QUICK = Budget(
    attempts=3,
    connect_timeout=5,
    stall_timeout=0.6,
    min_rate=1000,
    min_rate_window=0.8,
    backoff=0.01,
    longest_wait=0.3,
)
OTHER = bytes(reversed(BODY))


@pytest.fixture
def server():
    with FaultyServer({"a.h5": BODY}) as server:
        yield server


def remote(server, *, size=SIZE, digest=SHA256, name="a.h5", **fields):
    return RemoteFile(fields.pop("url", server.url(name)), name, size=size, digest=digest, **fields)


def fetched(tmp_path, file, budget=QUICK, **kwargs):
    part = Part(tmp_path / file.name, file.digest.algorithm if file.digest else "sha256")
    try:
        digest = download(file, part, budget=budget, **kwargs)
        part.seal()
        return part.path.read_bytes(), digest
    finally:
        part.discard()


def test_a_good_server_is_asked_once_and_for_plain_bytes(server, tmp_path):
    assert fetched(tmp_path, remote(server)) == (BODY, SHA256)
    assert len(server.requests) == 1
    assert server.requests[0].headers["accept-encoding"] == "identity"
    assert server.sent == len(BODY)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("algorithm", ["sha1", "md5"])
def test_digests_of_other_algorithms(server, tmp_path, algorithm):
    digest = Digest(algorithm, hashlib.new(algorithm, BODY).hexdigest())
    assert fetched(tmp_path, remote(server, digest=digest)) == (BODY, digest)
    with pytest.raises(IntegrityError, match=algorithm):
        fetched(tmp_path, remote(server, digest=Digest(algorithm, "0" * len(digest.hex))))


TRANSIENT = {
    "dropped once": [faults.drop(0.5)],
    "dropped at once": [faults.drop(0.0)],
    "dropped three times": [faults.drop(0.5)] * 3,
    "503 with Retry-After": [faults.status(503, "0")] * 2,
    "429 with Retry-After": [faults.status(429, "0")],
    "503 with a date": [faults.status(503, "Wed, 21 Oct 2015 07:28:00 GMT")],
    "500": [faults.status(500)],
    "one stall": [faults.stall],
    "one silence": [faults.silent],
    "one wrong byte": [faults.wrong_byte],
    "wrong byte, then a drop": [faults.wrong_byte, faults.drop(0.5)],
    "content changed between retries": [faults.changed_then_dropped(OTHER)],
    "changed, and If-Range ignored": [faults.changed_then_dropped(OTHER), faults.ignore_if_range],
    "short once": [faults.short],
    "captive portal once": [faults.captive_portal],
    "cut without a length": [faults.cut_without_length],
    "chunked body cut": [faults.chunked_cut],
    "not there yet": [faults.status(425)],
    "compressed, and cut": [faults.encoded_then_dropped],
    "503 with a date beyond all": [faults.status(503, "Mon, 01 Jan 2025 00:00:00 +999999999999999999999")],
}


@pytest.mark.parametrize("known", ["size and digest", "digest"])
@pytest.mark.parametrize("fault", TRANSIENT)
def test_transient_faults_are_recovered_in_the_first_call(server, tmp_path, fault, known):
    for one in TRANSIENT[fault]:
        server.fail("a.h5", one)
    size = len(BODY) if "size" in known else None
    assert fetched(tmp_path, remote(server, size=size)) == (BODY, SHA256)


@pytest.mark.parametrize("fault", TRANSIENT)
def test_transient_faults_without_ranges(server, tmp_path, fault):
    server.ranges = False
    for one in TRANSIENT[fault][:2]:  # every restart from the beginning is an attempt without progress
        server.fail("a.h5", one)
    assert fetched(tmp_path, remote(server)) == (BODY, SHA256)


def test_how_the_giver_of_options_calls_the_filesystem_is_no_matter(server, tmp_path):
    options = {"asynchronous": True, "headers": {"a": "b"}}
    assert fetched(tmp_path, remote(server), storage_options=options) == (BODY, SHA256)
    assert server.requests[0].headers["a"] == "b"
    assert options == {"asynchronous": True, "headers": {"a": "b"}}


PERMANENT = {
    "not found": (faults.not_found, RemoteNotFoundError, "does not exist"),
    "gone": (faults.status(410), RemoteNotFoundError, "410"),
    "forbidden": (faults.status(403), TransferError, "storage_options"),
    "bad request": (faults.status(400), TransferError, "400"),
    "captive portal": (faults.captive_portal, IntegrityError, "web page"),
    "short but consistent": (faults.short, IntegrityError, "699,000 bytes where 700,000"),
    "always cut without a length": (faults.cut_without_length, TransferError, "350,000 of 700,000"),
    "always wrong": (faults.wrong_byte, IntegrityError, str(SHA256)),
    "endless": (faults.endless, IntegrityError, "more than 700,000 bytes"),
    "trickle": (faults.trickle(), TransferError, "less than 1000 bytes a second"),
    "always stalled": (faults.silent, TransferError, "nothing came for 0.6 s"),
    "always dropped": (faults.drop(0), TransferError, "3 attempts in a row"),
    "always 503": (faults.status(503, "0"), TransferError, "HTTP 503"),
    "chunked, always cut": (faults.chunked_cut, TransferError, "connection was cut"),
    "to a file": (faults.redirect("file:///etc/passwd"), TransferError, "refused"),
    "to ftp": (faults.redirect("ftp://127.0.0.1/a"), TransferError, "refused"),
    "nothing": (faults.status(204), TransferError, "204"),
    "redirect without a place": (faults.status(302), TransferError, "302"),
}


@pytest.mark.parametrize("fault", PERMANENT)
def test_permanent_faults_end_in_a_clear_error_in_bounded_bytes(server, tmp_path, fault):
    broken, error, message = PERMANENT[fault]
    server.fail("a.h5", broken, times=None)
    with pytest.raises(error, match=message) as caught:
        fetched(tmp_path, remote(server))
    assert "Traceback" not in str(caught.value)
    assert server.sent <= 3 * len(BODY) + 64 * 2**20  # socket buffers of an endless body
    assert len(server.requests) <= 2 * QUICK.attempts
    assert not list(tmp_path.iterdir())


def test_a_redirect_loop_ends(server, tmp_path):
    server.fail("a.h5", faults.redirect("/a.h5"), times=None)
    with pytest.raises(TransferError, match="more than 4 times"):
        fetched(tmp_path, remote(server), Budget(max_redirects=4))
    assert len(server.requests) <= 5


def test_redirects_are_followed(server, tmp_path):
    server.bodies["b.h5"] = BODY
    server.fail("a.h5", faults.redirect("/b.h5", 307))
    assert fetched(tmp_path, remote(server))[0] == BODY


def test_credentials_stay_with_their_own_host(server, tmp_path):
    with FaultyServer({"b.h5": BODY}) as elsewhere:
        server.fail("a.h5", faults.redirect(elsewhere.url("b.h5")))
        options = {"headers": {"Authorization": "Bearer secret"}}
        assert fetched(tmp_path, remote(server), storage_options=options)[0] == BODY
    assert server.requests[0].headers["authorization"] == "Bearer secret"
    assert "authorization" not in elsewhere.requests[0].headers
    assert options == {"headers": {"Authorization": "Bearer secret"}}


def test_after_a_drop_the_rest_alone_is_asked_for(server, tmp_path):
    server.fail("a.h5", faults.drop(0.5), times=3)
    assert fetched(tmp_path, remote(server))[0] == BODY
    assert server.sent == len(BODY)
    assert [bool(request.headers.get("if-range")) for request in server.requests] == [False, True, True, True]
    assert server.statuses == {200: 1, 206: 3}


def test_progress_resets_the_attempts(tmp_path):
    body = os.urandom(4_000_000)
    with FaultyServer({"a.h5": body}) as server:
        server.fail("a.h5", faults.drop(0.2), times=12)
        digest = Digest("sha256", hashlib.sha256(body).hexdigest())
        assert fetched(tmp_path, remote(server, size=len(body), digest=digest))[0] == body
    assert len(server.requests) == 13


def test_without_a_digest_only_a_strong_tag_joins_two_answers(server, tmp_path):
    server.fail("a.h5", faults.drop(0.5))
    assert fetched(tmp_path, remote(server, digest=None))[0] == BODY
    assert server.statuses == {200: 1, 206: 1}
    server.requests.clear()
    server.etags = False
    server.headers["Last-Modified"] = "Wed, 21 Oct 2015 07:28:00 GMT"
    server.fail("a.h5", faults.drop(0.5))
    assert fetched(tmp_path, remote(server, digest=None))[0] == BODY
    assert server.statuses == {200: 2}


def test_two_contents_are_never_joined_even_without_a_digest(server, tmp_path):
    server.fail("a.h5", faults.changed_then_dropped(OTHER))
    server.fail("a.h5", faults.ignore_if_range)
    assert fetched(tmp_path, remote(server, digest=None))[0] == BODY


def test_a_weak_tag_joins_nothing_without_a_digest(server, tmp_path):
    server.etags = False
    server.headers["ETag"] = 'W/"weak"'
    server.fail("a.h5", faults.drop(0.5))
    assert fetched(tmp_path, remote(server, digest=None))[0] == BODY
    assert "range" not in server.requests[1].headers


def test_a_request_does_not_go_on_after_its_download_has_failed(server, tmp_path):
    server.fail("a.h5", faults.endless, times=None)
    with pytest.raises(IntegrityError):
        fetched(tmp_path, remote(server))
    for _ in range(100):  # until the server, too, has noticed
        if server.under_way == 0:
            return
        time.sleep(0.1)
    pytest.fail("the connection is still open")


def test_without_size_and_digest_the_length_must_be_told(server, tmp_path):
    assert fetched(tmp_path, remote(server, size=None, digest=None)) == (BODY, SHA256)
    for fault in (faults.chunked, faults.without_length):
        server.fail("a.h5", fault)
        with pytest.raises(TransferError, match="give its size or its digest"):
            fetched(tmp_path, remote(server, size=None, digest=None))
    server.fail("a.h5", faults.captive_portal)
    with pytest.raises(TransferError, match="web page"):
        fetched(tmp_path, remote(server, size=None, digest=None))


@pytest.mark.parametrize("fault", [faults.chunked, faults.without_length, faults.encoded])
def test_a_digest_is_enough(server, tmp_path, fault):
    server.fail("a.h5", fault)
    assert fetched(tmp_path, remote(server, size=None))[0] == BODY


def test_an_endless_body_of_unknown_size_is_bounded(server, tmp_path):
    server.fail("a.h5", faults.endless, times=None)
    with pytest.raises(IntegrityError, match="more than 1,000,000 bytes"):
        fetched(tmp_path, remote(server, size=None), Budget(max_bytes_unknown_size=1_000_000))


def test_a_mismatch_shows_both_digests_and_comes_after_one_fresh_retry(server, tmp_path):
    server.fail("a.h5", faults.wrong_byte, times=None)
    with pytest.raises(IntegrityError) as caught:
        fetched(tmp_path, remote(server))
    wrong = bytearray(BODY)
    wrong[len(BODY) // 2] ^= 1
    assert str(SHA256) in str(caught.value)
    assert hashlib.sha256(wrong).hexdigest() in str(caught.value)
    assert len(server.requests) == 2
    assert "cache-control" not in server.requests[0].headers
    assert server.requests[1].headers["cache-control"] == "no-cache"
    assert "range" not in server.requests[1].headers


def test_the_deadline_ends_even_a_download_that_gets_on(server, tmp_path):
    server.fail("a.h5", faults.trickle(50), times=None)
    with pytest.raises(TransferError, match="not complete after 0.5 s"):
        fetched(tmp_path, remote(server), Budget(deadline=0.5, min_rate=1))


def test_a_server_that_is_not_there(tmp_path):
    with FaultyServer() as server:
        url = server.url("a.h5")
    with pytest.raises(TransferError, match=r"127\.0\.0\.1 cannot be reached .*refused"):
        fetched(tmp_path, RemoteFile(url, "a.h5"), QUICK)


def test_cancelling(server, tmp_path):
    server.fail("a.h5", faults.stall, times=None)
    begun = threading.Event()
    with pytest.raises(TransferError, match="cancelled"):
        fetched(
            tmp_path,
            remote(server),
            Budget(),
            on_bytes=lambda done, total: begun.set(),
            cancelled=begun.is_set,
        )


@pytest.mark.skipif(os.name == "nt", reason="sends itself a signal")
def test_ctrl_c_ends_a_stalled_download_at_once(server, tmp_path):
    server.fail("a.h5", faults.stall, times=None)
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
    before = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        fetched(tmp_path, remote(server), Budget())
    assert time.monotonic() - before < 25  # the stall's own limit is 30 s


def test_on_bytes_hears_everything(server, tmp_path):
    heard = []
    fetched(tmp_path, remote(server), on_bytes=lambda done, total: heard.append((done, total)))
    assert heard[0] == (0, len(BODY))
    assert heard[-1] == (len(BODY), len(BODY))
    assert heard == sorted(heard)


def test_a_refusal_of_the_total_comes_before_the_first_byte(server, tmp_path):
    def refuse(total):
        raise OptionError(f"{total} is too much")

    with pytest.raises(OptionError, match="700000 is too much"):
        fetched(tmp_path, remote(server), on_total=refuse)


SECRETS = ("hunter2", "s3cr3t", "sig-abc")


@pytest.mark.parametrize("fault", [*PERMANENT, "redirect loop", "no server"])
def test_credentials_are_never_shown(server, tmp_path, fault, caplog):
    caplog.set_level(logging.DEBUG)
    url = f"http://hunter2:s3cr3t@127.0.0.1:{server.port}/a.h5?token=sig-abc"
    if fault == "no server":
        url = "http://hunter2:s3cr3t@127.0.0.1:9/a.h5?token=sig-abc"
    elif fault == "redirect loop":
        server.fail("a.h5", faults.redirect("/a.h5?token=sig-abc"), times=None)
    else:
        server.fail("a.h5", PERMANENT[fault][0], times=None)
    with pytest.raises(IntakeTcgaError) as caught:
        fetched(tmp_path, remote(server, url=url), QUICK)
    shown = "".join(traceback.format_exception(caught.value)) + caplog.text
    assert not [secret for secret in SECRETS if secret in shown]


def test_files_and_memory_need_no_socket(tmp_path):
    import fsspec

    (tmp_path / "source.h5").write_bytes(BODY)
    fsspec.filesystem("memory").pipe("/source.h5", BODY)
    for url in (str(tmp_path / "source.h5"), (tmp_path / "source.h5").as_uri(), "memory://source.h5"):
        assert is_local(url)
        (tmp_path / "out").mkdir(exist_ok=True)
        file = RemoteFile(url, "a.h5", size=len(BODY), digest=SHA256)
        assert fetched(tmp_path / "out", file) == (BODY, SHA256)
        with pytest.raises(IntegrityError, match="700,000 bytes where 699,999"):
            fetched(tmp_path / "out", RemoteFile(url, "a.h5", size=len(BODY) - 1))


def test_a_file_in_an_archive_behind_http(tmp_path):
    import io
    import zipfile

    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("inside.h5", BODY)
    with FaultyServer({"all.zip": packed.getvalue()}) as server:
        file = RemoteFile(
            f"zip://inside.h5::{server.url('all.zip')}", "inside.h5", size=len(BODY), digest=SHA256
        )
        assert not is_local(file.url)
        assert fetched(tmp_path, file)[0] == BODY


@pytest.mark.parametrize("url", ["/no/such/file.h5", "file:///no/such/file.h5", "memory://none.h5"])
def test_a_local_file_that_is_not_there(tmp_path, url):
    with pytest.raises(RemoteNotFoundError, match=r"does not exist"):
        fetched(tmp_path, RemoteFile(url, "file.h5"))


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(TransferError, match="cannot be read"):
        fetched(tmp_path, RemoteFile(str(tmp_path), "file.h5"))


def test_an_unknown_protocol_and_a_missing_package(tmp_path):
    with pytest.raises(OptionError, match="nosuch"):
        fetched(tmp_path, RemoteFile("nosuch://host/file", "file"))
    with pytest.raises(MissingDependencyError, match="dropbox"):
        fetched(tmp_path, RemoteFile("dropbox://folder/file", "file"))


def test_a_url_that_is_none(tmp_path):
    with pytest.raises(IntakeTcgaError, match="http"):
        fetched(tmp_path, RemoteFile("http://", "file"), QUICK)


class Refused(Exception):
    status = 403


@pytest.mark.parametrize(
    "error",
    [PermissionError(13, "s3cr3t"), Refused("s3cr3t"), type("NoCredentialsError", (Exception,), {})()],
)
def test_any_stores_refusal_is_told_as_one(monkeypatch, error):
    from fsspec.implementations.memory import MemoryFileSystem

    def refuse(*_, **__):
        raise error

    monkeypatch.setattr(MemoryFileSystem, "open", refuse)
    with pytest.raises(AccessDeniedError, match="refused the credentials.*storage_options") as caught:
        read_small("memory://a.json", limit=100)
    assert "s3cr3t" not in str(caught.value)


def test_a_folder_is_no_small_file(tmp_path):
    with pytest.raises(TransferError, match="cannot be read"):
        read_small(str(tmp_path), limit=100)


def test_read_small_of_a_long_file_is_bounded(tmp_path):
    (tmp_path / "long").write_bytes(BODY)
    with pytest.raises(IntegrityError, match="1,000 "):
        read_small(str(tmp_path / "long"), limit=1000)


def test_read_small(server):
    server.bodies["manifest.json"] = b'{"version": "1.0"}'
    assert read_small(server.url("manifest.json"), limit=100) == b'{"version": "1.0"}'
    with pytest.raises(RemoteNotFoundError):
        read_small(server.url("none.json"), limit=100)
    with pytest.raises(OfflineError, match="INTAKE_TCGA_OFFLINE"):
        read_small(server.url("manifest.json"), limit=100, offline=True)
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    "fault", [faults.drop(0.5), faults.status(503, "0"), faults.stall, faults.chunked_cut, faults.status(429)]
)
def test_read_small_retries(server, fault):
    server.fail("a.h5", fault, times=2)
    assert read_small(server.url("a.h5"), limit=len(BODY), budget=QUICK) == BODY


@pytest.mark.parametrize("fault", [faults.good, faults.chunked, faults.without_length, faults.endless])
def test_read_small_is_bounded(server, fault):
    server.fail("a.h5", fault, times=None)
    with pytest.raises(IntegrityError, match="1,000 "):
        read_small(server.url("a.h5"), limit=1000, budget=QUICK)


def test_read_small_is_read_where_a_loop_runs(server):
    async def inside():
        return read_small(server.url("a.h5"), limit=len(BODY))

    assert asyncio.run(inside()) == BODY


def test_many_threads_download_at_once(server, tmp_path):
    results = []

    def one(number):
        (tmp_path / str(number)).mkdir()
        results.append(fetched(tmp_path / str(number), remote(server))[0] == BODY)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 12


def test_an_ipv6_address_is_no_chain(tmp_path):
    import socket

    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6) as listening:
            port = listening.getsockname()[1]
    except OSError:
        pytest.skip("no IPv6 here")
    url = f"http://[::1]:{port}/a.h5"
    assert not is_local(url)
    with pytest.raises(TransferError, match=r"::1 cannot be reached"):
        read_small(url, limit=10, budget=Budget(attempts=1))


def test_fsspecs_own_thread_is_told_and_does_not_hang(server):
    from fsspec.asyn import get_loop

    async def inside():
        return read_small(server.url("a.h5"), limit=SIZE)

    with pytest.raises(TransferError, match="own thread"):
        asyncio.run_coroutine_threadsafe(inside(), get_loop()).result(30)


def test_the_environments_proxy_is_used(tmp_path, monkeypatch):
    with FaultyServer({"http://example.invalid/a.h5": BODY}) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url())
        monkeypatch.delenv("no_proxy", raising=False)
        assert read_small("http://example.invalid/a.h5", limit=len(BODY)) == BODY
        with pytest.raises(TransferError):
            read_small(
                "http://example.invalid/a.h5",
                limit=len(BODY),
                storage_options={"client_kwargs": {"trust_env": False}},
                budget=Budget(attempts=1),
            )


def test_split_options_keys_by_protocol_and_copies():
    given = {"headers": {"a": "b"}, "filecache": {"expiry_time": 0}, "s3": {"anon": True}}
    options = split_options("filecache::https://host/f", given)
    assert options == {"https": {"headers": {"a": "b"}}, "filecache": {"expiry_time": 0}}
    options["https"]["headers"]["a"] = "changed"
    assert given["headers"] == {"a": "b"}
    assert split_options("s3://bucket/key", {"s3": {"anon": True}, "https": {}}) == {"s3": {"anon": True}}
    assert split_options("/a/path", None) == {}


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("README", True),
        ("/data/a::b.h5", True),
        ("http", True),
        ("filecache::/data/a.h5", True),
        ("https://host/a", False),
        ("filecache::https://host/a", False),
        ("s3://bucket/a", False),
    ],
)
def test_is_local(url, local):
    assert is_local(url) is local


def test_patience_waits_longer_each_time_and_ends():
    patience = Patience(Budget(attempts=4, backoff=1, longest_wait=3))
    waits = [patience.after_failure(0) for _ in range(3)]
    assert all(0.5 * 2**n <= wait <= 2**n for n, wait in enumerate(waits))
    assert patience.after_failure(0) is None


def test_patience_honours_retry_after_within_bounds():
    patience = Patience(Budget(attempts=9, backoff=0.001, longest_wait=3))
    assert patience.after_failure(0, 2.0) == 2.0
    assert patience.after_failure(0, 100.0) == 3.0


def test_patience_counts_net_progress_only():
    patience = Patience(Budget(attempts=2, backoff=0))
    assert patience.after_failure(100_000) is not None
    assert patience.after_failure(200_000) is not None
    assert patience.after_failure(200_001) is None  # a byte more is no progress
    patience = Patience(Budget(attempts=2, backoff=0))
    assert patience.after_failure(200_000) is not None
    assert patience.after_failure(150_000) is None  # nor is getting to where it was before
    patience = Patience(Budget(attempts=3, backoff=0))
    assert patience.after_failure(200_000) is not None
    assert patience.after_failure(150_000) is not None
    assert patience.after_failure(230_000) is None
