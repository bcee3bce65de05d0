"""Features' means and variances among real and among synthetic samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from intake_tcga.errors import OptionError
from intake_tcga.plots.canvas import (
    FAINT,
    PALETTE,
    finish,
    log_ticks,
    new_figure,
    require_matplotlib,
    title_of,
)
from intake_tcga.plots.expression import Pair

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

Floats = npt.NDArray[np.float64]


def plot_mean_variance(ds: xr.Dataset, *, figure: Figure | SubFigure | None = None) -> Figure | SubFigure:
    """Draw each feature's mean and variance among the synthetic samples against those among the real ones.

    On the line both are equal; below it, the synthetic samples have less. Models that generate too little variance are
    told by a cloud below the line on the right.

    Parameters
    ----------
    ds : xarray.Dataset
        ``real`` (sample, feature) and ``synthetic`` (synthetic_sample, feature): one normalization, one model.
        Features that are missing in either are left out, and constant ones from the axes of variances, which are
        logarithmic; their number is told. Read some samples at a time, twice.
    figure : matplotlib.figure.Figure or SubFigure, optional
        Where to draw; a new one by default.

    Returns
    -------
    matplotlib.figure.Figure or SubFigure
        Means on its first axes, variances on its second.

    Raises
    ------
    OptionError
        More than one normalization, model or augmentation is left in ``ds``, or nothing is known in both.
    MissingDependencyError
        matplotlib is not installed.

    Examples
    --------
    >>> from intake_tcga.cohorts.access import open_sample
    >>> figure = plot_mean_variance(open_sample(normalization="TC", model="CVAE1_5"))
    >>> [ax.get_xlabel() for ax in figure.axes]
    ['mean, real [log2(x+1)]', 'variance, real [(log2(x+1))²]']
    """
    require_matplotlib()
    pair = Pair.of(ds)
    real, synthetic = pair.moments()
    known = real.known & synthetic.known
    if not known.any():
        raise OptionError(
            "No feature is known in every real and every synthetic sample; nothing can be drawn."
        )
    figure = new_figure(8.6, 4.3) if figure is None else figure
    left, right = figure.subplots(1, 2)
    unit = pair.real.unit
    _against(left, real.mean[known], synthetic.mean[known], "mean", f" [{unit}]" if unit else "")
    varying = known & (real.variance > 0) & (synthetic.variance > 0)
    right.set(xscale="log", yscale="log")
    _against(
        right,
        real.variance[varying],
        synthetic.variance[varying],
        "variance",
        f" [({unit})²]" if unit else "",
    )
    finish(left, title_of(ds))
    constant = int(known.sum() - varying.sum())
    left_out = f", {constant:,} constant ones left out" if constant else ""
    finish(right, "", note=f"{varying.sum():,} features{left_out}")
    return figure


def _against(ax: Axes, real: Floats, synthetic: Floats, what: str, unit: str) -> None:
    """Draw one number a feature, synthetic against real, with the line on which both are equal."""
    many = len(real) > 5000
    ax.scatter(
        real,
        synthetic,
        s=4 if many else 14,
        color=PALETTE[0],
        alpha=0.25 if many else 0.6,
        linewidths=0,
        rasterized=many,
        label=f"{len(real):,} features",
    )
    ax.set_xlabel(f"{what}, real{unit}")
    ax.set_ylabel(f"{what}, synthetic{unit}")
    if not len(real):
        return
    low, high = _limits(np.concatenate([real, synthetic]), ax.get_xscale() == "log")
    ax.set(xlim=(low, high), ylim=(low, high), aspect="equal")
    if ax.get_xscale() == "log":
        log_ticks(ax.xaxis)
        log_ticks(ax.yaxis)
    ax.axline((low, low), (high, high), color=FAINT, linewidth=1, zorder=0)


def _limits(values: Floats, logarithmic: bool) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    if logarithmic:
        return low / 1.3, high * 1.3
    margin = 0.04 * (high - low) or 1.0
    return low - margin, high + margin
