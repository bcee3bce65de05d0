"""The verified cache: each promise, against what breaks it."""

import errno
import hashlib
import itertools
import json
import multiprocessing
import os
import pickle
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import faulty_server as faults
import pytest
from faulty_server import FaultyServer

from intake_tcga.cache import derived
from intake_tcga.cache import download as cache_download
from intake_tcga.cache.filecache_index import register
from intake_tcga.cache.locks import hold
from intake_tcga.cache.plan import Download, Hash, Judgement, Place, Refuse, State, Use, judge, plan
from intake_tcga.cache.stamps import Signature, Stamp
from intake_tcga.cache.store import VerifiedFileCache, cache_dir, cache_info, clear_cache
from intake_tcga.digest import Digest
from intake_tcga.errors import (
    CacheError,
    IntegrityError,
    OfflineError,
    OptionError,
    RemoteNotFoundError,
    TransferError,
)
from intake_tcga.remote import RemoteFile
from intake_tcga.transfer.budget import Budget

BODY = bytes(itertools.islice(itertools.cycle(range(251)), 300_000))
SIZE = len(BODY)
BIG = bytes(itertools.islice(itertools.cycle(range(241)), 6_000_000))
QUICK = Budget(attempts=2, stall_timeout=0.5, backoff=0.01, longest_wait=0.1, lock_patience=20)
posix_only = pytest.mark.skipif(os.name == "nt", reason="signals and permissions of POSIX")


def sha256(body):
    return Digest("sha256", hashlib.sha256(body).hexdigest())


SHA256 = sha256(BODY)


@pytest.fixture
def server():
    with FaultyServer({"a.h5": BODY, "big.h5": BIG}) as server:
        yield server


@pytest.fixture
def cache(tmp_path):
    return VerifiedFileCache(tmp_path / "cache", read_only=[], budget=QUICK)


def remote(server, name="a.h5", body=BODY, **fields):
    fields = {
        "size": len(body),
        "digest": sha256(body),
        "collection": ("tcga", "mirna"),
        "version": "1.0",
    } | fields
    return RemoteFile(fields.pop("url", None) or server.url(name), name, **fields)


def data_files(folder):
    """Every file below a folder but the cache's own state: what was asked for, and any litter."""
    files = [path for path in Path(folder).rglob("*") if path.is_file()]
    return sorted(
        path.relative_to(folder).as_posix()
        for path in files
        if ".intake-tcga" not in path.parts and path != Path(folder) / "cache"
    )


def damage(path, at=1000):
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)
        file.seek(at)
        file.write(bytes([byte[0] ^ 1]))


# ── the ordinary ways ──


def test_a_file_is_downloaded_once_under_a_name_one_recognises(server, cache):
    file = remote(server)
    assert cache.find(file) is None
    path = cache.fetch(file)
    assert path == cache.root / "tcga" / "mirna" / "1.0" / "a.h5"
    assert path.read_bytes() == BODY
    assert cache.fetch(file) == cache.find(file) == cache.verify(file) == path
    assert len(server.requests) == 1
    assert data_files(cache.root) == ["tcga/mirna/1.0/a.h5"]


def test_a_file_url_goes_the_same_way(cache, tmp_path):
    (tmp_path / "source.h5").write_bytes(BODY)
    file = remote(None, url=(tmp_path / "source.h5").as_uri())
    assert cache.fetch(file).read_bytes() == BODY
    offline = VerifiedFileCache(tmp_path / "other", read_only=[], offline=True)
    assert offline.fetch(file).read_bytes() == BODY


def test_an_unchanged_file_is_trusted_without_reading_it(server, cache, monkeypatch):
    path = cache.fetch(remote(server))
    monkeypatch.setattr(Digest, "of", lambda *_: pytest.fail("it was hashed"))
    assert cache.fetch(remote(server)) == path


def test_always_reads_it_each_time(server, cache, tmp_path):
    path = cache.fetch(remote(server))
    status = path.stat()
    damage(path)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))  # damage that no signature shows
    assert cache.fetch(remote(server)).read_bytes() != BODY
    careful = VerifiedFileCache(cache.root, read_only=[], verify="always")
    assert careful.fetch(remote(server)).read_bytes() == BODY
    assert len(server.requests) == 2


@pytest.mark.parametrize("harm", ["bit rot", "truncation", "longer", "replaced", "emptied"])
def test_a_changed_file_is_noticed_and_fetched_anew(server, cache, harm):
    file = remote(server)
    path = cache.fetch(file)
    if harm == "bit rot":
        damage(path)
    elif harm == "truncation":
        os.truncate(path, 1000)
    elif harm == "longer":
        path.write_bytes(BODY + b"more")
    elif harm == "replaced":
        path.unlink()
        path.write_bytes(bytes(len(BODY)))
    else:
        path.write_bytes(b"")
    assert cache.fetch(file) == path
    assert path.read_bytes() == BODY
    assert data_files(cache.root) == ["tcga/mirna/1.0/a.h5"]
    assert len(server.requests) == 2


def test_an_edited_label_is_noticed(cache, tmp_path):
    import h5py

    with h5py.File(tmp_path / "source.h5", "w") as source:
        source["groups"] = [b"Normal", b"Tumor"] * 50
    body = (tmp_path / "source.h5").read_bytes()
    file = remote(None, url=str(tmp_path / "source.h5"), body=body)
    path = cache.fetch(file)
    with h5py.File(path, "r+") as edited:
        edited["groups"][0] = b"Tumor"
    with h5py.File(cache.fetch(file)) as opened:
        assert opened["groups"][0] == b"Normal"


def test_a_touched_file_is_hashed_and_trusted_again(server, cache):
    path = cache.fetch(remote(server))
    os.utime(path)
    assert cache.find(remote(server)) == path
    assert cache.fetch(remote(server)) == path
    assert len(server.requests) == 1
    assert cache.info()[0].verified_at is not None


def test_a_file_that_others_put_there_is_verified_and_used(server, cache):
    path = cache.root / "tcga" / "mirna" / "1.0" / "a.h5"
    path.parent.mkdir(parents=True)
    path.write_bytes(BODY)
    assert cache.fetch(remote(server)) == path
    assert not server.requests
    assert [entry.downloaded for entry in cache.info()] == [False]
    assert cache.clear() == []
    assert path.exists()


def test_without_a_digest_the_first_download_is_the_measure(server, cache):
    file = remote(server, digest=None, size=None)
    path = cache.fetch(file)
    assert cache.fetch(file) == path
    assert cache.info()[0].digest == SHA256
    assert len(server.requests) == 1
    os.utime(path)
    cache.fetch(file)
    assert len(server.requests) == 1  # hashed, and found the same
    damage(path)
    assert cache.fetch(file).read_bytes() == BODY
    assert len(server.requests) == 2


def test_force_keeps_the_old_file_until_the_new_one_is_verified(server, cache):
    file = remote(server)
    path = cache.fetch(file)
    server.fail("a.h5", faults.wrong_byte, times=2)
    with pytest.raises(IntegrityError):
        cache.fetch(file, force=True)
    assert path.read_bytes() == BODY
    assert cache.fetch(file) == path
    assert len(server.requests) == 3
    inode = path.stat().st_ino
    assert cache.fetch(file, force=True) == path
    assert path.stat().st_ino != inode
    assert len(server.requests) == 4
    assert data_files(cache.root) == ["tcga/mirna/1.0/a.h5"]


def test_versions_never_touch_each_other(server, cache):
    server.bodies["new.h5"] = BIG
    old = cache.fetch(remote(server))
    new = cache.fetch(remote(server, url=server.url("new.h5"), body=BIG, version="2.0"))
    assert (old.read_bytes(), new.read_bytes()) == (BODY, BIG)


def test_two_bundles_that_share_version_and_name_keep_both_files(server, cache):
    """Two manifests may both call themselves 1.0: neither's file replaces the other's."""
    server.bodies["theirs.h5"] = BIG
    ours, theirs = remote(server), remote(server, url=server.url("theirs.h5"), body=BIG)
    for _ in range(2):
        assert cache.fetch(ours).read_bytes() == BODY
        assert cache.fetch(theirs).read_bytes() == BIG
    assert len(server.requests) == 2
    assert cache.find(ours) != cache.find(theirs)
    assert cache.verify(theirs) == cache.find(theirs)
    assert len(cache.info()) == 2
    assert len(cache.clear()) == 2


# ── nothing wrong, ever, and nothing left ──


@pytest.mark.parametrize(
    "fault",
    [
        faults.wrong_byte,
        faults.short,
        faults.captive_portal,
        faults.endless,
        faults.not_found,
        faults.drop(0.5),
        faults.chunked_cut,
        faults.status(503, "0"),
        faults.status(403),
    ],
)
def test_a_failed_download_leaves_nothing(server, cache, fault):
    server.fail("a.h5", fault, times=None)
    with pytest.raises(OSError, match="a.h5"):
        cache.fetch(remote(server))
    assert data_files(cache.root) == []
    assert cache.find(remote(server)) is None
    assert cache.info() == []


def test_a_wrong_old_file_is_gone_even_when_the_new_one_fails(server, cache):
    path = cache.fetch(remote(server))
    damage(path)
    server.fail("a.h5", faults.status(503, "0"), times=2)
    with pytest.raises(TransferError):
        cache.fetch(remote(server))
    assert not path.exists()
    assert cache.fetch(remote(server)).read_bytes() == BODY
    assert data_files(cache.root) == ["tcga/mirna/1.0/a.h5"]


def test_bytes_are_on_disk_and_stamped_before_they_are_seen(server, cache, monkeypatch):
    import intake_tcga.cache.download as downloads
    from intake_tcga.cache.stamps import StampStore

    seen = []
    for owner, name in ((os, "fsync"), (StampStore, "keep"), (downloads, "_move")):
        inner = getattr(owner, name)

        def noted(*args, _inner=inner, _name=name, **kwargs):
            seen.append(_name)
            return _inner(*args, **kwargs)

        monkeypatch.setattr(owner, name, noted)
    cache.fetch(remote(server))
    assert seen == ["fsync", "keep", "_move"]


def test_a_file_that_changes_while_it_is_hashed_is_hashed_again(server, cache, monkeypatch):
    path = cache.fetch(remote(server))
    os.utime(path)
    inner = Digest.of

    def of(path, algorithm="sha256"):
        digest = inner(path, algorithm)
        if not changed:
            damage(path)  # just after it has been read
            changed.append(path)
        return digest

    changed = []
    monkeypatch.setattr(Digest, "of", of)
    assert cache.fetch(remote(server)).read_bytes() == BODY
    assert len(server.requests) == 2


def test_a_file_that_never_rests_ends_in_an_error(server, cache, monkeypatch):
    path = cache.fetch(remote(server))
    os.utime(path)
    inner, ticks = Digest.of, itertools.count(1)

    def of(path, algorithm="sha256"):
        os.utime(path, ns=(0, next(ticks)))
        return inner(path, algorithm)

    monkeypatch.setattr(Digest, "of", of)
    with pytest.raises(CacheError, match="changes all the time"):
        cache.fetch(remote(server))


def test_a_right_file_that_has_replaced_the_wrong_one_is_not_set_aside(server, cache, monkeypatch):
    """Without locks, another process may mend the file between our look at it and our download."""
    import intake_tcga.cache.download as downloads

    path = cache.fetch(remote(server))
    damage(path)
    inner = downloads._new_part

    def mended_meanwhile(file, step):
        path.with_name("new").write_bytes(BODY)
        path.with_name("new").replace(path)
        part = inner(file, step)
        assert path.read_bytes() == BODY
        return part

    monkeypatch.setattr(downloads, "_new_part", mended_meanwhile)
    assert cache.fetch(remote(server)).read_bytes() == BODY


def test_storage_options_are_not_sent_to_a_foreign_host(server, cache):
    options = {"headers": {"X-Key": "s3cr3t"}}
    cache.fetch(remote(server, foreign=True), storage_options=options)
    cache.fetch(remote(server, version="2.0"), storage_options=options)
    assert [request.headers.get("x-key") for request in server.requests] == [None, "s3cr3t"]


# ── offline ──


def test_offline_uses_what_is_there_and_never_a_socket(server, cache, monkeypatch):
    offline = VerifiedFileCache(cache.root, read_only=[], offline=True)
    with pytest.raises(OfflineError, match=r"a\.h5 is not in .*INTAKE_TCGA_OFFLINE"):
        offline.fetch(remote(server))
    path = cache.fetch(remote(server))
    assert offline.fetch(remote(server)) == path
    with pytest.raises(OfflineError, match="force=True downloads a.h5 again, which offline mode forbids"):
        offline.fetch(remote(server), force=True)
    damage(path)
    with pytest.raises(IntegrityError) as caught:
        offline.fetch(remote(server))
    assert str(path) in str(caught.value)
    assert str(SHA256) in str(caught.value)
    assert path.exists()  # offline, nothing better can be had
    assert len(server.requests) == 1
    monkeypatch.setenv("INTAKE_TCGA_OFFLINE", "1")
    assert VerifiedFileCache().offline
    assert not VerifiedFileCache(offline=False).offline
    monkeypatch.setenv("INTAKE_TCGA_OFFLINE", "0")
    assert not VerifiedFileCache().offline


def test_verify_never_asks_the_network(server, cache):
    with pytest.raises(RemoteNotFoundError, match="fetch it first"):
        cache.verify(remote(server))
    path = cache.fetch(remote(server))
    status = path.stat()
    damage(path)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(IntegrityError, match=str(SHA256)):
        cache.verify(remote(server))
    assert len(server.requests) == 1


# ── roots ──


def test_read_only_roots_come_first_and_are_never_written(server, tmp_path):
    shared = tmp_path / "shared"
    VerifiedFileCache(tmp_path / "filled", read_only=[]).fetch(remote(server))
    shutil.copytree(tmp_path / "filled" / "tcga", shared / "tcga")
    before = sorted((path, path.stat().st_mtime_ns) for path in shared.rglob("*"))
    cache = VerifiedFileCache(tmp_path / "own", read_only=[shared])
    path = shared / "tcga" / "mirna" / "1.0" / "a.h5"
    assert cache.find(remote(server)) == cache.fetch(remote(server)) == path
    assert len(server.requests) == 1
    assert sorted((path, path.stat().st_mtime_ns) for path in shared.rglob("*")) == before
    assert cache.clear() == []
    damage(path)  # whose copy it is may not mend it: ours goes to our own root
    assert cache.fetch(remote(server)) == tmp_path / "own" / "tcga" / "mirna" / "1.0" / "a.h5"
    assert path.exists()
    assert len(server.requests) == 2


def test_a_verified_file_of_a_read_only_root_is_remembered(server, tmp_path, monkeypatch):
    VerifiedFileCache(tmp_path / "shared", read_only=[]).fetch(remote(server))
    shutil.rmtree(tmp_path / "shared" / ".intake-tcga")
    cache = VerifiedFileCache(tmp_path / "own", read_only=[tmp_path / "shared"])
    cache.fetch(remote(server))
    monkeypatch.setattr(Digest, "of", lambda *_: pytest.fail("it was hashed"))
    cache.fetch(remote(server))


def test_a_syng_bts_cache_is_used(server, tmp_path, monkeypatch):
    theirs = tmp_path / "syng-bts"
    path = theirs / "tcga" / "mirna" / "1.0" / "a.h5"
    path.parent.mkdir(parents=True)
    path.write_bytes(BODY)
    monkeypatch.setenv("SYNG_BTS_CACHE_DIR", str(theirs))
    cache = VerifiedFileCache()
    assert cache.read_only == (theirs,)
    assert cache.fetch(remote(server)) == path
    monkeypatch.setenv("INTAKE_TCGA_CACHE_DIR", str(theirs))  # one folder for both
    both = VerifiedFileCache()
    assert (both.root, both.read_only) == (theirs, ())
    assert both.fetch(remote(server)) == path
    assert not server.requests


def test_syng_btss_default_folder_is_used_if_it_is_there(tmp_path, monkeypatch):
    monkeypatch.delenv("SYNG_BTS_CACHE_DIR")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert VerifiedFileCache().read_only == ()
    (tmp_path / ".cache" / "syng-bts").mkdir(parents=True)
    assert VerifiedFileCache().read_only == (tmp_path / ".cache" / "syng-bts",)


def test_the_environment_names_the_folders(tmp_path, monkeypatch):
    monkeypatch.setenv(
        "INTAKE_TCGA_READ_ONLY_ROOTS", os.pathsep.join([str(tmp_path / "a"), str(tmp_path / "b")])
    )
    assert VerifiedFileCache().read_only == (tmp_path / "a", tmp_path / "b")
    assert cache_dir() == VerifiedFileCache().root == Path(os.environ["INTAKE_TCGA_CACHE_DIR"])
    monkeypatch.delenv("INTAKE_TCGA_CACHE_DIR")
    assert cache_dir().name == "intake-tcga"
    assert VerifiedFileCache("~/x").root == Path("~/x").expanduser()


# ── folders that cannot be used ──


@pytest.mark.parametrize("word", ["1", "true", "YES", "y", " on ", "0", "False", "no", "N", "off", ""])
def test_offline_in_words(monkeypatch, word):
    forbidden = word.strip().lower() in {"1", "true", "yes", "y", "on"}
    assert VerifiedFileCache(offline=word).offline is forbidden
    monkeypatch.setenv("INTAKE_TCGA_OFFLINE", word)
    assert VerifiedFileCache().offline is forbidden
    assert VerifiedFileCache(offline=False).offline is False
    assert VerifiedFileCache(offline=True).offline is True


@pytest.mark.parametrize("word", ["2", "maybe"])
def test_offline_in_a_word_that_says_neither(monkeypatch, word):
    with pytest.raises(OptionError, match=rf"offline='{word}'.*true.*false"):
        VerifiedFileCache(offline=word)
    monkeypatch.setenv("INTAKE_TCGA_OFFLINE", word)
    with pytest.raises(OptionError, match=rf"INTAKE_TCGA_OFFLINE={word} .*true.*false"):
        VerifiedFileCache()


def test_no_space_is_noticed_before_the_download(server, cache, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 10, 1000))
    with pytest.raises(CacheError, match=r"1,000 bytes free, and a\.h5 needs 300,000") as caught:
        cache.fetch(remote(server))
    assert str(cache.root) in str(caught.value)
    with pytest.raises(CacheError, match="needs 300,000"):
        cache.fetch(remote(server, size=None))
    assert server.sent <= SIZE
    assert data_files(cache.root) == []


def test_a_disk_that_fills_up(server, cache, monkeypatch):
    """The kernel says ENOSPC in the middle of the body (the file system that told of room was wrong)."""
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    path_open = Path.open

    def full(self, mode="r", *args, **kwargs):
        if mode != "xb":
            return path_open(self, mode, *args, **kwargs)
        path_open(self, mode).close()
        return open("/dev/full", "wb", buffering=0)

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(CacheError, match=r"No space is left for .*a\.h5") as caught:
        cache.fetch(remote(server))
    assert caught.value.__cause__.errno == errno.ENOSPC
    assert data_files(cache.root) == []


@posix_only
def test_a_real_small_disk(server, tmp_path):
    """A file system of 100 kB that claims to have room: nothing half-written stays."""
    disk = tmp_path / "disk"
    disk.mkdir()
    code = f"""
        import os, subprocess, shutil
        from pathlib import Path
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100k", "tmpfs", {str(disk)!r}], check=True)
        shutil.disk_usage = lambda _: shutil._ntuple_diskusage(10**9, 0, 10**9)
        from intake_tcga.cache.store import *
        from intake_tcga.errors import CacheError
        from test_store import remote, data_files
        file = remote(None, url={server.url("a.h5")!r})
        try:
            VerifiedFileCache({str(disk)!r}, read_only=[]).fetch(file)
        except CacheError as error:
            print(error, data_files({str(disk)!r}))
    """
    command = ["unshare", "--user", "--map-root-user", "--mount", *python(code)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=environment(), check=False)
    except FileNotFoundError:
        pytest.skip("needs unshare")
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr[-200:]}")
    assert "No space is left for" in done.stdout
    assert done.stdout.strip().endswith("[]")


def test_a_path_that_is_a_file(server, tmp_path):
    (tmp_path / "file").write_text("in the way")
    for root in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(CacheError, match=r"file where a folder should be") as caught:
            VerifiedFileCache(root, read_only=[]).fetch(remote(server))
        assert f": {tmp_path / 'file'} is not what it should be" in str(caught.value)
        assert "300,000 bytes are needed" in str(caught.value)
    cache = VerifiedFileCache(tmp_path / "cache", read_only=[])
    (cache.root / "tcga" / "mirna" / "1.0" / "a.h5").mkdir(parents=True)
    with pytest.raises(CacheError, match="is a folder where a file should be"):
        cache.fetch(remote(server))
    assert server.sent == 0


@posix_only
def test_a_link_to_what_is_gone_is_replaced(server, cache, tmp_path):
    path = cache.fetch(remote(server))
    moved = path.rename(tmp_path / "moved.h5")
    path.symlink_to(moved)
    assert cache.fetch(remote(server)) == path
    assert server.sent == SIZE, "a link to a file that is right serves"
    moved.unlink()
    assert cache.fetch(remote(server)).read_bytes() == BODY
    assert not path.is_symlink()


@posix_only
def test_what_is_no_file_is_not_replaced(server, cache):
    path = cache.root / "tcga" / "mirna" / "1.0" / "a.h5"
    path.parent.mkdir(parents=True)
    os.mkfifo(path)
    with pytest.raises(CacheError, match="is no file, and in a file's place"):
        cache.fetch(remote(server))
    assert server.sent == 0


def test_a_place_that_others_take_again_and_again(server, cache, monkeypatch):
    monkeypatch.setattr(cache_download, "_move", lambda *_, **__: False)
    with pytest.raises(CacheError, match="is taken again and again"):
        cache.fetch(remote(server))


@posix_only
def test_no_permission(server, open_folder):
    root = open_folder / "cache"
    root.mkdir()
    root.chmod(0o555)
    with as_nobody():
        cache = VerifiedFileCache(root, read_only=[])
        with pytest.raises(CacheError, match=r"300,000 bytes are needed.*INTAKE_TCGA_CACHE_DIR") as caught:
            cache.fetch(remote(server))
    assert str(root) in str(caught.value)
    assert "Permission denied" in str(caught.value)
    assert list(root.iterdir()) == []


@posix_only
def test_a_writable_root_that_no_longer_is_still_serves_its_files(server, open_folder, monkeypatch):
    cache = VerifiedFileCache(open_folder / "cache", read_only=[])
    path = cache.fetch(remote(server))
    shutil.rmtree(cache.root / ".intake-tcga")
    folders = [cache.root, *(folder for folder in cache.root.rglob("*") if folder.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    with as_nobody():
        assert cache.fetch(remote(server)) == path
        monkeypatch.setattr(Digest, "of", lambda *_: pytest.fail("it was hashed twice"))
        assert cache.fetch(remote(server)) == path
    for folder in folders:
        folder.chmod(0o755)
    assert len(server.requests) == 1


@pytest.fixture
def open_folder():
    """A folder that every user can get to, which those of pytest are not."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


class as_nobody:
    """Give up root's right to write everywhere, if the tests run as root."""

    def __enter__(self):
        self.uid = os.geteuid()
        if self.uid == 0:
            os.seteuid(65534)

    def __exit__(self, *_):
        os.seteuid(self.uid)


# ── many at once ──


def environment(**more):
    return (
        os.environ
        | {
            "PYTHONPATH": os.pathsep.join(
                [str(Path(__file__).parent), str(Path(__file__).parents[1]), *sys.path]
            )
        }
        | more
    )


def python(code):
    return [sys.executable, "-c", textwrap.dedent(code)]


WORKER = """
    import sys, hashlib
    from intake_tcga.cache.store import *
    from intake_tcga.digest import Digest
    from test_store import remote, BIG, QUICK
    if {unlocked}:
        import contextlib, intake_tcga.cache.store, intake_tcga.cache.filecache_index
        @contextlib.contextmanager
        def hold(*args, **kwargs):
            yield False
        intake_tcga.cache.store.hold = intake_tcga.cache.filecache_index.hold = hold
    cache = VerifiedFileCache({root!r}, read_only=[])
    sys.stdin.readline()  # all start together
    path = cache.fetch(remote(None, "big.h5", BIG, url={url!r}))
    body = path.read_bytes()
    print(path, body == BIG)
"""


@pytest.mark.parametrize("unlocked", [False, True])
def test_eight_processes_and_one_cold_file(server, tmp_path, unlocked):
    code = textwrap.dedent(WORKER).format(
        root=str(tmp_path / "cache"), url=server.url("big.h5"), unlocked=unlocked
    )
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
        )
        for _ in range(8)
    ]
    for worker in workers:
        worker.stdin.write("go\n")
        worker.stdin.flush()
    outputs = [worker.communicate(timeout=120) for worker in workers]
    target = tmp_path / "cache" / "tcga" / "mirna" / "1.0" / "big.h5"
    assert [output[0].strip() for output in outputs] == [f"{target} True"] * 8, outputs[0][1]
    if unlocked:
        assert server.sent <= 8 * len(BIG)
    else:
        assert server.sent == len(BIG)
    assert data_files(tmp_path / "cache") == ["tcga/mirna/1.0/big.h5"]


def test_many_threads_and_one_cold_file(server, cache):
    with ThreadPoolExecutor(16) as pool:
        paths = list(pool.map(lambda _: cache.fetch(remote(server)), range(32)))
    assert {path.read_bytes() for path in paths} == {BODY}
    assert len(server.requests) == 1


@posix_only
def test_a_forked_child_fetches_for_itself(server, cache):
    cache.fetch(remote(server))  # the parent's network thread runs, and does not exist in the child
    context = multiprocessing.get_context("fork")
    with context.Pool(2) as pool:
        file = remote(server, "big.h5", BIG)
        paths = pool.starmap(VerifiedFileCache.fetch, [(cache, file), (cache, remote(server))])
    assert [path.read_bytes() for path in paths] == [BIG, BODY]


def test_a_lost_race_without_locks_uses_the_winners_file(server, cache, monkeypatch):
    """Another process, whose lock we do not see, finishes the same file while ours downloads."""
    import intake_tcga.cache.download as downloads
    import intake_tcga.cache.store as module

    inner = downloads.download

    def slow(file, part, **kwargs):
        digest = inner(file, part, **kwargs)
        monkeypatch.setattr(downloads, "download", inner)
        winner = VerifiedFileCache(cache.root, read_only=[])
        monkeypatch.setattr(module, "hold", no_lock)
        slow.inode = winner.fetch(file).stat().st_ino
        return digest

    monkeypatch.setattr(downloads, "download", slow)
    path = cache.fetch(remote(server))
    assert path.stat().st_ino == slow.inode  # readers of the winner's file keep their file
    assert data_files(cache.root) == ["tcga/mirna/1.0/a.h5"]


def test_without_locks_two_bundles_still_keep_both_files(server, cache, monkeypatch):
    import intake_tcga.cache.download as downloads
    import intake_tcga.cache.store as module

    inner = downloads.download
    ours, theirs = remote(server), remote(server, "a.h5", BIG, url=server.url("big.h5"))

    def slow(file, part, **kwargs):
        digest = inner(file, part, **kwargs)
        monkeypatch.setattr(downloads, "download", inner)
        monkeypatch.setattr(module, "hold", no_lock)
        slow.theirs = cache.fetch(theirs)
        return digest

    monkeypatch.setattr(downloads, "download", slow)
    assert cache.fetch(ours).read_bytes() == BODY
    assert slow.theirs.read_bytes() == BIG
    assert cache.fetch(theirs) == slow.theirs
    assert len(server.requests) == 2


class no_lock:
    def __init__(self, *_, **__):
        pass

    def __enter__(self):
        return False

    def __exit__(self, *_):
        pass


def test_a_holder_that_never_ends_blocks_nobody(tmp_path):
    """As on a file system where a dead host's lock stays, or when the holder is stopped."""
    lock = tmp_path / "x.lock"
    with hold(lock, patience=5) as held:
        assert held
        entered = []
        thread = threading.Thread(target=lambda: entered.append(hold(lock, patience=0.2).__enter__()))
        thread.start()
        thread.join(20)
        assert entered == [False]


def test_a_holder_that_gets_on_is_waited_for(tmp_path):
    lock, ticks = tmp_path / "x.lock", itertools.count()
    released = threading.Event()

    def holder():
        with hold(lock, patience=5):
            entered.set()
            time.sleep(0.6)
            released.set()

    entered = threading.Event()
    thread = threading.Thread(target=holder)
    thread.start()
    entered.wait(5)
    with hold(lock, patience=0.2, signs_of_life=lambda: next(ticks)) as held:
        assert held
        assert released.is_set()
    thread.join()


def test_locks_that_cannot_be_made_are_done_without(tmp_path):
    (tmp_path / "file").write_text("")
    with hold(tmp_path / "file" / "x.lock", patience=1) as held:
        assert not held


# ── killed ──


KILLED = """
    import os, signal, sys
    from pathlib import Path
    import intake_tcga.cache.download as module, intake_tcga.transfer.parts as parts
    from intake_tcga.cache.store import VerifiedFileCache
    from intake_tcga.cache.stamps import StampStore
    from test_store import remote, BIG
    def die(*args, **kwargs):
        os.kill(os.getpid(), signal.SIGKILL)
    moment = {moment!r}
    if moment == "half way":
        inner, so_far = parts.Part.write, []
        def write(self, chunks):
            inner(self, chunks)
            if self.offset > 3_000_000:
                die()
        parts.Part.write = write
    elif moment == "before fsync":
        parts.Part.seal = die
    elif moment == "before the stamp":
        StampStore.keep = die
    elif moment == "before the move":
        module._move = die
    elif moment == "just after the move":
        inner = module._move
        module._move = lambda *args, **kwargs: inner(*args, **kwargs) and die()
    elif moment == "just after replacing":
        module._move = lambda part, target, replace: part.replace(target) and die()
    elif moment == "at the first request":
        module.download = die
    VerifiedFileCache({root!r}, read_only=[]).fetch(remote(None, "big.h5", BIG, url={url!r}))
"""


@posix_only
@pytest.mark.parametrize(
    "moment",
    [
        "at the first request",
        "half way",
        "before fsync",
        "before the stamp",
        "before the move",
        "just after the move",
        "just after replacing",
    ],
)
def test_killed_at_any_moment_the_next_call_goes_on(server, tmp_path, moment):
    root = tmp_path / "cache"
    code = textwrap.dedent(KILLED).format(moment=moment, root=str(root), url=server.url("big.h5"))
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    sent = server.sent
    cache = VerifiedFileCache(root, read_only=[])
    assert cache.fetch(remote(server, "big.h5", BIG)).read_bytes() == BIG
    again = server.sent - sent
    if moment == "half way":
        assert again <= 3_000_000  # the rest alone
        assert server.statuses[206] == 1
    elif moment in {"just after the move", "just after replacing"}:
        assert again == 0  # verified before it was moved: nothing to do
    assert cache.verify(remote(server, "big.h5", BIG))
    cache.fetch(remote(server, "big.h5", BIG), force=True)
    assert data_files(root) == ["tcga/mirna/1.0/big.h5"]


@posix_only
def test_killed_just_after_the_move_by_a_program_that_stamps_nothing(server, cache):
    """An unverified file of another program's crash is never taken on trust."""
    path = cache.root / "tcga" / "mirna" / "1.0" / "a.h5"
    path.parent.mkdir(parents=True)
    path.write_bytes(bytes(SIZE))
    assert cache.fetch(remote(server)).read_bytes() == BODY


def left_part(cache, server, body):
    """Make what a killed download leaves: a part of a process that no longer is, with its note."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    folder = cache.root / "tcga" / "mirna" / "1.0"
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f".a.h5.{process.pid}-0123abcd.part"
    part.write_bytes(body)
    import platform

    validator = {
        "url": server.url("a.h5"),
        "etag": f'"{hashlib.sha1(BODY).hexdigest()}"',
        "last_modified": None,
    }
    note = {"host": platform.node(), "pid": process.pid, "validator": validator}
    part.with_name(part.name + ".json").write_text(json.dumps(note))
    return part


def test_a_left_part_is_gone_on_from_by_if_range(server, cache):
    left_part(cache, server, BODY[:200_000])
    assert cache.fetch(remote(server)).read_bytes() == BODY
    assert server.sent == 100_000
    assert server.requests[0].headers["range"] == "bytes=200000-"
    assert server.requests[0].headers["if-range"] == f'"{hashlib.sha1(BODY).hexdigest()}"'
    assert data_files(cache.root) == ["tcga/mirna/1.0/a.h5"]


@pytest.mark.parametrize(
    ("left", "why"),
    [
        (bytes(200_000), "its bytes are wrong (a power cut)"),
        (BODY + b"more", "it is longer than the file"),
        (BODY, "it is whole, and unverified"),
        (b"", "it is empty"),
    ],
)
def test_a_left_part_that_is_no_good_costs_no_more_than_a_download(server, cache, left, why):
    left_part(cache, server, left)
    assert cache.fetch(remote(server)).read_bytes() == BODY, why
    assert len(server.requests) <= 2
    assert data_files(cache.root) == ["tcga/mirna/1.0/a.h5"]


def test_a_left_part_of_other_content_starts_over(server, cache):
    part = left_part(cache, server, bytes(200_000))
    note = part.with_name(part.name + ".json")
    note.write_text(note.read_text().replace(hashlib.sha1(BODY).hexdigest(), "other"))
    assert cache.fetch(remote(server)).read_bytes() == BODY
    assert server.statuses == {200: 1}


def test_calls_that_fail_one_after_another_leave_one_part(server, tmp_path):
    cache = VerifiedFileCache(tmp_path / "cache", read_only=[], budget=Budget(attempts=1))
    file = remote(server, "big.h5", BIG)
    sizes = []
    for _ in range(3):
        server.fail("big.h5", faults.drop(0.4))
        with pytest.raises(TransferError):
            cache.fetch(file)
        (part,) = cache.root.rglob("*.part")
        sizes.append(part.stat().st_size)
        assert BIG.startswith(part.read_bytes())
    assert sizes == sorted(set(sizes))
    assert cache.fetch(file).read_bytes() == BIG
    assert data_files(cache.root) == ["tcga/mirna/1.0/big.h5"]
    assert server.sent == len(BIG)


def test_a_part_that_was_given_up_is_taken_by_one_alone(server, cache):
    part = left_part(cache, server, BODY[:200_000])
    nobodys = part.with_name(".a.h5.0-0123abcd.part")
    part.with_name(part.name + ".json").rename(nobodys.with_name(nobodys.name + ".json"))
    part.rename(nobodys)
    with ThreadPoolExecutor(4) as pool:
        paths = set(pool.map(lambda _: cache.but().fetch(remote(server)), range(4)))
    assert [path.read_bytes() for path in paths] == [BODY]
    assert data_files(cache.root) == ["tcga/mirna/1.0/a.h5"]


def test_a_part_that_was_given_up_and_is_wrong_is_fetched_anew(server, cache):
    part = left_part(cache, server, bytes(200_000))
    nobodys = part.with_name(".a.h5.0-0123abcd.part")
    part.with_name(part.name + ".json").rename(nobodys.with_name(nobodys.name + ".json"))
    part.rename(nobodys)
    assert cache.fetch(remote(server)).read_bytes() == BODY
    assert data_files(cache.root) == ["tcga/mirna/1.0/a.h5"]


def test_a_part_that_is_being_written_is_left_alone(server, cache):
    part = left_part(cache, server, BODY[:1000])
    alive = part.with_name(f".a.h5.{os.getpid()}-0123abcd.part")
    part.rename(alive)
    assert cache.fetch(remote(server)).read_bytes() == BODY
    assert alive.exists()
    assert server.statuses == {200: 1}


def test_stale_litter_of_other_files_goes_too(server, cache):
    folder = cache.root / "tcga" / "mirna" / "1.0"
    folder.mkdir(parents=True)
    litter = [folder / name for name in (".b.h5.1-00ff.part", ".b.h5.1-00ff.part.json", ".b.h5.1-00ff.aside")]
    others = [folder / name for name in (".hidden", "b.h5.part", ".b.h5.part")]
    for path in litter + others:
        path.write_text("x")
        os.utime(path, (1, 1))
    cache.fetch(remote(server))
    assert not any(path.exists() for path in litter)
    assert all(path.exists() for path in others)


@posix_only
def test_after_ctrl_c_the_next_call_resumes(server, tmp_path):
    server.fail("big.h5", faults.stall)
    root = tmp_path / "cache"
    code = f"""
        import os, signal, threading, time
        from pathlib import Path
        from test_store import remote, BIG
        from intake_tcga.cache.store import VerifiedFileCache
        cache = VerifiedFileCache({str(root)!r}, read_only=[])
        file = remote(None, "big.h5", BIG, url={server.url("big.h5")!r})
        def interrupt():
            while not any(p.stat().st_size >= 3_000_000 for p in Path({str(root)!r}).rglob("*.part")):
                time.sleep(0.02)
            os.kill(os.getpid(), signal.SIGINT)
        threading.Thread(target=interrupt, daemon=True).start()
        try:
            cache.fetch(file)
        except KeyboardInterrupt:
            print("interrupted")
            cache.fetch(file)  # as in a notebook: in the same process
    """
    done = subprocess.run(
        python(code), env=environment(), capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stdout.strip() == "interrupted", done.stderr
    assert done.returncode == 0, done.stderr
    assert server.statuses == {200: 1, 206: 1}
    assert server.sent == len(BIG)
    assert data_files(root) == ["tcga/mirna/1.0/big.h5"]


def test_a_download_that_ran_out_of_retries_is_gone_on_from(server, cache):
    server.fail("big.h5", faults.drop(0.5))
    server.fail("big.h5", faults.status(503, "0"), times=2)
    with pytest.raises(TransferError, match="503"):
        cache.fetch(remote(server, "big.h5", BIG))
    assert cache.fetch(remote(server, "big.h5", BIG)).read_bytes() == BIG
    assert server.sent <= len(BIG) + 100
    assert data_files(cache.root) == ["tcga/mirna/1.0/big.h5"]


# ── fsspec's own caches ──


def test_plain_filecache_opens_our_file_without_a_request(server, cache):
    import fsspec

    path = cache.fetch(remote(server))
    options = {"cache_storage": str(cache.root)}
    with fsspec.open(f"filecache::{server.url('a.h5')}", filecache=options) as file:
        assert file.read() == BODY
        assert Path(file.name) == path
    assert Path(fsspec.open_local(f"filecache::{server.url('a.h5')}", filecache=options)) == path
    assert len(server.requests) == 1
    cache.clear()
    assert json.loads((cache.root / "cache").read_text()) == {}


def test_the_index_of_filecache_keeps_its_other_entries(server, cache):
    import fsspec

    options = {"cache_storage": str(cache.root)}
    with fsspec.open(f"filecache::{server.url('big.h5')}", filecache=options) as file:
        file.read()
    cache.fetch(remote(server))
    assert len(json.loads((cache.root / "cache").read_text())) == 2
    (cache.root / "cache").write_text("not json")
    assert cache.fetch(remote(server), force=True).read_bytes() == BODY  # no more than a convenience


@pytest.mark.parametrize("query", ["", "?token=x"])
def test_the_index_of_filecache_never_gives_a_file_as_that_of_another_url(server, cache, query):
    elsewhere = server.url("elsewhere/a.h5")
    path = cache.root / RemoteFile(elsewhere, "a.h5").folder / "a.h5"
    register(cache.root, path, elsewhere, pinned=True)  # of a download that was killed right after that
    url = server.url("a.h5") + query
    assert cache.fetch(RemoteFile(url, "a.h5", size=SIZE)) == path
    entries = json.loads((cache.root / "cache").read_text())
    assert [entry["original"] for entry in entries.values()] == ([] if query else [url])


def test_the_index_of_filecache_holds_no_credentials(server, cache):
    url = server.url("a.h5").replace("//", "//hunter2:s3cr3t@") + "?token=sig-abc"
    cache.fetch(remote(server, url=url))
    everything = b"".join(path.read_bytes() for path in cache.root.rglob("*") if path.is_file())
    assert BODY in everything
    for secret in (b"hunter2", b"s3cr3t", b"sig-abc"):
        assert secret not in everything
    assert "s3cr3t" not in repr(cache.info()) + repr(remote(server, url=url))


@pytest.mark.parametrize("kind", ["filecache", "simplecache"])
def test_a_users_chain_is_honoured_and_verified(server, cache, tmp_path, kind):
    theirs = tmp_path / "theirs"
    file = remote(server, url=f"{kind}::{server.url('a.h5')}")
    options = {kind: {"cache_storage": str(theirs)}}
    path = cache.fetch(file, storage_options=options)
    assert path.is_relative_to(theirs)
    assert path.read_bytes() == BODY
    asked = len(server.requests)
    assert cache.fetch(file, storage_options=options) == path
    assert len(server.requests) == asked
    damage(path)
    assert cache.fetch(file, storage_options=options).read_bytes() == BODY
    offline = VerifiedFileCache(cache.root, read_only=[], offline=True)
    assert offline.fetch(file, storage_options=options) == path
    assert options == {kind: {"cache_storage": str(theirs)}}
    assert data_files(cache.root) == []


@pytest.mark.parametrize("kind", ["filecache", "simplecache"])
@pytest.mark.parametrize(
    "fault", [faults.wrong_byte, faults.short, faults.cut_without_length, faults.captive_portal]
)
def test_a_users_chain_never_gives_wrong_bytes(server, cache, tmp_path, kind, fault):
    server.fail("a.h5", fault, times=None)
    file = remote(server, url=f"{kind}::{server.url('a.h5')}")
    options = {kind: {"cache_storage": str(tmp_path / "theirs")}}
    with pytest.raises(IntegrityError, match="not the wanted file"):
        cache.fetch(file, storage_options=options)
    server._faults.clear()
    assert (
        cache.fetch(file, storage_options=options).read_bytes() == BODY
    )  # fsspec alone would keep the wrong ones


@pytest.mark.parametrize("wrong", [{"http": {"anon": "s3cr3t"}}, {"simplecache": {"cache_storage": 5}}])
def test_a_users_chain_with_wrong_options(server, cache, wrong):
    with pytest.raises(OptionError, match="anon|cache_storage") as caught:
        cache.fetch(remote(server, url=f"simplecache::{server.url('a.h5')}"), storage_options=wrong)
    assert "s3cr3t" not in str(caught.value)


def test_offline_a_users_chain_is_read_from_disk_alone(server, cache, tmp_path):
    offline = VerifiedFileCache(cache.root, read_only=[], offline=True)
    for kind in ("filecache", "simplecache", "tcgacache"):
        file = remote(server, url=f"{kind}::{server.url('a.h5')}")
        with pytest.raises(OfflineError):
            offline.fetch(file, storage_options={kind: {"cache_storage": str(tmp_path / "theirs")}})
    assert not server.requests


# ── several, and housekeeping ──


def test_prefetch(server, cache):
    server.bodies |= {f"{n}.h5": bytes([n]) * 1000 for n in range(6)}
    files = [remote(server, f"{n}.h5", bytes([n]) * 1000) for n in range(6)]
    cache.fetch(files[0])
    paths = cache.prefetch([*files, files[0]], threads=3)
    assert list(paths) == files
    assert [path.read_bytes()[:1] for path in paths.values()] == [bytes([n]) for n in range(6)]
    assert len(server.requests) == 6
    assert cache.prefetch(files) == paths
    assert cache.prefetch([]) == {}
    assert len(server.requests) == 6
    cache.prefetch(files[:2], force=True)
    assert len(server.requests) == 8


def test_prefetch_says_what_it_will_do(server, tmp_path, capsys):
    cache = VerifiedFileCache(tmp_path / "cache", read_only=[], progress=True)
    cache.prefetch([remote(server), remote(server, "big.h5", BIG)])
    shown = capsys.readouterr().err
    assert f"Fetching 2 of 2 files ({SIZE + len(BIG):,} bytes) into {cache.root}" in shown
    assert "100%" in shown
    VerifiedFileCache(tmp_path / "other", read_only=[], progress=False).prefetch([remote(server)])
    assert capsys.readouterr().err == ""


def test_prefetch_keeps_what_succeeds_and_reports_all_failures_together(server, cache):
    server.bodies["wrong.h5"] = BIG
    good, missing, wrong = remote(server), remote(server, "none.h5"), remote(server, "wrong.h5")
    with pytest.raises(TransferError) as caught:
        cache.prefetch([missing, good, wrong])
    message = str(caught.value)
    assert "2 of 3 files" in message
    assert "- none.h5: " in message
    assert "404" in message
    assert "- wrong.h5: " in message
    assert cache.find(good)
    with pytest.raises(RemoteNotFoundError) as alone:
        cache.prefetch([missing])
    assert str(alone.value) == f"{missing.shown_url} does not exist (HTTP 404); check its name."


def test_prefetch_names_each_file_once(cache):
    forbidden = VerifiedFileCache(cache.root, read_only=[], offline=True)
    files = [RemoteFile(f"https://host/{name}", name, digest=SHA256) for name in ("a.h5", "b.h5")]
    with pytest.raises(OfflineError) as caught:
        forbidden.prefetch(files)
    assert "\n- a.h5 is not in" in str(caught.value)
    assert str(caught.value).count("a.h5") == 1


@posix_only
def test_ctrl_c_ends_a_prefetch(server, tmp_path):
    for name in ("a.h5", "big.h5"):
        server.fail(name, faults.stall, times=None)
    code = f"""
        import os, signal, threading
        from test_store import remote, BIG
        from intake_tcga.cache.store import VerifiedFileCache
        files = [remote(None, url={server.url("a.h5")!r}), remote(None, "big.h5", BIG, url={server.url("big.h5")!r})]
        threading.Timer(1, os.kill, (os.getpid(), signal.SIGINT)).start()
        try:
            VerifiedFileCache({str(tmp_path / "cache")!r}, read_only=[]).prefetch(files)
        except KeyboardInterrupt:
            print("interrupted")
    """
    done = subprocess.run(
        python(code), env=environment(), capture_output=True, text=True, check=False, timeout=25
    )
    assert done.stdout.strip() == "interrupted", done.stderr


def test_info_and_clear(server, cache):
    cache.fetch(remote(server))
    cache.fetch(remote(server, version="2.0"))
    cache.fetch(remote(server, "big.h5", BIG, version="2.0"))
    theirs = cache.root / "tcga" / "mirna" / "2.0" / "theirs.h5"
    theirs.write_text("not ours")
    entries = cache.info()
    assert [(entry.version, entry.name, entry.size) for entry in entries] == [
        ("1.0", "a.h5", SIZE),
        ("2.0", "a.h5", SIZE),
        ("2.0", "big.h5", len(BIG)),
    ]
    assert entries[0].digest == SHA256
    assert entries[0].url == server.url("a.h5")
    assert entries[0].collection == ("tcga", "mirna")
    assert entries[0].downloaded
    assert abs(entries[0].verified_at.timestamp() - time.time()) < 600
    damage(entries[0].path)
    assert cache.info()[0].verified_at is None
    time.sleep(0.06)  # of a file written a moment ago, nothing is kept
    assert [path.name for path in cache.clear(version="2.0", name="a.h5")] == ["a.h5"]
    assert len(cache.info()) == 2
    derived.keep(entries[0].path, "of the one that stays", 1, Signature.of(entries[0].path))
    derived.keep(entries[2].path, "a", 1, Signature.of(entries[2].path))
    derived.keep(entries[2].path, "b", 2, Signature.of(entries[2].path))
    kept = cache.root / ".intake-tcga" / "derived"
    assert len(list(kept.iterdir())) == 3
    assert len(cache.clear(version="2.0")) == 1
    assert derived.recall(entries[0].path, "of the one that stays") == 1
    assert len(list(kept.iterdir())) == 1
    assert len(cache.clear()) == 1
    assert not kept.exists()
    assert data_files(cache.root) == ["tcga/mirna/2.0/theirs.h5"]
    assert not (cache.root / "tcga" / "mirna" / "1.0").exists()
    assert cache.clear() == cache.info() == []


def test_clear_leaves_a_file_that_somebody_put_in_the_place_of_ours(server, cache):
    path = cache.fetch(remote(server))
    path.with_name("new").write_bytes(BODY)
    path.with_name("new").replace(path)
    assert cache.clear() == []
    assert path.exists()


def test_the_functions_use_the_default_cache(server, cache_dir):
    path = VerifiedFileCache().fetch(remote(server))
    assert [entry.path for entry in cache_info()] == [path]
    assert path.is_relative_to(cache_dir)
    assert clear_cache(version="other") == []
    assert clear_cache(name="a.h5") == [path]


def test_a_moved_cache_keeps_its_memory(server, tmp_path, monkeypatch):
    VerifiedFileCache(tmp_path / "old", read_only=[]).fetch(remote(server))
    (tmp_path / "old").rename(tmp_path / "new")
    monkeypatch.setattr(Digest, "of", lambda *_: pytest.fail("it was hashed"))
    moved = VerifiedFileCache(tmp_path / "new", read_only=[])
    assert moved.fetch(remote(server)).exists()
    assert [entry.path for entry in moved.info()] == moved.clear() == [moved.root / "tcga/mirna/1.0/a.h5"]


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"digest": 3}', "null", "\0"])
def test_damaged_stamps_are_forgotten(server, cache, text):
    path = cache.fetch(remote(server))
    stamps = list((cache.root / ".intake-tcga" / "stamps").rglob("*.json"))
    assert stamps
    for stamp in stamps:
        stamp.write_text(text)
    assert cache.fetch(remote(server)) == path
    assert len(server.requests) == 1


def test_a_cache_is_a_value(tmp_path):
    cache = VerifiedFileCache(
        tmp_path, read_only=[tmp_path / "a"], verify="always", budget=QUICK, progress=False
    )
    assert pickle.loads(pickle.dumps(cache)) == cache
    assert len({cache, pickle.loads(pickle.dumps(cache))}) == 1
    assert str(tmp_path) in repr(cache)
    with pytest.raises(OptionError, match="'never'"):
        VerifiedFileCache(verify="never")


def test_importing_the_cache_is_light():
    heavy = "fsspec", "aiohttp", "tqdm", "filelock", "asyncio", "xarray", "numpy", "pandas", "h5py"
    code = f"import sys, intake_tcga.cache.store; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run(python(code), env=environment(), capture_output=True, text=True, check=True)
    assert set(json.loads(done.stdout.replace("'", '"'))) <= {"asyncio"}


# ── the plan: no disk, no network ──


HERE = Signature(SIZE, 1, 1)
WANTED = RemoteFile("https://host/a.h5", "a.h5", size=SIZE, digest=SHA256)


def stamp(digest=SHA256, signature=HERE, file=WANTED):
    return Stamp.made_now(Path("/cache/a.h5"), signature, digest, file, downloaded=True)


@pytest.mark.parametrize(
    ("signature", "stamps", "file", "verify", "state"),
    [
        (None, [], WANTED, "stamp", State.ABSENT),
        (HERE, [], WANTED, "stamp", State.UNKNOWN),
        (HERE, [stamp()], WANTED, "stamp", State.TRUSTED),
        (HERE, [stamp()], WANTED, "always", State.UNKNOWN),
        (Signature(SIZE, 2, 1), [stamp()], WANTED, "stamp", State.UNKNOWN),
        (Signature(SIZE, 1, 2), [stamp()], WANTED, "stamp", State.UNKNOWN),
        (Signature(9, 1, 1), [stamp()], WANTED, "stamp", State.WRONG),
        (HERE, [stamp(sha256(b"other"))], WANTED, "stamp", State.FOREIGN),
        (HERE, [stamp(sha256(b"other")), stamp()], WANTED, "stamp", State.TRUSTED),
        (HERE, [stamp(Digest("md5", "0" * 32))], WANTED, "stamp", State.UNKNOWN),
        (Signature(9, 1, 1), [stamp(sha256(b"x"), Signature(9, 1, 1))], WANTED, "stamp", State.FOREIGN),
        (HERE, [], RemoteFile("https://host/a.h5", "a.h5"), "stamp", State.WRONG),
        (HERE, [stamp()], RemoteFile("https://host/a.h5", "a.h5"), "stamp", State.TRUSTED),
        (HERE, [stamp()], RemoteFile("https://other/a.h5", "a.h5"), "stamp", State.FOREIGN),
        (Signature(SIZE, 2, 1), [stamp()], RemoteFile("https://host/a.h5", "a.h5"), "stamp", State.UNKNOWN),
    ],
)
def test_judge(signature, stamps, file, verify, state):
    assert judge(signature, stamps, file, verify).state is state


def places(*states, read_only=0):
    return [
        Place(
            Path(f"/{n}"),
            n >= read_only,
            Judgement(state, SHA256, "damaged" if state is State.WRONG else "", HERE),
        )
        for n, state in enumerate(states)
    ]


ABSENT, TRUSTED, UNKNOWN, WRONG, FOREIGN = State
FIRST, SECOND = Path("/0"), Path("/1")


@pytest.mark.parametrize(
    ("states", "read_only", "step"),
    [
        ([ABSENT, ABSENT], 0, Download(FIRST, wrong=None, replace=False)),
        ([TRUSTED, ABSENT], 0, Use(FIRST)),
        ([UNKNOWN, TRUSTED], 0, Hash(FIRST, SHA256)),
        ([WRONG, TRUSTED], 0, Use(SECOND)),
        ([WRONG, ABSENT], 0, Download(FIRST, wrong=HERE, replace=True)),
        ([FOREIGN, ABSENT], 0, Download(SECOND, wrong=None, replace=False)),
        ([WRONG, ABSENT], 1, Download(SECOND, wrong=None, replace=False)),
        ([TRUSTED, ABSENT], 1, Use(FIRST)),
    ],
)
def test_plan(states, read_only, step):
    assert plan(places(*states, read_only=read_only), reachable=True) == step


def test_plan_offline_and_forced():
    assert plan(places(ABSENT, WRONG), reachable=False) == Refuse((f"{SECOND}: damaged",))
    assert plan(places(TRUSTED), reachable=False) == Use(FIRST)
    assert plan(places(TRUSTED), reachable=False, force=True) == Refuse(())
    assert plan(places(TRUSTED), reachable=True, force=True) == Download(FIRST, wrong=None, replace=True)
    assert plan(places(WRONG), reachable=True, force=True) == Download(FIRST, wrong=None, replace=True)


def test_folders_as_they_may_be_given(tmp_path, monkeypatch):
    assert VerifiedFileCache(tmp_path, read_only=str(tmp_path / "shared")).read_only == (tmp_path / "shared",)
    assert VerifiedFileCache(tmp_path, read_only=tmp_path / "shared").read_only == (tmp_path / "shared",)
    with pytest.raises(OptionError, match="~nobody-of-that-name/x names a user"):
        VerifiedFileCache("~nobody-of-that-name/x")
