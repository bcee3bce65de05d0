"""Where the chunks of a dataset are: looked up in its own index, of which only what leads to them is read.

HDF5 looks at every chunk to tell where one is; ARCHS4's files have thirty million. So a version-1 B-tree, which is what
nearly all files have, is walked here: level by level, all nodes of a level at once, which over a network is one wait a
level. Other indexes are asked of HDF5, whole, when they are small.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from intake_tcga.errors import FileFormatError
from intake_tcga.hdf5.chunk_nodes import NUMBER, PLACE, STORED, Node, NodeFormat, NodeMemory

ReadMany = Callable[[Sequence[tuple[int, int]]], Sequence[bytes | memoryview]]
"""Reads many ranges, given as offset and length."""

Numbers = npt.NDArray[np.int64]
"""Chunks by their place in C order: their row of chunks times the chunks in a row, plus their column, and so on."""

_NODES_AT_ONCE = 1024  # with the gaps that are read along, at most 40 MB
_DEEPEST = 24


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Where chunks are stored, in the order in which they were asked for."""

    offset: npt.NDArray[np.int64]
    """First byte of each."""

    size: npt.NDArray[np.int64]
    """Stored bytes of each; 0 for a chunk that was never written."""

    mask: npt.NDArray[np.int64]
    """A bit for each filter that was left out for this chunk."""


class ChunkIndex(Protocol):
    """Says where chunks are."""

    def locate(self, numbers: Numbers, read: ReadMany) -> Places:
        """Look up chunks, given in ascending order, each once."""
        ...


class WholeIndex:
    """An index small enough to be held whole.

    Parameters
    ----------
    did
        A low-level h5py identifier of the dataset.
    counts, chunks
        Number of chunks along each axis, and their shape.
    """

    def __init__(self, did: Any, counts: Sequence[int], chunks: Sequence[int]) -> None:
        index = np.zeros((*counts, 3), dtype=np.int64)

        def note(chunk: Any) -> None:
            where = tuple(at // step for at, step in zip(chunk.chunk_offset, chunks, strict=True))
            if all(at < count for at, count in zip(where, counts, strict=True)):
                index[where] = chunk.byte_offset, chunk.size, chunk.filter_mask

        did.chunk_iter(note)
        self._index = index.reshape(-1, 3)

    def locate(self, numbers: Numbers, read: ReadMany) -> Places:
        """Look up chunks; nothing is read."""
        return Places(*self._index[numbers].T)


class TreeIndex:
    """A version-1 B-tree, of which the nodes that were needed are remembered.

    Parameters
    ----------
    root
        Offset of the root node; None where no chunk was ever written.
    format
        How its nodes are laid out.
    end
        Bytes of the file.
    memory
        What is known of its nodes.
    """

    def __init__(self, root: int | None, format: NodeFormat, end: int, memory: NodeMemory) -> None:
        self._root = root
        self._format = format
        self._end = end
        self._memory = memory

    def locate(self, numbers: Numbers, read: ReadMany) -> Places:
        """Look up chunks; nodes that are not known yet are read, a level at a time.

        Raises
        ------
        FileFormatError
            When a node lies outside the file, is none, or is not where the tree needs it.
        """
        found = np.zeros((len(numbers), 3), np.int64)
        if self._root is None or not len(numbers):
            return _places(found)
        level = self._nodes([self._root], None, read)[0].level
        if level > _DEEPEST:
            raise FileFormatError(f"the index of its chunks has {level} levels")
        at = np.full(len(numbers), self._root)
        left = np.arange(len(numbers))  # those whose way goes on
        while True:
            # Wanted chunks ascend, and so do the nodes that lead to them: each node is one run of equal offsets.
            starts = np.flatnonzero(np.diff(at, prepend=-1))
            children = np.concatenate(
                [node.entries for node in self._nodes(at[starts].tolist(), level, read)]
            )
            if (np.diff(children[:, NUMBER]) < 0).any():
                raise FileFormatError("the index of its chunks is out of order")
            which = np.searchsorted(children[:, NUMBER], numbers[left], side="right") - 1
            left, which = left[which >= 0], which[which >= 0]
            if level == 0:
                exact = children[which, NUMBER] == numbers[left]
                found[left[exact]] = children[which[exact]]
                return _places(found)
            if not len(left):
                return _places(found)
            at = children[which, PLACE]
            level -= 1

    def _nodes(self, places: list[int], level: int | None, read: ReadMany) -> list[Node]:
        """Return nodes that must be of a certain level (any, for the root); unknown ones are read."""
        nodes = {place: self._memory.get(place) for place in dict.fromkeys(places)}
        unknown = sorted(place for place, node in nodes.items() if node is None)
        size = self._format.size
        if unknown and unknown[-1] + size > self._end:
            raise FileFormatError(
                f"a node of the index of its chunks lies at byte {unknown[-1]}, and the file has {self._end}"
            )
        fresh: dict[int, Node] = {}
        for start in range(0, len(unknown), _NODES_AT_ONCE):
            some = unknown[start : start + _NODES_AT_ONCE]
            fresh.update(zip(some, self._format.decode(read([(place, size) for place in some])), strict=True))
        self._memory.add(fresh)
        found = [nodes[place] or fresh[place] for place in places]
        if level is not None and any(node.level != level for node in found):
            raise FileFormatError("a node of the index of its chunks is of a wrong level")
        return found


def numbers_of(axes: Sequence[npt.NDArray[np.int64]], counts: Sequence[int]) -> Numbers:
    """Return the numbers of the chunks at given places along each axis, of equal lengths.

    Examples
    --------
    >>> numbers_of([np.array([0, 1]), np.array([2, 0])], (2, 3)).tolist()
    [2, 3]
    """
    numbers = np.zeros(len(axes[0]) if axes else 1, dtype=np.int64)
    for at, count in zip(axes, counts, strict=True):
        numbers *= count
        numbers += at
    return numbers


def chunk_counts(shape: Sequence[int], chunks: Sequence[int]) -> tuple[int, ...]:
    """Return the number of chunks along each axis.

    Examples
    --------
    >>> chunk_counts((67186, 888821), (2000, 1))
    (34, 888821)
    """
    return tuple(-(-length // chunk) for length, chunk in zip(shape, chunks, strict=True))


def _places(found: npt.NDArray[np.int64]) -> Places:
    return Places(found[:, PLACE], found[:, STORED] & 0xFFFFFFFF, found[:, STORED] >> 32)
