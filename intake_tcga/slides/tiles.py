"""Tiles of a slide's levels: fetched many at once, as they are stored, and decoded where their pixels are needed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Positions = npt.NDArray[np.intp]
Cell = tuple[int, int]
"""Row and column of a tile in its level's grid."""
Stored = bytes | memoryview
"""A tile as it is stored: compressed, about a tenth of its pixels."""

THREADS = min(8, os.cpu_count() or 1)
PORTION = 16 * 2**20  # bytes of stored tiles that are fetched at once, and that are held, roughly


class TiledLevel(Protocol):
    """One resolution of a slide, as a grid of tiles without gaps or overlap."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""

    @property
    def tile_size(self) -> tuple[int, int]:
        """Width and height of a tile; those at the right and lower edges have what is left."""

    def fetch(self, cells: Sequence[Cell]) -> Iterator[Mapping[Cell, Stored]]:
        """Fetch some tiles, in any order: a bounded portion of them at a time."""

    def decode(self, cell: Cell, stored: Stored) -> Pixels:
        """Decode a tile that was fetched; may be called from several threads at once."""


class HeldTiles:
    """A level of which some tiles are held as they are stored; any other is fetched when it is asked for."""

    def __init__(self, level: TiledLevel) -> None:
        self._level = level
        self._tiles: dict[Cell, Stored] = {}

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self._level.size

    @property
    def tile_size(self) -> tuple[int, int]:
        """Width and height of a tile."""
        return self._level.tile_size

    def hold(self, cells: Sequence[Cell]) -> None:
        """Let go of all other tiles, and fetch those of these that are not held, as far as they are not too much."""
        self._tiles = {cell: self._tiles[cell] for cell in cells if cell in self._tiles}
        for portion in self._level.fetch([cell for cell in cells if cell not in self._tiles]):
            self._tiles.update(portion)
            if sum(map(len, self._tiles.values())) >= PORTION:
                break

    def fetch(self, cells: Sequence[Cell]) -> Iterator[Mapping[Cell, Stored]]:
        """Return the tiles that are held, and fetch the others."""
        if held := {cell: self._tiles[cell] for cell in cells if cell in self._tiles}:
            yield held
        if others := [cell for cell in cells if cell not in held]:
            yield from self._level.fetch(others)

    def decode(self, cell: Cell, stored: Stored) -> Pixels:
        """Decode a tile."""
        return self._level.decode(cell, stored)


def read_pixels(level: TiledLevel, rows: Positions, columns: Positions, into: Pixels | None = None) -> Pixels:
    """Read the pixels of a level at the crossings of some rows and columns, into an array if one is given.

    Memory: the result, a portion of tiles as they are stored, and one tile for each thread.
    """
    out = np.empty((len(rows), len(columns), 3), np.uint8) if into is None else into
    width, height = level.tile_size
    in_y, in_x = by_tile(rows, height), by_tile(columns, width)

    def paste(item: tuple[Cell, Stored]) -> None:
        cell, stored = item
        (dest_y, source_y), (dest_x, source_x) = in_y[cell[0]], in_x[cell[1]]
        out[crossings(dest_y, dest_x)] = level.decode(cell, stored)[crossings(source_y, source_x)]

    with ThreadPoolExecutor(THREADS, "intake-tcga-tiles") as pool:
        for portion in level.fetch([(row, column) for row in in_y for column in in_x]):
            for _ in pool.map(paste, portion.items()):
                pass
    return out


def by_tile(positions: Positions, length: int) -> dict[int, tuple[Positions, Positions]]:
    """Group positions by the tile that they are in: where they go, and where they are within the tile."""
    tiles = positions // length
    order = np.argsort(tiles, kind="stable")
    bounds = np.flatnonzero(np.diff(tiles[order])) + 1
    return {
        int(tiles[group[0]]): (group, positions[group] - tiles[group[0]] * length)
        for group in np.split(order, bounds)
        if len(group)
    }


def crossings(rows: Positions, columns: Positions) -> tuple[Any, ...]:
    """Return an index of the crossings: as slices, where they are runs, which copy much faster."""
    runs = tuple(
        slice(int(p[0]), int(p[-1]) + 1)
        if p[-1] - p[0] == len(p) - 1 and bool((np.diff(p) == 1).all())
        else None
        for p in (rows, columns)
    )
    return runs if None not in runs else np.ix_(rows, columns)
