"""Where the index of a dataset's chunks begins: read off its object header, which h5py does not show.

Only what leads to a version-1 B-tree is read (HDF5 File Format Specification 3.0: superblock II.A, object headers IV.A,
layout message IV.A.2.i); whatever else a file may use is left to HDF5.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from intake_tcga.errors import FileFormatError

Read = Callable[[int, int], bytes]
"""Reads so many bytes at an offset; fewer at the end of the file."""

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_LAYOUT, _CONTINUATION, _TREE_WIDTHS = 0x08, 0x10, 0x13
_NOWHERE = 2**64 - 1
_DEFAULT_WIDTH = 32  # children that a node has at least, and half of what it has at most
_MOST_BLOCKS = 1000
_LARGEST_BLOCK = 16 * 2**20


@dataclass(frozen=True, slots=True)
class ChunkTree:
    """A version-1 B-tree of chunks."""

    root: int | None
    """Offset of its root node; None where no chunk was ever written."""

    chunks: tuple[int, ...]
    """Shape of a chunk."""

    most_children: int
    """Children that a node has room for."""


def chunk_tree(read: Read, header: int) -> ChunkTree | None:
    """Find the B-tree of a chunked dataset.

    Parameters
    ----------
    read
        Reads the file.
    header
        Offset of the dataset's object header.

    Returns
    -------
    ChunkTree or None
        None where the chunks are indexed in another way (files written with ``libver="latest"``), or where the file
        has addresses of another width than 8 bytes.

    Raises
    ------
    FileFormatError
        When the header is damaged.
    """
    width = _most_children(read)
    if width is None:
        return None
    for kind, body in _messages(read, header):
        if kind == _LAYOUT:
            return _tree(body, width)
    raise FileFormatError(f"the object header at byte {header} says nothing of a layout")


def _tree(layout: bytes, most_children: int) -> ChunkTree | None:
    """Read a layout message of versions 1 to 3."""
    version = layout[0]
    if version == 3:
        kind, dimensions, at = layout[1], layout[2], 3
    elif version in {1, 2}:
        dimensions, kind, at = layout[1], layout[2], 8
    else:
        return None
    if kind != 2 or not 2 <= dimensions <= 33:
        return None
    root, *lengths = _unpack(f"<Q{dimensions}I", layout, at)
    # What follows the chunk's own lengths is the width of an element.
    return ChunkTree(None if root == _NOWHERE else root, tuple(lengths[:-1]), most_children)


def _most_children(read: Read) -> int | None:
    """Return how many children a node has room for; None for a file whose addresses are not plain offsets."""
    start = read(0, 64)
    if start[:8] != _SIGNATURE:
        return None
    version = start[8]
    if version in {0, 1}:
        widths, base = start[13:15], _unpack("<Q", start, 24 if version == 0 else 28)[0]
        width = _unpack("<H", start, 24)[0] if version == 1 else _DEFAULT_WIDTH
    elif version in {2, 3}:
        widths, (base, extension) = start[9:11], _unpack("<QQ", start, 12)
        width = _DEFAULT_WIDTH if extension == _NOWHERE else _extended_width(read, extension)
    else:
        return None
    return 2 * width if widths == b"\x08\x08" and base == 0 and width else None


def _extended_width(read: Read, extension: int) -> int:
    bodies = (body for kind, body in _messages(read, extension) if kind == _TREE_WIDTHS)
    body = next(bodies, None)
    return _DEFAULT_WIDTH if body is None else int(_unpack("<H", body, 1)[0])


def _messages(read: Read, header: int) -> Iterator[tuple[int, bytes]]:
    """Iterate over the messages of an object header: their kinds and bodies."""
    start = read(header, 64)
    if start[:4] == b"OHDR":
        flags = start[5]
        at = 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
        width = 1 << (flags & 3)
        length = int.from_bytes(start[at : at + width], "little")
        blocks = [(header + at + width, length)]
        message = struct.Struct("<BHBH" if flags & 0x04 else "<BHB")
        trim = 4  # a continuation begins with a signature and ends with a checksum
    else:
        blocks = [(header + 16, _unpack("<I", start, 8)[0])]
        message, trim = struct.Struct("<HHB3x"), 0
        if start[0] != 1:
            raise FileFormatError(f"there is no object header at byte {header}")
    seen: set[int] = set()
    while blocks:
        offset, length = blocks.pop(0)
        if offset in seen or len(seen) >= _MOST_BLOCKS or length > _LARGEST_BLOCK:
            raise FileFormatError(f"the object header at byte {header} does not end")
        seen.add(offset)
        body = read(offset, length)
        at = 0
        while at + message.size <= len(body):
            kind, size = message.unpack_from(body, at)[:2]
            at += message.size
            content = body[at : at + size]
            at += size
            if kind == _CONTINUATION:
                there, room = _unpack("<QQ", content, 0)
                blocks.append((there + trim, max(0, room - 2 * trim)))
            else:
                yield kind, content


def _unpack(form: str, data: bytes, at: int) -> tuple[int, ...]:
    try:
        return struct.unpack_from(form, data, at)
    except struct.error as error:
        raise FileFormatError(f"an object header ends early ({error})") from error
