"""What is known of one thing, as text and as HTML; and that catalogs, sources and accessors show it."""

import intake
import numpy as np
import pytest

from intake_tcga import Archs4Collection, SlideCollection
from intake_tcga.cohorts.access import open_sample
from intake_tcga.cohorts.sample import catalogs_folder
from intake_tcga.errors import IntakeTcgaError
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


def _row(name, said):
    return f"{name}</td><td style='text-align:left;overflow-wrap:anywhere'>{said}</td>"


def test_a_cohort_says_whether_it_is_cached_now(sample):
    prad = sample.sample.PRAD
    assert _row("cached", "no") in prad._repr_html_()
    assert _row("size", "1.0 MB") in prad._repr_html_()
    prad.to_dask().close()
    assert _row("cached", "yes") in prad._repr_html_()
    assert "cached" not in prad.yaml()


def test_local_files_say_their_size_and_whether_they_are_there(sample, tmp_path):
    assert _row("size", "141 kB") in sample.archs4._repr_html_()
    assert _row("size", "1.9 MB") in sample.slide._repr_html_()
    for source in (intake.open_tcga_archs4_file, intake.open_tcga_slide):
        assert _row("on disk", "no") in source((tmp_path / "a.h5").as_uri())._repr_html_()


def test_a_release_says_what_was_published():
    shown = intake.open_tcga_archs4_file("human_gene_v2.5")._repr_html_()
    for name, said in {"samples": "888,821", "features": "67,186", "size": "48 GB", "cached": "no"}.items():
        assert _row(name, said) in shown


@pytest.mark.parametrize(
    "name", ["nope", "https://host/a.h5", "https://host/\0", "s3://b/a.svs", "human_gene_v9"]
)
@pytest.mark.parametrize("kind", ["tcga_archs4_file", "tcga_slide", "tcga_cohort"])
def test_to_show_a_source_asks_nobody_and_raises_nothing(kind, name, monkeypatch):
    def refused(*_, **__):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr("socket.socket.connect", refused)
    for wrong in ({}, {"offline": "maybe"}):
        try:
            source = getattr(intake, f"open_{kind}")(name, **wrong)
        except IntakeTcgaError:  # a name that cannot even be one
            continue
        assert "opens with" in source._repr_html_()


def test_collections_show_themselves_before_anything_is_asked():
    files = Archs4Collection()._repr_html_()
    assert "human_gene_v2.5" in files
    assert "<th style='text-align:right'>size</th>" in files
    for slides in (SlideCollection(), intake.open_tcga_slides()):
        assert _row("listing kept", "no") in slides._repr_html_()
    assert "a.svs" in SlideCollection().only(["a.svs"])._repr_html_()
    assert "maybe" in Archs4Collection(offline="maybe")._repr_html_()
    assert "maybe" in SlideCollection(offline="maybe")._repr_html_()


def test_everything_there_is():
    for shown in (repr(intake.cat.tcga), intake.cat.tcga._repr_html_()):
        assert "24 miRNA cohorts" in shown
        assert "tcga.slides" in shown
    assert intake.cat.tcga.mirna.name == "mirna"


def test_accessors(sample):
    assert "synth(normalization, model)" in open_sample().tcga._repr_html_()
    with sample.archs4.to_dask() as ds:
        assert "counts_by_symbol()" in ds.archs4._repr_html_()
