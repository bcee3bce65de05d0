"""Slides as large as scanners write them, in their layout, without the time that scanning takes.

The tiles of the finest levels are a few pictures repeated, or a hole in the file; those of coarser levels are the
picture. Tiles are abbreviated JPEG of quality 70 whose tables are shared, about 20 KB each, as in Aperio's files. A
page's data come before its directory, which has the long lists of tiles behind it; or, with ``first="directory"``,
after both, as tifffile writes them. Either way the directories are as far from each other as there are data.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, Literal

import imagecodecs
import numpy as np
from PIL import Image
from slide_files import picture

TILE = 240
QUALITY = 70
_GRAIN = 44
_REPEATED = 64  # different tiles of a level that nobody looks at
_SHORT, _LONG, _ASCII, _BYTES = 3, 4, 2, 7
First = Literal["data", "directory"]


def tissue(width: int, height: int, *, x0: float = 0, y0: float = 0, scale: float = 1) -> np.ndarray:
    """Return a part of an endless picture with grain, ``scale`` of its pixels to one; uint8 (y, x, 3)."""
    smooth = picture(width, height, x0=x0, y0=y0, scale=scale).astype(np.int16)
    grain = np.random.default_rng(int(x0 + 7 * y0)).integers(-_GRAIN, _GRAIN + 1, (height, width, 1))
    return np.clip(smooth + grain, 0, 255).astype(np.uint8)


@dataclass(frozen=True)
class Picture:
    """What the tile service shows of a slide: any size of it, made when first asked for."""

    width: int
    height: int

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.height, self.width, 3

    @lru_cache  # noqa: B019 - as many as there are slides
    def at_size(self, size: tuple[int, int]) -> Image.Image:
        return Image.fromarray(tissue(*size, scale=self.width / size[0]))


@dataclass
class _Page:
    """One image: its tags, and its data, of which ``None`` is a hole of ``nominal`` bytes in all."""

    tags: dict[int, tuple[int, Any]]
    blobs: Sequence[bytes] | None
    count: int
    tiled: bool
    nominal: int = 0
    lengths: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        if self.blobs is None:
            self.lengths = np.full(self.count, self.nominal // self.count, np.uint32)
        else:
            self.lengths = np.array([len(blob) for blob in self.blobs], np.uint32)

    def directory(self, at: int, data: int, following: int) -> bytes:
        """Return the directory as it lies at ``at``, and the values that do not fit into it."""
        offsets = data + np.r_[0, np.cumsum(self.lengths[:-1], dtype=np.int64)]
        lists = (324, 325) if self.tiled else (273, 279)
        tags = self.tags | {lists[0]: (_LONG, offsets.astype("<u4")), lists[1]: (_LONG, self.lengths)}
        entries, values = [], b""
        behind = at + 2 + 12 * len(tags) + 4
        for tag, (kind, value) in sorted(tags.items()):
            packed, number = _packed(kind, value)
            if len(packed) > 4:
                place = struct.pack("<I", behind + len(values))
                values += packed + b"\0" * (len(packed) % 2)
            else:
                place = packed.ljust(4, b"\0")
            entries.append(struct.pack("<HHI", tag, kind, number) + place)
        return struct.pack("<H", len(entries)) + b"".join(entries) + struct.pack("<I", following) + values


def write_scan(
    path: Path,
    *,
    width: int,
    height: int,
    factors: Sequence[int] = (1, 4, 16),
    repeated: Sequence[int] = (0,),
    hole: int = 0,
    first: First = "data",
    beside: Sequence[str] = ("thumbnail", "label", "macro"),
) -> Path:
    """Write a classic TIFF file in Aperio's layout, at 0.25 µm/px.

    Parameters
    ----------
    path
        Where.
    width, height
        Pixels of the finest level.
    factors
        How much coarser each level is.
    repeated
        Levels of which the tiles are a few, repeated.
    hole
        Bytes that level 0 takes, none of which is written: its tiles have places and lengths, and no pixels.
    first
        What comes first of each page.
    beside
        The images beside the levels.
    """
    with path.open("wb") as file:
        file.write(b"II*\0" + b"\0" * 4)
        link = 4  # where the offset of the next directory goes
        for page in _pages(width, height, factors, repeated, hole, beside):
            link = _write(file, page, link, first)
    return path


def _write(file: BinaryIO, page: _Page, link: int, first: First) -> int:
    start = file.seek(0, 2)
    start += file.write(b"\0" * (start % 2))
    size = int(page.lengths.sum(dtype=np.int64))
    length = len(page.directory(0, 0, 0))
    data, at = (start, start + size + size % 2) if first == "data" else (start + length, start)
    file.seek(data)
    for blob in page.blobs or ():
        file.write(blob)
    file.truncate(data + size)
    file.seek(at)
    file.write(page.directory(at, data, 0))
    file.seek(link)
    file.write(struct.pack("<I", at))
    return at + 2 + 12 * struct.unpack("<H", page.directory(at, data, 0)[:2])[0]


def _pages(
    width: int, height: int, factors: Sequence[int], repeated: Sequence[int], hole: int, beside: Sequence[str]
) -> Iterator[_Page]:
    said = f"Aperio Image Library v12.0.15 \r\n{width}x{height} ({TILE}x{TILE}) JPEG/RGB Q={QUALITY}"
    for level, factor in enumerate(factors):
        size = width // factor, height // factor
        text = f"{said}|AppMag = 40|MPP = 0.25" if level == 0 else f"{said} -> {size[0]}x{size[1]}"
        yield _tiled(size, factor, text, level in repeated, hole if level == 0 else 0)
        if level == 0 and "thumbnail" in beside:
            yield _strip((1024, 768), f"{said} -> 1024x768")
    if "label" in beside:
        yield _strip((387, 463), "Aperio Image Library v12.0.15 \r\nlabel 387x463", subfile=1)
    if "macro" in beside:
        yield _strip((1280, 431), "Aperio Image Library v12.0.15 \r\nmacro 1280x431", subfile=9)


def _tiled(size: tuple[int, int], factor: int, text: str, repeated: bool, hole: int) -> _Page:
    places = [(x, y) for y in range(0, size[1], TILE) for x in range(0, size[0], TILE)]
    made = places[:_REPEATED] if repeated or hole else places
    jpegs = [_jpeg(tissue(TILE, TILE, x0=x * factor, y0=y * factor, scale=factor)) for x, y in made]
    tables, blobs = _apart(jpegs[0])[0], [_apart(jpeg)[1] for jpeg in jpegs]
    tags = _tags(size, text) | {322: (_SHORT, TILE), 323: (_SHORT, TILE), 347: (_BYTES, tables)}
    if hole:
        return _Page(tags, None, len(places), True, hole)
    return _Page(tags, [blobs[at % len(blobs)] for at in range(len(places))], len(places), True)


def _strip(size: tuple[int, int], text: str, subfile: int = 0) -> _Page:
    tags = _tags(size, text) | {254: (_LONG, subfile), 278: (_LONG, size[1])}
    return _Page(tags, [_jpeg(tissue(*size, scale=20))], 1, False)


def _tags(size: tuple[int, int], text: str) -> dict[int, tuple[int, Any]]:
    return {
        254: (_LONG, 0),
        256: (_LONG, size[0]),
        257: (_LONG, size[1]),
        258: (_SHORT, np.array([8, 8, 8], "<u2")),
        259: (_SHORT, 7),
        262: (_SHORT, 6),
        270: (_ASCII, text.encode() + b"\0"),
        277: (_SHORT, 3),
        284: (_SHORT, 1),
        530: (_SHORT, np.array([2, 2], "<u2")),
    }


def _packed(kind: int, value: Any) -> tuple[bytes, int]:
    if isinstance(value, bytes):
        return value, len(value)
    values = np.atleast_1d(np.asarray(value, {_SHORT: "<u2", _LONG: "<u4"}[kind]))
    return values.tobytes(), len(values)


def _jpeg(pixels: np.ndarray) -> bytes:
    return imagecodecs.jpeg8_encode(
        pixels, QUALITY, colorspace="RGB", outcolorspace="YCBCR", subsampling="420", optimize=False
    )


def _apart(jpeg: bytes) -> tuple[bytes, bytes]:
    """Take the tables, which all tiles of a quality share, out of a JPEG: the tables, and the rest."""
    tables, rest, at = b"", b"", 2
    while jpeg[at + 1] != 0xDA:  # up to the pixels
        end = at + 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
        if jpeg[at + 1] in {0xDB, 0xC4}:
            tables += jpeg[at:end]
        elif jpeg[at + 1] != 0xE0:  # JFIF's head, which has no place in a tile
            rest += jpeg[at:end]
        at = end
    return b"\xff\xd8" + tables + b"\xff\xd9", b"\xff\xd8" + rest + jpeg[at:]
