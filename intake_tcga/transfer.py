"""The only sockets: whole files into part files, and small bodies into memory.

Every byte comes through an fsspec filesystem. HTTP is read through the session of fsspec's own filesystem, so that all
``storage_options`` hold; but by hand, because what fsspec does not do (a ranged answer checked, a short body noticed, a
retry, a minimum rate) is what makes a download right. Anything else is read through ``fs.open``.
"""

from __future__ import annotations

import asyncio
import email.utils
import os
import re
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Protocol

from intake_tcga.budget import Budget, Patience
from intake_tcga.digest import Digest
from intake_tcga.errors import (
    IntakeTcgaError,
    IntegrityError,
    MissingDependencyError,
    OfflineError,
    OptionError,
    RemoteNotFoundError,
    TransferError,
)
from intake_tcga.parts import Part, Validator
from intake_tcga.remote import RemoteFile, redact

if TYPE_CHECKING:
    import aiohttp

__all__ = ["Budget", "download", "is_local", "read_small", "split_options"]

_BLOCK = 2**20  # bytes handed from the network's thread to the hashing one: fewer, larger steps
_FLUSH_SECONDS = 0.1  # or what has come by then: slow bytes are shown, and left if the process is killed
_IN_FLIGHT = 32 * _BLOCK  # bytes that may wait for the hashing thread before the network is told to wait
_LOCAL_PROTOCOLS = {"file", "local", "memory", "data"}
_WORTH_RETRYING = {408, 425, 429}


def download(
    file: RemoteFile,
    part: Part,
    *,
    storage_options: Mapping[str, Any] | None = None,
    budget: Budget | None = None,
    on_bytes: Callable[[int, int | None], None] | None = None,
    on_total: Callable[[int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Digest:
    """Write the bytes of a remote file into its part, checked against the size and digest it must have.

    Goes on from what the part already has where the server can prove that it still has the same bytes. After bytes
    of a wrong size or digest the whole is asked for once more, past all proxies.

    Parameters
    ----------
    file : RemoteFile
        What to fetch. Without a digest, its size or the server's Content-Length must say when it is complete.
    part : Part
        Where to write; left open, complete and not yet on disk for certain (see :meth:`Part.seal`).
    storage_options : mapping, optional
        Options of fsspec: flat for the URL's own protocol, or keyed by protocol. Never changed.
    budget : Budget, optional
        Limits.
    on_bytes : callable, optional
        Told the bytes written so far and the total, if known.
    on_total : callable, optional
        Told the total as soon as it is known; may raise, e.g. when there is no room for it.
    cancelled : callable, optional
        Asked about twice a second; True ends the download.

    Returns
    -------
    Digest
        What was computed: of the file's algorithm, or sha256.

    Raises
    ------
    IntegrityError
        The server's bytes are not the expected ones, twice.
    RemoteNotFoundError
        The server has no such file.
    TransferError
        Anything else that retries did not cure.
    """
    source = _Source.of(file.url, storage_options)
    job = _Job(
        source=source,
        sink=part,
        wanted=_Wanted(file.shown_url, file.name, file.size, file.digest),
        budget=budget or Budget(),
        on_bytes=on_bytes or (lambda done, total: None),
        on_total=on_total or (lambda total: None),
        cancelled=cancelled or (lambda: False),
    )
    job.run()
    return part.digest


def read_small(
    url: str,
    *,
    limit: int,
    storage_options: Mapping[str, Any] | None = None,
    offline: bool = False,
    budget: Budget | None = None,
) -> bytes:
    """Read a whole small body (a manifest) into memory, with the retries of a download.

    Parameters
    ----------
    url : str
        Any URL that fsspec opens.
    limit : int
        Bytes that the body may have at most.
    storage_options : mapping, optional
        Options of fsspec: flat for the URL's own protocol, or keyed by protocol. Never changed.
    offline : bool
        Refuse whatever needs a socket.
    budget : Budget, optional
        Limits.

    Raises
    ------
    OfflineError
        ``offline`` and the URL is not local.
    IntegrityError
        The body is longer than ``limit``.
    RemoteNotFoundError, TransferError
        As for :func:`download`.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile() as file:
    ...     _ = file.write(b"{}"), file.flush()
    ...     read_small(file.name, limit=100, offline=True)
    b'{}'
    """
    if offline and not is_local(url):
        raise OfflineError(
            f"{redact(url)} cannot be read in offline mode; pass offline=False or unset INTAKE_TCGA_OFFLINE."
        )
    body = _Memory()
    job = _Job(
        source=_Source.of(url, storage_options),
        sink=body,
        wanted=_Wanted(redact(url), redact(url), None, None, limit=limit, length_needed=False),
        budget=budget or Budget(),
        fresh_retries=0,
    )
    job.run()
    return bytes(body.content)


def is_local(url: str) -> bool:
    """Tell whether a URL, chained or not, can be read without a socket.

    Examples
    --------
    >>> is_local("/data/BRCA.h5"), is_local("simplecache::file:///data/BRCA.h5"), is_local("zip://a::https://host/z")
    (True, True, False)
    """
    return _protocols(url)[-1] in _LOCAL_PROTOCOLS


def split_options(url: str, storage_options: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return a copy of storage options keyed by protocol, with those protocols alone that occur in the URL.

    Parameters
    ----------
    url : str
        The URL, chained or not.
    storage_options : mapping, optional
        Flat options, which belong to the URL's own (last) protocol, and options keyed by protocol, also mixed.

    Examples
    --------
    >>> split_options("filecache::https://host/f", {"headers": {"a": "b"}, "filecache": {"expiry_time": 0}, "s3": {}})
    {'https': {'headers': {'a': 'b'}}, 'filecache': {'expiry_time': 0}}
    """
    from fsspec.registry import available_protocols

    links = _protocols(url)
    known = {*available_protocols(), "tcgacache"}
    keyed: dict[str, Any] = {}
    for key, value in _copied(storage_options or {}).items():
        if key in known and isinstance(value, dict):
            if key in links:  # fsspec would take any other for an option of the first protocol
                keyed.setdefault(key, {}).update(value)
        else:
            keyed.setdefault(links[-1], {})[key] = value
    return keyed


class _TransientError(Exception):
    """An attempt failed in a way that another one may not."""

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class _ChangedError(_TransientError):
    """The rest that a server offers does not belong to the bytes that are there: start over."""


class _MismatchError(Exception):
    """A server offers or sent bytes that are not the expected ones."""


class _Sink(Protocol):
    """Where bytes go."""

    @property
    def offset(self) -> int: ...
    @property
    def validator(self) -> Validator | None: ...
    @property
    def digest(self) -> Digest | None: ...
    def write(self, chunks: Iterable[bytes]) -> None: ...
    def restart(self) -> None: ...
    def identify(self, validator: Validator) -> None: ...


class _Memory:
    """A small body; it is never resumed, so it keeps no validator."""

    digest: Digest | None = None
    validator: Validator | None = None

    def __init__(self) -> None:
        self.content = bytearray()

    @property
    def offset(self) -> int:
        return len(self.content)

    def write(self, chunks: Iterable[bytes]) -> None:
        for chunk in chunks:
            self.content += chunk

    def restart(self) -> None:
        self.content.clear()

    def identify(self, validator: Validator) -> None:
        pass


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What the bytes must be, and how to say that they are not."""

    shown_url: str
    name: str
    size: int | None
    digest: Digest | None
    limit: int | None = None
    length_needed: bool = True

    def check_offer(self, reply: _Reply) -> None:
        """Refuse, before its first byte, a body that cannot be the right one."""
        if self.size is not None and reply.total not in {None, self.size}:
            raise _MismatchError(
                f"{self.shown_url} offers {reply.total:,} bytes where {self.size:,} are expected{reply.remark}"
            )
        if self.limit is not None and (reply.total or 0) > self.limit:
            raise _MismatchError(
                f"{self.shown_url} has {reply.total:,} bytes where {self.limit:,} at most are expected{reply.remark}"
            )
        if self.length_needed and self.digest is None:
            if self.size is None and reply.total is None:
                raise TransferError(
                    f"Nobody says how many bytes {self.shown_url} has, so nothing could tell a whole download from a "
                    "cut one; give its size or its digest."
                )
            if reply.is_web_page and not self.name.lower().endswith((".html", ".htm")):
                raise TransferError(
                    f"{self.shown_url} answers with a web page instead of {self.name}{reply.remark}."
                )

    def most_bytes(self, reply: _Reply, budget: Budget) -> int:
        for most in (self.size, self.limit, reply.total):
            if most is not None:
                return most
        return budget.max_bytes_unknown_size

    def check_whole(self, sink: _Sink, reply: _Reply) -> None:
        """Check everything that is known of the bytes, after the last one."""
        complete = self.size if self.size is not None else reply.total
        if complete is not None and sink.offset < complete:
            raise _TransientError(f"the connection ended after {sink.offset:,} of {complete:,} bytes")
        if self.digest is not None and sink.digest != self.digest:
            raise _MismatchError(
                f"{self.shown_url} gave bytes with digest {sink.digest} where {self.digest} is expected{reply.remark}"
            )


@dataclass(frozen=True, slots=True)
class _Reply:
    """What a source says before the first byte."""

    start: int = 0
    total: int | None = None
    validator: Validator | None = None
    is_web_page: bool = False

    @property
    def remark(self) -> str:
        return " (it is a web page: a login, a captive portal?)" if self.is_web_page else ""


@dataclass
class _Job:
    """One download: attempts until the bytes are right, or the budget is spent."""

    source: _Source
    sink: _Sink
    wanted: _Wanted
    budget: Budget
    on_bytes: Callable[[int, int | None], None] = lambda done, total: None
    on_total: Callable[[int], None] = lambda total: None
    cancelled: Callable[[], bool] = lambda: False
    fresh_retries: int = 1

    def run(self) -> None:
        patience = Patience(self.budget, furthest=self.sink.offset)
        fresh_retries = self.fresh_retries
        fresh = False
        while True:
            try:
                return self._attempt(patience, fresh=fresh)
            except _MismatchError as mismatch:
                if fresh_retries == 0:
                    raise IntegrityError(
                        f"{mismatch}. Nothing was kept; if a second try later fails too, tell who publishes it."
                    ) from None
                fresh_retries -= 1
                fresh = True
                self.sink.restart()
                patience.furthest = 0
            except _TransientError as failure:
                if isinstance(failure, _ChangedError):
                    self.sink.restart()
                wait = patience.after_failure(self.sink.offset, failure.retry_after)
                if wait is None:
                    raise TransferError(
                        f"{self.wanted.shown_url} could not be fetched: {failure}, and {patience.failures} "
                        f"attempts in a row got no further. Check the network and try again."
                    ) from None
                self._sleep(wait)

    def _attempt(self, patience: Patience, *, fresh: bool) -> None:
        """Ask for what is missing, write it, check the whole."""
        sink = self.sink
        if sink.offset and (sink.validator is None or not self._may_resume()):
            sink.restart()
        with self.source.ask(sink, self.budget, fresh) as answer:
            reply = answer.reply(self._alive(patience))
            self.wanted.check_offer(reply)
            if reply.start != sink.offset:  # a server without ranges, or one whose bytes have changed
                sink.restart()
            if reply.validator:
                sink.identify(reply.validator)
            if reply.total is not None:
                self.on_total(reply.total)
            most = self.wanted.most_bytes(reply, self.budget)
            total = self.wanted.size if self.wanted.size is not None else reply.total
            self.on_bytes(sink.offset, total)
            for chunks in answer.blocks(self._alive(patience)):
                if sink.offset + sum(map(len, chunks)) > most:
                    raise _MismatchError(
                        f"{self.wanted.shown_url} sends more than {most:,} bytes{reply.remark}"
                    )
                sink.write(chunks)
                self.on_bytes(sink.offset, total)
        self.wanted.check_whole(sink, reply)

    def _may_resume(self) -> bool:
        # Bytes of one attempt may only be joined to those of another where a digest of the whole will tell, or
        # where a strong tag promises that they are the same: a date has but seconds.
        assert self.sink.validator is not None
        return self.wanted.digest is not None or self.sink.validator.etag is not None

    def _alive(self, patience: Patience) -> Callable[[], None]:
        def check() -> None:
            if self.cancelled():
                raise TransferError(f"The download of {self.wanted.shown_url} was cancelled.")
            left = patience.seconds_left()
            if left is not None and left <= 0:
                raise TransferError(
                    f"{self.wanted.shown_url} is not complete after {self.budget.deadline:g} s; "
                    "give a longer Budget(deadline=…)."
                )

        return check

    def _sleep(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not self.cancelled():
            time.sleep(min(left, 0.5))


@dataclass(frozen=True)
class _Source:
    """A filesystem of fsspec and a path in it. Made anew for each download: none outlives a fork."""

    fs: Any
    path: str
    shown_url: str

    @classmethod
    def of(cls, url: str, storage_options: Mapping[str, Any] | None) -> _Source:
        from fsspec.core import url_to_fs

        options = split_options(url, storage_options)
        for protocol in {"http", "https"} & set(_protocols(url)):
            # As curl and pip do, and aiohttp does only when told: go through the proxies of the environment.
            given = options.setdefault(protocol, {})
            given["client_kwargs"] = {"trust_env": True, **given.get("client_kwargs", {})}
        try:
            fs, path = url_to_fs(url, **options)
        except ImportError as error:
            raise MissingDependencyError(
                f"{redact(url)} needs a package that is not installed ({error}); for S3: pip install 'intake-tcga[s3]'."
            ) from None
        except ValueError as error:
            raise OptionError(f"{redact(url)} cannot be opened by fsspec: {_plain(error, url)}.") from None
        except Exception as error:  # noqa: BLE001 - whatever a filesystem's client raises
            failure = _failure(error, url)
            if isinstance(failure, IntakeTcgaError):
                raise failure from None
            raise TransferError(f"{redact(url)} cannot be opened: {failure}. Try again.") from None
        return cls(fs, path, redact(url))

    def ask(self, sink: _Sink, budget: Budget, fresh: bool) -> _HttpAnswer | _FileAnswer:
        from fsspec.implementations.http import HTTPFileSystem

        if isinstance(self.fs, HTTPFileSystem):
            return _HttpAnswer(self, sink, budget, fresh)
        return _FileAnswer(self, sink)


class _FileAnswer:
    """Bytes of any filesystem but HTTP: files, memory, S3, archives."""

    def __init__(self, source: _Source, sink: _Sink) -> None:
        self._source = source
        self._sink = sink
        self._file: Any = None

    def __enter__(self) -> _FileAnswer:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def reply(self, alive: Callable[[], None]) -> _Reply:
        alive()
        fs, path = self._source.fs, self._source.path
        with self._explained():
            info = fs.info(path)
            if info.get("type") == "directory":
                raise IsADirectoryError(path)
            # The store's own client retries and times out; whole blocks without read-ahead suit a straight copy.
            how = (
                {"block_size": 16 * _BLOCK, "cache_type": "none"} if getattr(fs, "async_impl", False) else {}
            )
            self._file = fs.open(path, "rb", **how)
        etag = info.get("ETag")
        date = next((info[key] for key in ("LastModified", "mtime", "created") if key in info), None)
        validator = Validator(self._source.shown_url, etag, str(date) if date is not None else None)
        start = self._sink.offset if self._sink.validator == validator else 0
        if start:
            with self._explained():
                self._file.seek(start)
        return _Reply(start, info.get("size"), validator)

    def blocks(self, alive: Callable[[], None]) -> Iterator[list[bytes]]:
        size = 16 * _BLOCK if getattr(self._source.fs, "async_impl", False) else _BLOCK
        while True:
            alive()
            with self._explained():
                block = self._file.read(size)
            if not block:
                return
            yield [block]

    def _explained(self) -> _Explained:
        return _Explained(self._source.shown_url)


class _Explained:
    """Turns what a filesystem raises into this package's errors, without its text, which may hold credentials."""

    def __init__(self, shown_url: str) -> None:
        self._shown_url = shown_url

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if isinstance(error, Exception) and not isinstance(error, IntakeTcgaError):
            raise _failure(error, self._shown_url) from None


def _failure(error: Exception, url: str) -> Exception:
    shown = redact(url)
    if isinstance(error, FileNotFoundError):
        return RemoteNotFoundError(f"{shown} does not exist; check its name.")
    if isinstance(error, ImportError):
        return MissingDependencyError(f"{shown} needs a package that is not installed: {_plain(error, url)}.")
    if isinstance(error, PermissionError) or "Credentials" in type(error).__name__:
        return TransferError(f"Reading {shown} is not allowed; check storage_options for its credentials.")
    if isinstance(error, (IsADirectoryError, NotADirectoryError, KeyError, ValueError, TypeError)):
        return TransferError(f"{shown} cannot be read: {_plain(error, url)}.")
    reason = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
    return _TransientError(f"reading failed ({reason})")


def _plain(error: Exception, url: str) -> str:
    """Return what an error says, with no URL in it but the shown one."""
    text = str(error).replace(url, redact(url)).rstrip(".")
    return re.sub(r"\w+://\S+", lambda found: redact(found.group()), text) or type(error).__name__


class _HttpAnswer:
    """One HTTP request and its body; the network's thread receives, the caller's hashes and writes."""

    def __init__(self, source: _Source, sink: _Sink, budget: Budget, fresh: bool) -> None:
        self._source = source
        self._sink = sink
        self._budget = budget
        self._pipe = _Pipe(source.fs.loop)
        self._headers = {"Accept-Encoding": "identity"}
        if fresh:  # a proxy may have kept the wrong bytes
            self._headers |= {"Cache-Control": "no-cache", "Pragma": "no-cache"}
        if sink.offset:
            self._headers["Range"] = f"bytes={sink.offset}-"
            validator = sink.validator
            if validator and validator.if_range and validator.url == source.shown_url:
                self._headers["If-Range"] = validator.if_range
        self._task: Future[None] | None = None

    def __enter__(self) -> _HttpAnswer:
        self._task = asyncio.run_coroutine_threadsafe(self._receive(), self._source.fs.loop)
        return self

    def __exit__(self, *_: object) -> None:
        # Also on Ctrl-C: the request must not go on alone, and its connection must not be used again.
        if self._task is not None:
            self._task.cancel()

    def reply(self, alive: Callable[[], None]) -> _Reply:
        head = self._pipe.get(alive)
        assert isinstance(head, _Head)
        return head.reply(self._source.shown_url, asked_from=self._sink.offset, known=self._sink.validator)

    def blocks(self, alive: Callable[[], None]) -> Iterator[list[bytes]]:
        while (block := self._pipe.get(alive)) is not None:
            assert isinstance(block, list)
            yield block

    async def _receive(self) -> None:
        """Put the head, the body in blocks, and how it ended into the pipe; in the network's thread."""
        try:
            async with await self._request() as response:
                self._pipe.put(_Head.of(response))
                if response.status in {200, 206}:
                    async for chunk in _paced(response.content, self._budget):
                        await self._pipe.put_chunk(chunk)
        except Exception as error:  # noqa: BLE001 - it is raised in the caller's thread
            self._pipe.put(_http_failure(error, self._source.shown_url, self._budget))
        else:
            self._pipe.put(None)

    async def _request(self) -> aiohttp.ClientResponse:
        import aiohttp

        fs = self._source.fs
        session = await fs.set_session()
        options = {
            key: value for key, value in fs.kwargs.items() if key not in {"allow_redirects", "timeout"}
        }
        headers = {**options.pop("headers", {}), **self._headers}
        # aiohttp follows redirects to http and https alone, and takes credentials to no other origin.
        response: aiohttp.ClientResponse = await session.get(
            fs.encode_url(self._source.path),
            headers=headers,
            max_redirects=self._budget.max_redirects,
            read_bufsize=_BLOCK,
            timeout=aiohttp.ClientTimeout(
                total=None, connect=self._budget.connect_timeout, sock_read=self._budget.stall_timeout
            ),
            **options,
        )
        return response


async def _paced(content: Any, budget: Budget) -> AsyncIterator[bytes]:
    """Iterate over a body's chunks, and give up when it trickles."""
    clock = asyncio.get_running_loop().time
    in_window, began = 0, clock()
    while chunk := await content.readany():
        came = clock()
        in_window += len(chunk)
        if came - began >= budget.min_rate_window:
            if in_window < budget.min_rate * (came - began):
                raise _TransientError(
                    f"the server sends less than {budget.min_rate:g} bytes a second "
                    f"({in_window:,} bytes in {came - began:.0f} s)"
                )
            in_window, began = 0, came
        yield chunk
        began += clock() - came  # time spent waiting for the disk is not the server's


@dataclass(frozen=True, slots=True)
class _Head:
    """Status and headers of a response."""

    status: int
    headers: Mapping[str, str]
    downgraded: bool

    @classmethod
    def of(cls, response: aiohttp.ClientResponse) -> _Head:
        hops = [earlier.url.scheme for earlier in response.history]
        return cls(response.status, response.headers, "https" in hops and response.url.scheme != "https")

    def reply(self, shown_url: str, *, asked_from: int, known: Validator | None) -> _Reply:
        """Judge status and headers; what is left is a body that starts at a known place."""
        if self.downgraded:
            raise TransferError(
                f"{shown_url} redirects from https to http; that is refused. Use another URL."
            )
        self._check_status(shown_url, asked_from)
        etag = self.headers.get("ETag")
        validator = Validator(
            shown_url,
            etag if etag and not etag.startswith("W/") else None,
            self.headers.get("Last-Modified"),
        )
        start, total = 0, None
        if "Content-Encoding" not in self.headers:  # decoded on the way in: its lengths are not the file's
            total = _number(self.headers.get("Content-Length"))
        if self.status == 206:
            start, total = self._content_range()
            same = known is None or known.url != shown_url or known == validator or validator.if_range is None
            if start != asked_from or not same:
                raise _ChangedError("the server offers the rest of other bytes")  # it ignores If-Range
        return _Reply(start, total, validator, self.headers.get("Content-Type", "").startswith("text/html"))

    def _check_status(self, shown_url: str, asked_from: int) -> None:
        status = self.status
        if status in {200, 206}:
            return
        if status in {404, 410}:
            raise RemoteNotFoundError(f"{shown_url} does not exist (HTTP {status}); check its name.")
        if status == 416 and asked_from:
            raise _ChangedError(f"the server has no bytes beyond {asked_from:,} any more")
        if status in _WORTH_RETRYING or status >= 500:
            retry_after = _seconds(self.headers.get("Retry-After"))
            raise _TransientError(f"the server answers HTTP {status}", retry_after)
        if status in {401, 403, 407}:
            raise TransferError(
                f"{shown_url} may not be read (HTTP {status}); check storage_options for its credentials."
            )
        raise TransferError(f"{shown_url} cannot be read: the server answers HTTP {status}. Check the URL.")

    def _content_range(self) -> tuple[int, int | None]:
        found = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", self.headers.get("Content-Range", "").strip())
        if not found:
            raise _ChangedError("the server answers with a range and does not say which")
        return int(found[1]), _number(found[3])


class _Pipe:
    """Hands blocks from the network's thread to another, and holds the network back when that one is slower."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._items: SimpleQueue[_Head | list[bytes] | Exception | None] = SimpleQueue()
        # What follows is touched in the network's thread alone.
        self._block: list[bytes] = []
        self._in_block = 0
        self._in_flight = 0
        self._flush_soon: asyncio.TimerHandle | None = None
        self._room = asyncio.Event()

    def put(self, item: _Head | Exception | None) -> None:
        self._flush()
        self._items.put(item)

    async def put_chunk(self, chunk: bytes) -> None:
        """Add to the block under way: waking another thread for each chunk would halve the speed."""
        self._block.append(chunk)
        self._in_block += len(chunk)
        if self._in_block >= _BLOCK:
            self._flush()
        elif self._flush_soon is None:
            self._flush_soon = self._loop.call_later(_FLUSH_SECONDS, self._flush)
        while self._in_flight > _IN_FLIGHT:
            self._room.clear()
            await self._room.wait()

    def get(self, alive: Callable[[], None]) -> _Head | list[bytes] | None:
        """Wait for the next item; raises the error that ended the transfer. Ctrl-C gets through at any time."""
        while True:
            alive()
            with suppress(Empty):
                item = self._items.get(timeout=0.5)
                break
        if isinstance(item, Exception):
            raise item
        if isinstance(item, list):
            with suppress(RuntimeError):  # the loop is gone: so is who waits for room
                self._loop.call_soon_threadsafe(self._took, sum(map(len, item)))
        return item

    def _flush(self) -> None:
        if self._flush_soon is not None:
            self._flush_soon.cancel()
            self._flush_soon = None
        if self._block:
            self._in_flight += self._in_block
            self._items.put(self._block)
            self._block, self._in_block = [], 0

    def _took(self, size: int) -> None:
        self._in_flight -= size
        self._room.set()


def _http_failure(error: Exception, shown_url: str, budget: Budget) -> Exception:
    """Say what went wrong in our words: aiohttp's may hold the URL with its credentials."""
    import aiohttp

    if isinstance(error, (_TransientError, IntakeTcgaError)):
        return error
    if isinstance(error, aiohttp.TooManyRedirects):
        return TransferError(
            f"{shown_url} redirects more than {budget.max_redirects} times; use another URL."
        )
    if isinstance(error, aiohttp.InvalidURL) and not isinstance(error, _redirect_errors()):
        return OptionError(f"{shown_url} is not a URL that can be asked for; check it.")
    if isinstance(error, (*_redirect_errors(), ValueError)):
        return TransferError(
            f"{shown_url} redirects to something that is not http or https; that is refused."
        )
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return TransferError(
            f"The certificate of {shown_url} is not trusted; check the URL and this machine's clock."
        )
    if isinstance(error, asyncio.TimeoutError):
        return _TransientError(f"nothing came for {budget.stall_timeout:g} s")
    if isinstance(error, aiohttp.ClientConnectorError):
        code = error.os_error.errno  # negative for a name that no server knows
        reason = os.strerror(code) if code and code > 0 else "no such host"
        return _TransientError(f"{error.host} cannot be reached ({reason})")
    if isinstance(error, (aiohttp.ClientPayloadError, aiohttp.ServerDisconnectedError, ConnectionError)):
        return _TransientError("the connection was cut")
    return _TransientError(f"the connection failed ({type(error).__name__})")


def _redirect_errors() -> tuple[type[Exception], ...]:
    import aiohttp

    found = getattr(aiohttp, "RedirectClientError", None)  # since aiohttp 3.10; a ValueError before
    return (found,) if found else ()


def _protocols(url: str) -> list[str]:
    """Return the protocol of each link of a chain; a bare word is one anywhere but at the end (``filecache::…``)."""
    *links, last = url.split("::")
    return [*(link.partition("://")[0] for link in links), _protocol(last)]


def _protocol(url: str) -> str:
    protocol, found, _ = url.partition("://")
    if found and len(protocol) > 1:  # C://… is a drive
        return protocol
    return "data" if url.startswith("data:") else "file"


def _copied(value: Any) -> Any:
    """Copy dicts and lists all the way down, and share what else is in them (SSL contexts cannot be copied)."""
    if isinstance(value, Mapping):
        return {key: _copied(inner) for key, inner in value.items()}
    return [_copied(inner) for inner in value] if isinstance(value, list) else value


def _number(text: str | None) -> int | None:
    return int(text) if text and re.fullmatch(r"\d{1,18}", text) else None


def _seconds(retry_after: str | None) -> float | None:
    """Read a Retry-After header: seconds, or a date."""
    if retry_after is None:
        return None
    if (seconds := _number(retry_after.strip())) is not None:
        return float(seconds)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(retry_after).timestamp() - time.time())
    except ValueError:
        return None
