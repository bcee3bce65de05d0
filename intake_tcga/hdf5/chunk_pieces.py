"""Which part of which chunk holds what is wanted, axis by axis; nothing is read here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Part: TypeAlias = slice | npt.NDArray[np.intp]
"""Positions along one axis: a slice with a positive step, or an array of integers."""

Piece: TypeAlias = tuple[int, Part, Part]
"""Number of a chunk along one axis, positions within it, where they go."""


class Pieces(Sequence[Piece]):
    """What is wanted along one axis, split by the chunks that hold it; each piece is made when it is looked at.

    Parameters
    ----------
    source, dest
        Positions in the dataset, and where they go; of the same length, and not empty.
    chunk
        Length of a chunk along this axis.
    length
        Length of the dataset along this axis.

    Examples
    --------
    >>> list(Pieces(slice(3, 9), slice(0, 6), 4, 10))
    [(0, slice(3, 4, 1), slice(0, 1, 1)), (1, slice(0, 4, 1), slice(1, 5, 1)), (2, slice(0, 1, 1), slice(5, 6, 1))]
    """

    numbers: npt.NDArray[np.int64]
    """Numbers of the chunks along this axis, ascending."""

    def __init__(self, source: Part, dest: Part, chunk: int, length: int) -> None:
        self._chunk = chunk
        self._run: tuple[int, int, int] | None = None
        if isinstance(source, slice) and isinstance(dest, slice):
            start, stop, step = source.indices(length)
            if step == 1 and (dest.step or 1) == 1:
                self._run = start, stop, dest.start or 0
                self.numbers = np.arange(start // chunk, -(-stop // chunk), dtype=np.int64)
                return
        at, to = positions(source, length), positions(dest, None)
        numbers = at // chunk
        if len(numbers) > 1 and (np.diff(numbers) < 0).any():
            order = np.argsort(numbers, kind="stable")
            numbers, at, to = numbers[order], at[order], to[order]
        starts = np.flatnonzero(np.diff(numbers, prepend=-1))
        self.numbers = numbers[starts].astype(np.int64)
        self._starts = np.append(starts, len(numbers))
        self._at, self._to = at - numbers * chunk, to

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: Any) -> Any:
        if not 0 <= index < len(self.numbers):
            raise IndexError(index)
        number = int(self.numbers[index])
        if self._run is not None:
            start, stop, dest = self._run
            first, last = max(start, number * self._chunk), min(stop, (number + 1) * self._chunk)
            at, to = first - number * self._chunk, dest + first - start
            return number, slice(at, at + last - first, 1), slice(to, to + last - first, 1)
        begin, end = self._starts[index : index + 2].tolist()
        return number, _as_slice(self._at[begin:end]), _as_slice(self._to[begin:end])

    def __iter__(self) -> Iterator[Piece]:
        return (self[index] for index in range(len(self)))


def positions(part: Part, length: int | None) -> npt.NDArray[np.intp]:
    """Spell out positions, along an axis of a known length or none."""
    if not isinstance(part, slice):
        return np.asarray(part, dtype=np.intp)
    if length is None:
        return np.arange(part.start or 0, part.stop, part.step or 1, dtype=np.intp)
    return np.arange(*part.indices(length), dtype=np.intp)


def count(part: Part) -> int:
    """Count positions.

    Examples
    --------
    >>> count(slice(1, 6, 2)), count(np.array([4, 4]))
    (3, 2)
    """
    return len(range(part.start or 0, part.stop, part.step or 1)) if isinstance(part, slice) else len(part)


def outer(parts: Sequence[Part]) -> tuple[Any, ...]:
    """Return an index that numpy reads as an outer product."""
    if len([part for part in parts if part.__class__ is not slice]) <= 1:
        return tuple(parts)
    arrays = [
        np.arange(part.start or 0, part.stop, part.step or 1) if isinstance(part, slice) else part
        for part in parts
    ]
    return np.ix_(*arrays)


def _as_slice(at: npt.NDArray[np.intp]) -> Part:
    """Return positions as a slice when they are consecutive: numpy copies slices several times faster."""
    first = int(at[0])
    if len(at) == 1 or (np.diff(at) == 1).all():
        return slice(first, first + len(at), 1)
    return at
