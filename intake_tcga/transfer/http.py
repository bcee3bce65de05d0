"""One HTTP request and its body, checked line by line."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

import aiohttp

from intake_tcga.transfer.budget import Budget
from intake_tcga.transfer.parts import Validator
from intake_tcga.transfer.reply import Block, ChangedError, Reply, Sink, TransientError
from intake_tcga.transfer.request import (
    Head,
    failure,
    get,
    must_be_outside,
    paced,
    post,
    read_more_at_once,
)

if TYPE_CHECKING:
    from intake_tcga.digest import Hash

_BLOCK = 2**18  # bytes handed on at a time, at least: one read of a fast connection brings more, uncopied
_FLUSH_SECONDS = 0.1  # or what has come by then: slow bytes are shown, and left if the process is killed
_IN_FLIGHT = 4 * 2**20  # bytes that may wait to be written, still in the processor's cache


class HttpAnswer:
    """One HTTP request and its body; the network's thread receives and hashes, the caller's writes."""

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
        headers: Mapping[str, str] | None = None,
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
        self._headers = {**(headers or {}), "Accept-Encoding": "identity"}
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

    def blocks(self, alive: Callable[[], None]) -> Iterator[Block]:
        """Let the body come, on from what the sink has now; iterating, an end that is too early raises."""
        self._pipe.open(self._sink.running_hash())
        return self._blocks(alive)

    def _blocks(self, alive: Callable[[], None]) -> Iterator[Block]:
        while (block := self._pipe.get(alive)) is not None:
            assert isinstance(block, Block)
            yield block

    async def _receive(self) -> None:
        """Put the head, the body in blocks, and how it ended into the pipe; in the network's thread."""
        try:
            async with await self._request() as response:
                self._pipe.put(await Head.of(response, self._budget))
                if response.status in {200, 206}:
                    read_more_at_once(response)
                    await self._pipe.opened()
                    async for chunk in paced(response.content, self._budget):
                        await self._pipe.put_chunk(chunk)
        except Exception as error:  # noqa: BLE001 - it is raised in the caller's thread
            self._pipe.put(failure(error, self._shown_url, self._budget, self._given))
        except BaseException:  # cancelled, maybe not by us: nobody may wait for ever
            self._pipe.put(TransientError("the connection was given up"))
            raise
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
    if head.encoded:  # unpacked here: no place in the bytes that come is a place in those that are sent
        if head.status == 206:
            raise ChangedError("the server packs the rest, although it is asked not to")
        return Reply(0, total, None, head.headers.get("Content-Type", "").startswith("text/html"))
    if head.status == 206:
        if head.content_range is None:
            raise ChangedError("the server answers with a range and does not say which")
        start, _, total = head.content_range
        same = known is None or known.url != shown_url or known == validator or validator.if_range is None
        if start != asked_from or not same:
            raise ChangedError("the server offers the rest of other bytes")  # it ignores If-Range
    return Reply(start, total, validator, head.headers.get("Content-Type", "").startswith("text/html"))


class _Pipe:
    """Hands blocks from the network's thread to another, and holds the network back when that one is slower.

    Blocks are hashed on this side of it, while they are in the processor's cache: in another thread that takes longer,
    and the writing has to wait for it.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._items: SimpleQueue[Head | Block | Exception | None] = SimpleQueue()
        self._open = asyncio.Event()
        self._hash: Hash | None = None
        self._taken = 0
        # What follows is touched in the network's thread alone.
        self._block: list[bytes] = []
        self._in_block = 0
        self._flush_soon: asyncio.TimerHandle | None = None
        self._put = 0
        self._is_full = False
        self._room = asyncio.Event()

    def open(self, running_hash: Hash | None) -> None:
        """Let the body come, hashed on from what there is."""
        self._hash = running_hash
        self._in_loop(self._open.set)

    async def opened(self) -> None:
        """Wait for whoever judges the head."""
        await self._open.wait()

    def put(self, item: Head | Exception | None) -> None:
        self._flush()
        self._items.put(item)

    async def put_chunk(self, chunk: bytes) -> None:
        """Add to the block under way: waking another thread for each small chunk would halve the speed."""
        if self._hash is not None:
            self._hash.update(chunk)
        self._block.append(chunk)
        self._in_block += len(chunk)
        if self._in_block >= _BLOCK:
            self._flush()
        elif self._flush_soon is None:
            self._flush_soon = self._loop.call_later(_FLUSH_SECONDS, self._flush)
        while self._put - self._taken > _IN_FLIGHT:
            self._room.clear()
            self._is_full = True
            if self._put - self._taken > _IN_FLIGHT:  # still, now that whoever takes is told to wake us
                await self._room.wait()
            self._is_full = False

    def get(self, alive: Callable[[], None]) -> Head | Block | None:
        """Wait for the next item; raises the error that ended the transfer. Ctrl-C gets through at any time."""
        while True:
            alive()
            with suppress(Empty):
                item = self._items.get(timeout=0.5)
                break
        if isinstance(item, Exception):
            raise item
        if isinstance(item, Block):
            self._taken += len(item.content)
            if self._is_full:  # only then: waking the network's thread for each block would slow it down
                self._in_loop(self._room.set)
        return item

    def _flush(self) -> None:
        if self._flush_soon is not None:
            self._flush_soon.cancel()
            self._flush_soon = None
        if self._block:
            self._put += self._in_block
            self._items.put(Block(b"".join(self._block), None if self._hash is None else self._hash.copy()))
            self._block, self._in_block = [], 0

    def _in_loop(self, call: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # the loop is gone, and who waits in it
            self._loop.call_soon_threadsafe(call)
