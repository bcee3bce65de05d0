"""Counts made comparable between samples: by library size, by distribution, by trimmed means, by median ratios."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import xarray as xr

from intake_tcga.arrays.matrices import Data, as_given, find_matrix
from intake_tcga.arrays.sample_blocks import SampleBlocks
from intake_tcga.errors import OptionError
from intake_tcga.trimmed_means import tmm_factors

Method: TypeAlias = Literal[
    "cpm", "log_cpm", "quantile", "log_quantile", "tmm", "log_trimmed_mean", "median_of_ratios"
]
"""How samples are made comparable."""

NORMALIZED = "intake_tcga:normalization"
"""Attribute of a normalized variable: the method."""

_MILLION = 1e6
_TRIM = 0.05  # share of the positive values that log_trimmed_mean leaves out at each end

Floats = npt.NDArray[np.float64]


def normalize(
    data: Data,
    method: Method,
    *,
    variable: Hashable | None = None,
    name: Hashable | None = None,
    dtype: Literal["float64", "float32"] = "float64",
) -> Data:
    """Make the counts of samples comparable.

    Parameters
    ----------
    data : xarray.Dataset or xarray.DataArray
        Counts along samples and features, in memory, over dask, or not read yet. The one variable of numbers along
        ``sample`` (or ``raw_sample``, …) and ``feature`` (or ``raw_feature``) is taken.
    method : str
        With x the counts of a sample and N their sum:

        - ``"cpm"``: counts per million, x / N · 10⁶. Coordinate ``library_size``: N.
        - ``"log_cpm"``: log2(1 + cpm). Coordinate ``library_size``.
        - ``"quantile"``: every sample gets the same distribution, the mean over samples of their sorted values;
          equal values of a sample share the mean of the values whose ranks they span.
        - ``"log_quantile"``: the same of log2(1 + x).
        - ``"tmm"``: counts per million of effective library sizes, x / (N · f) · 10⁶, with f the trimmed mean of
          M-values of Robinson & Oshlack (2010) as edgeR's ``calcNormFactors`` computes it by default: 30 % of the
          log ratios and 5 % of the levels trimmed at each end, weighted, against the library whose upper quartile
          is nearest to the mean of all. Coordinates ``library_size`` and ``norm_factor``: N and f.
        - ``"log_trimmed_mean"``: log2(1 + x) over the mean of its positive values, 5 % of them trimmed at each
          end. archs4py calls this ``tmm``. Coordinate ``trimmed_mean``.
        - ``"median_of_ratios"``: counts over DESeq2's size factor, the median ratio to the geometric mean over
          samples, among the features that every sample has. Coordinate ``size_factor``.
    variable : str, optional
        Which variable, where several have such dimensions.
    name : str, optional
        The result's name; by default the method's, so that nothing is called counts that is not.
    dtype : {"float64", "float32"}
        Type of the result. Everything is computed in float64; float32 halves the memory that the result takes.

    Returns
    -------
    xarray.Dataset or xarray.DataArray
        What was given, with the normalized variable in the counts' place: all coordinates and attributes kept, the
        method in the attribute ``intake_tcga:normalization``.

        Samples without a single count stay 0 and never become NaN: they get the factor 1, and no other sample's
        numbers depend on them. Only in ``"quantile"`` and ``"log_quantile"`` they are samples like all others: one
        big tie, which takes the mean of the common distribution everywhere.

        Data in memory are computed at once. All else stays lazy, matrix and factors, over dask blocks of whole
        samples. ``"cpm"``, ``"log_cpm"`` and ``"log_trimmed_mean"`` need one sample at a time, and so one pass. The
        others need all samples before the first is done: ``"quantile"`` reads the data twice,
        ``"median_of_ratios"`` three times, ``"tmm"`` five times, in passes that follow one another, so that memory
        is bounded by the blocks, not by the data (data of up to 256 MiB are kept from one pass to the next instead).
        Each computation of the result starts anew: ``.load()`` or ``.persist()`` what is used more than once, and
        what is remote before it is normalized, if it fits.
        Sums over samples depend on the blocks in their last bits.

    Raises
    ------
    OptionError
        When ``method`` is none of these; when there is no such variable or several; when values are infinite,
        missing, or negative (which ``"quantile"`` alone takes), or no feature is counted in every sample
        (``"median_of_ratios"``): over dask at the time of computing.

    Examples
    --------
    >>> counts = xr.Dataset(
    ...     {"counts": (("sample", "feature"), [[1, 1, 2], [30, 50, 20]])}, {"feature": ["TP53", "MYC", "KRAS"]}
    ... )
    >>> normalize(counts, "cpm")["cpm"].values
    array([[250000., 250000., 500000.],
           [300000., 500000., 200000.]])
    >>> normalize(counts, "quantile")["quantile"].values
    array([[13. , 13. , 26. ],
           [15.5, 26. , 10.5]])
    >>> normalize(counts, "median_of_ratios").coords["size_factor"].values.round(3)
    array([0.183, 5.477])
    """
    if method not in _METHODS:
        raise OptionError(f"method={method!r} is not one of {', '.join(_METHODS)}.")
    if dtype not in {"float64", "float32"}:
        raise OptionError(f"dtype={dtype!r} is not one of float64, float32.")
    matrix = find_matrix(data, variable)
    counts = matrix.array
    name = method if name is None else name
    if name in matrix.dataset.coords or name in matrix.dataset.sizes:
        raise OptionError(f"name={name!r} is a coordinate of this Dataset; choose another.")
    done = _METHODS[method](SampleBlocks.of(counts), np.dtype(dtype))
    attrs = counts.attrs | {"units": done.units, NORMALIZED: method}
    coords = {key: xr.Variable((matrix.sample,), values) for key, values in done.factors.items()}
    return as_given(matrix.replaced(done.values, name, attrs, coords), name, data)


@dataclass(frozen=True, slots=True, eq=False)
class _Done:
    """A normalized matrix."""

    values: Any
    units: str
    factors: Mapping[str, Any] = field(default_factory=dict)
    """What the samples were divided by, as coordinates of theirs."""


def _cpm(blocks: SampleBlocks, dtype: np.dtype[Any]) -> _Done:
    sizes = blocks.per_sample(_library_size)
    values = blocks.map(_per_million, rows=[sizes], dtype=dtype)
    return _Done(values, "counts per million", {"library_size": sizes})


def _log_cpm(blocks: SampleBlocks, dtype: np.dtype[Any]) -> _Done:
    sizes = blocks.per_sample(_library_size)
    values = blocks.map(_log_per_million, rows=[sizes], dtype=dtype)
    return _Done(values, "log2(1 + counts per million)", {"library_size": sizes})


def _quantile(blocks: SampleBlocks, dtype: np.dtype[Any], *, log: bool = False) -> _Done:
    sums = blocks.total(partial(_sum_of_sorted, log=log))
    target = sums / max(1, blocks.n_samples)
    values = blocks.after(target).map(partial(_by_rank, log=log), shared=[target], dtype=dtype)
    return _Done(values, "log2(1 + counts), quantiles" if log else "counts, quantiles")


def _tmm(blocks: SampleBlocks, dtype: np.dtype[Any]) -> _Done:
    sizes = blocks.per_sample(_library_size)
    factors = tmm_factors(blocks, sizes)
    values = blocks.after(factors).map(_per_million, rows=[sizes * factors], dtype=dtype)
    return _Done(
        values, "counts per million of the effective library", {"library_size": sizes, "norm_factor": factors}
    )


def _log_trimmed_mean(blocks: SampleBlocks, dtype: np.dtype[Any]) -> _Done:
    means = blocks.per_sample(_trimmed_mean_of_logs)
    values = blocks.map(_log_over, rows=[means], dtype=dtype)
    return _Done(values, "log2(1 + counts) / trimmed mean", {"trimmed_mean": means})


def _median_of_ratios(blocks: SampleBlocks, dtype: np.dtype[Any]) -> _Done:
    sums = blocks.total(_sum_of_logs)
    sizes = blocks.per_sample(_library_size)
    means = blocks.of_all(_geometric_means, rows=[sizes], shared=[sums], out="f")
    factors = blocks.after(means).per_sample(_median_ratio, shared=[means])
    values = blocks.after(factors).map(_over, rows=[factors], dtype=dtype)
    return _Done(values, "counts / size factor", {"size_factor": factors})


_METHODS: dict[str, Callable[[SampleBlocks, np.dtype[Any]], _Done]] = {
    "cpm": _cpm,
    "log_cpm": _log_cpm,
    "quantile": _quantile,
    "log_quantile": partial(_quantile, log=True),
    "tmm": _tmm,
    "log_trimmed_mean": _log_trimmed_mean,
    "median_of_ratios": _median_of_ratios,
}

# -- what is done with one block of samples ---------------------------------------------------------------------------


def _counts(block: npt.NDArray[Any]) -> Floats:
    """Return a block as float64, once it is sure that it can be counts."""
    if block.dtype.kind in "if" and block.size and not (block.min() >= 0 and block.max() < np.inf):
        raise OptionError(
            f"Counts are finite and not negative, and these go from {block.min()} to {block.max()}; "
            f"drop what is missing first, e.g. ds.dropna('feature')."
        )
    return block.astype(np.float64)


def _log(block: npt.NDArray[Any]) -> Floats:
    return np.log2(1 + _counts(block))


def _divided(block: Floats, divisors: Floats) -> Floats:
    """Divide each row by its own number, which is 0 only where the whole row is: that stays 0."""
    return block / np.where(divisors > 0, divisors, 1.0)[:, None]


def _library_size(block: npt.NDArray[Any]) -> Floats:
    return np.asarray(_counts(block).sum(axis=1))


def _per_million(block: npt.NDArray[Any], sizes: Floats) -> Floats:
    return _divided(_counts(block), sizes / _MILLION)


def _log_per_million(block: npt.NDArray[Any], sizes: Floats) -> Floats:
    return np.log2(1 + _per_million(block, sizes))


def _over(block: npt.NDArray[Any], divisors: Floats) -> Floats:
    return _divided(_counts(block), divisors)


def _log_over(block: npt.NDArray[Any], divisors: Floats) -> Floats:
    return _divided(_log(block), divisors)


def _ranked(block: npt.NDArray[Any], log: bool) -> Floats:
    if log:
        return _log(block)
    if block.dtype.kind == "f" and not np.isfinite(block).all():
        raise OptionError(
            "Values that are missing or infinite have no rank; drop them first, e.g. ds.dropna('feature')."
        )
    return block.astype(np.float64)


def _sum_of_sorted(block: npt.NDArray[Any], *, log: bool) -> Floats:
    return np.asarray(np.sort(_ranked(block, log), axis=1).sum(axis=0))


def _by_rank(block: npt.NDArray[Any], target: Floats, *, log: bool) -> Floats:
    """Give each value the target of its rank; equal values the mean of the targets whose ranks they span."""
    result = np.empty(block.shape)
    if not block.shape[1]:
        return result
    for row, values in zip(result, _ranked(block, log), strict=True):
        order = np.argsort(values)
        ordered = values[order]
        starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
        lengths = np.diff(np.append(starts, len(ordered)))
        row[order] = np.repeat(np.add.reduceat(target, starts) / lengths, lengths)
    return result


def _trimmed_mean_of_logs(block: npt.NDArray[Any]) -> Floats:
    return np.array([_trimmed_mean(row[row > 0]) for row in _log(block)])


def _trimmed_mean(values: Floats) -> float:
    if not len(values):
        return 0.0
    trimmed = int(len(values) * _TRIM)
    return float(np.sort(values)[trimmed : len(values) - trimmed].mean())


def _sum_of_logs(block: npt.NDArray[Any]) -> Floats:
    """Sum the logarithms over the samples that have any count; -inf where one of them has none of a feature."""
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(_counts(block)[block.any(axis=1)]).sum(axis=0))


def _geometric_means(sizes: Floats, sums: Floats) -> Floats:
    """Return the logarithms of the geometric means over the samples that have any count."""
    present = int((sizes > 0).sum())
    if present and not np.isfinite(sums).any():
        raise OptionError(
            f"No feature is counted in each of the {present} samples, and ratios need one; "
            f"filter the samples, or take method='tmm'."
        )
    return sums / max(1, present)


def _median_ratio(block: npt.NDArray[Any], means: Floats) -> Floats:
    common = np.isfinite(means)
    counts = _counts(block)
    factors = np.ones(len(counts))
    for number in np.flatnonzero(counts.any(axis=1)):
        factors[number] = np.exp(np.median(np.log(counts[number, common]) - means[common]))
    return factors
