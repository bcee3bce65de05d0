"""Groups of columns, against plain loops."""

import dask.array as da
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intake_tcga.arrays.grouping import agreed, group_by, reduce_groups
from intake_tcga.errors import OptionError

DTYPES = ["uint8", "uint32", "int32", "int64", "float32", "float64", "bool"]


def naive(values, labels, how):
    """Return one column a label, in the order of first occurrence, as Python numbers."""
    groups = {}
    for position, label in enumerate(labels):
        groups.setdefault(label, []).append(position)
    function = {"sum": sum, "max": max, "min": min, "mean": lambda v: sum(v) / len(v)}[how]
    return [[function([row[p] for p in members]) for members in groups.values()] for row in values.tolist()]


@settings(deadline=None, max_examples=60)
@given(
    labels=st.lists(st.sampled_from("ABCDEFG"), min_size=1, max_size=12),
    rows=st.integers(0, 5),
    how=st.sampled_from(["sum", "mean", "max", "min"]),
    dtype=st.sampled_from(DTYPES),
    seed=st.integers(0, 99),
)
def test_as_plain_loops(labels, rows, how, dtype, seed):
    values = np.random.default_rng(seed).integers(0, 200, (rows, len(labels))).astype(dtype)
    expected = np.array(naive(values, labels, how), dtype=float).reshape(rows, len(dict.fromkeys(labels)))
    grouping = group_by(labels)
    result = reduce_groups(values, grouping, how)
    np.testing.assert_allclose(result.astype(float), expected, rtol=1e-6)
    assert grouping.labels.tolist() == list(dict.fromkeys(labels))
    chunked = reduce_groups(da.from_array(values, chunks=(2, 3)), grouping, how)
    assert chunked.dtype == result.dtype
    np.testing.assert_array_equal(chunked.compute(), result)


def test_sums_do_not_overflow():
    values = np.full((1, 3), 2**32 - 1, dtype="uint32")
    result = reduce_groups(values, group_by("aab"))
    assert result.dtype == np.uint64
    assert result.tolist() == [[2 * (2**32 - 1), 2**32 - 1]]


def test_the_input_is_left_alone():
    values = np.arange(6, dtype="uint64").reshape(1, 6)
    reduce_groups(values, group_by("abcabc"))
    assert values.tolist() == [[0, 1, 2, 3, 4, 5]]
    result = reduce_groups(values, group_by("abcdef"))
    result[:] = 9
    assert values.tolist() == [[0, 1, 2, 3, 4, 5]]


@pytest.mark.parametrize("how", ["sum", "mean", "max", "min"])
def test_what_is_missing_stays_missing(how):
    result = reduce_groups(np.array([[1.0, np.nan, 3.0]]), group_by("aab"), how)
    np.testing.assert_array_equal(result, [[np.nan, 3.0]])


def test_nothing_is_read_before_it_is_asked_for():
    def explode(block):
        raise AssertionError("read")

    lazy = da.zeros((4, 4), chunks=(2, 4)).map_blocks(explode, dtype=float, meta=np.empty((0, 0)))
    assert reduce_groups(lazy, group_by("aabb")).shape == (4, 2)


def test_joining_columns_keeps_blocks_small():
    wide = da.zeros((100_000, 4_000), chunks=(100_000, 1), dtype="uint32")
    result = reduce_groups(wide, group_by(range(4_000)))
    assert max(result.chunks[0]) * 4_000 * 4 <= 128 * 2**20


def test_wrong_options_say_what_is_right():
    with pytest.raises(OptionError, match="sum, mean, max, min"):
        reduce_groups(np.zeros((1, 2)), group_by("ab"), "median")
    with pytest.raises(OptionError, match="2 columns"):
        reduce_groups(np.zeros((1, 3)), group_by("ab"))


def test_what_is_known_of_columns():
    grouping = group_by("abacbd")  # a: 0 and 2, b: 1 and 4, c: 3, d: 5
    text = agreed(np.array(["x", "p", "x", "", "q", "z"], dtype=object), grouping)
    assert text.tolist() == ["x", "p;q", "", "z"]
    assert agreed(np.array(["", "p", "y", None, None, "z"], dtype=object), grouping).tolist() == [
        "y",
        "p",
        None,
        "z",
    ]
    np.testing.assert_array_equal(agreed(np.array([1, 2, 1, 3, 5, 4]), grouping), [1, np.nan, 3, 4])
    assert agreed(np.array([1, 2, 1, 3, 2, 4]), grouping).dtype.kind == "i"
    np.testing.assert_array_equal(agreed(np.array([np.nan, 2, 1, 3, 5, 4]), grouping), [1, np.nan, 3, 4])
    dates = np.array(["2020-01-01", "2020-01-02", "2020-01-01", "NaT", "2020-01-05", "NaT"], "M8[D]")
    assert agreed(dates, grouping).astype(str).tolist() == ["2020-01-01", "NaT", "NaT", "NaT"]


def test_what_is_known_is_not_changed():
    values = np.array([1.0, np.nan])
    agreed(values, group_by("aa"))
    np.testing.assert_array_equal(values, [1.0, np.nan])
