"""What the page on Dask clusters promises: all cohorts of a manifest, all samples of an ARCHS4 file, two processes."""

import os
import tracemalloc
from collections import Counter

import cloudpickle
import dask
import h5py
import intake
import numpy as np
import pandas as pd
import pytest
from archs4_files import naive_matrix, write_archs4
from cohort_files import write_mirna
from distributed import Client, LocalCluster
from faulty_server import FaultyServer
from manifests import manifest_for

from intake_tcga.archs4.access import open_archs4
from intake_tcga.archs4.matrix import SampleMatrix
from intake_tcga.archs4.matrix_blocks import narrowed
from intake_tcga.cache.store import VerifiedFileCache

COHORTS = ("BRCA_er_status", "OV_grade", "PRAD_sample_type", "SKCM_bulk")
SAMPLES, FEATURES = 8000, 500


@pytest.fixture(scope="module")
def client():
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1"
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    rng = np.random.default_rng(4)
    matrix = rng.negative_binomial(1, 0.002, (SAMPLES, FEATURES)).astype("u4")
    return write_archs4(tmp_path_factory.mktemp("archs4") / "a.h5", matrix=matrix)


@pytest.fixture(scope="module")
def expected(path):
    return naive_matrix(path).mean(axis=0)


@pytest.fixture
def server(path):
    with FaultyServer({"a.h5": path.read_bytes()}) as server:
        yield server


# ── all cohorts of a manifest ─────────────────────────────────────────────────────────────────────────────────────


def detected(source):
    """Features that are seen in at least half of a cohort's samples."""
    ds = source.to_dask()
    return int(((ds["raw"] > 0).mean("raw_sample") >= 0.5).sum())


def moments(source):
    """Mean and variance over the samples, how far the synthetic ones are off, and who computed it."""
    ds = source(normalization="TC").to_dask()
    real, synthetic = ds["real"], ds["synthetic"]
    gap = abs(synthetic.mean("synthetic_sample") - real.mean("sample")).mean()
    mean, variance, gap = dask.compute(real.mean(), real.var("sample").mean(), gap, scheduler="sync")
    return {"mean": float(mean), "variance": float(variance), "gap": float(gap), "pid": os.getpid()}


def test_statistics_of_all_cohorts_with_each_file_downloaded_once(client, tmp_path):
    folder = tmp_path / "bundle"
    folder.mkdir()
    for seed, name in enumerate(COHORTS):
        write_mirna(folder / f"{name}.h5", seed=seed, n_raw=40)
    manifest_for(folder)
    with FaultyServer({file.name: file.read_bytes() for file in folder.iterdir()}) as server:
        cat = intake.open_tcga(server.url("manifest.json"), cache_storage=str(tmp_path / "cache"))
        sources = [cat[name] for name in cat]
        table = client.map(moments, sources, pure=False)
        seen = client.map(detected, sources, pure=False)  # at the same time, of the same files
        table, seen = client.gather(table), client.gather(seen)
        requests = Counter(request.name for request in server.requests)
    assert {name: requests[f"{name}.h5"] for name in COHORTS} == dict.fromkeys(COHORTS, 1)
    assert len(list((tmp_path / "cache").rglob("*.h5"))) == len(COHORTS)
    assert set(pd.DataFrame(table)["pid"]) <= set(client.run(os.getpid).values())
    for name, row, features in zip(COHORTS, table, seen, strict=True):
        with h5py.File(folder / f"{name}.h5") as file:
            real = file["processed/TC/expression"][()]
            runs = file["synthetic/TC"]
            means = [runs[run]["expression"][()].mean(0) for run in runs if run != "feature_names"]
            raw = file["raw/expression"][()]
        assert row["mean"] == pytest.approx(real.mean())
        assert row["variance"] == pytest.approx(real.var(axis=0).mean())
        assert row["gap"] == pytest.approx(np.abs(np.array(means) - real.mean(0)).mean())
        assert features == ((raw > 0).mean(0) >= 0.5).sum()


# ── all samples of an ARCHS4 file ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("where", ["local", "remote"])
def test_a_pass_over_all_samples_on_a_cluster(client, server, path, expected, tmp_path, where):
    cache = VerifiedFileCache(tmp_path / "cache", progress=False)
    with open_archs4(
        path if where == "local" else server.url("a.h5"), cache=cache, chunks={"sample": 100}
    ) as ds:
        opened = server.sent
        found = ds["counts"].mean("sample").compute()
    np.testing.assert_allclose(found, expected)
    if where == "remote":  # every chunk once, whichever worker it went to
        assert server.sent - opened < 1.2 * path.stat().st_size
    assert not list(cache.root.rglob("*.h5"))


@pytest.mark.parametrize("where", ["local", "remote"])
def test_memory_is_bounded_by_blocks(server, path, expected, tmp_path, monkeypatch, where):
    blocks = []
    get = SampleMatrix._get

    def note(self, key):
        result = get(self, key)
        blocks.append(result.shape)
        return result

    monkeypatch.setattr(SampleMatrix, "_get", note)
    cache = VerifiedFileCache(tmp_path / "cache", progress=False)
    with open_archs4(
        path if where == "local" else server.url("a.h5"), cache=cache, chunks={"sample": 100}
    ) as ds:
        mean = ds["counts"].mean("sample")
        first = ds["counts"].isel(sample=slice(0, 100)).mean("sample")
        first.compute(scheduler="threads", num_workers=2)  # what is imported and made once
        blocks.clear()
        tracemalloc.start()
        found = mean.compute(scheduler="threads", num_workers=2)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    np.testing.assert_allclose(found, expected)
    assert blocks == [(100, FEATURES)] * (SAMPLES // 100)
    whole = 4 * SAMPLES * FEATURES
    # Traced too: what the server sends, and what other tests' cluster does, for both are in this process.
    assert peak < whole / (4 if where == "local" else 2)


def test_default_blocks_are_of_about_128_mib_and_their_graph_is_small(tmp_path):
    path = write_archs4(tmp_path / "wide.h5", n_samples=60_000, n_features=60_000, sparse=True, fixed=True)
    with open_archs4(path, chunks={}) as ds:
        counts = ds["counts"]
        assert 64 * 2**20 <= max(counts.chunks[0]) * 60_000 * 4 <= 128 * 2**20
        assert counts.data.npartitions == pytest.approx(60_000 * 60_000 * 4 / (128 * 2**20), rel=0.1)
        total = counts.sum("sample")
        (graph,) = dask.optimize(total.data)
        graph = dict(graph.__dask_graph__())
        assert len(graph) < 3 * counts.data.npartitions
        assert len(cloudpickle.dumps(graph)) < 2000 * counts.data.npartitions
        half = narrowed(ds, np.random.default_rng(1).permutation(60_000)[:30_000])["counts"].data
        assert half.npartitions == pytest.approx(counts.data.npartitions / 2, abs=1)
        assert len(cloudpickle.dumps(half)) < 1_000_000


def totals(ds):
    return os.getpid(), ds["counts"].isel(sample=[5, 3]).sum("feature").values.tolist()


def test_a_dataset_goes_to_workers_as_a_name_and_is_opened_there(client, server, path, tmp_path):
    cache = VerifiedFileCache(tmp_path / "cache", progress=False)
    with open_archs4(server.url("a.h5"), cache=cache) as ds:
        assert len(cloudpickle.dumps(ds)) < 30_000
        of_workers = client.run(totals, ds)
    assert {pid for pid, _ in of_workers.values()} == set(client.run(os.getpid).values())
    assert os.getpid() not in {pid for pid, _ in of_workers.values()}
    sums = naive_matrix(path)[[5, 3]].sum(1).tolist()
    assert [found for _, found in of_workers.values()] == [sums, sums]


def test_samples_that_were_found_are_read_alone(client, server, path, tmp_path):
    cache = VerifiedFileCache(tmp_path / "cache", progress=False)
    with open_archs4(server.url("a.h5"), cache=cache, chunks={"sample": 100}) as ds:
        few = ds.archs4.search("liver", fields="source_name_ch1").archs4.draw(100, seed=3)
        assert few["counts"].chunks == ((100,), (FEATURES,))
        assert len(few["counts"].__dask_graph__()) <= 2
        before = server.sent
        on_cluster = few["counts"].mean("sample").compute()
        assert server.sent - before < path.stat().st_size / 4
        in_threads = few["counts"].mean("sample").compute(scheduler="threads")
        rows = [int(name[3:]) - 1_000_000 ^ 5 for name in few["sample"].values]
    np.testing.assert_allclose(on_cluster, naive_matrix(path)[rows].mean(0))
    np.testing.assert_array_equal(on_cluster, in_threads)
