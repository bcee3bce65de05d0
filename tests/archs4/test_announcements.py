"""Large reads of remote ARCHS4 files are said in words: what, how much of how much, how long, and what else to do."""

import logging
import os

import numpy as np
import pytest
from archs4_files import naive_matrix, naive_texts, write_archs4
from faulty_server import FaultyServer

from intake_tcga.archs4 import access
from intake_tcga.archs4.access import open_archs4
from intake_tcga.archs4.releases import Release
from intake_tcga.cache.store import VerifiedFileCache
from intake_tcga.tables import human_size
from intake_tcga.transfer import large_reads

SAMPLES = 600


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """A file that is mostly matrix, with one long field."""
    rng = np.random.default_rng(1)
    return write_archs4(
        tmp_path_factory.mktemp("files") / "a.h5",
        matrix=rng.integers(0, 2**31, (SAMPLES, 700), dtype="u4"),
        samples={"extract_protocol_ch1": [f"{os.urandom(300).hex()}" for _ in range(SAMPLES)]},
    )


@pytest.fixture
def server(path):
    with FaultyServer({"a.h5": path.read_bytes()}) as server:
        yield server


@pytest.fixture(autouse=True)
def _small(monkeypatch, caplog):
    monkeypatch.setattr(large_reads, "_LARGE", 300_000)
    monkeypatch.setattr(large_reads, "_SMALL", 10_000)
    caplog.set_level(logging.INFO, "intake_tcga.transfer.large_reads")


@pytest.fixture
def said(caplog):
    return lambda: [
        record.getMessage() for record in caplog.records if record.name == "intake_tcga.transfer.large_reads"
    ]


@pytest.fixture
def cache(tmp_path):
    return VerifiedFileCache(tmp_path / "cache", progress=False)


def test_values_of_most_of_the_file(server, path, cache, said):
    with open_archs4(server.url("a.h5"), cache=cache) as ds:
        assert said() == []
        np.testing.assert_array_equal(ds["counts"].values, naive_matrix(path))
    (sentence,) = said()
    assert f"the values of 600 samples and 700 features of {server.url('a.h5')} fetches " in sentence
    size = human_size(path.stat().st_size)
    assert f" of its {size}, about 1 s at 50 MB/s. It is most of the file" in sentence
    assert sentence.endswith("download it first, with download=True.")
    wanted = float(sentence.split("fetches ")[1].split(" MB")[0])
    assert wanted * 1e6 == pytest.approx(ds["counts"].nbytes, rel=0.2)


def test_much_that_is_not_most_comes_without_advice(server, path, cache, said):
    with open_archs4(server.url("a.h5"), cache=cache) as ds:
        part = ds["counts"].isel(sample=slice(0, 200))
        np.testing.assert_array_equal(part.values, naive_matrix(path)[:200])
    (sentence,) = said()
    assert "the values of 200 samples" in sentence
    assert "download" not in sentence


def test_a_release_is_downloaded_by_its_name(server, path, cache, said, monkeypatch):
    release = Release("human", "gene", "2.5", server.url("a.h5"), size=path.stat().st_size)
    monkeypatch.setattr(access, "known_releases", lambda cache=None: (release,))
    with open_archs4("human_gene_v2.5", cache=cache) as ds:
        _ = ds["counts"].values
    assert said()[0].endswith("with download=True or download_archs4('human_gene_v2.5').")


def test_little_and_local_is_read_silently(server, path, cache, said):
    with open_archs4(server.url("a.h5"), cache=cache) as ds:
        _ = ds["counts"].isel(sample=[5, 300]).values
        _ = ds["title"].values
    with open_archs4(path, cache=cache) as ds:
        ds.load()
    assert said() == []


@pytest.mark.parametrize("fixed", [False, True])
def test_a_field_is_said_once_and_with_its_bytes(server, path, cache, said, fixed, tmp_path):
    protocols = [text.encode() for text in naive_texts(path, "meta/samples/extract_protocol_ch1")]
    if fixed:
        again = write_archs4(
            tmp_path / "fixed.h5",
            n_samples=SAMPLES,
            n_features=700,
            fixed=True,
            samples={"extract_protocol_ch1": protocols},
        )
        server.bodies["a.h5"] = again.read_bytes()
    with open_archs4(server.url("a.h5"), cache=cache) as ds:
        assert ds.archs4.search(protocols[7].decode()[:50]).sizes["sample"] == 1
        (sentence,) = said()
        assert (
            f"the field 'extract_protocol_ch1', which is kept and read this once, of {ds.attrs['intake_tcga:source']}"
        ) in sentence
        wanted = float(sentence.split("fetches ")[1].split(" kB")[0])
        assert wanted * 1000 == pytest.approx(600 * SAMPLES, rel=0.3)
        ds.archs4.search("ffff")
    with open_archs4(server.url("a.h5"), cache=cache) as ds:
        ds.archs4.search("ffff")
    assert len(said()) == 1


@pytest.mark.parametrize("scheduler", ["threads", "distributed threads"])
def test_blocks_of_dask_are_said_once(server, path, cache, said, scheduler):
    def mean(ds):
        return ds["counts"].mean("sample")

    with open_archs4(server.url("a.h5"), cache=cache, chunks={"sample": 50}) as ds:
        if scheduler == "threads":
            found = mean(ds).compute(scheduler="threads")
        else:
            from distributed import Client

            with Client(
                n_workers=1,
                threads_per_worker=2,
                processes=False,
                dashboard_address=None,
                protocol="inproc://",
            ):
                found = mean(ds).compute()
    np.testing.assert_allclose(found, naive_matrix(path).mean(0))
    (sentence,) = said()
    assert sentence.startswith(f"What is read block by block of {server.url('a.h5')} has come to ")
    assert "all of it takes about 1 s at 50 MB/s. Where most of it is needed, download it first" in sentence


@pytest.mark.parametrize("progress", [True, False])
def test_the_progress_option_holds(server, tmp_path, progress, capsys, said):
    cache = VerifiedFileCache(tmp_path / "cache", progress=progress)
    with open_archs4(server.url("a.h5"), cache=cache) as ds:
        capsys.readouterr()
        _ = ds["counts"].values
    shown = capsys.readouterr().err
    assert len(said()) == 1
    if progress:
        assert said()[0] in shown
        assert "a.h5: 100%" in shown
    else:
        assert shown == ""
