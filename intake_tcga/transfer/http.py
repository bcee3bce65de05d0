"""One HTTP request and its body, checked line by line."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

import aiohttp

from intake_tcga.transfer.budget import Budget
from intake_tcga.transfer.parts import Validator
from intake_tcga.transfer.reply import ChangedError, Reply, Sink
from intake_tcga.transfer.request import Head, failure, get, must_be_outside, paced, post

_BLOCK = 2**20  # bytes handed from the network's thread to the hashing one: fewer, larger steps
_FLUSH_SECONDS = 0.1  # or what has come by then: slow bytes are shown, and left if the process is killed
_IN_FLIGHT = 4 * _BLOCK  # bytes that may wait for the hashing thread, still in the processor's cache


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
        question: bytes | None = None,
    ) -> None:
        self._fs = fs
        self._url = url
        self._shown_url = shown_url
        self._sink = sink
        self._budget = budget
        self._given = given
        self._question = question  # a JSON document that is posted
        self._pipe = _Pipe(fs.loop)
        self._headers = {"Accept-Encoding": "identity"}
        if question is not None:
            self._headers["Content-Type"] = "application/json"
        if fresh:  # a proxy may have kept the wrong bytes
            self._headers |= {"Cache-Control": "no-cache", "Pragma": "no-cache"}
        if sink.offset:
            self._headers["Range"] = f"bytes={sink.offset}-"
            validator = sink.validator
            if validator and validator.if_range and validator.url == shown_url:
                self._headers["If-Range"] = validator.if_range
        self._task: Future[None] | None = None

    def __enter__(self) -> HttpAnswer:
        must_be_outside(self._fs.loop, self._shown_url)
        self._task = asyncio.run_coroutine_threadsafe(self._receive(), self._fs.loop)
        return self

    def __exit__(self, *_: object) -> None:
        # Also on Ctrl-C: the request must not go on alone, and its connection must not be used again.
        if self._task is not None:
            self._task.cancel()

    def reply(self, alive: Callable[[], None]) -> Reply:
        """Wait for status and headers, and judge them; ``alive`` is called meanwhile and may raise."""
        head = self._pipe.get(alive)
        assert isinstance(head, Head)
        return _judged(head, self._shown_url, asked_from=self._sink.offset, known=self._sink.validator)

    def blocks(self, alive: Callable[[], None]) -> Iterator[bytes]:
        """Iterate over the body; an end that comes too early raises."""
        while (block := self._pipe.get(alive)) is not None:
            assert isinstance(block, bytes)
            yield block

    async def _receive(self) -> None:
        """Put the head, the body in blocks, and how it ended into the pipe; in the network's thread."""
        try:
            async with await self._request() as response:
                self._pipe.put(Head.of(response))
                if response.status in {200, 206}:
                    async for chunk in paced(response.content, self._budget):
                        await self._pipe.put_chunk(chunk)
        except Exception as error:  # noqa: BLE001 - it is raised in the caller's thread
            self._pipe.put(failure(error, self._shown_url, self._budget, self._given))
        else:
            self._pipe.put(None)

    async def _request(self) -> aiohttp.ClientResponse:
        if self._question is None:
            return await get(self._fs, self._url, self._headers, self._budget)
        return await post(self._fs, self._url, self._headers, self._budget, self._question)


def _judged(head: Head, shown_url: str, *, asked_from: int, known: Validator | None) -> Reply:
    """Judge status and headers; what is left is a body that starts at a known place."""
    if head.status == 416 and asked_from and not head.downgraded:
        raise ChangedError(f"the server has no bytes beyond {asked_from:,} any more")
    head.check(shown_url)
    validator = Validator(shown_url, head.strong_etag, head.headers.get("Last-Modified"))
    start, total = 0, head.length
    if head.status == 206:
        if head.content_range is None:
            raise ChangedError("the server answers with a range and does not say which")
        start, _, total = head.content_range
        same = known is None or known.url != shown_url or known == validator or validator.if_range is None
        if start != asked_from or not same:
            raise ChangedError("the server offers the rest of other bytes")  # it ignores If-Range
    return Reply(start, total, validator, head.headers.get("Content-Type", "").startswith("text/html"))


class _Pipe:
    """Hands blocks from the network's thread to another, and holds the network back when that one is slower."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._items: SimpleQueue[Head | bytes | Exception | None] = SimpleQueue()
        # What follows is touched in the network's thread alone.
        self._block: list[bytes] = []
        self._in_block = 0
        self._in_flight = 0
        self._flush_soon: asyncio.TimerHandle | None = None
        self._room = asyncio.Event()

    def put(self, item: Head | Exception | None) -> None:
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

    def get(self, alive: Callable[[], None]) -> Head | bytes | None:
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
