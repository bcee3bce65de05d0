"""Passes over a matrix, some samples at a time: the same functions of blocks, in memory or lazily over dask."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import xarray as xr

from intake_tcga.arrays.grouping import with_whole_rows

_BLOCK = 32 * 2**20  # bytes that are worked on at once
_KEPT = 256 * 2**20  # bytes that may stay in memory from one pass over dask blocks to the next


@dataclass(frozen=True, slots=True, eq=False)
class SampleBlocks:
    """Samples × features in blocks of whole samples.

    Functions get a block and then, in order, the block's part of each array in ``rows`` (one value a sample) and
    each array in ``shared`` whole. They are called for one block at a time and must be picklable.
    """

    values: Any
    """A numpy or a dask array, (samples, features)."""

    @classmethod
    def of(cls, array: xr.DataArray) -> SampleBlocks:
        """Take a matrix, one sample a row; what is not in memory becomes dask blocks and stays unread."""
        return cls(lazy_rows(array.variable))

    @property
    def lazy(self) -> bool:
        """True when nothing is computed before it is asked for."""
        return not isinstance(self.values, np.ndarray)

    @property
    def n_samples(self) -> int:
        """Number of rows."""
        return int(self.values.shape[0])

    def after(self, *results: Any) -> SampleBlocks:
        """Return the same rows, to be read once ``results`` are there.

        dask keeps a block that is needed twice until its last use. A second pass that waits for the whole first one
        would so keep the whole matrix; this one reads it again, unless it is small.
        """
        if not self.lazy or self.values.nbytes <= _KEPT:
            return self
        from dask.graph_manipulation import bind

        return SampleBlocks(bind(self.values, list(results)))

    def map(
        self,
        function: Callable[..., npt.NDArray[Any]],
        *,
        rows: Sequence[Any] = (),
        shared: Sequence[Any] = (),
        dtype: npt.DTypeLike = np.float64,
    ) -> Any:
        """Return a matrix of the same shape: the function makes a block of each block."""
        if not self.lazy:
            result = np.empty(self.values.shape, dtype)
            for part in self._parts():
                result[part] = function(self.values[part], *(row[part] for row in rows), *shared)
            return result
        return self._blockwise(_Cast(function, np.dtype(dtype)), "sf", rows, shared, dtype)

    def per_sample(
        self,
        function: Callable[..., npt.NDArray[Any]],
        *,
        rows: Sequence[Any] = (),
        shared: Sequence[Any] = (),
    ) -> Any:
        """Return one float64 a sample: the function makes a vector of each block."""
        if not self.lazy:
            result = np.empty(self.n_samples)
            for part in self._parts():
                result[part] = function(self.values[part], *(row[part] for row in rows), *shared)
            return result
        return self._blockwise(function, "s", rows, shared, np.float64)

    def total(
        self,
        function: Callable[..., npt.NDArray[Any]],
        *,
        rows: Sequence[Any] = (),
        shared: Sequence[Any] = (),
    ) -> Any:
        """Return one float64 a feature: the sum of what the function makes of each block."""
        if not self.lazy:
            result = np.zeros(self.values.shape[1])
            for part in self._parts():
                result += function(self.values[part], *(row[part] for row in rows), *shared)
            return result
        ones = (1,) * len(self.values.chunks[0])
        return self._blockwise(_AsRow(function), "sf", rows, shared, np.float64, {"s": ones}).sum(axis=0)

    def of_all(
        self,
        function: Callable[..., Any],
        *,
        rows: Sequence[Any] = (),
        shared: Sequence[Any] = (),
        out: Literal["", "s", "f"] = "",
    ) -> Any:
        """Return what a function makes of small arrays, whole: a number, or one a sample (s) or a feature (f)."""
        if not self.lazy:
            return np.asarray(function(*rows, *shared), dtype=np.float64)
        # Not dask.delayed: it optimizes what it is given at once, so that blocks would be read again for each use.
        whole = [row.rechunk(-1) for row in rows]
        made = self._blockwise(_AsFloats(function), out, whole, shared, np.float64, of_values=False)
        return made.rechunk((self.values.chunks[0],)) if out == "s" else made

    def numbers(self) -> Any:
        """Return the row numbers, in parts like those of the rows."""
        if not self.lazy:
            return np.arange(self.n_samples)
        import dask.array as da

        return da.arange(self.n_samples, chunks=(self.values.chunks[0],))

    def _parts(self) -> list[slice]:
        length = max(1, _BLOCK // max(1, 8 * self.values.shape[1]))
        return [slice(start, start + length) for start in range(0, self.n_samples, length)]

    def _blockwise(
        self,
        function: Callable[..., Any],
        out: str,
        rows: Sequence[Any],
        shared: Sequence[Any],
        dtype: npt.DTypeLike,
        chunks: dict[str, tuple[int, ...]] | None = None,
        of_values: bool = True,
    ) -> Any:
        import dask.array as da

        arrays: list[Any] = [self.values, "sf"] if of_values else []
        for row in rows:
            arrays += [row, "s"]
        for array in shared:
            arrays += [array, "f" if array.ndim else ""]
        return da.blockwise(  # type: ignore[no-untyped-call]
            function,
            out,
            *arrays,
            dtype=dtype,
            meta=np.empty((0,) * len(out), dtype),
            adjust_chunks=chunks,
            concatenate=True,
            align_arrays=False,
        )


def lazy_rows(variable: xr.Variable) -> Any:
    """Return the values of (samples, features): numpy where they are in memory, else dask blocks of whole samples."""
    if variable.chunks is None:
        if variable._in_memory:
            return np.asarray(variable.values)
        variable = variable.chunk({variable.dims[0]: rows_at_once(variable), variable.dims[1]: -1})
    return with_whole_rows(variable.data)


def rows_at_once(variable: xr.Variable) -> int:
    """Return how many rows make a block of 32 MiB, or one of the file's preferred chunks where these are larger."""
    step = int(variable.encoding.get("preferred_chunks", {}).get(variable.dims[0], 1))
    row = int(variable.dtype.itemsize) * max(1, int(variable.shape[1]))
    return max(1, min(int(variable.shape[0]), math.ceil(_BLOCK / (row * step)) * step))


@dataclass(frozen=True, slots=True)
class _Cast:
    """A function whose result gets a type."""

    function: Callable[..., npt.NDArray[Any]]
    dtype: np.dtype[Any]

    def __call__(self, *arguments: Any) -> npt.NDArray[Any]:
        return self.function(*arguments).astype(self.dtype, copy=False)


@dataclass(frozen=True, slots=True)
class _AsRow:
    """A function whose vector becomes a block of one row."""

    function: Callable[..., npt.NDArray[Any]]

    def __call__(self, *arguments: Any) -> npt.NDArray[np.float64]:
        return np.asarray(self.function(*arguments), dtype=np.float64)[None, :]


@dataclass(frozen=True, slots=True)
class _AsFloats:
    """A function whose result becomes an array of float64."""

    function: Callable[..., Any]

    def __call__(self, *arguments: Any) -> npt.NDArray[np.float64]:
        return np.asarray(self.function(*arguments), dtype=np.float64)
