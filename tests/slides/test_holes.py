"""Holes of coarse levels: filled as if the finer level had been shrunk whole, the same whatever is asked for."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from slide_files import picture

from intake_tcga.slides import holes as holes_module
from intake_tcga.slides.holes import Holes, TooMuchError

sides = st.tuples(st.integers(1, 60), st.integers(1, 60))
tiles = st.tuples(st.integers(1, 25), st.integers(1, 25))


def shrunk(pixels, size):
    """Shrink as the definition says: each pixel is the mean of what it covers, pixels in part too."""
    for axis, length in ((0, size[1]), (1, size[0])):
        pixels = np.moveaxis(pixels, axis, 0)
        sums = np.concatenate([np.zeros_like(pixels[:1]), np.cumsum(pixels, axis=0)])
        lines = np.arange(length + 1) * len(pixels) / length
        at = np.stack(
            [
                np.interp(lines, np.arange(len(sums)), column)
                for column in sums.reshape(len(sums), -1).T
            ],
            axis=-1,
        )  # fmt: skip
        pixels = np.diff(at, axis=0).reshape(length, *pixels.shape[1:]) * length / len(pixels)
        pixels = np.moveaxis(pixels, 0, axis)
    return pixels


def cells_of(size, tile):
    return [
        (row, column) for row in range(-(-size[1] // tile[1])) for column in range(-(-size[0] // tile[0]))
    ]


def fill(size, tile, cells, levels):
    """Fill holes from levels of (pixels, tile size, cells that are there); return the whole level, white elsewhere."""
    holes = Holes(size, tile, cells)
    for pixels, own, there in levels:
        under = holes.under(pixels.shape[1::-1], own)
        assert len(set(under)) == len(under)
        holes.fill(np.array([cell in there for cell in under], bool))
        for row, column in reversed([cell for cell in under if cell in there]):
            top, left = row * own[1], column * own[0]
            holes.paint((row, column), pixels[top : top + own[1], left : left + own[0]])
    out = np.full((size[1], size[0], 3), 255, np.uint8)
    for (row, column), seen in holes.seen().items():
        part = out[row * tile[1] :, column * tile[0] :][: tile[1], : tile[0]]
        if len(seen):
            part[:] = np.frombuffer(seen, np.uint8).reshape(part.shape)
    return out


@settings(max_examples=40)
@given(sides, tiles, sides, tiles, st.integers(0, 2**31))
def test_holes_show_what_is_there_shrunk_and_white_elsewhere(size, tile, more, own, seed):
    finer = size[0] + more[0], size[1] + more[1]
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 256, (finer[1], finer[0], 3), dtype=np.uint8)
    there = {cell for cell in cells_of(finer, own) if random.random() < 0.6}
    filled = fill(size, tile, cells_of(size, tile), [(pixels, own, there)])
    seen = np.full(pixels.shape, 255.0)
    for row, column in there:
        part = np.s_[row * own[1] : (row + 1) * own[1], column * own[0] : (column + 1) * own[0]]
        seen[part] = pixels[part]
    assert np.abs(filled - shrunk(seen, size)).max() < 0.51


@pytest.mark.parametrize("seed", range(4))
def test_each_alone_is_the_same_as_all_together(seed):
    random = np.random.default_rng(seed)
    size, tile, levels = (61, 47), (16, 13), []
    for factor in (1.9, 4.1, 7.3):
        finer = int(size[0] * factor), int(size[1] * factor)
        pixels = picture(*finer, scale=20 / factor)
        levels.append(
            (pixels, (24, 24), {cell for cell in cells_of(finer, (24, 24)) if random.random() < 0.5})
        )
    cells = cells_of(size, tile)
    together = fill(size, tile, cells, levels)
    for row, column in cells:
        part = np.s_[row * tile[1] : (row + 1) * tile[1], column * tile[0] : (column + 1) * tile[0]]
        np.testing.assert_array_equal(fill(size, tile, [(row, column)], levels)[part], together[part])


def test_a_finer_level_shows_only_where_the_next_one_has_a_hole():
    red, blue = (
        np.full((side, side, 3), colour, np.uint8) for side, colour in ((40, (255, 0, 0)), (80, (0, 0, 255)))
    )
    filled = fill(
        (20, 20),
        (20, 20),
        [(0, 0)],
        [(red, (20, 20), {(0, 0)}), (blue, (20, 20), set(cells_of((80, 80), (20, 20))))],
    )
    assert (filled[:10, :10] == (255, 0, 0)).all()
    assert (filled[10:] == (0, 0, 255)).all()
    assert (filled[:, 10:] == (0, 0, 255)).all()


def test_a_part_as_thin_as_what_floats_miss_adds_nothing():
    holes = Holes((20, 20), (20, 20), [(0, 0)])
    holes.under((40, 40), (20, 20))
    holes.fill(np.zeros(4, bool))
    holes._first[0], holes._last[0] = (10 - 5e-7, 0), (10 + 5e-7, 10)
    for cell in holes.under((40, 40), (20, 20)):
        holes.fill(np.ones(len(holes._at), bool))
        holes.paint(cell, np.zeros((20, 20, 3), np.uint8))
        break
    assert holes.seen()


def test_strips_change_nothing(monkeypatch):
    pixels = picture(300, 200)
    whole = fill((100, 70), (100, 70), [(0, 0)], [(pixels, (300, 200), {(0, 0)})])
    monkeypatch.setattr(holes_module, "_STRIP", 700)
    np.testing.assert_array_equal(
        fill((100, 70), (100, 70), [(0, 0)], [(pixels, (300, 200), {(0, 0)})]), whole
    )


def test_more_than_any_slide_has_is_refused_before_anything_is_made_for_it():
    holes = Holes((10, 10), (10, 10), [(0, 0)])
    with pytest.raises(TooMuchError, match="17,592,186,044,416 tiles"):
        holes.under((2**22, 2**22), (1, 1))
    assert len(holes.under((2**22, 2**22), (2**13, 2**13))) == 2**18
    with pytest.raises(TooMuchError, match="17,592,186,044,416 pixels"):
        holes.fill(np.ones(2**18, bool))
    holes.fill(np.arange(2**18) < 9)
    assert holes.are_open
