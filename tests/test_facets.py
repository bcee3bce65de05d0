"""Rows that match, against the plainest reading of the rules."""

import re
from operator import eq, ge, gt, le, lt, ne

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from intake_tcga.errors import OptionError
from intake_tcga.facets import check_facets, matcher, no_such, row_matches

WORDS = st.sampled_from(["BRCA", "brca", "Lung", "lung cancer", "", "7"])
VALUES = st.none() | WORDS | st.integers(0, 9) | st.lists(WORDS, max_size=3)


def plainly_equal(value, wanted):
    items = value if isinstance(value, list) else [value]
    if isinstance(wanted, str):
        return any(item is not None and str(item).lower() == wanted.lower() for item in items)
    if isinstance(wanted, int):
        return any(item in (wanted, str(wanted)) for item in items)
    return any(item == wanted for item in items)


@given(st.dictionaries(st.sampled_from("abc"), VALUES), st.sampled_from("abcd"), VALUES)
def test_facets_are_what_they_say(row, name, wanted):
    choices = wanted if isinstance(wanted, list) else [wanted]
    assert row_matches(row, **{name: wanted}) == any(plainly_equal(row.get(name), one) for one in choices)


@given(st.dictionaries(st.sampled_from("abc"), VALUES), WORDS)
def test_a_text_is_found_in_any_field(row, text):
    words = [str(w) for v in row.values() if v is not None for w in (v if isinstance(v, list) else [v])]
    assert row_matches(row, text) == any(text.lower() in word.lower() for word in words)
    assert row_matches(row, re.compile(re.escape(text))) == any(text in word for word in words)


def test_numbers_as_text_and_what_is_true():
    row = {"version": "1.0", "cached": True, "answer": "yes"}
    assert row_matches(row, version=1.0, cached="Yes", answer="yes")
    assert row_matches(row, cached=True)
    assert row_matches(row, cached="!= no")
    assert not row_matches(row, cached="no")
    assert not row_matches(row, version=1.1)


def test_sizes_and_digests_are_no_place_to_find_a_text():
    row = {"name": "x", "size": 123, "md5": "123", "sha256": "123", "bytes": 123}
    assert not row_matches(row, "123")
    assert row_matches(row, size=123, md5="123")


def test_text_and_facets_narrow_together():
    test = matcher("lung", {"n": lambda n: n > 5, "kind": ["a", re.compile("^b")]})
    assert test({"site": "Lung", "n": 6, "kind": "bc"})
    assert not test({"site": "Lung", "n": 6, "kind": "cb"})
    assert not test({"site": "Lung", "n": 5, "kind": "a"})
    assert not test({"site": "Lung", "kind": "a"})
    assert not test({"site": "Breast", "n": 6, "kind": "a"})


NUMBERS = st.integers(-20, 20) | st.sampled_from([0.5, 1e6])
COMPARE = {"<": lt, "<=": le, ">": gt, ">=": ge, "==": eq, "!=": ne}


@given(NUMBERS, st.sampled_from(sorted(COMPARE)), NUMBERS)
def test_comparisons_in_every_form(value, sign, bound):
    expected = COMPARE[sign](value, bound)
    for wanted in ((sign, bound), f"{sign}{bound}", f" {sign}  {bound!r} ", (sign, np.float64(bound))):
        assert row_matches({"n": value}, n=wanted) == expected
        assert row_matches({"n": str(value)}, n=wanted) == expected
        assert row_matches({"n": [value, None]}, n=wanted) == expected
        assert not row_matches({"n": None}, n=wanted)
        assert not row_matches({}, n=wanted)


@given(NUMBERS, st.none() | NUMBERS, st.none() | NUMBERS)
def test_ranges_in_every_form(value, low, high):
    if low is None and high is None:
        return
    expected = (low is None or low <= value) and (high is None or value <= high)
    written = "..".join("" if bound is None else str(bound) for bound in (low, high))
    for wanted in ((low, high), written, [written, "no number"], [(low, high)]):
        assert row_matches({"n": value}, n=wanted) == expected
        assert not row_matches({"n": None}, n=wanted)


def test_texts_that_are_no_comparison_stay_texts():
    assert row_matches({"kind": "a..b"}, kind="A..B")
    assert row_matches({"kind": "a"}, kind=("a", "b"))
    assert row_matches({"kind": "a"}, kind="!= b")
    assert not row_matches({"kind": "a"}, kind=("!=", "A"))
    assert row_matches({"kind": "a"}, kind="== A")


@pytest.mark.parametrize("wanted", ["< 5", ("<", 5), (1, 5), "1..5", ["> 5", "x"]])
def test_numbers_are_not_compared_with_texts(wanted):
    with pytest.raises(OptionError, match="kind.* compares numbers, and kind is 'tissue'"):
        row_matches({"kind": "tissue"}, kind=wanted)


@pytest.mark.parametrize(
    "wanted", ["< x", ("<", "x"), ("<",), ("<", 1, 2), ("<", None), "<", (">", float("nan"))]
)
def test_a_comparison_with_nothing(wanted):
    with pytest.raises(OptionError, match="n=.*such as"):
        row_matches({"n": 5}, n=wanted)


def test_what_is_wrong_is_told():
    with pytest.raises(OptionError, match="Did you mean project"):
        check_facets({"projct": 1}, ["project", "kind"])
    with pytest.raises(OptionError, match="pattern of bytes"):
        check_facets({"kind": re.compile(b"x")}, ["project", "kind"])
    with pytest.raises(OptionError, match="failed on 3"):
        row_matches({"n": 3}, n=lambda n: n + "x")
    assert "Did you mean" not in no_such("field", "zzz", ["project"])


def test_an_error_lists_some_of_thousands():
    known = [f"slide{number}" for number in range(30_000)]
    said = no_such("entry", 0, known)
    assert said.startswith("There is no entry 0. There are: slide0, slide1, ")
    assert said.endswith("slide99, … and 29,900 more.")
    assert no_such("entry", "x", []) == "There is no entry 'x'. There are: none."
