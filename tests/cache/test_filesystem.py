"""``tcgacache::`` as fsspec's users meet it."""

import hashlib
import io
import itertools
import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import faulty_server as faults
import fsspec
import pytest
from faulty_server import FaultyServer
from s3_server import s3_server

from intake_tcga.cache.filesystem import VerifiedCacheFileSystem
from intake_tcga.cache.store import VerifiedFileCache
from intake_tcga.digest import Digest
from intake_tcga.errors import IntegrityError, OfflineError, OptionError, RemoteNotFoundError
from intake_tcga.remote import RemoteFile

BODY = bytes(itertools.islice(itertools.cycle(range(251)), 300_000))
DIGEST = f"sha256:{hashlib.sha256(BODY).hexdigest()}"


@pytest.fixture(autouse=True)
def _registered():
    """As the entry point does where the package is installed."""
    fsspec.register_implementation("tcgacache", VerifiedCacheFileSystem, clobber=True)


@pytest.fixture
def server():
    with FaultyServer({"folder/a.h5": BODY}) as server:
        yield server


@pytest.fixture
def options(tmp_path):
    return {"digest": DIGEST, "size": len(BODY), "cache_storage": str(tmp_path / "cache")}


def chained(server, name="folder/a.h5"):
    return f"tcgacache::{server.url(name)}"


def test_open_local(server, options, tmp_path):
    path = Path(fsspec.open_local(chained(server), tcgacache=options))
    assert path.read_bytes() == BODY
    assert path.name == "a.h5"
    host = f"127.0.0.1_{server.port}"
    assert path == tmp_path / "cache" / "files" / host / hashlib.sha256(BODY).hexdigest()[:12] / "a.h5"
    assert fsspec.open_local(chained(server), tcgacache=options) == str(path)
    assert len(server.requests) == 1


def test_open_and_its_relatives(server, options):
    with fsspec.open(chained(server), tcgacache=options) as file:
        assert file.read() == BODY
    with fsspec.open(chained(server), "rt", encoding="latin-1", tcgacache=options) as file:
        assert file.read(10) == BODY[:10].decode("latin-1")
    fs, path = fsspec.url_to_fs(chained(server), tcgacache=options)
    assert isinstance(fs, VerifiedCacheFileSystem)
    assert fs.cat_file(path) == fs.cat(path) == BODY
    assert fs.cat_file(path, 1000, 2000) == BODY[1000:2000]
    assert fs.cat_ranges([path, path], [0, 5], [3, 8]) == [BODY[:3], BODY[5:8]]
    assert fs.info(path) == {"name": path, "size": len(BODY), "type": "file"}
    assert fs.exists(path)
    assert fs.isfile(path)
    assert fs.size(path) == len(BODY)
    assert fs.ukey(path) == DIGEST
    assert fs.head(path, 3) == BODY[:3]
    assert len(server.requests) == 1


def test_get(server, options, tmp_path):
    fs, path = fsspec.url_to_fs(chained(server), tcgacache=options)
    fs.get(path, str(tmp_path / "copy.h5"))
    assert (tmp_path / "copy.h5").read_bytes() == BODY


def test_wrong_bytes_are_never_seen(server, options):
    server.fail("folder/a.h5", faults.wrong_byte, times=None)
    for _ in range(2):
        with pytest.raises(IntegrityError, match=DIGEST):
            fsspec.open_local(chained(server), tcgacache=options)
        with pytest.raises(IntegrityError), fsspec.open(chained(server), tcgacache=options) as file:
            file.read()
    server._faults.clear()
    assert Path(fsspec.open_local(chained(server), tcgacache=options)).read_bytes() == BODY


def test_options_reach_the_store(server, options, tmp_path):
    named = options | {"name": "BRCA.h5", "version": "1.0"}
    path = Path(fsspec.open_local(chained(server), tcgacache=named))
    assert path.parts[-2:] == ("1.0", "BRCA.h5")
    offline = options | {"offline": True, "version": "2.0"}
    with pytest.raises(OfflineError):
        fsspec.open_local(chained(server), tcgacache=offline)
    with pytest.raises(OptionError, match="path separator"):
        fsspec.open_local(chained(server), tcgacache=options | {"name": "../up.h5"})
    with pytest.raises(OptionError, match="64"):
        fsspec.open_local(chained(server), tcgacache=options | {"digest": "sha256:0"})
    shared = options | {"cache_storage": [str(tmp_path / "cache"), str(tmp_path / "own")], "version": "1.0"}
    again = fsspec.open_local(chained(server), tcgacache=shared | {"name": "BRCA.h5"})
    assert Path(again) == path
    assert len(server.requests) == 1


def test_an_unknown_option_is_refused(server, options):
    wrong = {"digst": DIGEST, "cache_storage": options["cache_storage"]}
    with pytest.raises(
        OptionError, match=r"'digst'; did you mean 'digest'\? .* digest, size, name, .*progress"
    ):
        fsspec.open_local(chained(server), tcgacache=wrong)
    assert not server.requests
    of_fsspec = {
        "skip_instance_cache": True,
        "use_listings_cache": False,
        "listings_expiry_time": 1,
        "loop": None,
    }
    assert fsspec.open_local(chained(server), tcgacache=options | of_fsspec)
    assert fsspec.open_local(chained(server), tcgacache=options, s3={"anon": True}, http={})


@pytest.mark.parametrize(
    "wrong",
    [
        {"digest": 5},
        {"size": "x"},
        {"size": 1.5},
        {"size": True},
        {"name": 7},
        {"version": 1.0},
        {"cache_storage": 5},
        {"cache_storage": ["shared", 5]},
        {"cache_storage": {"folder": "x"}},
    ],
)
def test_an_option_of_another_type_is_refused(server, options, wrong):
    with pytest.raises(OptionError, match=f"^{next(iter(wrong))}="):
        fsspec.open_local(chained(server), tcgacache=options | wrong)
    assert not server.requests


def test_options_of_the_protocol_underneath(server, options):
    fsspec.open_local(chained(server), tcgacache=options, http={"headers": {"X-Key": "k"}})
    assert server.requests[0].headers["x-key"] == "k"


def test_without_digest_or_size(server, tmp_path):
    bare = {"cache_storage": str(tmp_path / "cache")}
    path = fsspec.open_local(chained(server), tcgacache=bare)
    assert Path(path).read_bytes() == BODY
    server.bodies["folder/other"] = b"other"
    assert Path(fsspec.open_local(chained(server, "folder/other"), tcgacache=bare)).read_bytes() == b"other"
    (asked,) = fsspec.open_local(chained(server) + "?x=1", tcgacache=bare)  # fsspec takes ? for a pattern
    assert Path(asked) != Path(path)
    fs, name = fsspec.url_to_fs(chained(server), tcgacache=bare)
    assert fs.info(name)["size"] == len(BODY)
    missing = server.url("folder/missing")
    assert not fs.exists(missing)
    with pytest.raises(RemoteNotFoundError):
        fsspec.open_local(chained(server, "folder/missing"), tcgacache=bare)


def test_before_the_first_download_the_filesystem_underneath_is_asked(server, tmp_path):
    fs, path = fsspec.url_to_fs(chained(server), tcgacache={"cache_storage": str(tmp_path / "cache")})
    before = fs.info(path)
    assert before["size"] == len(BODY)
    assert fs.exists(path)
    assert not VerifiedFileCache(tmp_path / "cache").info()
    fs.fetch(path)
    assert fs.info(path) == before, "whoever compares must not take the local copy for another file"


def test_listing_goes_to_the_filesystem_underneath(tmp_path, options):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.h5").write_bytes(BODY)
    fs, path = fsspec.url_to_fs(f"tcgacache::file://{tmp_path / 'data'}", tcgacache=options)
    assert [Path(name).name for name in fs.ls(path, detail=False)] == ["a.h5"]


@pytest.mark.parametrize("prefix", ["file://", "local://", "/"])
def test_local_files(tmp_path, options, prefix):
    (tmp_path / "a.h5").write_bytes(BODY)
    path = fsspec.open_local(
        f"tcgacache::{prefix}{str(tmp_path / 'a.h5').lstrip('/') if prefix == '/' else tmp_path / 'a.h5'}",
        tcgacache=options | {"offline": True},
    )
    assert Path(path).read_bytes() == BODY
    assert Path(path) != tmp_path / "a.h5"


def test_a_member_of_an_archive_behind_http(tmp_path, options):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("inside.h5", BODY)
    with FaultyServer({"all.zip": packed.getvalue()}) as server:
        path = fsspec.open_local(f"tcgacache::zip://inside.h5::{server.url('all.zip')}", tcgacache=options)
        assert Path(path).read_bytes() == BODY
        assert Path(path).name == "inside.h5"


def test_an_archive_in_the_cache(tmp_path):
    """In the middle of a chain: the archive itself is what is verified and kept."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("inside.h5", BODY)
    archive = packed.getvalue()
    options = {
        "digest": f"sha256:{hashlib.sha256(archive).hexdigest()}",
        "cache_storage": str(tmp_path / "cache"),
    }
    with FaultyServer({"all.zip": archive}) as server:
        for _ in range(2):
            with fsspec.open(
                f"zip://inside.h5::tcgacache::{server.url('all.zip')}", tcgacache=options
            ) as file:
                assert file.read() == BODY
        assert len(server.requests) == 1
        assert [file.name for file in VerifiedFileCache(tmp_path / "cache").info()] == ["all.zip"]


def test_over_fsspecs_own_cache(server, tmp_path, options):
    url = f"tcgacache::simplecache::{server.url('folder/a.h5')}"
    simple = {"cache_storage": str(tmp_path / "simple")}
    assert Path(fsspec.open_local(url, tcgacache=options, simplecache=simple)).read_bytes() == BODY


def test_it_pickles(server, options):
    fs, path = fsspec.url_to_fs(chained(server), tcgacache=options)
    again = pickle.loads(pickle.dumps(fs))
    assert again.cat_file(path) == BODY
    opened = pickle.loads(pickle.dumps(fsspec.open(chained(server), tcgacache=options)))
    with opened as file:
        assert file.read() == BODY
    assert type(fs).from_json(fs.to_json()) == fs


def test_xarray_opens_it(tmp_path, options):
    import h5py
    import xarray

    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = [1.0, 2.0]
    body = (tmp_path / "a.h5").read_bytes()
    digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
    with FaultyServer({"a.h5": body}) as server:
        url, own = f"tcgacache::{server.url('a.h5')}", options | {"digest": digest, "size": len(body)}
        path = fsspec.open_local(url, tcgacache=own)
        with h5py.File(path) as file:
            assert list(file["x"]) == [1.0, 2.0]
        with fsspec.open(url, tcgacache=own) as remote, h5py.File(remote) as file:
            assert xarray.DataArray(file["x"][:]).sum() == 3.0


def test_a_fork_and_a_new_interpreter_use_it(server, options):
    code = (
        "import fsspec; from intake_tcga.cache.filesystem import VerifiedCacheFileSystem as kind\n"
        "fsspec.register_implementation('tcgacache', kind, clobber=True)\n"
        f"print(fsspec.open_local({chained(server)!r}, tcgacache={options!r}))"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True
    )
    assert Path(done.stdout.strip()).read_bytes() == BODY


def test_it_is_read_only(server, options):
    with pytest.raises(OptionError, match="'wb'"), fsspec.open(chained(server), "wb", tcgacache=options):
        pass


def test_without_a_url_underneath():
    with pytest.raises(OptionError, match="chain it"):
        VerifiedCacheFileSystem()


def test_it_is_an_entry_point():
    from importlib.metadata import entry_points

    found = [point.value for point in entry_points(group="fsspec.specs", name="tcgacache")]
    if not found:
        pytest.skip("the package is not installed")
    assert found == ["intake_tcga.cache.filesystem:VerifiedCacheFileSystem"]


@pytest.fixture
def s3():
    """A real S3 server on this machine, with our file in it."""
    with s3_server("bucket") as options:
        fsspec.filesystem("s3", **options).pipe("bucket/folder/a.h5", BODY)
        yield options


def test_s3(s3, options, tmp_path):
    from intake_tcga.digest import Digest
    from intake_tcga.remote import RemoteFile

    url = "s3://bucket/folder/a.h5"
    path = fsspec.open_local(f"tcgacache::{url}", tcgacache=options, s3=s3)
    assert Path(path).read_bytes() == BODY
    assert Path(path).is_relative_to(tmp_path / "cache" / "files" / "bucket")
    cache = VerifiedFileCache(tmp_path / "other", read_only=[])
    for keyed in (s3, {"s3": s3}, {"s3": s3, "https": {}}):
        file = RemoteFile(url, "a.h5", version=str(len(keyed)), size=len(BODY), digest=Digest.parse(DIGEST))
        assert cache.fetch(file, storage_options=keyed).read_bytes() == BODY
    with pytest.raises(RemoteNotFoundError, match="does not exist") as caught:
        cache.fetch(RemoteFile("s3://bucket/none.h5", "none.h5"), storage_options=s3)
    assert "s3cr3t" not in str(caught.value)
    wrong = RemoteFile(url, "a.h5", version="wrong", digest=Digest("sha256", "0" * 64))
    with pytest.raises(IntegrityError, match=DIGEST):
        cache.fetch(wrong, storage_options=s3)
    with fsspec.open(
        f"filecache::{url}", s3=s3, filecache={"cache_storage": str(tmp_path / "other")}
    ) as file:
        assert Path(file.name).name == "a.h5"
        assert file.read() == BODY


def test_offline_opens_no_socket(server, options):
    fs = fsspec.filesystem(
        "tcgacache", target_protocol="http", cache_storage=options["cache_storage"], offline=True
    )
    assert not fs.exists(server.url("folder/a.h5"))
    for ask in (fs.info, fs.ls):
        with pytest.raises(OfflineError, match="cannot be asked for in offline mode"):
            ask(server.url("folder/a.h5"))
    assert server.requests == []


def test_a_path_as_the_folder(server, options, tmp_path):
    path = fsspec.open_local(chained(server), tcgacache=options | {"cache_storage": tmp_path / "cache"})
    assert Path(path).is_relative_to(tmp_path / "cache")


@pytest.mark.parametrize("through", ["tcgacache", "filecache"])
def test_force_goes_through_a_chain(server, tmp_path, through):
    cache = VerifiedFileCache(tmp_path / "store", read_only=[])
    file = RemoteFile(f"{through}::{server.url('folder/a.h5')}", "a.h5", digest=Digest.parse(DIGEST))
    options = {through: {"cache_storage": str(tmp_path / "chain")}}
    for _ in range(2):
        cache.fetch(file, storage_options=options)
    before = len(server.requests)
    assert cache.fetch(file, storage_options=options, force=True).read_bytes() == BODY
    assert len(server.requests) > before
    offline = cache.but(offline=True)
    assert offline.fetch(file, storage_options=options, force=True).read_bytes() == BODY
