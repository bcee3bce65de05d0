"""What is seen through holes of a level: of each part the next finer level that has pixels there, shrunk; else white.

Holes are filled many together. Each finer level is gone through once, however many levels have holes at the same place,
and of it only tiles that have pixels are read. What each of them adds is a whole number that depends on nothing else,
so that the result is the same to the last bit in whatever company and order holes are filled.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from intake_tcga.slides.tiles import Cell, Pixels

_MOST_PARTS = 2**18  # into which finer levels' tiles cut what is filled together
_MOST_PIXELS = 2**32  # of one finer level: as many as a whole slide has
_STRIP = 2**18  # pixels that are summed up at once
_WHITE = 255
_ONE = 2**16  # a value of 1, as it is added up
_ROUNDING = 1e-6  # pixels

Floats = npt.NDArray[np.float64]


class TooMuchError(Exception):
    """More is under holes than any slide has there."""


class Seen(bytes):
    """The pixels of a tile that are seen through it, row by row; where it is white throughout, empty."""


class Holes:
    """Some tiles of a level that have no pixels, while they are filled."""

    def __init__(self, size: tuple[int, int], tile_size: tuple[int, int], cells: Sequence[Cell]) -> None:
        self._size = np.array(size, float)
        self._cells = cells
        corners = np.array([cell[::-1] for cell in cells], np.intp) * np.array(tile_size, np.intp)
        self._corners = corners
        self._ends = np.minimum(corners + np.array(tile_size), size)
        self._sums: dict[int, npt.NDArray[np.int32]] = {}
        self._turn = threading.Lock()
        # What is not filled yet: parts of holes, from their left and top to their right and bottom.
        self._of = np.arange(len(cells))
        self._first: Floats = corners.astype(float)
        self._last: Floats = self._ends.astype(float)

    @property
    def are_open(self) -> bool:
        """Whether anything is not filled yet."""
        return len(self._of) > 0

    def under(self, size: tuple[int, int], tile_size: tuple[int, int]) -> list[Cell]:
        """Turn to the next finer level: return which of its tiles are under what is not filled yet.

        Raises
        ------
        TooMuchError
            They are too many; the caller knows of which level.
        """
        self._scale = self._size / size
        self._tile_size = tile_size
        step = tile_size * self._scale
        grid = -(-np.array(size) // tile_size)
        first = np.minimum(np.floor((self._first + _ROUNDING) / step).astype(np.intp), grid - 1)
        last = np.clip(np.ceil((self._last - _ROUNDING) / step).astype(np.intp), first + 1, grid)
        number = (last - first).astype(float).prod(axis=1)
        if number.sum() > _MOST_PARTS:
            raise TooMuchError(f"{number.sum():,.0f} tiles")
        each = number.astype(np.intp)
        of = np.repeat(np.arange(len(each)), each)
        at = np.arange(len(of)) - np.repeat(np.cumsum(each) - each, each)
        across = (last - first)[of, 0]
        places = first[of] + np.stack([at % across, at // across], axis=1)
        numbers, tiles = np.unique(places[:, 1] * grid[0] + places[:, 0], return_inverse=True)
        order = np.argsort(tiles, kind="stable")
        of, places, self._tiles = of[order], places[order], tiles[order]
        self._first = np.maximum(self._first[of], places * step)
        self._last = np.minimum(self._last[of], (places + 1) * step)
        self._of = self._of[of]
        cells = [(int(number // grid[0]), int(number % grid[0])) for number in numbers]
        self._at = {cell: at for at, cell in enumerate(cells)}
        return cells

    def fill(self, there: npt.NDArray[np.bool_]) -> None:
        """Say which of these tiles have pixels, and so will be painted; the others leave what is under them open.

        Raises
        ------
        TooMuchError
            They have too many pixels; the caller knows of which level.
        """
        painted = there[self._tiles]
        pixels = ((self._last - self._first) / self._scale).prod(axis=1)[painted].sum()
        if pixels > _MOST_PIXELS:
            raise TooMuchError(f"{pixels:,.0f} pixels")
        self._parts = self._tiles[painted], self._of[painted], self._first[painted], self._last[painted]
        self._of, self._first, self._last = self._of[~painted], self._first[~painted], self._last[~painted]

    def paint(self, cell: Cell, pixels: Pixels) -> None:
        """Add one of these tiles to all holes that it is under; may be called from several threads at once."""
        tiles, of, first, last = self._parts
        corner = np.array(cell[::-1]) * self._tile_size
        begin, end = np.searchsorted(tiles, [self._at[cell], self._at[cell] + 1])
        for at in range(begin, end):
            hole = int(of[at])
            # The lines between the hole's pixels, as far as the tile reaches; then the same within the tile.
            lines = [
                np.arange(np.floor(a), np.ceil(b) + 1).clip(a, b)
                for a, b in zip(first[at], last[at], strict=True)
            ]
            x, y = (
                (line / scale - offset).clip(0, length)
                for line, scale, offset, length in zip(
                    lines, self._scale, corner, pixels.shape[1::-1], strict=True
                )
            )
            added = np.rint(_sums(pixels, y, x) * (self._scale.prod() * _ONE)).astype(np.int32)
            left, top = np.floor(first[at]).astype(int) - self._corners[hole]
            with self._turn:
                if hole not in self._sums:
                    width, height = self._ends[hole] - self._corners[hole]
                    self._sums[hole] = np.zeros((height, width, 3), np.int32)
                self._sums[hole][top : top + len(added), left : left + added.shape[1]] += added

    def seen(self) -> dict[Cell, Seen]:
        """Return what is seen through each hole."""
        shown = dict.fromkeys(self._cells, Seen())
        for hole in list(self._sums):
            sums = self._sums.pop(hole)
            sums += _WHITE * _ONE + _ONE // 2
            sums >>= 16
            shown[self._cells[hole]] = Seen(sums.clip(0, _WHITE).astype(np.uint8).tobytes())
        return shown


def _sums(pixels: Pixels, y: Floats, x: Floats) -> Floats:
    """Sum up by how much pixels differ from white, between lines that may cut through them; a strip at a time."""
    total = np.zeros((len(y) - 1, len(x) - 1, 3))
    left, right = int(x[0]), int(np.ceil(x[-1]))
    if left == right:  # of two lines that mean the same, and differ by what floats miss
        return total
    most = max(1, _STRIP // (right - left))
    for top in range(int(y[0]), int(np.ceil(y[-1])), most):
        strip = pixels[top : top + most, left:right]
        rows = _between(strip, (y - top).clip(0, len(strip)))
        total += _between(rows.swapaxes(0, 1), x - left).swapaxes(0, 1)
    areas: Floats = np.multiply.outer(np.diff(y), np.diff(x))
    return total - _WHITE * areas[..., None]


def _between(values: Pixels | Floats, lines: Floats) -> Floats:
    """Sum values up along the first axis, from each line to the next."""
    kind = np.int32 if values.dtype == np.uint8 else np.float64  # a strip's sums fit, and take half the time
    sums = np.zeros((len(values) + 1, *values.shape[1:]), kind)
    np.cumsum(values, axis=0, dtype=kind, out=sums[1:])
    whole = np.minimum(lines.astype(np.intp), len(values) - 1)
    return np.diff(sums[whole] + (lines - whole)[:, None, None] * values[whole], axis=0)
