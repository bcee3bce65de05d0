"""What is known of one thing, as text and as HTML; and that catalogs, sources and accessors show it."""

import intake
import numpy as np
import pytest

from intake_tcga.cohorts.access import open_sample
from intake_tcga.cohorts.sample import catalogs_folder
from intake_tcga.facts import html_facts, said_facts, text_facts


def test_values_as_people_read_them():
    facts = {"n": np.int64(1218), "list": ["a", "b"], "none": None, "nan": np.nan, "no": False, "f_g()": "x"}
    assert said_facts(facts) == {"n": "1,218", "list": "a, b", "no": "no", "f_g()": "x"}


def test_html_is_escaped():
    assert "<script>" not in html_facts("<script>", {"<script>": "<script>"})


def test_lines_fit():
    text = text_facts("head", {"fields": [f"field_{n}" for n in range(30)]}, width=60)
    assert max(map(len, text.splitlines())) <= 60
    assert "field_29" in text


@pytest.fixture
def sample():
    return intake.open_catalog(str(catalogs_folder() / "sample.yaml"))


def test_catalogs_sources_and_entries_show_themselves(sample):
    assert "1 cohort" in sample.sample._repr_html_()
    for shown in (sample.sample.PRAD, sample.sample._entries["PRAD"]):
        assert "Prostate Adenocarcinoma" in shown._repr_html_()
    assert "normalization=&#x27;TC&#x27;" in sample.sample.PRAD(normalization="TC")._repr_html_()
    assert "30 lung samples" in sample.archs4._repr_html_()
    assert "mpp=" in sample.slide._repr_html_()
    for source in (sample.sample.PRAD, sample.archs4, sample.slide):
        for name in source.opens_with.replace(";", ",").split(","):
            if "(" in name:
                assert hasattr(source, name.split("(")[0].split()[-1])


def test_everything_there_is():
    for shown in (repr(intake.cat.tcga), intake.cat.tcga._repr_html_()):
        assert "24 miRNA cohorts" in shown
        assert "tcga.slides" in shown
    assert intake.cat.tcga.mirna.name == "mirna"


def test_accessors(sample):
    assert "synth(normalization, model)" in open_sample().tcga._repr_html_()
    with sample.archs4.to_dask() as ds:
        assert "counts_by_symbol()" in ds.archs4._repr_html_()
