"""Intake V2 over ARCHS4: one reader, catalogs that reopen by themselves, and what intake recommends."""

import pickle
import re
from functools import partial

import intake
import numpy as np
import pytest
import xarray as xr
from archs4_files import LAYOUTS, naive_matrix, write_archs4
from faulty_server import FaultyServer
from intake.readers.entry import Catalog
from test_readers import fresh_python

from intake_tcga.archs4.access import open_archs4
from intake_tcga.archs4.collection import Archs4Collection
from intake_tcga.archs4.narrowing import Narrowing
from intake_tcga.cohorts.sample import catalogs_folder
from intake_tcga.errors import NameNotFoundError, OfflineError, OptionError
from intake_tcga.readers import (
    Archs4CatalogReader,
    Archs4File,
    Archs4Reader,
    Archs4Releases,
    CohortFile,
    CohortSearch,
    archs4_to_v2,
)

SECRET = "hunter2"
OPTIONS = {"https": {"headers": {"Authorization": SECRET}, "proxy": "http://proxy"}}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_archs4(tmp_path_factory.mktemp("archs4") / "x.h5", n_samples=40, n_features=60)


@pytest.fixture
def reader(path):
    return Archs4Reader(str(path))


@pytest.fixture
def cat():
    return archs4_to_v2(Archs4Collection())


class TestRecommend:
    @pytest.mark.parametrize(("version", "level"), LAYOUTS)
    def test_by_content(self, tmp_path, version, level):
        path = write_archs4(tmp_path / "x.bin", version, level=level)
        assert intake.recommend(str(path))[0] is Archs4File

    def test_the_samples(self):
        folder = catalogs_folder() / "sample"
        assert intake.recommend(str(folder / "gtex_lung.h5"))[0] is Archs4File
        assert intake.recommend(str(folder / "PRAD_sample_type.h5"))[0] is CohortFile
        for release in Archs4Collection().releases:
            assert intake.recommend(release.url, head=False)[0] is Archs4File

    def test_other_files_are_not(self, tmp_path):
        xr.Dataset({"data": ("x", [1.0]), "meta": ("x", [1.0])}).to_netcdf(
            tmp_path / "o.h5", engine="h5netcdf"
        )
        assert Archs4File not in intake.recommend(str(tmp_path / "o.h5"))
        for url in ("https://host/human.h5", "https://host/human_gene_v2.5.csv", "x/superhuman_gene_v2.5.h5"):
            assert Archs4File not in intake.recommend(url, head=False)


class TestReader:
    def test_read_to_dask_discover(self, reader, path, monkeypatch):
        np.testing.assert_array_equal(reader.read()["counts"], naive_matrix(path))
        assert reader(chunks={"sample": 7}).to_dask().chunksizes["sample"][0] == 7
        monkeypatch.setattr("intake_tcga.archs4.matrix.chunks.read", None)
        assert dict(reader.discover().sizes) == {"sample": 40, "feature": 60}

    def test_narrowed_as_the_accessor_does(self, reader, path):
        options = {"search": "myoblast", "single_cell": False, "draw": 3, "seed": 5}
        with open_archs4(path) as ds:
            expected = ds.archs4.search("myoblast", single_cell=False).archs4.draw(3, seed=5).load()
        for found in (
            reader.read(**options),
            reader(**options).read(),
            Archs4Reader(str(path), **options).read(),
        ):
            assert found["sample"].values.tolist() == expected["sample"].values.tolist()
            np.testing.assert_array_equal(found["counts"], expected["counts"])

    def test_its_options_are_those_of_narrowings(self):
        assert Archs4Reader.options == (*Narrowing.names(), "download", "chunks")

    def test_options_that_do_not_exist(self, reader):
        for make in (
            partial(reader, serie="GSE1"),
            partial(reader.to_dask, serie="GSE1"),
            partial(Archs4Reader, "x.h5", serie="GSE1"),
        ):
            with pytest.raises(OptionError, match="did you mean 'series'"):
                make()
        with pytest.raises(OptionError, match="did you mean 'cache_storage'"):
            Archs4File("x.h5", cache_storag="/x")

    def test_more_than_memory_is_refused(self, reader, monkeypatch):
        monkeypatch.setattr("intake_tcga.arrays.memory._memory", lambda: 1000)
        with pytest.raises(OptionError, match="this machine has"):
            reader.read()

    def test_releases_paths_and_urls(self, path, cache_dir):
        assert Archs4Reader("human_gene_v2.5") == Archs4Reader(url="human_gene_v2.5")
        with pytest.raises(OfflineError, match="human_gene_v2.5"):
            Archs4Reader("human_gene_v2.5", offline=True).discover()
        with FaultyServer({"x.h5": path.read_bytes()}) as server:
            remote = Archs4Reader(server.url("x.h5"), draw=2)
            assert remote.read()["counts"].shape == (2, 60)
            assert remote(download=True).read()["counts"].shape == (2, 60)
            assert remote.local_path().startswith(str(cache_dir))

    def test_pickles_and_pipelines(self, reader):
        chosen = reader(series="GSE901")
        assert pickle.loads(pickle.dumps(chosen)) == chosen
        assert chosen.apply(shape_of).read() == (10, 60)

    def test_it_reopens_from_yaml(self, reader, tmp_path):
        catalog = Catalog()
        catalog["mine"] = reader(search=["a{2}|myoblast", "cell"], match="any")
        catalog.to_yaml_file(str(tmp_path / "c.yaml"))
        again = Catalog.from_yaml_file(str(tmp_path / "c.yaml"))["mine"]
        assert again == catalog["mine"]
        xr.testing.assert_identical(again.read(), catalog["mine"].read())

    def test_conditions_mean_the_same_when_reopened(self, reader, tmp_path):
        catalog = Catalog()
        catalog["mine"] = reader(where={"singlecellprobability": (0.2, 0.5)})
        expected = reader(where={"singlecellprobability": (0.2, 0.5)}).discover()["sample"].values.tolist()
        catalog.to_yaml_file(str(tmp_path / "c.yaml"))
        again = Catalog.from_yaml_file(str(tmp_path / "c.yaml"))["mine"]
        assert again.discover()["sample"].values.tolist() == expected
        assert 0 < len(expected) < 40
        with pytest.raises(OptionError, match="title.* cannot be saved"):
            catalog["one"] = reader(where={"title": re.compile("Sample 1$")})


def shape_of(dataset):
    return dataset["counts"].shape


class TestCatalog:
    def test_it_lists_releases_without_asking(self, cat):
        assert type(cat) is Catalog
        assert list(cat) == Archs4Collection().names()
        assert cat["human_gene_v2.5"].metadata["samples"] == 888_821
        assert "CC BY" in cat["human_gene_v2.5"].metadata["licence"]
        assert repr(cat["human_gene_v2.5"]) == "<Archs4Reader: human_gene_v2.5>"

    def test_chosen_names_and_options(self):
        cat = archs4_to_v2(Archs4Collection(), names=["Mouse_gene_v2.5.h5"], single_cell=False)
        assert list(cat) == ["mouse_gene_v2.5"]
        assert cat["mouse_gene_v2.5"].kwargs["single_cell"] is False
        with pytest.raises(NameNotFoundError, match="did you mean"):
            archs4_to_v2(Archs4Collection(), names=["human_gene_v25"])
        with pytest.raises(OptionError, match="did you mean 'series'"):
            archs4_to_v2(Archs4Collection(), serie="GSE1")

    def test_a_fresh_process_reopens_it(self, tmp_path):
        archs4_to_v2(Archs4Collection(offline=True), series="GSE1").to_yaml_file(str(tmp_path / "c.yaml"))
        code = f"""
import sys, intake
cat = intake.from_yaml_file({str(tmp_path / "c.yaml")!r})
print(len(cat), "intake_tcga.readers" in sys.modules)
reader = cat["human_gene_v2.5"]
print(reader, reader.data.collection.offline, reader.metadata["features"])
"""
        lines = fresh_python(code, tmp_path).splitlines()
        assert lines[0] == f"{len(Archs4Collection().names())} False"
        assert lines[1] == "<Archs4Reader: human_gene_v2.5: series='GSE1'> True 67186"

    def test_every_option_of_a_collection_is_kept(self, tmp_path):
        options = {"offline": True, "cache_storage": str(tmp_path), "verify": "always", "progress": False}
        archs4_to_v2(Archs4Collection(**options)).to_yaml_file(str(tmp_path / "c.yaml"))
        reopened = Catalog.from_yaml_file(str(tmp_path / "c.yaml"))["human_gene_v2.5"].data.collection
        assert reopened == Archs4Collection(**options)

    def test_from_v1(self):
        one = intake.open_tcga_archs4().search(species="mouse", version="2.5")
        assert list(one.to_v2()) == list(one)

    def test_found_by_metadata(self, cat):
        assert list(cat.search(CohortSearch(version="2.5", species="human"))) == ["human_gene_v2.5"]

    def test_credentials(self, tmp_path):
        cat = archs4_to_v2(Archs4Collection(storage_options=OPTIONS))
        file = Archs4Reader(f"https://me:{SECRET}@host/x.h5?s={SECRET}", storage_options=OPTIONS)
        cat["mine"] = file
        cat.to_yaml_file(str(tmp_path / "c.yaml"))
        shown = [
            (tmp_path / "c.yaml").read_text(),
            repr(cat),
            repr(cat.to_dict()),
            repr(file),
            repr(file.data),
        ]
        shown += [repr(cat["human_gene_v2.5"].to_dict()), repr(Archs4CatalogReader(storage_options=OPTIONS))]
        assert SECRET not in "".join(shown)
        for name in ("human_gene_v2.5", "mine"):
            assert cat[name].data.collection.storage_options == OPTIONS
            assert pickle.loads(pickle.dumps(cat))[name].data.collection.storage_options == OPTIONS


class TestCatalogReader:
    def test_it_is_a_mapping(self):
        reader = Archs4Releases().to_reader()
        assert isinstance(reader, Archs4CatalogReader)
        assert list(reader) == reader.keys() == Archs4Collection().names()
        assert "human_gene_v2.5" in reader
        assert "human_gene_v9" not in reader
        assert reader["human_gene_v2.5"] == reader.read()["human_gene_v2.5"]
        assert reader.human_gene_latest == reader["human_gene_latest"]
        assert reader.read() is reader.read()
        assert len(reader.search(species="mouse", level="gene", version=["2.5", "2.4"])) == 2
        with pytest.raises(OptionError, match="species"):
            reader.search(organism="mouse")
        with pytest.raises(AttributeError, match="nothing"):
            reader.nothing  # noqa: B018

    def test_in_a_catalog(self, tmp_path):
        catalog = Catalog()
        catalog["archs4"] = Archs4CatalogReader(offline=True)
        catalog.to_yaml_file(str(tmp_path / "c.yaml"))
        again = Catalog.from_yaml_file(str(tmp_path / "c.yaml"))["archs4"]
        assert again["mouse_gene_v2.5"].data.collection.offline is True


def test_workers_read_for_themselves(reader):
    import distributed

    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        assert client.submit(len_of, reader(draw=4)).result() == 4


def len_of(reader):
    return reader.read().sizes["sample"]
