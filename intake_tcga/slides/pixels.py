"""Lazy arrays of a slide's pixels: one of its levels, or an image resized to an exact µm/px.

Of either, only the tiles under what is asked for are read. An image that is asked for in parts is the same as in
one, to the last bit: it is made in small blocks, each with a margin as wide as the filter reaches.
"""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import xarray as xr
from xarray.backends import BackendArray
from xarray.core import indexing

from intake_tcga.errors import MissingDependencyError
from intake_tcga.slides.scale import Box, Plan

Pixels = npt.NDArray[np.uint8]
Positions = npt.NDArray[np.intp]
Cell = tuple[int, int]
"""Row and column of a tile in its level's grid."""

THREADS = min(8, os.cpu_count() or 1)
_CHUNK = 12 * 2**20  # bytes that one dask chunk should hold, roughly
_BAND = 16 * 2**20  # pixels of a level that are held at once while an image is made of it
_BLOCK = 128  # pixels: an image is made in squares of a fixed grid, the same whichever of them are asked for
_REACH = 3  # of the Lanczos filter, in pixels of the coarser image


class TiledLevel(Protocol):
    """One resolution of a slide, as a grid of tiles without gaps or overlap."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""

    @property
    def tile_size(self) -> tuple[int, int]:
        """Width and height of a tile; those at the right and lower edges have what is left."""

    def each_tile(self, cells: Sequence[Cell], use: Callable[[Cell, Pixels], None]) -> None:
        """Call a function with each of some tiles, in any order and from several threads at once."""


class LevelArray(BackendArray):  # type: ignore[misc,unused-ignore]
    """The pixels of one level, (y, x, c) of uint8."""

    def __init__(self, level: TiledLevel) -> None:
        self._level = level
        width, height = level.size
        self.shape = (height, width, 3)
        self.dtype = np.dtype(np.uint8)

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER, self._get)

    def _get(self, key: tuple[Any, ...]) -> Any:
        rows, columns = _positions(key[0], self.shape[0]), _positions(key[1], self.shape[1])
        return _squeezed(read_pixels(self._level, rows, columns), key)

    def preferred_chunks(self) -> dict[str, int]:
        """Return chunk lengths for dask: whole tiles, about 12 MB."""
        return {
            dim: _chunk_length(size, tile)
            for dim, size, tile in zip(("y", "x"), self.shape, self._level.tile_size[::-1], strict=False)
        } | {"c": 3}


class ImageArray(BackendArray):  # type: ignore[misc,unused-ignore]
    """An image of exactly one µm/px, (y, x, c) of uint8: part of a level, resized when it is read."""

    def __init__(self, level: TiledLevel, plan: Plan) -> None:
        self._level = level
        self._plan = plan
        self.shape = (plan.size[1], plan.size[0], 3)
        self.dtype = np.dtype(np.uint8)

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER, self._get)

    def _get(self, key: tuple[Any, ...]) -> Any:
        rows, columns = _positions(key[0], self.shape[0]), _positions(key[1], self.shape[1])
        out = np.empty((len(rows), len(columns), 3), np.uint8)
        in_y, in_x = _by_tile(rows, _BLOCK), _by_tile(columns, _BLOCK)
        view = _View(self._level, self._plan)

        def work(block: Cell) -> None:
            (dest_y, source_y), (dest_x, source_x) = in_y[block[0]], in_x[block[1]]
            out[_index(dest_y, dest_x)] = view.block(*block)[_index(source_y, source_x)]

        with ThreadPoolExecutor(THREADS, "intake-tcga-blocks") as pool:
            for blocks_y, blocks_x in self._parts(sorted(in_y), sorted(in_x)):
                view.move(blocks_y, blocks_x)
                for _ in pool.map(work, itertools.product(blocks_y, blocks_x)):
                    pass
        return _squeezed(out, key)

    def _parts(self, in_y: list[int], in_x: list[int]) -> Iterator[tuple[list[int], list[int]]]:
        """Cut blocks that are wanted into rectangles for which a bounded number of the level's pixels is held."""
        side_x, side_y = (_BLOCK * scale for scale in _scales(self._plan))
        across = max(1, math.floor(16 * math.sqrt(_BAND) / side_x))
        for some_x in _runs(in_x, across):
            down = max(1, math.floor(_BAND / (len(some_x) * side_x) / side_y))
            for some_y in _runs(in_y, down):
                yield some_y, some_x

    def preferred_chunks(self) -> dict[str, int]:
        """Return chunk lengths for dask: what is made of about 48 MB of the level, at most 12 MB."""
        scale = max(1.0, *_scales(self._plan))
        length = _BLOCK * max(1, math.floor(min(math.sqrt(_CHUNK / 3), 4096 / scale) / _BLOCK))
        return {"y": min(length, self.shape[0]), "x": min(length, self.shape[1]), "c": 3}


def lazy_variable(array: LevelArray | ImageArray) -> xr.Variable:
    """Return the lazy variable (y, x, c) over an array of pixels."""
    return xr.Variable(
        ("y", "x", "c"),
        indexing.LazilyIndexedArray(array),
        encoding={"preferred_chunks": array.preferred_chunks()},
    )


def read_pixels(level: TiledLevel, rows: Positions, columns: Positions, into: Pixels | None = None) -> Pixels:
    """Read the pixels of a level at the crossings of some rows and columns, into an array if one is given.

    Memory: the result, and one tile for each thread.
    """
    out = np.empty((len(rows), len(columns), 3), np.uint8) if into is None else into
    width, height = level.tile_size
    in_y, in_x = _by_tile(rows, height), _by_tile(columns, width)

    def paste(cell: Cell, tile: Pixels) -> None:
        (dest_y, source_y), (dest_x, source_x) = in_y[cell[0]], in_x[cell[1]]
        out[_index(dest_y, dest_x)] = tile[_index(source_y, source_x)]

    level.each_tile([(row, column) for row in in_y for column in in_x], paste)
    return out


class _View:
    """The pixels of a level under a rectangle of an image's blocks, which are resized one by one."""

    def __init__(self, level: TiledLevel, plan: Plan) -> None:
        self._level = level
        self._plan = plan
        self._left = self._top = self._right = self._bottom = 0
        self._pixels = np.empty((0, 0, 3), np.uint8)

    def move(self, blocks_y: list[int], blocks_x: list[int]) -> None:
        """Read the pixels under other blocks; what is under both is kept, and the rest let go of first."""
        first, last = self._crop(blocks_y[0], blocks_x[0]), self._crop(blocks_y[-1], blocks_x[-1])
        left, top, right = first[0], first[1], last[2]
        # Down to the end of a row of tiles, so that the rectangle below reads none of them again.
        height = self._level.tile_size[1]
        bottom = min(self._level.size[1], -(-last[3] // height) * height)
        known = np.empty((0, right - left, 3), np.uint8)
        if (left, right) == (self._left, self._right) and self._top <= top < self._bottom <= bottom:
            known = self._pixels[top - self._top :].copy()
        self._left, self._top, self._right, self._bottom = left, top, right, bottom
        self._pixels = known
        pixels = np.empty((bottom - top, right - left, 3), np.uint8)
        pixels[: len(known)] = known
        below = np.arange(top + len(known), bottom)
        read_pixels(self._level, below, np.arange(left, right), pixels[len(known) :])
        self._pixels = pixels

    def block(self, row: int, column: int) -> Pixels:
        """Make one block of the image: antialiased (Lanczos), in uint8 throughout."""
        left, top, right, bottom = self._crop(row, column)
        pixels = self._pixels[top - self._top : bottom - self._top, left - self._left : right - self._left]
        box, size = self._box(row, column)
        # Relative to the block's own crop, so that Pillow, which rounds a box to single precision, rounds it the same
        # whatever else is read.
        inner = (
            max(0.0, box[0] - left),
            max(0.0, box[1] - top),
            min(float(right - left), box[2] - left),
            min(float(bottom - top), box[3] - top),
        )
        image = load_pillow()
        return np.asarray(image.fromarray(pixels).resize(size, image.Resampling.LANCZOS, box=inner))

    def _box(self, row: int, column: int) -> tuple[Box, tuple[int, int]]:
        """Return where a block is in the level, and its size in the image."""
        (scale_x, scale_y), plan = _scales(self._plan), self._plan
        left, top = column * _BLOCK, row * _BLOCK
        right, bottom = min(left + _BLOCK, plan.size[0]), min(top + _BLOCK, plan.size[1])
        box = (
            plan.box[0] + left * scale_x,
            plan.box[1] + top * scale_y,
            plan.box[0] + right * scale_x,
            plan.box[1] + bottom * scale_y,
        )
        return box, (right - left, bottom - top)

    def _crop(self, row: int, column: int) -> tuple[int, int, int, int]:
        """Return the level's pixels that a block is made of, the filter's margin included."""
        (scale_x, scale_y), (box, _) = _scales(self._plan), self._box(row, column)
        left, right = _with_margin(box[0], box[2], scale_x, self._level.size[0])
        top, bottom = _with_margin(box[1], box[3], scale_y, self._level.size[1])
        return left, top, right, bottom


def load_pillow() -> Any:
    """Import Pillow's Image module, or say how to get it."""
    try:
        from PIL import Image
    except ImportError:
        raise MissingDependencyError(
            "Images of slides need imagecodecs and Pillow; run pip install 'intake-tcga[slides]'."
        ) from None
    return Image


def _scales(plan: Plan) -> tuple[float, float]:
    """Return how many of the level's pixels one of the image's is wide and high."""
    return (plan.box[2] - plan.box[0]) / plan.size[0], (plan.box[3] - plan.box[1]) / plan.size[1]


def _with_margin(first: float, last: float, scale: float, length: int) -> tuple[int, int]:
    margin = _REACH * max(1.0, scale) + 2
    return max(0, math.floor(first - margin)), min(length, math.ceil(last + margin))


def _by_tile(positions: Positions, length: int) -> dict[int, tuple[Positions, Positions]]:
    """Group positions by the tile that they are in: where they go, and where they are within the tile."""
    tiles = positions // length
    order = np.argsort(tiles, kind="stable")
    bounds = np.flatnonzero(np.diff(tiles[order])) + 1
    return {
        int(tiles[group[0]]): (group, positions[group] - tiles[group[0]] * length)
        for group in np.split(order, bounds)
        if len(group)
    }


def _runs(numbers: list[int], most: int) -> Iterator[list[int]]:
    """Cut ascending numbers into runs without gaps, of a bounded length."""
    run: list[int] = []
    for number in numbers:
        if run and (number != run[-1] + 1 or len(run) == most):
            yield run
            run = []
        run.append(number)
    if run:
        yield run


def _index(rows: Positions, columns: Positions) -> tuple[Any, ...]:
    """Return an index of the crossings: as slices, where they are runs, which copy much faster."""
    runs = tuple(
        slice(int(p[0]), int(p[-1]) + 1)
        if p[-1] - p[0] == len(p) - 1 and bool((np.diff(p) == 1).all())
        else None
        for p in (rows, columns)
    )
    return runs if None not in runs else np.ix_(rows, columns)


def _positions(key: Any, length: int) -> Positions:
    if isinstance(key, slice):
        return np.arange(*key.indices(length), dtype=np.intp)
    positions = np.atleast_1d(np.asarray(key, dtype=np.intp))
    return np.where(positions < 0, positions + length, positions)


def _squeezed(pixels: Pixels, key: tuple[Any, ...]) -> Any:
    """Select colours, and drop the dimensions that were asked for by one number."""
    if not (isinstance(key[2], slice) and key[2] == slice(None)):
        pixels = pixels[..., _positions(key[2], 3)]
    return pixels[tuple(0 if isinstance(part, int | np.integer) else slice(None) for part in key)]


def _chunk_length(size: int, tile: int) -> int:
    side = math.isqrt(_CHUNK // 3)
    return max(1, min(size, max(1, side // tile) * tile))
