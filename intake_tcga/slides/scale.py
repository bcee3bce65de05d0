"""Micrometres and pixels: which level serves a wanted µm/px, and which part of it makes an image of exactly that.

Pure arithmetic, the same for a slide's own levels and for those of a tile service. A position on the slide is in µm
from the corner of its top left pixel; the centre of pixel j of an image at t µm/px is at (j + ½)·t.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from intake_tcga.errors import OptionError

_SLACK = 1.01
"""A level may be this much coarser than what is wanted: true downsamples are 4.000077 where 4 is meant."""

_ROUNDING = 1e-6
"""Pixels (or, of a µm/px, the share) by which a product of floats may miss the whole number that it means."""

_LONGEST_GLASS = 76_000  # µm

LONGEST_SIDE = 2**22
"""Pixels: the most that a side of a slide, or of an image of one, may have; whole slides have some 200,000."""

Pair = tuple[float, float]
"""Along x, along y."""

Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""


@dataclass(frozen=True, slots=True)
class Plan:
    """An image at exactly one µm/px, as a part of one level that is resized."""

    level: int
    """Position of the level in the sizes that were given."""

    box: Box
    """The part of the level that becomes the image, in that level's pixels; hardly ever whole ones."""

    size: tuple[int, int]
    """Width and height of the image, in pixels."""

    mpp: float
    """µm per pixel of the image, along both axes."""

    origin: Pair
    """Where the image's top left corner is on the slide, in µm."""

    def centres(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return where the pixels' centres are, along x and along y, in µm."""
        return pixel_centres(self.size[0], self.mpp, self.origin[0]), pixel_centres(
            self.size[1], self.mpp, self.origin[1]
        )


def pixel_centres(count: int, mpp: float, origin: float = 0.0) -> npt.NDArray[np.float64]:
    """Return where the centres of a row of pixels are, in µm.

    Examples
    --------
    >>> pixel_centres(3, 0.5).tolist()
    [0.25, 0.75, 1.25]
    """
    return origin + (np.arange(count, dtype=np.float64) + 0.5) * mpp


def level_mpp(mpp: Pair, sizes: Sequence[tuple[int, int]]) -> list[Pair]:
    """Return the µm/px of each level: what the finest one has, times how much wider and higher that one is.

    Parameters
    ----------
    mpp : pair of float
        µm/px of the first level, along x and y.
    sizes : sequence of (int, int)
        Width and height of each level, the finest first.

    Examples
    --------
    >>> level_mpp((0.25, 0.25), [(1000, 800), (249, 200)])
    [(0.25, 0.25), (1.0040160642570282, 1.0)]
    """
    width, height = sizes[0]
    return [(mpp[0] * width / w, mpp[1] * height / h) for w, h in sizes]


def plan_image(
    sizes: Sequence[tuple[int, int]],
    mpp: Pair,
    target: float,
    *,
    box_um: Sequence[float] | None = None,
    upsample: bool = False,
    name: str = "The slide",
) -> Plan:
    """Plan an image of exactly ``target`` µm/px: from the coarsest level that is fine enough for it.

    Parameters
    ----------
    sizes : sequence of (int, int)
        Width and height of each level in pixels, the finest first.
    mpp : pair of float
        µm/px of the first level, along x and y.
    target : float
        µm/px of the image.
    box_um : sequence of four float, optional
        Left, top, right and bottom of the part wanted, in µm; the image starts at its corner. None: the whole slide.
    upsample : bool
        Allow an image finer than the slide is.
    name : str
        How errors call the slide.

    Raises
    ------
    OptionError
        The slide is not as fine, or too small for a single pixel; the image would be too large; the box is none, or
        not on the slide.

    Examples
    --------
    >>> plan = plan_image([(100_000, 80_000), (24_999, 19_999)], (0.25, 0.25), 1.0)
    >>> plan.level, plan.size
    (1, (25000, 20000))
    """
    target = checked_mpp(target)
    scales = level_mpp(mpp, sizes)
    finest = max(mpp)
    if target < finest * (1 - _ROUNDING) and not upsample:
        raise OptionError(
            f"{name} is not as fine as {target:g} µm/px: its finest is {finest:g}; ask for that or more, "
            "or give upsample=True for an image that is enlarged."
        )
    left, top, right, bottom = checked_box(box_um, sizes[0], mpp, name)
    if max(right - left, bottom - top) > LONGEST_SIDE * target:
        raise OptionError(
            f"mpp={target:g} would make an image of {name} with more than {LONGEST_SIDE:,} pixels along a side: the "
            f"part that is wanted is {right - left:g} × {bottom - top:g} µm; give a larger mpp, or a smaller box_um."
        )
    size = _count(right - left, target), _count(bottom - top, target)
    if 0 in size:
        raise OptionError(
            f"{name} has no pixel at {target:g} µm/px: the part that is wanted is {right - left:g} × {bottom - top:g} "
            f"µm; give an mpp of {min(right - left, bottom - top):g} or less."
        )
    fine_enough = [at for at, scale in enumerate(scales) if max(scale) <= _SLACK * target]
    level = max(fine_enough, key=lambda at: (max(scales[at]), at), default=0)
    x, y = scales[level]
    box = (left / x, top / y, (left + size[0] * target) / x, (top + size[1] * target) / y)
    width, height = sizes[level]
    inside = (max(0.0, box[0]), max(0.0, box[1]), min(float(width), box[2]), min(float(height), box[3]))
    return Plan(level, inside, size, float(target), (left, top))


def checked_box(
    box_um: Sequence[float] | None, size: tuple[int, int], mpp: Pair, name: str = "The slide"
) -> Box:
    """Return a box in µm that lies on the slide, or the whole slide's.

    Raises
    ------
    OptionError
        It is not four numbers in order, or not on the slide; the message says where the slide ends.
    """
    width, height = size[0] * mpp[0], size[1] * mpp[1]
    if box_um is None:
        return 0.0, 0.0, width, height
    ends = f"{name} is {width:.6g} × {height:.6g} µm"
    try:
        left, top, right, bottom = (float(edge) for edge in box_um)
    except (TypeError, ValueError):
        raise OptionError(
            f"box_um={box_um!r} is no box; give (left, top, right, bottom) in µm. {ends}."
        ) from None
    slack_x, slack_y = _ROUNDING * mpp[0], _ROUNDING * mpp[1]
    on_the_slide = (
        -slack_x <= left < right <= width + slack_x and -slack_y <= top < bottom <= height + slack_y
    )
    if not on_the_slide:
        raise OptionError(
            f"box_um={(left, top, right, bottom)} is not a box on the slide; "
            f"give (left, top, right, bottom) in µm, within the slide. {ends}."
        )
    return max(0.0, left), max(0.0, top), min(width, right), min(height, bottom)


def _count(length: float, target: float) -> int:
    return math.floor(length / target + _ROUNDING)


def checked_mpp(mpp: Any) -> float:
    """Return a wanted µm/px as a float.

    Raises
    ------
    OptionError
        It is no positive number, or a single pixel would be larger than a glass slide.

    Examples
    --------
    >>> checked_mpp(np.int64(15))
    15.0
    """
    if not is_number(mpp) or not 0 < mpp < math.inf:
        raise OptionError(
            f"mpp={mpp!r} is not a resolution; give a positive number of µm/px, such as mpp=15.0."
        )
    if mpp > _LONGEST_GLASS:
        raise OptionError(
            f"mpp={mpp:g} would make a pixel larger than a glass slide ({_LONGEST_GLASS:,} µm); give µm/px, such as "
            "mpp=15.0."
        )
    return float(mpp)


def is_number(value: object) -> bool:
    """Tell a number, Python's or numpy's, from anything else, truth values too."""
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def is_whole(value: object) -> bool:
    """Tell a whole number, Python's or numpy's, from anything else, truth values too."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)
