import re
from contextlib import suppress

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from manifests import as_bytes, mirna_entry, mirna_manifest, rnaseq_manifest

from intake_tcga.cohorts.manifest import parse_manifest
from intake_tcga.cohorts.table import (
    cohort_row,
    cohort_table,
    html,
    search_cohorts,
    text,
)
from intake_tcga.errors import OptionError
from intake_tcga.tables import human_size, unique_values

MIRNA = parse_manifest(
    as_bytes(
        mirna_manifest(
            mirna_entry("BRCA_er_status", n_filtered_samples=1144, file_size_bytes=34_000_000),
            mirna_entry("OV_stage", group_labels=["Early", "Late"], n_filtered_samples=502, doi="10.1/ov"),
            mirna_entry("UCS_<b>x</b>", file="UCS.h5", n_filtered_samples=57, models=["Other"], rank=7),
        )
    ),
    "https://me:secret@host/manifest.json",
)
RNASEQ = parse_manifest(as_bytes(rnaseq_manifest()), "https://host/manifest.json")


def found(text=None, **facets):
    return [cohort.code for cohort in search_cohorts(MIRNA.cohorts, text, **facets)]


def table(manifest=MIRNA):
    return cohort_table(manifest, lambda cohort: cohort.code == "OV")


# -- the table -----------------------------------------------------------------------------------------------------


def test_a_row_a_cohort_with_all_that_the_manifest_says():
    frame = table()
    assert frame["name"].tolist() == ["BRCA_er_status", "OV_stage", "UCS_<b>x</b>"]
    assert frame["code"].tolist() == ["BRCA", "OV", "UCS"]
    assert frame["cancer_name"].tolist()[1] == "Ovarian Serous Cystadenocarcinoma"
    assert frame["groups"].tolist()[1] == ["Early", "Late"]
    assert frame["n_samples"].tolist() == [1144, 502, 57]
    assert frame["bytes"].tolist()[0] == 34_000_000
    assert frame["cached"].tolist() == [False, True, False]
    assert frame["cached"].dtype == bool
    assert frame["version"].unique().tolist() == ["1.0"]
    assert frame["modality"].unique().tolist() == ["mirna"]
    assert all(len(digest) == 64 for digest in frame["sha256"])
    assert frame["doi"].tolist()[1] == "10.1/ov"
    assert "secret" not in frame.to_json()


def test_counts_that_a_schema_does_not_have_are_missing():
    frame = table(RNASEQ)
    assert frame["n_raw_samples"].isna().all()
    assert str(frame["n_raw_samples"].dtype) == "Int64"
    assert frame["model_family"].tolist() == ["CVAE"]
    both = pd.concat([table(), frame], ignore_index=True)
    assert both["n_raw_samples"].dropna().tolist() == [120, 120, 120]


def test_an_empty_manifest_is_an_empty_table_with_the_same_columns():
    empty = parse_manifest(as_bytes({**mirna_manifest(), "datasets": []}), "/m.json")
    frame = table(empty)
    assert len(frame) == 0
    assert set(frame.columns) <= set(table().columns)
    assert {"name", "n_samples", "cached"} <= set(frame.columns)
    assert text(frame) == "no cohorts"
    assert "No cohorts" in html(frame)
    assert search_cohorts(empty.cohorts, "x", n_samples=3) == []


def test_a_manifests_own_field_never_hides_one_of_ours():
    manifest = parse_manifest(
        as_bytes(mirna_manifest(mirna_entry(cached="no", bytes=1, code="X"))), "/m.json"
    )
    row = cohort_row(manifest, manifest.cohorts[0], cached=True)
    assert (row["cached"], row["bytes"], row["code"]) == (True, 10, "BRCA")


# -- search --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "codes"),
    [
        ("breast", ["BRCA"]),
        ("OVARIAN serous", ["OV"]),
        ("early", ["OV"]),
        ("er_status", ["BRCA"]),
        ("1144", ["BRCA"]),
        ("10.1/ov", ["OV"]),
        ("cvae1_20", ["BRCA", "OV"]),
        (re.compile("^(OV|UCS)$"), ["OV", "UCS"]),
        (re.compile("breast"), []),
        (re.compile("breast", re.IGNORECASE), ["BRCA"]),
        ("no such thing", []),
        ("34000000", []),
        (None, ["BRCA", "OV", "UCS"]),
        ("", ["BRCA", "OV", "UCS"]),
    ],
)
def test_a_text_is_found_in_any_field(wanted, codes):
    assert found(wanted) == codes


@pytest.mark.parametrize(
    ("facets", "codes"),
    [
        ({"cancer_type": "BRCA"}, ["BRCA"]),
        ({"cancer_type": "brca"}, ["BRCA"]),
        ({"cancer_type": "BRC"}, []),
        ({"cancer_type": ["brca", "UCS", "X"]}, ["BRCA", "UCS"]),
        ({"cancer_type": ("OV",)}, ["OV"]),
        ({"cancer_type": []}, []),
        ({"cancer_name": re.compile("Carcino")}, ["BRCA", "UCS"]),
        ({"cancer_name": [re.compile("^Breast"), "uterine carcinosarcoma"]}, ["BRCA", "UCS"]),
        ({"n_samples": 502}, ["OV"]),
        ({"n_samples": [57, 502]}, ["OV", "UCS"]),
        ({"n_samples": range(50, 600)}, ["OV", "UCS"]),
        ({"n_samples": lambda n: n > 500}, ["BRCA", "OV"]),
        ({"n_samples": lambda n: n > 500, "cancer_type": "OV"}, ["OV"]),
        ({"groups": "late"}, ["OV"]),
        ({"groups": re.compile("^Pos")}, ["BRCA", "UCS"]),
        ({"groups": lambda groups: "Early" in groups}, ["OV"]),
        ({"models": ["Other", "CVAE1_5"]}, ["BRCA", "OV", "UCS"]),
        ({"doi": "10.1/OV"}, ["OV"]),
        ({"doi": None}, ["BRCA", "UCS"]),
        ({"rank": lambda rank: rank > 5}, ["UCS"]),
        ({"version": "1.0"}, ["BRCA", "OV", "UCS"]),
    ],
)
def test_facets(facets, codes):
    assert found(**facets) == codes


def test_text_and_facets_narrow_together():
    assert found("carcino", n_samples=lambda n: n < 100) == ["UCS"]


def test_cached_is_a_facet_where_it_is_known():
    assert found(cached=True, is_cached=lambda cohort: cohort.code == "OV") == ["OV"]
    assert found(cached=False, is_cached=lambda cohort: cohort.code == "OV") == ["BRCA", "UCS"]
    with pytest.raises(OptionError, match="no facet 'cached'"):
        found(cached=True)


def test_a_function_never_sees_a_missing_count():
    assert search_cohorts(RNASEQ.cohorts, n_raw_samples=lambda n: n > 0) == []


@pytest.mark.parametrize(
    ("text", "facets", "message"),
    [
        (None, {"cancer": "BRCA"}, "no facet 'cancer'. Did you mean cancer_.*There are: name, code"),
        (None, {"n_sampels": 3}, "Did you mean n_samples"),
        (None, {"n_samples": lambda n: n > "x"}, "function given for n_samples failed on 1144: TypeError"),
        (None, {"name": re.compile(b"x")}, "pattern of bytes"),
        (re.compile(b"x"), {}, "cannot be searched for"),
        (7, {}, "7 cannot be searched for"),
    ],
)
def test_wrong_searches_say_what_is_right(text, facets, message):
    with pytest.raises(OptionError, match=message):
        found(text, **facets)


@given(
    st.text(),
    st.sampled_from(["name", "groups", "n_samples", "cached", "doi"]),
    st.none() | st.integers() | st.text() | st.lists(st.text()),
)
def test_no_search_fails_unexpectedly(text, name, wanted):
    with suppress(OptionError):  # "<" with nothing behind it, "< 5" of a text
        assert set(found(text, is_cached=lambda cohort: False, **{name: wanted})) <= {"BRCA", "OV", "UCS"}


# -- unique --------------------------------------------------------------------------------------------------------


def test_unique_values():
    frame = table()
    assert unique_values(frame, "cancer_type") == ["BRCA", "OV", "UCS"]
    assert unique_values(frame, "groups") == ["Early", "Late", "Negative", "Positive"]
    assert unique_values(frame, "models") == ["CVAE1_10", "CVAE1_20", "CVAE1_5", "Other"]
    assert unique_values(frame, "n_raw_samples") == [120]
    assert unique_values(frame, "doi") == ["10.1/ov"]
    assert unique_values(frame, "cached") == [False, True]
    assert set(unique_values(frame)) == set(frame.columns)
    assert unique_values(table(RNASEQ), "n_raw_samples") == []
    with pytest.raises(OptionError, match="no column 'model'. Did you mean models"):
        unique_values(frame, "model")


def test_unique_values_of_a_manifests_own_mixed_fields():
    entries = [mirna_entry(f"A_{i}", x=x) for i, x in enumerate([1, "b", {"c": [1]}, [2, "d"], None, 1])]
    manifest = parse_manifest(as_bytes(mirna_manifest(*entries)), "/m.json")
    assert unique_values(cohort_table(manifest, lambda cohort: False), "x") == ["b", "d", 1, 2, {"c": [1]}]


# -- as it is shown ------------------------------------------------------------------------------------------------


def test_the_notebooks_table_is_escaped_and_scrolls():
    page = html(table())
    assert "Breast Invasive Carcinoma" in page
    assert "34 MB" in page
    assert "overflow-x:auto" in page
    assert "<b>x</b>" not in page
    assert "UCS_&lt;b&gt;x&lt;/b&gt;" in page


@pytest.mark.parametrize("hostile", ['"><script>alert(1)</script>', "' onmouseover='x", "<img src=x>"])
def test_nothing_of_a_manifest_becomes_markup(hostile):
    manifest = parse_manifest(
        as_bytes(
            mirna_manifest(mirna_entry(hostile, file="a.h5", cancer_type=hostile, group_labels=[hostile]))
        ),
        "/m.json",
    )
    page = html(cohort_table(manifest, lambda cohort: True))
    assert hostile not in page
    assert "<script" not in page
    assert "<img" not in page
    assert page.count("'") % 2 == 0


def test_the_terminals_table_fits():
    lines = text(table(), width=120).splitlines()
    assert lines[0].split() == ["cohort", "cancer", "groups", "samples", "features", "size", "cached"]
    assert " ".join(lines[1].split()) == "BRCA Breast Invasive Carcinoma Negative, Positive 1,144 570 34 MB"
    assert lines[2].endswith("yes")


@given(st.integers(75, 200))
def test_the_terminals_table_never_is_wider_than_the_terminal(width):
    assert max(map(len, text(table(), width=width).splitlines())) <= width


def test_cohorts_of_one_code_are_shown_by_their_full_names():
    manifest = parse_manifest(
        as_bytes(mirna_manifest(mirna_entry("BRCA_er"), mirna_entry("BRCA_pr"))), "/m.json"
    )
    assert [line.split()[0] for line in text(table(manifest), width=200).splitlines()] == [
        "cohort",
        "BRCA_er",
        "BRCA_pr",
    ]


def test_human_sizes():
    sizes = [0, 999, 1000, 1_049_000, 34_000_000, 999_600_000, 2**40, 10**16]
    assert [human_size(size) for size in sizes] == [
        "0 B", "999 B", "1.0 kB", "1.0 MB", "34 MB", "1.0 GB", "1.1 TB", "10000 TB",
    ]  # fmt: skip
