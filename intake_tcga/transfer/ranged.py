"""One file, here or far away, read in parts: many ranges in one call, all of the same bytes."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from intake_tcga.errors import OfflineError, OptionError
from intake_tcga.remote import redact
from intake_tcga.transfer.budget import Budget
from intake_tcga.transfer.byte_ranges import Range, merge
from intake_tcga.transfer.options import is_local, protocols
from intake_tcga.transfer.pieces import MOST_AT_ONCE, Identity, Pin, Reader, StuckError, Tally, new_loop

__all__ = ["Identity", "RangedFile"]


class RangedFile:
    """A file that is read by ranges; the first answer says which bytes it has, and every later one must agree.

    Opening costs nothing; what it needs is made at the first read, and made anew after unpickling and after a fork.
    It may be used from many threads at once; no handle is open between calls but a session's idle connections, or a
    local file's descriptor.

    Parameters
    ----------
    url : str or Path
        A path, or any URL that fsspec opens, chained or not.
    size : int, optional
        Bytes the file must have; the first answer is checked against it.
    md5 : str, optional
        Hexadecimal MD5 of the whole file; each answer over HTTP that says one (``Content-MD5``) is checked against it.
    storage_options : mapping, optional
        Options of fsspec: flat for the URL's own protocol, or keyed by protocol. Never changed.
    offline : bool
        Refuse whatever needs a socket, when it does.
    budget : Budget
        Limits: attempts of each request, waits, and the deadline of one call of :meth:`read`.
    headers : mapping, optional
        Further headers of each HTTP request; read when the first one is made, and pickled as the mapping they are.
    concurrency : int
        Requests under way at once, 32 at most. All files of one host together have no more than 32 either.

    Raises
    ------
    OptionError
        ``concurrency`` is out of its range.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile() as local:
    ...     _ = local.write(b"0123456789"), local.flush()
    ...     file = RangedFile(local.name)
    ...     [bytes(part) for part in file.read([(8, 2), (0, 3)])], file.size, file.requests, file.bytes_read
    ([b'89', b'012'], 10, 1, 10)
    """

    def __init__(
        self,
        url: str | Path,
        *,
        size: int | None = None,
        md5: str | None = None,
        storage_options: Mapping[str, Any] | None = None,
        offline: bool = False,
        budget: Budget | None = None,
        headers: Mapping[str, str] | None = None,
        concurrency: int = 16,
    ) -> None:
        if not 1 <= concurrency <= MOST_AT_ONCE:
            raise OptionError(f"concurrency={concurrency} is not between 1 and {MOST_AT_ONCE}.")
        self.url = str(url)
        self._storage_options = storage_options
        self._offline = offline
        self._budget = budget or Budget()
        self._headers: Mapping[str, str] = (
            {} if headers is None else headers
        )  # may read a secret when asked for
        self._concurrency = concurrency
        self._pin = Pin(self.shown_url, size, md5)
        self._tally = Tally()
        self._reader: Reader | None = None
        self._pid = os.getpid()

    def __repr__(self) -> str:
        return f"RangedFile({self.shown_url!r})"

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_reader": None, "_tally": Tally()}  # a copy counts its own

    @property
    def shown_url(self) -> str:
        """The URL without credentials."""
        return redact(self.url)

    @property
    def size(self) -> int:
        """Bytes of the file; asks for it where nothing has said it yet."""
        if self._pin.size is None:
            self.head(1)
        assert self._pin.size is not None
        return self._pin.size

    @property
    def size_known(self) -> int | None:
        """Bytes of the file as far as they were given or said; asks for nothing."""
        return self._pin.size

    @property
    def identity(self) -> Identity:
        """What tells these bytes from others; asks for it, with the file's first byte, if nothing was read yet."""
        if self._pin.identity is None:
            self.head(1)
        assert self._pin.identity is not None
        return self._pin.identity

    @property
    def requests(self) -> int:
        """Requests sent so far, also repeated ones and those for a description (``info``); of a local file, reads."""
        return self._tally.totals[0]

    @property
    def bytes_read(self) -> int:
        """Bytes of bodies received so far: also those of gaps and of answers that failed half way; headers are not."""
        return self._tally.totals[1]

    def read(
        self, ranges: Sequence[Range], *, gap: int = 32 * 1024, largest: int = 8 * 2**20
    ) -> list[bytes | memoryview]:
        """Read many ranges at once, in as few requests as their gaps allow.

        Parameters
        ----------
        ranges : sequence of (int, int)
            Offset and length of each, in bytes, in any order, also overlapping or empty. All of them are in memory at
            the end: ask for what fits.
        gap : int
            Bytes between two ranges, at most, that are read to save a request.
        largest : int
            Bytes of one request at most; longer ranges are split.

        Returns
        -------
        list of bytes or memoryview
            The bytes of each range, of just its length, in the order of ``ranges``. A view keeps the body of its whole
            request alive.

        Raises
        ------
        FileFormatError
            A range is not inside the file, or negative.
        IntegrityError
            The file is not of the expected size or MD5, or has changed since it was first read.
        OfflineError
            ``offline`` and the URL is not local.
        MissingFileError, RemoteNotFoundError, AccessDeniedError, OptionError
            There is no such file; it may not be read; the storage options are wrong.
        TransferError
            Anything else that retries did not cure: also a server that knows no ranges, unless the file is small
            (1 MiB), and bytes that ended early each time.
        """
        if any(length > largest for _, length in ranges):
            _ = self.size  # damaged files ask for absurd lengths, which are not worth a plan
        for offset, length in ranges:
            self._pin.check_inside(offset, length)
        plan = merge(ranges, gap, largest)
        return plan.slices(self._fetch(plan.requests))

    def head(self, length: int) -> memoryview:
        """Read the first bytes, or all where the file has fewer; asks once, also where nothing is known yet.

        Raises
        ------
        IntakeTcgaError
            As for :meth:`read`.
        """
        (first,) = self._fetch([(0, length)], clip=True)
        return first

    def close(self) -> None:
        """Let go of the session or descriptor; a later read takes a new one."""
        self._reader = None

    def _fetch(self, requests: Sequence[Range], *, clip: bool = False) -> list[memoryview]:
        if not requests:
            return []
        try:
            return self._ready().fetch(requests, self._pin, clip=clip)
        except StuckError:
            # fsspec's thread collects h5py's garbage, which waits for HDF5's lock; and the caller, inside HDF5, has it.
            self._reader = self._made(loop=new_loop())
            return self._fetch(requests, clip=clip)

    def _ready(self) -> Reader:
        # Two threads may make one each: both work, and one is dropped. A lock could be held by a thread that waits for
        # HDF5's, which the other one holds.
        if self._reader is None or self._pid != os.getpid():
            self._pid = os.getpid()
            self._reader = self._made()
        return self._reader

    def _made(self, loop: asyncio.AbstractEventLoop | None = None) -> Reader:
        if protocols(self.url) in (["file"], ["local"]):
            from intake_tcga.transfer.ranged_store import LocalRanges

            return LocalRanges(_local_path(self.url), self._tally)
        if self._offline and not is_local(self.url):
            raise OfflineError(
                f"{self.shown_url} cannot be read in offline mode; pass offline=False or unset INTAKE_TCGA_OFFLINE."
            )
        from fsspec.implementations.http import HTTPFileSystem

        from intake_tcga.transfer.ranged_http import HttpRanges
        from intake_tcga.transfer.ranged_store import StoreRanges
        from intake_tcga.transfer.source import Source

        source = Source.of(self.url, self._storage_options, loop=loop)
        if isinstance(source.fs, HTTPFileSystem):
            return HttpRanges(source, self._headers, self._budget, self._concurrency, self._tally)
        return StoreRanges(source, self._budget, self._concurrency, self._tally, loop=loop)


def _local_path(url: str) -> Path:
    from fsspec.implementations.local import LocalFileSystem

    return Path(LocalFileSystem._strip_protocol(url))
