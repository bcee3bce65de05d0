"""Pieces of one file that are fetched at once: how many at a time, how often, and that all are of the same bytes."""

from __future__ import annotations

import asyncio
import hashlib
import threading
import weakref
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import TimeoutError as NotYet
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Protocol

from intake_tcga.errors import FileFormatError, IntegrityError, TransferError
from intake_tcga.transfer.budget import Budget, Patience
from intake_tcga.transfer.byte_ranges import Bytes, Range
from intake_tcga.transfer.reply import TransientError

MOST_AT_ONCE = 32
"""Requests under way to one host at most, whatever asks for them in this process."""

_STUCK = 1.0
"""Seconds after which a loop that has not even begun is taken for one that may never do."""

_hosts: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, asyncio.Semaphore]] = (
    weakref.WeakKeyDictionary()
)
"""Touched in each loop's own thread alone."""


@dataclass(frozen=True)
class Identity:
    """What tells the bytes of a file from those of any other, and from later ones of the same name."""

    url: str
    """Where they are, without credentials."""

    size: int
    """Bytes."""

    validator: str | None
    """ETag, else Last-Modified; of a local file its time of change and inode. None where the server gives none."""

    @property
    def key(self) -> str:
        """Short hexadecimal digest of it all, fit for a file name.

        Examples
        --------
        >>> Identity("https://host/a.h5", 10, '"v1"').key == Identity("https://host/a.h5", 10, '"v2"').key
        False
        """
        text = "\n".join((self.url, str(self.size), self.validator or ""))
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:20]


class Pin:
    """The identity that the first answer showed: every later one must show the same."""

    def __init__(self, shown_url: str, size: int | None, md5: str | None = None) -> None:
        self.shown_url = shown_url
        self.size = size
        self.md5 = md5  # hexadecimal, of the whole file that is meant
        self.identity: Identity | None = None

    @property
    def validator(self) -> str | None:
        """What to compare with, if there is an answer yet."""
        return self.identity.validator if self.identity else None

    def check(self, size: int | None, validator: str | None) -> None:
        """Compare what an answer says with what the first one said, or take note of it."""
        if self.size is not None and size not in {None, self.size}:
            if self.identity:
                raise self.changed(f"it has {size:,} bytes where it had {self.size:,}")
            raise IntegrityError(
                f"{self.shown_url} has {size:,} bytes where {self.size:,} are expected; it is not the file that was "
                "meant."
            )
        if self.identity is None:
            total = size if size is not None else self.size
            if total is None:
                raise TransferError(
                    f"The server of {self.shown_url} does not say how many bytes it has; give its size."
                )
            self.size = total
            self.identity = Identity(self.shown_url, total, validator)
        elif validator != self.identity.validator:
            raise self.changed(f"its tag was {self.identity.validator} and is {validator}")

    def check_md5(self, said: str | None, body: Bytes) -> None:
        """Compare what an answer says of the file's MD5 with the one that is meant.

        By the letter of HTTP it is the MD5 of the answer's own ``body``, which tells nothing of the file; servers of
        files (the GDC's) send that of the whole.
        """
        if self.md5 is None or said in {None, self.md5} or said == _md5(body):
            return
        raise self._other(said)

    def check_whole(self, body: Bytes) -> None:
        """Compare all bytes of a file with the MD5 that is meant."""
        if self.md5 is not None and (found := _md5(body)) != self.md5:
            raise self._other(found)

    def _other(self, md5: str | None) -> IntegrityError:
        return IntegrityError(
            f"{self.shown_url} has the md5 {md5} where {self.md5} is expected; it is not the file that was meant: look "
            "up what is there now."
        )

    def changed(self, how: str) -> IntegrityError:
        """Return the error for a file that is no longer what it was."""
        return IntegrityError(f"{self.shown_url} has changed since it was opened ({how}); open it again.")

    def check_inside(self, offset: int, length: int) -> None:
        """Refuse bytes past the end, once it is known where that is."""
        if self.size is not None and offset + length > self.size:
            raise self.beyond(offset, length)

    def beyond(self, offset: int, length: int) -> FileFormatError:
        """Return the error for bytes that the file does not have."""
        size = "fewer" if self.size is None else f"{self.size:,}"
        return FileFormatError(
            f"{self.shown_url} has {size} bytes, so none at {offset:,}–{offset + length:,}: it is damaged, or not "
            "what it was taken for."
        )


def _md5(body: Bytes) -> str:
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


@dataclass
class Piece:
    """One request's bytes, filled from the front."""

    offset: int
    length: int
    clip: bool = False
    """Whether the end of the file may come earlier."""

    have: int = 0
    body: bytearray = field(default_factory=bytearray)

    def take(self, chunk: Bytes) -> None:
        """Append bytes."""
        if not self.body:
            self.body = bytearray(self.length)
        if self.have + len(chunk) > self.length:
            raise TransientError("the server sends more than the range that was asked for")
        self.body[self.have : self.have + len(chunk)] = chunk
        self.have += len(chunk)

    def cut_at(self, size: int) -> bool:
        """Let a piece that may be cut end with the file; tell whether it lies in the file now."""
        if self.clip:
            self.length = max(min(self.length, size - self.offset), 0)
            del self.body[self.length :]
        return self.offset + self.length <= size

    @property
    def view(self) -> memoryview:
        """The bytes, once all are there."""
        return memoryview(self.body)[: self.have]


_Attempt = Callable[[Piece, Pin], Awaitable[None]]


class Tally:
    """Requests and bytes, counted without a lock: each thread counts its own."""

    def __init__(self) -> None:
        self._of_threads: dict[int, tuple[int, int]] = {}

    def add(self, requests: int, received: int) -> None:
        """Count."""
        me = threading.get_ident()
        before = self._of_threads.get(me, (0, 0))
        self._of_threads[me] = (before[0] + requests, before[1] + received)

    @property
    def totals(self) -> tuple[int, int]:
        """Requests and bytes of all threads."""
        each = list(self._of_threads.values())
        return sum(one[0] for one in each), sum(one[1] for one in each)


class StuckError(Exception):
    """The loop's thread does not come to what it is given: it may wait for a lock that the caller holds (HDF5's)."""


def new_loop() -> asyncio.AbstractEventLoop:
    """Start another loop in a thread of its own, as fsspec does with the one it shares."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="intake-tcga-io", daemon=True).start()
    return loop


class Reader(Protocol):
    """What reads pieces of one kind of place."""

    def fetch(self, ranges: Sequence[Range], pin: Pin, *, clip: bool = False) -> list[memoryview]:
        """Read each range, all of them of the pinned bytes; ``clip`` lets the file end earlier."""


@dataclass
class Crew:
    """Runs the attempts of many pieces at once in fsspec's loop, while the caller's thread waits."""

    loop: asyncio.AbstractEventLoop
    host: str
    at_once: int
    budget: Budget
    _slots: asyncio.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        self._slots = asyncio.Semaphore(self.at_once)

    def run(self, pieces: Sequence[Piece], attempt: _Attempt, pin: Pin) -> list[memoryview]:
        """Fill all pieces, or raise what kept one from it; the others are given up then, and at Ctrl-C."""
        started = threading.Event()
        future = asyncio.run_coroutine_threadsafe(self._all(pieces, attempt, pin, started), self.loop)
        try:
            if not started.wait(_STUCK) and not started.is_set():
                raise StuckError
            while True:
                try:
                    future.result(timeout=0.5)  # Ctrl-C gets through between two waits, on every system
                    break
                except NotYet:
                    if future.done():  # just now, or it raised that itself
                        future.result()
                        break
        finally:
            future.cancel()
        return [piece.view for piece in pieces]

    async def _all(
        self, pieces: Sequence[Piece], attempt: _Attempt, pin: Pin, started: threading.Event
    ) -> None:
        started.set()
        failed: BaseException | None = None
        try:
            async with asyncio.timeout(self.budget.deadline), asyncio.TaskGroup() as group:
                for piece in pieces:
                    group.create_task(self._one(piece, attempt, pin))
        except TimeoutError:
            raise TransferError(
                f"Reading {pin.shown_url} is not complete after {self.budget.deadline:g} s; give a longer "
                "Budget(deadline=…)."
            ) from None
        except BaseExceptionGroup as failures:
            failed = failures.exceptions[0]
        if failed is not None:
            # Raised out here, where the group does not become its context: that is a ring, which no pickle takes on its
            # way from a worker. Nor does any take all that clients raise, which nobody is shown.
            failed.__context__ = None
            try:
                raise failed
            finally:
                del failed  # its traceback has this frame

    async def _one(self, piece: Piece, attempt: _Attempt, pin: Pin) -> None:
        patience = Patience(self.budget)
        while True:
            try:
                async with AsyncExitStack() as stack:
                    await stack.enter_async_context(self._slots)
                    await stack.enter_async_context(self._host_slots())
                    await attempt(piece, pin)
                return
            except TransientError as failure:
                if pin.validator is None:  # nothing would tell that the rest is of the same bytes
                    piece.have = 0
                wait = patience.after_failure(piece.have, failure.retry_after)
                if wait is None:
                    last = piece.offset + piece.length
                    raise TransferError(
                        f"Bytes {piece.offset:,}–{last:,} of {pin.shown_url} could not be fetched: {failure}, and "
                        f"{patience.failures} attempts in a row got no further. Check the network and try again."
                    ) from None
                await asyncio.sleep(wait)

    def _host_slots(self) -> asyncio.Semaphore:
        of_loop = _hosts.setdefault(self.loop, {})
        if self.host not in of_loop:
            of_loop[self.host] = asyncio.Semaphore(MOST_AT_ONCE)
        return of_loop[self.host]
