"""Where pictures are drawn: figures, axes, and how both look."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

from intake_tcga.errors import MissingDependencyError, OptionError

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure, SubFigure

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Okabe and Ito's colours, which colour-blind people tell apart; without yellow, which is lost on white, and black."""

REST = "#8c8c8c"
"""Of what has no colour of its own: further groups, samples of unknown group."""

INK, FAINT = "#222222", "#6e6e6e"

DIVERGING, SEQUENTIAL = "RdBu_r", "Blues"
"""Colour maps: around a middle, and from little to much. Both keep their order for colour-blind people."""


def require_matplotlib() -> None:
    """Raise the error that tells how to install matplotlib, if it is not there."""
    try:
        import matplotlib.pyplot  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError(
            "Pictures need matplotlib; install it with: pip install 'intake-tcga[plots]'"
        ) from error


def axes_or_new(ax: Axes | None, width: float = 6.4, height: float = 4.8) -> Axes:
    """Return the axes given, or those of a new figure of so many inches."""
    return ax if ax is not None else new_figure(width, height).add_subplot()


def new_figure(width: float, height: float) -> Figure:
    """Return a new figure of so many inches."""
    import matplotlib.pyplot as plt

    return plt.figure(figsize=(width, height), layout="constrained")


def figure_of(ax: Axes) -> Figure | SubFigure:
    """Return the figure that axes are on."""
    return cast("Figure | SubFigure", ax.get_figure())


def colours(names: Iterable[str]) -> dict[str, str]:
    """Return a colour for each group: the first in the alphabet first, and grey for those that have none, last."""
    ordered = sorted(dict.fromkeys(names))
    known = [name for name in ordered if name not in (OTHERS, UNKNOWN)]
    chosen = {name: PALETTE[at] if at < len(PALETTE) else REST for at, name in enumerate(known)}
    return chosen | {name: REST for name in (OTHERS, UNKNOWN) if name in ordered}


def shown_names(counts: Mapping[str, int]) -> dict[str, str]:
    """Return how a picture calls each group: the largest by their names, cut where long, and the rest together.

    Parameters
    ----------
    counts
        The number of samples of each group.

    Examples
    --------
    >>> shown_names({"a": 3, "b": 2, "c": 9, "d": 9, "e": 9, "f": 9, "g": 9})["b"]
    'others'
    >>> shown_names({"a": 1, "b": 1})
    {'a': 'a', 'b': 'b'}
    """
    known = sorted((name for name in counts if name != UNKNOWN), key=lambda name: (-counts[name], name))
    kept = known[: len(PALETTE)]
    cut = {name: name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1].rstrip()}…" for name in kept}
    if len(set(cut.values())) < len(cut):  # alike at their beginnings
        cut = dict(zip(kept, kept, strict=True))
    return dict.fromkeys(known, OTHERS) | cut | {name: UNKNOWN for name in counts if name == UNKNOWN}


UNKNOWN = "unknown"
"""The group of samples whose group is not told."""

OTHERS = "others"
"""The groups that are too many to be told apart."""

_LONGEST = 32  # letters of a group's name


def finish(ax: Axes, title: str, *, note: str = "") -> None:
    """Give axes their title, and a note at the right end of its line; take away what says nothing."""
    if title:
        ax.set_title(title, loc="left", fontsize="medium", color=INK)
    if note:
        ax.set_title(note, loc="right", fontsize="small", color=FAINT)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    for spine in ax.spines.values():
        spine.set_color(FAINT)
    ax.tick_params(colors=FAINT, labelcolor=INK)


def log_ticks(axis: Axis) -> None:
    """Put few ticks on a logarithmic axis whose limits are known, with numbers as people write them."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    low, high = sorted(axis.get_view_interval())
    axis.set_minor_formatter(NullFormatter())
    if high >= 100 * low:
        return  # powers of ten, which matplotlib knows how to space
    axis.set_major_locator(MaxNLocator(4) if high < 5 * low else LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def legend_beside(ax: Axes, **options: Any) -> None:
    """Put the legend to the right of the axes, where it hides nothing."""
    ax.legend(
        loc="upper left",
        bbox_to_anchor=(1.01, 1),
        borderaxespad=0,
        frameon=False,
        fontsize="small",
        **options,
    )


def title_of(ds: xr.Dataset) -> str:
    """Say which data a picture shows: the dataset's name, and what was selected of it."""
    chosen = [
        str(ds[name].values.item())
        for name in ("normalization", "augmentation", "model")
        if _is_one(ds, name)
    ]
    name = ds.attrs.get("dataset_name", "")
    return " · ".join(part for part in (str(name), *chosen) if part)


def _is_one(ds: xr.Dataset, name: str) -> bool:
    return name in ds.coords and ds[name].ndim == 0


def at_least_one(number: object, name: str) -> int:
    """Return a whole number that is 1 or more.

    Raises
    ------
    OptionError
        When it is none.
    """
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise OptionError(f"{name}={number!r} is not possible; give a whole number, 1 or more.")
    return number
