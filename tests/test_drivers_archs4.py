"""Intake V1 over ARCHS4: what users do with `cat.archs4` and the sample, and the traps of intake on the way."""

import pickle
import re
import warnings

import intake
import numpy as np
import pytest
import xarray as xr
import yaml
from archs4_files import naive_matrix, write_archs4
from faulty_server import FaultyServer

from intake_tcga.archs4.access import open_archs4
from intake_tcga.archs4.narrowing import Narrowing
from intake_tcga.cohorts.sample import catalogs_folder
from intake_tcga.drivers import Archs4Catalog, Archs4Source
from intake_tcga.errors import NameNotFoundError, OfflineError, OptionError
from intake_tcga.hdf5.file import Hdf5File

SECRET = "pa55"


@pytest.fixture
def cat():
    return intake.open_catalog(str(catalogs_folder() / "tcga.yaml")).archs4


@pytest.fixture
def sample():
    return intake.open_catalog(str(catalogs_folder() / "sample.yaml")).archs4


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_archs4(tmp_path_factory.mktemp("archs4") / "human_gene_v2.5.h5", n_samples=40, n_features=60)


@pytest.fixture
def source(path):
    return intake.open_tcga_archs4_file(str(path))


@pytest.fixture
def no_request(monkeypatch):
    """Fail on anything that reads a file that is elsewhere."""

    def fail(*_, **__):
        raise AssertionError("a server was asked")

    monkeypatch.setattr("intake_tcga.archs4.access.RangedFile", fail)
    monkeypatch.setattr("intake_tcga.archs4.collection.refresh_releases", fail)


def reopened(thing, path):
    path.write_text(thing.yaml())
    (name,) = yaml.safe_load(thing.yaml())["sources"]
    return intake.open_catalog(str(path))[name]


class TestCatalog:
    def test_what_is_published_is_listed_without_asking(self, cat, no_request):
        names = list(cat)
        assert {"human_gene_v2.5", "mouse_gene_v2.5", "human_transcript_v2.2", "human_tpm_latest"} <= set(
            names
        )
        assert len(cat) == len(names) == len(cat.df)
        assert "human_gene_v2.5" in cat
        assert "human_gene_v9" not in cat
        repr(cat), cat._repr_html_(), cat.discover(), cat["human_gene_v2.5"], cat._entries["human_gene_v2.5"]
        assert set(cat.walk()) == set(names)

    def test_names_with_full_stops_by_every_kind_of_key(self, cat):
        whole = intake.open_catalog(str(catalogs_folder() / "tcga.yaml"))
        for source in (
            cat["human_gene_v2.5"],
            cat["Human_gene_v2.5.h5"],
            whole["archs4.human_gene_v2.5"],
            whole["archs4", "human_gene_v2.5"],
        ):
            assert repr(source) == "<tcga_archs4_file human_gene_v2.5>"
        assert repr(cat.human_gene_latest) == "<tcga_archs4_file human_gene_latest>"

    def test_metadata_says_what_it_is_under_which_licence(self, cat):
        described = cat._entries["human_gene_v2.5"].describe()
        assert described["metadata"]["samples"] == 888_821
        assert "CC BY" in described["metadata"]["licence"]
        assert "Nature Communications" in described["metadata"]["citation"]
        assert "888,821" in described["description"]

    def test_an_unknown_name_has_the_nearest(self, cat):
        with pytest.raises(NameNotFoundError, match="did you mean 'human_gene_v2.5'"):
            cat["human_gene_v25"]
        with pytest.raises(AttributeError, match="human_gene_latest"):
            cat.human_gene_lates  # noqa: B018
        assert not hasattr(cat, "anything")

    def test_search_filter_unique_narrow_one_another(self, cat):
        mouse = cat.search(species="mouse", level=["gene"])
        assert all(name.startswith("mouse_gene") for name in mouse)
        assert list(mouse.search(version="2.5")) == ["mouse_gene_v2.5"]
        assert list(mouse.search("transcript")) == []
        assert list(cat.search(name=re.compile("tpm_latest$"), species="human")) == ["human_tpm_latest"]
        assert list(cat.search(samples=lambda n: (n or 0) > 900_000)) == ["mouse_gene_v2.5"]
        assert list(mouse.filter(lambda entry: "2.5" in entry.name)) == ["mouse_gene_v2.5"]
        assert mouse.unique("species") == ["mouse"]
        assert set(mouse.df["name"]) == set(mouse)
        with pytest.raises(OptionError, match="species"):
            cat.search(organism="mouse")
        with pytest.raises(NameNotFoundError, match="narrowed"):
            mouse["human_gene_v2.5"]

    def test_chosen_by_name(self, cat):
        one = intake.open_tcga_archs4(releases="human_gene_v2.5")
        assert list(one) == list(cat.get(releases="human_gene_v2.5")) == ["human_gene_v2.5"]
        assert "1 file " in repr(one)
        assert len(intake.open_tcga_archs4(releases=["mouse_gene_v2.5", "Human_gene_v2.5.h5"])) == 2
        with pytest.raises(NameNotFoundError, match=r"did you mean 'human_gene_v2\.5'"):
            list(intake.open_tcga_archs4(releases="human_genes_v2.5"))
        with pytest.raises(OptionError, match="releases=5"):
            intake.open_tcga_archs4(releases=5)

    def test_options_that_do_not_exist(self, cat):
        with pytest.raises(OptionError, match="did you mean 'offline'"):
            intake.open_tcga_archs4(ofline=True)
        with pytest.raises(OptionError, match="did you mean 'series'"):
            cat["human_gene_v2.5"](serie="GSE1")

    def test_it_is_saved_and_opened_again(self, cat, tmp_path):
        narrowed = cat.search(species="mouse", version="2.5")
        assert list(reopened(narrowed, tmp_path / "one.yaml")) == ["mouse_gene_v2.5"]
        narrowed.save(str(tmp_path / "saved.yaml"))
        saved = intake.open_catalog(str(tmp_path / "saved.yaml"))
        assert list(saved) == ["mouse_gene_v2.5"]
        assert saved["mouse_gene_v2.5"].metadata["samples"] == 997_515
        assert isinstance(saved["mouse_gene_v2.5"], Archs4Source)

    def test_pickles(self, cat):
        assert list(pickle.loads(pickle.dumps(cat.search(version="2.5")))) == list(cat.search(version="2.5"))
        assert pickle.loads(pickle.dumps(cat["human_gene_v2.5"])) == cat["human_gene_v2.5"]

    def test_in_notebooks_and_shells(self, cat):
        from IPython.core.formatters import DisplayFormatter

        shown, _ = DisplayFormatter().format(cat)
        assert "human_gene_v2.5" in shown["text/html"]
        shown, _ = DisplayFormatter().format(cat["mouse_gene_v2.5"])
        assert "human_gene" not in shown["text/html"]
        assert {"human_gene_latest", "search", "df"} <= set(dir(cat))
        assert "human_gene_v2.5" in cat._ipython_key_completions_()

    def test_nothing_expires_and_nothing_warns(self, cat):
        assert cat.ttl is None
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            cat["human_gene_v2.5"](search="liver", series="GSE1")

    def test_offline_reads_nothing(self, cat, monkeypatch):
        monkeypatch.setenv("INTAKE_TCGA_OFFLINE", "1")
        with pytest.raises(OfflineError, match="human_gene_v2.5"):
            cat["human_gene_v2.5"].to_dask()

    def test_drivers_are_registered(self):
        assert intake.registry["tcga_archs4"] is Archs4Catalog
        assert intake.registry["tcga_archs4_file"] is Archs4Source


class TestSource:
    def test_the_sample(self, sample):
        ds = sample.to_dask()
        assert dict(ds.sizes) == {"sample": 30, "feature": 818}
        assert ds["counts"].chunks is not None
        assert sample.local_path().endswith("sample/gtex_lung.h5")
        assert ds.archs4.draw(3, seed=1).sizes["sample"] == 3

    def test_the_sample_through_any_address_of_its_catalog(self):
        folder = catalogs_folder()
        for address in ((folder / "sample.yaml").as_uri(), [str(folder / "sample.yaml")]):
            assert intake.open_catalog(address).archs4.discover()["shape"] == (30, 818)

    def test_read_is_in_memory(self, source, path):
        ds = source.read()
        assert isinstance(ds["counts"].variable._data, np.ndarray)
        np.testing.assert_array_equal(ds["counts"], naive_matrix(path))
        assert source.read_partition(0).identical(ds)
        with pytest.raises(OptionError, match="one partition"):
            source.read_partition(1)

    def test_discover_reads_no_matrix(self, source, monkeypatch):
        monkeypatch.setattr("intake_tcga.archs4.matrix.chunks.read", None)
        found = source.discover()
        assert (found["dtype"], found["shape"]) == ("uint32", (40, 60))
        assert "series_id" in found["metadata"]["coords"]

    def test_narrowed_as_the_accessor_does(self, source, path):
        with open_archs4(path) as ds:
            for options, expected in (
                ({"series": "GSE901"}, ds.archs4.series("GSE901")),
                ({"samples": ["GSM1000001", "GSM1000004"]}, ds.archs4.samples(["GSM1000001", "GSM1000004"])),
                (
                    {"search": "myoblast", "single_cell": False},
                    ds.archs4.search("myoblast", single_cell=False),
                ),
                (
                    {"search": "LIVER", "fields": "source_name_ch1", "regex": False},
                    ds.archs4.search("liver", "source_name_ch1", regex=False),
                ),
                ({"draw": 7, "seed": 3}, ds.archs4.draw(7, seed=3)),
            ):
                found = source(**options).to_dask()
                assert 0 < found.sizes["sample"] < 40
                assert found["sample"].values.tolist() == expected["sample"].values.tolist()
                np.testing.assert_array_equal(found["counts"], expected["counts"])

    def test_no_hit_is_an_empty_dataset(self, source):
        assert source(search="no such text").read().sizes == {"sample": 0, "feature": 60}

    def test_values_that_cannot_be(self, source):
        for options, match in (
            ({"fields": "titel", "search": "x"}, "title"),
            ({"draw": 1000}, "draw=1000.*40"),
            ({"draw": "5"}, "draw='5' is not a whole number"),
            ({"where": "a=b"}, "where='a=b' is no mapping"),
            ({"single_cell": "false"}, "single_cell='false'"),
            ({"chunks": {"samples": 5}}, "sample"),
        ):
            with pytest.raises((OptionError, NameNotFoundError), match=match):
                source(**options).to_dask()

    def test_the_file_is_closed_where_narrowing_fails(self, source, monkeypatch):
        closed, close = [], Hdf5File.close
        monkeypatch.setattr(Hdf5File, "close", lambda file: (closed.append(file.path), close(file)))
        with pytest.raises(NameNotFoundError, match="tissue"):
            source.collection.open(source.source, narrowing=Narrowing(where={"tissue": "liver"}))
        assert closed == [source.source]

    def test_where_single_cells_begin(self, source, path, tmp_path):
        chosen = source(single_cell=False, threshold=0.2)
        with open_archs4(path) as ds:
            expected = ds.archs4.search(single_cell=False, threshold=0.2)["sample"].values.tolist()
            assert len(expected) < ds.archs4.search(single_cell=False).sizes["sample"]
        assert chosen.to_dask()["sample"].values.tolist() == expected
        assert reopened(chosen, tmp_path / "c.yaml").to_dask()["sample"].values.tolist() == expected
        assert "threshold=0.2" in repr(chosen)
        with pytest.raises(OptionError, match=r"threshold=1.5 is not a probability"):
            source(single_cell=False, threshold=1.5).to_dask()

    def test_chunks(self, source):
        assert source(chunks={"sample": 7}).to_dask().chunksizes["sample"][0] == 7

    def test_more_than_memory_is_refused_before_anything_is_read(self, source, monkeypatch):
        monkeypatch.setattr("intake_tcga.arrays.memory._memory", lambda: 40 * 60 * 4 - 1)
        monkeypatch.setattr("intake_tcga.archs4.matrix.chunks.read", None)
        with pytest.raises(OptionError, match=r"sample: 40.*series, draw.*to_dask"):
            source.read()

    def test_yaml_reopens_the_same(self, source, tmp_path):
        chosen = source(series="GSE901", draw=3, seed=2, where={"platform_id": "GPL16791"})
        again = reopened(chosen, tmp_path / "c.yaml")
        assert again.narrowing == chosen.narrowing
        assert again.read().identical(chosen.read())

    @pytest.mark.parametrize(
        "where",
        [
            {"submission_date": ("2010", "2017")},
            {"singlecellprobability": ("<", 0.5)},
            {"singlecellprobability": (None, 0.4), "geo_accession": ("!=", "GSM1000001")},
            {"singlecellprobability": [("<", 0.1), (0.8, None)]},
        ],
    )
    def test_conditions_mean_the_same_when_reopened(self, source, tmp_path, where):
        chosen = source(where=where)
        expected = chosen.to_dask()["sample"].values.tolist()
        assert 0 < len(expected) < 40 or "submission_date" in where
        again = reopened(chosen, tmp_path / "c.yaml")
        assert again.to_dask()["sample"].values.tolist() == expected

    @pytest.mark.parametrize("wanted", [re.compile("x"), len])
    def test_conditions_that_yaml_cannot_have(self, source, wanted):
        with pytest.raises(OptionError, match="title.* cannot be saved"):
            source(where={"title": wanted}).yaml()

    def test_numbers_and_arrays_of_numpy_are_saved(self, source, tmp_path):
        names = source.to_dask()["sample"].values[:9]
        chosen = source(samples=names, draw=np.int64(3), seed=np.int32(2), chunks={"sample": np.int64(2)})
        again = reopened(chosen, tmp_path / "c.yaml")
        assert again.to_dask().identical(chosen.to_dask())

    def test_a_pattern_is_not_saved(self, source):
        with pytest.raises(OptionError, match=r"search=.* cannot be saved.*; give its text, 'x'"):
            source(search=re.compile("x")).yaml()

    def test_a_relative_path_is_saved_whole(self, path, tmp_path, monkeypatch):
        monkeypatch.chdir(path.parent)
        text = intake.open_tcga_archs4_file(path.name).yaml()
        monkeypatch.chdir(tmp_path)
        (tmp_path / "c.yaml").write_text(text)
        assert intake.open_catalog(str(tmp_path / "c.yaml"))[path.name].discover()["shape"] == (40, 60)

    def test_text_of_others_is_no_template(self, source, tmp_path, monkeypatch):
        monkeypatch.setenv("SECRET", SECRET)
        for text in ("{{ env(SECRET) }}", "a{{", "{% raw %}", "{# x #}", "a{2}"):
            again = reopened(source(search=text, regex=False), tmp_path / "c.yaml")
            assert again.narrowing.search == text

    def test_environment_and_folder_in_yaml(self, path, tmp_path, monkeypatch):
        monkeypatch.setenv("WHERE", str(path))
        (tmp_path / "x.h5").write_bytes(path.read_bytes())
        entry = {"driver": "tcga_archs4_file", "args": {"source": "{{ env(WHERE) }}", "draw": 2}}
        beside = {"driver": "tcga_archs4_file", "args": {"source": "{{ CATALOG_DIR }}/x.h5"}}
        (tmp_path / "c.yaml").write_text(yaml.safe_dump({"sources": {"one": entry, "two": beside}}))
        cat = intake.open_catalog(str(tmp_path / "c.yaml"))
        assert cat.one.read().sizes["sample"] == 2
        assert cat.two.discover()["shape"] == (40, 60)

    def test_credentials_stay_out(self):
        source = Archs4Source(
            f"https://me:{SECRET}@host/x.h5?sig={SECRET}",
            storage_options={"headers": {"Authorization": SECRET}},
        )
        cat = Archs4Catalog(storage_options={"https": {"headers": {"Authorization": SECRET}}})
        entry = cat["human_gene_v2.5"]
        for shown in (source, cat, entry):
            assert SECRET not in repr(shown) + shown.yaml() + shown._repr_html_()
        assert SECRET not in cat.serialize() + repr(entry.describe()) + repr(cat.collection)
        assert SECRET not in repr(source.to_v2()) + repr(source.to_v2().to_dict())

    def test_pickles_and_datasets_of_it(self, source):
        chosen = source(draw=5)
        again = pickle.loads(pickle.dumps(chosen))
        assert again == chosen
        assert again.read().identical(chosen.read())
        ds = chosen.to_dask()
        assert pickle.loads(pickle.dumps(ds)).compute().identical(ds.compute())

    def test_by_ranges_or_downloaded(self, path, cache_dir):
        with FaultyServer({"x.h5": path.read_bytes()}) as server:
            remote = intake.open_tcga_archs4_file(server.url("x.h5"))
            assert remote(draw=2).read()["counts"].shape == (2, 60)
            assert not list(cache_dir.rglob("x.h5"))
            assert remote(draw=2, download=True).read()["counts"].shape == (2, 60)
            assert len(list(cache_dir.rglob("x.h5"))) == 1
            assert remote.local_path().endswith("x.h5")

    def test_to_v2(self, source, sample, path):
        chosen = source(draw=5, seed=4)
        (reader,) = (chosen.to_v2()[name] for name in chosen.to_v2())
        xr.testing.assert_identical(reader.read(), chosen.read())
        assert list(sample.to_v2()) == [sample.source]

    def test_workers_read_for_themselves(self, source):
        import distributed

        with (
            distributed.LocalCluster(
                n_workers=1, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1"
            ) as cluster,
            distributed.Client(cluster) as client,
        ):
            sent = source(series="GSE901")
            total = client.submit(lambda s: int(s.to_dask()["counts"].sum()), sent).result()
            lazy = client.compute(sent.to_dask()["counts"].sum()).result()
        assert total == int(lazy) == int(sent.read()["counts"].sum())


def test_the_drivers_options_are_narrowings():
    import inspect

    taken = list(inspect.signature(Archs4Source.__init__).parameters)
    assert [name for name in taken if name in Narrowing.names()] == list(Narrowing.names())
    defaults = {k: p.default for k, p in inspect.signature(Archs4Source.__init__).parameters.items()}
    assert Archs4Source("x").narrowing == Narrowing()
    assert defaults["seed"] == Narrowing().seed
