"""``ds.archs4`` on whole, narrowed, loaded and saved Datasets."""

import pickle

import archs4_files
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from intake_tcga.archs4.dataset import open_dataset
from intake_tcga.archs4.link import rows_of
from intake_tcga.archs4.metadata import SampleMetadata
from intake_tcga.errors import NameNotFoundError, OptionError
from intake_tcga.genes import aggregate_genes
from intake_tcga.hdf5.file import Hdf5File

N = 50


@pytest.fixture
def path(tmp_path):
    return archs4_files.write_archs4(tmp_path / "file.h5", "latest", n_samples=N)


@pytest.fixture(params=["lazy", "dask"])
def ds(path, request):
    with open_dataset(Hdf5File(path), chunks={} if request.param == "dask" else None) as ds:
        yield ds


def rows_with(path, text, field="source_name_ch1"):
    return [
        row
        for row, value in enumerate(archs4_files.naive_texts(path, f"meta/samples/{field}"))
        if text in value.lower()
    ]


def test_a_search_narrows_counts_and_metadata_together(path, ds):
    found = ds.archs4.search("liver", ["source_name_ch1"])
    rows = rows_with(path, "liver")
    assert rows
    accessions = archs4_files.naive_texts(path, "meta/samples/geo_accession")
    assert found["sample"].values.tolist() == [accessions[row] for row in rows]
    assert (found["counts"].values == archs4_files.naive_matrix(path, "latest")[rows]).all()
    assert found["title"].values.tolist() == [
        archs4_files.naive_texts(path, "meta/samples/title")[row] for row in rows
    ]


def test_a_search_reads_no_counts_and_only_the_fields_that_it_looks_at(path, monkeypatch):
    seen = []
    column = SampleMetadata.column
    monkeypatch.setattr(
        SampleMetadata, "column", lambda self, field: seen.append(field) or column(self, field)
    )
    with open_dataset(Hdf5File(path)) as ds:
        monkeypatch.setattr("intake_tcga.hdf5.chunks.read", lambda *_: pytest.fail("counts were read"))
        found = ds.archs4.search("liver", "source_name_ch1")
        assert rows_of(found)[1].tolist() == rows_with(path, "liver")
    assert seen == ["source_name_ch1"]


def test_searches_within_searches(path, ds):
    found = ds.archs4.search("liver").archs4.search("myoblast", single_cell=False)
    probability = ds["singlecellprobability"].values
    expected = [row for row in rows_with(path, "liver") if row % 3 == 0 and probability[row] < 0.5]
    assert rows_of(found)[1].tolist() == expected
    assert found["geo_accession"].values.tolist() == found["sample"].values.tolist()


def test_no_hit_is_a_dataset_of_no_samples_with_all_its_coordinates(ds):
    found = ds.archs4.search("there is no such tissue")
    assert dict(found.sizes) == {"sample": 0, "feature": ds.sizes["feature"]}
    assert list(found.coords) == list(ds.coords)
    assert found["counts"].values.shape == (0, ds.sizes["feature"])
    assert found.archs4.search("liver").sizes["sample"] == found.archs4.series("GSE1").sizes["sample"] == 0
    assert found.archs4.metadata(["title"]).empty
    assert ds.archs4.search("there is no such tissue", metadata_only=True).shape[0] == 0


def test_tables_instead_of_datasets(path, ds):
    table = ds.archs4.search("liver", "source_name_ch1", metadata_only=True, aligned_reads=(">", 0))
    assert isinstance(table, pd.DataFrame)
    assert list(table.columns) == ["source_name_ch1", "aligned_reads"]
    assert len(table) == len(rows_with(path, "liver"))
    for result in (
        ds.archs4.series("GSE901", metadata_only=True),
        ds.archs4.samples(ds["sample"].values[:2], metadata_only=True),
        ds.archs4.draw(2, seed=1, metadata_only=True),
    ):
        assert list(result.columns) == list(ds.archs4.fields())
    whole = ds.archs4.metadata()
    assert whole.index.tolist() == ds["sample"].values.tolist()
    assert whole["title"].tolist() == ds["title"].values.tolist()
    assert whole["aligned_reads"].tolist() == ds["aligned_reads"].values.tolist()
    assert list(ds.archs4.metadata("title").columns) == ["title"]
    with pytest.raises(NameNotFoundError, match="Did you mean title"):
        ds.archs4.metadata(["titel"])


def test_samples_and_series_and_draws(ds):
    names = ds["sample"].values
    assert ds.archs4.samples([names[5], names[0], names[5]])["sample"].values.tolist() == [
        names[5],
        names[0],
        names[5],
    ]
    with pytest.raises(NameNotFoundError, match="GSM1"):
        ds.archs4.samples(["GSM1"])
    with pytest.warns(UserWarning, match="GSM1") as warned:
        assert ds.archs4.samples(["GSM1", names[1]], missing="ignore")["sample"].values.tolist() == [names[1]]
    assert warned[0].filename == __file__
    members = ds.archs4.series(["GSE200", "GSE901"])
    assert all("GSE200" in text or "GSE901" in text for text in members["series_id"].values)
    drawn = ds.archs4.draw(5, seed=4, single_cell=False)
    assert (drawn["singlecellprobability"].values < 0.5).all()
    assert (
        drawn["sample"].values.tolist()
        == ds.isel(sample=slice(None, None, -1))
        .archs4.draw(5, seed=4, single_cell=False)["sample"]
        .values.tolist()
    )


@pytest.mark.parametrize(
    "way", ["loaded", "computed", "partly loaded", "zarr", "netcdf", "concatenated", "pickled"]
)
def test_datasets_that_no_longer_know_their_file(path, way, tmp_path):
    with open_dataset(Hdf5File(path), chunks={}) as whole:
        few = whole.isel(sample=[9, 4, 30, 4, 12])
        expected = few.archs4.search("liver", aligned_reads=(None, 1_012_000))["sample"].values.tolist()
        assert expected
        if way == "loaded":
            other = few.copy().load()
        elif way == "computed":
            other = few.compute()
        elif way == "partly loaded":
            other = few.copy()
            other["source_name_ch1"].load()
        elif way == "zarr":
            few.to_zarr(tmp_path / "few.zarr")
            other = xr.open_zarr(tmp_path / "few.zarr")
        elif way == "netcdf":
            few.to_netcdf(tmp_path / "few.nc", engine="h5netcdf")
            other = xr.open_dataset(tmp_path / "few.nc", engine="h5netcdf")
        elif way == "concatenated":
            other = xr.concat([few.isel(sample=slice(2)), few.isel(sample=slice(2, None))], "sample")
        else:
            other = pickle.loads(pickle.dumps(few))
        found = other.archs4.search("liver", aligned_reads=(None, 1_012_000))
        assert found["sample"].values.tolist() == expected
        assert set(other.archs4.fields()) == set(few.archs4.fields())
        pd.testing.assert_frame_equal(
            other.archs4.metadata(["title"]), few.archs4.metadata(["title"]), check_dtype=False
        )
        if way in {"loaded", "computed", "zarr", "netcdf", "concatenated"}:
            with pytest.raises(OptionError, match="no longer knows a file"):
                other.archs4.tree()


def test_coordinates_of_the_users_own_are_searched_too(ds):
    mine = ds.assign_coords(batch=("sample", np.arange(N) % 3), note=("sample", ["seen", None] * (N // 2)))
    assert {"batch", "note"} <= set(mine.archs4.fields())
    assert mine.archs4.search("seen", "note", batch=1).sizes["sample"] == sum(
        i % 3 == 1 and i % 2 == 0 for i in range(N)
    )


def test_counts_by_symbol_are_the_tools_own(ds):
    narrowed = ds.archs4.search("liver")
    for how in ("sum", "mean", "max"):
        joined, expected = narrowed.archs4.counts_by_symbol(how), aggregate_genes(narrowed, "symbol", how)
        assert not joined["counts"].variable._in_memory
        xr.testing.assert_identical(joined.load(), expected.load())
    assert len(set(joined["feature"].values.tolist())) == joined.sizes["feature"]
    with pytest.raises(OptionError, match="how='median'"):
        ds.archs4.counts_by_symbol("median")


def test_counts_by_symbol_can_be_searched_further(ds):
    joined = ds.archs4.counts_by_symbol()
    found = joined.archs4.search("liver")
    assert found["sample"].values.tolist() == ds.archs4.search("liver")["sample"].values.tolist()


def test_what_there_is(ds, path):
    assert ds.archs4.fields()[0] in ds.coords
    assert "expression" in ds.archs4.tree()
    assert "human_gene_v2.5" in set(ds.archs4.versions()["name"])
    shown = repr(ds.archs4)
    assert f"{N} samples of {path}" in shown
    assert "title" in shown


def test_a_dataset_of_something_else():
    with pytest.raises(OptionError, match="no dimension 'sample', along which samples are; there are: y"):
        xr.Dataset({"x": ("y", [1])}).archs4.search("liver")
