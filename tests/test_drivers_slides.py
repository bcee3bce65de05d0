"""Intake V1 over slides: what users do with `cat.slides` and the sample, against a server that behaves as the GDC."""

import pickle
import re
import warnings

import intake
import numpy as np
import pytest
import xarray as xr
import yaml
from gdc_server import TOKEN, GdcServer, gdc_slide
from intake.readers.entry import Catalog as CatalogV2

from intake_tcga.cohorts.sample import catalogs_folder
from intake_tcga.drivers import SlideCatalog, SlideSource
from intake_tcga.errors import (
    AccessDeniedError,
    AmbiguousNameError,
    ManifestError,
    NameNotFoundError,
    OfflineError,
    OptionError,
)
from intake_tcga.slides.opening import open_slide

SAMPLE = catalogs_folder() / "sample" / "CMU-1-Small-Region.svs"
BODY = SAMPLE.read_bytes()
SECRET = "pa55"


@pytest.fixture
def gdc():
    files = [gdc_slide(number, body=BODY) for number in range(5)]
    files += [gdc_slide(number, body=BODY, project="TCGA-OV", kind="tissue") for number in range(5, 8)]
    files += [gdc_slide(9, body=BODY, access="controlled")]
    with GdcServer(files) as gdc:
        yield gdc


@pytest.fixture
def cat(gdc, monkeypatch):
    monkeypatch.setenv("INTAKE_TCGA_GDC_URL", gdc.endpoint)
    return intake.open_catalog(str(catalogs_folder() / "tcga.yaml")).slides


@pytest.fixture
def sample():
    return intake.open_catalog(str(catalogs_folder() / "sample.yaml")).slide


def reopened(thing, path):
    path.write_text(thing.yaml())
    (name,) = yaml.safe_load(thing.yaml())["sources"]
    return intake.open_catalog(str(path))[name]


class TestCatalog:
    def test_nobody_is_asked_before_a_slide_is_needed(self, cat, gdc):
        repr(cat), cat._repr_html_(), cat.yaml(), cat.discover(), pickle.dumps(cat), dir(cat)
        assert cat._ipython_key_completions_() == []
        assert not hasattr(cat, "_ipython_display_x")
        assert "not listed yet" in repr(cat)
        assert gdc.requests == []

    def test_listing_asks_once(self, cat, gdc):
        assert len(list(cat)) == len(cat) == len(cat.df) == 8
        asked = len(gdc.requests)
        _ = list(cat), cat.df, cat.unique("project"), repr(cat), cat.search(kind="tissue").df, dir(cat)
        cat[next(iter(cat))](mpp=15.0)
        assert len(gdc.requests) == asked
        assert next(iter(cat)) in cat._ipython_key_completions_()

    def test_one_slide_is_asked_for_alone_and_once(self, cat, gdc):
        name = gdc.files[2].file_name.partition(".")[0]
        source = cat[name]
        assert name in cat
        source(mpp=15.0)
        asked = [request for request in gdc.requests if request.name == "files"]
        assert len(asked) == 1
        assert "cases.submitter_id" in str(asked[0].document)
        source(mpp=15.0).read()
        assert len([request for request in gdc.requests if request.name == "files"]) == 1

    def test_entries_answer_to_every_name(self, cat, gdc):
        file = gdc.files[0]
        whole = intake.open_catalog(str(catalogs_folder() / "tcga.yaml"))
        barcode = file.file_name.partition(".")[0]
        for source in (
            cat[barcode],
            cat[file.file_name],
            cat[file.file_id],
            whole[f"slides.{barcode}"],
            whole["slides", barcode],
        ):
            assert source.slide == file.file_name
        assert barcode in cat

    def test_files_of_one_barcode_are_listed_by_file_name(self, cat, gdc):
        twin = gdc_slide(20, body=BODY, case=gdc.files[0].case)
        gdc.files.append(twin)
        assert {twin.file_name, gdc.files[0].file_name} <= set(cat)
        assert cat[twin.file_name].slide == twin.file_name
        with pytest.raises(AmbiguousNameError, match=twin.file_name):
            cat[twin.file_name.partition(".")[0]]

    def test_names_that_are_not_there(self, cat):
        with pytest.raises(NameNotFoundError, match="no slide"):
            cat["TCGA-99-9999-01Z-00-DX1"]
        assert "TCGA-99-9999-01Z-00-DX1" not in cat
        list(cat)
        with pytest.raises(NameNotFoundError, match="nearest"):
            cat[next(iter(cat))[:-1] + "9"]
        with pytest.raises(AttributeError, match="no slide"):
            cat.nothing  # noqa: B018

    def test_metadata_of_entries(self, cat):
        luad = cat.search(project="TCGA-LUAD")
        described = luad._entries[next(iter(luad))].describe()
        assert described["metadata"]["project"] == "TCGA-LUAD"
        assert described["description"] == "Whole-slide image: TCGA-LUAD, diagnostic, Primary Tumor"

    def test_search_filter_unique(self, cat):
        assert len(cat.search(project="TCGA-OV", kind="tissue")) == 3
        assert len(cat.search(project="TCGA-LUAD").search(kind="tissue")) == 0
        assert len(cat.search("luad")) == 5
        assert set(cat.unique("project")) == {"TCGA-LUAD", "TCGA-OV"}
        assert len(cat.filter(lambda entry: entry.describe()["metadata"]["kind"] == "tissue")) == 3
        with pytest.raises(OptionError, match="project"):
            cat.search(projekt="TCGA-OV")
        narrowed = cat.search(project="TCGA-OV")
        with pytest.raises(NameNotFoundError, match="this collection"):
            narrowed[next(iter(cat.search(project="TCGA-LUAD")))]

    def test_chosen_by_name(self, cat, gdc):
        name = gdc.files[0].file_name
        [shown] = cat.get(files=name)
        assert cat[shown].describe()["args"]["slide"] == name
        with pytest.raises(NameNotFoundError, match="nothing"):
            list(cat.get(files="nothing.svs"))
        with pytest.raises(OptionError, match="files=5"):
            cat.get(files=5)

    def test_a_draw_is_the_same_wherever_it_is_reopened(self, cat, gdc, tmp_path, monkeypatch):
        drawn = cat.search(project="TCGA-LUAD").draw(3, seed=42)
        assert list(drawn) == list(cat.search(project="TCGA-LUAD").draw(3, seed=42))
        assert list(cat.search(project="TCGA-LUAD").draw(2, seed=42)) == list(drawn)[:2]
        assert len(cat.draw(seed=1, per=("project", 2))) == 4
        gdc.files += [gdc_slide(number, body=BODY) for number in range(30, 60)]  # another listing
        gdc.release = "Data Release 44.0"
        monkeypatch.setenv("INTAKE_TCGA_CACHE_DIR", str(tmp_path / "another"))
        gdc.forget()
        again = reopened(drawn, tmp_path / "c.yaml")
        assert "3 slides" in repr(again)
        assert gdc.requests == []
        assert list(again) == list(drawn)
        assert [file["file_name"] for file in again.df.to_dict("records")] == [*drawn.df["file_name"]]
        asked = [request.document for request in gdc.requests if request.name == "files"]
        assert len(asked) == 1
        assert "cases.submitter_id" in str(asked[0])

    def test_it_is_saved_with_one_entry_a_slide(self, cat, tmp_path):
        some = cat.draw(2, seed=1)
        some.save(str(tmp_path / "saved.yaml"))
        saved = intake.open_catalog(str(tmp_path / "saved.yaml"))
        assert list(saved) == list(some)
        name = next(iter(saved))
        assert isinstance(saved[name], SlideSource)
        assert saved[name](mpp=15.0).read().identical(some[name](mpp=15.0).read())

    def test_pickles(self, cat):
        some = cat.draw(2, seed=1)
        assert list(pickle.loads(pickle.dumps(some))) == list(some)

    def test_manifests(self, cat, gdc, tmp_path):
        path = cat.draw(3, seed=5).to_manifest(tmp_path / "gdc_manifest.txt")
        named = cat.from_manifest(path)
        assert list(named) == list(cat.draw(3, seed=5))
        assert list(reopened(named, tmp_path / "c.yaml")) == list(named)
        assert list(intake.open_tcga_slides(manifest=str(path), endpoint=gdc.endpoint)) == list(named)
        (tmp_path / "bad.txt").write_text("no manifest\n")
        bad = cat.from_manifest(tmp_path / "bad.txt")
        assert "bad.txt" in repr(bad) + bad._repr_html_()
        assert "search" in dir(bad)
        with pytest.raises(ManifestError, match="bad.txt"):
            list(bad)

    def test_images_and_a_sheet(self, cat, tmp_path):
        some = cat.draw(2, seed=1)
        index = some.save_images(tmp_path / "out", mpp=15.0)
        assert index["file_id"].tolist() == some.df["file_id"].tolist()
        assert some.contact_sheet(tmp_path / "sheet.png", mpp=64.0).stat().st_size > 0

    def test_many_at_once(self, cat):
        some = cat.draw(2, seed=1)
        opened = some.to_dataset_dict(mpp=15.0)
        assert {name: ds["image"].shape for name, ds in opened.items()} == dict.fromkeys(some, (98, 73, 3))

    def test_force_reload_asks_again(self, cat, gdc):
        assert len(cat) == 8
        gdc.files.append(gdc_slide(40, body=BODY))
        assert len(cat) == 8
        cat.force_reload()
        assert len(cat) == 9
        assert cat.ttl is None

    def test_options_that_do_not_exist(self, cat):
        with pytest.raises(OptionError, match="did you mean 'access'"):
            intake.open_tcga_slides(acces="open")
        with pytest.raises(OptionError, match="did you mean 'level'"):
            cat[next(iter(cat))](levl=0)

    def test_offline(self, cat, monkeypatch):
        list(cat)
        monkeypatch.setenv("INTAKE_TCGA_OFFLINE", "1")
        kept = intake.open_tcga_slides()
        assert list(kept) == list(cat)
        with pytest.raises(OfflineError):
            kept[next(iter(kept))](mpp=15.0).read()

    def test_offline_without_a_listing(self, cat, monkeypatch):
        monkeypatch.setenv("INTAKE_TCGA_OFFLINE", "1")
        with pytest.raises(OfflineError, match="once with network"):
            list(cat)
        assert "search" in dir(cat)

    def test_in_notebooks(self, cat):
        from IPython.core.formatters import DisplayFormatter

        list(cat)
        shown, _ = DisplayFormatter().format(cat)
        assert next(iter(cat)) in shown["text/html"]

    def test_texts_of_a_mirror_are_no_templates(self, cat, gdc, tmp_path, monkeypatch):
        monkeypatch.setenv("SECRET", SECRET)
        name = "{{ env(SECRET) }}.x.svs"
        gdc.files.append(gdc_slide(50, body=BODY, file_name=name, primary_site="{{ env(SECRET) }}"))
        source = cat[name]
        assert SECRET not in repr(source) + source.yaml() + repr(source.metadata)
        assert reopened(source, tmp_path / "c.yaml").slide == name
        found = cat.search(primary_site="{{ env(SECRET) }}")
        assert list(reopened(found, tmp_path / "d.yaml")) == list(found)

    def test_drivers_are_registered_and_quiet(self, cat):
        assert intake.registry["tcga_slides"] is SlideCatalog
        assert intake.registry["tcga_slide"] is SlideSource
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            cat[next(iter(cat))](method="ranges", mpp=15.0)


class TestToken:
    def test_it_is_used_and_never_shown(self, gdc, tmp_path):
        (tmp_path / "token.txt").write_text(TOKEN)
        cat = intake.open_tcga_slides(
            gdc.endpoint, token_file=str(tmp_path / "token.txt"), access="controlled"
        )
        (name,) = cat
        source = cat[name](mpp=15.0)
        two = cat.to_v2()
        assert source.read()["image"].shape == (98, 73, 3)
        assert two[name](mpp=15.0).read()["image"].shape == (98, 73, 3)
        again = reopened(source, tmp_path / "c.yaml")
        assert again.read()["image"].shape == (98, 73, 3)
        assert TOKEN not in cat.yaml() + cat.serialize() + source.yaml()
        for thing in (cat, source, again, cat._entries[name].describe(), two, two.to_dict(), two[name]):
            assert TOKEN not in repr(thing) + pickle.dumps(thing).decode("latin-1")
        asked = {r.name.partition("/")[0] for r in gdc.requests if "x-auth-token" in r.headers}
        assert asked == {"data"}

    def test_a_controlled_slide_without_one(self, gdc):
        cat = intake.open_tcga_slides(gdc.endpoint, access="controlled")
        with pytest.raises(AccessDeniedError, match="GDC_TOKEN"):
            cat[next(iter(cat))].to_dask()

    def test_a_token_is_no_option(self, gdc):
        with pytest.raises(OptionError, match="token_file"):
            intake.open_tcga_slide("x", token=TOKEN)
        with pytest.raises(OptionError, match="GDC_TOKEN.*token_file") as refused:
            intake.open_tcga_slides(gdc.endpoint, token=TOKEN)
        assert TOKEN not in str(refused.value)


class TestSource:
    def test_the_sample(self, sample):
        tree = sample.to_dask()
        assert isinstance(tree, xr.DataTree)
        assert tree["scale0/image"].chunks is not None
        assert isinstance(sample(mpp=15.0).to_datatree(), xr.DataTree)
        assert sample.local_path().endswith("CMU-1-Small-Region.svs")

    def test_read_is_the_image_in_memory(self, sample):
        image = sample(mpp=15.0).read()
        assert isinstance(image["image"].variable._data, np.ndarray)
        xr.testing.assert_equal(image, open_slide(SAMPLE, mpp=15.0).load())
        box = sample(level=0, box_um=(100, 100, 200, 150)).read()
        assert box.sizes["x"] > box.sizes["y"] > 0
        assert sample(associated="label").read()["image"].ndim == 3

    def test_the_whole_pyramid_is_not_read(self, sample):
        with pytest.raises(OptionError, match=r"mpp=, level=.*to_dask"):
            sample.read()

    def test_more_than_memory_is_refused(self, sample, monkeypatch):
        monkeypatch.setattr("intake_tcga.arrays.memory._memory", lambda: 1000)
        with pytest.raises(OptionError, match=r"this machine has 1.0 kB.*mpp="):
            sample(mpp=15.0).read()

    def test_discover(self, sample):
        found = sample(mpp=15.0).discover()
        assert (found["dtype"], found["shape"]) == ("uint8", (98, 73, 3))
        assert found["metadata"]["mpp"] == 15.0
        assert sample.discover()["shape"] == (2967, 2220, 3)

    def test_values_that_cannot_be(self, sample):
        for options, match in (
            ({"mpp": 0.1}, "upsample"),
            ({"mpp": 15.0, "level": 0}, "one of them"),
            ({"method": "magic"}, "ranges"),
            ({"method": "tiles"}, "GDC"),
            ({"level": 7}, "0 "),
            ({"associated": "x"}, "label"),
        ):
            with pytest.raises((OptionError, NameNotFoundError), match=match):
                sample(**options).to_dask()

    def test_yaml_reopens_the_same(self, sample, tmp_path):
        chosen = sample(mpp=15.0, box_um=[10.0, 10.0, 500.0, 400.0])
        again = reopened(chosen, tmp_path / "c.yaml")
        assert again.read().identical(chosen.read())

    def test_a_relative_path_is_saved_whole(self, tmp_path, monkeypatch):
        monkeypatch.chdir(SAMPLE.parent)
        text = intake.open_tcga_slide(SAMPLE.name, mpp=15.0).yaml()
        monkeypatch.chdir(tmp_path)
        (tmp_path / "c.yaml").write_text(text)
        assert intake.open_catalog(str(tmp_path / "c.yaml"))[SAMPLE.name].read().sizes["x"] == 73

    def test_by_every_method(self, cat):
        name = next(iter(cat))
        ranges, whole = (cat[name](mpp=15.0, method=method).read() for method in ("ranges", "download"))
        assert np.array_equal(ranges["image"], whole["image"])
        assert cat[name].local_path().endswith(cat[name].slide)

    def test_credentials_stay_out(self):
        source = SlideSource(
            f"https://me:{SECRET}@host/x.svs?sig={SECRET}",
            mpp=15.0,
            storage_options={"headers": {"Authorization": SECRET}},
        )
        assert SECRET not in repr(source) + source.yaml() + source._repr_html_()
        assert SECRET not in repr(source.to_v2()) + repr(source.to_v2().to_dict())
        assert repr(source) == "<tcga_slide https://host/x.svs: mpp=15.0>"

    def test_pickles_and_images_of_it(self, cat):
        chosen = cat[next(iter(cat))](mpp=15.0)
        again = pickle.loads(pickle.dumps(chosen))
        assert again == chosen
        assert again.read().identical(chosen.read())
        lazy = chosen.to_dask()
        assert pickle.loads(pickle.dumps(lazy)).compute().identical(lazy.compute())

    def test_to_v2(self, sample):
        chosen = sample(mpp=15.0)
        (reader,) = (chosen.to_v2()[name] for name in chosen.to_v2())
        xr.testing.assert_identical(reader.read(), chosen.read())

    def test_workers_read_for_themselves(self, cat):
        import distributed

        with (
            distributed.LocalCluster(
                n_workers=1, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1"
            ) as cluster,
            distributed.Client(cluster) as client,
        ):
            sent = cat[next(iter(cat))](mpp=15.0)
            total = client.submit(lambda s: int(s.to_dask()["image"].sum()), sent).result()
        assert total == int(sent.read()["image"].sum())


def test_numbers_of_numpy_are_saved(sample, tmp_path):
    chosen = sample(mpp=np.float64(15), box_um=np.array([0, 0, 300, 300]), chunks={"y": np.int64(10)})
    assert "numpy" not in chosen.yaml()
    again = reopened(chosen, tmp_path / "c.yaml")
    assert again.read().identical(chosen.read())
    assert again.to_dask().chunks == chosen.to_dask().chunks
    catalog = chosen.to_v2()
    catalog.to_yaml_file(str(tmp_path / "v2.yaml"))
    assert "numpy" not in (tmp_path / "v2.yaml").read_text()
    (name,) = catalog
    kept = CatalogV2.from_yaml_file(str(tmp_path / "v2.yaml"))[name]
    assert kept.read().identical(chosen.read())


@pytest.mark.parametrize("wrong", [re.compile("x"), len, object()])
def test_what_a_catalog_cannot_have(sample, wrong):
    source = sample(mpp=15.0, chunks={"y": wrong})
    with pytest.raises(OptionError, match=r"chunks\['y'\]=.* cannot be saved.*; give "):
        source.yaml()
    with pytest.raises(OptionError, match=r"cannot be saved.*; give "):
        source.to_v2()
