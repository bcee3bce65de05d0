"""How a dataset's numbers lie in a file, and how the bytes of one of its chunks become numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import deflate
import h5py
import numpy as np
import numpy.typing as npt

from intake_tcga.hdf5.chunk_index import (
    ChunkIndex,
    Numbers,
    Places,
    ReadMany,
    TreeIndex,
    WholeIndex,
    chunk_counts,
)
from intake_tcga.hdf5.chunk_nodes import NodeFormat, NodeMemory
from intake_tcga.hdf5.object_headers import Read, chunk_tree

_INDEX_SMALL = 2**10  # with so few chunks HDF5 tells sooner where all are than we find out where some are
_INDEX_WHOLE = 2**16  # with more chunks than this, no index is taken whole
_BLOCK = 4 * 2**20  # bytes read at a time from datasets without chunks, or through h5py
_REMOTE_BLOCK = 128 * 2**10  # the same over a network, where what is not wanted costs time
_HIGHEST_RATIO = 1032  # deflate cannot do better


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """How a dataset's numbers lie in the file: all that locating and decoding need."""

    path: str
    """The dataset's path in the file."""

    shape: tuple[int, ...]
    """Length of each axis of the dataset."""

    stored: np.dtype[Any]
    """Type of its numbers on disk."""

    grid: tuple[int, ...]
    """Shape of a chunk, or of the convenient blocks that a dataset in one piece is read by."""

    fill: Any
    """What chunks that were never written hold."""

    filters: tuple[int, ...]
    """HDF5's filter numbers in the order in which they were applied when writing."""

    offset: int | None
    """Where a dataset in one piece begins; None for any other."""

    index: ChunkIndex | None
    """Where the chunks are; None for a dataset in one piece, and for one that only h5py can decode."""

    @property
    def through_h5py(self) -> bool:
        """True when only h5py can decode it."""
        return self.offset is None and self.index is None

    @property
    def counts(self) -> tuple[int, ...]:
        """Number of chunks along each axis."""
        return chunk_counts(self.shape, self.grid)

    def start(self, number: int) -> tuple[int, ...]:
        """Return the position in the dataset at which a chunk begins."""
        at = []
        for many, length in zip(reversed(self.counts), reversed(self.grid), strict=True):
            number, place = divmod(number, many)
            at.append(place * length)
        return tuple(reversed(at))

    def chunk_shape(self, start: tuple[int, ...]) -> tuple[int, ...]:
        """Return a chunk's shape as it is stored: at the edge chunks are stored whole, blocks of one piece are not."""
        if self.index is not None:
            return self.grid
        return tuple(
            min(chunk, length - at) for chunk, length, at in zip(self.grid, self.shape, start, strict=True)
        )

    def locate(self, numbers: Numbers, read: ReadMany) -> Places:
        """Say where chunks are stored, given by ascending numbers, each once.

        Raises
        ------
        FileFormatError
            When the index of the chunks is damaged.
        """
        if self.index is not None:
            return self.index.locate(numbers, read)
        assert self.offset is not None
        row = self.stored.itemsize * math.prod(self.shape[1:])
        first = numbers * self.grid[0]  # blocks are whole rows: their numbers are those along the first axis
        rows = np.minimum(self.grid[0], self.shape[0] - first)
        return Places(self.offset + first * row, rows * row, np.zeros_like(numbers))

    def decode(self, data: Any, mask: int, shape: tuple[int, ...]) -> npt.NDArray[Any]:
        """Undo the filters of one chunk.

        Parameters
        ----------
        data
            Its stored bytes.
        mask
            A bit for each filter that was left out.
        shape
            Its shape.

        Raises
        ------
        ValueError
            When the bytes do not decode to just such a chunk.
        """
        length = math.prod(shape) * self.stored.itemsize
        for position in range(len(self.filters) - 1, -1, -1):
            if mask >> position & 1:
                continue
            if self.filters[position] == h5py.h5z.FILTER_DEFLATE:
                data = _inflate(data, length)
            else:
                data = _unshuffle(data, self.stored.itemsize)
        if len(data) != length:
            raise ValueError(f"{len(data)} bytes instead of {length}")
        return np.frombuffer(data, dtype=self.stored).reshape(shape)


def layout_of(
    dataset: h5py.Dataset, name: str, read: Read | None, *, remote: bool, kept: Path | None
) -> Layout:
    """Find out how a dataset is stored, and whether we can decode it.

    Parameters
    ----------
    dataset
        An open dataset.
    name
        Its path in the file.
    read
        Reads the file past HDF5; None where nothing but HDF5 can.
    remote
        Whether each read is waited for.
    kept
        The folder in which nodes of the indexes of a remote file are kept; None keeps none.

    Raises
    ------
    FileFormatError
        When the dataset's header is damaged.
    """
    did = dataset.id
    plist = did.get_create_plist()
    shape = tuple(dataset.shape)
    filters = tuple(plist.get_filter(i)[0] for i in range(plist.get_nfilters()))
    decodable = (
        read is not None
        and len(shape) > 0
        and set(filters) <= {h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE}
        # numpy's idea of the type must be what is on disk, bit by bit (HDF5 knows more number formats)
        and did.get_type().equal(h5py.h5t.py_create(dataset.dtype))
    )
    fill = dataset.fillvalue if dataset.dtype.kind in "biuf" else None
    kind = plist.get_layout()
    offset, index, grid = None, None, dataset.chunks
    if decodable and read is not None and kind == h5py.h5d.CHUNKED:
        index = _index(did, shape, dataset.chunks, read, remote=remote, kept=kept)
    elif decodable and kind == h5py.h5d.CONTIGUOUS:
        offset = did.get_offset()
    if index is None:
        block = _REMOTE_BLOCK if remote else _BLOCK
        grid = _blocks(shape, dataset.dtype.itemsize, dataset.chunks, block)
    return Layout(name, shape, dataset.dtype, tuple(grid), fill, filters, offset, index)


def _index(
    did: Any,
    shape: tuple[int, ...],
    chunks: tuple[int, ...],
    read: Read,
    *,
    remote: bool,
    kept: Path | None,
) -> ChunkIndex | None:
    """Return the index that costs least; None where only HDF5 can find a chunk."""
    counts = chunk_counts(shape, chunks)
    total = math.prod(counts)
    is_told = _places_are_told(did)
    small = total <= _INDEX_SMALL and not remote and is_told
    tree = None if small or total >= 2**60 else chunk_tree(read, _header(did))
    if tree is not None and tree.chunks == chunks:
        form = NodeFormat(counts, chunks, tree.most_children)
        end = int(h5py.h5i.get_file_id(did).get_filesize())
        folder = None if kept is None or tree.root is None else kept / f"chunks-{tree.root:x}"
        return TreeIndex(tree.root, form, end, NodeMemory(folder))
    return WholeIndex(did, counts, chunks) if total <= _INDEX_WHOLE and is_told else None


def _places_are_told(did: Any) -> bool:
    """Say whether HDF5 tells where chunks are, other than by reading them.

    HDF5 2.0 swaps the axes of an extensible array, the index of datasets that can grow along one axis, where that is
    not the first: all that it says of its chunks is of other chunks. Its own reading is right.
    """
    longest = did.get_space().get_simple_extent_dims(True)
    growing = [axis for axis, length in enumerate(longest) if length == h5py.h5s.UNLIMITED]
    return len(growing) != 1 or growing == [0]


def _header(did: Any) -> int:
    """Return where a dataset's object header is; h5o.get_info would count the bytes of its whole index, too."""
    low, high = h5py.h5g.get_objinfo(did, b".").objno
    return int(low) | int(high) << 32  # two halves where C's long has four bytes


def _blocks(
    shape: tuple[int, ...], width: int, chunks: tuple[int, ...] | None, block: int
) -> tuple[int, ...]:
    """Cut a dataset into runs of whole rows of about a block, along its chunks if it has any."""
    if not shape:
        return ()
    if chunks and math.prod(chunk_counts(shape, chunks)) > _INDEX_WHOLE:
        return chunks  # a row of so many may be larger than memory
    row = max(1, width * math.prod(shape[1:]))
    step = chunks[0] if chunks else 1
    rows = max(step, block // row // step * step)
    return (rows, *(max(1, n) for n in shape[1:]))


def _inflate(data: Any, length: int) -> Any:
    if length > len(data) * _HIGHEST_RATIO:  # before memory is taken for it
        raise ValueError(f"{len(data)} bytes cannot be {length} when inflated")
    try:
        return deflate.zlib_decompress(data, length)
    except (deflate.DeflateError, MemoryError) as error:
        raise ValueError(str(error)) from error


def _unshuffle(data: Any, width: int) -> Any:
    """Undo HDF5's shuffle filter, which stores first bytes first; what does not fill an element stays behind."""
    flat = np.frombuffer(data, dtype=np.uint8)
    whole = len(flat) // width * width
    ordered = flat[:whole].reshape(width, -1).T.ravel()
    return np.concatenate([ordered, flat[whole:]]) if whole < len(flat) else ordered
