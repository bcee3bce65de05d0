"""What is written about samples, counted."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from intake_tcga.arrays.grouping import is_missing
from intake_tcga.errors import NameNotFoundError
from intake_tcga.plots.canvas import (
    INK,
    PALETTE,
    REST,
    at_least_one,
    axes_or_new,
    finish,
    require_matplotlib,
)

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

_LONGEST = 42  # characters of a value that are shown


def plot_metadata(ds: xr.Dataset, field: str, *, top: int = 15, ax: Axes | None = None) -> Axes:
    """Draw how many samples have which value of a field: tissue, platform, read depth, ….

    Parameters
    ----------
    ds : xarray.Dataset
        Any with one-dimensional coordinates of samples: an ARCHS4 file, a cohort.
    field : str
        A coordinate, e.g. ``source_name_ch1``, ``platform_id``, ``group``. Only this one is read.
    top : int
        Values shown; the others are counted together.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        Of texts, and of up to ``top`` different numbers: a bar a value, the most frequent first. Of more numbers: a
        histogram.

    Raises
    ------
    NameNotFoundError
        There is no such field; the message lists those there are.
    MissingDependencyError
        matplotlib is not installed.

    Examples
    --------
    >>> from intake_tcga.cohorts.access import open_sample
    >>> ax = plot_metadata(open_sample(), "group")
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['Tumor', 'Normal']
    """
    require_matplotlib()
    at_least_one(top, "top")
    fields = [str(name) for name in ds.coords if ds[name].ndim == 1]
    if field not in fields:
        raise NameNotFoundError(f"There is no field {field!r}; there are {', '.join(fields) or 'none'}.")
    values = ds[field].to_numpy()
    if values.dtype.kind in "iuf" and len(np.unique(values)) > top:
        ax = axes_or_new(ax, 6.4, 3.8)
        _draw_histogram(ax, values, _axis_label(ds, field))
    else:
        counts = Counter(_said(value) for value in values.tolist())
        ax = axes_or_new(ax, 6.8, 1.2 + 0.27 * (min(len(counts), top) + 1))
        _draw_bars(ax, counts, top)
    finish(ax, _axis_label(ds, field))
    return ax


def _axis_label(ds: xr.Dataset, field: str) -> str:
    units = ds[field].attrs.get("units")
    return f"{field} [{units}]" if units else field


def _said(value: object) -> str:
    if is_missing(value):
        return "(not told)"
    text = " ".join(str(value).split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _draw_bars(ax: Axes, counts: Counter[str], top: int) -> None:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    shown, rest = ordered[:top], ordered[top:]
    names, numbers = [name for name, _ in shown], [number for _, number in shown]
    if rest:
        names.append(f"{len(rest):,} other values")
        numbers.append(sum(number for _, number in rest))
    drawn = ax.barh(
        range(len(names)), numbers, height=0.72, color=[PALETTE[0]] * len(shown) + [REST] * bool(rest)
    )
    ax.bar_label(drawn, [f"{number:,}" for number in numbers], padding=3, fontsize="small", color=INK)
    ax.set_yticks(range(len(names)), names, color=INK)
    ax.invert_yaxis()
    ax.set_xlabel(f"samples (of {counts.total():,})")
    ax.margins(x=0.1)
    ax.tick_params(axis="y", length=0)
    ax.xaxis.get_major_locator().set_params(integer=True)  # type: ignore[call-arg]


def _draw_histogram(ax: Axes, values: np.ndarray[tuple[int, ...], np.dtype[np.generic]], label: str) -> None:
    known = values[np.isfinite(values.astype(np.float64))].astype(np.float64)
    ax.hist(known, bins=40, color=PALETTE[0])
    missing = len(values) - len(known)
    ax.set_xlabel(label + (f"; {missing:,} samples have none" if missing else ""))
    ax.set_ylabel(f"samples (of {len(values):,})")
