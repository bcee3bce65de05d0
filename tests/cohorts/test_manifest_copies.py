import json
import os
import threading
import traceback
import warnings
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest
from manifests import as_bytes, mirna_entry, mirna_manifest, rnaseq_entry, rnaseq_manifest
from s3_server import s3_server

from intake_tcga.cohorts import manifest_copies
from intake_tcga.cohorts.bundles import BUNDLES
from intake_tcga.cohorts.manifest_copies import load_manifest
from intake_tcga.cohorts.manifest_json import LARGEST_BODY
from intake_tcga.errors import (
    AccessDeniedError,
    IntegrityError,
    LastCopyWarning,
    ManifestError,
    OfflineError,
    OptionError,
    RemoteNotFoundError,
    TransferError,
)
from intake_tcga.transfer import Budget

URL = "https://me:secret@host/v1/manifest.json?sig=token"


class Server:
    """Stands for all servers: what it answers, and what it was asked for."""

    def __init__(self):
        self.answer = as_bytes(mirna_manifest())
        self.asked = []
        self.budgets = []

    def read_small(self, url, *, limit, storage_options=None, offline=False, budget=None):
        assert not offline or manifest_copies.is_local(url), "a socket would have been opened in offline mode"
        self.asked.append((url, storage_options))
        self.budgets.append(budget)
        if isinstance(self.answer, Exception):
            raise self.answer
        if len(self.answer) > limit:
            raise IntegrityError("too long")
        return self.answer


@pytest.fixture
def server(monkeypatch):
    server = Server()
    monkeypatch.setattr(manifest_copies, "read_small", server.read_small)
    return server


@pytest.fixture
def cache(tmp_path):
    return SimpleNamespace(root=tmp_path / "cache", read_only=(), offline=False, budget=Budget())


@pytest.fixture(autouse=True)
def _no_unexpected_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def offline(cache):
    return SimpleNamespace(**{**vars(cache), "offline": True})


# -- which manifest ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["mirna", "rnaseq"])
def test_a_bundle_is_known_by_name_and_by_url(server, cache, name):
    server.answer = as_bytes(mirna_manifest() if name == "mirna" else rnaseq_manifest())
    assert load_manifest(name, cache=cache).modality == name
    assert load_manifest(BUNDLES[name].url, cache=cache, modality=name).url == BUNDLES[name].url
    assert [url for url, _ in server.asked] == [BUNDLES[name].url]


def test_a_bundles_modality_is_checked_before_and_after_the_request(server, cache):
    with pytest.raises(OptionError, match="'mirna' is of modality 'mirna', not 'rnaseq'"):
        load_manifest("mirna", modality="rnaseq", cache=cache)
    assert server.asked == []
    server.answer = as_bytes(rnaseq_manifest())
    with pytest.raises(ManifestError, match="modality: is 'rnaseq', but 'mirna' was asked for"):
        load_manifest("mirna", cache=cache)
    with pytest.raises(ManifestError, match="'mirna' was asked for"):
        load_manifest(URL, modality="mirna", cache=cache)
    assert not cache.root.exists()


@pytest.mark.parametrize(
    ("name", "hint"), [("mrna", "did you mean 'mirna'"), ("protein", "Give one of mirna, rnaseq"), ("", "")]
)
def test_a_wrong_bundle_name_lists_the_right_ones(server, cache, name, hint):
    with pytest.raises(OptionError, match="mirna, rnaseq, or the URL of a manifest") as caught:
        load_manifest(name, cache=cache)
    assert hint in str(caught.value)
    assert server.asked == []


def test_storage_options_reach_the_request(server, cache):
    load_manifest(URL, cache=cache, storage_options={"https": {"headers": {"a": "b"}}})
    assert server.asked == [(URL, {"https": {"headers": {"a": "b"}}})]


# -- default bundles: the last copy --------------------------------------------------------------------------------


def test_a_published_manifest_is_asked_for_once(server, cache):
    first = load_manifest("mirna", cache=cache)
    server.answer = TransferError("down")
    assert load_manifest("mirna", cache=cache) == first
    assert load_manifest("mirna", cache=offline(cache)) == first
    assert len(server.asked) == 1


def test_refresh_asks_again(server, cache):
    load_manifest("mirna", cache=cache)
    server.answer = as_bytes(mirna_manifest(version="2.0"))
    assert load_manifest("mirna", cache=cache).version == "1.0"
    assert load_manifest("mirna", cache=cache, refresh=True).version == "2.0"
    assert load_manifest("mirna", cache=cache).version == "2.0"
    assert len(server.asked) == 2


def test_refresh_offline_is_refused(server, cache):
    load_manifest("mirna", cache=cache)
    with pytest.raises(OfflineError, match="refresh=True"):
        load_manifest("mirna", cache=offline(cache), refresh=True)


def test_a_refresh_that_fails_says_so_and_uses_the_copy(server, cache):
    load_manifest("mirna", cache=cache)
    server.answer = TransferError("down")
    with pytest.warns(LastCopyWarning, match="cannot be reached"):
        assert load_manifest("mirna", cache=cache, refresh=True).version == "1.0"


def test_patience_is_short_only_where_there_is_a_copy(server, cache):
    load_manifest(URL, cache=cache)
    load_manifest(URL, cache=cache)
    cache.budget = Budget(attempts=1, deadline=5)
    load_manifest(URL, cache=cache)
    assert [(budget.attempts, budget.deadline) for budget in server.budgets] == [(5, None), (3, 30), (1, 5)]


def test_syng_bts_own_cache_serves_a_default_bundle(server, cache, tmp_path):
    folder = tmp_path / "syng-bts/tcga/mirna"
    (folder / "1.0").mkdir(parents=True)
    (folder / "1.0/manifest.json").write_bytes(as_bytes(mirna_manifest()))
    (folder / ".url_index.json").write_text(json.dumps({BUNDLES["mirna"].url: "1.0"}))
    cache.read_only = (tmp_path / "syng-bts",)
    assert load_manifest("mirna", cache=offline(cache)).version == "1.0"
    assert server.asked == []


def test_a_damaged_copy_is_asked_for_again(server, cache):
    load_manifest("mirna", cache=cache)
    for path in cache.root.rglob("*.json"):
        path.write_bytes(b"{")
    assert load_manifest("mirna", cache=cache).version == "1.0"
    assert len(server.asked) == 2


# -- custom URLs: asked each time ----------------------------------------------------------------------------------


def test_a_custom_url_is_asked_each_time(server, cache):
    assert load_manifest(URL, cache=cache).version == "1.0"
    server.answer = as_bytes(mirna_manifest(version="2.0"))
    assert load_manifest(URL, cache=cache).version == "2.0"
    assert len(server.asked) == 2


def test_its_last_copy_is_used_with_a_warning_when_it_cannot_be_reached(server, cache):
    load_manifest(URL, cache=cache)
    for path in cache.root.rglob("*.json"):
        os.utime(path, (path.stat().st_mtime - 2 * 3600 - 60,) * 2)
    server.answer = TransferError("host cannot be reached (no route)")
    with pytest.warns(LastCopyWarning) as caught:
        assert load_manifest(URL, cache=cache).version == "1.0"
    message = str(caught[0].message)
    assert "https://host/v1/manifest.json" in message
    assert "version 1.0, 2 hours old" in message
    assert "no route" in message
    assert "secret" not in message
    assert "token" not in message


def test_without_a_copy_the_reason_is_the_error(server, cache):
    server.answer = TransferError("no route")
    with pytest.raises(TransferError, match="no route"):
        load_manifest(URL, cache=cache)


def test_a_manifest_that_is_gone_is_an_error_whatever_is_kept(server, cache):
    load_manifest(URL, cache=cache)
    server.answer = RemoteNotFoundError("does not exist (HTTP 404)")
    with pytest.raises(RemoteNotFoundError, match="404"):
        load_manifest(URL, cache=cache)


@pytest.mark.parametrize("answer", [b"<!DOCTYPE html>Sign in", b"{}", b" " * (LARGEST_BODY + 1)])
def test_an_invalid_manifest_is_an_error_that_names_the_copy(server, cache, answer):
    load_manifest(URL, cache=cache)
    server.answer = answer
    with pytest.raises(ManifestError, match=r"last copy \(version 1.0, a moment old\).*offline=True uses it"):
        load_manifest(URL, cache=cache)
    assert load_manifest(URL, cache=offline(cache)).version == "1.0"


def test_an_invalid_first_manifest_names_no_copy(server, cache):
    server.answer = b"{}"
    with pytest.raises(ManifestError) as caught:
        load_manifest(URL, cache=cache)
    assert "copy" not in str(caught.value)
    assert not cache.root.exists()


def test_offline_without_a_copy_names_the_next_step(server, cache):
    with pytest.raises(OfflineError, match="open it once with network.*INTAKE_TCGA_CACHE_DIR") as caught:
        load_manifest(URL, cache=offline(cache))
    assert "secret" not in str(caught.value)
    assert str(cache.root) in str(caught.value)
    assert server.asked == []


def test_an_unwritable_cache_does_not_break_a_load(server, cache, tmp_path):
    cache.root.parent.mkdir(exist_ok=True)
    cache.root.write_text("a file in the way")
    with pytest.warns(
        UserWarning, match="No copy of the manifest https://host.*INTAKE_TCGA_CACHE_DIR"
    ) as caught:
        assert load_manifest(URL, cache=cache).version == "1.0"
    assert "secret" not in str(caught[0].message)
    local = tmp_path / "manifest.json"
    local.write_bytes(server.answer)
    assert load_manifest(local, cache=cache).version == "1.0"  # without a warning


# -- versions ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("url", ["mirna", URL])
def test_an_older_version_is_pinned_from_its_copy(server, cache, url):
    for version in ("1.0", "2.0"):
        server.answer = as_bytes(
            mirna_manifest(mirna_entry(file_size_bytes=int(version[0])), version=version)
        )
        load_manifest(url, cache=cache, refresh=True)
    asked = len(server.asked)
    old = load_manifest(url, cache=offline(cache), version="1.0")
    assert (old.version, old.cohorts[0].size) == ("1.0", 1)
    assert old.remote_file(old.cohorts[0]).folder == "tcga/mirna/1.0"
    assert load_manifest(url, cache=cache, version="2.0").cohorts[0].size == 2
    assert len(server.asked) == asked


def test_a_version_that_is_served_now_is_fetched(server, cache):
    assert load_manifest("mirna", cache=cache, version="1.0").version == "1.0"
    assert len(server.asked) == 1


def test_an_unknown_version_lists_those_there_are(server, cache):
    load_manifest("mirna", cache=cache)
    server.answer = as_bytes(mirna_manifest(version="2.0"))
    with pytest.raises(OptionError, match=r"Version '7' .* there are 1.0, 2.0 \(the server has no other now"):
        load_manifest("mirna", cache=cache, version="7")
    with pytest.raises(OptionError, match=r"Version '7' .* there are 1.0, 2.0 \(offline"):
        load_manifest("mirna", cache=offline(cache), version="7")
    server.answer = TransferError("no route")
    with pytest.raises(OptionError, match=r"Version '7' .* there are 1.0, 2.0 \(the server cannot.*no route"):
        load_manifest("mirna", cache=cache, version="7")
    with pytest.raises(OfflineError, match="no copy"):
        load_manifest(URL, cache=offline(cache), version="7")
    with pytest.raises(TransferError, match="no route"):
        load_manifest(URL, cache=cache, version="7")


def test_pinning_a_hostile_version_reads_nothing_outside(server, cache):
    load_manifest("mirna", cache=cache)
    with pytest.raises(OptionError, match="'../../x'"):
        load_manifest("mirna", cache=offline(cache), version="../../x")


# -- with the real transfer ----------------------------------------------------------------------------------------


@pytest.fixture
def web():
    """A server on this machine, whose `status` and `body` a test sets."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.asked.append(self.path)
            self.send_response(self.server.status)
            self.send_header("Content-Length", str(len(self.server.body)))
            self.end_headers()
            self.wfile.write(self.server.body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.status, server.body, server.asked = 200, as_bytes(mirna_manifest()), []
    server.url = f"http://127.0.0.1:{server.server_port}/v1/manifest.json"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_real_server(web, cache):
    manifest = load_manifest(f"{web.url}?sig=token", cache=cache)
    assert manifest.find("BRCA").url == f"{web.url.removesuffix('manifest.json')}BRCA_status.h5?sig=token"
    assert web.asked == ["/v1/manifest.json?sig=token"]
    web.status = 403
    with pytest.raises(AccessDeniedError, match="refused the credentials.*HTTP 403.*storage_options"):
        load_manifest(f"{web.url}?sig=renewed", cache=cache)
    web.status, cache.budget = 503, Budget(attempts=1)
    with pytest.warns(LastCopyWarning, match="HTTP 503"):
        assert load_manifest(f"{web.url}?sig=renewed", cache=cache).version == "1.0"
    web.status = 404
    with pytest.raises(RemoteNotFoundError):
        load_manifest(web.url, cache=cache)
    web.status, web.body = 200, b"<html>Sign in</html>"
    with pytest.raises(ManifestError, match="web page"):
        load_manifest(web.url, cache=cache)
    web.body = b" " * (LARGEST_BODY + 1)
    with pytest.raises(ManifestError, match="16,777,216"):
        load_manifest(web.url, cache=cache)


@pytest.mark.parametrize("status", [401, 403])
def test_refused_credentials_are_no_outage(web, cache, status):
    load_manifest(web.url, cache=cache)
    web.status = status
    with pytest.raises(AccessDeniedError, match=f"refused the credentials.*HTTP {status}.*storage_options"):
        load_manifest(web.url, cache=cache)
    assert len(web.asked) == 2
    with pytest.raises(OptionError, match="refused the credentials"):
        load_manifest(web.url, cache=cache, version="2.0")


@pytest.mark.parametrize(
    "wrong",
    [
        {"anon": "s3cr3t"},
        {"heders": {"Authorization": "s3cr3t"}},
        {"headers": {"Authorization": "s3cr3t\r\n"}},
        {"headers": "s3cr3t"},
        {"headers": {"Authorization": {"s3cr3t": 1}}},
        {"client_kwargs": {"hedders": "s3cr3t"}},
        {"client_kwargs": "s3cr3t"},
        {"block_size": 5, "encoded": 1, "get_client": "s3cr3t"},
    ],
)
def test_wrong_storage_options_are_neither_retried_nor_an_outage(web, cache, wrong):
    load_manifest(web.url, cache=cache)
    cache.budget = Budget(backoff=1000, longest_wait=1000)  # a retry would not end
    with pytest.raises(OptionError, match=next(iter(wrong))) as caught:
        load_manifest(web.url, cache=cache, storage_options=wrong)
    assert "s3cr3t" not in "".join(traceback.format_exception(caught.value))
    assert len(web.asked) == 1


def test_a_server_without_an_index_of_its_folder(web, cache, tmp_path):
    options = {"filecache": {"cache_storage": str(tmp_path / "theirs")}}
    for _ in range(2):
        assert load_manifest(f"filecache::{web.url}", cache=cache, storage_options=options).version == "1.0"
    assert set(web.asked) == {"/v1/manifest.json"}


def test_a_stopped_server(web, cache):
    load_manifest(web.url, cache=cache)
    web.shutdown()
    web.server_close()
    cache.budget = Budget(attempts=1)
    with pytest.warns(LastCopyWarning, match="cannot be reached"):
        assert load_manifest(web.url, cache=cache).version == "1.0"


def test_one_folder_serves_manifests_and_files_of_several_versions(cache_dir, web):
    from intake_tcga.cache.store import VerifiedFileCache

    real = VerifiedFileCache(progress=False)
    for version in ("1.0", "2.0"):
        content = f"content of version {version}".encode()
        web.body = as_bytes(mirna_manifest(mirna_entry("OV_x", content), version=version))
        manifest = load_manifest(web.url, cache=real)
        web.body = content
        path = real.fetch(manifest.remote_file(manifest.find("OV")))
        assert path == cache_dir / "tcga" / "mirna" / version / "OV_x.h5"
    offline = VerifiedFileCache(progress=False, offline=True)
    for version in ("1.0", "2.0"):
        manifest = load_manifest(web.url, cache=offline, version=version)
        path = offline.fetch(manifest.remote_file(manifest.find("OV")))
        assert path.read_bytes() == f"content of version {version}".encode()


@pytest.mark.parametrize("chain", ["", "simplecache::"])
def test_a_path_and_file_url_need_no_socket(cache, tmp_path, chain, monkeypatch):
    folder = tmp_path / "a mirror"
    folder.mkdir()
    path = folder / "manifest.json"
    path.write_bytes(as_bytes(rnaseq_manifest(rnaseq_entry("SKCM"))))
    for url in (f"{chain}{path}", f"{chain}file://{path}"):
        manifest = load_manifest(url, cache=offline(cache))
        assert manifest.find("SKCM").url == url.replace("manifest.json", "SKCM.h5")
    assert load_manifest(path, cache=offline(cache)).modality == "rnaseq"
    assert load_manifest(path.as_uri(), cache=offline(cache)).find("SKCM").url == f"file://{folder}/SKCM.h5"
    monkeypatch.chdir(folder)
    assert load_manifest("manifest.json", cache=offline(cache)).find("SKCM").url == str(folder / "SKCM.h5")
    with pytest.raises(RemoteNotFoundError):
        load_manifest(f"{folder}/absent.json", cache=cache)


def test_a_memory_url(cache):
    import fsspec

    fsspec.filesystem("memory").pipe("/manifest-test/manifest.json", as_bytes(mirna_manifest()))
    try:
        manifest = load_manifest("memory://manifest-test/manifest.json", cache=offline(cache))
    finally:
        fsspec.filesystem("memory").rm("/manifest-test", recursive=True)
    assert manifest.find("BRCA").url == "memory://manifest-test/BRCA_status.h5"


@pytest.fixture(scope="module")
def s3():
    with s3_server("cohorts") as options:
        yield options


def test_a_bucket(s3, cache):
    import s3fs

    fs = s3fs.S3FileSystem(**s3, skip_instance_cache=True)
    fs.pipe("cohorts/v 1/manifest.json", as_bytes(mirna_manifest(mirna_entry("OV_x"))))
    url = "s3://cohorts/v 1/manifest.json"
    manifest = load_manifest(url, cache=cache, storage_options=s3)
    assert manifest.find("OV").url == "s3://cohorts/v 1/OV_x.h5"
    assert load_manifest(url, cache=cache, storage_options={"s3": s3}) == manifest
    with pytest.raises(RemoteNotFoundError):
        load_manifest("s3://cohorts/absent.json", cache=cache, storage_options=s3)
    assert load_manifest(url, cache=offline(cache)) == manifest
