"""Lazy arrays of a slide's pixels: one of its levels, or an image resized to an exact µm/px.

Of either, only the tiles under what is asked for are read. An image that is asked for in parts is the same as in
one, to the last bit: it is made in small blocks, each with a margin as wide as the filter reaches.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import xarray as xr
from xarray.backends import BackendArray
from xarray.core import indexing

from intake_tcga.slides.scale import Box, Plan
from intake_tcga.slides.tile_codecs import load_pillow
from intake_tcga.slides.tiles import (
    THREADS,
    Cell,
    HeldTiles,
    Pixels,
    Positions,
    TiledLevel,
    by_tile,
    crossings,
    read_pixels,
)

_CHUNK = 12 * 2**20  # bytes that one dask chunk should hold, roughly
_BAND = 16 * 2**20  # pixels of a level of which the tiles are fetched at once, and held as they are stored
_STRIP = 2 * 2**20  # pixels of a level that are held decoded, while a part of an image is made of them
_BLOCK = 128  # pixels: an image is made in squares of a fixed grid, the same whichever of them are asked for
_CROP = 1024  # of the level's pixels, the most that a block's side is made of: where they are more, blocks are smaller
_REACH = 3  # of the Lanczos filter, in pixels of the coarser image


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
        side = _block_side(self._plan)
        in_y, in_x = by_tile(rows, side), by_tile(columns, side)
        tiles = HeldTiles(self._level)
        view = _View(tiles, self._plan)

        def work(block: Cell) -> None:
            (dest_y, source_y), (dest_x, source_x) = in_y[block[0]], in_x[block[1]]
            out[crossings(dest_y, dest_x)] = view.block(*block)[crossings(source_y, source_x)]

        with ThreadPoolExecutor(THREADS, "intake-tcga-blocks") as pool:
            for band in view.parts(sorted(in_y), sorted(in_x), _BAND):
                tiles.hold(view.tiles_under(*band))
                for strip in view.parts(*band, _STRIP):
                    view.move(*strip)
                    for _ in pool.map(work, itertools.product(*strip)):
                        pass
        return _squeezed(out, key)

    def preferred_chunks(self) -> dict[str, int]:
        """Return chunk lengths for dask: what is made of about 48 MB of the level, at most 12 MB."""
        scale, side = max(1.0, *_scales(self._plan)), _block_side(self._plan)
        length = side * max(1, math.floor(min(math.sqrt(_CHUNK / 3), 4096 / scale) / side))
        return {"y": min(length, self.shape[0]), "x": min(length, self.shape[1]), "c": 3}


def lazy_variable(array: LevelArray | ImageArray) -> xr.Variable:
    """Return the lazy variable (y, x, c) over an array of pixels."""
    return xr.Variable(
        ("y", "x", "c"),
        indexing.LazilyIndexedArray(array),
        encoding={"preferred_chunks": array.preferred_chunks()},
    )


class _View:
    """The pixels of a level under a rectangle of an image's blocks, which are resized one by one."""

    def __init__(self, level: TiledLevel, plan: Plan) -> None:
        self._level = level
        self._plan = plan
        self._side = _block_side(plan)
        self._left = self._top = self._right = self._bottom = 0
        self._pixels = np.empty((0, 0, 3), np.uint8)

    def parts(
        self, blocks_y: list[int], blocks_x: list[int], most: int
    ) -> Iterator[tuple[list[int], list[int]]]:
        """Cut blocks into rectangles under which are about so many of the level's pixels, margins included."""
        scale_x, scale_y = _scales(self._plan)
        side_x, side_y = self._side * scale_x, self._side * scale_y
        beside = 2 * _margin(scale_y) + self._level.tile_size[1]
        across = max(1, math.floor(most / (side_y + beside) / side_x))
        for some_x in _runs(blocks_x, across):
            down = max(1, math.floor((most / (len(some_x) * side_x) - beside) / side_y))
            for some_y in _runs(blocks_y, down):
                yield some_y, some_x

    def tiles_under(self, blocks_y: list[int], blocks_x: list[int]) -> list[Cell]:
        """Return the level's tiles under a rectangle of blocks, row by row."""
        left, top, right, bottom = self._under(blocks_y, blocks_x)
        width, height = self._level.tile_size
        rows, columns = range(top // height, -(-bottom // height)), range(left // width, -(-right // width))
        return list(itertools.product(rows, columns))

    def move(self, blocks_y: list[int], blocks_x: list[int]) -> None:
        """Read the pixels under other blocks; what is under both is kept, and the rest let go of first."""
        left, top, right, bottom = self._under(blocks_y, blocks_x)
        # Down to the end of a row of tiles, so that the rectangle below decodes none of them again.
        height = self._level.tile_size[1]
        bottom = min(self._level.size[1], -(-bottom // height) * height)
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

    def _under(self, blocks_y: list[int], blocks_x: list[int]) -> tuple[int, int, int, int]:
        """Return the level's pixels that a rectangle of blocks is made of: left, top, right, bottom."""
        first, last = self._crop(blocks_y[0], blocks_x[0]), self._crop(blocks_y[-1], blocks_x[-1])
        return first[0], first[1], last[2], last[3]

    def _box(self, row: int, column: int) -> tuple[Box, tuple[int, int]]:
        """Return where a block is in the level, and its size in the image."""
        (scale_x, scale_y), plan, side = _scales(self._plan), self._plan, self._side
        left, top = column * side, row * side
        right, bottom = min(left + side, plan.size[0]), min(top + side, plan.size[1])
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


def _scales(plan: Plan) -> tuple[float, float]:
    """Return how many of the level's pixels one of the image's is wide and high."""
    return (plan.box[2] - plan.box[0]) / plan.size[0], (plan.box[3] - plan.box[1]) / plan.size[1]


def _with_margin(first: float, last: float, scale: float, length: int) -> tuple[int, int]:
    return max(0, math.floor(first - _margin(scale))), min(length, math.ceil(last + _margin(scale)))


def _margin(scale: float) -> float:
    """Return how many of the level's pixels the filter sees on either side of a block, and two to be sure."""
    return _REACH * max(1.0, scale) + 2


def _block_side(plan: Plan) -> int:
    """Return how many of the image's pixels a block is wide and high: the same for all of an image."""
    side = _BLOCK
    while side > 1 and side * max(_scales(plan)) > _CROP:
        side //= 2
    return side


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
