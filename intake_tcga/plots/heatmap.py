"""The most variable features of all samples, as a heat map."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from intake_tcga.errors import OptionError
from intake_tcga.plots.canvas import (
    DIVERGING,
    INK,
    at_least_one,
    colours,
    finish,
    new_figure,
    require_matplotlib,
    title_of,
)
from intake_tcga.plots.expression import Expression, expression, feature_names

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

Floats = npt.NDArray[np.float64]
Positions = npt.NDArray[np.intp]

_MOST_NAMED = 60  # features whose names can be read
_LIMIT = 3.0  # standard deviations at the ends of the colours


def plot_heatmap(
    data: xr.Dataset | xr.DataArray,
    *,
    variable: Hashable | None = None,
    features: int = 40,
    color: str | None = None,
    figure: Figure | SubFigure | None = None,
) -> Figure | SubFigure:
    """Draw the most variable features of all samples as a heat map, with the samples' groups above it.

    Parameters
    ----------
    data : xarray.Dataset or xarray.DataArray
        One matrix of samples × features; of a cohort, ``real``. Counts are drawn as log2(1 + counts per million).
        Samples of which nothing is known are left out, and features that are missing in any other.
    variable : str, optional
        Which matrix, e.g. ``"synthetic"`` or ``"raw"``.
    features : int
        How many, by falling variance. All samples of these are held in memory.
    color : str, optional
        The coordinate of samples that is shown above them and sorts them; by default the groups.
        The six largest groups are named, the rest are drawn together as ``others``.
    figure : matplotlib.figure.Figure or SubFigure, optional
        Where to draw; a new one by default.

    Returns
    -------
    matplotlib.figure.Figure or SubFigure
        Each feature minus its mean over its standard deviation, ±3 at most; features and, within each group, samples
        in the order of their first principal component. The heat map is on its first axes.

    Raises
    ------
    OptionError
        Several matrices or more than one normalization or model are left in ``data``; there are too few samples or
        features that vary, or more than 1 GiB of them.
    MissingDependencyError
        matplotlib is not installed.

    Examples
    --------
    >>> from intake_tcga.cohorts.access import open_sample
    >>> figure = plot_heatmap(open_sample(normalization="TC"), features=20)
    >>> figure.axes[0].images[0].get_array().shape
    (20, 77)
    """
    require_matplotlib()
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    at_least_one(features, "features")
    shown = expression(data, variable, colour=color)
    chosen, scores, present = _scores(shown, features)
    rows, columns = _order(scores, shown.group_names()[present])
    names = [feature_names(shown.array.isel({shown.array.dims[1]: chosen}))[at] for at in rows]
    figure = figure or new_figure(8.0, 2.0 + 0.16 * min(max(len(names), 12), _MOST_NAMED))
    if isinstance(engine := figure.get_layout_engine(), ConstrainedLayoutEngine):
        engine.set(hspace=0.0, h_pad=0.01)
    strip = 0.035 if shown.groups is not None else 0.0
    grid = figure.add_gridspec(2, 1, height_ratios=[strip or 1e-6, 1 - strip], hspace=0.01)
    ax = figure.add_subplot(grid[1])
    drawn = ax.imshow(
        scores[np.ix_(columns, rows)].T,
        cmap=DIVERGING,
        vmin=-_LIMIT,
        vmax=_LIMIT,
        aspect="auto",
        interpolation="nearest" if len(columns) < 2000 else "antialiased",
    )
    ax.set_xlabel(f"{len(columns):,} samples")
    ax.set_xticks([])
    if len(names) <= _MOST_NAMED:
        ax.set_yticks(range(len(names)), names, fontsize=7)
    else:
        ax.set_yticks([])
        ax.set_ylabel(f"{len(names):,} most variable features")
    finish(ax, "" if strip else title_of(shown_in(data)))
    ax.tick_params(length=0)
    for spine in ax.spines.values():
        spine.set_visible(False)
    bar = figure.colorbar(drawn, ax=ax, shrink=0.6, aspect=25, pad=0.015, extend="both")
    bar.set_label(
        f"standard deviations from the mean\nof {shown.unit or 'its values'}", fontsize="small", color=INK
    )
    bar.outline.set_visible(False)
    if strip:
        above = figure.add_subplot(grid[0], sharex=ax)
        _draw_groups(above, shown.group_names()[present][columns])
        finish(above, title_of(shown_in(data)))
        above.set_axis_off()
    return figure


def shown_in(data: xr.Dataset | xr.DataArray) -> xr.Dataset:
    """Return what tells a picture's title."""
    import xarray as xr

    return data if isinstance(data, xr.Dataset) else xr.Dataset(coords=data.coords)


def _scores(shown: Expression, features: int) -> tuple[Positions, Floats, npt.NDArray[np.bool_]]:
    """Return which features are shown, their z-scores, samples × features, and which samples those are."""
    found = shown.moments()
    chosen = found.most_variable(features, np.nan_to_num(found.variance) > 0)
    if found.n_samples < 2 or not len(chosen):
        raise OptionError(
            f"A heat map needs 2 samples and a feature that is known in all and varies; there are {found.n_samples} "
            f"samples and {len(chosen)} such features."
        )
    values = shown.load(chosen)
    present = np.asarray(np.isfinite(values).all(axis=1))
    return chosen, (values[present] - found.mean[chosen]) / np.sqrt(found.variance[chosen]), present


def _order(scores: Floats, groups: npt.NDArray[np.object_]) -> tuple[Positions, Positions]:
    """Order the features, and the samples within their groups, along the first principal component."""
    _, vectors = np.linalg.eigh(scores.T @ scores)
    loadings = vectors[:, -1] * np.sign(vectors[np.abs(vectors[:, -1]).argmax(), -1])
    codes = np.unique(groups.astype(str), return_inverse=True)[1]
    samples = np.lexsort((scores @ loadings, codes))
    return np.argsort(-loadings, kind="stable").astype(np.intp), samples.astype(np.intp)


def _draw_groups(ax: Axes, groups: npt.NDArray[np.object_]) -> None:
    """Draw a strip that tells the group of each sample, which are together, with the groups' names on it."""
    from matplotlib.colors import to_rgb

    chosen = colours(groups.tolist())
    strip: Any = np.array([[to_rgb(chosen[group]) for group in groups.tolist()]])
    ax.imshow(strip, aspect="auto", interpolation="nearest", extent=(-0.5, len(groups) - 0.5, 0, 1))
    for group in chosen:
        where = np.flatnonzero(groups == group)
        if len(where) >= 0.012 * len(group) * len(groups):  # the name fits
            ax.text(where.mean(), 0.46, group, ha="center", va="center", fontsize=7.5, color="white")
