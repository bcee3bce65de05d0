"""Opening by name, path and URL."""

import hashlib
import logging
import os
import pickle
from dataclasses import replace

import h5py
import numpy as np
import pytest
from archs4_files import naive_matrix, write_archs4
from faulty_server import FaultyServer, not_found, status, wrong_byte

from intake_tcga.archs4 import access
from intake_tcga.archs4.access import download_archs4, list_archs4, open_archs4
from intake_tcga.archs4.releases import CITATION, KNOWN, LICENCE, Release
from intake_tcga.cache.store import VerifiedFileCache
from intake_tcga.digest import Digest
from intake_tcga.errors import (
    FileFormatError,
    IntegrityError,
    MissingFileError,
    NameNotFoundError,
    OfflineError,
    OptionError,
    RemoteNotFoundError,
    TransferError,
)
from intake_tcga.tables import human_size


@pytest.fixture
def path(tmp_path):
    return write_archs4(tmp_path / "original.h5", n_samples=30, n_features=40)


@pytest.fixture
def server(path):
    body = path.read_bytes()
    with FaultyServer({"first.h5": body, "second.h5": body}) as server:
        yield server


@pytest.fixture
def cache(tmp_path):
    return VerifiedFileCache(tmp_path / "cache", progress=False)


@pytest.fixture
def published(server, path, monkeypatch):
    """Publish the file as a release and as the latest one, on this machine."""
    body = path.read_bytes()
    sha1 = hashlib.sha1(body).hexdigest()
    places = {"url": server.url("first.h5"), "fallback": server.url("second.h5")}
    releases = (
        Release(
            "human",
            "gene",
            "2.5",
            **places,
            size=len(body),
            sha1=sha1,
            samples=30,
            features=40,
            ensembl="107",
        ),
        Release("human", "gene", "latest", **places),
    )
    monkeypatch.setattr(access, "known_releases", lambda cache=None: releases)
    return releases


def same(ds, path):
    np.testing.assert_array_equal(ds["counts"].isel(sample=[7, 3]).values, naive_matrix(path)[[7, 3]])


class TestLocal:
    @pytest.mark.parametrize("spelt", [str, lambda path: path, lambda path: path.as_uri()])
    def test_a_path_is_used_as_it_is(self, path, cache, spelt):
        with open_archs4(spelt(path), cache=cache, offline=True) as ds:
            same(ds, path)
            assert ds.attrs["intake_tcga:source"] == str(path)
        assert not list(cache.root.rglob("*.h5"))

    def test_a_relative_path(self, path, monkeypatch):
        monkeypatch.chdir(path.parent)
        with open_archs4(path.name) as ds:
            same(ds, path)

    def test_a_file_called_like_a_release_is_the_file(self, path, monkeypatch):
        monkeypatch.chdir(path.parent)
        path.rename("human_gene_v2.5.h5")
        with open_archs4("human_gene_v2.5.h5", offline=True) as ds:
            assert ds.sizes["sample"] == 30

    def test_with_dask(self, path):
        with open_archs4(path, chunks={"sample": 10}) as ds:
            assert ds["counts"].chunks == ((10, 10, 10), (40,))

    @pytest.mark.parametrize("name", ["nowhere.h5", "some/where", "human_gene_v2.5.h5"])
    def test_a_path_that_is_not_there(self, name, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        with pytest.raises(MissingFileError, match="does not exist.*list_archs4"):
            open_archs4(name)

    def test_a_name_that_is_no_release(self):
        with pytest.raises(NameNotFoundError, match="did you mean 'human_gene_v2.5'"):
            open_archs4("human_genes_v2.5")

    @pytest.mark.parametrize("wrong", [5, None, ["a.h5"]])
    def test_what_is_no_file(self, wrong):
        for function in (open_archs4, download_archs4):
            with pytest.raises(OptionError, match="is no file; give a release"):
                function(wrong)

    def test_a_file_of_another_kind(self, sample_file):
        with pytest.raises(FileFormatError, match="not an ARCHS4 file"):
            open_archs4(sample_file)


class TestRemote:
    def test_a_url_is_read_by_ranges(self, server, path, cache):
        with open_archs4(server.url("first.h5"), cache=cache) as ds:
            same(ds, path)
            assert ds["title"].values[1] == "Sample 1, β-cell"
            assert ds.attrs["intake_tcga:source"] == server.url("first.h5")
            assert ds.attrs["intake_tcga:size"] == path.stat().st_size
            assert ds.attrs["intake_tcga:etag"]
        assert not list(cache.root.rglob("*.h5"))

    def test_opening_takes_a_dozen_requests_at_most(self, server, cache, tmp_path):
        path = write_archs4(tmp_path / "large.h5", n_samples=30_000, n_features=2000, sparse=True)
        server.bodies["large.h5"] = path.read_bytes()
        with open_archs4(server.url("large.h5"), cache=cache) as ds:
            assert ds.sizes["sample"] == 30_000
            assert len(server.requests) <= 12
            assert server.sent < 2_000_000 < path.stat().st_size

    def test_a_release_that_was_not_downloaded(self, server, published, path, cache):
        with open_archs4("human_gene_v2.5", cache=cache) as ds:
            same(ds, path)
            assert ds.attrs["intake_tcga:release"] == "human_gene_v2.5"
            assert ds.attrs["licence"] == LICENCE
            assert ds.attrs["citation"] == CITATION
            assert ds.attrs["ensembl_release"] == "107"
            copy = pickle.loads(pickle.dumps(ds))
        same(copy, path)
        assert not list(cache.root.rglob("*.h5"))

    @pytest.mark.parametrize("gone", [not_found, status(403)])
    def test_one_that_is_gone_from_its_first_place(self, server, published, path, cache, gone, caplog):
        server.fail("first.h5", gone, times=None)
        for name in ("human_gene_v2.5", "human_gene_latest"):
            with open_archs4(name, cache=cache) as ds:
                same(ds, path)
                assert ds.attrs["intake_tcga:source"] == server.url("second.h5")
        assert "trying" in caplog.text

    def test_one_that_is_gone_from_both(self, server, published, cache):
        for name in ("first.h5", "second.h5"):
            server.fail(name, not_found, times=None)
        with pytest.raises(RemoteNotFoundError, match=r"human_gene_v2.5 is at neither.*first.h5.*second.h5"):
            open_archs4("human_gene_v2.5", cache=cache)

    def test_one_of_another_size_is_not_it(self, server, published, cache):
        server.bodies["first.h5"] += b"more"
        with pytest.raises(IntegrityError, match="bytes"):
            open_archs4("human_gene_v2.5", cache=cache)

    def test_offline(self, server, published, cache):
        for source in ("human_gene_v2.5", "human_gene_latest", server.url("first.h5")):
            with pytest.raises(OfflineError, match="offline"):
                open_archs4(source, cache=cache, offline=True)
        assert server.requests == []

    def test_a_url_that_is_not_there(self, server, cache):
        with pytest.raises(RemoteNotFoundError):
            open_archs4(server.url("none.h5"), cache=cache)

    def test_a_url_of_something_else(self, server, cache):
        server.bodies["page.html"] = b"<html>" * 1000
        with pytest.raises(FileFormatError):
            open_archs4(server.url("page.html"), cache=cache)


class TestDownload:
    def test_it_is_verified_announced_and_used_from_then_on(self, server, published, path, cache, caplog):
        with caplog.at_level(logging.INFO):
            found = download_archs4("human_gene_v2.5", cache=cache)
        assert found == cache.root / "archs4" / "2.5" / "human_gene_v2.5.h5"
        assert found.read_bytes() == path.read_bytes()
        assert f"Downloading human_gene_v2.5.h5 ({human_size(path.stat().st_size)})" in caplog.text
        assert "are free" in caplog.text
        before = len(server.requests)
        assert download_archs4("human_gene_v2.5", cache=cache) == found
        with open_archs4("human_gene_v2.5", cache=cache, offline=True) as ds:
            same(ds, path)
            assert ds.attrs["intake_tcga:digest"].startswith("sha1:")
        assert len(server.requests) == before

    def test_while_opening(self, server, published, path, cache):
        with open_archs4("human_gene_v2.5", cache=cache, download=True) as ds:
            same(ds, path)
        assert len(list(cache.root.rglob("*.h5"))) == 1

    def test_from_its_other_place(self, server, published, path, cache):
        server.fail("first.h5", not_found, times=None)
        assert download_archs4("human_gene_v2.5", cache=cache).read_bytes() == path.read_bytes()

    def test_wrong_bytes_are_not_kept(self, server, published, cache):
        server.fail("first.h5", wrong_byte, times=None)
        with pytest.raises(IntegrityError, match="sha1"):
            download_archs4("human_gene_v2.5", cache=cache)
        assert not list(cache.root.rglob("*.h5"))

    def test_a_url(self, server, path, cache):
        found = download_archs4(server.url("first.h5"), cache=cache)
        assert found.name == "first.h5"
        assert found.read_bytes() == path.read_bytes()

    def test_a_url_offline_is_its_last_copy(self, server, path, cache, tmp_path):
        url = server.url("first.h5")
        download_archs4(url, cache=cache)
        newer = write_archs4(tmp_path / "newer.h5", n_samples=31, n_features=40)
        server.bodies["first.h5"] = newer.read_bytes()
        found = download_archs4(url, cache=cache)
        before = len(server.requests)
        assert download_archs4(url, cache=cache.but(offline=True)) == found
        for download in (False, True):
            with open_archs4(url, cache=cache, offline=True, download=download) as ds:
                assert ds.sizes["sample"] == 31
                assert ds.attrs["intake_tcga:source"] == url
        assert len(server.requests) == before
        with pytest.raises(OfflineError, match="second.h5"):
            open_archs4(server.url("second.h5"), cache=cache, offline=True)
        with pytest.raises(OfflineError, match="offline"):  # another query may be another file
            open_archs4(url + "?of=others", cache=cache, offline=True)

    def test_a_url_is_read_from_its_copy_while_that_is_the_same(self, server, path, cache, tmp_path):
        url = server.url("first.h5")
        download_archs4(url, cache=cache)
        before = len(server.requests)
        with open_archs4(url, cache=cache) as ds:
            same(ds, path)
        assert len(server.requests) == before + 1
        newer = write_archs4(tmp_path / "newer.h5", n_samples=31, n_features=40)
        server.bodies["first.h5"] = newer.read_bytes()
        with open_archs4(url, cache=cache) as ds:
            assert ds.sizes["sample"] == 31

    def test_from_a_server_without_ranges(self, cache, tmp_path):
        path = write_archs4(tmp_path / "large.h5", n_samples=3000, n_features=600)
        assert path.stat().st_size > 2**20
        with FaultyServer({"large.h5": path.read_bytes()}, ranges=False) as server:
            url = server.url("large.h5")
            with pytest.raises(TransferError, match=r"cannot be read in part.*download=True"):
                open_archs4(url, cache=cache)
            assert download_archs4(url, cache=cache).read_bytes() == path.read_bytes()
            with open_archs4(url, cache=cache, download=True) as ds:
                same(ds, path)
            with open_archs4(url, cache=cache, offline=True) as ds:
                same(ds, path)

    def test_forced(self, server, published, cache):
        found = download_archs4("human_gene_v2.5", cache=cache)
        before = len(server.requests)
        assert download_archs4("human_gene_v2.5", cache=cache, force=True) == found
        assert len(server.requests) > before


def edited(path):
    """Change a byte of the matrix in place, of a file that stays readable and as long as it was."""
    body = bytearray(path.read_bytes())
    with h5py.File(path) as file:
        at = file["data/expression"].id.get_chunk_info_by_coord((0, 7)).byte_offset  # as same() reads
    body[at + 10] ^= 255
    with path.open("r+b") as file:
        file.write(body)


class TestDamagedCopies:
    """What is in the cache is verified whenever it is opened, and not only when it is downloaded."""

    @pytest.fixture(params=["human_gene_v2.5", "human_gene_latest", "url", "without ranges"])
    def source(self, request, server, published, path):
        if request.param == "without ranges":
            with FaultyServer({"third.h5": path.read_bytes() + b" " * 2**21}, ranges=False) as other:
                yield other.url("third.h5")
        else:
            yield server.url("first.h5") + "?of=mine" if request.param == "url" else request.param

    def test_one_that_was_edited_is_not_opened(self, source, path, cache, caplog):
        edited(download_archs4(source, cache=cache))
        with pytest.raises(IntegrityError, match="is damaged, and offline mode forbids"):
            open_archs4(source, cache=cache, offline=True)
        if "third" in source:
            with pytest.raises(TransferError, match="download=True"):
                open_archs4(source, cache=cache)
        else:
            with open_archs4(source, cache=cache) as ds:
                same(ds, path)
        assert "is damaged and not used; download=True replaces it" in caplog.text
        with open_archs4(source, cache=cache, download=True) as ds:
            same(ds, path)
        with open_archs4(source, cache=cache, offline=True) as ds:
            same(ds, path)

    def test_one_that_was_only_touched_is_used_and_trusted_again(self, source, path, cache, monkeypatch):
        found = download_archs4(source, cache=cache)
        os.utime(found, (1e9, 1e9))
        with open_archs4(source, cache=cache, offline=True) as ds:
            same(ds, path)
            assert ds.encoding["source"] == str(found)
        monkeypatch.setattr(Digest, "of", None)  # not hashed again
        with open_archs4(source, cache=cache, offline=True) as ds:
            same(ds, path)

    def test_one_whose_times_were_set_back_is_noticed_where_all_are_hashed(self, source, cache):
        found = download_archs4(source, cache=cache)
        before = found.stat()
        edited(found)
        os.utime(found, ns=(before.st_atime_ns, before.st_mtime_ns))
        open_archs4(source, cache=cache, offline=True).close()
        with pytest.raises(IntegrityError):
            open_archs4(source, cache=cache.but(verify="always", offline=True))

    def test_one_of_unknown_size_that_was_never_verified(self, server, published, path, cache, monkeypatch):
        unsized = (replace(published[0], size=None, about_bytes=path.stat().st_size),)
        monkeypatch.setattr(access, "known_releases", lambda cache=None: unsized)
        found = cache.root / "archs4" / "2.5" / "human_gene_v2.5.h5"
        found.parent.mkdir(parents=True)
        found.write_bytes(path.read_bytes()[:-100])
        with open_archs4("human_gene_v2.5", cache=cache) as ds:
            same(ds, path)
            assert "source" not in ds.encoding

    def test_force_downloads_what_is_in_the_cache_and_nothing_else(self, source, path, cache):
        if "third" not in source:
            open_archs4(source, cache=cache, force=True).close()
            assert not list(cache.root.rglob("*.h5"))
        found = download_archs4(source, cache=cache)
        before = found.stat()
        edited(found)
        os.utime(found, ns=(before.st_atime_ns, before.st_mtime_ns))
        with open_archs4(source, cache=cache, force=True) as ds:
            same(ds, path)
        assert len(list(cache.root.rglob("*.h5"))) == 1


class TestLatest:
    def test_each_content_is_a_file_of_its_own(self, server, published, path, cache, tmp_path):
        first = download_archs4("human_gene_latest", cache=cache)
        assert download_archs4("human_gene_latest", cache=cache) == first
        newer = write_archs4(tmp_path / "newer.h5", "latest", n_samples=31, n_features=40)
        server.bodies["first.h5"] = newer.read_bytes()
        with open_archs4("human_gene_latest", cache=cache) as ds:  # not the copy: it is of other bytes
            assert ds.sizes["sample"] == 31
            pinned = ds.attrs["intake_tcga:pinned"]
        second = download_archs4("human_gene_latest", cache=cache)
        assert second.parent.name == pinned != first.parent.name
        assert first.read_bytes() == path.read_bytes()
        with open_archs4(
            "human_gene_latest", cache=cache, offline=True
        ) as ds:  # the last one that was downloaded
            assert ds.sizes["sample"] == 31
            assert ds.attrs["intake_tcga:pinned"] == pinned

    def test_bytes_that_change_while_a_dataset_is_open(self, server, published, cache):
        ds = open_archs4("human_gene_latest", cache=cache)
        body = bytearray(server.bodies["first.h5"])
        body[-1] ^= 1
        server.bodies["first.h5"] = bytes(body)
        with pytest.raises((IntegrityError, TransferError), match="change"):
            _ = ds["counts"].values
        ds.close()


def test_the_list(published, cache):
    table = list_archs4(cache=cache).set_index("name")
    assert table.index.tolist() == ["human_gene_v2.5", "human_gene_latest"]
    assert table["cached"].tolist() == [False, False]
    download_archs4("human_gene_v2.5", cache=cache)
    download_archs4("human_gene_latest", cache=cache)
    assert list_archs4(cache=cache)["cached"].tolist() == [True, True]
    assert table.loc["human_gene_v2.5", ["samples", "features", "exact"]].tolist() == [30, 40, True]


def test_the_list_of_what_is_published(cache):
    table = list_archs4(cache=cache)
    assert len(table) == len(KNOWN)
    assert set(table["licence"]) == {LICENCE}
    assert table.set_index("name").loc["human_gene_v2.4", ["bytes", "exact"]].tolist() == [43 * 2**30, False]
