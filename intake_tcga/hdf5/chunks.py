"""Numbers out of HDF5 datasets, past HDF5: chunks are read at their offsets and inflated in threads.

HDF5 does everything under one lock, so its readers use one core, and over a network wait for one request at a time.
Here it only tells how a dataset is stored. Which chunks hold what is wanted, and where they lie, is found out next;
then their bytes are read, from disk or by ranges over the network, and inflated by libdeflate outside HDF5's lock and
Python's. What cannot be decoded so (other filters, odd number formats, user blocks) is read by h5py, block by block,
with the same result.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

import h5py
import numpy as np
import numpy.typing as npt

from intake_tcga.errors import FileFormatError
from intake_tcga.hdf5.byte_sources import ByteSource, work_through
from intake_tcga.hdf5.chunk_index import numbers_of
from intake_tcga.hdf5.chunk_layout import Layout, layout_of
from intake_tcga.hdf5.chunk_pieces import Part, Piece, Pieces, count, outer
from intake_tcga.hdf5.file import Hdf5File

__all__ = ["Estimate", "Part", "Request", "estimate", "read"]

_SLAB = 2**15  # chunks that are planned at a time
_WINDOW_CHUNKS = 512  # chunks that one thread reads and inflates at a time
_ALONE = 128 * 2**10  # fewer stored bytes than this are not worth waking a thread


@dataclass(frozen=True, slots=True)
class Request:
    """Part of one dataset, and where it goes: ``target[dest] = dataset[source]``, axis by axis (an outer product).

    To read with the axes the other way round, give a transposed view as ``target``: ``result.T`` for a dataset of
    genes × samples and a result of samples × genes. Values go where they belong as they are decoded, at no cost.
    """

    path: str
    """The dataset's path in the file."""

    source: tuple[Part, ...]
    """What is wanted along each axis of the dataset."""

    target: npt.NDArray[Any]
    """The array that receives it, converted to its dtype."""

    dest: tuple[Part, ...]
    """Where it goes along each axis of ``target``, of the same lengths as ``source``."""


class DamagedChunkError(FileFormatError):
    """A chunk that cannot be read, and which positions it holds along each axis."""

    spans: tuple[range, ...] = ()

    @classmethod
    def of(cls, message: str, spans: tuple[range, ...]) -> DamagedChunkError:
        """Make one; the message stays the only argument, so that it crosses process borders."""
        error = cls(message)
        error.spans = spans
        return error


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a read would take."""

    chunks: int
    """Chunks that hold what is wanted."""

    bytes: int
    """Stored bytes of them, roughly."""


def read(file: Hdf5File, requests: Iterable[Request]) -> None:
    """Fill each request's target.

    Parameters
    ----------
    file
        The file that holds all of them, local or remote.
    requests
        What is wanted; the targets of different requests must not overlap.

    Raises
    ------
    DamagedChunkError
        When a chunk is damaged or lies outside the file; the message says which.
    FileFormatError
        When anything else of the file is.
    TransferError
        When a remote file's bytes could not be fetched.

    Notes
    -----
    Memory beyond the targets stays bounded whatever the size of the request: a few chunks (or 256 KiB) a thread for a
    local file, 24 MiB of stored bytes and a chunk a core for a remote one.
    """
    wanted = [request for request in requests if all(count(part) for part in request.source)]
    jobs = []
    with file.opened() as h5:
        for request in wanted:
            job = _job(file, h5, request)
            if job.layout.through_h5py:
                job.read_through_h5py(h5)
            else:
                jobs.append(job)
        source = file.source(h5) if jobs else None
    if source is None:
        return
    try:
        with file.errors():
            for slab in _slabs(file, source, jobs):
                _fill(file, source, slab)
    finally:
        source.close()


def estimate(file: Hdf5File, requests: Iterable[Request]) -> Estimate:
    """Say what a read would take, without looking any chunk up.

    Parameters
    ----------
    file, requests
        As for :func:`read`; targets are not touched.

    Returns
    -------
    Estimate
        The bytes are the number of chunks times their mean stored size, for which the file's size is shared out among
        the chunks of the dataset: right for a file that is little but one matrix, too high for others.
    """
    chunks = stored = 0
    for request in requests:
        if not all(count(part) for part in request.source):
            continue
        with file.opened() as h5:
            job, end = _job(file, h5, request), int(h5.id.get_filesize())
        raw = math.prod(job.layout.grid) * job.layout.stored.itemsize
        mean = min(raw, end / max(1, math.prod(job.layout.counts)))
        chunks += job.chunks
        stored += min(end, math.ceil(job.chunks * mean))
    return Estimate(chunks, stored)


# ── what is wanted of which chunk ─────────────────────────────────────────────────────────────────────────────────


_Pieces: TypeAlias = tuple[Piece, ...]
"""What is wanted of one chunk: a piece for each axis."""


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    """A request, and how what it wants is spread over chunks."""

    request: Request
    layout: Layout
    axes: tuple[Pieces, ...]

    @property
    def chunks(self) -> int:
        """Number of chunks that hold what is wanted."""
        return math.prod(map(len, self.axes))

    def spread(self, cells: npt.NDArray[np.intp]) -> tuple[npt.NDArray[np.int64], list[_Pieces]]:
        """Return the numbers of some chunks, which count the pieces of all axes in C order, and their pieces."""
        at = np.unravel_index(cells, [len(axis) for axis in self.axes])
        numbers = numbers_of(
            [axis.numbers[i] for axis, i in zip(self.axes, at, strict=True)], self.layout.counts
        )
        along = []
        for axis, i in zip(self.axes, at, strict=True):
            made = {one: axis[one] for one in np.unique(i).tolist()}
            along.append([made[one] for one in i.tolist()])
        return numbers, list(zip(*along, strict=True)) if along else [()]

    def decode(self, pieces: _Pieces, data: Any, mask: int) -> npt.NDArray[Any]:
        """Decode a chunk; what does not decode is a ValueError."""
        shape = self.layout.grid
        if self.layout.index is None:  # in one piece: the last block is shorter
            shape = self.layout.chunk_shape(self._start(pieces))
        return self.layout.decode(data, mask, shape)

    def place(self, pieces: _Pieces, chunk: npt.NDArray[Any]) -> None:
        """Put what is wanted of a chunk where it goes."""
        to, at = [piece[2] for piece in pieces], [piece[1] for piece in pieces]
        self.request.target[outer(to)] = chunk[outer(at)]

    def place_fill(self, pieces: _Pieces) -> None:
        """Put the fill value where a chunk that was never written would go."""
        self.request.target[outer([piece[2] for piece in pieces])] = self.layout.fill

    def where(self, pieces: _Pieces) -> str:
        """Name the dataset and the positions that a chunk holds."""
        spans = [f"{span.start}–{span.stop - 1}" for span in self.spans(pieces)]
        if len(spans) == 2:
            return f"the chunk of {self.request.path!r} at rows {spans[0]}, columns {spans[1]}"
        return f"the chunk of {self.request.path!r} at {', '.join(spans)}"

    def spans(self, pieces: _Pieces) -> tuple[range, ...]:
        """Return the positions that a chunk holds, along each axis."""
        places = zip(self._start(pieces), self.layout.grid, self.layout.shape, strict=True)
        return tuple(range(at, min(at + length, whole)) for at, length, whole in places)

    def read_through_h5py(self, h5: h5py.File) -> None:
        """Read block by block as HDF5 does."""
        dataset = h5[self.request.path]
        if not self.axes:
            self.request.target[()] = dataset[()]
            return
        for pieces in self._each():
            start = self._start(pieces)
            shape = self.layout.chunk_shape(start)
            block = tuple(slice(at, at + length) for at, length in zip(start, shape, strict=True))
            self.place(pieces, dataset[block])

    def _each(self) -> Iterator[_Pieces]:
        for start in range(
            0, self.chunks, _SLAB
        ):  # along a million samples all would take hundreds of megabytes
            yield from self.spread(np.arange(start, min(start + _SLAB, self.chunks)))[1]

    def _start(self, pieces: _Pieces) -> tuple[int, ...]:
        return tuple(piece[0] * length for piece, length in zip(pieces, self.layout.grid, strict=True))


def _job(file: Hdf5File, h5: h5py.File, request: Request) -> _Job:
    layout = _layout(file, h5, request.path)
    parts = zip(request.source, request.dest, layout.grid, layout.shape, strict=True)
    return _Job(request, layout, tuple(Pieces(*part) for part in parts))


# By the open handle: a file that was closed and reopened may be another one under the same name.
_layouts: WeakKeyDictionary[h5py.File, dict[str, Layout]] = WeakKeyDictionary()


def _layout(file: Hdf5File, h5: h5py.File, path: str) -> Layout:
    known = _layouts.setdefault(h5, {})
    if path not in known:
        try:
            known[path] = layout_of(
                h5[path], path, file.reader(h5), remote=file.remote is not None, kept=file.kept
            )
        except FileFormatError as error:
            raise _damaged(file, path, error) from error
    return known[path]


def _damaged(file: Hdf5File, path: str, error: FileFormatError) -> FileFormatError:
    return FileFormatError(f"{file.path} is damaged: of {path!r}, {error}. {file.remedy}")


# ── where it is ───────────────────────────────────────────────────────────────────────────────────────────────────

_Located: TypeAlias = tuple[_Job, _Pieces, int, int, int]
"""A job, the pieces of a chunk of it, and the chunk's offset, stored size and filter mask."""


def _slabs(file: Hdf5File, source: ByteSource, jobs: Iterable[_Job]) -> Iterator[list[_Located]]:
    """Locate all chunks, so many at a time as may be in memory."""
    slab: list[_Located] = []
    for job in jobs:
        for start in range(0, job.chunks, _SLAB):
            cells = np.arange(start, min(start + _SLAB, job.chunks))
            slab.extend(_located(file, source, job, cells))
            if len(slab) >= _SLAB:
                yield slab
                slab = []
    yield slab


def _located(
    file: Hdf5File, source: ByteSource, job: _Job, cells: npt.NDArray[np.intp]
) -> Iterator[_Located]:
    numbers, pieces = job.spread(cells)
    try:
        places = job.layout.locate(numbers, source.read)
    except FileFormatError as error:
        raise _damaged(file, job.request.path, error) from error
    most = 2 * math.prod(job.layout.grid) * job.layout.stored.itemsize + 2**16
    wrong = (places.offset < 0) | (places.offset + places.size > source.end) | (places.size > most)
    if wrong.any():
        at = int(np.argmax(wrong))
        offset, size = int(places.offset[at]), int(places.size[at])
        raise DamagedChunkError.of(
            f"{file.path} is damaged: {job.where(pieces[at])} lies at bytes {offset} to {offset + size}, and the "
            f"file has {source.end}. {file.remedy}",
            job.spans(pieces[at]),
        )
    return zip(
        [job] * len(cells),
        pieces, places.offset.tolist(), places.size.tolist(), places.mask.tolist(),
        strict=True,
    )  # fmt: skip


# ── reading and decoding ──────────────────────────────────────────────────────────────────────────────────────────


def _fill(file: Hdf5File, source: ByteSource, slab: list[_Located]) -> None:
    """Read and decode chunks, in threads when there is enough to do."""
    stored = sorted((one for one in slab if one[3]), key=_offset)
    for job, pieces, _, size, _ in slab:
        if not size:
            job.place_fill(pieces)
    if not stored:
        return
    windows = list(_windows(stored, source))
    do = partial(_fill_window, file, source)
    if sum(one[3] for one in stored) < _ALONE:
        for window in windows:
            do(window)
    else:
        work_through(source, windows, do)


def _offset(located: _Located) -> int:
    return located[2]


def _windows(stored: list[_Located], source: ByteSource) -> Iterator[list[_Located]]:
    """Cut chunks, in the order of their offsets, into runs that one thread reads at a time."""
    window: list[_Located] = []
    held = end = 0
    for one in stored:
        offset, size = one[2], one[3]
        gap = offset - end
        taken = size + (gap if 0 < gap <= source.gap else 0)
        if window and (held + taken > source.window or len(window) >= _WINDOW_CHUNKS):
            yield window
            window, held = [], 0
        window.append(one)
        held += taken
        end = max(end, offset + size)
    yield window


def _fill_window(file: Hdf5File, source: ByteSource, window: list[_Located]) -> None:
    try:
        bodies = source.read([(offset, size) for _, _, offset, size, _ in window])
    except FileFormatError as error:
        job, pieces = window[0][:2]
        raise FileFormatError(
            f"{file.path} is damaged: {job.where(pieces)}, or one after it, cannot be read ({error}). {file.remedy}"
        ) from error
    source.inflating(partial(_decode_window, file, window, bodies))


def _decode_window(file: Hdf5File, window: list[_Located], bodies: Sequence[bytes | memoryview]) -> None:
    for (job, pieces, _, _, mask), body in zip(window, bodies, strict=True):
        try:
            chunk = job.decode(pieces, body, mask)
        except ValueError as error:
            raise DamagedChunkError.of(
                f"{file.path} is damaged: {job.where(pieces)} does not decode ({error}). {file.remedy}",
                job.spans(pieces),
            ) from error
        job.place(pieces, chunk)
