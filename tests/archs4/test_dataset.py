"""ARCHS4 files as Datasets."""

import pickle
import sys

import h5py
import numpy as np
import pytest
import xarray as xr
from archs4_files import FLAT, LAYOUTS, MALFORMED, REAL, naive_matrix, naive_texts, write_archs4

from intake_tcga.archs4.dataset import FIELD, LEFT_OUT, open_dataset
from intake_tcga.archs4.labels import LABELS, FeatureLabels, SampleLabels
from intake_tcga.archs4.link import link_of, rows_of
from intake_tcga.archs4.matrix import SampleMatrix
from intake_tcga.archs4.metadata import SampleMetadata
from intake_tcga.archs4.releases import LICENCE
from intake_tcga.errors import FileFormatError, MissingDependencyError, OptionError
from intake_tcga.hdf5.file import Hdf5File


def opened(path, **options):
    return open_dataset(Hdf5File(path), **options)


@pytest.mark.parametrize(("version", "level"), LAYOUTS)
def test_every_version_gives_the_same_data_model(tmp_path, version, level):
    path = write_archs4(tmp_path / "a.h5", version, level=level)
    name = "tpm" if level == "tpm" else "counts"
    with opened(path) as ds:
        assert list(ds.data_vars) == [name]
        assert ds[name].dims == ("sample", "feature")
        assert ds.indexes["feature"].is_unique
        where = "/meta/Sample_geo_accession" if version in FLAT else "/meta/samples/geo_accession"
        assert ds["sample"].values.tolist() == naive_texts(path, where)
        wanted = [ds["sample"].values[4], ds["sample"].values[1]]
        np.testing.assert_array_equal(ds[name].sel(sample=wanted).values, naive_matrix(path, version)[[4, 1]])
        assert ds["title"].values[2] == MALFORMED.decode("utf-8", "replace")
        assert ds["title"].attrs[FIELD] == where.replace("geo_accession", "title")


@pytest.mark.parametrize("version", ["1.8", "1.11", "2.5"])
def test_every_field_of_the_file_is_a_lazy_coordinate(tmp_path, version):
    path = write_archs4(tmp_path / "a.h5", version)
    with opened(path) as ds, h5py.File(path) as file:
        groups = [file["meta"]] if version in FLAT else [file["meta/samples"], file["meta/genes"]]
        for group in groups:
            for name, dataset in group.items():
                variable = ds["sample_" if name == "sample" else name].variable
                assert not variable._in_memory
                if dataset.dtype.kind == "f":
                    assert variable.dtype == dataset.dtype
                    np.testing.assert_array_equal(variable.values, dataset[()])
                else:
                    assert variable.values.tolist() == naive_texts(path, dataset.name)


def test_opening_and_printing_decode_nothing_but_what_is_shown(tmp_path, monkeypatch):
    path = write_archs4(tmp_path / "a.h5", n_samples=3000, n_features=20)
    monkeypatch.setattr(SampleMetadata, "column", lambda *_: pytest.fail("a whole column was decoded"))
    monkeypatch.setattr(SampleLabels, "labels", lambda *_: pytest.fail("all labels were made"))
    monkeypatch.setattr(SampleMatrix, "_get", lambda *_: pytest.fail("values were read"))
    with opened(path, chunks={}) as ds:
        assert "GSM1000005" in repr(ds)
        assert "GSM1000005" in ds._repr_html_()
        few = ds.isel(sample=[7, 5])
        assert few["sample"].values.tolist() == ["GSM1000002", "GSM1000000"]
        assert ds["sample"][-1].item() == f"GSM{1_000_000 + (2999 ^ 5)}"


def test_features_are_not_read_at_opening(tmp_path, monkeypatch):
    monkeypatch.setattr(FeatureLabels, "labels", lambda *_: pytest.fail("labels were read"))
    with opened(write_archs4(tmp_path / "a.h5")) as ds:
        assert ds.isel(feature=slice(3)).sizes["feature"] == 3


@pytest.mark.parametrize(
    ("version", "level", "first", "which"),
    [
        ("2.5", "gene", ["ENSG00000000000", "ENSG00000000001"], "ensembl_gene"),
        ("latest", "transcript", ["ENST00000000000", "ENST00000000001"], "ensembl_transcript"),
        ("1.8", "gene", ["GENE0", "GENE1"], "symbol"),
        ("2.1.2", "gene", ["GENE0", "MATR3#1"], "symbol, with #row where several have the same"),
    ],
)
def test_features_are_called_by_what_tells_them_apart(tmp_path, version, level, first, which):
    with opened(write_archs4(tmp_path / "a.h5", version, level=level)) as ds:
        assert ds["feature"].values[:2].tolist() == first
        assert ds["feature"].attrs[LABELS] == which
        assert ds["feature"].to_index().is_unique


def test_features_without_any_name_are_numbered(tmp_path):
    names = [b"A", b"A#0", b"A", b"B"]
    with opened(
        write_archs4(tmp_path / "a.h5", "2.1.2", n_features=4, features={"gene_symbol": names})
    ) as ds:
        assert ds["feature"].values.tolist() == ["0", "1", "2", "3"]
        assert ds["symbol"].values.tolist() == ["A", "A#0", "A", "B"]


def test_attributes_say_what_the_file_says(tmp_path):
    path = write_archs4(tmp_path / "a.h5", "1.11", samples={"short": [b"a"]})
    with h5py.File(path, "a") as file:
        file.attrs["built"] = "today"
        file["data/expression"].attrs["aligner"] = "kallisto"
    with opened(path, attrs={"intake_tcga:source": "here"}) as ds:
        assert ds.attrs["author"] == "Alexander Lachmann"
        assert ds.attrs["version"] == 11
        assert ds.attrs["built"] == "today"
        assert ds.attrs["intake_tcga:source"] == "here"
        assert ds.attrs["licence"] == LICENCE
        assert "Lachmann" in ds.attrs["citation"]
        assert ds.attrs[LEFT_OUT] == ["/meta/samples/short: its shape is (1,), its type object"]
        assert ds["counts"].attrs == {"units": "reads", "aligner": "kallisto"}


def test_a_file_of_other_makers_has_no_licence_of_archs4(sample_archs4):
    with opened(sample_archs4) as ds:
        assert "licence" not in ds.attrs


def test_without_pyarrow_opening_says_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingDependencyError, match=r"intake-tcga\[archs4\]"):
        opened(write_archs4(tmp_path / "a.h5"))


class TestChunks:
    @pytest.fixture
    def path(self, tmp_path):
        return write_archs4(tmp_path / "a.h5", n_samples=40, n_features=30, chunks=(10, 1))

    def test_by_samples_of_any_size(self, path):
        with opened(path, chunks={"sample": 16}) as ds:
            assert ds["counts"].chunks == ((16, 16, 8), (30,))
            np.testing.assert_array_equal(ds["counts"].mean("sample").compute(), naive_matrix(path).mean(0))
            assert ds["counts"].dtype == np.uint32

    def test_coordinates_stay_lazy_and_linked(self, path):
        with opened(path, chunks={}) as ds:
            assert ds["singlecellprobability"].chunks is None
            _, rows = rows_of(ds.isel(sample=[3, 1]))
            assert rows.tolist() == [3, 1]

    def test_a_graph_of_1800_tasks_pickles_small(self, path):
        from dask.base import tokenize

        with opened(path, chunks={"sample": 1, "feature": 1}) as ds:
            assert ds["counts"].data.npartitions == 1200
            assert len(pickle.dumps(ds)) < 400_000
            assert len(pickle.dumps(ds.coords.to_dataset())) < 20_000
        with opened(path, chunks={"sample": 1, "feature": 1}) as again:
            assert tokenize(again["counts"].data) == tokenize(ds["counts"].data)

    @pytest.mark.parametrize("chunks", [{"samples": 3}, "many", -2, {"sample": 0}])
    def test_wrong_chunks(self, path, chunks):
        with pytest.raises(OptionError, match="sample"):
            opened(path, chunks=chunks)

    def test_on_a_cluster_of_processes(self, path):
        from distributed import Client, LocalCluster

        with (
            LocalCluster(
                n_workers=1, threads_per_worker=1, processes=True, dashboard_address=None
            ) as cluster,
            Client(cluster),
            opened(path, chunks={"sample": 9}) as ds,
        ):
            half = ds.isel(sample=slice(None, None, 2))
            np.testing.assert_array_equal(
                half["counts"].sum("feature").compute(), naive_matrix(path)[::2].sum(1)
            )


def test_a_dataset_pickles_with_its_link(tmp_path):
    path = write_archs4(tmp_path / "a.h5")
    with opened(path) as ds:
        copy = pickle.loads(pickle.dumps(ds.isel(sample=[4, 2], feature=[1])))
    np.testing.assert_array_equal(copy["counts"].values, naive_matrix(path)[[4, 2]][:, [1]])
    assert copy["sample"].values.tolist() == ["GSM1000001", "GSM1000007"]
    assert copy["feature"].values.tolist() == ["ENSG00000000001"]
    metadata, rows = rows_of(copy)
    assert rows.tolist() == [4, 2]
    assert metadata.values("taxid_ch1", rows).tolist() == ["9606", "9606"]


def test_opening_costs_the_same_for_200_times_as_many_samples(tmp_path, monkeypatch):
    """By what is asked of HDF5: as many calls, and none whose cost depends on how many chunks there are."""
    calls = []
    for name in ("kind", "members", "array_info", "attributes", "objects", "text", "names"):
        original = getattr(Hdf5File, name)
        monkeypatch.setattr(
            Hdf5File, name, lambda *a, n=name, o=original, **k: (calls.append(n), o(*a, **k))[1]
        )
    counted = []
    for n_samples in (300, 60_000):
        samples = dict.fromkeys(("characteristics_ch1", "extract_protocol_ch1", "title", "status"))
        path = write_archs4(
            tmp_path / f"{n_samples}.h5",
            n_samples=n_samples,
            n_features=9,
            sparse=True,
            fixed=True,
            samples=samples,
        )
        calls.clear()
        opened(path).close()
        counted.append(sorted(calls))
    assert counted[0] == counted[1]


def test_saved_and_reopened_as_zarr(tmp_path):
    path = write_archs4(tmp_path / "a.h5")
    with opened(path, chunks={}) as ds:
        ds.isel(sample=[3, 1]).to_zarr(tmp_path / "a.zarr")
        again = xr.open_zarr(tmp_path / "a.zarr")
        np.testing.assert_array_equal(again["counts"].values, naive_matrix(path)[[3, 1]])
        assert again["sample"].values.tolist() == ds["sample"].values[[3, 1]].tolist()
        assert rows_of(again) is None


@pytest.mark.parametrize("name", sorted(path.name for path in REAL.glob("*.h5")))
def test_real_excerpts(name):
    with opened(REAL / name) as ds, h5py.File(REAL / name) as file:
        turned = file["data/expression"][()] if name == "mouse_matrix.h5" else file["data/expression"][()].T
        np.testing.assert_array_equal(ds["counts"].values, turned)
        assert ds["counts"].dtype == np.int32
        assert ds.indexes["feature"].is_unique
        if name != "mouse_matrix.h5":
            assert ds["sample"].values[0] == file["meta/samples/geo_accession"][0].decode()
            assert ds["symbol"].values.tolist() == [v.decode() for v in file["meta/genes/genes"]]
            np.testing.assert_array_equal(ds["aligned_reads"].values, file["meta/samples/readsaligned"][()])


class TestLink:
    @pytest.fixture
    def ds(self, tmp_path):
        with opened(write_archs4(tmp_path / "a.h5", n_samples=9)) as ds:
            yield ds

    @pytest.mark.parametrize(
        "selected",
        [
            lambda ds: (ds, range(9)),
            lambda ds: (ds.isel(sample=slice(2, 8, 3)), [2, 5]),
            lambda ds: (ds.isel(sample=slice(None, None, -2)), [8, 6, 4, 2, 0]),
            lambda ds: (ds.isel(sample=[5, 2, 2, -1]), [5, 2, 2, 8]),
            lambda ds: (ds.isel(sample=[5, 2, 7]).isel(sample=[-1, 0]), [7, 5]),
            lambda ds: (ds.isel(sample=slice(3, 7)).isel(sample=[True, False, False, True]), [3, 6]),
            lambda ds: (ds.sel(sample=["GSM1000004", "GSM1000005"]), [1, 0]),
            lambda ds: (ds.isel(sample=[]), []),
            lambda ds: (ds[["counts"]].isel(sample=[4], feature=[0]), [4]),
            lambda ds: (ds.assign_attrs(a=1).copy(deep=True).isel(sample=[4]), [4]),
            lambda ds: (ds.where(ds["symbol"] == "GENE2", drop=True).isel(sample=[1]), [1]),
            lambda ds: (ds.sortby("sample").isel(sample=[0, 1]), [5, 4]),
        ],
    )
    def test_selections_know_their_rows(self, ds, selected):
        part, rows = selected(ds)
        linked = rows_of(part)
        assert linked is not None
        metadata, found = linked
        assert np.arange(9)[found].tolist() == list(rows)
        assert metadata.n_samples == 9
        assert link_of(part["title"].variable).field == "title"

    @pytest.mark.parametrize(
        "changed",
        [
            lambda ds: xr.concat([ds.isel(sample=[1]), ds.isel(sample=[0])], "sample"),
            lambda ds: ds.drop_vars([name for name in ds.coords if name != "sample"]),
            lambda ds: ds.compute(),
        ],
    )
    def test_what_is_not_the_files_any_longer_has_no_link(self, ds, changed):
        assert rows_of(changed(ds)) is None

    def test_a_coordinate_from_elsewhere_breaks_it(self, ds):
        other = ds.isel(sample=slice(None, None, -1))
        mixed = ds.assign_coords(title=("sample", other["title"].variable))
        assert rows_of(mixed) is None
        assert link_of(mixed["title"].variable).rows.tolist() == list(range(8, -1, -1))


def test_a_file_that_is_no_archs4_file_is_closed(tmp_path, sample_file):
    file = Hdf5File(sample_file)
    with pytest.raises(FileFormatError, match="ARCHS4"):
        open_dataset(file)
