"""One feature's values among real and synthetic samples."""

from __future__ import annotations

import difflib
import textwrap
from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from intake_tcga.errors import NameNotFoundError
from intake_tcga.plots.canvas import (
    INK,
    axes_or_new,
    colours,
    finish,
    require_matplotlib,
    title_of,
)
from intake_tcga.plots.expression import Expression, Pair, expression, labelled
from intake_tcga.plots.heatmap import shown_in

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

Floats = npt.NDArray[np.float64]

_MOST_DOTS = 2000  # samples of a group that are each shown
_NAME = 14  # letters of a line of a group's name


def plot_feature(
    data: xr.Dataset | xr.DataArray,
    feature: str,
    *,
    variable: Hashable | None = None,
    color: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the values of one feature by group: of a cohort, synthetic samples beside the real ones.

    Parameters
    ----------
    data : xarray.Dataset or xarray.DataArray
        ``real`` (sample, feature) and ``synthetic`` (synthetic_sample, feature): one normalization, one model; or one
        matrix, counts as log2(1 + counts per million). Of matrices that are not counts, only this feature is read.
    feature : str
        Its label, or its ``symbol`` where features have one.
    variable : str, optional
        Draw this matrix alone.
    color : str, optional
        The coordinate of samples that groups them, where a matrix is drawn alone; by default their groups.
        The six largest groups are named, the rest are drawn together as ``others``.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        A box from quartile to quartile with a line at the median, whiskers to the most extreme values within 1.5 of
        its length, and a dot a sample (up to 2,000 of a group); filled are real, open are synthetic samples.

    Raises
    ------
    NameNotFoundError
        There is no such feature; the message names the nearest.
    OptionError
        More than one normalization, model or augmentation is left in ``data``.
    MissingDependencyError
        matplotlib is not installed.

    Examples
    --------
    >>> from intake_tcga.cohorts.access import open_sample
    >>> ax = plot_feature(open_sample(normalization="TC", model="CVAE1_5"), "hsa.mir.21")
    >>> ax.get_ylabel()
    'hsa.mir.21 [log2(x+1)]'
    """
    require_matplotlib()
    kinds = _kinds(data, variable, color)
    at = _position(next(iter(kinds.values())).array, feature)
    columns = {kind: shown.load(np.array([at]))[:, 0] for kind, shown in kinds.items()}
    chosen = colours(name for shown in kinds.values() for name in shown.group_names())
    ax = axes_or_new(ax, max(5.6, 1.2 + 0.9 * len(chosen) * len(kinds)), 4.2)
    places: list[str] = []
    for group, colour in chosen.items():
        for kind, shown in kinds.items():
            values = columns[kind][shown.group_names() == group]
            values = values[np.isfinite(values)]
            if len(values):
                own = colour if shown.groups is not None or len(kinds) == 1 else "#6e6e6e"
                _draw_one(ax, len(places), values, own, filled=kind != "synthetic")
                name = textwrap.fill(group, _NAME) if shown.groups is not None else "samples"
                places.append("\n".join(part for part in (name, kind, f"n = {len(values):,}") if part))
    ax.set_xticks(range(len(places)), places, color=INK, fontsize="medium" if len(places) < 6 else "small")
    ax.set_xlim(-0.6, max(len(places), 1) - 0.4)
    ax.set_ylabel(labelled(feature, next(iter(kinds.values())).unit))
    finish(ax, title_of(shown_in(data)))
    ax.tick_params(axis="x", length=0)
    return ax


def _kinds(
    data: xr.Dataset | xr.DataArray, variable: Hashable | None, color: str | None
) -> dict[str, Expression]:
    """Return what is drawn side by side: real and synthetic samples, or one matrix."""
    if variable is None and color is None and {"real", "synthetic"} <= set(getattr(data, "data_vars", ())):
        pair = Pair.of(shown_in(data))
        return {"real": pair.real, "synthetic": pair.synthetic}
    return {"": expression(data, variable, colour=color)}


def _position(array: xr.DataArray, feature: str) -> int:
    """Find a feature by its label, else by its symbol."""
    dim = array.dims[1]
    names: list[str] = []
    for coordinate in (dim, "symbol"):
        if coordinate in array.coords and array[coordinate].dims == (dim,):
            labels = [str(label) for label in array[coordinate].to_numpy().tolist()]
            if feature in labels:
                return labels.index(feature)
            names += labels
    by_name = {name.casefold(): name for name in names}  # what is near in other capitals is near
    near = [by_name[one] for one in difflib.get_close_matches(feature.casefold(), by_name, n=3)]
    hint = (
        f"; did you mean {' or '.join(near)}?" if near else f"; they are called like {', '.join(names[:3])}."
    )
    raise NameNotFoundError(f"There is no feature {feature!r} among the {array.shape[1]:,}{hint}")


def _draw_one(ax: Axes, place: int, values: Floats, colour: str, *, filled: bool) -> None:
    style: dict[str, Any] = {"color": colour, "linewidth": 1.2}
    ax.boxplot(
        [values],
        positions=[place],
        widths=0.62,
        showfliers=len(values) > _MOST_DOTS,
        boxprops=style,
        whiskerprops=style,
        capprops=style,
        medianprops={"color": INK, "linewidth": 1.8},
        flierprops={"marker": ".", "markersize": 2, "markeredgecolor": colour, "rasterized": True},
        manage_ticks=False,
    )
    if len(values) <= _MOST_DOTS:
        marks: dict[str, Any] = {"color": colour} if filled else {"facecolors": "none", "edgecolors": colour}
        ax.scatter(place + _spread(values), values, s=13, linewidths=0.8, alpha=0.65, zorder=1, **marks)


def _spread(values: Floats) -> Floats:
    """Move dots sideways so that neighbours do not hide each other; the same each time."""
    ranks = np.argsort(np.argsort(values, kind="stable"), kind="stable")
    return np.asarray(((ranks * 0.6180339887498949) % 1 - 0.5) * 0.44)
