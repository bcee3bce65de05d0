"""Intake V2 over slides: one reader, catalogs that reopen by themselves, and what intake recommends."""

import pickle

import intake
import numpy as np
import pytest
import xarray as xr
from gdc_server import TOKEN, GdcServer, gdc_slide
from intake.readers.entry import Catalog
from test_readers import fresh_python

from intake_tcga.cohorts.sample import catalogs_folder
from intake_tcga.errors import NameNotFoundError, OfflineError, OptionError
from intake_tcga.readers import GdcSlides, SlideCatalogReader, SlideFile, SlideReader, slides_to_v2
from intake_tcga.slides.collection import SlideCollection
from intake_tcga.slides.opening import open_slide

SAMPLE = catalogs_folder() / "sample" / "CMU-1-Small-Region.svs"
BODY = SAMPLE.read_bytes()
SECRET = "hunter2"


@pytest.fixture
def gdc():
    files = [gdc_slide(number, body=BODY) for number in range(4)]
    files += [gdc_slide(5, body=BODY, project="TCGA-OV"), gdc_slide(9, body=BODY, access="controlled")]
    with GdcServer(files) as gdc:
        yield gdc


@pytest.fixture
def slides(gdc):
    return SlideCollection(endpoint=gdc.endpoint)


@pytest.fixture
def reader():
    return SlideReader(str(SAMPLE))


class TestRecommend:
    def test_by_name_and_content(self, tmp_path):
        (tmp_path / "x.bin").write_bytes(BODY[:8] + b"Aperio Image Library" + BODY[8:])
        assert intake.recommend(str(tmp_path / "x.bin"))[0] is SlideFile
        assert SlideFile in intake.recommend(str(SAMPLE))
        assert intake.recommend("https://host/TCGA-A.SVS", head=False)[0] is SlideFile

    def test_other_pictures_are_not(self, tmp_path):
        from PIL import Image

        Image.fromarray(np.zeros((9, 9), "u1")).save(tmp_path / "x.tif")
        assert SlideFile not in intake.recommend(str(tmp_path / "x.tif"))


class TestReader:
    def test_images_and_the_pyramid(self, reader):
        xr.testing.assert_equal(reader(mpp=15.0).read(), open_slide(SAMPLE, mpp=15.0).load())
        assert reader(level=0).to_dask()["image"].chunks is not None
        assert isinstance(reader.to_dask(), xr.DataTree)
        assert isinstance(reader.discover(), xr.DataTree)
        assert isinstance(reader(mpp=15.0).to_datatree(), xr.DataTree)
        assert reader.local_path() == str(SAMPLE)
        with pytest.raises(OptionError, match="mpp=, level="):
            reader.read()

    def test_options_that_cannot_be(self, reader):
        with pytest.raises(OptionError, match="did you mean 'level'"):
            reader(levl=1)
        with pytest.raises(OptionError, match="There are"):
            SlideFile("x", token=TOKEN)
        with pytest.raises(OptionError, match="upsample"):
            reader.read(mpp=0.1)

    def test_more_than_memory_is_refused(self, reader, monkeypatch):
        monkeypatch.setattr("intake_tcga.arrays.memory._memory", lambda: 1000)
        with pytest.raises(OptionError, match="this machine has"):
            reader.read(mpp=15.0)

    def test_a_slide_of_the_gdc_is_asked_for_alone(self, gdc):
        file = gdc.files[1]
        for name in (file.file_id, file.file_name, file.file_name.partition(".")[0]):
            reader = SlideReader(name, endpoint=gdc.endpoint, mpp=15.0)
            assert reader.read().attrs["file_id"] == file.file_id
        assert len([r for r in gdc.requests if r.name == "files"]) == 3
        with pytest.raises(NameNotFoundError, match="no slide"):
            SlideReader("TCGA-99-9999", endpoint=gdc.endpoint).discover()

    def test_it_reopens_from_yaml_and_pickles(self, reader, tmp_path):
        catalog = Catalog()
        catalog["mine"] = reader(mpp=15.0, box_um=[0.0, 0.0, 300.0, 300.0])
        catalog.to_yaml_file(str(tmp_path / "c.yaml"))
        for again in (
            Catalog.from_yaml_file(str(tmp_path / "c.yaml"))["mine"],
            pickle.loads(pickle.dumps(catalog["mine"])),
        ):
            assert again == catalog["mine"]
            xr.testing.assert_identical(again.read(), catalog["mine"].read())

    def test_credentials(self):
        reader = SlideReader(
            f"https://me:{SECRET}@host/x.svs?s={SECRET}", storage_options={"https": {"key": SECRET}}
        )
        cat = Catalog()
        cat["x"] = reader
        assert SECRET not in repr(reader) + repr(reader.data) + repr(reader.to_dict()) + repr(cat.to_dict())
        assert cat["x"].data.url.endswith(SECRET)


class TestCatalog:
    def test_it_lists_barcodes_and_answers_to_file_names(self, slides, gdc):
        cat = slides_to_v2(slides)
        assert list(cat) == slides.names()
        file = next(file for file in gdc.files if file.file_name.startswith(next(iter(cat))))
        reader = cat[next(iter(cat))]
        assert reader == cat[file.file_name]
        assert reader.metadata["file_id"] == file.file_id
        assert "Whole-slide image" in reader.metadata["description"]
        gdc.forget()
        assert reader.read(mpp=15.0)["image"].shape == (98, 73, 3)
        assert {r.name.partition("/")[0] for r in gdc.requests} == {"data"}

    def test_a_fresh_process_reopens_it(self, slides, gdc, tmp_path):
        drawn = slides.draw(2, seed=3)
        slides_to_v2(drawn, mpp=15.0).to_yaml_file(str(tmp_path / "c.yaml"))
        code = f"""
import sys, intake
cat = intake.from_yaml_file({str(tmp_path / "c.yaml")!r})
print(",".join(cat), "intake_tcga.readers" in sys.modules)
print([cat[name].read()["image"].shape for name in cat])
"""
        lines = fresh_python(code, tmp_path).splitlines()
        assert lines == [",".join(drawn.names()) + " False", "[(98, 73, 3), (98, 73, 3)]"]

    def test_pickles_hold_one_slide_each(self, slides):
        cat = slides_to_v2(slides)
        (other,) = slides.search(project="TCGA-OV").names()
        one = pickle.dumps(cat[next(name for name in cat if name != other)])
        assert b"TCGA-OV" not in one
        assert pickle.loads(one).read(mpp=15.0)["image"].shape == (98, 73, 3)

    def test_a_token_works_and_is_not_saved(self, gdc, tmp_path):
        (tmp_path / "token").write_text(TOKEN)
        by_text = SlideCollection(endpoint=gdc.endpoint, token=TOKEN, access="controlled")
        by_file = SlideCollection(endpoint=gdc.endpoint, token_file=tmp_path / "token", access="controlled")
        for slides in (by_text, by_file):
            cat = slides_to_v2(slides)
            (name,) = cat
            assert cat[name].read(mpp=15.0)["image"].shape == (98, 73, 3)
            cat.to_yaml_file(str(tmp_path / "c.yaml"))
            shown = [repr(cat), repr(cat.to_dict()), repr(cat[name]), (tmp_path / "c.yaml").read_text()]
            assert TOKEN not in "".join(shown) + pickle.dumps(cat).decode("latin-1")
        again = Catalog.from_yaml_file(str(tmp_path / "c.yaml"))
        assert again[name].read(mpp=15.0)["image"].shape == (98, 73, 3)

    def test_from_v1(self, gdc):
        one = intake.open_tcga_slides(gdc.endpoint).draw(2, seed=1)
        assert list(one.to_v2()) == list(one)


class TestCatalogReader:
    def test_nobody_is_asked_before_a_question(self, gdc):
        reader = SlideCatalogReader(gdc.endpoint)
        repr(reader), hash(reader), bool(reader), pickle.dumps(reader)
        assert gdc.requests == []
        assert len(reader) == 5
        assert "not listed yet" not in repr(reader)

    def test_it_is_a_mapping(self, gdc):
        reader = GdcSlides(gdc.endpoint).to_reader()
        assert isinstance(reader, SlideCatalogReader)
        name = next(iter(reader))
        assert reader[name] == reader.read()[name]
        assert name in reader
        assert "nothing" not in reader
        assert len(reader.search(project="TCGA-OV")) == 1
        assert list(reader.draw(2, seed=1)) == SlideCollection(endpoint=gdc.endpoint).draw(2, seed=1).names()
        with pytest.raises(OptionError, match="project"):
            reader.search(projekt="TCGA-OV")

    def test_one_is_asked_for_alone(self, gdc):
        reader = SlideCatalogReader(gdc.endpoint)
        assert reader[gdc.files[0].file_name].read(mpp=15.0)["image"].shape == (98, 73, 3)
        assert all("cases.submitter_id" in str(r.document) for r in gdc.requests if r.name == "files")

    def test_some_of_them_in_a_catalog(self, gdc, slides, tmp_path):
        drawn = slides.draw(2, seed=1)
        catalog = Catalog()
        catalog["drawn"] = SlideCatalogReader(gdc.endpoint, files=[slide.file_name for slide in drawn])
        catalog["listed"] = SlideCatalogReader(
            gdc.endpoint, manifest=str(drawn.to_manifest(tmp_path / "m.txt"))
        )
        catalog.to_yaml_file(str(tmp_path / "c.yaml"))
        again = Catalog.from_yaml_file(str(tmp_path / "c.yaml"))
        assert list(again["drawn"]) == list(again["listed"]) == drawn.names()

    def test_offline(self, gdc):
        with pytest.raises(OfflineError, match="once with network"):
            list(SlideCatalogReader(gdc.endpoint, offline=True))
        assert SlideCatalogReader(gdc.endpoint, offline=True)._ipython_key_completions_() == []
