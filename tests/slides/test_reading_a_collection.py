"""From a search to pictures: a collection opens, saves and draws its slides, each by the way the collection has."""

import pickle

import numpy as np
import pytest
from gdc_server import GdcServer, gdc_slide

from intake_tcga.cohorts.sample import catalogs_folder
from intake_tcga.errors import AccessDeniedError, IntakeTcgaError, NameNotFoundError
from intake_tcga.slides.collection import SlideCollection
from intake_tcga.slides.opening import open_slide

BODY = (catalogs_folder() / "sample" / "CMU-1-Small-Region.svs").read_bytes()
TOKEN = "s3cr3t-token"


@pytest.fixture
def gdc():
    files = [gdc_slide(number, body=BODY) for number in range(3)]
    files += [
        gdc_slide(9, body=BODY, access="controlled"),
        gdc_slide(10, body=b"no slide", project="TCGA-OV"),
    ]
    with GdcServer(files, token=TOKEN) as gdc:
        yield gdc


@pytest.fixture
def slides(gdc):
    return SlideCollection(endpoint=gdc.endpoint)


@pytest.fixture
def expected():
    return open_slide(catalogs_folder() / "sample" / "CMU-1-Small-Region.svs", mpp=15.0)["image"].values


def test_a_slide_is_opened_by_any_of_its_names(gdc, slides, expected):
    file = gdc.files[1]
    for name in (file.file_id, file.file_name, file.file_name.partition(".")[0]):
        image = slides.open(name, mpp=15.0)
        assert np.array_equal(image["image"].values, expected)
        assert (image.attrs["file_id"], image.attrs["md5"]) == (file.file_id, file.digest)
    assert len(slides.open(file.file_id)["scale0"]["image"].shape) == 3
    with pytest.raises(NameNotFoundError):
        slides.open("nothing", mpp=15.0)


def test_a_controlled_slide_is_opened_with_the_token_alone(gdc, expected):
    def controlled(**options):
        return SlideCollection(endpoint=gdc.endpoint, access="controlled", **options)

    (slide,) = controlled()
    with pytest.raises(AccessDeniedError, match="GDC_TOKEN"):
        controlled().open(slide.file_id, mpp=15.0)
    image = controlled(token=TOKEN).open(slide.file_id, mpp=15.0)
    assert np.array_equal(image["image"].values, expected)
    lazy = controlled(token=TOKEN).open(slide.file_id, mpp=15.0, keep=False)
    for shown in (repr(lazy), str(lazy.attrs), pickle.dumps(lazy).decode("latin-1")):
        assert TOKEN not in shown
    tokens = {request.name.partition("/")[0] for request in gdc.requests if "x-auth-token" in request.headers}
    assert tokens == {"data"}


def test_images_and_a_sheet_of_what_was_drawn(slides, tmp_path):
    some = slides.search(project="TCGA-LUAD").draw(2, seed=1)
    index = some.save_images(tmp_path / "out", mpp=15.0)
    assert index["file_id"].tolist() == [slide.file_id for slide in some]
    assert len(list((tmp_path / "out").glob("*.png"))) == 2
    assert some.contact_sheet(tmp_path / "sheet.png", mpp=64).is_file()


def test_one_failure_stops_nothing_else(slides, tmp_path):
    with pytest.raises(IntakeTcgaError, match="1 of 4 slides failed"):
        slides.save_images(tmp_path, mpp=15.0)
    assert len(list(tmp_path.glob("*.png"))) == 3
