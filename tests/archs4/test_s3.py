"""ARCHS4 files in a bucket, on a real S3 server of this machine."""

import pickle

import fsspec
import intake
import numpy as np
import pytest
import yaml
from archs4_files import naive_matrix, write_archs4
from s3_server import s3_server

from intake_tcga.archs4.access import open_archs4
from intake_tcga.cache.store import VerifiedFileCache
from intake_tcga.errors import AccessDeniedError, IntegrityError, OfflineError, RemoteNotFoundError

URL = "s3://mirror/archs4/human_gene_v2.5.h5"
N = 400


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """Write two files of the same size."""
    folder = tmp_path_factory.mktemp("files")
    rng = np.random.default_rng(5)
    return [
        write_archs4(
            folder / f"{at}.h5", matrix=rng.integers(0, 2**31, (N, 2500), dtype="u4"), compression=None
        )
        for at in range(2)
    ]


@pytest.fixture(scope="module")
def options():
    with s3_server("mirror") as options:
        yield options


@pytest.fixture
def put(options):
    """Return a function that writes the object anew."""
    fs = fsspec.filesystem("s3", **options, skip_instance_cache=True)
    return lambda path: fs.put_file(str(path), URL)


@pytest.fixture
def cache(tmp_path):
    return VerifiedFileCache(tmp_path / "cache", progress=False)


@pytest.mark.parametrize("keyed", [False, True])
def test_open_search_and_read(put, options, paths, cache, keyed):
    put(paths[0])
    given = {"s3": options} if keyed else options
    with open_archs4(URL, storage_options=given, cache=cache) as ds:
        liver = ds.archs4.search("liver", fields="source_name_ch1").archs4.draw(5, seed=2)
        rows = [int(name[3:]) - 1_000_000 ^ 5 for name in liver["sample"].values]
        np.testing.assert_array_equal(liver["counts"].values, naive_matrix(paths[0])[rows])
        assert ds.attrs["intake_tcga:source"] == URL
        assert ds.attrs["intake_tcga:size"] == paths[0].stat().st_size
        assert ds.attrs["intake_tcga:etag"]
        assert "s3cr3t" not in repr(ds.attrs)
        copy = pickle.loads(pickle.dumps(ds))
    np.testing.assert_array_equal(copy["counts"][7].values, naive_matrix(paths[0])[7])
    assert not list(cache.root.rglob("*.h5"))
    secrets = [
        place for place in cache.root.rglob("*") if place.is_file() and b"s3cr3t" in place.read_bytes()
    ]
    assert not secrets


def test_little_is_read(put, options, paths, cache):
    put(paths[0])
    with open_archs4(URL, storage_options=options, cache=cache) as ds:
        remote = ds["title"].variable._data.array.metadata.file.remote
        assert remote.requests <= 12
        before = remote.bytes_read
        _ = ds["counts"].isel(sample=[3, 300]).values
        assert remote.bytes_read - before < 200_000 < paths[0].stat().st_size / 10


def test_by_blocks_and_downloaded(put, options, paths, cache):
    put(paths[0])
    expected = naive_matrix(paths[0]).mean(0)
    with open_archs4(URL, storage_options=options, cache=cache, chunks={"sample": 100}) as ds:
        np.testing.assert_allclose(ds["counts"].mean("sample").compute(), expected)
    with open_archs4(URL, storage_options=options, cache=cache, download=True) as ds:
        np.testing.assert_allclose(ds["counts"].mean("sample"), expected)
    assert [place.read_bytes() for place in cache.root.rglob("*.h5")] == [paths[0].read_bytes()]


def test_an_object_that_changes_while_it_is_read_is_an_error(put, options, paths, cache):
    assert paths[0].stat().st_size == paths[1].stat().st_size
    put(paths[0])
    with open_archs4(URL, storage_options=options, cache=cache) as ds:
        np.testing.assert_array_equal(ds["counts"][3].values, naive_matrix(paths[0])[3])
        put(paths[1])
        with pytest.raises(IntegrityError, match=f"{URL} has changed since it was opened"):
            _ = ds["counts"][350].values
        with pytest.raises(IntegrityError):
            ds.archs4.search("liver")
    with open_archs4(URL, storage_options=options, cache=cache) as ds:
        np.testing.assert_array_equal(ds["counts"][[3, 350]].values, naive_matrix(paths[1])[[3, 350]])


def test_what_is_not_there_or_not_allowed(put, options, paths, cache):
    put(paths[0])
    with pytest.raises((RemoteNotFoundError, AccessDeniedError), match="none.h5"):
        open_archs4("s3://mirror/none.h5", storage_options=options, cache=cache)
    with pytest.raises(OfflineError):
        open_archs4(URL, storage_options=options, cache=cache, offline=True)


@pytest.mark.parametrize("driver", ["tcga_archs4_file", "v2"])
def test_from_a_yaml_catalog(put, options, paths, cache, tmp_path, monkeypatch, driver):
    put(paths[0])
    monkeypatch.setenv("MIRROR_KEY", options["key"])
    monkeypatch.setenv("MIRROR_SECRET", options["secret"])
    arguments = {
        "source": URL,
        "storage_options": options | {"key": "{{ env(MIRROR_KEY) }}", "secret": "{{ env(MIRROR_SECRET) }}"},
        "cache_storage": str(cache.root),
        "progress": False,
    }
    if driver == "v2":
        from intake.readers.entry import Catalog

        from intake_tcga.readers import Archs4File, Archs4Reader

        del arguments["source"]
        arguments["storage_options"] |= {"key": "{env(MIRROR_KEY)}", "secret": "{env(MIRROR_SECRET)}"}
        made = Catalog()
        made["counts"] = Archs4Reader(Archs4File(URL, **arguments))
        made.to_yaml_file(str(tmp_path / "cat.yaml"))
        ds = Catalog.from_yaml_file(str(tmp_path / "cat.yaml"))["counts"].to_dask()
    else:
        entry = {"driver": driver, "args": arguments}
        (tmp_path / "cat.yaml").write_text(yaml.safe_dump({"sources": {"counts": entry}}))
        ds = intake.open_catalog(str(tmp_path / "cat.yaml"))["counts"].to_dask()
    assert options["secret"] not in (tmp_path / "cat.yaml").read_text()
    with ds:
        brain = ds.archs4.search("brain", fields="source_name_ch1")
        rows = [int(name[3:]) - 1_000_000 ^ 5 for name in brain["sample"].values]
        np.testing.assert_array_equal(brain["counts"].compute().values, naive_matrix(paths[0])[rows])
    assert list(cache.root.rglob("*.parquet"))
