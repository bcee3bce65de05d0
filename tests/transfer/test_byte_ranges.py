"""Plans of byte ranges, against the plainest reading of the same ranges."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intake_tcga.errors import FileFormatError, OptionError
from intake_tcga.transfer.byte_ranges import merge

BODY = bytes(range(256)) * 4
RANGES = st.lists(st.tuples(st.integers(0, 900), st.integers(0, 120)), max_size=30)


@given(RANGES, st.integers(0, 60), st.integers(1, 300))
def test_plans_give_back_what_was_wanted_and_read_no_byte_twice(ranges, gap, largest):
    plan = merge(ranges, gap, largest)
    assert all(0 < length <= largest for _, length in plan.requests)
    ends = [offset + length for offset, length in plan.requests]
    assert all(end <= start for end, (start, _) in zip(ends, plan.requests[1:], strict=False))
    bodies = [BODY[offset : offset + length] for offset, length in plan.requests]
    assert [bytes(one) for one in plan.slices(bodies)] == [BODY[at : at + size] for at, size in ranges]

    asked = {at for offset, length in plan.requests for at in range(offset, offset + length)}
    needed = {at for offset, length in ranges for at in range(offset, offset + length)}
    assert needed <= asked
    for at in asked - needed:  # a byte in vain has wanted ones on both sides, no further apart than the gap
        before = max(other for other in needed if other < at)
        after = min(other for other in needed if other > at)
        assert after - before - 1 <= gap


@given(RANGES, st.integers(0, 60))
def test_without_a_largest_requests_are_as_few_as_the_gaps_allow(ranges, gap):
    plan = merge(ranges, gap, 10**6)
    ends = [offset + length for offset, length in plan.requests]
    assert all(start - end > gap for end, (start, _) in zip(ends, plan.requests[1:], strict=False))


def test_views_are_not_copies_and_cannot_be_written():
    (view,) = merge([(1, 2)], 0, 10).slices([bytearray(b"ab")])
    assert isinstance(view, memoryview)
    assert view.readonly


@pytest.mark.parametrize("wrong", [(-1, 5), (3, -1)])
def test_negative_ranges(wrong):
    with pytest.raises(FileFormatError, match="damaged"):
        merge([(0, 1), wrong], 0, 10)


@pytest.mark.parametrize(("gap", "largest"), [(-1, 5), (0, 0)])
def test_wrong_limits(gap, largest):
    with pytest.raises(OptionError, match=f"largest={largest}"):
        merge([], gap, largest)
