"""Which pictures there are, and that all of them are drawn."""

from io import BytesIO

import numpy as np
import pytest
import xarray as xr
from PIL import Image

from intake_tcga.archs4.access import open_archs4
from intake_tcga.cohorts.access import open_sample
from intake_tcga.errors import OptionError
from intake_tcga.explorer.pictures import (
    FEATURE,
    choices_of,
    features_of,
    fields_of,
    kind_of,
    narrowed,
    pictures_of,
    png,
)
from intake_tcga.slides.opening import open_slide


@pytest.fixture
def lung(sample_archs4):
    with open_archs4(sample_archs4) as ds:
        yield ds


def width(drawn):
    image = Image.open(BytesIO(drawn))
    assert np.asarray(image.convert("L")).std() > 5, "nothing is on it"
    return image.width


def test_a_cohort():
    ds = open_sample()
    assert kind_of(ds) == "cohort"
    assert choices_of(ds)["model"] == ["CVAE1_5", "CVAE1_10", "CVAE1_20"]
    assert features_of(ds)[0] == "hsa.let.7a.1"
    choices = {"normalization": "TC", "model": "CVAE1_10"}
    drawn = [png(picture, ds, choices) for picture in pictures_of(ds)]
    assert all(width(one) > 500 for one in drawn)
    assert png(pictures_of(ds)[0], ds, choices) == drawn[0]
    assert png(pictures_of(ds)[0], ds, {**choices, "model": "CVAE1_5"}) != drawn[0]


def test_expression(lung):
    assert kind_of(lung) == "expression"
    assert (choices_of(lung), features_of(lung)[0]) == ({}, "PRDM15")
    labels = [picture.label for picture in pictures_of(lung)]
    assert labels == ["Samples", "Library sizes", "Heat map", "Metadata"]
    assert "source_name_ch1" in fields_of(lung)
    assert width(png(pictures_of(lung)[3], lung, {}, "source_name_ch1")) > 500
    assert width(png(FEATURE, lung, {}, "PFKL")) > 500
    with pytest.raises(OptionError, match="Pick a feature"):
        png(FEATURE, lung, {})


def test_what_is_no_counts_has_no_library_sizes(lung):
    values = xr.Dataset({"level": (("sample", "feature"), np.eye(3))})
    assert "Library sizes" not in [picture.label for picture in pictures_of(values)]


def test_a_slide(sample_slide):
    tree = open_slide(sample_slide)
    assert (kind_of(tree), features_of(tree), fields_of(tree)) == ("slide", [], [])
    assert width(png(pictures_of(tree)[0], tree, {})) > 500


def test_some_samples_of_many(lung):
    assert narrowed(lung, 500, "") is lung
    assert narrowed(lung, 10, "").sizes["sample"] == 10
    assert narrowed(lung, 500, "111CU").sizes["sample"] == 1
    with pytest.raises(OptionError, match="mentions"):
        narrowed(lung, 10, "no such thing")


def test_nothing_to_show():
    with pytest.raises(OptionError, match="sample"):
        kind_of(xr.Dataset({"a": ("x", [1])}))


def test_some_samples_of_a_dataset_that_is_from_nowhere():
    titles = [f"{'lung' if n % 3 else 'liver'} {n}" for n in range(30)]
    ds = xr.Dataset(
        {"counts": (("sample", "feature"), np.ones((30, 2), "u4"))},
        {"sample": [f"GSM{n}" for n in range(30)], "title": ("sample", titles)},
    )
    assert narrowed(ds, 500, "liver").sizes["sample"] == 10
    assert narrowed(ds, 5, "lung")["title"].str.startswith("lung").all()
