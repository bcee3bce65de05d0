"""Which features are worth keeping, and features that are one gene made into one."""

from __future__ import annotations

from collections.abc import Hashable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from intake_tcga.arrays.feature_groups import join_features
from intake_tcga.arrays.grouping import How
from intake_tcga.arrays.matrices import Data, as_given, find_matrix
from intake_tcga.arrays.sample_blocks import SampleBlocks
from intake_tcga.errors import OptionError


def filter_genes(
    data: Data, min_reads: float = 20, min_samples: float = 0.02, *, variable: Hashable | None = None
) -> Data:
    """Keep the features that enough samples have enough reads of.

    Parameters
    ----------
    data : xarray.Dataset or xarray.DataArray
        Counts along ``sample`` and ``feature`` (or ``raw_sample``, ``raw_feature``, …).
    min_reads : number
        A sample has a feature when it has at least so many reads of it.
    min_samples : number
        Keep features that at least so many samples have: a share of the samples, when it is a float from 0 to 1
        (1.0 is every sample); a number of samples, when it is an int, or above 1. A share of a number of samples
        that is not whole is rounded up: 0.02 of 120 samples are 3.
    variable : str, optional
        Which variable, where several have such dimensions.

    Returns
    -------
    xarray.Dataset or xarray.DataArray
        What was given, without the other features, in the same order; nothing else is changed, and what was lazy is
        still lazy. Which features are kept has been computed, in one pass over the samples, some at a time.

        Every variable along the feature dimension is narrowed with it.

    Raises
    ------
    OptionError
        When there is no such variable or several; when ``min_reads`` or ``min_samples`` is negative or not a
        number, or ``min_samples`` is neither a share nor a whole number.

    Examples
    --------
    >>> import xarray as xr
    >>> counts = xr.Dataset(
    ...     {"counts": (("sample", "feature"), [[20, 19, 0], [0, 19, 80]])}, {"feature": ["TP53", "MYC", "KRAS"]}
    ... )
    >>> filter_genes(counts, min_reads=20, min_samples=0.5)["feature"].values.tolist()
    ['TP53', 'KRAS']
    """
    if not _is_number(min_reads) or not min_reads >= 0:
        raise OptionError(f"min_reads={min_reads!r} is not a number of reads; give 0 or more.")
    matrix = find_matrix(data, variable)
    needed = _samples_needed(min_samples, matrix.dataset.sizes[matrix.sample])
    blocks = SampleBlocks.of(matrix.array)
    having = np.asarray(blocks.total(partial(_samples_having, min_reads=min_reads)))
    kept = matrix.dataset.isel({matrix.feature: np.flatnonzero(having >= needed)})
    return as_given(kept, matrix.name, data)


def aggregate_genes(
    data: Data, by: str = "symbol", how: How = "sum", *, variable: Hashable | None = None
) -> Data:
    """Join the features that have the same label, such as those of one gene symbol.

    Parameters
    ----------
    data : xarray.Dataset or xarray.DataArray
        Values along ``sample`` and ``feature`` (or ``raw_sample``, ``raw_feature``, …).
    by : str
        A coordinate along the feature dimension. A feature whose label is empty or missing is joined with none:
        its own name (``feature``, such as the Ensembl id) stands in. ``by="feature"`` joins equal names.
    how : {"sum", "mean", "max", "min"}
        What values become. NaN in any of a group makes NaN.
    variable : str, optional
        Which variable, where several have such dimensions.

    Returns
    -------
    xarray.Dataset or xarray.DataArray
        What was given, with one feature a label, in the order in which the labels first occur, named by it: the
        feature dimension's own coordinate holds the labels, and the names that were there before become a
        coordinate ``feature_ids``. Values in memory are joined at once, all others lazily, block by block of
        samples. Sums of integers are 64-bit integers of the same sign, means of integers float64; all else keeps
        its type. Other variables along the feature dimension are dropped.

        Every coordinate of features keeps its value where a group agrees on it (what is missing aside). Where it
        does not, texts are joined with ``";"`` in the order in which they occur, and numbers become NaN.

    Raises
    ------
    NameNotFoundError
        When there is no such coordinate; the message lists those there are.
    OptionError
        When there is no such variable or several, or ``how`` is none of these.

    Examples
    --------
    >>> import xarray as xr
    >>> counts = xr.Dataset(
    ...     {"counts": (("sample", "feature"), [[1, 2, 3, 4]])},
    ...     {"feature": ["ENSG1", "ENSG2", "ENSG3", "ENSG4"], "symbol": ("feature", ["TP53", "MYC", "TP53", ""])},
    ... )
    >>> joined = aggregate_genes(counts)
    >>> joined["feature"].values.tolist(), joined["counts"].values.tolist()
    (['TP53', 'MYC', 'ENSG4'], [[4, 2, 4]])
    >>> joined["feature_ids"].values.tolist()
    ['ENSG1;ENSG3', 'ENSG2', 'ENSG4']
    """
    matrix = find_matrix(data, variable)
    return as_given(join_features(matrix, by, how), matrix.name, data)


def _samples_having(block: npt.NDArray[Any], *, min_reads: float) -> npt.NDArray[Any]:
    return np.asarray((block >= min_reads).sum(axis=0))


def _samples_needed(min_samples: float, n_samples: int) -> float:
    """Return the number of samples that is meant; a share of them need not be whole."""
    if not _is_number(min_samples) or not min_samples >= 0:
        raise OptionError(f"min_samples={min_samples!r} is not a share (0.02) nor a number of samples (10).")
    if isinstance(min_samples, float | np.floating) and min_samples <= 1:
        # A share in binary is a little off: 0.07 of 100 samples is to be 7, not 7.000000000000001.
        return float(np.round(float(min_samples) * n_samples, 9))
    if min_samples % 1 != 0:  # also infinity, of which it is NaN
        raise OptionError(
            f"min_samples={min_samples!r} is neither a share (up to 1.0) nor a whole number of samples."
        )
    return int(min_samples)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
