"""Intake V2: what users do with readers and catalogs, and every trap of intake that plain ones fall into."""

import copy
import json
import os
import pickle
import re
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import intake
import numpy as np
import pytest
import xarray as xr
import yaml
from cohort_files import write_mirna, write_rnaseq
from intake.readers import datatypes
from intake.readers.entry import Catalog
from manifests import manifest_for

import intake_tcga.cohorts.collection as collections
from intake_tcga.cohorts.collection import CohortCollection
from intake_tcga.cohorts.sample import catalogs_folder, sample_collection
from intake_tcga.errors import AmbiguousNameError, NameNotFoundError, OptionError
from intake_tcga.readers import (
    CohortCatalogReader,
    CohortFile,
    CohortFileReader,
    CohortManifest,
    CohortReader,
    CohortSearch,
    ManifestCohort,
    to_v2,
)

SAMPLE = catalogs_folder() / "sample"
SECRET = "hunter2"


def manifest_of(folder, *names, write=write_mirna):
    """Write cohort files with these names and their manifest; return its URL."""
    folder.mkdir(exist_ok=True)
    for name in names:
        code, _, variable = name.partition("_")
        root = {"dataset_name": name, "cancer_type": code, "clinical_variable": variable}
        write(folder / f"{name}.h5", root=root)
    manifest_for(folder)
    return (folder / "manifest.json").as_uri()


@pytest.fixture
def bundle(tmp_path):
    """Return the URL of a manifest of three miRNA cohorts; two share a code."""
    return manifest_of(tmp_path / "bundle", "BRCA_er_status", "OV_grade", "OV_stage")


@pytest.fixture
def cat(bundle):
    return to_v2(CohortCollection(bundle))


@pytest.fixture
def manifest_reads(monkeypatch):
    """Return the list that each reading of a manifest adds its URL to."""
    reads = []
    load = collections.load_manifest

    def counted(url, **options):
        reads.append(url)
        return load(url, **options)

    monkeypatch.setattr(collections, "load_manifest", counted)
    return reads


@pytest.fixture
def server(tmp_path):
    """Serve a folder on this machine; return its path, its URL, and the headers of each request."""
    seen = []

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self):
            seen.append((self.path, dict(self.headers)))
            super().do_GET()

        def log_message(self, *args):
            pass

    folder = tmp_path / "served"
    folder.mkdir()
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    thread = threading.Thread(target=httpd.serve_forever)
    thread.start()
    yield folder, f"http://127.0.0.1:{httpd.server_port}", seen
    httpd.shutdown()
    thread.join()
    httpd.server_close()


def fresh_python(code, cwd, **environment):
    """Run code in a new process, in which intake has not imported our readers; return what it prints."""
    conf = Path(cwd) / "intake.yaml"
    conf.write_text("import_on_startup: false\n")
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=cwd,
        env={**os.environ, "INTAKE_CONF_FILE": str(conf), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


class TestImport:
    def test_nothing_is_imported_that_intake_has_not_loaded(self, tmp_path):
        code = """
import sys, json, intake
before = set(sys.modules)
import intake_tcga.readers
print(json.dumps(sorted(set(sys.modules) - before)))
"""
        light = {"intake_tcga", "intake_tcga._version", "intake_tcga.errors", "intake_tcga.option_names"}
        light.add("intake_tcga.name_lists")
        light.add("intake_tcga.plain_values")
        light.add("intake.readers.search")
        loaded = set(json.loads(fresh_python(code, tmp_path)))
        assert {name for name in loaded if not name.startswith("intake_tcga.readers")} <= light

    def test_intake_finds_us_by_itself(self, tmp_path):
        code = f"import intake; print(intake.recommend({str(SAMPLE / 'manifest.json')!r})[0].__name__)"
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == "CohortManifest"


class TestRecommend:
    def test_ours_come_first_by_content(self, tmp_path):
        manifest, file = tmp_path / "cohorts.txt", tmp_path / "data.bin"
        manifest.write_bytes((SAMPLE / "manifest.json").read_bytes())
        file.write_bytes((SAMPLE / "PRAD_sample_type.h5").read_bytes())
        for recommend in (intake.recommend, datatypes.recommend):
            assert recommend(str(manifest))[0] is CohortManifest
            assert recommend(str(file))[0] is CohortFile

    def test_rnaseq_files_too(self, tmp_path):
        write_rnaseq(tmp_path / "x.h5")
        assert intake.recommend(str(tmp_path / "x.h5"))[0] is CohortFile

    @pytest.mark.parametrize(
        ("url", "found"),
        [
            ("https://host/folder/manifest.json", CohortManifest),
            ("s3://bucket/manifest-rnaseq.json", CohortManifest),
            ("https://github.com/x/SyNG-BTS/releases/download/data-v1.0/BRCA_x.h5", CohortFile),
            ("/home/me/.cache/syng-bts/tcga/mirna/1.0/BRCA_x.h5", CohortFile),
        ],
    )
    def test_ours_come_first_by_name_where_nothing_is_read(self, url, found):
        assert intake.recommend(url, head=False)[0] is found

    def test_other_peoples_files_are_not_ours(self, tmp_path):
        (tmp_path / "package.json").write_text('{"name": "x"}')
        xr.Dataset({"a": ("x", [1.0])}).to_netcdf(tmp_path / "other.h5", engine="h5netcdf")
        ours = {CohortManifest, CohortFile, ManifestCohort}
        for name in ("package.json", "other.h5"):
            assert not ours & set(intake.recommend(str(tmp_path / name)))
        assert not ours & set(
            intake.recommend("https://host/table.json", mime="application/json", head=False)
        )

    def test_the_first_guess_reads(self, bundle):
        outputs = intake.recommend(bundle, reader=True)
        assert next(iter(outputs)) is CohortCatalogReader
        assert isinstance(intake.recommend(bundle)[0](bundle).to_reader(), CohortCatalogReader)
        assert isinstance(ManifestCohort("BRCA", bundle).to_reader(), CohortReader)
        assert isinstance(CohortFile("x.h5").to_reader(outtype="xarray"), CohortFileReader)


class TestOneCohort:
    def test_read_is_in_memory_and_narrowed(self, bundle):
        ds = CohortReader("BRCA", url=bundle, normalization="TC", model="CVAE1_20").read()
        assert ds["real"].dims == ("sample", "feature")
        assert ds["synthetic"].dims == ("synthetic_sample", "feature")
        assert isinstance(ds["real"].variable._data, np.ndarray)

    def test_to_dask_is_a_dataset_not_a_pipeline(self, bundle):
        ds = CohortReader("BRCA", url=bundle).to_dask()
        assert isinstance(ds, xr.Dataset)
        assert ds["real"].chunks is not None
        assert CohortReader("BRCA", url=bundle, chunks={"sample": 3}).to_dask().chunksizes["sample"][0] == 3

    def test_discover_reads_no_matrix(self, bundle):
        ds = CohortReader("BRCA", url=bundle).discover()
        assert ds["real"].dims == ("normalization", "sample", "feature")
        assert not ds["real"].variable._in_memory

    def test_options_can_be_given_late(self, bundle):
        reader = CohortReader("BRCA", url=bundle)
        for ds in (
            reader.read(normalization="TC"),
            reader.to_dask(normalization="TC"),
            reader.discover(normalization="TC"),
            reader(normalization="TC").read(),
        ):
            assert ds["real"].dims == ("sample", "feature")
        assert "normalization" not in reader.kwargs

    def test_datatree_and_path(self, bundle):
        reader = CohortReader("BRCA", url=bundle)
        assert isinstance(reader.to_datatree(), xr.DataTree)
        assert reader.local_path().endswith("BRCA_er_status.h5")

    def test_rnaseq_takes_off_aug(self, tmp_path):
        url = manifest_of(tmp_path / "rnaseq", "SKCM_x", write=write_rnaseq)
        ds = CohortReader("SKCM", url=url, off_aug="none").discover()
        assert ds["synthetic"].dims == ("normalization", "model", "synthetic_sample", "feature")

    def test_same_as_the_collection(self, bundle):
        ours = CohortReader("BRCA", url=bundle, normalization=["TC", "DESeq"]).read()
        theirs = CohortCollection(bundle).open("BRCA", normalization=["TC", "DESeq"])
        xr.testing.assert_identical(ours, theirs.load())

    def test_data_and_arguments_say_the_same(self, bundle):
        one = CohortReader(ManifestCohort("BRCA", bundle), normalization="TC")
        other = CohortReader(cohort="BRCA", url=bundle, normalization="TC")
        assert one == other == CohortReader("BRCA", url=bundle, normalization="TC")
        assert hash(one) == hash(other)
        assert one != one(normalization="DESeq")
        assert one(normalization=None) == CohortReader("BRCA", url=bundle)
        assert one.data.url == bundle

    def test_wrong_labels_list_the_right_ones(self, bundle):
        reader = CohortReader("BRCA", url=bundle)
        with pytest.raises(OptionError, match="DESeq"):
            reader.read(normalization="TMM")
        with pytest.raises(OptionError, match="CVAE1_5"):
            reader(model=["CVAE1_5", "GAN"]).to_dask()

    def test_unknown_options_list_those_there_are(self, bundle):
        reader = CohortReader("BRCA", url=bundle)
        for make in (
            partial(CohortReader, "BRCA", normalisation="TC"),
            partial(reader, normalisation="TC"),
            partial(reader.read, normalisation="TC"),
            partial(reader.to_dask, normalisation="TC"),
        ):
            with pytest.raises(OptionError, match="'normalisation'.*normalization, model"):
                make()
        with pytest.raises(OptionError, match="'cache'.*cache_storage"):
            CohortManifest("mirna", cache="/x")

    def test_other_data_is_refused(self, bundle):
        with pytest.raises(OptionError, match="reads ManifestCohort, not CohortManifest"):
            CohortReader(CohortManifest(bundle))

    def test_unknown_cohort_names_the_nearest(self, bundle):
        with pytest.raises(NameNotFoundError, match="BRCA"):
            CohortReader("BRCX", url=bundle).read()

    def test_a_call_keeps_the_metadata(self, cat):
        assert cat["BRCA"](normalization="TC").metadata == cat["BRCA"].metadata

    def test_pipelines_start_from_it(self, bundle):
        pipeline = CohortReader("BRCA", url=bundle, normalization="TC").apply(real_shape)
        catalog = Catalog()
        catalog.add_entry(CohortReader("BRCA", url=bundle), name="BRCA")
        assert (
            pipeline.read()
            == pipeline.discover()
            == CohortReader("BRCA", url=bundle).read()["real"].shape[1:]
        )
        assert isinstance(catalog["BRCA"].sel(normalization="TC").read(), xr.Dataset)


def real_shape(dataset):
    return dataset["real"].shape


class TestOneFile:
    def test_a_local_file_is_opened_where_it_is(self, cache_dir):
        for url in (str(SAMPLE / "PRAD_sample_type.h5"), (SAMPLE / "PRAD_sample_type.h5").as_uri()):
            ds = CohortFileReader(url, normalization="TC").read()
            assert ds["real"].shape == (77, 120)
        assert not cache_dir.exists() or not list(cache_dir.rglob("*.h5"))

    def test_a_remote_file_is_fetched_once(self, server):
        folder, url, seen = server
        write_mirna(folder / "BRCA_x.h5")
        expected = CohortFileReader(str(folder / "BRCA_x.h5")).read()
        for _ in range(2):
            xr.testing.assert_identical(CohortFileReader(f"{url}/BRCA_x.h5").read(), expected)
        assert len([path for path, _ in seen if path.endswith(".h5")]) == 1

    def test_a_chain_is_honoured(self, server, tmp_path):
        folder, url, _ = server
        write_mirna(folder / "BRCA_x.h5")
        reader = CohortFileReader(
            f"filecache::{url}/BRCA_x.h5",
            storage_options={"filecache": {"cache_storage": str(tmp_path / "theirs")}},
        )
        assert reader.data.local_path().startswith(str(tmp_path / "theirs"))
        assert reader.discover().sizes["normalization"] == 3

    def test_it_reopens_from_yaml(self, tmp_path):
        catalog = Catalog()
        catalog["mini"] = CohortFileReader(str(SAMPLE / "PRAD_sample_type.h5"), normalization="TC")
        catalog.to_yaml_file(str(tmp_path / "c.yaml"))
        again = Catalog.from_yaml_file(str(tmp_path / "c.yaml"))["mini"]
        assert again == catalog["mini"]
        assert again.discover()["real"].shape == (77, 120)


class TestManifest:
    def test_it_is_a_mapping(self, bundle):
        reader = CohortCatalogReader(bundle)
        assert list(reader) == reader.keys() == ["BRCA", "OV_grade", "OV_stage"]
        assert len(reader) == 3
        assert "BRCA" in reader
        assert "BRCA_er_status" in reader
        assert "OV" not in reader
        assert 7 not in reader
        assert dict(reader).keys() == {"BRCA", "OV_grade", "OV_stage"}
        assert reader["BRCA"] == reader["BRCA_er_status"] == reader.BRCA

    def test_the_manifest_is_read_once_and_late(self, bundle, manifest_reads):
        catalog = Catalog()
        catalog["mirna"] = CohortCatalogReader(bundle)
        reader = catalog["mirna"]
        repr(reader), hash(reader), reader.token, bool(reader), copy.copy(reader), pickle.dumps(catalog)
        assert not hasattr(reader, "__dask_graph__")
        assert not hasattr(reader, "_ipython_display_")
        assert manifest_reads == []
        assert reader.read() is reader.read()
        list(reader), len(reader), reader.BRCA, reader["OV_stage"].discover(), reader.OV_grade, dir(reader)
        catalog.mirna.BRCA.discover()
        assert manifest_reads == [bundle]

    def test_other_arguments_make_another_catalog(self, bundle, tmp_path):
        reader = CohortCatalogReader(bundle)
        other = manifest_of(tmp_path / "other", "UCS_x")
        assert list(reader.read(url=other)) == ["UCS"]
        assert list(reader.read()) == list(reader)

    def test_names_that_are_not_there(self, bundle):
        reader = CohortCatalogReader(bundle)
        with pytest.raises(NameNotFoundError, match="BRCA"):
            reader["BRCX"]
        with pytest.raises(AmbiguousNameError, match="OV_grade.*OV_stage"):
            reader["OV"]
        with pytest.raises(AttributeError, match="BRCA"):
            reader.BRCX  # noqa: B018
        assert not hasattr(reader, "BRCX")

    def test_completion(self, bundle, tmp_path):
        assert {"BRCA", "search", "read"} <= set(dir(CohortCatalogReader(bundle)))
        assert "BRCA" in CohortCatalogReader(bundle)._ipython_key_completions_()
        unreachable = CohortCatalogReader(str(tmp_path / "absent.json"))
        assert "search" in dir(unreachable)
        assert unreachable._ipython_key_completions_() == []

    def test_search_with_facets(self, bundle):
        reader = CohortCatalogReader(bundle)
        assert list(reader.search("ovarian", n_samples=lambda n: n > 0)) == ["OV_grade", "OV_stage"]
        assert list(reader.search(cancer_type=["BRCA"])) == ["BRCA"]
        assert reader.search(code="BRCA")["BRCA"].discover().sizes["normalization"] == 3
        with pytest.raises(OptionError, match="cancer_type"):
            reader.search(cancer="BRCA")

    def test_intake_does_not_take_it_for_a_list(self, bundle, manifest_reads):
        # With an __iter__, intake would make `type(reader)([its items])` of it wherever it is nested.
        pipeline = CohortCatalogReader(bundle).apply(len)
        catalog = Catalog()
        catalog.add_entry(pipeline, name="how many")
        assert manifest_reads == []
        assert catalog["how many"].read() == 3

    def test_the_sample(self):
        reader = CohortManifest(str(SAMPLE / "manifest.json"), offline=True).to_reader()
        assert list(reader) == ["PRAD"]
        assert reader.PRAD.discover()["real"].shape == (3, 77, 120)


class TestCatalog:
    def test_it_lists_names_and_answers_to_full_ones(self, cat):
        assert type(cat) is Catalog
        assert list(cat) == ["BRCA", "OV_grade", "OV_stage"]
        assert len(cat) == 3
        assert cat["BRCA"] == cat["BRCA_er_status"] == cat.BRCA
        assert "BRCA" in cat

    def test_metadata_is_there_without_opening(self, cat):
        metadata = cat["BRCA"].metadata
        assert metadata["cancer_name"] == "Breast Invasive Carcinoma"
        assert metadata["models"] == ["CVAE1_5", "CVAE1_10", "CVAE1_20"]
        assert "samples" in metadata["description"]

    def test_chosen_names_and_options(self, bundle):
        cat = to_v2(CohortCollection(bundle), names=["OV_stage"], normalization="TC")
        assert list(cat) == ["OV_stage"]
        assert cat["OV_stage"].discover()["real"].dims == ("sample", "feature")
        with pytest.raises(NameNotFoundError, match="BRCA"):
            to_v2(CohortCollection(bundle), names=["BRCX"])
        with pytest.raises(OptionError, match="normalization"):
            to_v2(CohortCollection(bundle), normalisation="TC")

    def test_it_shares_the_collections_manifest(self, bundle, manifest_reads):
        cat = to_v2(CohortCollection(bundle))
        for name in cat:
            cat[name].discover()
        assert manifest_reads == [bundle]

    def test_options_for_the_whole_catalog(self, cat):
        # With entries that refer to data, intake hands such options to the data, which fails.
        assert cat(normalization="TC")["BRCA"].discover()["real"].dims == ("sample", "feature")

    def test_every_option_of_a_collection_is_kept(self, bundle, tmp_path):
        options = {
            "modality": "mirna",
            "offline": True,
            "allow_other_hosts": True,
            "cache_storage": [str(tmp_path / "a"), str(tmp_path / "b")],
            "verify": "always",
            "progress": False,
        }
        to_v2(CohortCollection(bundle, **options)).to_yaml_file(str(tmp_path / "c.yaml"))
        reopened = Catalog.from_yaml_file(str(tmp_path / "c.yaml"))["BRCA"].data.collection
        assert {name: getattr(reopened, name) for name in options} == options
        assert reopened.urlpath == bundle

    def test_an_entry_changed_in_place_is_obeyed(self, cat, tmp_path):
        other = manifest_of(tmp_path / "mirror", "BRCA_er_status")
        cat.get_entity("BRCA").kwargs["url"] = other
        assert cat["BRCA"].data.collection.manifest.url == other
        assert cat["OV_stage"].data.collection.manifest.url != other

    def test_bundles_are_saved_by_name(self, monkeypatch, tmp_path):
        from intake_tcga.cohorts.bundles import BUNDLES

        sample = sample_collection()
        vars(sample)["manifest"] = copy.copy(sample.manifest)
        object.__setattr__(sample.manifest, "url", BUNDLES["mirna"].url)
        assert to_v2(sample).entries["PRAD_sample_type"].kwargs["url"] == "mirna"


class TestYaml:
    def test_a_fresh_process_reopens_it(self, bundle, tmp_path, monkeypatch):
        folder = Path(bundle.removeprefix("file://")).parent
        monkeypatch.chdir(folder)
        path = tmp_path / "v2.yaml"
        to_v2(CohortCollection("manifest.json")).to_yaml_file(str(path))  # a relative path
        code = f"""
import sys, intake
cat = intake.from_yaml_file({str(path)!r})
print(list(cat), "intake_tcga.readers" in sys.modules)
print(cat["BRCA"](normalization="TC").to_dask()["real"].dims, cat["OV_stage"])
"""
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        lines = fresh_python(code, elsewhere).splitlines()
        assert lines[0] == "['BRCA', 'OV_grade', 'OV_stage'] False"
        assert lines[1] == f"('sample', 'feature') <CohortReader: OV_stage of {folder}/manifest.json>"

    def test_the_class_path_is_all_that_names_us(self, cat, tmp_path):
        cat.to_yaml_file(str(tmp_path / "c.yaml"))
        saved = yaml.safe_load((tmp_path / "c.yaml").read_text())
        assert {entry["reader"] for entry in saved["entries"].values()} == {
            "intake_tcga.readers:CohortReader"
        }
        assert saved["data"] == {}
        assert saved["aliases"]["BRCA"] == "BRCA_er_status"

    def test_intakes_own_opener_takes_it(self, cat, tmp_path):
        cat.to_yaml_file(str(tmp_path / "c.yaml"))
        assert list(intake.open_catalog(str(tmp_path / "c.yaml"))) == list(cat)

    def test_saved_again_it_says_the_same(self, cat, tmp_path):
        one, two = tmp_path / "1.yaml", tmp_path / "2.yaml"
        cat.to_yaml_file(str(one))
        Catalog.from_yaml_file(str(one)).to_yaml_file(str(two))
        first, second = (yaml.safe_load(path.read_text()) for path in (one, two))
        assert first["entries"] == second["entries"]
        assert first["aliases"] == second["aliases"]

    def test_one_written_by_hand(self, bundle, tmp_path):
        (Path(bundle.removeprefix("file://")).parent / "c.yaml").write_text(
            """
version: 2
metadata: {}
data: {}
user_parameters: {}
aliases: {cohorts: cohorts, brca: brca}
entries:
  cohorts:
    reader: intake_tcga.readers:CohortCatalogReader
    kwargs: {url: "{CATALOG_DIR}/manifest.json"}
    metadata: {}
    user_parameters: {}
    output_instance: intake.readers.entry:Catalog
  brca:
    reader: intake_tcga.readers:CohortReader
    kwargs: {args: [BRCA], url: "{CATALOG_DIR}/manifest.json", normalization: TC}
    metadata: {}
    user_parameters: {}
    output_instance: xarray:Dataset
"""
        )
        cat = intake.from_yaml_file(bundle.replace("manifest.json", "c.yaml"))
        assert list(cat.cohorts) == ["BRCA", "OV_grade", "OV_stage"]
        assert cat.cohorts.BRCA.discover().sizes["normalization"] == 3
        assert cat.brca.discover()["real"].dims == ("sample", "feature")

    def test_a_manifests_names_are_no_templates(self, tmp_path, monkeypatch):
        # A manifest is not ours: its texts must neither read the environment nor import modules.
        monkeypatch.setenv("SECRET", SECRET)
        url = manifest_of(tmp_path / "hostile", "BRCA_x")
        path = tmp_path / "hostile" / "manifest.json"
        names = ["{env(SECRET)}", "a {env(SECRET)}", "{func(antigravity:fly_to)}", "{{x}}", "{", "BRCA_x"]
        manifest = json.loads(path.read_text())
        manifest["datasets"] = [
            {**manifest["datasets"][0], "dataset_name": name, "file": f"{i}.h5"}
            for i, name in enumerate(names)
        ]
        path.write_text(json.dumps(manifest))
        cat = to_v2(CohortCollection(url))
        cat.to_yaml_file(str(tmp_path / "c.yaml"))
        for catalog in (cat, Catalog.from_yaml_file(str(tmp_path / "c.yaml"))):
            assert [catalog[name].data.cohort for name in names] == names
        assert "antigravity" not in sys.modules


class TestSearch:
    def test_names_and_metadata_are_seen(self, cat, tmp_path):
        cat.to_yaml_file(str(tmp_path / "c.yaml"))
        for catalog in (cat, Catalog.from_yaml_file(str(tmp_path / "c.yaml"))):
            assert list(catalog.search(CohortSearch("breast"))) == ["BRCA"]
            assert set(catalog.search(CohortSearch(re.compile("^OV_")))) == {"OV_grade", "OV_stage"}
            assert list(catalog.search(CohortSearch(n_samples=lambda n: n < 0))) == []
            assert list(catalog.search(CohortSearch("no such text"))) == []

    def test_what_is_found_works(self, cat, tmp_path):
        # Intake's search loses what entries refer to: ours refer to nothing.
        cat.to_yaml_file(str(tmp_path / "c.yaml"))
        for catalog in (cat, Catalog.from_yaml_file(str(tmp_path / "c.yaml"))):
            found = catalog.search(CohortSearch(cancer_type="BRCA"))
            assert found["BRCA"].discover().sizes["normalization"] == 3
            assert found.BRCA_er_status == found["BRCA"]

    def test_terms_combine(self, cat):
        breast, stage = CohortSearch("breast"), CohortSearch("stage")
        assert set(cat.search(breast | stage)) == {"BRCA", "OV_stage"}
        assert list(cat.search(breast & stage)) == []
        assert set(cat.search(~breast)) == {"OV_grade", "OV_stage"}

    def test_given_names_are_seen_and_other_entries_do_no_harm(self, bundle, tmp_path):
        cat = Catalog()
        cat.add_entry(CohortReader("BRCA", url=bundle), name="my favourite")
        (tmp_path / "t.csv").write_text("a\n1\n")
        cat.add_entry(intake.readers.PandasCSV(datatypes.CSV(str(tmp_path / "t.csv"))), name="table")
        assert list(cat.search(CohortSearch("favourite")).entries) == ["my favourite"]
        assert list(cat.search(CohortSearch(n_samples=lambda n: n > 0)).entries) == []


class TestCredentials:
    URL = f"https://me:{SECRET}@host/manifest.json?sig={SECRET}"
    OPTIONS = {  # noqa: RUF012
        "https": {
            "headers": {"Authorization": f"Bearer {SECRET}"},
            "client_kwargs": {"auth": ("me", SECRET), "trust_env": True},
            "proxy": f"http://me:{SECRET}@proxy",
        },
        "key": SECRET,
    }

    @pytest.mark.parametrize(
        "make",
        [
            lambda url, options: CohortReader("BRCA", url=url, storage_options=options),
            lambda url, options: CohortCatalogReader(url, storage_options=options),
            lambda url, options: CohortFileReader(url, storage_options=options),
        ],
    )
    def test_they_are_neither_shown_nor_saved(self, make, tmp_path, capsys):
        reader = make(self.URL, self.OPTIONS)
        cat = Catalog()
        cat["x"] = reader
        cat["data"] = reader.data
        cat["pipeline"] = reader.apply(real_shape)
        cat.to_yaml_file(str(tmp_path / "c.yaml"))
        reader.pprint(), reader.data.pprint(), cat["pipeline"].pprint(), cat.pprint()
        things = [
            reader,
            reader.data,
            reader(url="https://o/m.json"),
            cat,
            cat["x"],
            cat["data"],
            cat["pipeline"],
        ]
        things += [cat.get_entity("x"), cat.get_entity("data"), cat.entries, cat.data, reader.data.to_entry()]
        shown = [(tmp_path / "c.yaml").read_text(), capsys.readouterr().out]
        shown += [repr(thing) for thing in things] + [repr(thing.to_dict()) for thing in things[:7]]
        assert SECRET not in "\n".join(shown)
        kept = yaml.safe_load((tmp_path / "c.yaml").read_text())["entries"]["x"]["kwargs"]
        assert kept["url"] == "https://host/manifest.json"
        assert kept["storage_options"] == {
            "https": {"client_kwargs": {"trust_env": True}, "proxy": "http://proxy"}
        }

    def test_a_catalog_uses_them_as_long_as_it_lives(self):
        cat = Catalog()
        cat["x"] = CohortReader("BRCA", url=self.URL, storage_options=self.OPTIONS)
        cat["data"] = CohortManifest(self.URL, storage_options=self.OPTIONS)
        for catalog in (cat, pickle.loads(pickle.dumps(cat))):
            for data in (catalog["x"].data, catalog["data"], catalog["x"](normalization="TC").data):
                assert data.url == self.URL
                assert data.storage_options == self.OPTIONS
        assert cat["x"](url="https://host/other.json").data.storage_options == self.OPTIONS

    def test_they_reach_the_server(self, server):
        folder, url, seen = server
        manifest_of(folder, "BRCA_x")
        options = {"http": {"headers": {"Authorization": f"Bearer {SECRET}"}}}
        cat = to_v2(CohortCollection(f"{url}/manifest.json", storage_options=options))
        cat["BRCA"].discover()
        assert [headers.get("Authorization") for _, headers in seen] == [f"Bearer {SECRET}"] * len(seen)
        assert {path for path, _ in seen} == {"/manifest.json", "/BRCA_x.h5"}

    def test_templates_are_saved_and_filled_in(self, server, tmp_path, monkeypatch):
        monkeypatch.setenv("TOKEN", SECRET)
        folder, url, seen = server
        manifest_of(folder, "BRCA_x")
        options = {"http": {"headers": {"Authorization": "Bearer {env(TOKEN)}"}}}
        reader = CohortCatalogReader(f"{url}/manifest.json", storage_options=options)
        reader.read().to_yaml_file(str(tmp_path / "c.yaml"))
        saved = yaml.safe_load((tmp_path / "c.yaml").read_text())
        assert saved["entries"]["BRCA_x"]["kwargs"]["storage_options"] == options
        for cat in (reader.read(), Catalog.from_yaml_file(str(tmp_path / "c.yaml"))):
            cat["BRCA"].discover()
        assert {headers.get("Authorization") for _, headers in seen} == {f"Bearer {SECRET}"}

    def test_templates_beside_credentials(self, monkeypatch):
        monkeypatch.setenv("TOKEN", "other")
        options = {"https": {"headers": {"A": "{env(TOKEN)}", "B": SECRET}}}
        cat = Catalog()
        cat["x"] = CohortReader("BRCA", url="https://host/m.json", storage_options=options)
        assert cat.get_entity("x").kwargs["storage_options"] == {"https": {"headers": {"A": "{env(TOKEN)}"}}}
        assert cat["x"].data.collection.storage_options == {"https": {"headers": {"A": "other", "B": SECRET}}}


class TestProcesses:
    def test_pickling(self, bundle, cat):
        cat["OV_stage"].discover()
        for thing in (
            CohortReader("BRCA", url=bundle, normalization="TC"),
            CohortCatalogReader(bundle),
            CohortFileReader("x.h5"),
            ManifestCohort("BRCA", bundle),
            cat["OV_stage"],
        ):
            again = pickle.loads(pickle.dumps(thing))
            assert again == thing
            assert repr(again) == repr(thing)
            assert again.metadata == thing.metadata
        assert list(pickle.loads(pickle.dumps(cat))) == list(cat)
        assert pickle.loads(pickle.dumps(cat))["BRCA"].discover().sizes["normalization"] == 3

    def test_workers_fetch_for_themselves(self, server, cache_dir):
        import distributed

        folder, url, seen = server
        manifest_of(folder, "BRCA_x", "OV_x")
        reader = CohortReader("BRCA", url=f"{url}/manifest.json", normalization="TC")
        cat = to_v2(CohortCollection(f"{url}/manifest.json"))
        with (
            distributed.LocalCluster(
                n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1"
            ) as cluster,
            distributed.Client(cluster) as client,
        ):
            pids = set(client.run(os.getpid).values())
            assert len(pids) == 2
            assert os.getpid() not in pids
            shapes = client.run(read_shape, reader)
            pid, other_shape = client.submit(read_pid_and_shape, cat["OV"], pure=False).result()
            total = float(client.compute(reader.to_dask()["real"].sum()).result())
        here = reader.read()["real"]
        assert set(shapes.values()) == {here.shape}
        assert pid in pids
        assert other_shape == (3, *here.shape)
        assert total == pytest.approx(float(here.sum()))
        assert [path for path, _ in seen].count("/BRCA_x.h5") == 1  # workers that share a cache download once
        assert [path for path, _ in seen].count(
            "/manifest.json"
        ) >= 3  # and each reads the manifest for itself


def read_shape(reader):
    return reader.read()["real"].shape


def read_pid_and_shape(reader):
    return os.getpid(), reader.read()["real"].shape


class TestFromV1:
    def test_a_catalog(self, bundle, tmp_path):
        one = intake.open_tcga(bundle)
        two = one.to_v2()
        assert list(two) == list(one)
        xr.testing.assert_identical(two["BRCA"].read(), one["BRCA"].read())
        two.to_yaml_file(str(tmp_path / "c.yaml"))
        assert list(Catalog.from_yaml_file(str(tmp_path / "c.yaml"))) == list(one)

    def test_a_narrowed_catalog_and_a_source(self, bundle):
        assert list(intake.open_tcga(bundle).search("breast").to_v2()) == ["BRCA"]
        assert len(intake.open_tcga(bundle)["BRCA"].to_v2()) == 1
