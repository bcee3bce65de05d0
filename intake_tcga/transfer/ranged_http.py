"""Ranges of a file behind HTTP, each answer checked before its body is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

import aiohttp

from intake_tcga.transfer.budget import Budget
from intake_tcga.transfer.byte_ranges import Range
from intake_tcga.transfer.pieces import Crew, Piece, Pin, Tally
from intake_tcga.transfer.reply import NoRangesError, TransientError
from intake_tcga.transfer.request import Head, failure, get, must_be_outside, paced
from intake_tcga.transfer.source import Source

SMALL = 2**20
"""Bytes of a file at most that is read as a whole from a server that knows no ranges."""


class HttpRanges:
    """Reads ranges through the session of fsspec's HTTP filesystem, many at once."""

    def __init__(
        self, source: Source, headers: Mapping[str, str], budget: Budget, at_once: int, tally: Tally
    ) -> None:
        self._source = source
        self._headers = {**source.headers, **headers, "Accept-Encoding": "identity"}
        self._budget = budget
        self._tally = tally
        self._crew = Crew(source.fs.loop, urlsplit(source.path).netloc, at_once, budget)
        self._whole: bytes | None = None  # of a small file whose server knows no ranges

    def fetch(self, ranges: Sequence[Range], pin: Pin, *, clip: bool = False) -> list[memoryview]:
        """Read each range, all of them of the pinned bytes; ``clip`` lets the file end earlier."""
        must_be_outside(self._source.fs.loop, pin.shown_url)
        pieces = [Piece(offset, length, clip) for offset, length in ranges]
        return self._crew.run(pieces, self._attempt, pin)

    async def _attempt(self, piece: Piece, pin: Pin) -> None:
        """Ask for what a piece has not yet."""
        if self._whole is not None:
            return self._cut(piece, self._whole, pin)
        if piece.have and piece.have == piece.length:
            return None  # an answer broke behind its last byte
        try:
            self._tally.add(1, 0)
            async with await get(
                self._source.fs, self._source.path, self._asking_for(piece, pin), self._budget
            ) as response:
                try:
                    await self._take(piece, response, pin)
                except BaseException:
                    response.close()  # what is still to come is not waited for
                    raise
        except Exception as error:  # noqa: BLE001 - whatever the client raises
            raise failure(error, pin.shown_url, self._budget, self._source.given) from None

    def _asking_for(self, piece: Piece, pin: Pin) -> dict[str, str]:
        last = piece.offset + piece.length - 1
        headers = {**self._headers, "Range": f"bytes={piece.offset + piece.have}-{last}"}
        if pin.validator and pin.validator.startswith('"'):  # a strong tag
            headers["If-Match"] = pin.validator
        return headers

    async def _take(self, piece: Piece, response: aiohttp.ClientResponse, pin: Pin) -> None:
        head = await Head.of(response, self._budget)
        if head.status == 412 and pin.validator:
            raise pin.changed("the server no longer has it")
        if head.status == 416 and not head.downgraded:
            return self._beyond(piece, head, pin)
        head.check(pin.shown_url)
        if head.encoded and head.headers["Content-Encoding"].strip().lower() != "identity":
            raise NoRangesError(
                f"{pin.shown_url} cannot be read in part: its server packs the answers "
                f"({head.headers['Content-Encoding']}) although it is asked not to; download the file."
            )
        if head.status == 200:
            return await self._take_whole(piece, head, response, pin)
        expected = self._judged(piece, head, pin)
        before = piece.have
        try:
            async for chunk in paced(response.content, self._budget):
                if piece.have - before + len(chunk) > expected:
                    raise TransientError("the server sends more than the range that was asked for")
                piece.take(chunk)
        finally:
            self._tally.add(0, piece.have - before)
        if piece.have < piece.length:
            raise TransientError(f"the answer ended after {piece.have:,} of {piece.length:,} bytes")
        pin.check_md5(head.md5, piece.view[before:])

    def _judged(self, piece: Piece, head: Head, pin: Pin) -> int:
        """Return the bytes that a ranged answer has, after checking that they are of the range and file meant."""
        if head.content_range is None:
            raise TransientError("the server answers with a range and does not say which")
        first, last, total = head.content_range
        pin.check(total, _validator(head))
        assert pin.size is not None
        if not piece.cut_at(pin.size):
            raise pin.beyond(piece.offset, piece.length)
        asked_from = piece.offset + piece.have
        if first != asked_from or last < first or last >= piece.offset + piece.length:
            raise TransientError(
                f"the server answers with bytes {first:,}–{last:,} where those from {asked_from:,} were asked for"
            )
        return last + 1 - first

    def _beyond(self, piece: Piece, head: Head, pin: Pin) -> None:
        total = head.total_beyond
        if total is None and pin.size is None:
            raise pin.beyond(piece.offset, piece.length)
        if total is not None:
            # Many a server leaves the tag out here.
            pin.check(total, _validator(head) or pin.validator)
        assert pin.size is not None
        if not piece.cut_at(pin.size):
            raise pin.beyond(piece.offset, piece.length)
        if piece.length:
            raise TransientError("the server says that it has no such range")

    async def _take_whole(self, piece: Piece, head: Head, response: aiohttp.ClientResponse, pin: Pin) -> None:
        """Take a small file as it comes, and refuse to wait for a large one."""
        length = head.length
        if length is not None and piece.offset >= length > 0:
            pin.check(length, _validator(head))
            raise pin.beyond(piece.offset, piece.length)
        if length is None or length > SMALL:
            size = "an unknown number of" if length is None else f"all {length:,}"
            raise NoRangesError(
                f"{pin.shown_url} cannot be read in part: its server answers a request for a range with {size} bytes; "
                "download the file."
            )
        pin.check(length, _validator(head))
        body = bytearray()
        try:
            async for chunk in paced(response.content, self._budget):
                body += chunk
        finally:
            self._tally.add(0, len(body))
        if len(body) != length:
            raise TransientError(f"the answer ended after {len(body):,} of {length:,} bytes")
        pin.check_whole(body)
        self._whole = bytes(body)
        self._cut(piece, self._whole, pin)

    @staticmethod
    def _cut(piece: Piece, whole: bytes, pin: Pin) -> None:
        if not piece.cut_at(len(whole)):
            raise pin.beyond(piece.offset, piece.length)
        piece.have = 0
        if piece.length:
            piece.take(memoryview(whole)[piece.offset : piece.offset + piece.length])


def _validator(head: Head) -> str | None:
    return head.headers.get("ETag") or head.headers.get("Last-Modified")
