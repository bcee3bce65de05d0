"""Tables as people see them."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from intake_tcga.errors import OptionError
from intake_tcga.tables import html_table, text_table, unique_values

CELLS = st.lists(st.lists(st.text("ab<&'\"é ", max_size=30), min_size=3, max_size=3), max_size=5)
HEAD = ["name", "long column", "n"]


@given(CELLS, st.integers(28, 120))
def test_a_terminals_table_fits(lines, width):
    rows = text_table(HEAD, lines, right={"n"}, width=width).split("\n")
    assert len(rows) == len(lines) + 1
    assert max(map(len, rows)) <= width


def test_what_is_cut_says_so_and_what_fits_is_whole():
    rows = text_table(["a", "b"], [["x" * 50, "short"]], width=20).split("\n")
    assert rows[1] == "x" * 12 + "…  short"
    assert text_table(["a", "b"], [["xx", "7"]], right={"b"}, width=20) == "a   b\nxx  7"


@given(CELLS)
def test_a_notebooks_table_is_escaped(lines):
    page = html_table(HEAD, lines, right={"n"}, hints=["<i>" for _ in lines])
    assert page.count("<tr>") == len(lines) + 1
    assert "<i>" not in page
    assert page.count("<") == page.count(">") == page.count("<t") + page.count("</t") + page.count("div")


def test_distinct_values_of_a_column():
    table = pd.DataFrame({"a": ["y", "x", None, "y"], "b": [[3, 1], [], [1], [2]], "c": [1, "x", [2], 1]})
    assert unique_values(table, "a") == ["x", "y"]
    assert unique_values(table, "b") == [1, 2, 3]
    assert len(unique_values(table, "c")) == 3
    assert set(unique_values(table)) == {"a", "b", "c"}
    with pytest.raises(OptionError, match="There are: a, b, c"):
        unique_values(table, "d")
