"""Lazy arrays: many HDF5 datasets behind one array with more dimensions, of which only what is asked for is read."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from xarray.backends import BackendArray
from xarray.core import indexing

from intake_tcga.hdf5 import chunks
from intake_tcga.hdf5.file import Hdf5File
from intake_tcga.hdf5.structure import ArrayInfo

_CHUNK = 12 * 2**20  # bytes that one dask chunk should hold, roughly

Positions = npt.NDArray[np.intp]
"""For each position of an axis of the whole, the position in one dataset; -1 where that dataset has nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """One dataset's place in a :class:`LazyStack`."""

    array: ArrayInfo
    """The dataset."""

    maps: tuple[Positions | None, ...]
    """For each of its axes, where the positions of the whole are found; None when they are the same."""

    @property
    def complete(self) -> bool:
        """True when it has a value at every position of the whole."""
        return all(positions is None or bool((positions >= 0).all()) for positions in self.maps)


class LazyStack(BackendArray):  # type: ignore[misc,unused-ignore]
    """Datasets of equal rank, stacked along leading dimensions of names, without reading any of them.

    Parameters
    ----------
    file
        The file that holds all of them.
    lead
        Lengths of the leading dimensions; ``()`` for a single dataset.
    shape
        Lengths of the datasets' own axes, after alignment.
    blocks
        What is at each position of the leading dimensions; where nothing is, values are NaN.
    null_texts
        Texts that mean that there is no value, and are read as NaN.
    """

    def __init__(
        self,
        file: Hdf5File,
        lead: tuple[int, ...],
        shape: tuple[int, ...],
        blocks: Mapping[tuple[int, ...], Block],
        null_texts: frozenset[str] = frozenset(),
    ) -> None:
        self._file = file
        self._lead = lead
        self._blocks = dict(blocks)
        self._null_texts = null_texts
        self._complete = len(blocks) == math.prod(lead) and all(b.complete for b in blocks.values())
        self.shape = (*lead, *shape)
        self.dtype = _common_dtype([block.array for block in blocks.values()], self._complete)

    @classmethod
    def alone(cls, file: Hdf5File, array: ArrayInfo, null_texts: frozenset[str] = frozenset()) -> LazyStack:
        """Return the lazy array over a single dataset, as it is in the file."""
        return cls(file, (), array.shape, {(): Block(array, (None,) * len(array.shape))}, null_texts)

    def preferred_chunks(self, dims: tuple[str, ...]) -> dict[str, int]:
        """Return chunk lengths for dask: one dataset each, cut along its own chunks to about 12 MB."""
        sizes = dict(zip(dims, (1,) * len(self._lead) + self.shape[len(self._lead) :], strict=True))
        axis = len(self._lead)
        if len(dims) > axis and self.dtype.kind != "O":
            row = self.dtype.itemsize * max(1, math.prod(self.shape[axis + 1 :]))
            step = max((b.array.chunks[0] for b in self._blocks.values() if b.array.chunks), default=1)
            sizes[dims[axis]] = min(self.shape[axis], max(1, _CHUNK // (row * step)) * step)
        return {dim: max(1, size) for dim, size in sizes.items()}

    def variable(self, dims: tuple[str, ...], attrs: Mapping[str, Any] | None = None) -> xr.Variable:
        """Return the lazy variable over this array."""
        return xr.Variable(
            dims,
            indexing.LazilyIndexedArray(self),
            attrs=dict(attrs or {}),
            encoding={"preferred_chunks": self.preferred_chunks(dims)},
        )

    def values(self) -> npt.NDArray[Any]:
        """Read everything."""
        return self._get((slice(None),) * len(self.shape))

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        if not isinstance(key, indexing.VectorizedIndexer):
            return self._get(key.tuple)
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER, self._get)

    def _get(self, key: tuple[Any, ...]) -> npt.NDArray[Any]:
        """Read an outer selection: along each axis an integer, a slice, or an array of integers."""
        parts = [part_of(part, length) for part, length in zip(key, self.shape, strict=True)]
        lengths = tuple(len(range(p.stop)[p]) if isinstance(p, slice) else len(p) for p in parts)
        result: npt.NDArray[Any] = (
            np.empty(lengths, self.dtype) if self._complete else np.full(lengths, np.nan, self.dtype)
        )
        depth = len(self._lead)
        requests = []
        for cell in itertools.product(*(_listed(part) for part in parts[:depth])):
            block = self._blocks.get(tuple(at for _, at in cell))
            if block is None:
                continue
            target = result[tuple(to for to, _ in cell)]
            source, dest = _aligned(block, parts[depth:])
            if block.array.kind == "text" or self.dtype.kind == "O":
                self._fill_with_objects(block, target, source, dest)
            else:
                requests.append(chunks.Request(block.array.path, source, target, dest))
        if requests:
            chunks.read(self._file, requests)
        integers = tuple(0 if isinstance(part, int | np.integer) else slice(None) for part in key)
        return result[integers]

    def _fill_with_objects(
        self,
        block: Block,
        target: npt.NDArray[Any],
        source: tuple[chunks.Part, ...],
        dest: tuple[chunks.Part, ...],
    ) -> None:
        # Strings are short lists here, and HDF5 can only read them as a whole anyway.
        if block.array.kind == "text":
            values = self._file.text(block.array)
        else:
            values = self._file.objects(block.array)
        if self._null_texts:
            flat = values.ravel().tolist()
            if not self._null_texts.isdisjoint(text for text in flat if isinstance(text, str)):
                values = values.copy()
                values.ravel()[:] = [np.nan if text in self._null_texts else text for text in flat]
        target[np.ix_(*map(_array, dest))] = values[np.ix_(*map(_array, source))]


def _common_dtype(arrays: list[ArrayInfo], complete: bool) -> np.dtype[Any]:
    """Return a dtype that holds the values of all of them, and NaN where there is nothing."""
    if not arrays or any(array.kind != "number" for array in arrays):
        return np.dtype(object)
    dtype = np.result_type(*(array.dtype for array in arrays))
    if complete or dtype.kind == "f":
        return dtype
    return np.result_type(dtype, np.float64 if dtype.itemsize > 2 else np.float32)


def part_of(key: Any, length: int) -> slice | Positions:
    """Return what xarray asks for along one axis as positions from the beginning: a slice that rises, or an array."""
    if isinstance(key, slice):
        start, stop, step = key.indices(length)
        if step > 0:
            return slice(start, max(start, stop), step)
        return np.arange(start, stop, step, dtype=np.intp)
    if isinstance(key, int | np.integer):
        at = int(key) + (length if key < 0 else 0)
        return slice(at, at + 1, 1)
    positions = np.asarray(key, dtype=np.intp)
    return np.where(positions < 0, positions + length, positions)


def _listed(part: slice | Positions) -> list[tuple[int, int]]:
    """Pair each position in the result with the position in the whole."""
    return list(enumerate(_array(part).tolist()))


def _array(part: slice | Positions) -> Positions:
    if isinstance(part, slice):
        return np.arange(part.start, part.stop, part.step or 1, dtype=np.intp)
    return part


def _aligned(
    block: Block, parts: list[slice | Positions]
) -> tuple[tuple[chunks.Part, ...], tuple[chunks.Part, ...]]:
    """Translate positions in the whole to positions in one dataset, leaving out what it does not have."""
    source: list[chunks.Part] = []
    dest: list[chunks.Part] = []
    for positions, part in zip(block.maps, parts, strict=True):
        if positions is None:
            source.append(part)
            count = len(range(part.stop)[part]) if isinstance(part, slice) else len(part)
            dest.append(slice(0, count, 1))
        else:
            own = positions[part]
            there = np.flatnonzero(own >= 0)
            source.append(own[there])
            dest.append(there)
    return tuple(source), tuple(dest)
