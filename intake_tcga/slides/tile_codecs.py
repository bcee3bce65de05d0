"""The bytes of one tile into its pixels: always (rows, columns, 3) of uint8, red, green, blue.

As OpenSlide does, the colours of JPEG tiles are what the TIFF tags say, whatever the JPEG data say themselves. A tile
is decoded into an array of the size that it must have, and one that says another size is refused before that, so that
no tile can ask for more memory.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from functools import lru_cache
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from intake_tcga.errors import FileFormatError, MissingDependencyError
from intake_tcga.slides.tiles import Pixels

NONE, LZW, JPEG, DEFLATE = 1, 5, 7, 8
JPEG2000_YCBCR, JPEG2000_RGB = 33003, 33005
_JPEG2000 = {JPEG2000_YCBCR: "YCbCr", 33004: "RGB", JPEG2000_RGB: "RGB", 34712: "RGB"}
_NAMES = {NONE: "none", LZW: "LZW", JPEG: "JPEG", DEFLATE: "deflate", 32946: "deflate"} | dict.fromkeys(
    _JPEG2000, "JPEG 2000"
)
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, YCBCR = 0, 1, 2, 6
_CODESTREAM = b"\xff\x4f\xff\x51"  # SOC and SIZ, with which JPEG 2000 data begin
_SCAN, _END, _RESTARTS, _PROGRESSIVE = b"\xff\xda", b"\xff\xd9", b"\xff\xdd", b"\xff\xc2"  # markers of JPEG
_AHEAD = b"\xff\0" * 8  # what decoders read ahead: ones, which are no code
_MOST_PARTS = 1024  # tiles of its own that a tile in JPEG 2000 may have; scanners' have one
_HALF = 32_768
_NEEDED = "Slides need imagecodecs and Pillow; run pip install 'intake-tcga[slides]'."
_PHOTOMETRICS = {WHITE_IS_ZERO: 1, BLACK_IS_ZERO: 1, RGB: 3, YCBCR: 3}


@dataclass(frozen=True, slots=True)
class Codec:
    """How the tiles of one level are encoded."""

    compression: int
    """TIFF's number."""

    photometric: int
    """What the samples mean, in TIFF's numbers."""

    samples: int
    """Numbers a pixel, an opacity among them."""

    predictor: int = 1
    """2 where each sample is kept as its difference from the one to the left."""

    @property
    def name(self) -> str:
        """The compression's name."""
        return _NAMES.get(self.compression, f"TIFF compression {self.compression}")

    def problem(self) -> str | None:
        """Say why such tiles cannot be read, or None."""
        if self.compression not in _NAMES:
            return f"its tiles are compressed in a way that is not supported ({self.name})"
        colours = _PHOTOMETRICS.get(self.photometric)
        if colours is None or self.samples not in {colours, colours + 1}:
            return f"its pixels have {self.samples} samples of photometric {self.photometric}, which is not supported"
        if self.photometric == YCBCR and self.compression not in {JPEG, *_JPEG2000}:
            return f"its YCbCr pixels are compressed with {self.name}, which is not supported"
        if self.predictor != 1 and (self.predictor != 2 or self.compression in {JPEG, *_JPEG2000}):
            return f"its tiles have predictor {self.predictor}, which is not supported"
        return None

    def decode(self, blob: Any, rows: int, columns: int, tables: bytes | None = None) -> Pixels:
        """Decode one tile.

        Parameters
        ----------
        blob : bytes-like
            The tile as it is in the file.
        rows, columns : int
            Its size in pixels.
        tables : bytes, optional
            What JPEG tiles share.

        Returns
        -------
        numpy.ndarray
            (rows, columns, 3) of uint8; what is not opaque is on white.

        Raises
        ------
        FileFormatError
            The bytes are not such a tile; the caller knows which.
        MissingDependencyError
            imagecodecs is not installed.
        """
        codecs = load_codecs()
        shape = (rows, columns, self.samples) if self.samples > 1 else (rows, columns)
        try:
            tile = self._samples(codecs, bytes(blob), shape, tables)
        except (MissingDependencyError, MemoryError):
            raise
        except Exception as error:  # noqa: BLE001 - each codec has errors of its own
            raise FileFormatError(f"its {self.name} data do not decode ({str(error)[:100]})") from None
        return _to_rgb(tile.reshape(rows, columns, self.samples), self.photometric)

    def _samples(
        self, codecs: ModuleType, blob: bytes, shape: tuple[int, ...], tables: bytes | None
    ) -> Pixels:
        if self.compression == JPEG:
            return self._jpeg(codecs, blob, shape, tables)
        if self.compression in _JPEG2000:
            return self._jpeg2000(codecs, blob, shape)
        size = int(np.prod(shape))
        if self.compression == LZW:
            blob = codecs.lzw_decode(blob, out=size)
        elif self.compression != NONE:
            blob = codecs.zlib_decode(blob, out=size)
        if len(blob) < size:
            raise FileFormatError(f"{len(blob):,} of {size:,} bytes")
        tile = np.frombuffer(blob, np.uint8, size).reshape(shape)
        return np.add.accumulate(tile, axis=1, dtype=np.uint8) if self.predictor == 2 else tile

    def _jpeg(self, codecs: ModuleType, blob: bytes, shape: tuple[int, ...], tables: bytes | None) -> Pixels:
        colours = {RGB: "RGB", YCBCR: "YCBCR"}.get(self.photometric)
        tile: Pixels = codecs.jpeg8_decode(
            blob,
            tables=tables,
            colorspace=colours,
            outcolorspace="RGB" if colours else None,
            out=np.empty(shape, np.uint8),
        )
        if not _is_whole(blob, tables, shape):  # libjpeg would only warn, and leave the rest grey
            raise FileFormatError("they are damaged, or cut short")
        return tile

    def _jpeg2000(self, codecs: ModuleType, blob: bytes, shape: tuple[int, ...]) -> Pixels:
        # The codec checks the size only after decoding, so it gets what has been checked here, and no boxes around it.
        blob = blob[max(0, blob.find(_CODESTREAM)) :]
        if (wrong := _other_than(shape, blob)) is not None:
            raise FileFormatError(wrong)
        tile: Pixels = codecs.jpeg2k_decode(blob, numthreads=1, out=np.empty(shape, np.uint8))
        if _JPEG2000[self.compression] == "YCbCr" and not _has_smaller_chroma(blob):
            return _from_ycbcr(tile)  # the codec itself converts those whose chroma is smaller
        return tile


def load_codecs() -> ModuleType:
    """Import imagecodecs, or say how to get it."""
    try:
        import imagecodecs
    except ImportError:
        raise MissingDependencyError(_NEEDED) from None
    return imagecodecs


def load_pillow() -> Any:
    """Import Pillow's Image module, or say how to get it."""
    try:
        from PIL import Image
    except ImportError:
        raise MissingDependencyError(_NEEDED) from None
    return Image


def _is_whole(blob: bytes, tables: bytes | None, shape: tuple[int, ...]) -> bool:
    """Tell whether JPEG data suffice for all of a picture, whose size has been checked; some damage shows in no way.

    Damaged data nearly always go out of step and run out before the picture ends, or have a marker where none belongs.
    Pillow's decoder, which waits for more instead of making something up, tells the former once the end's marker is
    taken away. It decodes an eighth of the size, so that this costs less than the pixels did.
    """
    start = blob.find(_SCAN)
    restarts = b"\xd0-\xd7" if _RESTARTS in blob[:start] or _RESTARTS in (tables or b"") else b""
    end = re.compile(rb"\xff[^\x00\xff" + restarts + rb"]").search(blob, start + 2)
    if start < 0 or end is None:
        return False
    is_single = _PROGRESSIVE not in blob[:start] and blob.find(_SCAN, start + 2) < 0
    if not is_single:  # decoders want to see the end of a picture in several scans before they begin
        return _END in blob[end.start() :]
    if end[0] != _END:
        return False
    if len(shape) == 3 and shape[2] != 3:
        return True
    image, size = load_pillow(), (-(-shape[1] // 8), -(-shape[0] // 8))
    head = tables[: tables.rfind(_END)] + blob[2 : end.start()] if tables else blob[: end.start()]
    # As if it were YCbCr, of which grey needs no other conversion than to leave two samples out.
    how = ("jpeg", "L", "L" if len(shape) == 2 else "YCbCr", 8, 0)
    try:
        image.frombytes("L", size, head + _AHEAD, *how)
    except ValueError:
        return False
    return True


def _other_than(shape: tuple[int, ...], blob: bytes) -> str | None:
    """Say what a JPEG 2000 codestream would decode to, by its SIZ marker, if that is not 8 bits of a shape; or None."""
    if not blob.startswith(_CODESTREAM) or len(blob) < 42:
        return "they do not tell their size"
    right, bottom, left, top, width, height, first_left, first_top, components = struct.unpack_from(
        ">8IH", blob, 8
    )
    rows, columns, samples = (*shape, 1)[:3]
    if (bottom - top, right - left, components) != (rows, columns, samples):
        return (
            f"they are {right - left:,} × {bottom - top:,} pixels of {components:,} samples, and {columns:,} × "
            f"{rows:,} of {samples} belong there"
        )
    if not width or not height or (right - first_left) * (bottom - first_top) > _MOST_PARTS * width * height:
        return f"they are cut into tiles of {width:,} × {height:,} pixels"  # the codec has a record of some KB for each
    depths = blob[42 : 42 + 3 * components : 3]
    return None if set(depths) == {7} else "their samples have not 8 bits"


def _has_smaller_chroma(blob: bytes) -> bool:
    """Tell from a JPEG 2000 codestream's SIZ marker whether its second component is sampled more coarsely."""
    at = blob.find(b"\xff\x51")
    return at >= 0 and len(blob) > at + 44 and blob[at + 44] != 1


def _from_ycbcr(tile: Pixels) -> Pixels:
    """Convert as OpenSlide does: ITU-R BT.601, full range, each term in whole numbers of 1/65536."""
    y, cb, cr = tile[..., 0].astype(np.int32), tile[..., 1], tile[..., 2]
    red = y + (_terms(1.402)[cr] + _HALF >> 16)
    green = y + (_terms(-0.344136286)[cb] + _terms(-0.714136286)[cr] + _HALF >> 16)
    blue = y + (_terms(1.772)[cb] + _HALF >> 16)
    rgb: Pixels = np.clip(np.stack([red, green, blue], axis=-1), 0, 255).astype(np.uint8)
    return rgb


@lru_cache
def _terms(factor: float) -> npt.NDArray[np.int32]:
    """Return what each value of a colour difference adds."""
    terms: npt.NDArray[np.int32] = np.rint(factor * 65_536 * (np.arange(256) - 128)).astype(np.int32)
    return terms


def _to_rgb(tile: Pixels, photometric: int) -> Pixels:
    colours = _PHOTOMETRICS[photometric]
    seen = tile[..., :colours]
    if photometric == WHITE_IS_ZERO:
        seen = np.invert(seen)
    if tile.shape[-1] > colours:
        opacity = tile[..., colours:].astype(np.uint16)
        seen = ((seen * opacity + 255 * (255 - opacity) + 127) // 255).astype(np.uint8)
    rgb: Pixels = seen if colours == 3 else np.repeat(seen, 3, axis=-1)
    return rgb
