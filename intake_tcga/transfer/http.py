"""One HTTP request and its body, checked line by line."""

from __future__ import annotations

import asyncio
import email.utils
import os
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any

import aiohttp

from intake_tcga.budget import Budget
from intake_tcga.errors import (
    AccessDeniedError,
    IntakeTcgaError,
    OptionError,
    RemoteNotFoundError,
    TransferError,
)
from intake_tcga.parts import Validator
from intake_tcga.transfer.options import wrong_options
from intake_tcga.transfer.reply import ChangedError, Reply, Sink, TransientError

_BLOCK = 2**20  # bytes handed from the network's thread to the hashing one: fewer, larger steps
_FLUSH_SECONDS = 0.1  # or what has come by then: slow bytes are shown, and left if the process is killed
_IN_FLIGHT = 4 * _BLOCK  # bytes that may wait for the hashing thread, still in the processor's cache
_WORTH_RETRYING = {408, 425, 429}


class HttpAnswer:
    """One HTTP request and its body; the network's thread receives, the caller's hashes and writes."""

    def __init__(
        self,
        fs: Any,
        url: str,
        shown_url: str,
        sink: Sink,
        budget: Budget,
        *,
        fresh: bool,
        given: Sequence[str] = (),
    ) -> None:
        self._fs = fs
        self._url = url
        self._shown_url = shown_url
        self._sink = sink
        self._budget = budget
        self._given = given
        self._pipe = _Pipe(fs.loop)
        self._headers = {"Accept-Encoding": "identity"}
        if fresh:  # a proxy may have kept the wrong bytes
            self._headers |= {"Cache-Control": "no-cache", "Pragma": "no-cache"}
        if sink.offset:
            self._headers["Range"] = f"bytes={sink.offset}-"
            validator = sink.validator
            if validator and validator.if_range and validator.url == shown_url:
                self._headers["If-Range"] = validator.if_range
        self._task: Future[None] | None = None

    def __enter__(self) -> HttpAnswer:
        with suppress(RuntimeError):
            if asyncio.get_running_loop() is self._fs.loop:
                raise TransferError(
                    f"{self._shown_url} is asked for in fsspec's own thread, which would wait for itself."
                )
        self._task = asyncio.run_coroutine_threadsafe(self._receive(), self._fs.loop)
        return self

    def __exit__(self, *_: object) -> None:
        # Also on Ctrl-C: the request must not go on alone, and its connection must not be used again.
        if self._task is not None:
            self._task.cancel()

    def reply(self, alive: Callable[[], None]) -> Reply:
        """Wait for status and headers, and judge them; ``alive`` is called meanwhile and may raise."""
        head = self._pipe.get(alive)
        assert isinstance(head, _Head)
        return head.reply(self._shown_url, asked_from=self._sink.offset, known=self._sink.validator)

    def blocks(self, alive: Callable[[], None]) -> Iterator[bytes]:
        """Iterate over the body; an end that comes too early raises."""
        while (block := self._pipe.get(alive)) is not None:
            assert isinstance(block, bytes)
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
            self._pipe.put(self._failure(error))
        else:
            self._pipe.put(None)

    def _failure(self, error: Exception) -> Exception:
        ours = isinstance(error, (TypeError, AttributeError)) or (
            isinstance(error, ValueError)
            and not isinstance(error, aiohttp.InvalidURL)
            and not _is_redirect(error)
        )
        if ours and self._given:  # what aiohttp is called with is ours but for the options
            return wrong_options(self._shown_url, self._given, error)
        return _http_failure(error, self._shown_url, self._budget)

    async def _request(self) -> aiohttp.ClientResponse:
        fs = self._fs
        session = await fs.set_session()
        options = {
            key: value for key, value in fs.kwargs.items() if key not in {"allow_redirects", "timeout"}
        }
        headers = {**options.pop("headers", {}), **self._headers}
        # aiohttp follows redirects to http and https alone, and takes credentials to no other origin.
        response: aiohttp.ClientResponse = await session.get(
            fs.encode_url(self._url),
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
                raise TransientError(
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

    def reply(self, shown_url: str, *, asked_from: int, known: Validator | None) -> Reply:
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
                raise ChangedError("the server offers the rest of other bytes")  # it ignores If-Range
        return Reply(start, total, validator, self.headers.get("Content-Type", "").startswith("text/html"))

    def _check_status(self, shown_url: str, asked_from: int) -> None:
        status = self.status
        if status in {200, 206}:
            return
        if status in {404, 410}:
            raise RemoteNotFoundError(f"{shown_url} does not exist (HTTP {status}); check its name.")
        if status == 416 and asked_from:
            raise ChangedError(f"the server has no bytes beyond {asked_from:,} any more")
        if status in _WORTH_RETRYING or status >= 500:
            retry_after = _seconds(self.headers.get("Retry-After"))
            raise TransientError(f"the server answers HTTP {status}", retry_after)
        if status in {401, 403}:
            raise AccessDeniedError(
                f"{shown_url} may not be read: the server refused the credentials, or wants some (HTTP {status}); "
                "check storage_options."
            )
        if status == 407:
            raise TransferError(
                f"{shown_url} may not be read: the proxy wants credentials (HTTP 407); check the proxy's settings."
            )
        raise TransferError(f"{shown_url} cannot be read: the server answers HTTP {status}. Check the URL.")

    def _content_range(self) -> tuple[int, int | None]:
        found = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", self.headers.get("Content-Range", "").strip())
        if not found:
            raise ChangedError("the server answers with a range and does not say which")
        return int(found[1]), _number(found[3])


class _Pipe:
    """Hands blocks from the network's thread to another, and holds the network back when that one is slower."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._items: SimpleQueue[_Head | bytes | Exception | None] = SimpleQueue()
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

    def get(self, alive: Callable[[], None]) -> _Head | bytes | None:
        """Wait for the next item; raises the error that ended the transfer. Ctrl-C gets through at any time."""
        while True:
            alive()
            with suppress(Empty):
                item = self._items.get(timeout=0.5)
                break
        if isinstance(item, Exception):
            raise item
        if isinstance(item, bytes):
            with suppress(RuntimeError):  # the loop is gone: so is who waits for room
                self._loop.call_soon_threadsafe(self._took, len(item))
        return item

    def _flush(self) -> None:
        if self._flush_soon is not None:
            self._flush_soon.cancel()
            self._flush_soon = None
        if self._block:
            self._in_flight += self._in_block
            self._items.put(b"".join(self._block))  # one step for hash and write: fewer fights for the GIL
            self._block, self._in_block = [], 0

    def _took(self, size: int) -> None:
        self._in_flight -= size
        self._room.set()


def _http_failure(error: Exception, shown_url: str, budget: Budget) -> Exception:
    """Say what went wrong in our words: aiohttp's may hold the URL with its credentials."""
    if isinstance(error, (TransientError, IntakeTcgaError)):
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
        return TransientError(f"nothing came for {budget.stall_timeout:g} s")
    if isinstance(error, aiohttp.ClientConnectorError):
        code = error.os_error.errno  # negative for a name that no server knows
        reason = os.strerror(code) if code and code > 0 else "no such host"
        return TransientError(f"{error.host} cannot be reached ({reason})")
    if isinstance(error, (aiohttp.ClientPayloadError, aiohttp.ServerDisconnectedError, ConnectionError)):
        return TransientError("the connection was cut")
    return TransientError(f"the connection failed ({type(error).__name__})")


def _is_redirect(error: Exception) -> bool:
    # Before aiohttp 3.10 a plain ValueError, which its words alone tell from others.
    return isinstance(error, _redirect_errors()) or "redirect" in str(error)


def _redirect_errors() -> tuple[type[Exception], ...]:
    found = getattr(aiohttp, "RedirectClientError", None)  # since aiohttp 3.10; a ValueError before
    return (found,) if found else ()


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
