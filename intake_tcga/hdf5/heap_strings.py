"""Variable-length strings gathered out of HDF5's global heaps in bulk, past HDF5.

HDF5 stores such a string as a reference (length, address of a heap, number of an object in it) and reads each one by
itself, under its lock, into a block of memory of its own. Here the references of a whole dataset are put in the order
of the heaps; heaps are read in large ranges, once each; all heaps of a batch are walked in step by numpy; and what the
references mean is copied by Arrow into one column. Each reference is checked against the header of its object, as
HDF5 does. Heaps that overlap, or claim more than the file holds, are refused: memory stays within a few batches, and
time within one pass over the file, whatever a file says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from intake_tcga.errors import FileFormatError
from intake_tcga.hdf5.file import OPEN_AGAIN

if TYPE_CHECKING:
    import pyarrow as pa

REFERENCE = np.dtype([("length", "<u4"), ("heap", "<u8"), ("number", "<u4")])
"""A reference to a string as it is stored in files whose addresses have eight bytes."""

ReadRanges: TypeAlias = Callable[[Sequence[tuple[int, int]]], list[Any]]
"""Reads ranges (offset, length) of a file into as many buffers."""

_SIGNATURE = int.from_bytes(b"GCOL\1\0\0\0", "little")  # and the format's only version
_HEAD = 16  # bytes of a heap, or of an object in it, before its content
_SMALLEST = 4096  # bytes of a heap that HDF5 makes
_LARGEST = 2**28
_MOST_OBJECTS = 2**16  # their numbers have two bytes
_BATCH = 16 * 2**20  # bytes of heaps that are read and walked at a time
_GAP = 64 * 2**10  # bytes between two heaps that are read along: less work than another range, near or far
_MOST_AT_ONCE = 64 * 2**20  # the same where they turn out to hold more than was expected


@dataclass(frozen=True, slots=True, eq=False)
class HeapBatch:
    """Heaps that are read together, and the references into them."""

    heaps: npt.NDArray[np.int64]
    """Addresses of the heaps, rising."""

    expected: npt.NDArray[np.int64]
    """Bytes of each heap that its references need at least."""

    limits: npt.NDArray[np.int64]
    """Address at which each heap must have ended: that of the next one, or the end of the file."""

    keys: npt.NDArray[np.int64]
    """For each reference, which of the heaps (above 16 bits) and which object in it; rising."""

    lengths: npt.NDArray[np.int64]
    """For each reference, the bytes of its string."""


def plan_batches(
    references: npt.NDArray[Any], end: int, what: str
) -> tuple[npt.NDArray[np.intp] | None, list[HeapBatch]]:
    """Decide which heaps are read in which order.

    Parameters
    ----------
    references
        Of dtype :data:`REFERENCE`; none of them empty (heap 0).
    end
        Size of the file in bytes.
    what
        The file and the dataset, for messages.

    Returns
    -------
    order : numpy.ndarray or None
        Positions of the references in the order in which the batches have them; None when that is their own.
    batches : list of HeapBatch

    Raises
    ------
    FileFormatError
        When references lead outside the file, or to more text than it holds.
    """
    heap = references["heap"]
    if len(heap) and (int(heap.max()) >= min(end, 2**47) or int(references["number"].max()) >= _MOST_OBJECTS):
        raise _damaged(what, "a string lies outside the file")
    key = heap.astype(np.int64) << 16 | references["number"]
    order = None if (key[1:] >= key[:-1]).all() else np.argsort(key, kind="stable")
    length = references["length"].astype(np.int64)
    if order is not None:
        key, length = key[order], length[order]
    if int(length.sum()) > end:
        raise _damaged(what, f"it claims {int(length.sum())} bytes of text in a file of {end}")

    address = key >> 16
    first = np.flatnonzero(np.diff(address, prepend=-1))
    heaps = address[first]
    limits = np.append(heaps[1:], end)
    needed = np.add.reduceat(16 + (length + 7) // 8 * 8, first) + 16 if len(first) else first
    expected = np.minimum(np.maximum(needed, _SMALLEST), limits - heaps)
    rank = np.repeat(np.arange(len(heaps)), np.diff(first, append=len(key)))
    batch = np.cumsum(expected) // _BATCH
    cuts = [0, *(np.flatnonzero(np.diff(batch)) + 1).tolist(), len(heaps)] if len(heaps) else [0]
    stops = np.append(first, len(key))
    batches = [
        HeapBatch(
            heaps[a:b],
            expected[a:b],
            limits[a:b],
            (rank[stops[a] : stops[b]] - a) << 16 | key[stops[a] : stops[b]] & 0xFFFF,
            length[stops[a] : stops[b]],
        )
        for a, b in pairwise(cuts)
    ]
    return order, batches


def gather_batch(read: ReadRanges, batch: HeapBatch, what: str) -> pa.BinaryArray:
    """Read the heaps of a batch, and return what its references mean, in their order.

    Parameters
    ----------
    read
        Reads ranges of the file.
    batch
        From :func:`plan_batches`.
    what
        The file and the dataset, for messages.

    Returns
    -------
    pyarrow.BinaryArray

    Raises
    ------
    FileFormatError
        When a heap is damaged, or does not hold what a reference says.
    """
    if (batch.expected < _HEAD + 16).any():
        raise _damaged(what, "two string heaps overlap")
    content, starts = _read_into_one(read, batch.heaps, batch.expected)
    sizes = _sizes(content, starts, batch, what)
    if (sizes > batch.expected).any():  # shared with other datasets, whose strings may lie in front of ours
        if int(sizes.sum()) > _MOST_AT_ONCE and len(sizes) > 1:
            import pyarrow as pa

            return pa.concat_arrays([gather_batch(read, half, what) for half in _halves(batch)])
        content, starts = _read_into_one(read, batch.heaps, sizes)
    offsets, found = _expected_places(content, starts, sizes, batch)
    if not found.all():
        rank = np.unique(batch.keys[~found] >> 16)
        keys, places, lengths = _walk(content, rank, starts[rank], sizes[rank], what)
        at = np.searchsorted(keys, batch.keys[~found])
        known = np.append(keys, -1)[at] == batch.keys[~found]
        if not known.all() or (lengths[at] != batch.lengths[~found]).any():
            raise _damaged(what, "a string is not where it was said to be")
        offsets[~found] = places[at]
    return slices_of(content, offsets, batch.lengths)


def slices_of(
    content: npt.NDArray[np.uint8], starts: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]
) -> pa.BinaryArray:
    """Copy slices of a buffer into an Arrow column.

    Parameters
    ----------
    content
        Bytes; fewer than 2 GiB.
    starts, lengths
        Of the slices, in any order; they may repeat.

    Returns
    -------
    pyarrow.BinaryArray
        As many values as slices, in their order.

    Examples
    --------
    >>> import numpy as np
    >>> content = np.frombuffer(b"..liver...lung", dtype=np.uint8)
    >>> slices_of(content, np.array([10, 2]), np.array([4, 5])).to_pylist()
    [b'lung', b'liver']
    """
    import pyarrow as pa

    # The buffer is seen as one column in which values and the gaps between them alternate: nothing is copied until
    # Arrow takes every other one. That wants slices that rise and do not overlap.
    rising = (starts[1:] >= starts[:-1] + lengths[:-1]).all()
    if rising:
        at, size, wanted = starts, lengths, None
    else:
        at, first, wanted = np.unique(starts, return_index=True, return_inverse=True)
        size = lengths[first]
        if (size[wanted] != lengths).any() or (at[1:] < at[:-1] + size[:-1]).any():
            values = [content[a : a + n].tobytes() for a, n in zip(starts, lengths, strict=True)]
            return pa.array(values, pa.binary())
    bounds = np.empty(2 * len(at) + 1, dtype=np.int32)
    bounds[0:-1:2], bounds[1::2] = at, at + size
    bounds[-1] = bounds[-2] if len(at) else 0
    column = pa.BinaryArray.from_buffers(
        pa.binary(), len(bounds) - 1, [None, pa.py_buffer(bounds), pa.py_buffer(content)]
    )
    places = np.arange(0, len(bounds) - 1, 2)
    return column.take(pa.array(places if wanted is None else places[wanted]))


def _sizes(
    content: npt.NDArray[np.uint8], starts: npt.NDArray[np.int64], batch: HeapBatch, what: str
) -> npt.NDArray[np.int64]:
    """Return how long each heap is, by its own account."""
    words = content.view("<u8")
    signature, sizes = words[starts // 8], words[starts // 8 + 1]
    if (signature != _SIGNATURE).any() or (sizes > _LARGEST).any() or (sizes < _HEAD + 16).any():
        raise _damaged(what, "a string heap is not where it was said to be")
    sizes = sizes.astype(np.int64)
    if (batch.heaps + sizes > batch.limits).any():
        raise _damaged(what, "a string heap overlaps another one or the end of the file")
    return sizes


def _halves(batch: HeapBatch) -> tuple[HeapBatch, HeapBatch]:
    heap = len(batch.heaps) // 2
    key = int(np.searchsorted(batch.keys, heap << 16))
    return (
        HeapBatch(
            batch.heaps[:heap],
            batch.expected[:heap],
            batch.limits[:heap],
            batch.keys[:key],
            batch.lengths[:key],
        ),
        HeapBatch(
            batch.heaps[heap:],
            batch.expected[heap:],
            batch.limits[heap:],
            batch.keys[key:] - (heap << 16),
            batch.lengths[key:],
        ),
    )


def _read_into_one(
    read: ReadRanges, addresses: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Read heaps into one buffer; return it, a multiple of eight long, and where in it each heap starts, another."""
    # Heaps that lie end to end, or nearly so, are one range: there may be hundreds of thousands of them.
    gaps = addresses[1:] - addresses[:-1] - sizes[:-1]
    apart = (gaps > _GAP) | (np.diff(addresses) % 8 != 0)
    first = np.flatnonzero(np.append(True, apart))
    begin = addresses[first]
    last = np.append(first[1:], len(addresses)) - 1
    length = addresses[last] + sizes[last] - begin
    padded = (length + 7) // 8 * 8
    origin = np.cumsum(padded) - padded
    span = np.repeat(np.arange(len(first)), last - first + 1)
    starts = origin[span] + addresses - begin[span]

    buffers = read(list(zip(begin.tolist(), length.tolist(), strict=True)))
    if len(buffers) == 1 and len(buffers[0]) % 8 == 0:
        return np.frombuffer(buffers[0], dtype=np.uint8), starts
    content = np.zeros(int(padded.sum()), dtype=np.uint8)
    for at, buffer in zip(origin.tolist(), buffers, strict=True):
        content[at : at + len(buffer)] = np.frombuffer(buffer, dtype=np.uint8)
    return content, starts


def _expected_places(
    content: npt.NDArray[np.uint8],
    starts: npt.NDArray[np.int64],
    sizes: npt.NDArray[np.int64],
    batch: HeapBatch,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Return where each string is if its heap holds nothing but this dataset's strings, and whether it is there.

    So it is in most heaps, and it spares a walk over them.
    """
    words = content.view("<u8")
    rank, number = batch.keys >> 16, batch.keys & 0xFFFF
    step = _HEAD + (batch.lengths + 7) // 8 * 8
    before = np.cumsum(step) - step
    first = np.flatnonzero(np.diff(rank, prepend=-1))
    at = starts[rank] + _HEAD + before - before[first][rank]
    inside = at + _HEAD + batch.lengths <= starts[rank] + sizes[rank]
    place = np.where(inside, at // 8, 0)
    same = ((words[place] & 0xFFFF) == number) & (words[place + 1] == batch.lengths)
    return at + _HEAD, inside & same


def _walk(
    content: npt.NDArray[np.uint8],
    rank: npt.NDArray[np.int64],
    starts: npt.NDArray[np.int64],
    sizes: npt.NDArray[np.int64],
    what: str,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return key, offset and length of every object in the heaps, by rising keys.

    All heaps are walked in step, one object of each at a time: from one object to the next is the only way to find
    them, and doing it for many heaps at once costs little more than for one.
    """
    words = content.view("<u8")
    at, stop = starts + _HEAD, starts + sizes
    steps: list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]] = []
    for _ in range(_MOST_OBJECTS):
        inside = at + 16 <= stop
        if not inside.all():
            rank, at, stop = rank[inside], at[inside], stop[inside]
        if not len(at):
            break
        place = at // 8
        number = (words[place] & 0xFFFF).astype(np.int64)
        length = words[place + 1].astype(np.int64)
        free = number == 0
        if free.any():  # the rest of the heap: HDF5 keeps what is free at its end
            if (length[free] < 16).any():
                raise _damaged(what, f"a string heap has a free block of {int(length[free].min())} bytes")
            used = ~free
            rank, at, stop = rank[used], at[used], stop[used]
            number, length = number[used], length[used]
        if (length < 0).any() or (length > stop - at - 16).any():
            raise _damaged(what, "a string reaches beyond its heap")
        steps.append((rank << 16 | number, at + 16, length))
        at = at + 16 + (length + 7) // 8 * 8
    else:
        raise _damaged(what, "a string heap holds more objects than it can number")
    if not steps:
        return (np.empty(0, dtype=np.int64),) * 3
    keys, offsets, lengths = (np.concatenate(part) for part in zip(*steps, strict=True))
    order = np.argsort(keys, kind="stable")
    return keys[order], offsets[order], lengths[order]


def iterate(read: ReadRanges, batches: Sequence[HeapBatch], what: str) -> Iterator[pa.BinaryArray]:
    """Gather batch after batch in threads, in order, with no more of them in memory than threads need."""
    from concurrent.futures import Future, ThreadPoolExecutor

    workers = 2
    with ThreadPoolExecutor(workers, thread_name_prefix="intake-tcga-strings") as pool:
        waiting: list[Future[pa.BinaryArray]] = []
        try:
            for batch in batches:
                waiting.append(pool.submit(gather_batch, read, batch, what))
                if len(waiting) > workers:
                    yield waiting.pop(0).result()
            while waiting:
                yield waiting.pop(0).result()
        finally:
            for future in waiting:
                future.cancel()


def _damaged(what: str, how: str) -> FileFormatError:
    return FileFormatError(f"{what} is damaged: {how}. {OPEN_AGAIN}")
