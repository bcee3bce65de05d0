"""Normalization, against plain loops, against edgeR and DESeq2, and against what other tools print."""

import math
import pickle
import statistics
import threading
import weakref
from pathlib import Path

import dask
import dask.array as da
import h5py
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from xarray.backends import BackendArray
from xarray.core import indexing

from intake_tcga.cohorts.access import open_sample
from intake_tcga.cohorts.sample import catalogs_folder
from intake_tcga.errors import OptionError
from intake_tcga.normalization import normalize

METHODS = ["cpm", "log_cpm", "quantile", "log_quantile", "tmm", "log_trimmed_mean", "median_of_ratios"]


def dataset(values, **coords):
    return xr.Dataset({"counts": (("sample", "feature"), np.asarray(values))}, coords)


# -- the same, in plain loops over lists ------------------------------------------------------------------------------


def naive_cpm(rows):
    return [[x / sum(row) * 1e6 if sum(row) else 0.0 for x in row] for row in rows]


def naive_log(rows):
    return [[math.log2(1 + x) for x in row] for row in rows]


def naive_quantile(rows):
    columns = zip(*(sorted(row) for row in rows), strict=True)
    target = [sum(column) / len(rows) for column in columns]
    result = []
    for row in rows:
        spans = {}
        for rank, x in enumerate(sorted(row)):
            spans.setdefault(x, []).append(target[rank])
        result.append([sum(spans[x]) / len(spans[x]) for x in row])
    return result


def naive_log_trimmed_mean(rows):
    result = []
    for row in naive_log(rows):
        positive = sorted(x for x in row if x > 0)
        cut = int(len(positive) * 0.05)
        kept = positive[cut : len(positive) - cut]
        result.append([x / (sum(kept) / len(kept)) for x in row] if kept else row)
    return result


def naive_median_of_ratios(rows):
    full = [row for row in rows if any(row)]
    common = [j for j in range(len(rows[0])) if full and all(row[j] > 0 for row in full)]
    logs = {j: sum(math.log(row[j]) for row in full) / len(full) for j in common}
    result = []
    for row in rows:
        if not any(row):
            result.append(row)
            continue
        size = math.exp(statistics.median(math.log(row[j]) - logs[j] for j in common))
        result.append([x / size for x in row])
    return result


def naive_rank(values, x):
    below, equal = sum(v < x for v in values), sum(v == x for v in values)
    return below + (equal + 1) / 2


def naive_tmm_factors(rows):
    full = [row for row in rows if any(row)]
    present = [j for j in range(len(rows[0])) if any(row[j] for row in rows)]
    quartiles = [float(np.percentile([row[j] for j in present], 75)) / sum(row) for row in full]
    if not full:
        return [1.0] * len(rows)
    if statistics.median(quartiles) < 1e-20:
        reference = max(full, key=lambda row: sum(math.sqrt(x) for x in row))
    else:
        middle = np.mean(quartiles)
        reference = full[int(np.argmin([abs(q - middle) for q in quartiles]))]
    factors = []
    for row in full:
        n, m = sum(row), sum(reference)
        both = [(x, r) for x, r in zip(row, reference, strict=True) if x > 0 and r > 0]
        # numpy's logarithm, because which values are equal depends on how it rounds
        ratios = [float(np.log2((x / n) / (r / m))) for x, r in both]
        levels = [float((np.log2(x / n) + np.log2(r / m)) / 2) for x, r in both]
        if not both or max(abs(v) for v in ratios) < 1e-6:
            factors.append(1.0)
            continue
        low, low_level = math.floor(len(both) * 0.3) + 1, math.floor(len(both) * 0.05) + 1
        top = bottom = 0.0
        for (x, r), ratio, level in zip(both, ratios, levels, strict=True):
            if not low <= naive_rank(ratios, ratio) <= len(both) + 1 - low:
                continue
            if not low_level <= naive_rank(levels, level) <= len(both) + 1 - low_level:
                continue
            variance = (n - x) / n / x + (m - r) / m / r
            top, bottom = top + ratio / variance, bottom + 1 / variance
        factors.append(2 ** (top / bottom) if bottom else 1.0)
    centre = math.exp(sum(math.log(f) for f in factors) / len(factors))
    centred = iter([f / centre for f in factors])
    return [next(centred) if any(row) else 1.0 for row in rows]


def naive_tmm(rows):
    factors = naive_tmm_factors(rows)
    return [[x / f for x in row] for row, f in zip(naive_cpm(rows), factors, strict=True)]


NAIVE = {
    "cpm": naive_cpm,
    "log_cpm": lambda rows: naive_log(naive_cpm(rows)),
    "quantile": naive_quantile,
    "log_quantile": lambda rows: naive_quantile(naive_log(rows)),
    "tmm": naive_tmm,
    "log_trimmed_mean": naive_log_trimmed_mean,
    "median_of_ratios": naive_median_of_ratios,
}

few_counts = arrays(
    np.uint32,
    st.tuples(st.integers(1, 6), st.integers(1, 25)),
    elements=st.one_of(st.integers(0, 3), st.integers(0, 2000)),
)


@pytest.mark.parametrize("method", METHODS)
@settings(deadline=None, max_examples=40)
@given(counts=few_counts)
def test_as_plain_loops(method, counts):
    rows = counts.tolist()
    if method == "median_of_ratios":
        counts[:, 0] = np.where(counts.any(axis=1), np.maximum(counts[:, 0], 1), 0)
        rows = counts.tolist()
    result = normalize(dataset(counts), method)[method].values
    assert np.isfinite(result).all()
    np.testing.assert_allclose(result, NAIVE[method](rows), rtol=1e-9, atol=1e-12)
    lazy = normalize(dataset(counts).chunk(sample=2, feature=3), method)[method]
    assert dask.is_dask_collection(lazy)
    np.testing.assert_allclose(lazy.compute().values, result, rtol=1e-9, atol=1e-12)


# -- what others print ------------------------------------------------------------------------------------------------


@pytest.fixture
def gtex():
    with h5py.File(catalogs_folder() / "sample" / "gtex_lung.h5") as file:
        names = file["meta/samples/geo_accession"][:].astype(str)
        return dataset(file["data/expression"][:].T, sample=names)


@pytest.mark.parametrize("chunks", [None, {"sample": 7}])
def test_tmm_is_edger_s(gtex, chunks, monkeypatch):
    monkeypatch.setattr("intake_tcga.arrays.sample_blocks._KEPT", 0)
    edger = pd.read_csv(
        Path(__file__).parent / "data" / "gtex_lung_edger.tsv", sep="\t", comment="#", index_col="sample"
    )
    result = normalize(gtex.chunk(chunks) if chunks else gtex, "tmm").compute()
    assert result["sample"].values.tolist() == edger.index.tolist()
    np.testing.assert_array_equal(result["library_size"], edger["library_size"])
    np.testing.assert_allclose(result["norm_factor"], edger["norm_factor"], rtol=1e-13)
    effective = edger["library_size"] * edger["norm_factor"]
    expected = gtex["counts"].values / effective.to_numpy()[:, None] * 1e6
    np.testing.assert_allclose(result["tmm"], expected, rtol=1e-12)


# What archs4py 1.0.4 returns (as float32) for these counts, one sample a row.
ARCHS4PY_COUNTS = [[0, 0, 2, 10, 0], [3, 0, 3, 0, 100], [3, 5, 3, 3, 20], [7, 1, 0, 1, 9]]
ARCHS4PY = {
    "quantile": [
        [1.1666666269302368, 1.1666666269302368, 4.25, 34.75, 1.1666666269302368],
        [3.0, 0.875, 3.0, 0.875, 34.75],
        [1.1666666269302368, 4.25, 1.1666666269302368, 1.1666666269302368, 34.75],
        [4.25, 1.375, 0.75, 1.375, 34.75],
    ],
    "log_quantile": [
        [0.8333333134651184, 0.8333333134651184, 2.2924811840057373, 4.457972049713135, 0.8333333134651184],
        [1.7712405920028687, 0.625, 1.7712405920028687, 0.625, 4.457972049713135],
        [0.8333333134651184, 2.2924811840057373, 0.8333333134651184, 0.8333333134651184, 4.457972049713135],
        [2.2924811840057373, 1.0, 0.5, 1.0, 4.457972049713135],
    ],
    "cpm": [
        [0.0, 0.0, 166666.671875, 833333.3125, 0.0],
        [28301.88671875, 0.0, 28301.88671875, 0.0, 943396.25],
        [88235.296875, 147058.828125, 88235.296875, 88235.296875, 588235.3125],
        [388888.875, 55555.5546875, 0.0, 55555.5546875, 500000.0],
    ],
}


@pytest.mark.parametrize("method", ARCHS4PY)
def test_as_archs4py(method):
    result = normalize(dataset(ARCHS4PY_COUNTS), method)[method]
    np.testing.assert_allclose(result, ARCHS4PY[method], rtol=1e-6)


def test_log_trimmed_mean_as_archs4py_s_tmm():
    # It returns NaN where fewer than 20 values are positive, and nothing is trimmed; here 40 are.
    counts = np.random.default_rng(1).poisson(20, (40, 3)).astype("uint32").T
    result = normalize(dataset(counts), "log_trimmed_mean")["log_trimmed_mean"]
    expected = [
        [0.9543772339820862, 1.0628465414047241, 0.8941760659217834, 1.144357681274414],
        [1.081388235092163, 0.9772827625274658, 0.9403660893440247, 1.0105011463165283],
        [1.0237938165664673, 0.9573290944099426, 1.0526131391525269, 1.0083857774734497],
    ]
    np.testing.assert_allclose(result.values[:, :4], expected, rtol=1e-6)


# -- empty libraries, odd shapes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["cpm", "log_cpm", "tmm", "log_trimmed_mean", "median_of_ratios"])
def test_empty_libraries_stay_empty_and_change_nothing(method, gtex):
    empty = gtex.isel(sample=[0, 1]).copy(data={"counts": np.zeros((2, 818), "uint32")})
    empty["sample"] = ["empty 1", "empty 2"]
    both = normalize(xr.concat([empty, gtex], "sample"), method)[method]
    assert not both[:2].any()
    np.testing.assert_allclose(both[2:], normalize(gtex, method)[method], rtol=1e-12)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (1, 1), (3, 2)])
@pytest.mark.parametrize("chunks", [None, {"sample": 1}])
def test_nothing_at_all(method, shape, chunks):
    empty = dataset(np.zeros(shape, "uint32"))
    result = normalize(empty.chunk(chunks) if chunks else empty, method)[method]
    assert result.shape == shape
    assert not result.values.any()


def test_one_sample():
    result = normalize(dataset([[1, 2, 3]]), "tmm")
    assert result["norm_factor"].values.tolist() == [1.0]


@pytest.mark.parametrize("chunks", [None, {"sample": 1}])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_missing_is_refused(method, bad, chunks):
    counts = dataset([[1.0, 2.0], [bad, 2.0]])
    with pytest.raises(OptionError, match="drop"):
        normalize(counts.chunk(chunks) if chunks else counts, method).compute()


def test_negative_counts_are_refused_where_counts_are_meant():
    logs = dataset([[-1.0, 2.0], [0.5, 2.0]])
    with pytest.raises(OptionError, match="negative"):
        normalize(logs, "cpm")
    assert normalize(logs, "quantile")["quantile"].values.tolist() == [[-0.25, 2.0], [-0.25, 2.0]]


def test_median_of_ratios_without_a_common_feature():
    with pytest.raises(OptionError, match="each of the 2 samples"):
        normalize(dataset([[1, 0], [0, 1]]), "median_of_ratios")


# -- what comes back --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_everything_around_is_kept(method):
    ds = dataset(np.arange(1, 7).reshape(2, 3), sample=["a", "b"], feature=["x", "y", "z"])
    ds = ds.assign_coords(symbol=("feature", ["X", "Y", "Y"])).assign(other=("sample", [1, 2]))
    ds.attrs["title"], ds["counts"].attrs["source"] = "t", "s"
    before = ds.copy(deep=True)
    result = normalize(ds, method)
    xr.testing.assert_identical(ds, before)
    assert list(result.data_vars) == [method, "other"]
    assert set(ds.coords) <= set(result.coords)
    assert result.attrs == ds.attrs
    assert result[method].attrs["source"] == "s"
    assert result[method].attrs["intake_tcga:normalization"] == method
    assert result[method].dtype == np.float64


def test_names_and_types_are_the_caller_s():
    ds = dataset([[1, 2]])
    assert list(normalize(ds, "cpm", name="counts").data_vars) == ["counts"]
    small = normalize(ds, "cpm", dtype="float32")["cpm"]
    assert small.dtype == np.float32
    assert normalize(ds.chunk(), "cpm", dtype="float32")["cpm"].compute().dtype == np.float32
    array = normalize(ds["counts"], "log_cpm")
    assert isinstance(array, xr.DataArray)
    assert array.name == "log_cpm"


def test_features_by_samples_stay_so():
    ds = dataset([[1, 2, 3], [4, 5, 6]])
    for lazy in (False, True):
        turned = ds.transpose().chunk() if lazy else ds.transpose()
        result = normalize(turned, "tmm")["tmm"]
        assert result.dims == ("feature", "sample")
        np.testing.assert_allclose(result.T, normalize(ds, "tmm")["tmm"])


def test_raw_counts_of_a_cohort():
    result = normalize(open_sample().drop_vars(["real", "synthetic"]), "cpm")
    assert result["cpm"].dims == ("raw_sample", "raw_feature")
    np.testing.assert_allclose(result["cpm"].sum("raw_feature"), 1e6)


def test_several_matrices_are_listed():
    ds = open_sample(normalization="TC", model="CVAE1_5")
    with pytest.raises(OptionError, match=r"real, synthetic, raw.*variable="):
        normalize(ds, "cpm")
    assert "cpm" in normalize(ds, "cpm", variable="raw")
    assert "real" in normalize(ds, "cpm", variable="raw")


def test_what_is_not_a_matrix_is_told_with_the_next_step():
    with pytest.raises(OptionError, match=r"select one first, e\.g\. ds\.sel\(normalization="):
        normalize(open_sample(), "quantile", variable="real")
    with pytest.raises(OptionError, match="rename"):
        normalize(xr.Dataset({"x": (("cell", "gene"), [[1]])}), "cpm")
    with pytest.raises(OptionError, match="counts"):
        normalize(dataset([[1]]), "cpm", variable="tpm")
    with pytest.raises(OptionError, match="cpm, log_cpm"):
        normalize(dataset([[1]]), "rpkm")
    with pytest.raises(OptionError, match="float32"):
        normalize(dataset([[1]]), "cpm", dtype="int8")
    with pytest.raises(OptionError, match="coordinate"):
        normalize(dataset([[1]], sample=["a"]), "cpm", name="sample")
    with pytest.raises(OptionError, match="DataFrame"):
        normalize(pd.DataFrame([[1]]), "cpm")


# -- laziness and memory ----------------------------------------------------------------------------------------------


class Blocks:
    """Counts in blocks that know how many of them are alive at once."""

    def __init__(self, blocks, rows, columns):
        self.alive = self.most = self.made = 0
        self._lock = threading.Lock()
        self._rows, self._columns = rows, columns
        self.array = da.map_blocks(
            self._make, chunks=((rows,) * blocks, (columns,)), dtype="uint32", meta=np.empty((0, 0), "uint32")
        )

    def _make(self, block_info=None):
        number = block_info[None]["chunk-location"][0]
        block = np.random.default_rng(number).poisson(30, (self._rows, self._columns)).astype("uint32")
        with self._lock:
            self.made, self.alive = self.made + 1, self.alive + 1
            self.most = max(self.most, self.alive)
        weakref.finalize(block, self._gone)
        return block

    def _gone(self):
        with self._lock:
            self.alive -= 1


PASSES = {"cpm": 1, "log_cpm": 1, "log_trimmed_mean": 1, "quantile": 2, "median_of_ratios": 3, "tmm": 5}


@pytest.mark.parametrize("method", PASSES)
def test_memory_is_bounded_by_the_blocks(method, monkeypatch):
    monkeypatch.setattr("intake_tcga.arrays.sample_blocks._KEPT", 0)
    blocks = Blocks(40, 5, 50)
    lazy = normalize(xr.DataArray(blocks.array, dims=("sample", "feature")), method)
    assert blocks.made == 0, "it was read before it was asked for"
    total = lazy.sum().data
    with dask.config.set(scheduler="threads", num_workers=2):
        total.compute()
    assert blocks.made == PASSES[method] * 40
    assert blocks.most <= 6


def test_small_data_are_read_once():
    blocks = Blocks(4, 5, 50)
    normalize(xr.DataArray(blocks.array, dims=("sample", "feature")), "tmm").compute()
    assert blocks.made == 4


class Unread(BackendArray):
    """A matrix in a file, as xarray sees it; counts the rows that were read."""

    def __init__(self, values):
        self.values, self.rows = values, 0
        self.shape, self.dtype = values.shape, values.dtype

    def __getitem__(self, key):
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.BASIC, self._get)

    def _get(self, key):
        part = self.values[key]
        self.rows += len(part)
        return part


def test_what_is_not_read_yet_stays_unread():
    values = np.random.default_rng(0).poisson(9, (6, 4))
    file = Unread(values)
    ds = xr.Dataset({"counts": (("sample", "feature"), indexing.LazilyIndexedArray(file))})
    result = normalize(ds, "cpm")["cpm"]
    assert dask.is_dask_collection(result)
    assert file.rows == 0
    np.testing.assert_array_equal(result[2:4], normalize(dataset(values), "cpm")["cpm"][2:4])


@pytest.mark.parametrize("method", METHODS)
def test_travels_to_other_processes(method):
    counts = dataset(np.random.default_rng(0).poisson(9, (6, 4)))
    result = pickle.loads(pickle.dumps(normalize(counts.chunk(sample=2), method)))
    np.testing.assert_allclose(result[method], normalize(counts, method)[method])
