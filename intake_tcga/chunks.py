"""Numbers out of HDF5 datasets, past HDF5: chunks are read at their offsets and inflated in threads.

HDF5 does everything under one lock, so its readers use one core. Here it is only asked where the chunks are; the
bytes are then read with ``pread`` and inflated by libdeflate outside that lock and Python's. What this module cannot
decode (other filters, odd number formats, user blocks) is read by h5py, block by block, with the same result.

Decided first, done later: :func:`along_axis` and :func:`_tasks` say which part of which chunk goes where; nothing
is read before that is known.
"""

from __future__ import annotations

import itertools
import math
import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

import deflate
import h5py
import numpy as np
import numpy.typing as npt

from intake_tcga.errors import FileFormatError
from intake_tcga.hdf5 import FETCH_AGAIN, Hdf5File

Part: TypeAlias = slice | npt.NDArray[np.intp]
"""Positions along one axis: a slice with a positive step, or an array of integers."""

_INDEX_WHOLE = 2**16  # datasets with more chunks are asked chunk by chunk where each one is
_BATCH = 256 * 2**10  # stored bytes that one thread reads and inflates at a time
_BLOCK = 4 * 2**20  # bytes read at a time from datasets without chunks, or through h5py
_GAP = 4 * 2**10  # bytes between two chunks that are read along rather than skipped
_ALONE = 128 * 2**10  # fewer stored bytes than this are not worth waking a thread


@dataclass(frozen=True, slots=True)
class Request:
    """Part of one dataset, and where it goes: ``target[dest] = dataset[source]``, axis by axis (an outer product)."""

    path: str
    """The dataset's path in the file."""

    source: tuple[Part, ...]
    """What is wanted along each axis of the dataset."""

    target: npt.NDArray[Any]
    """The array that receives it, converted to its dtype."""

    dest: tuple[Part, ...]
    """Where it goes along each axis of ``target``, of the same lengths as ``source``."""


@dataclass(frozen=True, slots=True)
class _Layout:
    """How a dataset's numbers lie in the file, all that decoding needs."""

    shape: tuple[int, ...]
    stored: np.dtype[Any]
    grid: tuple[int, ...]
    fill: Any
    filters: tuple[int, ...]
    """HDF5's filter numbers in the order in which they were applied when writing."""
    offset: int | None
    """Where a dataset in one piece begins; None for a chunked one."""
    through_h5py: bool
    """True when only h5py can decode it; the grid is then one of convenient blocks."""
    index: npt.NDArray[np.int64] | None
    """Offset, size and filter mask of each chunk in C order; None when there are too many to hold."""


@dataclass(frozen=True, slots=True)
class _Task:
    """One stored chunk: where its bytes are, and which part of it goes where."""

    layout: _Layout
    request: Request
    start: tuple[int, ...]
    offset: int
    size: int
    mask: int
    source: tuple[Part, ...]
    dest: tuple[Part, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the chunk as it is stored: chunks at the edge are stored whole, pieces of one block are not."""
        layout = self.layout
        if layout.offset is None and not layout.through_h5py:
            return layout.grid
        return tuple(
            min(chunk, length - at)
            for chunk, length, at in zip(layout.grid, layout.shape, self.start, strict=True)
        )


def read(file: Hdf5File, requests: Iterable[Request]) -> None:
    """Fill each request's target.

    Parameters
    ----------
    file
        The file that holds all of them.
    requests
        What is wanted; the targets of different requests must not overlap.

    Raises
    ------
    FileFormatError
        When a chunk is damaged or lies outside the file.

    Notes
    -----
    Memory beyond the targets stays within a few chunks (or 4 MiB) a thread, whatever the size of the request.
    """
    wanted = [request for request in requests if all(_count(part) for part in request.source)]
    tasks: list[_Task] = []
    with file.opened() as h5:
        for request in wanted:
            layout = _layout(h5, request.path)
            found = _tasks(layout, request, h5)
            if layout.through_h5py:
                for task in found:
                    _read_through_h5py(h5, task)
            else:
                tasks.extend(found)
        if not tasks:
            return
        # A copy of HDF5's own descriptor: it is the very file whose chunks were located, and stays so when the
        # handle is closed, or the path replaced, while threads are still reading.
        descriptor = os.dup(h5.id.get_vfd_handle())
    try:
        with file.errors():
            _run(file.path, descriptor, tasks)
    finally:
        os.close(descriptor)


def along_axis(source: Part, dest: Part, chunk: int, length: int) -> list[tuple[int, Part, Part]]:
    """Split what is wanted along one axis by the chunks that hold it.

    Parameters
    ----------
    source, dest
        Positions in the dataset, and where they go; of the same length.
    chunk
        Length of a chunk along this axis.
    length
        Length of the dataset along this axis.

    Returns
    -------
    list of (int, Part, Part)
        Number of the chunk, positions within it, where they go.

    Examples
    --------
    >>> along_axis(slice(3, 9), slice(0, 6), 4, 10)
    [(0, slice(3, 4, 1), slice(0, 1, 1)), (1, slice(0, 4, 1), slice(1, 5, 1)), (2, slice(0, 1, 1), slice(5, 6, 1))]
    """
    if isinstance(source, slice) and isinstance(dest, slice):
        start, stop, step = source.indices(length)
        if step == 1 and (dest.step or 1) == 1:
            return [
                _piece(number, chunk, start, stop, dest.start or 0)
                for number in range(start // chunk, -(-stop // chunk))
            ]
    at = _positions(source, length)
    to = _positions(dest, None)
    numbers = at // chunk
    order = np.argsort(numbers, kind="stable")
    numbers, at, to = numbers[order], at[order], to[order]
    cuts = np.flatnonzero(np.diff(numbers)) + 1
    starts = [0, *cuts.tolist(), len(numbers)]
    return [
        (int(numbers[a]), _as_slice(at[a:b] - int(numbers[a]) * chunk), _as_slice(to[a:b]))
        for a, b in itertools.pairwise(starts)
    ]


def _piece(number: int, chunk: int, start: int, stop: int, dest: int) -> tuple[int, Part, Part]:
    """Return what one chunk holds of a run of positions."""
    first, last = max(start, number * chunk), min(stop, (number + 1) * chunk)
    at, to = first - number * chunk, dest + first - start
    return number, slice(at, at + last - first, 1), slice(to, to + last - first, 1)


def _positions(part: Part, length: int | None) -> npt.NDArray[np.intp]:
    if not isinstance(part, slice):
        return np.asarray(part, dtype=np.intp)
    if length is None:
        return np.arange(part.start or 0, part.stop, part.step or 1, dtype=np.intp)
    return np.arange(*part.indices(length), dtype=np.intp)


def _as_slice(positions: npt.NDArray[np.intp]) -> Part:
    """Return positions as a slice when they are consecutive: numpy copies slices several times faster."""
    first = int(positions[0])
    if len(positions) == 1 or (np.diff(positions) == 1).all():
        return slice(first, first + len(positions), 1)
    return positions


def _count(part: Part) -> int:
    return len(range(part.start or 0, part.stop, part.step or 1)) if isinstance(part, slice) else len(part)


def _outer(parts: Sequence[Part]) -> tuple[Any, ...]:
    """Return an index that numpy reads as an outer product."""
    if sum(not isinstance(part, slice) for part in parts) <= 1:
        return tuple(parts)
    arrays = [
        np.arange(part.start or 0, part.stop, part.step or 1) if isinstance(part, slice) else part
        for part in parts
    ]
    return np.ix_(*arrays)


# ── where things are ──────────────────────────────────────────────────────────────────────────────────────────────

# By the open handle: a file that was closed and reopened may be another one under the same name.
_layouts: WeakKeyDictionary[h5py.File, dict[str, _Layout]] = WeakKeyDictionary()


def _layout(h5: h5py.File, path: str) -> _Layout:
    known = _layouts.setdefault(h5, {})
    if path not in known:
        known[path] = _negotiate(h5, h5[path])
    return known[path]


def _negotiate(h5: h5py.File, dataset: h5py.Dataset) -> _Layout:
    """Find out how a dataset is stored, and whether we can decode it."""
    did = dataset.id
    plist = did.get_create_plist()
    shape = tuple(dataset.shape)
    filters = tuple(plist.get_filter(i)[0] for i in range(plist.get_nfilters()))
    kind = plist.get_layout()
    decodable = (
        hasattr(os, "pread")
        and h5.userblock_size == 0
        and h5.driver == "sec2"
        and len(shape) > 0
        and set(filters) <= {h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE}
        # numpy's idea of the type must be what is on disk, bit by bit (HDF5 knows more number formats)
        and did.get_type().equal(h5py.h5t.py_create(dataset.dtype))
    )
    fill = dataset.fillvalue if dataset.dtype.kind in "biuf" else None
    if decodable and kind == h5py.h5d.CHUNKED:
        grid = tuple(plist.get_chunk())
        index = _whole_index(did, shape, grid)
        return _Layout(shape, dataset.dtype, grid, fill, filters, None, False, index)
    grid = _blocks(shape, dataset.dtype.itemsize, dataset.chunks)
    offset = did.get_offset() if decodable and kind == h5py.h5d.CONTIGUOUS else None
    return _Layout(shape, dataset.dtype, grid, fill, filters, offset, offset is None, None)


def _blocks(shape: tuple[int, ...], width: int, chunks: tuple[int, ...] | None) -> tuple[int, ...]:
    """Cut a dataset into runs of whole rows of about ``_BLOCK`` bytes, along its chunks if it has any."""
    if not shape:
        return ()
    row = max(1, width * math.prod(shape[1:]))
    step = chunks[0] if chunks else 1
    rows = max(step, _BLOCK // row // step * step)
    return (rows, *(max(1, n) for n in shape[1:]))


def _whole_index(did: Any, shape: tuple[int, ...], grid: tuple[int, ...]) -> npt.NDArray[np.int64] | None:
    """Return offset, size and mask of every chunk, or None when they are too many."""
    counts = [-(-length // chunk) for length, chunk in zip(shape, grid, strict=True)]
    if math.prod(counts) > _INDEX_WHOLE:
        return None
    index = np.zeros((*counts, 3), dtype=np.int64)

    def note(chunk: Any) -> None:
        where = tuple(at // step for at, step in zip(chunk.chunk_offset, grid, strict=True))
        if all(at < count for at, count in zip(where, counts, strict=True)):
            index[where] = chunk.byte_offset, chunk.size, chunk.filter_mask

    did.chunk_iter(note)
    return index


def _tasks(layout: _Layout, request: Request, h5: h5py.File) -> Iterator[_Task]:
    """Say which part of which chunk goes where."""
    axes = [
        along_axis(*parts)
        for parts in zip(request.source, request.dest, layout.grid, layout.shape, strict=True)
    ]
    did = h5[request.path].id if layout.index is None and layout.offset is None else None
    for cell in itertools.product(*axes):
        numbers = tuple(axis[0] for axis in cell)
        start = tuple(number * chunk for number, chunk in zip(numbers, layout.grid, strict=True))
        offset, size, mask = _whereabouts(layout, did, numbers, start)
        yield _Task(
            layout, request, start, offset, size, mask,
            tuple(axis[1] for axis in cell), tuple(axis[2] for axis in cell),
        )  # fmt: skip


def _whereabouts(
    layout: _Layout, did: Any, numbers: tuple[int, ...], start: tuple[int, ...]
) -> tuple[int, int, int]:
    """Return offset, stored size and filter mask of one chunk; size 0 means that it was never written."""
    if layout.through_h5py:
        return 0, 0, 0
    if layout.offset is not None:
        row = layout.stored.itemsize * math.prod(layout.shape[1:])
        rows = min(layout.grid[0], layout.shape[0] - start[0])
        return layout.offset + start[0] * row, rows * row, 0
    if layout.index is not None:
        offset, size, mask = layout.index[numbers].tolist()
        return offset, size, mask
    info = did.get_chunk_info_by_coord(start)
    return (info.byte_offset, info.size, info.filter_mask) if info.byte_offset is not None else (0, 0, 0)


# ── reading and decoding ──────────────────────────────────────────────────────────────────────────────────────────


def _run(path: str, descriptor: int, tasks: list[_Task]) -> None:
    """Read and decode all tasks, on every core when there is enough to do."""
    tasks.sort(key=lambda task: task.offset)
    end = os.fstat(descriptor).st_size
    for task in tasks:
        if task.offset < 0 or task.size < 0 or task.offset + task.size > end:
            raise FileFormatError(
                f"{path} is damaged: a chunk of {task.request.path!r} lies at bytes {task.offset} to "
                f"{task.offset + task.size}, and the file has {end}. {FETCH_AGAIN}"
            )
    batches = list(_batches(tasks))
    if len(batches) == 1 or sum(task.size for task in tasks) < _ALONE:
        for batch in batches:
            _read_batch(path, descriptor, batch)
        return
    waiting: list[Future[None]] = []
    pool = _pool()
    try:
        waiting.extend(pool.submit(_read_batch, path, descriptor, batch) for batch in batches)
        for future in waiting:
            future.result()
    finally:
        # Nothing may read from the descriptor, or write into a target, once we have returned.
        for future in waiting:
            future.cancel()
        for future in waiting:
            if not future.cancelled():
                future.exception()


def _batches(tasks: list[_Task]) -> Iterator[list[_Task]]:
    """Group tasks, in the order of their offsets, into runs that one read fetches."""
    batch: list[_Task] = []
    begin = end = 0
    for task in tasks:
        if batch and (task.offset > end + _GAP or task.offset + task.size - begin > _BATCH):
            yield batch
            batch = []
        if not batch:
            begin = end = task.offset
        batch.append(task)
        end = max(end, task.offset + task.size)
    if batch:
        yield batch


def _read_batch(path: str, descriptor: int, batch: list[_Task]) -> None:
    begin = batch[0].offset
    length = max(task.offset + task.size for task in batch) - begin
    data = memoryview(os.pread(descriptor, length, begin))
    if len(data) != length:
        raise FileFormatError(f"{path} is damaged: it ends at byte {begin + len(data)}. {FETCH_AGAIN}")
    for task in batch:
        at = task.offset - begin
        _place(task, _decode(path, task, data[at : at + task.size]))


def _place(task: _Task, chunk: npt.NDArray[Any]) -> None:
    task.request.target[_outer(task.dest)] = chunk[_outer(task.source)]


def _decode(path: str, task: _Task, data: memoryview) -> npt.NDArray[Any]:
    """Undo the filters of one chunk."""
    layout, shape = task.layout, task.shape
    if not task.size:
        return np.full(shape, layout.fill, dtype=layout.stored)
    length = math.prod(shape) * layout.stored.itemsize
    buffer: Any = data
    for position, code in reversed(list(enumerate(layout.filters))):
        if task.mask >> position & 1:  # this chunk was written without this filter
            continue
        if code == h5py.h5z.FILTER_DEFLATE:
            try:
                buffer = deflate.zlib_decompress(buffer, length)
            except (deflate.DeflateError, ValueError, MemoryError) as error:
                raise _damaged(path, task, str(error)) from error
        else:
            buffer = _unshuffle(buffer, layout.stored.itemsize)
    if len(buffer) != length:
        raise _damaged(path, task, f"{len(buffer)} bytes instead of {length}")
    return np.frombuffer(buffer, dtype=layout.stored).reshape(shape)


def _unshuffle(buffer: Any, width: int) -> Any:
    """Undo HDF5's shuffle filter, which stores first bytes first; what does not fill an element stays behind."""
    data = np.frombuffer(buffer, dtype=np.uint8)
    whole = len(data) // width * width
    ordered = data[:whole].reshape(width, -1).T.ravel()
    return np.concatenate([ordered, data[whole:]]) if whole < len(data) else ordered


def _damaged(path: str, task: _Task, what: str) -> FileFormatError:
    return FileFormatError(
        f"{path} is damaged: the chunk at {task.start} of {task.request.path!r} does not decode ({what}). "
        f"{FETCH_AGAIN}"
    )


def _read_through_h5py(h5: h5py.File, task: _Task) -> None:
    dataset = h5[task.request.path]
    if not task.start:
        task.request.target[()] = dataset[()]
        return
    block = tuple(slice(at, at + n) for at, n in zip(task.start, task.shape, strict=True))
    _place(task, dataset[block])


# ── threads ───────────────────────────────────────────────────────────────────────────────────────────────────────

_pool_lock = threading.Lock()
_executor: ThreadPoolExecutor | None = None


def _pool() -> ThreadPoolExecutor:
    """Return this process's threads for decoding: one a core, shared by all readers, so never too many."""
    global _executor
    with _pool_lock:
        if _executor is None:
            cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
            _executor = ThreadPoolExecutor(min(cores, 16), thread_name_prefix="intake-tcga-inflate")
        return _executor


def _forget_pool() -> None:
    """Start afresh in a forked child, where the threads do not exist and the lock may be held by one of them."""
    global _executor, _pool_lock
    _executor, _pool_lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pool)
