"""TMM, the trimmed mean of M-values of Robinson & Oshlack (Genome Biology 11, R25, 2010), as edgeR computes it.

The constants are the defaults of edgeR's ``calcNormFactors``, whose factors these are to within rounding.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from intake_tcga.arrays.sample_blocks import SampleBlocks

Floats = npt.NDArray[np.float64]

RATIO_TRIM = (
    0.3  # logratioTrim: share of the features with the most extreme ratios that is left out at each end
)
SUM_TRIM = 0.05  # sumTrim: the same, of absolute levels
LEVEL_CUTOFF = -1e10  # Acutoff: features at lower levels are left out
QUARTILE = 0.75  # p: what of each library is compared to choose the reference


def tmm_factors(blocks: SampleBlocks, sizes: Any) -> Any:
    """Return each sample's factor, of which the geometric mean is 1; lazily where the blocks are lazy.

    Three passes over the counts choose a reference, the library whose upper quartile is nearest to the mean of all;
    one more compares every library with it. Empty libraries take no part, and get 1.
    """
    counted = blocks.total(_counted)
    # Each pass waits for the last; see SampleBlocks.after.
    second = blocks.after(counted)
    quartiles = second.per_sample(_upper_quartile, shared=[counted])
    roots = second.per_sample(_sum_of_roots)
    reference = blocks.of_all(choose_reference, rows=[quartiles, sizes, roots])
    third = blocks.after(reference)
    row = third.total(_row, rows=[blocks.numbers()], shared=[reference])
    raw = blocks.after(row).per_sample(_factors, shared=[row])
    return blocks.of_all(_centred, rows=[raw, sizes], out="s")


def choose_reference(quartiles: Floats, sizes: Floats, roots: Floats) -> int:
    """Return the number of the reference sample.

    Parameters
    ----------
    quartiles : numpy.ndarray
        Each library's upper quartile, among the features that any sample has.
    sizes : numpy.ndarray
        Each library's sum.
    roots : numpy.ndarray
        Each library's sum of square roots, which decides when most quartiles are 0.

    Examples
    --------
    >>> choose_reference(np.array([2.0, 8, 6]), np.array([10.0, 10, 10]), np.array([1.0, 1, 1]))
    2
    """
    present = np.flatnonzero(sizes > 0)
    if not len(present):
        return 0
    shares = quartiles[present] / sizes[present]
    if np.median(shares) < 1e-20:
        return int(present[roots[present].argmax()])
    return int(present[np.abs(shares - shares.mean()).argmin()])


def tmm_factor(counts: Floats, reference: Floats) -> float:
    """Return the factor of one library against another, before factors are centred.

    Parameters
    ----------
    counts, reference : numpy.ndarray of float64
        Counts of the same features in both; not all 0.

    Examples
    --------
    >>> tmm_factor(np.array([2.0, 4, 8, 90]), np.array([2.0, 4, 8, 10]))
    0.23...
    """
    size, reference_size = counts.sum(), reference.sum()
    both = (counts > 0) & (reference > 0)
    counts, reference = counts[both], reference[both]
    if not len(counts):
        return 1.0
    share, reference_share = counts / size, reference / reference_size
    ratio = np.log2(share / reference_share)
    level = (np.log2(share) + np.log2(reference_share)) / 2
    # Approximate variance of the ratio; features are weighted with its inverse.
    variance = (size - counts) / size / counts + (reference_size - reference) / reference_size / reference
    usable = level > LEVEL_CUTOFF
    ratio, level, variance = ratio[usable], level[usable], variance[usable]
    if not len(ratio) or np.abs(ratio).max() < 1e-6:
        return 1.0
    kept = _central(ratio, RATIO_TRIM) & _central(level, SUM_TRIM)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = (ratio[kept] / variance[kept]).sum() / (1 / variance[kept]).sum()
    return float(2.0**mean) if np.isfinite(mean) else 1.0


def _central(values: Floats, trim: float) -> npt.NDArray[np.bool_]:
    """Tell which values are left when a share of them is trimmed at both ends; equal ones share their mean rank."""
    lowest = np.floor(len(values) * trim) + 1
    ranks = mean_ranks(values)
    return np.asarray((ranks >= lowest) & (ranks <= len(values) + 1 - lowest))


def mean_ranks(values: Floats) -> Floats:
    """Return ranks from 1; equal values share the mean of the ranks that they span.

    Examples
    --------
    >>> mean_ranks(np.array([5.0, 1.0, 5.0])).tolist()
    [2.5, 1.0, 2.5]
    """
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[inverse], dtype=np.float64)


def _counted(block: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Count the samples that have each feature."""
    return np.asarray((block > 0).sum(axis=0))


def _upper_quartile(block: npt.NDArray[Any], counted: Floats) -> Floats:
    there = block[:, counted > 0]
    if not there.shape[1]:
        return np.zeros(len(block))
    return np.asarray(np.quantile(there, QUARTILE, axis=1), dtype=np.float64)


def _sum_of_roots(block: npt.NDArray[Any]) -> Floats:
    with np.errstate(invalid="ignore"):  # negative counts are refused where library sizes are computed
        return np.asarray(np.sqrt(block, dtype=np.float64).sum(axis=1))


def _row(block: npt.NDArray[Any], numbers: npt.NDArray[Any], chosen: Floats) -> npt.NDArray[Any]:
    """Return the one row whose number was chosen, or zeros where it is in another block."""
    return np.asarray(block[numbers == int(chosen)].sum(axis=0, dtype=np.float64))


def _factors(block: npt.NDArray[Any], reference: Floats) -> Floats:
    rows = (row.astype(np.float64) for row in block)
    return np.array([tmm_factor(row, reference) if row.any() else 1.0 for row in rows])


def _centred(factors: Floats, sizes: Floats) -> Floats:
    """Divide the factors of libraries that are not empty by their geometric mean."""
    present = sizes > 0
    centre = np.exp(np.log(factors[present]).mean()) if present.any() else 1.0
    return np.where(present, factors / centre, 1.0)
