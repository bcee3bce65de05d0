"""Draws against their promises."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from intake_tcga.errors import OptionError
from intake_tcga.sampling import draw, draw_per

NAMES = [f"GSM{number}" for number in range(1000)]


def drawn(names, n, seed):
    return [names[position] for position in draw(names, n, seed=seed)]


def test_a_draw_is_what_it_was_on_the_day_it_was_published():
    assert drawn(NAMES, 4, 1) == ["GSM424", "GSM949", "GSM845", "GSM253"]


@given(st.randoms(use_true_random=False), st.integers(-(2**70), 2**70), st.integers(0, 30))
def test_neither_order_nor_what_is_left_out_matters(random, seed, n):
    names = NAMES[:60]
    shuffled = random.sample(names, len(names))
    assert drawn(shuffled, n, seed) == drawn(names, n, seed)
    assert drawn(names, 30, seed)[:n] == drawn(names, n, seed)
    fewer = [name for name in names if name != "GSM7"]
    assert drawn(fewer, n, seed) == [name for name in drawn(names, n + 1, seed) if name != "GSM7"][:n]


def test_every_name_is_as_likely_as_any_other():
    counts = np.zeros(10)
    for seed in range(2000):
        counts[draw(NAMES[:10], 3, seed=seed)] += 1
    assert abs(counts / 2000 - 0.3).max() < 0.05


def test_seeds_differ_and_all_is_a_permutation():
    assert drawn(NAMES, 10, 1) != drawn(NAMES, 10, 2)
    assert sorted(draw(NAMES, 1000, seed=3)) == list(range(1000))


@pytest.mark.parametrize("n", [-1, 1001, 1.0, True, "3"])
def test_impossible_numbers_are_refused(n):
    with pytest.raises(OptionError, match="n="):
        draw(NAMES, n, seed=1)


def test_a_seed_is_a_whole_number():
    with pytest.raises(OptionError, match="seed='x'"):
        draw(NAMES, 1, seed="x")


def test_nothing_is_drawn_from_nothing():
    assert draw([], 0, seed=1).tolist() == []


def test_groups_are_drawn_from_one_by_one():
    groups = ["LUAD" if number % 3 else "BRCA" for number in range(1000)]
    positions = draw_per(NAMES, groups, 5, seed=4)
    assert [groups[position] for position in positions] == ["BRCA"] * 5 + ["LUAD"] * 5
    luad = [name for name, group in zip(NAMES, groups, strict=True) if group == "LUAD"]
    assert [NAMES[position] for position in positions[5:]] == drawn(luad, 5, 4)


def test_a_small_group_is_taken_whole():
    assert sorted(draw_per(["a", "b", "c"], ["x", "x", "y"], 5, seed=0)) == [0, 1, 2]
