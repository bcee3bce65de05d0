"""The geometry of a Deep Zoom pyramid: which levels there are, and where each tile lies. Pure; asks nobody.

Level ``top`` is the slide itself, and each level below has half its width and height, rounded up, down to one pixel.
A tile shows its own cell of the level's grid, and ``overlap`` pixels more at each side where there are any; cut off,
the cells are what a plain grid has.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from intake_tcga.errors import FileFormatError, RemoteNotFoundError
from intake_tcga.slides.scale import LONGEST_SIDE

_LARGEST_TILE = 8192
_FORMATS = {"jpeg": "jpeg", "jpg": "jpeg", "png": "png"}


@dataclass(frozen=True, slots=True)
class DeepZoom:
    """The pyramid of one slide."""

    width: int
    height: int
    tile_size: int
    overlap: int
    format: str
    """``jpeg`` or ``png``, as the service says; the tiles themselves have the last word."""

    @classmethod
    def of(cls, metadata: Any, name: str) -> DeepZoom:
        """Read what the service says of a slide: all of it texts.

        Raises
        ------
        RemoteNotFoundError
            It says nothing of a width: it has no tiles of this slide.
        FileFormatError
            What it says cannot be.

        Examples
        --------
        >>> said = {"Format": "jpeg", "Height": "801", "Width": "1000", "Overlap": "1", "TileSize": "512", "uuid": "…"}
        >>> pyramid = DeepZoom.of(said, "a.svs")
        >>> pyramid.top, pyramid.size(9)
        (10, (500, 401))
        """
        if not isinstance(metadata, Mapping) or not {"Width", "Height", "TileSize"} <= metadata.keys():
            raise RemoteNotFoundError(
                f"The tile service has no tiles of {name}; read the slide itself, with method='ranges'."
            )
        numbers = {key: _number(metadata.get(key, "0")) for key in ("Width", "Height", "TileSize", "Overlap")}
        sides, tile, overlap = (numbers["Width"], numbers["Height"]), numbers["TileSize"], numbers["Overlap"]
        possible = all(1 <= side <= LONGEST_SIDE for side in sides) and 1 <= tile <= _LARGEST_TILE
        if not (possible and 0 <= overlap < tile):
            said = ", ".join(f"{key}={str(metadata.get(key))[:30]!r}" for key in numbers)
            raise FileFormatError(
                f"The tile service describes {name} as no pyramid can be ({said}); use method='ranges'."
            )
        return cls(*sides, tile, overlap, _FORMATS.get(str(metadata.get("Format")).lower(), "jpeg"))

    @property
    def top(self) -> int:
        """Number of the finest level."""
        return (max(self.width, self.height) - 1).bit_length()

    def size(self, level: int) -> tuple[int, int]:
        """Return a level's width and height in pixels."""
        halvings = self.top - level
        return -(-self.width >> halvings), -(-self.height >> halvings)

    def cell(self, level: int, column: int, row: int) -> tuple[int, int, int, int]:
        """Return where a tile's own cell lies in its level: left, top, right, bottom, without the overlap.

        Examples
        --------
        >>> pyramid = DeepZoom(1500, 1000, 512, 1, "jpeg")
        >>> pyramid.cell(11, 2, 0), pyramid.tile(11, 2, 0)
        ((1024, 0, 1500, 512), (1023, 0, 1500, 513))
        """
        width, height = self.size(level)
        left, top = column * self.tile_size, row * self.tile_size
        return left, top, min(left + self.tile_size, width), min(top + self.tile_size, height)

    def tile(self, level: int, column: int, row: int) -> tuple[int, int, int, int]:
        """Return where a tile lies in its level, overlap included: left, top, right, bottom."""
        width, height = self.size(level)
        left, top, right, bottom = self.cell(level, column, row)
        return (
            max(0, left - self.overlap),
            max(0, top - self.overlap),
            min(right + self.overlap, width),
            min(bottom + self.overlap, height),
        )

    def levels(self) -> list[int]:
        """Return the numbers of the levels, the finest first, down to the first that is a single tile."""
        found = []
        for level in range(self.top, -1, -1):
            found.append(level)
            if max(self.size(level)) <= self.tile_size:
                break
        return found


def _number(text: Any) -> int:
    return int(text) if re.fullmatch(r"\d{1,12}", str(text)) else -1
