"""Intake V1: what users do with catalogs, and every trap of intake that a plain driver falls into."""

import pickle
import re
import warnings
from pathlib import Path

import intake
import numpy as np
import pytest
import xarray as xr
import yaml
from cohort_files import write_mirna, write_rnaseq
from intake.catalog import Catalog
from manifests import manifest_for

from intake_tcga.cohorts.sample import catalogs_folder
from intake_tcga.drivers import CohortCatalog, CohortSource
from intake_tcga.errors import (
    AmbiguousNameError,
    NameNotFoundError,
    OfflineError,
    OptionError,
    TransferError,
)


@pytest.fixture
def bundle(tmp_path):
    """Return the URL of a manifest of three miRNA cohorts; two share a code."""
    folder = tmp_path / "bundle"
    folder.mkdir()
    for name in ("BRCA_er_status", "OV_grade", "OV_stage"):
        write_mirna(folder / f"{name}.h5")
    return manifest_for(folder).as_uri()


@pytest.fixture
def cat(bundle):
    return intake.open_tcga(bundle)


def write_catalog(path, **sources):
    path.write_text(
        yaml.safe_dump({"sources": {k: {"driver": "tcga", "args": v} for k, v in sources.items()}})
    )
    return str(path)


class TestDay:
    def test_the_shipped_catalog_lists_its_bundles(self):
        assert list(intake.open_catalog(str(catalogs_folder() / "tcga.yaml")))[:2] == ["mirna", "rnaseq"]

    def test_the_sample_opens_as_a_remote_bundle_does(self, cache_dir):
        cat = intake.open_catalog(str(catalogs_folder() / "sample.yaml"))
        ds = cat.sample["PRAD"].to_dask()
        assert ds["real"].sel(normalization="TC").shape == (77, 120)
        assert (cache_dir / "tcga/mirna/sample-1/PRAD_sample_type.h5").is_file()

    def test_read_is_in_memory_and_narrowed(self, cat):
        ds = cat.BRCA(normalization="TC", model="CVAE1_20").read()
        assert ds["real"].dims == ("sample", "feature")
        assert isinstance(ds["real"].variable._data, np.ndarray)

    def test_what_was_read_needs_no_file(self, cat):
        ds = cat.BRCA.read()
        Path(cat.BRCA.local_path()).unlink()
        assert str(ds["sample"].values[0]).startswith("TCGA")
        assert pickle.loads(pickle.dumps(ds)).sel(sample=ds["sample"].values[0])["real"].size

    def test_to_dask_follows_the_files_chunks(self, cat):
        ds = cat.BRCA.to_dask()
        assert ds["real"].chunks is not None
        assert ds["real"].chunks[0] == (1, 1, 1)

    def test_discover_reads_no_matrix(self, cat, monkeypatch):
        import intake_tcga.hdf5.chunks

        source = cat.BRCA
        source.local_path()
        monkeypatch.setattr(intake_tcga.hdf5.chunks, "read_chunks", None, raising=False)
        found = source.discover()
        assert found["dtype"] == "float64"
        assert len(found["shape"]) == 3
        assert found["metadata"]["dims"]["normalization"] == 3

    def test_datatree_and_path(self, cat):
        tree = cat.BRCA.to_datatree()
        assert isinstance(tree, xr.DataTree)
        assert "processed" in tree.children
        assert cat.BRCA.local_path().endswith("BRCA_er_status.h5")

    def test_rnaseq_takes_off_aug(self, tmp_path):
        write_rnaseq(tmp_path / "SKCM_x.h5")
        cat = intake.open_tcga(manifest_for(tmp_path).as_uri())
        assert cat.SKCM(off_aug="none").to_dask()["synthetic"].dims[:2] == ("normalization", "model")

    def test_partitions(self, cat):
        assert cat.BRCA.read_partition(0).sizes == cat.BRCA.read().sizes
        assert len(list(cat.BRCA.read_chunked())) == 1
        with pytest.raises(OptionError, match="one partition"):
            cat.BRCA.read_partition(1)

    def test_with_statement_and_close(self, cat):
        with cat.BRCA as source:
            assert source.read()["real"].size
        source.close()


class TestNames:
    def test_codes_where_unique_else_full_names(self, cat):
        assert list(cat) == ["BRCA", "OV_grade", "OV_stage"]
        assert len(cat) == 3

    def test_both_are_keys(self, cat):
        assert cat["BRCA"].cohort == cat["BRCA_er_status"].cohort == cat.BRCA.cohort
        assert "BRCA_er_status" in cat
        assert "OV" not in cat

    def test_dotted_and_tuple_keys(self, bundle, tmp_path):
        cat = intake.open_catalog(write_catalog(tmp_path / "c.yaml", mirna={"urlpath": bundle}))
        assert cat["mirna.BRCA"].cohort == cat["mirna", "BRCA"].cohort == cat.mirna.BRCA.cohort

    def test_unknown_names_the_nearest(self, cat):
        with pytest.raises(NameNotFoundError, match="BRCA"):
            cat["BRCX"]
        with pytest.raises(KeyError):
            cat["BRCX"]
        with pytest.raises(AttributeError, match="BRCA"):
            cat.BRCX  # noqa: B018
        assert not hasattr(cat, "BRCX")

    @pytest.mark.parametrize("key", [0, 1.5, None, b"BRCA"])
    def test_what_is_no_name_lists_the_names(self, cat, key):
        with pytest.raises(NameNotFoundError, match="There are: BRCA, OV_grade, OV_stage"):
            cat[key]

    def test_get_is_that_of_a_mapping(self, cat):
        assert cat.get("BRCA").cohort == cat.get("BRCA_er_status", None).cohort == "BRCA_er_status"
        assert cat.get("BRCX") is cat.get("OV") is None
        assert cat.get("BRCX", 5) == cat.get("BRCX", default=5) == 5
        with pytest.raises(OptionError, match="'chunks'"):
            cat.get("BRCA", chunks={})

    def test_get_without_a_name_is_intakes_own(self, cat, bundle):
        assert list(cat.get()) == list(cat)
        assert list(cat.get(cohorts="BRCA")) == list(cat(cohorts="BRCA")) == ["BRCA"]
        assert cat.get(name="other").name == "other"

    def test_ambiguous_names_the_candidates(self, cat):
        with pytest.raises(AmbiguousNameError, match="OV_grade.*OV_stage"):
            cat["OV"]

    def test_entries_named_like_attributes_are_items(self, tmp_path):
        write_mirna(tmp_path / "metadata_x.h5")
        cat = intake.open_tcga(manifest_for(tmp_path).as_uri())
        assert cat["metadata"].cohort == "metadata_x"
        assert isinstance(cat.metadata, dict)

    def test_completion(self, cat):
        assert {"BRCA", "search", "df", "prefetch"} <= set(dir(cat))
        assert "BRCA" in cat._ipython_key_completions_()

    def test_completion_survives_an_unreachable_manifest(self, tmp_path):
        assert "search" in dir(intake.open_tcga((tmp_path / "absent.json").as_uri()))

    def test_wrong_option_lists_the_right_ones(self, cat):
        with pytest.raises(OptionError, match="DESeq"):
            cat.BRCA(normalization="TMM").to_dask()
        with pytest.raises(OptionError, match="CVAE1_5"):
            cat.BRCA(model=["CVAE1_5", "GAN"]).read()

    def test_wrong_option_needs_no_file_where_the_manifest_says_what_there_is(self, tmp_path, cache_dir):
        write_rnaseq(tmp_path / "SKCM_x.h5")
        url = manifest_for(tmp_path).as_uri()
        with pytest.raises(OptionError, match="AE_head"):
            intake.open_tcga(url).SKCM(off_aug="flip")
        with pytest.raises(OptionError, match="AE_head"):
            intake.open_tcga_cohort("SKCM", urlpath=url, off_aug="flip").to_dask()
        assert not list(cache_dir.rglob("*.h5"))

    def test_several_labels_keep_the_dimension(self, cat):
        assert cat.BRCA(normalization=["TC", "DESeq"]).to_dask().sizes["normalization"] == 2


class TestFinding:
    def test_metadata_without_opening_a_file(self, cat, cache_dir):
        described = cat._entries["BRCA"].describe()
        assert described["metadata"]["cancer_name"] == "Breast Invasive Carcinoma"
        assert described["user_parameters"][0]["allowed"] == ["raw_norm", "TC", "DESeq"]
        assert not list(cache_dir.rglob("*.h5"))

    def test_table(self, cat):
        table = cat.df
        assert table["cancer_type"].tolist() == ["BRCA", "OV", "OV"]
        assert not table["cached"].any()
        cat.BRCA.local_path()
        assert cat.df["cached"].tolist() == [True, False, False]

    def test_search_by_text_facets_lists_patterns_functions(self, cat):
        assert list(cat.search("breast")) == ["BRCA"]
        assert list(cat.search(cancer_type="OV")) == ["OV_grade", "OV_stage"]
        assert list(cat.search(cancer_type=["OV", "BRCA"])) == list(cat)
        assert list(cat.search(name=re.compile("stage$"))) == ["OV_stage"]
        assert list(cat.search(n_samples=lambda n: n > 10**6)) == []

    def test_searches_narrow_one_another(self, cat):
        found = cat.search(cancer_type="OV").search("stage")
        assert list(found) == ["OV_stage"]
        assert found.df["name"].tolist() == ["OV_stage"]
        with pytest.raises(NameNotFoundError, match="narrowed"):
            found["BRCA"]

    def test_unknown_facet_lists_the_facets(self, cat):
        with pytest.raises(OptionError, match="cancer_type"):
            cat.search(cancer="BRCA")

    def test_unique(self, cat):
        assert set(cat.unique("cancer_type")) == {"BRCA", "OV"}
        for wrong in (["code"], 0, "cod"):
            with pytest.raises(OptionError, match="There are: name, code, cancer_type"):
                cat.unique(wrong)

    @pytest.mark.parametrize("cohorts", ["BRCA", ["BRCA"], ["BRCA_er_status"], ["BRCA", "BRCA"]])
    def test_chosen_in_yaml_by_any_name(self, bundle, tmp_path, cohorts):
        path = write_catalog(tmp_path / "c.yaml", chosen={"urlpath": bundle, "cohorts": cohorts})
        chosen = intake.open_catalog(path).chosen
        assert "1 cohort chosen" in repr(chosen)
        assert list(chosen) == chosen.df["code"].tolist() == ["BRCA"]
        assert chosen.BRCA.cohort == "BRCA_er_status"
        assert "OV_grade" not in chosen._repr_html_()
        with pytest.raises(NameNotFoundError, match="narrowed"):
            chosen["OV_grade"]

    @pytest.mark.parametrize(
        ("cohorts", "error", "said"),
        [
            (["NOPE"], NameNotFoundError, "There are: BRCA, OV_grade, OV_stage"),
            (["OV"], AmbiguousNameError, "OV_grade, OV_stage"),
            ("OV_grad", NameNotFoundError, "Did you mean OV_grade"),
        ],
    )
    def test_chosen_by_a_wrong_name_is_no_empty_catalog(self, bundle, cohorts, error, said):
        chosen = intake.open_tcga(bundle, cohorts=cohorts)
        with pytest.raises(error, match=said):
            list(chosen)
        with pytest.raises(error, match=said):
            chosen.df  # noqa: B018

    @pytest.mark.parametrize("cohorts", [5, [5], {"OV_grade": 1}])
    def test_chosen_by_no_names(self, bundle, cohorts):
        with pytest.raises(OptionError, match="cohorts="):
            intake.open_tcga(bundle, cohorts=cohorts)

    def test_filter_and_walk(self, cat):
        assert list(cat.filter(lambda entry: "BRCA" in entry.name)) == ["BRCA"]
        assert set(cat.walk()) == set(cat)

    def test_search_across_a_yaml_catalog(self, bundle, tmp_path):
        cat = intake.open_catalog(write_catalog(tmp_path / "c.yaml", mirna={"urlpath": bundle}))
        assert "mirna.BRCA" in list(cat.search("breast"))

    def test_to_dataset_dict(self, cat):
        opened = cat.search(cancer_type="OV").to_dataset_dict(normalization="TC")
        assert {name: ds["real"].ndim for name, ds in opened.items()} == {"OV_grade": 2, "OV_stage": 2}


class TestTraps:
    def test_opening_reads_nothing(self, bundle, tmp_path, monkeypatch):
        def fail(*_, **__):
            raise AssertionError("the manifest was read")

        monkeypatch.setattr("intake_tcga.cohorts.collection.load_manifest", fail)
        path = write_catalog(tmp_path / "c.yaml", mirna={"urlpath": bundle})
        cat = intake.open_catalog(path)
        assert list(cat) == ["mirna"]
        assert "not read yet" in repr(cat.mirna)
        with pytest.raises(AssertionError, match="was read"):
            list(cat.mirna)

    def test_listing_costs_one_manifest_read(self, bundle, monkeypatch):
        from intake_tcga.cohorts import collection

        reads = []
        load = collection.load_manifest
        monkeypatch.setattr(collection, "load_manifest", lambda *a, **k: reads.append(1) or load(*a, **k))
        cat = intake.open_tcga(bundle)
        _ = list(cat), len(cat), "BRCA" in cat, cat.df, cat["BRCA"].to_dask(), cat.search("ov").df, repr(cat)
        assert reads == [1]

    def test_the_manifest_does_not_expire(self, cat):
        assert cat.ttl is None

    def test_force_reload_asks_again(self, tmp_path):
        write_mirna(tmp_path / "BRCA_x.h5")
        cat = intake.open_tcga(manifest_for(tmp_path).as_uri())
        assert list(cat) == ["BRCA"]
        write_mirna(tmp_path / "OV_x.h5")
        manifest_for(tmp_path)
        assert list(cat) == ["BRCA"]
        cat.force_reload()
        assert list(cat) == ["BRCA", "OV"]

    def test_no_bogus_shell_warning(self, cat):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            cat.BRCA(normalization="TC")
            cat["BRCA"].to_dask()

    def test_a_manifests_text_is_no_template(self, tmp_path, monkeypatch):
        monkeypatch.setenv("SECRET", "s3cr3t")
        write_mirna(tmp_path / "BRCA_x.h5")
        path = manifest_for(tmp_path)
        path.write_text(
            path.read_text().replace('"clinical_variable": "', '"clinical_variable": "{{ env(SECRET) }}')
        )
        assert "s3cr3t" not in repr(intake.open_tcga(path.as_uri())["BRCA"].metadata)

    def test_catalog_dir_with_or_without_slash(self, bundle):
        doubled = bundle.replace("/manifest.json", "//manifest.json")
        assert intake.open_tcga(doubled).collection.urlpath == bundle

    def test_environment_in_yaml(self, bundle, tmp_path, monkeypatch):
        monkeypatch.setenv("TCGA_MANIFEST", bundle)
        path = write_catalog(tmp_path / "c.yaml", mirna={"urlpath": "{{ env(TCGA_MANIFEST) }}"})
        assert "BRCA" in intake.open_catalog(path).mirna

    def test_saved_catalog_reopens(self, cat, tmp_path):
        cat.save(str(tmp_path / "saved.yaml"))
        saved = intake.open_catalog(str(tmp_path / "saved.yaml"))
        assert list(saved) == list(cat)
        assert (
            saved["BRCA"](normalization="TC")
            .to_dask()["real"]
            .identical(cat["BRCA"](normalization="TC").to_dask()["real"])
        )

    def test_yaml_of_a_source_reopens_the_same(self, cat, tmp_path):
        source = cat.BRCA(normalization="TC")
        (tmp_path / "one.yaml").write_text(source.yaml())
        again = intake.open_catalog(str(tmp_path / "one.yaml"))["BRCA"]
        assert again.read().identical(source.read())
        assert yaml.safe_load(source.yaml())["sources"]["BRCA"]["driver"] == "tcga_cohort"

    def test_yaml_of_a_catalog_reopens_the_same(self, cat, tmp_path):
        (tmp_path / "cat.yaml").write_text(cat.search("ov").yaml())
        assert list(intake.open_catalog(str(tmp_path / "cat.yaml")).tcga) == ["OV_grade", "OV_stage"]

    def test_credentials_stay_out(self, bundle):
        cat = CohortCatalog(
            bundle.replace("file://", "https://me:pa55@") + "?sig=pa55",
            storage_options={"headers": {"Authorization": "pa55"}, "client_kwargs": {"auth": "pa55"}},
        )
        source = CohortSource("X", urlpath=cat.collection.urlpath, storage_options=cat.storage_options)
        for shown in (repr(cat), cat.yaml(), repr(source), source.yaml(), repr(cat.collection)):
            assert "pa55" not in shown

    def test_walk_raises_the_typed_error(self, tmp_path):
        with pytest.raises(TransferError):
            intake.open_tcga((tmp_path / "absent.json").as_uri()).walk()

    def test_manifest_json_needs_the_driver(self, bundle):
        assert list(intake.open_catalog(bundle, driver="tcga")) == ["BRCA", "OV_grade", "OV_stage"]

    def test_html_in_notebooks(self, cat):
        from IPython.core.formatters import DisplayFormatter

        shown, _ = DisplayFormatter().format(cat)
        assert "Breast Invasive Carcinoma" in shown["text/html"]
        shown, _ = DisplayFormatter().format(cat.BRCA)
        assert "Ovarian" not in shown["text/html"]

    def test_html_of_an_unreachable_manifest_is_a_sentence(self, tmp_path):
        assert "absent.json" in intake.open_tcga((tmp_path / "absent.json").as_uri())._repr_html_()

    def test_builtin_catalog_is_made_on_access(self):
        import intake_tcga.drivers

        assert isinstance(intake_tcga.drivers.builtin_catalog, Catalog)
        assert list(intake_tcga.drivers.builtin_catalog)[:2] == ["mirna", "rnaseq"]

    def test_offline_never_reads_a_remote_manifest(self, monkeypatch):
        monkeypatch.setenv("INTAKE_TCGA_OFFLINE", "1")
        with pytest.raises(OfflineError):
            list(intake.open_tcga("https://example.org/manifest.json"))

    def test_plugins_are_registered(self):
        assert intake.registry["tcga"] is CohortCatalog
        assert intake.registry["tcga_cohort"] is CohortSource

    @pytest.mark.parametrize("how", ["path", "glob", "list"])
    def test_yaml_by_path_glob_and_list(self, bundle, tmp_path, how):
        one = write_catalog(tmp_path / "one.yaml", a={"urlpath": bundle})
        two = write_catalog(tmp_path / "two.yaml", b={"urlpath": bundle})
        cat = intake.open_catalog({"path": one, "glob": str(tmp_path / "*.yaml"), "list": [one, two]}[how])
        nested = cat if "a" in list(cat) else cat["one"]
        assert "BRCA" in nested["a"]

    def test_an_unset_environment_variable_is_said(self, tmp_path):
        path = write_catalog(tmp_path / "c.yaml", mirna={"urlpath": "{{ env(SURELY_NOT_SET) }}"})
        with pytest.raises(OptionError, match="environment variable"):
            intake.open_catalog(path).mirna  # noqa: B018

    def test_options_that_do_not_exist(self, bundle, cat):
        with pytest.raises(OptionError, match="did you mean 'offline'"):
            intake.open_tcga(bundle, ofline=True)
        with pytest.raises(OptionError, match="did you mean 'normalization'"):
            cat.BRCA(normalisation="TC")
        with pytest.raises(OptionError, match="mapping"):
            intake.open_tcga(bundle, storage_options="anon")

    def test_a_folder_is_no_manifest(self, tmp_path):
        with pytest.raises(OptionError, match=r"manifest\.json"):
            list(intake.open_tcga(str(tmp_path)))

    def test_repr_counts_what_it_shows(self, cat):
        assert repr(cat.search("breast")).startswith("<tcga catalog: 1 cohort chosen from file:")
        assert "3 cohorts" in repr(cat)


class TestPickles:
    def test_source(self, cat):
        source = cat.BRCA(normalization="TC")
        again = pickle.loads(pickle.dumps(source))
        assert again == source
        assert again.read().identical(source.read())

    def test_narrowed_catalog(self, cat):
        assert list(pickle.loads(pickle.dumps(cat.search(cancer_type="OV")))) == ["OV_grade", "OV_stage"]

    def test_dask_backed_dataset(self, cat):
        ds = cat.BRCA(normalization="TC").to_dask()
        assert pickle.loads(pickle.dumps(ds)).compute().identical(ds.compute())

    def test_workers_fetch_for_themselves_and_share_the_cache(self, cat, cache_dir):
        import distributed

        with (
            distributed.LocalCluster(
                n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1"
            ) as cluster,
            distributed.Client(cluster) as client,
        ):
            sources = [cat[name](normalization="TC") for name in cat]
            means = client.gather(
                [client.submit(lambda s: float(s.to_dask()["real"].mean()), s) for s in sources]
            )
            there = float(cat.BRCA(normalization="TC").to_dask()["real"].mean().compute())
        assert means[0] == pytest.approx(there)
        assert sorted(p.name for p in cache_dir.rglob("*.h5")) == [
            "BRCA_er_status.h5",
            "OV_grade.h5",
            "OV_stage.h5",
        ]
