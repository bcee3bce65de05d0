"""Which groups samples are of."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

from intake_tcga.arrays.grouping import is_missing
from intake_tcga.errors import OptionError
from intake_tcga.plots.canvas import (
    INK,
    UNKNOWN,
    axes_or_new,
    colours,
    finish,
    legend_beside,
    require_matplotlib,
    shown_names,
    title_of,
)

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

_KINDS = {"raw_group": "raw counts", "group": "real", "synthetic_group": "synthetic"}


def plot_groups(ds: xr.Dataset, *, ax: Axes | None = None) -> Axes:
    """Draw what share of the raw, the real and the synthetic samples is of which group.

    Parameters
    ----------
    ds : xarray.Dataset
        A cohort with any of ``group``, ``raw_group`` and ``synthetic_group``. Synthetic samples of several
        normalizations or models get one bar together where all have the same groups, else one each. Only these labels
        are read.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        A bar a kind of samples; the numbers in it count samples. The six largest groups are named, the rest are drawn
        together as ``others``.

    Raises
    ------
    OptionError
        No sample of ``ds`` has a group.
    MissingDependencyError
        matplotlib is not installed.

    Examples
    --------
    >>> from intake_tcga.cohorts.access import open_sample
    >>> ax = plot_groups(open_sample())
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['raw counts (80)', 'real (77)', 'synthetic (100), each of 9']
    """
    require_matplotlib()
    bars = _bars(ds)
    if not bars:
        raise OptionError("This Dataset has no groups; open a cohort whole, or keep its coordinate group.")
    names = shown_names(sum(bars.values(), Counter()))
    bars = {label: _called(counts, names) for label, counts in bars.items()}
    chosen = colours(name for counts in bars.values() for name in counts)
    ax = axes_or_new(ax, 6.8, 1.4 + 0.45 * len(bars))
    starts = dict.fromkeys(bars, 0.0)
    for name, colour in chosen.items():
        shares = {label: counts[name] / counts.total() for label, counts in bars.items()}
        drawn = ax.barh(
            range(len(bars)),
            [100 * share for share in shares.values()],
            left=[100 * start for start in starts.values()],
            color=colour,
            height=0.62,
            edgecolor="white",
            label=name,
        )
        numbers = [f"{bars[label][name]:,}" if share > 0.04 else "" for label, share in shares.items()]
        ax.bar_label(drawn, numbers, label_type="center", color="white", fontsize="small")
        starts = {label: start + shares[label] for label, start in starts.items()}
    ax.set_yticks(range(len(bars)), list(bars), color=INK)
    ax.invert_yaxis()
    ax.set(xlim=(0, 100), xlabel="share of the samples [%]")
    finish(ax, title_of(ds))
    ax.spines["left"].set_visible(False)
    ax.tick_params(axis="y", length=0)
    legend_beside(ax, title=str(ds.attrs.get("clinical_variable", "")).replace("_", " ") or None)
    return ax


def _called(counts: Counter[str], names: Mapping[str, str]) -> Counter[str]:
    """Return counts by the names that groups have in the picture, some of which have one together."""
    called: Counter[str] = Counter()
    for name, count in counts.items():
        called[names[name]] += count
    return called


def _bars(ds: xr.Dataset) -> dict[str, Counter[str]]:
    """Return the groups of each kind of samples, counted."""
    bars: dict[str, Counter[str]] = {}
    for name, kind in _KINDS.items():
        if name not in ds.coords or ds[name].ndim == 0:
            continue
        runs = _runs(ds[name])
        if len(runs) > 1 and len({tuple(sorted(counts.items())) for counts in runs.values()}) == 1:
            counts = next(iter(runs.values()))
            bars[f"{kind} ({counts.total():,}), each of {len(runs)}"] = counts
            continue
        for run, counts in runs.items():
            bars[f"{kind}{f' {run}' if run else ''} ({counts.total():,})"] = counts
    return {label: counts for label, counts in bars.items() if set(counts) - {UNKNOWN}}


def _runs(labels: xr.DataArray) -> dict[str, Counter[str]]:
    """Count the labels along the samples, of each normalization and model that there are."""
    others = labels.dims[:-1]
    values = labels.to_numpy()
    runs = {}
    for at in itertools.product(*(range(labels.sizes[dim]) for dim in others)):
        run = " · ".join(str(labels[dim].values[n]) for dim, n in zip(others, at, strict=True))
        runs[run] = Counter(UNKNOWN if is_missing(value) else str(value) for value in values[at].tolist())
    return {run: counts for run, counts in runs.items() if counts}
