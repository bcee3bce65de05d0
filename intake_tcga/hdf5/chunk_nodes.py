"""Nodes of a version-1 B-tree of chunks: many decoded at once, remembered, and kept for the next process."""

from __future__ import annotations

import os
import secrets
import struct
import zlib
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from intake_tcga.cache.kept import note_use, note_written
from intake_tcga.errors import FileFormatError

NUMBER, PLACE, STORED = range(3)
"""Columns of what a node says of its children: number of the first chunk below, offset; and of a chunk the
stored bytes, with the filter mask in the upper half."""

_REMEMBERED = 48 * 2**20  # bytes of nodes in memory for one dataset
_KEPT = 16 * 2**20  # bytes of nodes on disk for one dataset
_MOST_FILES = 16

_NODE_HEAD = np.dtype(
    [("signature", "S4"), ("kind", "u1"), ("level", "u1"), ("used", "<u2"), ("siblings", "<u8", (2,))]
)


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One node of the tree."""

    level: int
    """0 for a leaf, whose children are chunks."""

    entries: npt.NDArray[np.int64]
    """A row for each child, by number, with the columns :data:`NUMBER`, :data:`PLACE` and :data:`STORED`."""


class NodeFormat:
    """How nodes of one dataset are laid out.

    Parameters
    ----------
    counts
        Number of chunks along each axis of the dataset.
    chunks
        Shape of a chunk.
    most_children
        Children that a node has room for.
    """

    def __init__(self, counts: Sequence[int], chunks: Sequence[int], most_children: int) -> None:
        self._counts = tuple(counts)
        self._chunks = tuple(chunks)
        self._room = most_children
        # A child is its key (a word of stored bytes and mask, a word an axis and one more) and its offset.
        self._words = len(self._counts) + 3

    @property
    def size(self) -> int:
        """Bytes of a node."""
        return 8 * (_NODE_HEAD.itemsize // 8 + self._room * self._words + self._words - 1)

    def decode(self, bodies: Iterable[bytes | memoryview]) -> list[Node]:
        """Decode nodes.

        Raises
        ------
        FileFormatError
            When one of them is no node of such a tree, or its children are out of order.
        """
        words = np.frombuffer(b"".join(bodies), dtype="<u8").reshape(-1, self.size // 8)
        heads = np.ascontiguousarray(words[:, :3]).view(_NODE_HEAD)[:, 0]
        used = heads["used"].astype(np.int64)
        if not ((heads["signature"] == b"TREE") & (heads["kind"] == 1) & (used <= self._room)).all():
            raise FileFormatError("a node of the index of its chunks is not one")
        children = words[:, 3 : 3 + self._room * self._words].reshape(-1, self._words)
        children = children[(np.arange(self._room) < used[:, None]).ravel()]
        entries = np.empty((len(children), 3), np.int64)
        inside = self._number(children[:, 1:-2], entries[:, NUMBER])
        entries[:, PLACE] = np.minimum(children[:, -1], np.uint64(2**63 - 1))
        entries[:, STORED] = children[:, 0].view(np.int64)
        ends = np.cumsum(used).tolist()
        starts = [0, *ends[:-1]]
        falls = np.diff(entries[:, NUMBER]) < 0
        falls[[end - 1 for end in ends if 0 < end <= len(falls)]] = False  # from one node to the next
        if falls.any():
            raise FileFormatError("a node of the index of its chunks is out of order")
        nodes = [
            Node(level, entries[start:end])
            for level, start, end in zip(heads["level"].tolist(), starts, ends, strict=True)
        ]
        if inside.all():
            return nodes
        # A chunk beyond the dataset's present shape is not one of its chunks.
        return [
            node if node.level else Node(0, node.entries[inside[start:end]])
            for node, start, end in zip(nodes, starts, ends, strict=True)
        ]

    def _number(
        self, places: npt.NDArray[np.uint64], numbers: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.bool_]:
        """Write numbers in C order, which sort as positions do; return which chunks are inside the dataset.

        The end of a tree may lie beyond the dataset: along the first axis where it does, it counts as the end of it.
        """
        inside = np.ones(len(places), dtype=bool)
        numbers[:] = 0
        for axis, (count, chunk) in enumerate(zip(self._counts, self._chunks, strict=True)):
            at = np.minimum(places[:, axis] // np.uint64(chunk), np.uint64(count)).astype(np.int64)
            numbers *= count
            numbers += np.where(inside, at, 0)
            inside &= at < count
        return inside


class NodeMemory:
    """The nodes of one tree that were read: in memory, and in a folder if there is one; both bounded.

    Parameters
    ----------
    folder
        Where they are kept. What is damaged there, or cannot be written, is as if it were not.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._nodes: OrderedDict[int, Node] = OrderedDict()
        self._bytes = 0
        self._loaded = folder is None

    def get(self, place: int) -> Node | None:
        """Return the node at an offset, if it is known."""
        self._load()
        node = self._nodes.get(place)
        if node is not None:
            with suppress(KeyError):  # another thread has just forgotten it
                self._nodes.move_to_end(place)
        return node

    def add(self, nodes: Mapping[int, Node]) -> None:
        """Remember nodes by their offsets, and keep them."""
        self._load()
        self._remember(nodes)
        if self._folder is not None and nodes:
            with suppress(OSError):
                self._folder.mkdir(parents=True, exist_ok=True)
                _write(self._folder, _packed(nodes))
                self._tidy()

    def _load(self) -> None:
        if self._loaded:
            return
        self._loaded = True
        for file in self._files():
            with suppress(OSError, ValueError, struct.error, zlib.error):
                self._remember(_unpacked(file.read_bytes()))
                note_use(file)

    def _remember(self, nodes: Mapping[int, Node]) -> None:
        for place, node in nodes.items():
            if place not in self._nodes:
                self._nodes[place] = node
                self._bytes += node.entries.nbytes
        while self._bytes > _REMEMBERED and len(self._nodes) > 1:
            with suppress(KeyError):
                self._bytes -= self._nodes.popitem(last=False)[1].entries.nbytes

    def _files(self) -> list[Path]:
        """Return the files of the folder, the oldest first."""
        if self._folder is None:
            return []
        try:
            with os.scandir(self._folder) as found:
                aged = [
                    (entry.stat().st_mtime_ns, entry.name) for entry in found if entry.name.endswith(".nodes")
                ]
        except OSError:
            return []
        return [self._folder / name for _, name in sorted(aged)]

    def _tidy(self) -> None:
        """Make one file of many; let go of the oldest where they are too large."""
        files = self._files()
        sizes = [file.stat().st_size for file in files]
        while files and sum(sizes) > _KEPT:
            files.pop(0).unlink(missing_ok=True)
            sizes.pop(0)
        if len(files) > _MOST_FILES and self._folder is not None:
            together: dict[int, Node] = {}
            for file in files:
                with suppress(ValueError, struct.error, zlib.error):
                    together |= _unpacked(file.read_bytes())
            _write(self._folder, _packed(together))
            for file in files:
                file.unlink(missing_ok=True)


_HEAD = struct.Struct("<4sII")  # signature, nodes, entries
_MARK = b"ITN1"


def _write(folder: Path, data: bytes) -> None:
    fresh = folder / f"{secrets.token_hex(8)}.new"
    fresh.write_bytes(data)
    fresh.replace(fresh.with_suffix(".nodes"))
    note_written(fresh, len(data))


def _packed(nodes: Mapping[int, Node]) -> bytes:
    """Pack nodes column by column, as differences, which compress to a few bytes an entry; adler32 guards them."""
    entries = np.concatenate([node.entries for node in nodes.values()])
    columns = [
        _differences(np.fromiter(nodes, np.int64, len(nodes))),
        np.array([node.level for node in nodes.values()], "<i8"),
        np.array([len(node.entries) for node in nodes.values()], "<i8"),
        _differences(entries[:, NUMBER]),
        _differences(entries[:, PLACE]),
        entries[:, STORED],
    ]
    body = zlib.compress(b"".join(column.tobytes() for column in columns), 1)
    return _HEAD.pack(_MARK, len(nodes), len(entries)) + body


def _unpacked(data: bytes) -> dict[int, Node]:
    mark, count, total = _HEAD.unpack_from(data)
    length = 24 * (count + total)
    if mark != _MARK or length > 8 * _REMEMBERED:
        raise ValueError("no file of nodes")
    body = zlib.decompress(data[_HEAD.size :], bufsize=length)
    if len(body) != length:
        raise ValueError("a file of nodes of another length")
    places, levels, lengths = np.frombuffer(body, "<i8", 3 * count).reshape(3, count)
    columns = np.frombuffer(body, "<i8", 3 * total, 24 * count).reshape(3, total)
    entries = np.empty((total, 3), np.int64)
    entries[:, NUMBER] = np.cumsum(columns[NUMBER])
    entries[:, PLACE] = np.cumsum(columns[PLACE])
    entries[:, STORED] = columns[STORED]
    ends = np.cumsum(lengths)
    if (lengths < 0).any() or (count and ends[-1] != total):
        raise ValueError("a file of nodes that does not add up")
    starts = ends - lengths
    return {
        place: Node(level, entries[start:end])
        for place, level, start, end in zip(
            np.cumsum(places).tolist(), levels.tolist(), starts.tolist(), ends.tolist(), strict=True
        )
    }


def _differences(values: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    differences = values.astype(np.int64)
    differences[1:] -= values[:-1]
    return differences
