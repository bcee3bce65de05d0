"""µm/px: exact sizes, levels chosen as the pixels are meant, and whole numbers that floats miss."""

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from intake_tcga.errors import OptionError
from intake_tcga.slides.scale import checked_box, level_mpp, pixel_centres, plan_image

SIZES = [(109_559, 89_665), (27_389, 22_416), (6_847, 5_604), (3_423, 2_802)]


def test_an_image_has_exactly_the_resolution_that_is_asked_for():
    plan = plan_image(SIZES, (0.252, 0.252), 15.0)
    assert plan.level == 3
    assert plan.size == (math.floor(109_559 * 0.252 / 15), math.floor(89_665 * 0.252 / 15)) == (1840, 1506)
    x, y = level_mpp((0.252, 0.252), SIZES)[3]
    assert plan.box == pytest.approx((0, 0, 1840 * 15 / x, 1506 * 15 / y))
    centres, _ = plan.centres()
    assert centres[0] == 7.5
    assert np.diff(centres) == pytest.approx(15.0)


def test_a_level_a_little_coarser_than_meant_is_used():
    sizes = [(52_001, 40_000), (13_000, 10_000)]  # 4.000077 where 4 is meant
    assert plan_image(sizes, (0.25, 0.25), 1.0).level == 1
    assert plan_image(sizes, (0.25, 0.25), 0.98).level == 0


def test_whole_numbers_survive_floats():
    assert plan_image([(100, 30)], (0.1, 0.1), 0.3).size == (33, 10)  # 30 * 0.1 / 0.3 is 9.999…


def test_finer_than_the_slide_is_refused_by_the_finest():
    with pytest.raises(OptionError, match=r"0\.2 µm/px: its finest is 0\.25; .*upsample=True"):
        plan_image(SIZES, (0.25, 0.25), 0.2)
    assert plan_image([(10, 10)], (0.25, 0.25), 0.125, upsample=True).size == (20, 20)


@pytest.mark.parametrize("target", [1e-6, 5e-324])
def test_an_image_that_is_too_large_is_refused_before_anything_is_made_for_it(target):
    with pytest.raises(OptionError, match=r"more than 4,194,304 pixels along a side.*smaller box_um"):
        plan_image([(1000, 800)], (0.25, 0.25), target, upsample=True)
    assert plan_image([(1000, 800)], (0.25, 0.25), 1e-6, upsample=True, box_um=(0, 0, 1, 1)).size == (
        10**6,
        10**6,
    )


@pytest.mark.parametrize("target", [0, -1, math.nan, math.inf, "fine", None, True])
def test_what_is_no_resolution_is_refused(target):
    with pytest.raises(OptionError, match="give a positive number of µm/px"):
        plan_image(SIZES, (0.25, 0.25), target)


def test_too_coarse_for_a_pixel():
    with pytest.raises(OptionError, match="no pixel at 30 µm/px.*give an mpp of 25 or less"):
        plan_image([(200, 100)], (0.25, 0.25), 30)


def test_a_box_starts_at_its_own_corner():
    plan = plan_image([(1000, 800)], (0.5, 0.5), 2.0, box_um=(101, 50.5, 200, 70))
    assert plan.size == (49, 9)
    assert plan.box == (202, 101, 202 + 49 * 4, 101 + 9 * 4)
    assert plan.centres()[0][0] == 102.0


@pytest.mark.parametrize(
    "box",
    [
        (0, 0, 501, 10),
        (-1, 0, 10, 10),
        (10, 0, 10, 5),
        (0, 0, 1),
        "abcd",
        (0, 0, "x", 1),
        (0, math.nan, 1, 1),
    ],
)
def test_a_box_that_is_none_says_where_the_slide_ends(box):
    with pytest.raises(OptionError, match=r"\(left, top, right, bottom\) in µm.*is 500 × 400 µm"):
        checked_box(box, (1000, 800), (0.5, 0.5))


@given(
    width=st.integers(1, 10**6),
    height=st.integers(1, 10**6),
    mpp=st.floats(0.05, 2),
    ratios=st.lists(st.floats(1.5, 5), max_size=4),
    target=st.floats(0.05, 200),
)
@example(width=4, height=4, mpp=0.25, ratios=[2.0], target=0.5)
def test_every_plan_keeps_its_promises(width, height, mpp, ratios, target):
    sizes = [(width, height)]
    for ratio in ratios:
        sizes.append((max(1, int(sizes[-1][0] / ratio)), max(1, int(sizes[-1][1] / ratio))))
    if target < mpp or min(width, height) * mpp < target * 1.01:
        return
    plan = plan_image(sizes, (mpp, mpp), target)
    scales = level_mpp((mpp, mpp), sizes)
    assert max(scales[plan.level]) <= 1.01 * target
    assert all(max(scale) > 1.01 * target for scale in scales if max(scale) > max(scales[plan.level]))
    assert 0 <= plan.box[0] < plan.box[2] <= sizes[plan.level][0]
    assert 0 <= plan.box[1] < plan.box[3] <= sizes[plan.level][1]
    for n, full in zip(plan.size, (width, height), strict=True):
        assert n * target <= full * mpp * (1 + 1e-9) + target * 1e-6
        assert (n + 1) * target > full * mpp - target * 1e-6


def test_pixel_centres_are_where_pillow_puts_them():
    ramp = np.repeat(np.arange(240, dtype=np.uint8)[None], 8, 0)
    small = np.asarray(Image.fromarray(ramp).resize((60, 2), Image.Resampling.BOX))
    assert small[0].astype(float) + 0.5 == pytest.approx(pixel_centres(60, 4.0), abs=0.51)
