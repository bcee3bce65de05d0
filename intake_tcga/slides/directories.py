"""The directories of a TIFF file: where its tags' values lie, of classic TIFF and BigTIFF, in either byte order.

Only the tables are read, and of values only those asked for: the tile offsets of a large slide alone are megabytes
that an image of another level never needs. Everything a file claims is checked before it is believed, so that a
hostile one costs neither time nor memory.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from intake_tcga.errors import FileFormatError

_MOST_DIRECTORIES = 64
_MOST_TAGS = 1024
_LONGEST_VALUE = 2**20  # bytes of a text, or of tables
_AHEAD = (
    8 * 1024
)  # bytes read with a directory: writers put its texts, and the lists of small images, right behind it
_NEAR = 64 * 1024  # bytes between values that are read along to have them at once
_SIZES = {
    1: 1,
    2: 1,
    3: 2,
    4: 4,
    5: 8,
    6: 1,
    7: 1,
    8: 2,
    9: 4,
    10: 8,
    11: 4,
    12: 8,
    13: 4,
    16: 8,
    17: 8,
    18: 8,
}
_WHOLE_NUMBERS = {1: "u1", 3: "u2", 4: "u4", 13: "u4", 16: "u8", 18: "u8"}

SUB_DIRECTORIES = 330


class Bytes(Protocol):
    """A file that is read anywhere, from any thread."""

    def read_at(self, offset: int, length: int) -> bytes:
        """Return bytes that are in the file."""


@dataclass(frozen=True, slots=True)
class Field:
    """Where the value of a tag lies."""

    kind: int
    """The TIFF type."""

    count: int
    """Numbers, or characters."""

    place: int
    """Offset of the first in the file."""

    order: str
    """``<`` or ``>``."""

    @property
    def dtype(self) -> np.dtype[np.unsignedinteger[npt.NBitBase]]:
        """The type of whole numbers."""
        return np.dtype(self.order + _WHOLE_NUMBERS[self.kind])

    @property
    def length(self) -> int:
        """Bytes of the value."""
        return self.count * _SIZES[self.kind]


@dataclass(frozen=True, slots=True)
class Directory:
    """The tags of one image."""

    offset: int
    fields: dict[int, Field]


@dataclass(frozen=True, slots=True)
class Tiff:
    """An opened TIFF file: reads directories, and the values of their tags."""

    file: Bytes
    size: int
    """Bytes of the file."""

    name: str
    """How errors call it."""

    order: str = "<"
    big: bool = False

    @classmethod
    def open(cls, file: Bytes, size: int, name: str) -> Tiff:
        """Read the first bytes.

        Raises
        ------
        FileFormatError
            They are not those of a TIFF file.
        """
        head = _read(file, 0, min(16, size), size, name)
        order = {b"II": "<", b"MM": ">"}.get(head[:2])
        version = int.from_bytes(head[2:4], "little" if order == "<" else "big")
        if order is None or version not in {42, 43} or len(head) < (16 if version == 43 else 8):
            raise FileFormatError(
                f"{name} is not a TIFF file, and so not a slide that can be read; check the source."
            )
        if version == 43 and struct.unpack(f"{order}HH", head[4:8]) != (8, 0):
            raise FileFormatError(f"{name} is damaged: its BigTIFF header cannot be; fetch it again.")
        return cls(file, size, name, order, version == 43)

    def directories(self) -> list[Directory]:
        """Read the chain of directories, in the file's order.

        Raises
        ------
        FileFormatError
            A directory lies outside the file or is none, they form a loop, or there are too many.
        """
        offset = self._first()
        found: dict[int, Directory] = {}
        while offset:
            if offset in found:
                raise FileFormatError(f"{self.name} is damaged: its directories form a loop; fetch it again.")
            if len(found) == _MOST_DIRECTORIES:
                raise FileFormatError(
                    f"{self.name} has more than {_MOST_DIRECTORIES} images, as no slide has; check the source."
                )
            found[offset], offset = self.directory(offset)
        return list(found.values())

    def first_directory(self) -> Directory:
        """Read the first directory alone."""
        return self.directory(self._first())[0]

    def _first(self) -> int:
        code, length = ("Q", 8) if self.big else ("I", 4)
        (offset,) = struct.unpack(f"{self.order}{code}", self._at(8 if self.big else 4, length))
        if not offset:
            raise FileFormatError(f"{self.name} is a TIFF file without any image; check the source.")
        return int(offset)

    def sub_directories(self, directory: Directory) -> list[Directory]:
        """Read the directories below one, where OME's TIFF files keep the coarser levels."""
        field = directory.fields.get(SUB_DIRECTORIES)
        if field is None or field.kind not in {4, 13, 16, 18}:
            return []
        offsets = dict.fromkeys(self.numbers(field, most=_MOST_DIRECTORIES))
        return [self.directory(offset)[0] for offset in offsets]

    def directory(self, offset: int) -> tuple[Directory, int]:
        """Read one directory, and where the next one is; 0 where there is none."""
        head, entry, tail = (8, 20, 8) if self.big else (2, 12, 4)
        ahead = self._at(offset, max(head, min(_AHEAD, self.size - offset)))
        count = int.from_bytes(ahead[:head], "little" if self.order == "<" else "big")
        if not 0 < count <= _MOST_TAGS:
            raise FileFormatError(
                f"{self.name} is damaged: a directory at {offset:,} would have {count:,} tags; fetch it again."
            )
        table = self._at(offset + head, count * entry + tail)
        fields = dict(self._fields(table, offset + head, count))
        next_one = table[count * entry :]
        return Directory(offset, fields), int.from_bytes(next_one, "little" if self.order == "<" else "big")

    def _fields(self, table: bytes, place: int, count: int) -> Iterator[tuple[int, Field]]:
        form, entry, inline = ("HHQQ", 20, 8) if self.big else ("HHII", 12, 4)
        for at in range(count):
            tag, kind, number, value = struct.unpack_from(self.order + form, table, at * entry)
            if kind not in _SIZES:
                continue  # the standard: readers skip fields of types they do not know
            is_inline = number * _SIZES[kind] <= inline
            yield (
                tag,
                Field(kind, number, place + at * entry + entry - inline if is_inline else value, self.order),
            )

    def numbers(self, field: Field, *, most: int) -> list[int]:
        """Read whole numbers, at most so many.

        Raises
        ------
        FileFormatError
            They are not whole numbers, there are more or none, or they lie outside the file.
        """
        if field.kind not in _WHOLE_NUMBERS or not 0 < field.count <= most:
            raise FileFormatError(
                f"{self.name} is damaged: a tag has {field.count:,} values of type {field.kind} where at most {most} "
                "whole numbers belong; fetch it again."
            )
        numbers: list[int] = np.frombuffer(self.raw(field), field.dtype).tolist()
        return numbers

    def number(self, directory: Directory, tag: int, default: int | None = None) -> int:
        """Read one whole number of a directory."""
        field = directory.fields.get(tag)
        if field is None:
            if default is None:
                raise FileFormatError(
                    f"{self.name} is damaged: an image lacks its tag {tag}; fetch it again."
                )
            return default
        return self.numbers(field, most=64)[0]

    def ratio(self, directory: Directory, tag: int) -> float | None:
        """Read a number with a fraction; None where there is none, or it cannot be."""
        field = directory.fields.get(tag)
        if field is None or field.count != 1:
            return None
        raw = self.raw(field)
        if field.kind == 5:
            above, below = struct.unpack(f"{self.order}II", raw)
            return above / below if below else None
        if field.kind in {11, 12}:
            return float(struct.unpack(self.order + ("f" if field.kind == 11 else "d"), raw)[0])
        return float(self.numbers(field, most=1)[0]) if field.kind in _WHOLE_NUMBERS else None

    def text(self, directory: Directory, tag: int) -> str:
        """Read a text; empty where there is none."""
        field = directory.fields.get(tag)
        return self.raw(field).split(b"\0", 1)[0].decode("utf-8", "replace") if field else ""

    def raw(self, field: Field) -> bytes:
        """Read a value as it lies in the file.

        Raises
        ------
        FileFormatError
            It lies outside the file, or is longer than any such value.
        """
        if field.length > _LONGEST_VALUE:
            raise FileFormatError(
                f"{self.name} is damaged: a tag would have {field.length:,} bytes; fetch it again."
            )
        return self._at(field.place, field.length)

    def raws(self, fields: Sequence[Field]) -> list[bytes]:
        """Read several values, in one go where they lie close together.

        Raises
        ------
        FileFormatError
            As for :meth:`raw`.
        """
        start = min(field.place for field in fields)
        stop = max(field.place + field.length for field in fields)
        length = sum(field.length for field in fields)
        if length > _LONGEST_VALUE or stop - start > length + _NEAR:
            return [self.raw(field) for field in fields]
        all_of_them = self._at(start, stop - start)
        return [all_of_them[field.place - start :][: field.length] for field in fields]

    def _at(self, offset: int, length: int) -> bytes:
        return _read(self.file, offset, length, self.size, self.name)


def _read(file: Bytes, offset: int, length: int, size: int, name: str) -> bytes:
    if offset + length > size:
        raise FileFormatError(
            f"{name} is damaged or cut short: it refers to bytes {offset:,} to {offset + length:,}, and has "
            f"{size:,}; fetch it again."
        )
    return file.read_at(offset, length)
