"""How many reads samples have."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from intake_tcga.arrays.matrices import find_matrix
from intake_tcga.arrays.sample_blocks import SampleBlocks
from intake_tcga.errors import OptionError
from intake_tcga.plots.canvas import (
    INK,
    axes_or_new,
    colours,
    finish,
    legend_beside,
    log_ticks,
    require_matplotlib,
    title_of,
)
from intake_tcga.plots.expression import groups_of, is_counts

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

_MOST_BARS = 120  # samples that are each shown


def plot_library_sizes(
    data: xr.Dataset | xr.DataArray,
    *,
    variable: Hashable | None = None,
    color: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the library sizes of samples: the sums of their counts.

    Parameters
    ----------
    data : xarray.Dataset or xarray.DataArray
        Counts of samples × features: those of an ARCHS4 file, or ``raw`` of a cohort. Read once, some samples at a
        time.
    variable : str, optional
        Which matrix.
    color : str, optional
        The coordinate of samples that colours them; by default the groups.
        The six largest groups are named, the rest are drawn together as ``others``.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        Up to 120 samples: a bar each, by falling size. More: how many are how large, on a logarithmic scale.

    Raises
    ------
    OptionError
        There is no such matrix, several, or one that holds no counts.
    MissingDependencyError
        matplotlib is not installed.

    Examples
    --------
    >>> from intake_tcga.cohorts.access import open_sample
    >>> ax = plot_library_sizes(open_sample())
    >>> ax.get_ylabel()
    'library size [million reads]'
    """
    require_matplotlib()
    if variable is None and hasattr(data, "data_vars"):
        variable = next((name for name in ("counts", "raw") if name in data.data_vars), None)
    matrix = find_matrix(data, variable)
    if not is_counts(matrix.array):
        raise OptionError(
            f"{matrix.name} holds no counts, whose sums are library sizes; name a matrix of counts, e.g. 'raw'."
        )
    sizes = _library_sizes(matrix.array)
    groups = groups_of(matrix.dataset, matrix.sample, color)
    names = np.full(len(sizes), "", object) if groups is None else groups
    ax = axes_or_new(ax, 7.2, 3.8)
    (_draw_each if len(sizes) <= _MOST_BARS else _draw_histogram)(ax, sizes, names)
    finish(ax, title_of(matrix.dataset))
    if groups is not None:
        legend_beside(ax)
    return ax


def _library_sizes(array: xr.DataArray) -> npt.NDArray[np.float64]:
    from dask.base import compute

    (sizes,) = compute(SampleBlocks.of(array).per_sample(_sums))  # type: ignore[no-untyped-call]
    return np.asarray(sizes, dtype=np.float64)


def _sums(block: npt.NDArray[np.generic]) -> npt.NDArray[np.float64]:
    return np.asarray(np.nansum(block, axis=1, dtype=np.float64))


def _scale(sizes: npt.NDArray[np.float64]) -> tuple[float, str]:
    """Return what to divide by, and what the unit is called then."""
    largest = sizes.max(initial=0)
    return (
        (1e6, "million reads")
        if largest >= 1e6
        else (1e3, "thousand reads")
        if largest >= 1e3
        else (1, "reads")
    )


def _draw_each(ax: Axes, sizes: npt.NDArray[np.float64], names: npt.NDArray[np.object_]) -> None:
    by, unit = _scale(sizes)
    order = np.argsort(-sizes, kind="stable")
    ranked, owners = sizes[order] / by, names[order]
    for name, colour in colours(names.tolist()).items():
        where = np.flatnonzero(owners == name)
        ax.bar(where, ranked[where], width=0.85, color=colour, label=f"{name} ({len(where):,})")
    _draw_median(ax, ranked, unit, horizontal=True)
    ax.set_xticks([])
    ax.set(xlim=(-0.8, max(len(sizes), 1) - 0.2), ylabel=f"library size [{unit}]")
    ax.set_xlabel(f"{len(sizes):,} samples, by size")


def _draw_histogram(ax: Axes, sizes: npt.NDArray[np.float64], names: npt.NDArray[np.object_]) -> None:
    by, unit = _scale(sizes)
    positive = sizes[sizes > 0] / by
    chosen = colours(names.tolist())
    low, high = (positive.min(), positive.max()) if len(positive) else (0.1, 1.0)
    edges = np.geomspace(low, high if high > low else low * 1.01, 51)
    ax.hist(
        [sizes[(names == name) & (sizes > 0)] / by for name in chosen],
        bins=list(edges),
        stacked=True,
        color=list(chosen.values()),
        label=[f"{name} ({int((names == name).sum()):,})" for name in chosen],
    )
    ax.set(xscale="log", xlabel=f"library size [{unit}]", ylabel="samples")
    log_ticks(ax.xaxis)
    _draw_median(ax, sizes / by, unit, horizontal=False)
    if empty := int((sizes <= 0).sum()):
        ax.annotate(
            f"{empty:,} samples without reads left out", (0.01, 0.97), xycoords="axes fraction", va="top"
        )


def _draw_median(ax: Axes, sizes: npt.NDArray[np.float64], unit: str, *, horizontal: bool) -> None:
    if not len(sizes):
        return
    median = float(np.median(sizes))
    (ax.axhline if horizontal else ax.axvline)(median, color=INK, linewidth=1, linestyle=(0, (4, 3)))
    said = f"median {median:.3g} {unit}"
    if horizontal:
        ax.annotate(
            said, (1, median), xycoords=("axes fraction", "data"), xytext=(-2, 3), textcoords="offset points",
            ha="right", va="bottom", fontsize="small", color=INK,
        )  # fmt: skip
    else:
        ax.annotate(
            said, (median, 1), xycoords=("data", "axes fraction"), xytext=(4, -2), textcoords="offset points",
            ha="left", va="top", fontsize="small", color=INK,
        )  # fmt: skip
