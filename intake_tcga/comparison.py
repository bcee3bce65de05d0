"""How close synthetic samples are to real ones: per feature, between features, and as a whole."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from intake_tcga.errors import MissingDependencyError, OptionError

Floats = npt.NDArray[np.float64]

_CHOICES = ("normalization", "augmentation", "model")
_NEAREST = 5  # neighbours whose kinds are counted
_FOLDS = 5  # parts that a classifier is tested on, each by what it learnt from the others
_LARGEST = 2000  # samples of each kind that the two-sample scores are computed with


def compare(
    ds: xr.Dataset,
    normalization: str | Sequence[str] | None = None,
    model: str | Sequence[str] | None = None,
    *,
    seed: int = 0,
) -> xr.Dataset:
    """Compare the synthetic samples of every normalization and model with the real ones.

    Parameters
    ----------
    ds : xarray.Dataset
        A cohort: ``real`` (…, sample, feature) and ``synthetic`` (…, synthetic_sample, feature), with or without
        the dimensions ``normalization``, ``augmentation`` and ``model``. One pair of matrices is read at a time.
    normalization, model : str or sequence of str, optional
        Only these; all by default.
    seed : int
        Decides the random numbers of the two-sample scores, which are the same for each pair, so that scores do
        not depend on what else is compared.

    Returns
    -------
    xarray.Dataset
        Along those of these dimensions that there are, and ``feature`` where it says per feature; float64. x are
        the real values of a feature, y the synthetic ones; features that are missing in either, or not finite, are
        left out (NaN per feature).

        - ``ks`` (per feature): the Kolmogorov-Smirnov statistic, max over t of ``|F_x(t) - F_y(t)|``, with F the
          share of values ≤ t. 0 is equal, 1 is apart.
        - ``mean_ratio`` (per feature): mean(y) / mean(x); NaN where mean(x) is 0.
        - ``variance_ratio`` (per feature): var(y) / var(x), with n - 1 in the denominators; NaN where var(x) is 0.
        - ``correlation_distance``: the root of the mean, over pairs of features, of the squared difference of their
          Pearson correlation among x and among y; features that are constant in either are left out. 0 is equal,
          2 is opposite.
        - ``neighbour_score``: the share, over all samples, of the 5 nearest others (Euclidean) that are of the
          same kind, real or synthetic, among equally many of both. Expected are (n - 1) / (2n - 1), just under
          0.5, when nothing tells them apart; 1 when kinds are apart; less than that when synthetic samples sit
          closer to real ones than real ones to each other, as copies do.
        - ``classifier_score``: the area under the ROC curve of a logistic regression (standardized features, L2
          penalty of scikit-learn's default) that tells synthetic from real, tested on 5 parts with what the others
          taught it, averaged. 0.5 is chance, 1 is apart.
        - ``n_real``, ``n_synthetic``, ``n_features``: what was compared.

        For the two scores, as many synthetic samples as real ones are drawn (or the reverse), at most 2000 of each;
        features are standardized with the mean and the standard deviation of x. They are NaN with fewer than 6
        samples of each. ``.median("feature").to_dataframe()`` is a tidy table, and
        :func:`~intake_tcga.plot_comparison` draws it.

    Raises
    ------
    OptionError
        When ``real`` or ``synthetic`` is not there, a name is not one of the Dataset's, or ``seed`` is not a whole
        number.
    MissingDependencyError
        When scikit-learn is not installed.

    Examples
    --------
    >>> from intake_tcga.cohorts.access import open_sample
    >>> scores = compare(open_sample(), "TC")
    >>> scores["classifier_score"].sizes
    Frozen({'model': 3})
    >>> bool((scores["ks"] >= 0).all())
    True
    """
    scores = _two_sample_scores()
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise OptionError(f"seed={seed!r} is not a whole number; give 0 or more, such as seed=1.")
    if missing := [name for name in ("real", "synthetic") if name not in ds.data_vars]:
        raise OptionError(
            f"This Dataset has no {' and no '.join(missing)} samples to compare; open a cohort whole, "
            f"or keep both variables."
        )
    ds = _narrowed(ds[["real", "synthetic"]], {"normalization": normalization, "model": model})
    dims = [dim for dim in _CHOICES if dim in ds["real"].dims or dim in ds["synthetic"].dims]
    shape = tuple(ds.sizes[dim] for dim in dims)
    tables: dict[str, npt.NDArray[Any]] = {}
    for cell in itertools.product(*map(range, shape)):
        one = ds.isel(dict(zip(dims, cell, strict=True)))
        for name, value in _compare_pair(
            _matrix(one, "real"), _matrix(one, "synthetic"), seed, scores
        ).items():
            table = tables.setdefault(name, np.full(shape + np.shape(value), np.nan))
            table[cell] = value
    variables = {
        name: xr.Variable(
            dims + ["feature"] * (table.ndim - len(dims)), table, {"long_name": _LONG_NAMES[name]}
        )
        for name, table in tables.items()
    }
    kept = [name for name in ds.coords if set(ds[name].dims) <= {*dims, "feature"}]
    attrs = dict(ds.attrs) | {"intake_tcga:comparison_seed": int(seed)}
    return xr.Dataset(variables, {name: ds.coords[name] for name in kept}, attrs)


_LONG_NAMES = {
    "ks": "Kolmogorov-Smirnov statistic",
    "mean_ratio": "mean, synthetic / real",
    "variance_ratio": "variance, synthetic / real",
    "correlation_distance": "root mean squared difference of correlations",
    "neighbour_score": "share of nearest neighbours of the same kind",
    "classifier_score": "area under the ROC curve of a classifier",
    "n_real": "real samples",
    "n_synthetic": "synthetic samples",
    "n_features": "features compared",
}

Scores = tuple[Callable[[Floats, npt.NDArray[np.bool_]], float], Callable[..., float]]


def _narrowed(ds: xr.Dataset, chosen: Mapping[str, str | Sequence[str] | None]) -> xr.Dataset:
    for dim, names in chosen.items():
        if names is None:
            continue
        there = [str(name) for name in np.ravel(ds[dim].values).tolist()] if dim in ds.coords else []
        wanted = [names] if isinstance(names, str) else list(names)
        if wrong := [name for name in wanted if name not in there]:
            raise OptionError(f"{dim}={wrong[0]!r} is not one of {', '.join(there) or 'none'}.")
        if dim in ds.dims:
            ds = ds.sel({dim: names if isinstance(names, str) else wanted})
    return ds


def _matrix(ds: xr.Dataset, name: Hashable) -> Floats:
    """Read one pair's matrix, samples × features."""
    array = ds[name]
    if "feature" not in array.dims or array.ndim != 2:
        raise OptionError(
            f"{name} has the dimensions {array.dims}, not samples × feature; select the others first."
        )
    return np.asarray(array.transpose(..., "feature").values, dtype=np.float64)


def _compare_pair(real: Floats, synthetic: Floats, seed: int, scores: Scores) -> dict[str, Any]:
    """Compare two matrices of the same features."""
    # Rows that are missing altogether belong to samples that another normalization has.
    real, synthetic = (matrix[np.isfinite(matrix).any(axis=1)] for matrix in (real, synthetic))
    known = np.asarray(np.isfinite(real).all(axis=0) & np.isfinite(synthetic).all(axis=0))
    known &= len(real) > 0 and len(synthetic) > 0
    x, y = real[:, known], synthetic[:, known]
    per_feature = {
        "ks": kolmogorov_smirnov(x, y),
        "mean_ratio": _ratio(y.mean(axis=0), x.mean(axis=0)) if known.any() else x.sum(axis=0),
        "variance_ratio": _ratio(_variance(y), _variance(x)),
    }
    result: dict[str, Any] = {}
    for name, values in per_feature.items():
        result[name] = np.full(len(known), np.nan)
        result[name][known] = values
    result["correlation_distance"] = correlation_distance(x, y)
    both, kinds = _balanced(x, y, seed)
    enough = min(kinds.sum(), (~kinds).sum()) > _NEAREST and both.shape[1] > 0
    neighbours, classifier = scores
    result["neighbour_score"] = neighbours(both, kinds) if enough else np.nan
    result["classifier_score"] = classifier(both, kinds, seed) if enough else np.nan
    return result | {"n_real": len(real), "n_synthetic": len(synthetic), "n_features": int(known.sum())}


def kolmogorov_smirnov(x: Floats, y: Floats) -> Floats:
    """Return the Kolmogorov-Smirnov statistic of each column of two matrices.

    Examples
    --------
    >>> kolmogorov_smirnov(np.array([[1.0], [2.0]]), np.array([[2.0], [3.0]])).tolist()
    [0.5]
    """
    result = np.zeros(x.shape[1])
    for column in range(x.shape[1]):
        values = np.concatenate([x[:, column], y[:, column]])
        below_x = np.searchsorted(np.sort(x[:, column]), values, side="right") / len(x)
        below_y = np.searchsorted(np.sort(y[:, column]), values, side="right") / len(y)
        result[column] = np.abs(below_x - below_y).max()
    return result


def correlation_distance(x: Floats, y: Floats, *, step: int = 512) -> float:
    """Return the root mean squared difference of the correlations of all pairs of columns; NaN without a pair.

    Parameters
    ----------
    x, y : numpy.ndarray
        Samples × features, the same features in both.
    step : int
        Features whose correlations are in memory at once.

    Examples
    --------
    >>> x = np.array([[1.0, 1.0], [2.0, 2.0]])
    >>> correlation_distance(x, x), round(correlation_distance(x, x * [1, -1]), 9)
    (0.0, 2.0)
    """
    if len(x) < 2 or len(y) < 2:
        return float("nan")
    varying = (np.ptp(x, axis=0) > 0) & (np.ptp(y, axis=0) > 0)
    x, y = (_unit_columns(matrix[:, varying]) for matrix in (x, y))
    features = x.shape[1]
    if features < 2:
        return float("nan")
    total = 0.0
    for start in range(0, features, step):
        part = slice(start, start + step)
        difference = x[:, part].T @ x - y[:, part].T @ y
        # A feature's correlation with itself is 1 in both, but for rounding.
        difference[np.arange(difference.shape[0]), np.arange(start, start + difference.shape[0])] = 0
        total += float((difference**2).sum())
    return float(np.sqrt(total / (features * (features - 1))))


def _unit_columns(matrix: Floats) -> Floats:
    centred = matrix - matrix.mean(axis=0)
    return np.asarray(centred / np.sqrt((centred**2).sum(axis=0)))


def _variance(matrix: Floats) -> Floats:
    if len(matrix) < 2:
        return np.full(matrix.shape[1], np.nan)
    # Exactly 0 for constant columns, whatever their mean rounds to.
    return np.where(np.ptp(matrix, axis=0) > 0, matrix.var(axis=0, ddof=1), 0.0)


def _ratio(above: Floats, below: Floats) -> Floats:
    return np.asarray(np.divide(above, below, out=np.full(len(below), np.nan), where=below != 0))


def _balanced(x: Floats, y: Floats, seed: int) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Draw equally many of both, standardized by the real ones; and which of them are synthetic."""
    n = min(len(x), len(y), _LARGEST)
    random = np.random.default_rng(seed)
    drawn = [matrix[np.sort(random.permutation(len(matrix))[:n])] for matrix in (x, y)]
    spread = np.sqrt(_variance(x))
    varying = spread > 0
    centre = x[:, varying].mean(axis=0) if len(x) else 0.0
    both = (np.concatenate(drawn)[:, varying] - centre) / spread[varying]
    return both, np.repeat([False, True], n)


def _two_sample_scores() -> Scores:
    """Return the scores that need scikit-learn."""
    try:
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import StratifiedKFold, cross_val_score
        from sklearn.neighbors import NearestNeighbors
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
    except ImportError as error:
        raise MissingDependencyError(
            "Comparisons need scikit-learn; install it with: pip install 'intake-tcga[compare]'"
        ) from error

    def neighbours(samples: Floats, kinds: npt.NDArray[np.bool_]) -> float:
        finder = NearestNeighbors(n_neighbors=_NEAREST, algorithm="brute").fit(samples)
        nearest = finder.kneighbors(return_distance=False)  # of those it was fitted with, each without itself
        return float((kinds[nearest] == kinds[:, None]).mean())

    def classifier(samples: Floats, kinds: npt.NDArray[np.bool_], seed: int) -> float:
        folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=seed)
        learner = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        return float(cross_val_score(learner, samples, kinds, cv=folds, scoring="roc_auc").mean())

    return neighbours, classifier
