"""The scores of every normalization and model, as one table whose colours tell how far from the real samples."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from intake_tcga.errors import OptionError
from intake_tcga.plots.canvas import (
    FAINT,
    INK,
    PALETTE,
    SEQUENTIAL,
    finish,
    new_figure,
    require_matplotlib,
    title_of,
)

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

Floats = npt.NDArray[np.float64]

_CHOICES = ("normalization", "augmentation", "model")
_MOST_ROWS = 60  # pairs whose numbers can be read


@dataclass(frozen=True)
class _Score:
    """How a score is shown."""

    heading: str
    best: str
    """Its value among samples that nothing tells from real ones."""
    distance: Callable[[Floats], Floats]
    """How far values are from that: 0 is there, 1 and more is as dark as it gets."""


def _from_one(ratio: Floats) -> Floats:
    # A quarter is as far from 1 as 4 is.
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.abs(np.log2(ratio)) / 2)


def _from_chance(share: Floats) -> Floats:
    return np.abs(share - 0.5) * 2


_SCORES = {
    "ks": _Score("KS\nstatistic", "best 0", np.abs),
    "mean_ratio": _Score("mean\nratio", "best 1", _from_one),
    "variance_ratio": _Score("variance\nratio", "best 1", _from_one),
    "correlation_distance": _Score("correlation\ndistance", "best 0", np.abs),
    "neighbour_score": _Score("nearest\nneighbours", "best 0.5", _from_chance),
    "classifier_score": _Score("classifier\nAUC", "best 0.5", _from_chance),
}


def plot_comparison(scores: xr.Dataset, *, figure: Figure | SubFigure | None = None) -> Figure | SubFigure:
    """Draw the scores of every normalization and model: a line each, darker where it is farther from the real samples.

    Above each column stands the value that synthetic samples have that nothing tells from real ones; a frame marks the
    line nearest to it.

    Parameters
    ----------
    scores : xarray.Dataset
        What :func:`~intake_tcga.compare` returns, or a part of it: a selection, or some of its variables. Of scores
        per feature, the median over the features is drawn.
    figure : matplotlib.figure.Figure or SubFigure, optional
        Where to draw; a new one by default.

    Returns
    -------
    matplotlib.figure.Figure or SubFigure
        The table is on its first axes, and its image's values say how far a score is from the best: 0 is there, 1 is
        darkest. They are ``ks`` and ``correlation_distance`` themselves, half the absolute log2 of ratios (1 is a
        quarter, or 4 times), and twice the distance of the other two from 0.5. A score that is missing has a dash.

    Raises
    ------
    OptionError
        ``scores`` has none of the scores, has them along something else than normalization, augmentation and model,
        or is of more than 60 pairs.
    MissingDependencyError
        matplotlib is not installed.

    Examples
    --------
    >>> from intake_tcga.cohorts.access import open_sample
    >>> from intake_tcga.comparison import compare
    >>> figure = plot_comparison(compare(open_sample(), "TC", ["CVAE1_5", "CVAE1_10"]))
    >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
    ['CVAE1_5', 'CVAE1_10']
    """
    require_matplotlib()
    shown = _medians(scores)
    names, values = _table(shown)
    distances = np.stack(
        [_SCORES[str(name)].distance(values[:, at]) for at, name in enumerate(shown.data_vars)], axis=1
    )
    rows, columns = values.shape
    figure = new_figure(2.2 + 0.95 * columns, 1.5 + 0.29 * rows) if figure is None else figure
    ax = figure.subplots()
    ax.imshow(np.ma.masked_invalid(distances), cmap=SEQUENTIAL, vmin=0, vmax=1, aspect="auto")
    _write_numbers(ax, values, distances)
    framed = _frame_best(ax, values, distances)
    _label(ax, names, [_SCORES[str(name)] for name in shown.data_vars], framed=framed)
    finish(ax, title_of(shown))
    for spine in ax.spines.values():
        spine.set_visible(False)
    ax.tick_params(length=0)
    return figure


def _medians(scores: xr.Dataset) -> xr.Dataset:
    """Return the scores that are drawn, in the columns' order, along normalization, augmentation and model alone."""
    there = [name for name in _SCORES if name in getattr(scores, "data_vars", ())]
    if not there:
        raise OptionError(
            f"There is none of {', '.join(_SCORES)} to draw; give what compare(ds) returns for a cohort."
        )
    attrs = scores.attrs
    shown = scores[there].compute()  # dask has no median over all features
    shown = shown.median("feature") if "feature" in shown.dims else shown
    if other := [str(dim) for dim in shown.dims if dim not in _CHOICES]:
        raise OptionError(
            f"These scores vary along {', '.join(other)}; select one of each, or average them, before drawing."
        )
    alone = [dim for dim in shown.dims if shown.sizes[dim] == 1]
    return shown.squeeze(alone).assign_attrs(attrs)


def _table(shown: xr.Dataset) -> tuple[list[tuple[str, ...]], Floats]:
    """Return the names of each line, and its scores, lines × scores."""
    dims = [dim for dim in _CHOICES if dim in shown.dims]
    sizes = [shown.sizes[dim] for dim in dims]
    if not 1 <= (rows := int(np.prod(sizes))) <= _MOST_ROWS:
        raise OptionError(
            f"These scores are of {rows:,} pairs, and a picture shows 1 to {_MOST_ROWS}; "
            f"select some normalizations or models."
        )
    labels = [
        [str(label) for label in shown[dim].values.tolist()]
        if dim in shown.coords
        else [str(at) for at in range(size)]
        for dim, size in zip(dims, sizes, strict=True)
    ]
    table = shown.to_array("score").transpose(*dims, "score").to_numpy().reshape(rows, -1)
    return list(itertools.product(*labels)), table.astype(np.float64)


def _write_numbers(ax: Axes, values: Floats, distances: Floats) -> None:
    for (row, column), value in np.ndenumerate(values):
        known = bool(np.isfinite(value))
        dark = known and distances[row, column] > 0.6
        said = f"{value:.2f}" if known else "–"
        ax.text(column, row, said, ha="center", va="center", fontsize=9, color="white" if dark else INK)


def _frame_best(ax: Axes, values: Floats, distances: Floats) -> bool:
    """Frame the lines of each column that are nearest to the best, unless all are shown alike; tell whether any was."""
    from matplotlib.patches import Rectangle

    framed = False
    for column in np.flatnonzero(np.isfinite(distances).any(axis=0)).tolist():
        shown = np.round(values[:, column], 2)
        best = shown == shown[int(np.nanargmin(distances[:, column]))]
        if best.all():
            continue
        framed = True
        for row in np.flatnonzero(best).tolist():
            place = (column - 0.45, row - 0.37)
            ax.add_patch(Rectangle(place, 0.9, 0.74, fill=False, edgecolor=PALETTE[1], linewidth=1.6))
    return framed


def _label(ax: Axes, names: list[tuple[str, ...]], columns: list[_Score], *, framed: bool) -> None:
    """Name the lines and the columns, and part the normalizations, where models are told apart within them."""
    ax.set_yticks(range(len(names)), [" · ".join(name) for name in names])
    ax.set_xticks(range(len(columns)), [f"{one.heading}\n{one.best}" for one in columns], fontsize=9)
    ax.xaxis.set_ticks_position("top")
    said = "darker: farther from the real samples" + ("; framed: the nearest" if framed else "")
    ax.set_xlabel(said, fontsize="small", color=FAINT)
    for row in range(1, len(names)):
        if len(names[row]) > 1 and names[row][0] != names[row - 1][0]:
            ax.axhline(row - 0.5, color="white", linewidth=4, zorder=0.5)
