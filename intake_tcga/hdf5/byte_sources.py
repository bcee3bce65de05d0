"""Bytes of an open file past HDF5, from disk or over a network, and the threads that wait for them and inflate them."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol, TypeVar

from intake_tcga.errors import FileFormatError

if TYPE_CHECKING:
    from intake_tcga.transfer.ranged import RangedFile

Task = TypeVar("Task")

_GAP = 4 * 2**10  # bytes on disk between two ranges that are read along rather than skipped
_FETCHING = 6  # windows of a remote file in memory at a time, over all readers
_LARGEST = 2 * 2**20  # of one request over a network: several at once are faster than a single long one


class ByteSource(Protocol):
    """Where the bytes of chunks come from."""

    end: int
    """Bytes of the file."""

    window: int
    """Bytes that one thread should ask for at a time: they are in memory together."""

    gap: int
    """Bytes between two ranges that may be in memory with them."""

    def read(self, ranges: Sequence[tuple[int, int]]) -> Sequence[bytes | memoryview]:
        """Read ranges, given as offset and length."""
        ...

    def pool(self) -> ThreadPoolExecutor:
        """Return the threads that read from it."""
        ...

    def inflating(self, do: Callable[[], None]) -> None:
        """Do what inflates, where as many threads do that as there are cores; return when it is done."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


class LocalBytes:
    """A local file, by a descriptor of its own.

    Parameters
    ----------
    descriptor
        Another's, which is copied: it is the very file whose chunks were located, and stays so when the other is
        closed, or the path replaced, while threads are still reading.
    """

    window = 256 * 2**10
    gap = _GAP

    def __init__(self, descriptor: int) -> None:
        self._descriptor = os.dup(descriptor)
        self.end = os.fstat(self._descriptor).st_size

    def read(self, ranges: Sequence[tuple[int, int]]) -> Sequence[bytes | memoryview]:
        """Read ranges; neighbours in the order given are read together.

        Raises
        ------
        FileFormatError
            When the file ends before they do.
        """
        bodies: list[bytes | memoryview] = []
        for first, last, begin, end in _runs(ranges):
            data = os.pread(self._descriptor, end - begin, begin)
            if len(data) != end - begin:
                raise FileFormatError(f"it ends at byte {begin + len(data)}")
            if last - first == 1:
                bodies.append(data)
                continue
            view = memoryview(data)
            bodies.extend(
                view[offset - begin : offset - begin + length] for offset, length in ranges[first:last]
            )
        return bodies

    def pool(self) -> ThreadPoolExecutor:
        """Return the threads for inflating: one a core."""
        return _threads("inflate", _cores())

    def inflating(self, do: Callable[[], None]) -> None:
        """Do it here: there is one thread a core."""
        do()

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self._descriptor)


class RemoteBytes:
    """A remote file.

    Parameters
    ----------
    file
        Reads its ranges.
    """

    window = 4 * 2**20
    gap = 32 * 2**10

    def __init__(self, file: RangedFile) -> None:
        self._file = file
        self.end = file.size

    def read(self, ranges: Sequence[tuple[int, int]]) -> Sequence[bytes | memoryview]:
        """Read ranges, neighbours together, many at once; errors are those of :meth:`RangedFile.read`."""
        return self._file.read(ranges, gap=self.gap, largest=_LARGEST)

    def pool(self) -> ThreadPoolExecutor:
        """Return the threads that wait and inflate: so many windows are in memory at a time, over all readers."""
        return _threads("fetch", _FETCHING)

    def inflating(self, do: Callable[[], None]) -> None:
        """Do it in other threads: those that wait for the network are more, and each would keep memory for it."""
        _threads("inflate", _cores()).submit(do).result()

    def close(self) -> None:
        """Do nothing: the file is its owner's."""


def work_through(source: ByteSource, tasks: Sequence[Task], do: Callable[[Task], None]) -> None:
    """Do all tasks in the source's threads; when this returns, none of them is running any more.

    Raises
    ------
    Exception
        What the first task that failed raised; those that had not begun are not done.
    """
    if len(tasks) == 1:
        do(tasks[0])
        return
    waiting: list[Future[None]] = []
    pool = source.pool()
    try:
        waiting.extend(pool.submit(do, task) for task in tasks)
        for future in waiting:
            future.result()
    finally:
        # Nothing may read from the source, or write into a target, once we have returned.
        for future in waiting:
            future.cancel()
        for future in waiting:
            if not future.cancelled():
                future.exception()


def _runs(ranges: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int, int, int]]:
    """Join neighbours: yield the first and last of each run, and the bytes from which to which it goes."""
    first, begin, end = 0, -1, -1
    for at, (offset, length) in enumerate(ranges):
        if begin >= 0 and not (
            begin <= offset <= end + _GAP and offset + length - begin <= LocalBytes.window
        ):
            yield first, at, begin, end
            first, begin, end = at, -1, -1
        begin = offset if begin < 0 else begin
        end = max(end, offset + length)
    if begin >= 0:
        yield first, len(ranges), begin, end


def _cores() -> int:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, 16)


_lock = threading.Lock()
_pools: dict[str, ThreadPoolExecutor] = {}


def _threads(name: str, most: int) -> ThreadPoolExecutor:
    """Return threads of this process, shared by all readers, so that there are never too many."""
    with _lock:
        if name not in _pools:
            _pools[name] = ThreadPoolExecutor(most, thread_name_prefix=f"intake-tcga-{name}")
        return _pools[name]


def _forget_pools() -> None:
    """Start afresh in a forked child, where the threads do not exist and the lock may be held by one of them."""
    global _lock
    _lock = threading.Lock()
    _pools.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pools)
