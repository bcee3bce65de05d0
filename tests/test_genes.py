"""Filtering and joining features, against plain loops."""

import dask
import dask.array as da
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from intake_tcga.errors import NameNotFoundError, OptionError
from intake_tcga.genes import aggregate_genes, filter_genes

SYMBOLS = ["TP53", "MYC", "TP53", "", None, "MYC", "KRAS", "TP53"]


def dataset(values, symbols=None):
    values = np.asarray(values)
    names = [f"ENSG{number}" for number in range(values.shape[1])]
    coords = {"feature": names, "sample": [f"GSM{number}" for number in range(len(values))]}
    ds = xr.Dataset({"counts": (("sample", "feature"), values)}, coords, {"title": "t"})
    return ds.assign_coords(symbol=("feature", np.array(symbols, dtype=object))) if symbols else ds


# -- filter_genes -----------------------------------------------------------------------------------------------------


def naive_filter(rows, min_reads, needed):
    """Return the numbers of the features that at least ``needed`` samples have."""
    return [j for j in range(len(rows[0])) if sum(row[j] >= min_reads for row in rows) >= needed]


@settings(deadline=None, max_examples=60)
@given(
    counts=arrays(np.uint32, st.tuples(st.integers(1, 8), st.integers(1, 8)), elements=st.integers(0, 4)),
    min_reads=st.sampled_from([0, 1, 2, 2.5, 4]),
    percent=st.integers(0, 100),
    whole=st.integers(0, 9),
)
def test_filter_as_plain_loops(counts, min_reads, percent, whole):
    ds = dataset(counts)
    rows = counts.tolist()
    share = filter_genes(ds, min_reads, percent / 100)
    # 100 · have ≥ percent · samples, in whole numbers
    expected = [
        j
        for j in range(counts.shape[1])
        if 100 * sum(row[j] >= min_reads for row in rows) >= percent * len(rows)
    ]
    xr.testing.assert_identical(share, ds.isel(feature=expected))
    number = filter_genes(ds.chunk(sample=2, feature=3), min_reads, whole)
    xr.testing.assert_identical(number.compute(), ds.isel(feature=naive_filter(rows, min_reads, whole)))


def test_at_least_means_at_least():
    ds = dataset([[20, 19, 21]] + [[0, 0, 0]] * 49)
    assert filter_genes(ds)["feature"].values.tolist() == ["ENSG0", "ENSG2"]
    assert filter_genes(ds, min_reads=20, min_samples=0.021).sizes["feature"] == 0


def test_one_sample_and_every_sample():
    ds = dataset([[20, 20], [0, 20]])
    assert filter_genes(ds, min_samples=1).sizes["feature"] == 2
    assert filter_genes(ds, min_samples=1.0)["feature"].values.tolist() == ["ENSG1"]
    assert filter_genes(ds, min_samples=np.int64(2))["feature"].values.tolist() == ["ENSG1"]


def test_a_share_is_not_off_by_its_binary_tail():
    counts = np.zeros((100, 1), "uint32")
    counts[:7] = 20
    assert filter_genes(dataset(counts), min_samples=0.07).sizes["feature"] == 1
    assert 0.07 * 100 > 7  # what plain arithmetic would compare with


def test_as_archs4py_but_for_at_least():
    # archs4py keeps what is above its threshold, so its 19 is our 20.
    counts = np.random.default_rng(0).poisson(19, (50, 30)).astype("uint32")
    above = ((counts > 19).sum(axis=0) >= 50 * 0.5).nonzero()[0]
    kept = filter_genes(dataset(counts), min_reads=20, min_samples=0.5)
    np.testing.assert_array_equal(kept["counts"], counts[:, above])


def test_filtering_stays_lazy_and_reads_once():
    read = []

    def block(block_info=None):
        read.append(block_info[None]["chunk-location"][0])
        return np.full((5, 4), 20, "uint32")

    values = da.map_blocks(block, chunks=((5,) * 6, (4,)), dtype="uint32", meta=np.empty((0, 0), "uint32"))
    kept = filter_genes(xr.DataArray(values, dims=("sample", "feature"), name="counts"))
    assert sorted(read) == list(range(6))
    assert dask.is_dask_collection(kept)
    assert kept.name == "counts"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_reads": -1}, "min_reads=-1"),
        ({"min_reads": "20"}, "min_reads='20'"),
        ({"min_reads": float("nan")}, "nan"),
        ({"min_samples": -0.1}, "min_samples=-0.1"),
        ({"min_samples": 1.5}, "neither a share"),
        ({"min_samples": True}, "True"),
        ({"min_samples": float("inf")}, "inf"),
        ({"variable": "tpm"}, "counts"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(OptionError, match=message):
        filter_genes(dataset([[1]]), **options)


# -- aggregate_genes --------------------------------------------------------------------------------------------------


def naive_aggregate(rows, labels, how):
    members = {}
    for number, label in enumerate(labels):
        members.setdefault(label, []).append(number)
    function = {"sum": sum, "max": max, "min": min, "mean": lambda v: sum(v) / len(v)}[how]
    return list(members), [[function([row[j] for j in js]) for js in members.values()] for row in rows]


@pytest.mark.parametrize("how", ["sum", "mean", "max", "min"])
@settings(deadline=None, max_examples=25)
@given(counts=arrays(np.uint32, st.tuples(st.integers(1, 6), st.just(8)), elements=st.integers(0, 2**32 - 1)))
def test_aggregate_as_plain_loops(how, counts):
    ds = dataset(counts, SYMBOLS)
    standing_in = [symbol or f"ENSG{number}" for number, symbol in enumerate(SYMBOLS)]
    names, rows = naive_aggregate(counts.tolist(), standing_in, how)
    result = aggregate_genes(ds, how=how)
    assert result["feature"].values.tolist() == names
    np.testing.assert_allclose(result["counts"].values.astype(float), rows, rtol=1e-15)
    if how == "sum":
        assert result["counts"].dtype == np.uint64
        assert result["counts"].values.tolist() == rows
    lazy = aggregate_genes(ds.chunk(sample=2, feature=3), how=how)
    assert dask.is_dask_collection(lazy["counts"])
    xr.testing.assert_identical(lazy.compute(), result)


def test_what_is_known_of_features():
    ds = dataset(np.ones((2, 8), "int32"), SYMBOLS).assign_coords(
        biotype=("feature", ["coding", "coding", "coding", "lnc", "lnc", "pseudo", "coding", "coding"]),
        length=("feature", [1, 2, 1, 3, 4, 5, 6, 1]),
        depth=("sample", [7, 8]),
    )
    result = aggregate_genes(ds.assign(other=("sample", [1, 2]), gc=("feature", np.ones(8))))
    assert result["feature"].values.tolist() == ["TP53", "MYC", "ENSG3", "ENSG4", "KRAS"]
    assert result["symbol"].fillna("nothing").values.tolist() == ["TP53", "MYC", "", "nothing", "KRAS"]
    ids = ["ENSG0;ENSG2;ENSG7", "ENSG1;ENSG5", "ENSG3", "ENSG4", "ENSG6"]
    assert result["feature_ids"].values.tolist() == ids
    assert result["biotype"].values.tolist() == ["coding", "coding;pseudo", "lnc", "lnc", "coding"]
    np.testing.assert_array_equal(result["length"], [1, np.nan, 3, 4, 6])
    assert result["depth"].values.tolist() == [7, 8]
    assert list(result.data_vars) == ["counts", "other"]
    assert result.attrs == {"title": "t"}
    assert result["counts"].attrs["intake_tcga:aggregated"] == "sum by symbol"
    assert result["counts"].dtype == np.int64
    assert result.sel(feature="TP53")["counts"].values.tolist() == [3, 3]


def test_by_the_features_own_names():
    ds = dataset([[1, 2, 3]]).assign_coords(feature=["a", "b", "a"])
    result = aggregate_genes(ds, by="feature")
    assert result["feature"].values.tolist() == ["a", "b"]
    assert result["counts"].values.tolist() == [[4, 2]]
    assert "feature_ids" not in result.coords


def test_aggregating_keeps_arrays_arrays_and_their_order():
    ds = dataset(np.arange(16).reshape(2, 8), SYMBOLS)
    turned = aggregate_genes(ds["counts"].transpose())
    assert isinstance(turned, xr.DataArray)
    assert turned.dims == ("feature", "sample")
    assert turned.name == "counts"
    xr.testing.assert_identical(turned.transpose(), aggregate_genes(ds)["counts"])


def test_without_names_of_features():
    ds = dataset([[1, 2, 3]], ["a", "", "a"]).drop_vars("feature")
    assert aggregate_genes(ds)["feature"].values.tolist() == ["a", "feature 1"]


def test_wrong_labels_are_told_with_the_right_ones():
    with pytest.raises(NameNotFoundError, match="feature, symbol"):
        aggregate_genes(dataset(np.ones((1, 8)), SYMBOLS), by="gene")
    with pytest.raises(OptionError, match="sum, mean, max, min"):
        aggregate_genes(dataset(np.ones((1, 8)), SYMBOLS), how="first")
