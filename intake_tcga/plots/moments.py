"""Means and variances of features, some samples at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from intake_tcga.arrays.sample_blocks import SampleBlocks

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """What is known of each feature of a matrix; samples of which nothing is known do not count."""

    n_samples: int
    """Samples of which anything is known."""

    known: npt.NDArray[np.bool_]
    """Features that are finite in all of these samples."""

    mean: Floats
    variance: Floats
    """With n - 1 in the denominator; exactly 0 for constant features. NaN where a feature is not known."""

    def most_variable(self, n: int, among: npt.NDArray[np.bool_] | None = None) -> npt.NDArray[np.intp]:
        """Return the positions of the features of the largest variances, at most ``n``, in the features' order."""
        candidates = np.flatnonzero(self.known if among is None else self.known & among)
        # Stable, so that features of equal variance are taken in their order.
        ranked = candidates[np.argsort(-self.variance[candidates], kind="stable")]
        return np.sort(ranked[:n])


def moments(array: xr.DataArray) -> Moments:
    """Return the means and variances of features, in two passes over (samples, features).

    Examples
    --------
    >>> matrix = xr.DataArray([[1.0, 5.0], [3.0, 5.0], [np.nan, np.nan]], dims=("sample", "feature"))
    >>> found = moments(matrix)
    >>> found.n_samples, found.mean.tolist(), found.variance.tolist()
    (2, [2.0, 5.0], [2.0, 0.0])
    """
    blocks = SampleBlocks.of(array)
    rows, counts, sums = _computed(blocks.per_sample(_present), blocks.total(_finite), blocks.total(_sum))
    n = int(np.asarray(rows).sum())
    known = np.asarray((counts == n) & (n > 0))
    mean = np.where(known, sums / max(n, 1), np.nan)
    (squares,) = _computed(blocks.total(_squares, shared=[_beside(blocks, np.nan_to_num(mean))]))
    # What is left of a constant feature is its mean's rounding, at most once an addition.
    rounding = n * (n * np.finfo(np.float64).eps * np.abs(np.nan_to_num(mean))) ** 2
    variance = np.where(squares > rounding, squares / max(n - 1, 1), 0.0)
    return Moments(n, known, mean, np.where(known & (n > 1), variance, np.nan))


def _beside(blocks: SampleBlocks, values: Floats) -> Any:
    """Return an array of the kind that blocks are worked on with."""
    if not blocks.lazy:
        return values
    import dask.array as da

    return da.from_array(values, chunks=-1)  # type: ignore[no-untyped-call]


def _computed(*results: Any) -> tuple[Any, ...]:
    from dask.base import compute

    return tuple(compute(*results))  # type: ignore[no-untyped-call]


def _present(block: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.asarray(np.isfinite(block).any(axis=1), dtype=np.float64)


def _finite(block: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.asarray(np.isfinite(block).sum(axis=0), dtype=np.float64)


def _sum(block: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.asarray(np.where(np.isfinite(block), block, 0).sum(axis=0, dtype=np.float64))


def _squares(block: npt.NDArray[Any], mean: Floats) -> npt.NDArray[Any]:
    return np.asarray((np.where(np.isfinite(block), block - mean, 0.0) ** 2).sum(axis=0))
