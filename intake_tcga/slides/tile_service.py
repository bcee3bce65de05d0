"""The GDC's tile service: a slide as a Deep Zoom pyramid of small pictures, asked for one by one.

It is not documented. Its tiles are JPEG once more, so they are near the slide's own pixels, not equal to them.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from intake_tcga.errors import FileFormatError, RemoteNotFoundError
from intake_tcga.slides.asking import AT_ONCE, asking
from intake_tcga.slides.deep_zoom import DeepZoom
from intake_tcga.slides.tile_codecs import load_pillow
from intake_tcga.slides.tiles import Cell, Pixels, Stored
from intake_tcga.transfer import read_small
from intake_tcga.transfer.budget import Budget

_LARGEST_METADATA = 64 * 1024
_PORTION = 64  # tiles: of 512 pixels, about 4 MB as they are sent
_ATTEMPTS = 3


@dataclass(frozen=True)
class TileService:
    """Where one slide's tiles are."""

    endpoint: str
    file_id: str
    name: str
    """How errors call the slide."""

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """May hold a token."""

    storage_options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    offline: bool = False
    budget: Budget = field(default_factory=Budget)

    def pyramid(self) -> DeepZoom:
        """Ask for the geometry.

        Raises
        ------
        RemoteNotFoundError
            The service has no tiles of this slide; the message says how to read it instead.
        FileFormatError
            What it says cannot be.
        """
        try:
            said = json.loads(self._ask(f"tile/metadata/{self.file_id}", _LARGEST_METADATA))
        except RemoteNotFoundError:
            said = None
        except ValueError:
            raise FileFormatError(
                f"The tile service does not describe {self.name} in JSON; use method='ranges'."
            ) from None
        return DeepZoom.of(said, self.name)

    def tile(self, zoom: DeepZoom, level: int, column: int, row: int) -> bytes:
        """Fetch one tile, overlap included, as it is sent.

        Raises
        ------
        TransferError
            It could not be fetched; if it is not there, the message says how to read the slide instead.
        """
        left, top, right, bottom = zoom.tile(level, column, row)
        most = 4 * (right - left) * (bottom - top) + 2**16
        try:
            return self._ask(f"tile/{self.file_id}?level={level}&x={column}&y={row}", most)
        except RemoteNotFoundError:
            raise RemoteNotFoundError(
                f"The tile service describes {self.name} and does not have its tile {column}, {row} of level {level}; "
                "read the slide itself, with method='ranges'."
            ) from None

    def _ask(self, path: str, limit: int) -> bytes:
        options = {**self.storage_options}
        if self.headers:
            options["headers"] = {**options.get("headers", {}), **self.headers}
        with asking(self.name, with_token=bool(self.headers)):
            return read_small(
                f"{self.endpoint}/{path}",
                limit=limit,
                storage_options=options,
                offline=self.offline,
                budget=self.budget,
            )


@dataclass(frozen=True)
class ServiceLevel:
    """One level of the service's pyramid, as a plain grid: what tiles show of their neighbours is cut off."""

    service: TileService
    zoom: DeepZoom
    level: int

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.zoom.size(self.level)

    @property
    def tile_size(self) -> tuple[int, int]:
        """Width and height of a tile without overlap."""
        return self.zoom.tile_size, self.zoom.tile_size

    def fetch(self, cells: Sequence[Cell]) -> Iterator[dict[Cell, Stored]]:
        """Fetch tiles, a few at once."""
        pool = ThreadPoolExecutor(AT_ONCE, "intake-tcga-tiles")
        try:
            for start in range(0, len(cells), _PORTION):
                some = cells[start : start + _PORTION]
                yield dict(zip(some, pool.map(self._tile, some), strict=True))
        finally:
            pool.shutdown(cancel_futures=True)

    def decode(self, cell: Cell, stored: Stored) -> Pixels:
        """Decode a tile, and cut off what it shows of its neighbours; one that is damaged is asked for again.

        Raises
        ------
        FileFormatError
            It does not decode, or is of another size than the geometry says.
        TransferError
            It could not be fetched again.
        """
        row, column = cell
        left, top, right, bottom = self.zoom.tile(self.level, column, row)
        own = self.zoom.cell(self.level, column, row)
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                tile = _decoded(stored, (right - left, bottom - top))
            except _DamagedTileError as error:
                if attempt == _ATTEMPTS:
                    raise FileFormatError(
                        f"The tile service gives tile {column}, {row} of level {self.level} of {self.service.name} "
                        f"damaged ({error}); use method='ranges'."
                    ) from None
                stored = self._tile(cell)
            else:
                break
        return tile[own[1] - top : own[3] - top, own[0] - left : own[2] - left]

    def _tile(self, cell: Cell) -> bytes:
        return self.service.tile(self.zoom, self.level, cell[1], cell[0])


class _DamagedTileError(Exception):
    """A tile does not decode, or is another one's."""


def _decoded(body: Stored, size: tuple[int, int]) -> Pixels:
    image = load_pillow()
    try:
        # Opening reads the head alone: a picture of another size is refused before it takes memory.
        with image.open(io.BytesIO(body), formats=("JPEG", "PNG")) as picture:
            if picture.size != size:
                raise _DamagedTileError(
                    f"it has {picture.width} × {picture.height} pixels, not {size[0]} × {size[1]}"
                )
            if "A" in picture.getbands() or "transparency" in picture.info:
                shown = picture.convert("RGBA")
                white = image.new("RGBA", shown.size, "white")
                return np.asarray(image.alpha_composite(white, shown).convert("RGB"))
            return np.asarray(picture.convert("RGB"))
    except _DamagedTileError:
        raise
    except Exception as error:  # noqa: BLE001 - Pillow's plugins raise what they like for damaged data
        raise _DamagedTileError(f"{type(error).__name__}: {str(error)[:80]}") from None
