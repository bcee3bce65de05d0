"""A slide's own TIFF file: its levels and the images beside them, of which tiles are read by ranges.

What a page says is judged once, when the file is opened; what comes out are plain values that say where tiles lie.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from intake_tcga.errors import FileFormatError
from intake_tcga.slides.directories import Directory, Field, Tiff
from intake_tcga.slides.header import Header, associated_name, mpp_of_tags
from intake_tcga.slides.holes import Holes, Seen, TooMuchError
from intake_tcga.slides.pyramid import Pyramid
from intake_tcga.slides.scale import LONGEST_SIDE, Pair
from intake_tcga.slides.tile_codecs import RGB, Codec
from intake_tcga.slides.tiles import PORTION, THREADS, Cell, Pixels, Stored

_LARGEST_TILE = 2**26  # pixels; a strip may be a whole small image
_GAP = 64 * 1024  # bytes between two tiles that are read along
_GAP_BELOW = 512 * 1024  # the same under holes, which lie here and there: what a request takes the time of
_REQUEST = 4 * 2**20  # bytes of one request
_KEPT_INDEX = 256 * 1024  # bytes of a level's table of tiles that are read as a whole, and kept
_HOLES = 2**22  # pixels of a level that are filled together where there are holes
_BELOW = 2**16  # tiles of the finer level under them, roughly
_WHITE = 255

_SUBFILE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 254, 256, 257, 258, 259, 262
_DESCRIPTION, _STRIPS, _SAMPLES, _ROWS_PER_STRIP, _STRIP_BYTES = 270, 273, 277, 278, 279
_X_RESOLUTION, _Y_RESOLUTION, _PLANES, _UNIT, _PREDICTOR = 282, 283, 284, 296, 317
_TILE_WIDTH, _TILE_HEIGHT, _TILES, _TILE_BYTES, _JPEG_TABLES = 322, 323, 324, 325, 347


class Ranges(Protocol):
    """What reads many ranges at once."""

    def read(self, ranges: Sequence[tuple[int, int]], *, gap: int, largest: int) -> Sequence[Any]:
        """Return the bytes of each range, by offset and length."""


@dataclass(frozen=True, slots=True)
class Table:
    """Where a level's tiles lie: two long lists in the file."""

    offsets: Field
    lengths: Field

    @property
    def size(self) -> int:
        """Bytes of both."""
        return self.offsets.length + self.lengths.length


@dataclass(frozen=True)
class TiffLevel:
    """One image of a TIFF file, as a grid of tiles; strips are tiles as wide as the image.

    Tiles without bytes are holes. Scanners leave out what they did not scan, which is white; and some leave holes in
    a coarser level where the finer one has pixels, from which they are filled.
    """

    tiff: Tiff
    ranges: Ranges
    size: tuple[int, int]
    tile_size: tuple[int, int]
    codec: Codec
    table: Table
    tables: Field | None
    """What JPEG tiles share."""

    is_tiled: bool
    label: str
    """How errors call it: ``level 2``."""

    finer: TiffLevel | None = None
    """The next finer level."""

    _known: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_known": {}}

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of tiles."""
        return -(-self.size[1] // self.tile_size[1]), -(-self.size[0] // self.tile_size[0])

    def fetch(self, cells: Sequence[Cell]) -> Iterator[Mapping[Cell, Stored]]:
        """Read tiles as they are in the file, in its order; then of holes, what is seen through them.

        Raises
        ------
        FileFormatError
            A tile lies outside the file, or under a hole one that does not decode; the message names it.
        """
        if not cells:
            return
        offsets, lengths = self._places(cells)
        yield from self._stored(cells, offsets, lengths)
        holes = [cells[at] for at in np.flatnonzero(lengths == 0).tolist()]
        most = self._holes_at_once()
        for start in range(0, len(holes), most):
            yield self._seen_through(holes[start : start + most])

    def decode(self, cell: Cell, stored: Stored) -> Pixels:
        """Decode a tile.

        Raises
        ------
        FileFormatError
            It does not decode; the message names it.
        """
        width, height = self.tile_size
        right, bottom = self._extent(cell)
        if not len(stored):
            return np.full((bottom, right, 3), _WHITE, np.uint8)
        if isinstance(stored, Seen):
            return np.frombuffer(stored, np.uint8).reshape(bottom, right, 3)
        rows = height if self.is_tiled else bottom
        try:
            tile = self.codec.decode(stored, rows, width, self._jpeg_tables())
        except FileFormatError as error:
            raise FileFormatError(
                f"{self.tiff.name} is damaged: {self.label}, tile at row {cell[0]} and column {cell[1]}: {error}; "
                "fetch it again."
            ) from None
        return tile[:bottom, :right]

    def _extent(self, cell: Cell) -> tuple[int, int]:
        """Return the width and height of what a tile shows of the level."""
        (width, height), (row, column) = self.tile_size, cell
        return min(width, self.size[0] - column * width), min(height, self.size[1] - row * height)

    def _stored(
        self,
        cells: Sequence[Cell],
        offsets: npt.NDArray[np.int64],
        lengths: npt.NDArray[np.int64],
        gap: int = _GAP,
    ) -> Iterator[dict[Cell, bytes]]:
        """Read the tiles that are no holes, of which it is known where they are."""
        order = np.flatnonzero(lengths)
        order = order[np.argsort(offsets[order], kind="stable")]
        if len(order):
            self._jpeg_tables()
        for some in _portions(order, lengths):
            wanted = [(int(offsets[at]), int(lengths[at])) for at in some]
            blobs = self.ranges.read(wanted, gap=gap, largest=_REQUEST)
            yield {cells[at]: blob for at, blob in zip(some.tolist(), blobs, strict=True)}

    def _seen_through(self, cells: Sequence[Cell]) -> Mapping[Cell, Stored]:
        """Read what is seen through holes: the finer levels' tiles under all of them together."""
        holes, finer = Holes(self.size, self.tile_size, cells), self.finer
        with ThreadPoolExecutor(THREADS, "intake-tcga-holes") as pool:
            while finer is not None:
                try:
                    under = holes.under(finer.size, finer.tile_size)
                    offsets, lengths = finer._places(under)
                    holes.fill(lengths > 0)
                except TooMuchError as error:
                    raise FileFormatError(
                        f"{self.tiff.name} cannot be shown: holes of {self.label} would be filled from {error} of "
                        f"{finer.label}; read that level instead."
                    ) from None
                for portion in finer._stored(under, offsets, lengths, _GAP_BELOW):
                    for _ in pool.map(partial(finer._paint, holes), portion.items()):
                        pass
                finer = finer.finer if holes.are_open else None
        return holes.seen()

    def _paint(self, holes: Holes, item: tuple[Cell, bytes]) -> None:
        holes.paint(item[0], self.decode(*item))

    def _holes_at_once(self) -> int:
        """Return how many holes are filled together, by their own pixels and by the finer tiles under them."""
        under, finer = 1, self.finer
        while finer is not None:
            across, down = (
                tile * fine / own / other + 2
                for tile, fine, own, other in zip(
                    self.tile_size, finer.size, self.size, finer.tile_size, strict=True
                )
            )
            under, finer = max(under, int(across * down)), finer.finer
        return max(1, min(_HOLES // (self.tile_size[0] * self.tile_size[1]), _BELOW // under))

    def _places(self, cells: Sequence[Cell]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return the offset and length of each tile, checked; of holes, the length 0."""
        columns = self.grid[1]
        wanted = np.array([row * columns + column for row, column in cells], np.int64)
        offsets, lengths = self._listed(wanted)
        holes = (offsets <= 0) | (lengths <= 0)
        offsets, lengths = np.where(holes, 0, offsets), np.where(holes, 0, lengths)
        width, height = self.tile_size
        most = 4 * width * height * self.codec.samples + 2**16
        bad = (lengths > most) | (offsets > self.tiff.size - lengths)
        if bad.any():
            at = int(np.argmax(bad))
            raise FileFormatError(
                f"{self.tiff.name} is damaged or cut short: {self.label}, tile at row {cells[at][0]} and column "
                f"{cells[at][1]} would be {int(lengths[at]):,} bytes at {int(offsets[at]):,}, and the file has "
                f"{self.tiff.size:,}; fetch it again."
            )
        return offsets, lengths

    def _listed(self, wanted: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Look some tiles up in the level's table: read as a whole if it is small, else the rows that are needed."""
        both = (self.table.offsets, self.table.lengths)
        if self.table.size <= _KEPT_INDEX:
            if "table" not in self._known:
                blobs = self._read_together(both)
                self._known["table"] = [_numbers(blob, part) for blob, part in zip(blobs, both, strict=True)]
            offsets, lengths = (whole[wanted] for whole in self._known["table"])
            return offsets, lengths
        unique = np.unique(wanted)
        breaks = np.flatnonzero(np.diff(unique) > 1)
        firsts, lasts = unique[np.r_[0, breaks + 1]], unique[np.r_[breaks, len(unique) - 1]]
        ranges = [
            (part.place + int(first) * part.dtype.itemsize, int(last - first + 1) * part.dtype.itemsize)
            for part in both
            for first, last in zip(firsts, lasts, strict=True)
        ]
        blobs = self.ranges.read(ranges, gap=_GAP, largest=_REQUEST)
        found = []
        for at, part in enumerate(both):
            own = blobs[at * len(firsts) : (at + 1) * len(firsts)]
            listed = np.concatenate([_numbers(blob, part) for blob in own])
            found.append(listed[np.searchsorted(unique, wanted)])
        return found[0], found[1]

    def _read_together(self, parts: tuple[Field, ...]) -> Sequence[bytes]:
        """Read the level's table, and what JPEG tiles share, which is needed next and mostly lies behind it."""
        if self.tables is None or "tables" in self._known:
            return self.tiff.raws(parts)
        *blobs, self._known["tables"] = self.tiff.raws((*parts, self.tables))
        return blobs

    def _jpeg_tables(self) -> bytes | None:
        if self.tables is None:
            return None
        if "tables" not in self._known:
            self._known["tables"] = self.tiff.raw(self.tables)
        tables: bytes = self._known["tables"]
        return tables


def read_header(tiff: Tiff) -> tuple[Header, tuple[int, int]]:
    """Read the header of a slide's finest level, and that level's width and height; nothing else."""
    first = tiff.first_directory()
    header = Header.of(tiff.text(first, _DESCRIPTION), _tagged_mpp(tiff, first))
    return header, (tiff.number(first, _WIDTH), tiff.number(first, _HEIGHT))


def read_pyramid(tiff: Tiff, ranges: Ranges) -> Pyramid:
    """Describe a slide's TIFF file: Aperio's layout, or any pyramid of pages or of sub-directories.

    Parameters
    ----------
    tiff
        The opened file; its directories are read here.
    ranges
        Reads its tiles, later.

    Raises
    ------
    FileFormatError
        The file is damaged, hostile, or no image that can be shown as a slide.
    """
    pages = tiff.directories()
    header = Header.of(tiff.text(pages[0], _DESCRIPTION), _tagged_mpp(tiff, pages[0]))
    base = _level(tiff, ranges, pages[0], "level 0")
    levels, associated = [base], {}
    if header.vendor == "aperio":
        coarser = [page for page in pages[1:] if _TILES in page.fields]
        associated = _associated(tiff, ranges, pages)
    else:
        coarser = tiff.sub_directories(pages[0])
        coarser += [page for page in pages[1:] if tiff.number(page, _SUBFILE, 0) & 1]
    for page in coarser:
        if (level := _if_readable(tiff, ranges, page)) and _same_shape(level, base):
            levels.append(level)
    return Pyramid(tiff.name, _linked(levels), associated, header)


def _associated(tiff: Tiff, ranges: Ranges, pages: Sequence[Directory]) -> dict[str, TiffLevel]:
    """Describe Aperio's thumbnail, label and macro: the pages that are not in tiles."""
    found = {}
    for at, page in enumerate(pages):
        if at == 0 or _TILES in page.fields:
            continue
        name = associated_name(tiff.text(page, _DESCRIPTION), is_second=at == 1)
        if name and (image := _if_readable(tiff, ranges, page, name)):
            found[name] = image
    return found


def _tagged_mpp(tiff: Tiff, page: Directory) -> Pair | None:
    x, y = tiff.ratio(page, _X_RESOLUTION), tiff.ratio(page, _Y_RESOLUTION)
    return mpp_of_tags(x, y, tiff.number(page, _UNIT, 2))


def _same_shape(level: TiffLevel, base: TiffLevel) -> bool:
    """Tell whether an image shows the same as the finest level: as wide for its height, but for rounded pixels."""
    across, down = (of / own for of, own in zip(base.size, level.size, strict=True))
    rounding = 2 * (1 / level.size[0] + 1 / level.size[1]) + 0.005
    return across > 1 and abs(across / down - 1) < rounding


def _linked(levels: Sequence[TiffLevel]) -> tuple[TiffLevel, ...]:
    """Return the levels in order, numbered, and each with the next finer one."""
    linked: list[TiffLevel] = []
    for at, level in enumerate(sorted(levels, key=lambda level: -level.size[0])):
        linked.append(
            TiffLevel(
                **{
                    **level.__dict__,
                    "label": f"level {at}",
                    "finer": linked[-1] if linked else None,
                    "_known": {},
                }
            )
        )
    return tuple(linked)


def _if_readable(tiff: Tiff, ranges: Ranges, page: Directory, label: str = "a level") -> TiffLevel | None:
    """Describe an image, or return None: what a slide can do without may be of a kind that is not supported."""
    try:
        return _level(tiff, ranges, page, label)
    except _Unsupported:
        return None


class _Unsupported(FileFormatError):
    """An image is sound, and of a kind that is not supported."""


def _level(tiff: Tiff, ranges: Ranges, page: Directory, label: str) -> TiffLevel:
    """Describe one image.

    Raises
    ------
    FileFormatError
        What it says cannot be.
    """
    where = f"{tiff.name}, {label}"
    size = tiff.number(page, _WIDTH), tiff.number(page, _HEIGHT)
    tiled = _TILES in page.fields
    if tiled:
        tile = tiff.number(page, _TILE_WIDTH), tiff.number(page, _TILE_HEIGHT)
    else:
        tile = size[0], min(size[1], tiff.number(page, _ROWS_PER_STRIP, size[1]))
    if not all(0 < side <= LONGEST_SIDE for side in (*size, *tile)) or tile[0] * tile[1] > _LARGEST_TILE:
        raise FileFormatError(
            f"{where} is damaged: it would have {size[0]:,} × {size[1]:,} pixels in tiles of {tile[0]:,} × "
            f"{tile[1]:,}; fetch it again."
        )
    codec = Codec(
        tiff.number(page, _COMPRESSION, 1),
        tiff.number(page, _PHOTOMETRIC, RGB),
        tiff.number(page, _SAMPLES, 1),
        tiff.number(page, _PREDICTOR, 1),
    )
    bits = set(tiff.numbers(page.fields[_BITS], most=64)) if _BITS in page.fields else {1}
    problem = codec.problem()
    if bits != {8}:
        problem = f"its samples have {', '.join(map(str, sorted(bits)))} bits, and 8 are supported"
    if tiff.number(page, _PLANES, 1) != 1:
        problem = "its colours are kept in separate planes, which is not supported"
    if problem:
        raise _Unsupported(f"{where} cannot be shown: {problem}; convert it.")
    level = TiffLevel(
        tiff, ranges, size, tile, codec, _table(tiff, page, where, tiled), page.fields.get(_JPEG_TABLES), tiled, label
    )  # fmt: skip
    rows, columns = level.grid
    if not level.table.offsets.count == level.table.lengths.count == rows * columns:
        raise FileFormatError(
            f"{where} is damaged: it has {rows:,} × {columns:,} tiles, and says of {level.table.offsets.count:,} where "
            f"they are and of {level.table.lengths.count:,} how long; fetch it again."
        )
    return level


def _table(tiff: Tiff, page: Directory, where: str, tiled: bool) -> Table:
    tags = (_TILES, _TILE_BYTES) if tiled else (_STRIPS, _STRIP_BYTES)
    found = [page.fields.get(tag) for tag in tags]
    for part in found:
        if part is None or part.kind not in {3, 4, 13, 16, 18} or part.place + part.length > tiff.size:
            raise FileFormatError(
                f"{where} is damaged or cut short: the list of its tiles is not in the file; fetch it again."
            )
    offsets, lengths = found
    assert offsets is not None
    assert lengths is not None
    return Table(offsets, lengths)


def _numbers(blob: Any, part: Field) -> npt.NDArray[np.int64]:
    # Offsets beyond 2^63 become negative, and so holes; no file is that long.
    return np.frombuffer(blob, part.dtype).astype(np.int64)


def _portions(order: npt.NDArray[np.intp], lengths: npt.NDArray[np.int64]) -> Iterator[npt.NDArray[np.intp]]:
    """Cut a sequence of tiles into runs of bounded bytes."""
    number = np.cumsum(lengths[order]) // PORTION
    yield from (run for run in np.split(order, np.flatnonzero(np.diff(number)) + 1) if len(run))
