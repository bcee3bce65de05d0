"""Searches against a plain loop over decoded strings."""

import datetime
import re

import archs4_files
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from intake_tcga.archs4 import conditions
from intake_tcga.archs4.conditions import meets
from intake_tcga.archs4.dataset import open_dataset
from intake_tcga.archs4.samples import Samples
from intake_tcga.archs4.search import DEFAULT_FIELDS, find
from intake_tcga.archs4.selection import with_accessions
from intake_tcga.errors import NameNotFoundError, OptionError
from intake_tcga.hdf5.file import Hdf5File

N = 60


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return archs4_files.write_archs4(tmp_path_factory.mktemp("search") / "file.h5", "latest", n_samples=N)


@pytest.fixture
def ds(path):
    with open_dataset(Hdf5File(path)) as ds:
        yield ds


@pytest.fixture
def samples(ds):
    return Samples(ds)


def field(path, name):
    return archs4_files.naive_texts(path, f"meta/samples/{name}")


def naive_find(path, terms, fields, match):
    texts = {name: field(path, name) for name in fields}
    found = []
    for row in range(N):
        hits = [any(re.search(term, texts[name][row], re.IGNORECASE) for name in fields) for term in terms]
        if (all if match == "all" else any)(hits):
            found.append(row)
    return found


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    terms=st.lists(
        st.sampled_from(
            ["liver", "MYOBLAST", "age: [0-3]$", "GSE9[0-9]1", "β", "\ufffd", r"sample \d\d", "zzz", "^whole"]
        ),
        min_size=1,
        max_size=3,
    ),
    fields=st.lists(st.sampled_from(DEFAULT_FIELDS), min_size=1, max_size=3, unique=True),
    match=st.sampled_from(["all", "any"]),
)
def test_terms_in_fields(path, samples, terms, fields, match):
    assert find(samples, terms, fields, match=match).tolist() == naive_find(path, terms, fields, match)
    narrowed = Samples(samples._dataset.isel(sample=[7, 3, 3, 50]))
    expected = naive_find(path, terms, fields, match)
    rows = [7, 3, 3, 50]
    found = find(narrowed, terms, fields, match=match).tolist()
    assert found == [at for at, row in enumerate(rows) if row in expected]


def test_the_fields_that_are_searched_by_default(path, samples):
    assert find(samples, "trizol").tolist() == list(range(N))
    assert find(samples, "^polyA").tolist() == []
    assert find(samples, "^polyA", "molecule_ch1").tolist() == list(range(0, N, 2))


def test_literals(samples):
    assert find(samples, "β-cell.", regex=False).tolist() == []
    assert len(find(samples, "β-cell", regex=False)) == N - 1
    assert find(samples, "(", regex=False).tolist() == []


def test_single_cells(path, samples):
    probability = np.array([(i * 0.37) % 1 for i in range(N)])
    assert find(samples, single_cell=False).tolist() == np.flatnonzero(probability < 0.5).tolist()
    assert find(samples, single_cell=True).tolist() == np.flatnonzero(probability >= 0.5).tolist()
    assert (
        find(samples, single_cell=False, threshold=0.1).tolist() == np.flatnonzero(probability < 0.1).tolist()
    )
    assert len(find(samples)) == N
    assert find(samples, single_cell=np.False_).tolist() == find(samples, single_cell=False).tolist()
    for wrong in ("false", "no", 2, 0):
        with pytest.raises(OptionError, match=r"single_cell=.* True .*False .*None"):
            find(samples, single_cell=wrong)
    for threshold in (-1, 2, "half", True, float("nan")):
        with pytest.raises(OptionError, match="threshold"):
            find(samples, single_cell=True, threshold=threshold)


def test_conditions_are_all_met_and_join_the_terms(path, samples):
    found = find(
        samples,
        "liver",
        conditions={
            "aligned_reads": (">=", 1_010_000),
            "molecule_ch1": "POLYA rna",
            "geo_accession": re.compile("^GSM"),
        },
    )
    assert found.tolist() == [row for row in range(N) if row % 4 == 0 and row >= 10]


def test_a_series_has_its_members_of_several(path, samples):
    expected = [
        row for row, text in enumerate(field(path, "series_id")) if "GSE901" in re.findall(r"GSE\d+", text)
    ]
    assert expected
    assert find(samples, conditions={"series_id": "GSE901"}).tolist() == expected
    assert find(samples, conditions={"series_id": "GSE90"}).tolist() == []
    assert find(samples, conditions={"series_id": ["GSE901", "GSE90"]}).tolist() == expected


SERIES_TEXTS = ["GSE1,GSE2", "GSE1", "GSE2", "GSE12", ""]


@pytest.fixture
def of_series():
    """Find rows of :data:`SERIES_TEXTS` by what `series_id` must be."""
    found = Samples(xr.Dataset(coords={"sample": list("abcde"), "series_id": ("sample", SERIES_TEXTS)}))
    return lambda wanted: find(found, conditions={"series_id": wanted}).tolist()


@pytest.mark.parametrize(
    "several",
    [
        list,
        set,
        frozenset,
        iter,
        lambda names: dict.fromkeys(names).keys(),
        np.array,
        lambda names: np.array(names, dtype=object),
        xr.DataArray,
        pd.Series,
        pd.Index,
    ],
)
def test_series_in_whatever_holds_them(of_series, several):
    assert of_series(several(["GSE1"])) == [0, 1]
    assert of_series(several(["GSE1", "GSE12"])) == [0, 1, 3]
    assert of_series(several(["GSE3"])) == []


@pytest.mark.parametrize(
    ("wanted", "rows"),
    [
        ("GSE1", [0, 1]),
        ("gse1", [0, 1]),
        (np.str_("GSE2"), [0, 2]),
        ("== GSE1", [0, 1]),
        (("==", "GSE1"), [0, 1]),
        ("!= GSE1", [2, 3, 4]),
        ("!=GSE2", [1, 3, 4]),
        (("!=", "GSE2"), [1, 3, 4]),
        (["GSE12", "!= GSE2"], [1, 3, 4]),
        (["GSE12", re.compile("^GSE1$")], [1, 3]),
        (["GSE12", ""], [3, 4]),
        ("GSE1,GSE2", [0]),
        ("!= GSE1,GSE2", [1, 2, 3, 4]),
        ([], []),
        (re.compile("GSE2$"), [0, 2]),
        (lambda text: text.startswith("GSE1,"), [0]),
    ],
)
def test_what_a_series_must_be(of_series, wanted, rows):
    assert of_series(wanted) == rows


def test_values_of_an_array(ds, samples):
    for several in (ds["sample"][:3], ds["geo_accession"][:3], ds["sample"].values[:3]):
        assert find(samples, conditions={"geo_accession": several}).tolist() == [0, 1, 2]
    assert with_accessions(samples, ds["sample"][2:0:-1]).tolist() == [2, 1]


def test_what_cannot_be_searched(samples):
    with pytest.raises(NameNotFoundError, match=r"'titel'\. Did you mean title\? There are: .*geo_accession"):
        find(samples, "x", ["titel"])
    with pytest.raises(NameNotFoundError, match="'tissue'"):
        find(samples, conditions={"tissue": "liver"})
    with pytest.raises(OptionError, match="position 0"):
        find(samples, "*")
    with pytest.raises(OptionError, match="where='a=b' is no mapping"):
        find(samples, conditions="a=b")
    with pytest.raises(OptionError, match="match='some'"):
        find(samples, "x", match="some")
    with pytest.raises(OptionError, match="empty list of terms"):
        find(samples, [])
    with pytest.raises(OptionError, match="names no field"):
        find(samples, "x", [])


# ── conditions ────────────────────────────────────────────────────────────────────────────────────────────────────

DATES = [
    "Jun 08 2017",
    "Jan 31 2016",
    "Dec 01 2015",
    "Feb 30 2015",
    "unknown",
    "",
    "2016-02-29",
    "Public on Jun 10 2016",
]
DAYS = [(2017, 6, 8), (2016, 1, 31), (2015, 12, 1), None, None, None, (2016, 2, 29), (2016, 6, 10)]
DAYS = [datetime.date(*day) if day else None for day in DAYS]


@pytest.mark.parametrize("encoded", [False, True])
@pytest.mark.parametrize(
    ("wanted", "test"),
    [
        (("2016", None), lambda day: day >= datetime.date(2016, 1, 1)),
        ((None, "2016"), lambda day: day <= datetime.date(2016, 12, 31)),
        (("2016-01", "2016-02"), lambda day: datetime.date(2016, 1, 1) <= day <= datetime.date(2016, 2, 29)),
        ((datetime.date(2015, 12, 1), datetime.datetime(2016, 1, 31, 5)), lambda day: day.month in (12, 1)),
        ((np.datetime64("2016-06-10"), None), lambda day: day >= datetime.date(2016, 6, 10)),
        (("Jan 31 2016", None), lambda day: day >= datetime.date(2016, 1, 31)),
        (("<", "2016"), lambda day: day.year < 2016),
        (("<=", "2016"), lambda day: day.year <= 2016),
        ((">", "2016"), lambda day: day.year > 2016),
        (">= 2016-02", lambda day: day >= datetime.date(2016, 2, 1)),
        ("==2016-12", lambda day: False),
        ("== 2015-12", lambda day: (day.year, day.month) == (2015, 12)),
        ("!= 2016", lambda day: day.year != 2016),
        (datetime.date(2017, 6, 8), lambda day: day == datetime.date(2017, 6, 8)),
        (np.datetime64("2017-06-08"), lambda day: day == datetime.date(2017, 6, 8)),
        ((2016, 2017), lambda day: day.year >= 2016),
        ((">=", 2017), lambda day: day.year >= 2017),
        ((np.int64(2016), "2016-02"), lambda day: day.year == 2016 and day.month <= 2),
        ("2016..2016-02", lambda day: day.year == 2016 and day.month <= 2),
        ("..2015", lambda day: day.year == 2015),
        ("2016", lambda day: day.year == 2016),
        (2016, lambda day: day.year == 2016),
        ("2016-06-10", lambda day: day == datetime.date(2016, 6, 10)),
        ("jan 31 2016".title(), lambda day: day == datetime.date(2016, 1, 31)),
        (["2015", 2017], lambda day: day.year != 2016),
        (["2015", "2016-02..2016-03"], lambda day: day.year == 2015 or (day.year == 2016 and day.month == 2)),
    ],
)  # fmt: skip
def test_dates(wanted, test, encoded):
    column = pa.array(DATES).dictionary_encode() if encoded else pa.array(DATES)
    assert meets(column, wanted, "submission_date").tolist() == [
        day is not None and test(day) for day in DAYS
    ]


@pytest.mark.parametrize(
    ("wanted", "test"),
    [
        (0.5, lambda x: x == 0.5),
        ((">=", 0.5), lambda x: x >= 0.5),
        ("< 0.5", lambda x: x < 0.5),
        ((0.2, 0.5), lambda x: 0.2 <= x <= 0.5),
        ((None, 0.2), lambda x: x <= 0.2),
        ("0.2..0.5", lambda x: 0.2 <= x <= 0.5),
        ("0.5..", lambda x: x >= 0.5),
        ((np.float32(0.5), None), lambda x: x >= 0.5),
        ("!=0.2", lambda x: not np.isnan(x) and x != 0.2),
        ([0.2, (">", 0.9)], lambda x: x == 0.2 or x > 0.9),
        (lambda x: x > 0.4, lambda x: x > 0.4),
    ],
)
def test_numbers(wanted, test):
    values = [0.0, 0.2, 0.5, 1.0, float("nan"), float("inf")]
    assert meets(pa.array(values), wanted, "singlecellprobability").tolist() == [test(x) for x in values]


def test_numbers_kept_as_text():
    column = pa.array(["9606", "10090", "", "many"])
    assert meets(column, 9606, "taxid_ch1").tolist() == [True, False, False, False]
    assert meets(column, (">", 9606), "taxid_ch1").tolist() == [False, True, False, False]
    assert meets(column, [9606, "many"], "taxid_ch1").tolist() == [True, False, False, True]
    assert meets(pa.array([1, 2]), "2", "channel_count").tolist() == [False, True]
    assert meets(pa.array([1, 2]), "two", "channel_count").tolist() == [False, False]


@pytest.mark.parametrize("encoded", [False, True])
@pytest.mark.parametrize("other", ["293", "293.0", "2.93e2", 293, 293.0, np.int32(293), "hela", "1833x", 7])
def test_texts_that_are_not_a_number_are_all_others(other, encoded):
    """Names such as 293 do not make numbers of all texts beside them."""
    texts = ["liver", "293", "HeLa", "1833", "293T", "", "293.0"]
    column = pa.array(texts).dictionary_encode() if encoded else pa.array(texts)
    same = meets(column, ("==", other), "source_name_ch1")
    assert meets(column, ("!=", other), "source_name_ch1").tolist() == (~same).tolist()
    assert meets(column, f"!= {other}", "source_name_ch1").tolist() == (~same).tolist()
    assert meets(column, f"== {other}", "source_name_ch1").tolist() == same.tolist()
    if "293" in str(other) or "2.93" in str(other):
        assert same.tolist() == [False, True, False, False, False, False, True]
    only_texts = pa.array(["liver", "HeLa"])
    assert meets(only_texts, ("!=", other), "source_name_ch1").tolist() == [True, str(other) != "hela"]


def test_numbers_are_no_years_where_numbers_are_kept():
    column = pa.array(["2016", "9606", "2017", "Jan 01 2016"])
    assert meets(column, (2016, 2017), "taxid_ch1").tolist() == [True, False, True, False]
    assert meets(column, "> 2017", "taxid_ch1").tolist() == [False, True, False, False]


@pytest.mark.parametrize(
    "wanted", [(2016, 2017), (">=", 1e6), "< 5", ("2016-01-01", None), "2016-01..2016-02"]
)
def test_what_cannot_be_compared_is_said(wanted):
    with pytest.raises(OptionError, match=r"title=.* compares (number|date)s, and no value of title is a"):
        meets(pa.array(["liver", "lung"]), wanted, "title")
    assert meets(pa.array(["", ""]), wanted, "title").tolist() == [False, False]
    assert meets(pa.array([], pa.string()), wanted, "title").tolist() == []


def test_texts_that_are_or_are_not():
    column = pa.array(["liver", "Lung", "2", ""])
    for wanted in ("== LIVER", ("==", "liver")):
        assert meets(column, wanted, "tissue").tolist() == [True, False, False, False]
    for wanted in ("!=lung", ("!=", "Lung")):
        assert meets(column, wanted, "tissue").tolist() == [True, False, True, True]
    assert meets(pa.array(["a..b", "a"]), "a..b", "tissue").tolist() == [True, False]


def test_many_values_are_looked_up_in_one_pass(monkeypatch):
    texts = [f"GSM{number}" for number in range(500)] * 2
    passes = []
    each = conditions._each_distinct
    monkeypatch.setattr(conditions, "_each_distinct", lambda *given: passes.append(1) or each(*given))
    wanted = [f"gsm{number}" for number in range(0, 1000, 3)]
    found = meets(pa.array(texts), wanted, "geo_accession")
    assert found.tolist() == [text.lower() in set(wanted) for text in texts]
    assert len(passes) == 1


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        (("2016", "2017"), "2016..2017"),
        ((None, 0.2), "..0.2"),
        (("<", 0.5), "< 0.5"),
        (("!=", "liver"), "!= liver"),
        ((datetime.date(2016, 1, 2), np.datetime64("2017-01-02")), "2016-01-02..2017-01-02"),
        ([("<", 0.5), 3], ["< 0.5", 3]),
        ({"b", "a"}, ["a", "b"]),
        (np.int64(3), 3),
        ("liver", "liver"),
    ],
)
def test_conditions_as_text(wanted, text):
    assert conditions.as_text(wanted, "x") == text


@pytest.mark.parametrize("wanted", [re.compile("x"), len, [re.compile("x")], ("a", "b"), (1, 2, 3)])
def test_conditions_without_a_text(wanted):
    with pytest.raises(OptionError, match=r"2016\.\.2017"):
        conditions.as_text(wanted, "x")


def test_texts():
    column = pa.array(["GPL16791", "gpl16791", "GPL167911", "Straße"])
    assert meets(column, "GPL16791", "platform_id").tolist() == [True, True, False, False]
    assert meets(column, {"GPL167911", "STRASSE"}, "platform_id").tolist() == [False, False, True, True]
    assert meets(column, re.compile("L167"), "platform_id").tolist() == [True, False, True, False]
    assert meets(column.dictionary_encode(), lambda text: len(text) == 9, "platform_id").tolist() == [
        False,
        False,
        True,
        False,
    ]
    assert meets(column, [], "platform_id").tolist() == [False] * 4
    assert meets(pa.array([], pa.string()), lambda text: True, "platform_id").tolist() == []


@pytest.mark.parametrize(
    "wanted", [None, b"x", 5j, (1, 2, 3), (None, None), (">", "soon"), ("a", "b"), ("<", None), True]
)
def test_what_is_no_condition(wanted):
    with pytest.raises(OptionError, match="title"):
        meets(pa.array(["text"]), wanted, "title")


def test_functions_that_fail_are_named():
    with pytest.raises(OptionError, match=r"given for title failed on 'text': ZeroDivisionError"):
        meets(pa.array(["text"]), lambda value: 1 / 0, "title")
