"""Barcodes for the anonymous rows of schema 1.0."""

import os
import pickle

import h5py
import numpy as np
import pytest
import xarray as xr
from cohort_files import barcodes, write_mirna

from intake_tcga.arrays.lazy_index import LazyIndex
from intake_tcga.cohorts.barcodes import LABELS, match_rows
from intake_tcga.cohorts.dataset import open_dataset
from intake_tcga.cohorts.sample import catalogs_folder
from intake_tcga.cohorts.tree import open_tree
from intake_tcga.hdf5 import chunks

SAMPLE = catalogs_folder() / "sample" / "PRAD_sample_type.h5"
EPS = float(np.finfo("f8").eps)


@pytest.fixture
def reads(monkeypatch):
    seen = []
    original = chunks.read
    monkeypatch.setattr(
        chunks, "read", lambda file, requests: (seen.extend(requests), original(file, requests))
    )
    return seen


def expected_barcodes(path):
    """Find each row's barcode the slow way."""
    with h5py.File(path) as file:
        raw, filtered = file["raw"], file["processed/raw_norm"]
        names = list(raw["feature_names"][()])
        columns = [names.index(name) for name in filtered["feature_names"][()]]
        logs = np.log2(raw["expression"][()][:, columns] + 1)
        rows = [
            np.flatnonzero((np.abs(logs - row) < 1e-9).all(axis=1)).item()
            for row in filtered["expression"][()]
        ]
        return [raw["sample_ids"][row].decode() for row in rows]


@pytest.mark.parametrize("dtype", ["f8", "f4"])
@pytest.mark.parametrize("n_samples", [0, 1, 20, 30])
def test_every_row_gets_its_barcode(tmp_path, dtype, n_samples):
    path = write_mirna(tmp_path / "a.h5", n_raw=30, n_samples=n_samples, dtype=dtype)
    with h5py.File(path, "a") as file:
        file["raw/feature_names"][:] = [n.decode().replace(".", "-") for n in file["raw/feature_names"]]
        if dtype == "f4":
            assert file["processed/raw_norm/expression"].dtype == "f4"
    with open_dataset(path) as ds:
        labels = ds.sample.values
        assert set(labels) <= set(barcodes(30))
        assert labels.tolist() == sorted(labels)
        assert len(labels) == n_samples
        assert ds.sample.attrs[LABELS].startswith("TCGA barcodes")


def test_the_real_sample():
    with open_dataset(SAMPLE) as ds:
        assert ds.sample.values.tolist() == expected_barcodes(SAMPLE)
        one = ds.sel(sample="TCGA.CH.5752.01A.11R.1579.13")
        np.testing.assert_array_equal(one["real"], ds["real"].isel(sample=1))
        assert one["group"].item() == ds.raw_group.sel(raw_sample=one.sample.item()).item()


def test_it_costs_nothing_until_a_label_is_asked_for(reads):
    with open_dataset(SAMPLE, chunks={}) as ds:
        narrowed = ds.sel(normalization="TC").isel(sample=slice(2, 9)).isel(sample=[1, 0])
        one = ds.isel(sample=4).rename(feature="f")
        again = pickle.loads(pickle.dumps(ds.rename(sample="s")))
        ds.copy(deep=True).chunk()
        assert reads == []
        everything = open_dataset(SAMPLE).sample.values
        assert narrowed.sample.values.tolist() == everything[[3, 2]].tolist()
        assert one.sample.item() == everything[4]
        assert again.s.values.tolist() == everything.tolist()
        count = len(reads)
        ds.sample.values, ds.sample.values, ds.sel(sample=everything[3])
        assert len(reads) == count  # made once, whatever they were selected from


def test_to_xarray_it_is_an_index_like_any_other():
    with open_dataset(SAMPLE) as ds:
        real = ds["real"].sel(normalization="TC")
        labels = list(expected_barcodes(SAMPLE))
        ages = xr.DataArray(np.arange(5), {"sample": labels[:5]}, "sample")
        assert (real + ages).sizes["sample"] == 5
        assert (ages + real).sizes["sample"] == 5
        assert xr.align(ages, real, join="outer")[0].sizes["sample"] == len(labels)
        assert xr.concat([real, real], "sample").sizes["sample"] == 2 * len(labels)
        assert real.reindex(sample=labels[::-1]).sample.values.tolist() == labels[::-1]
        assert real.sortby("sample").sample.values.tolist() == sorted(labels)
        assert real.to_pandas().index.tolist() == labels
        assert ds.sel(sample=slice(labels[2], labels[4])).sizes["sample"] == 3
        assert ds.drop_sel(sample=labels[0]).sizes["sample"] == len(labels) - 1
        assert ds.assign(age=ages)["age"].notnull().sum() == 5
        assert set(ds.where(ds.group == "Normal", drop=True).sample.values) < set(labels)
        assert isinstance(ds.stack(both=("sample", "feature")), xr.Dataset)
        assert "TCGA.CH" in repr(ds)
        xr.testing.assert_identical(ds.merge(ds[["real"]]).compute(), ds.compute())


def numbers_because(path, why):
    with open_dataset(path) as ds:
        assert ds.sample.values.tolist() == list(range(ds.sizes["sample"]))
        assert ds.sel(sample=1).sample.item() == 1
        assert ds.sample.attrs[LABELS].startswith("row numbers, because")
        assert why in ds.sample.attrs[LABELS]


def change(path, name, row, value):
    with h5py.File(path, "a") as file:
        file[name][row] = value


def test_without_sample_ids(tmp_path):
    numbers_because(write_mirna(tmp_path / "a.h5", sample_ids=False), "no sample_ids")


def test_without_raw_norm(tmp_path):
    numbers_because(
        write_mirna(tmp_path / "a.h5", normalizations=("TC", "DESeq")), "no '/processed/raw_norm'"
    )


def test_with_a_feature_that_raw_lacks(tmp_path):
    path = write_mirna(tmp_path / "a.h5")
    change(path, "processed/raw_norm/feature_names", 0, "other")
    numbers_because(path, "feature")


@pytest.mark.filterwarnings("ignore:.*row numbers")
def test_with_a_row_that_matches_nothing(tmp_path):
    path = write_mirna(tmp_path / "a.h5")
    change(path, "processed/raw_norm/expression", (3, 2), 5.4321)
    numbers_because(path, "row 3 of raw_norm equals log2(raw + 1) of 0 raw samples")


@pytest.mark.filterwarnings("ignore:.*row numbers")
def test_with_two_equal_raw_samples(tmp_path):
    path = write_mirna(tmp_path / "a.h5", n_raw=6, n_samples=6)
    with h5py.File(path, "a") as file:
        file["raw/expression"][4] = file["raw/expression"][1]
    numbers_because(path, "of 2 raw samples")


@pytest.mark.filterwarnings("ignore:.*row numbers")
def test_out_of_order(tmp_path):
    path = write_mirna(tmp_path / "a.h5", n_raw=6, n_samples=6)
    with h5py.File(path, "a") as file:
        rows = file["processed/raw_norm/expression"][()]
        file["processed/raw_norm/expression"][...] = rows[[0, 2, 1, 3, 4, 5]]
    numbers_because(path, "comes before")


def test_a_failed_match_warns(tmp_path):
    path = write_mirna(tmp_path / "a.h5")
    change(path, "processed/raw_norm/expression", (3, 2), 5.4321)
    with (
        open_dataset(path) as ds,
        pytest.warns(UserWarning, match="a.h5: the labels of 'sample' are row numbers"),
    ):
        ds.sample.values  # noqa: B018


WHY = "row 3 of raw_norm equals log2(raw + 1) of 0 raw samples"


@pytest.mark.filterwarnings("ignore:.*row numbers")
@pytest.mark.parametrize(
    "derive",
    [
        lambda path: open_dataset(path, chunks={}, normalization="TC", drop_variables="raw"),
        lambda path: xr.open_dataset(path, engine="tcga"),
        lambda path: xr.open_dataset(path, engine="tcga", chunks={}, model="CVAE1_5"),
        lambda path: open_dataset(path).sel(normalization="TC").isel(feature=slice(3)),
        lambda path: open_dataset(path).isel(sample=slice(1, 5)),
        lambda path: open_dataset(path).load(),
        lambda path: open_dataset(path).copy(deep=True).assign_attrs(mine=1),
        lambda path: open_dataset(path).assign_coords(mine=1)[["real"]],
        lambda path: pickle.loads(pickle.dumps(open_dataset(path))),
        lambda path: open_tree(path)["processed/TC"],
        lambda path: open_tree(path, chunks={})["processed/TC"].to_dataset(),
    ],
)
def test_the_dataset_in_hand_says_why_a_match_failed(tmp_path, derive):
    path = write_mirna(tmp_path / "a.h5")
    change(path, "processed/raw_norm/expression", (3, 2), 5.4321)
    os.utime(path, (1_000_000_000.5, 1_000_000_000.5))  # nothing is kept of a file of this moment
    ds = derive(path)
    assert ds["sample"].attrs[LABELS].startswith("TCGA barcodes")
    ds["sample"].values  # noqa: B018
    assert WHY in ds["sample"].attrs[LABELS]
    assert WHY in ds["sample"].variable.attrs[LABELS]
    assert WHY in ds.isel(sample=slice(2))["sample"].attrs[LABELS]
    # The next opening knows from the start.
    with open_dataset(path, normalization="DESeq") as again:
        assert WHY in again["sample"].attrs[LABELS]


@pytest.mark.filterwarnings("ignore:.*row numbers")
@pytest.mark.parametrize("used", [True, False])
def test_a_saved_dataset_says_why_a_match_failed(tmp_path, used):
    path = write_mirna(tmp_path / "a.h5")
    change(path, "processed/raw_norm/expression", (3, 2), 5.4321)
    with open_dataset(path, normalization="TC") as ds:
        if used:
            ds["sample"].values  # noqa: B018
        ds.to_netcdf(tmp_path / "saved.nc")
    with xr.open_dataset(tmp_path / "saved.nc") as saved:
        assert WHY in saved["sample"].attrs[LABELS]


@pytest.mark.filterwarnings("ignore:.*row numbers")
def test_attributes_of_the_labels_stay_the_users(tmp_path):
    path = write_mirna(tmp_path / "a.h5")
    change(path, "processed/raw_norm/expression", (3, 2), 5.4321)
    with open_dataset(path) as ds:
        ds["sample"].attrs["mine"] = 1
        assert ds.sel(normalization="TC")["sample"].attrs["mine"] == 1
        ds["sample"].attrs = {"only": "mine"}
        ds["sample"].values  # noqa: B018
        assert ds["sample"].attrs == {"only": "mine"}
        assert ds.drop_attrs()["sample"].attrs == {}


def test_normalizations_of_different_heights_stay_apart(tmp_path):
    path = write_mirna(tmp_path / "a.h5", n_raw=5, n_samples=4)
    with h5py.File(path, "a") as file:
        for name in ("expression", "groups"):
            rows = file[f"processed/TC/{name}"][:3]
            del file[f"processed/TC/{name}"]
            file[f"processed/TC/{name}"] = rows
        expected = file["processed/TC/expression"][()]
    with open_dataset(path) as ds:
        assert ds.sizes["sample"] == 4 + 3 + 4
        tc = ds["real"].sel(normalization="TC")
        np.testing.assert_array_equal(tc.sel(sample=["TC/0", "TC/1", "TC/2"]), expected)
        assert tc.sel(sample="DESeq/0").isnull().all()
        assert "different numbers of samples" in ds.sample.attrs[LABELS]


def test_the_tree_has_them_too():
    with open_tree(SAMPLE) as tree:
        assert isinstance(tree["processed/TC"].xindexes["sample"], LazyIndex)
        assert tree["processed/TC"].sample.values.tolist() == expected_barcodes(SAMPLE)


def test_matching_allows_for_rounding_and_nothing_more():
    counts = np.array([[1e6, 5.0], [1e6 + 1, 5.0]])
    logs = np.log2(counts + 1)
    assert match_rows(np.nextafter(logs, 99), counts, EPS).tolist() == [0, 1]
    assert "0 raw samples" in match_rows(logs + 1e-9, counts, EPS)


def test_matching_rows_that_are_all_alike_ends():
    assert "of 400 raw samples" in match_rows(np.zeros((400, 3)), np.zeros((400, 3)), EPS)
    assert "0 raw samples" in match_rows(np.full((2, 2), np.nan), np.zeros((2, 2)), EPS)
