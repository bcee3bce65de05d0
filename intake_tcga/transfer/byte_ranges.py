"""Which byte ranges to ask for so that many wanted ones arrive in few, bounded requests; nothing is read here."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from intake_tcga.errors import FileFormatError, OptionError

Range = tuple[int, int]
"""Offset and length, in bytes."""

Bytes = bytes | bytearray | memoryview


@dataclass(frozen=True, slots=True)
class Plan:
    """Requests that cover all wanted ranges, each byte once.

    Examples
    --------
    >>> plan = merge([(0, 2), (3, 2), (0, 4), (9, 0)], gap=1, largest=100)
    >>> plan.requests, [bytes(one) for one in plan.slices([b"abcde"])]
    (((0, 5),), [b'ab', b'de', b'abcd', b''])
    """

    wanted: tuple[Range, ...]
    """What was asked for, in that order."""

    requests: tuple[Range, ...]
    """What to read: ascending, without overlaps, none empty, none longer than the largest allowed."""

    def slices(self, bodies: Sequence[Bytes]) -> list[bytes | memoryview]:
        """Cut the wanted ranges out of the bodies of all requests, copying only those that several bodies share."""
        starts = [offset for offset, _ in self.requests]
        views = [memoryview(body).toreadonly() for body in bodies]
        return [_cut(views, starts, offset, length) for offset, length in self.wanted]


def merge(ranges: Sequence[Range], gap: int, largest: int) -> Plan:
    """Join ranges that lie close together into one request, and split what is too long for one.

    Parameters
    ----------
    ranges : sequence of (int, int)
        Offset and length of each, in bytes; in any order, also overlapping, equal or empty.
    gap : int
        Bytes that nobody wants and that are read all the same, at most, to save a request.
    largest : int
        Bytes of one request at most.

    Raises
    ------
    FileFormatError
        An offset or length is negative: no file has such a place.
    OptionError
        ``gap`` is negative or ``largest`` is not positive.

    Examples
    --------
    >>> merge([(100, 10), (0, 20), (25, 5)], gap=5, largest=1000).requests
    ((0, 30), (100, 10))
    >>> merge([(0, 25)], gap=0, largest=10).requests
    ((0, 10), (10, 10), (20, 5))
    """
    if gap < 0 or largest < 1:
        raise OptionError(
            f"gap={gap}, largest={largest}: give a gap of 0 bytes or more, and 1 byte or more at once."
        )
    wanted = tuple((int(offset), int(length)) for offset, length in ranges)
    for offset, length in wanted:
        if offset < 0 or length < 0:
            raise FileFormatError(
                f"There are no {length} bytes at {offset} in any file; the file is damaged."
            )
    return Plan(wanted, tuple(_requests(sorted({one for one in wanted if one[1]}), gap, largest)))


def _requests(ascending: Sequence[Range], gap: int, largest: int) -> Iterator[Range]:
    start = end = 0  # of the request that is being put together
    for offset, length in ascending:
        stop = offset + length
        if stop <= end:
            continue
        if end and offset - end <= gap and stop - start <= largest:
            end = stop
            continue
        if end > start:
            yield start, end - start
        start, end = max(offset, end), stop
        while end - start > largest:
            yield start, largest
            start += largest
    if end > start:
        yield start, end - start


def _cut(views: Sequence[memoryview], starts: Sequence[int], offset: int, length: int) -> bytes | memoryview:
    if not length:
        return b""
    at = bisect_right(starts, offset) - 1
    skipped = offset - starts[at]
    first = views[at][skipped : skipped + length]
    if len(first) == length:
        return first
    pieces, left = [first], length - len(first)
    while left:
        at += 1
        pieces.append(views[at][:left])
        left -= len(pieces[-1])
    return b"".join(pieces)
