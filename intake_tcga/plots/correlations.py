"""How pairs of features go together among real and among synthetic samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from intake_tcga.errors import OptionError
from intake_tcga.plots.canvas import (
    FAINT,
    INK,
    SEQUENTIAL,
    at_least_one,
    axes_or_new,
    figure_of,
    finish,
    require_matplotlib,
    title_of,
)
from intake_tcga.plots.expression import Pair

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

Floats = npt.NDArray[np.float64]

_BINS = 80
_TICKS = (-1, -0.5, 0, 0.5, 1)
_AT_ONCE = 256  # features whose correlations with all others are in memory


def plot_correlations(ds: xr.Dataset, *, features: int = 2000, ax: Axes | None = None) -> Axes:
    """Draw the correlation of each pair of features among synthetic samples against that among real ones.

    Pairs on the line go together in both alike. The number given is Pearson's r of the two correlations over all
    pairs: what the synthetic samples keep of the structure between features.

    Parameters
    ----------
    ds : xarray.Dataset
        ``real`` (sample, feature) and ``synthetic`` (synthetic_sample, feature): one normalization, one model.
        Features that are missing or constant in either are left out.
    features : int
        The features of the largest variances among the real samples that are used: pairs grow with their square.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        A histogram of pairs; colours count them, on a logarithmic scale. Above it, r and the number of features.

    Raises
    ------
    OptionError
        More than one normalization, model or augmentation is left in ``ds``; fewer than 3 samples of either, or than 2
        features, or more than 1 GiB of them.
    MissingDependencyError
        matplotlib is not installed.

    Examples
    --------
    >>> from intake_tcga.cohorts.access import open_sample
    >>> ax = plot_correlations(open_sample(normalization="TC", model="CVAE1_5"))
    >>> ax.get_xlabel()
    'correlation of two features, real'
    """
    require_matplotlib()
    at_least_one(features, "features")
    pairs = _pairs(Pair.of(ds), features)
    from matplotlib.colors import LogNorm

    ax = axes_or_new(ax, 5.6, 4.8)
    edges = np.linspace(-1, 1, _BINS + 1)
    drawn = ax.pcolormesh(
        edges,
        edges,
        np.ma.masked_equal(pairs.histogram.T, 0),
        norm=LogNorm(0.4, max(2.0, float(pairs.histogram.max()))),
        cmap=SEQUENTIAL,
        rasterized=True,
    )
    ax.axline((-1, -1), (1, 1), color=FAINT, linewidth=1)
    ax.axhline(0, color=FAINT, linewidth=0.6, alpha=0.5)
    ax.axvline(0, color=FAINT, linewidth=0.6, alpha=0.5)
    ax.set(xlim=(-1, 1), ylim=(-1, 1), aspect="equal", xticks=_TICKS, yticks=_TICKS)
    ax.set_xlabel("correlation of two features, real")
    ax.set_ylabel("correlation of the same, synthetic")
    bar = figure_of(ax).colorbar(drawn, ax=ax, shrink=0.8)
    bar.set_label("pairs of features", color=INK)
    bar.outline.set_visible(False)
    said = f"r = {pairs.r:.2f} over {pairs.n_features * (pairs.n_features - 1) // 2:,} pairs"
    finish(ax, "\n".join(part for part in (title_of(ds), said) if part))
    return ax


@dataclass(frozen=True, slots=True, eq=False)
class _Pairs:
    """What two correlations of each pair of features are, counted."""

    histogram: Floats
    """(real, synthetic), of ``_BINS`` steps from -1 to 1 each."""

    r: float
    """Pearson's r of both, over all pairs."""

    n_features: int


def _pairs(pair: Pair, features: int) -> _Pairs:
    moments, others = pair.moments()
    varying = others.known & (moments.variance > 0) & (others.variance > 0)
    chosen = moments.most_variable(features, varying)
    fewest = min(moments.n_samples, others.n_samples)
    if len(chosen) < 2 or fewest < 3:
        raise OptionError(
            f"Correlations need 3 samples of each kind and 2 features that vary in both; there are {fewest} and "
            f"{len(chosen)}."
        )
    real, synthetic = _standardized(pair.real.load(chosen)), _standardized(pair.synthetic.load(chosen))
    histogram = np.zeros((_BINS, _BINS))
    sums = np.zeros(5)  # of x, y, x², y², xy
    for start in range(0, len(chosen), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        later = np.arange(len(chosen)) > np.arange(len(chosen))[part, None]  # each pair once
        x = (real[:, part].T @ real)[later].clip(-1, 1)
        y = (synthetic[:, part].T @ synthetic)[later].clip(-1, 1)
        histogram += np.histogram2d(x, y, bins=_BINS, range=((-1, 1), (-1, 1)))[0]
        sums += x.sum(), y.sum(), (x**2).sum(), (y**2).sum(), (x * y).sum()
    return _Pairs(histogram, _pearson(sums, histogram.sum()), len(chosen))


def _standardized(matrix: Floats) -> Floats:
    """Return columns of mean 0 and length 1, of the samples of which anything is known."""
    matrix = matrix[np.isfinite(matrix).all(axis=1)]
    centred = matrix - matrix.mean(axis=0)
    return np.asarray(centred / np.sqrt((centred**2).sum(axis=0)))


def _pearson(sums: Floats, n: float) -> float:
    x, y, xx, yy, xy = sums / n
    spread = np.sqrt(max(xx - x * x, 0.0) * max(yy - y * y, 0.0))
    return float((xy - x * y) / spread) if spread > 1e-12 else float("nan")
