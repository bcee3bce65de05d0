"""A slide, with a bar that tells how large it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from intake_tcga.errors import OptionError
from intake_tcga.plots.canvas import axes_or_new, finish, require_matplotlib

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

_MOST_PIXELS = 36_000_000  # that are decoded for a picture
_ENOUGH = 900  # pixels of the longer side of a picture in a notebook
_LENGTHS_UM = [step * 10**power for power in range(-1, 6) for step in (1, 2, 5)]


def plot_slide(
    image: xr.DataTree | xr.Dataset | xr.DataArray, *, title: str | None = None, ax: Axes | None = None
) -> Axes:
    """Draw a slide, or an image of it, with a scale bar.

    Parameters
    ----------
    image : xarray.DataTree, Dataset or DataArray
        What ``open_slide`` returns: all levels, of which the coarsest with 900 pixels along a side is drawn; one level;
        or an image of a given µm/px. ``image`` (y, x, c) of uint8.
    title : str, optional
        By default the slide's name, where it is known.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        Its units are those of the image's coordinates, µm (or pixels, where the slide's µm/px is not known: then
        there is no bar).

    Raises
    ------
    OptionError
        There is no image, or one of more pixels than a picture is worth; the message says how to open a smaller one.
    MissingDependencyError
        matplotlib is not installed, or what decodes slides.

    Examples
    --------
    >>> from intake_tcga.slides.opening import open_slide
    >>> ax = plot_slide(open_slide(sample_slide, mpp=8.0))
    >>> [text.get_text() for text in ax.texts]
    ['200 µm']
    """
    require_matplotlib()
    array, name = _level(image)
    height, width = array.sizes["y"], array.sizes["x"]
    if height * width > _MOST_PIXELS:
        raise OptionError(
            f"This image has {width:,} × {height:,} pixels, too many for a picture; "
            f"open the slide at a coarser scale, e.g. open_slide(…, mpp=16)."
        )
    pixels = array.transpose("y", "x", "c").to_numpy()
    left, right = _edges(array["x"].to_numpy())
    top, bottom = _edges(array["y"].to_numpy())
    ratio = (bottom - top) / (right - left)
    ax = axes_or_new(ax, min(7.0, 7.0 / max(ratio, 1e-6)), min(7.0, 7.0 * ratio) + 0.3)
    ax.imshow(pixels, extent=(left, right, bottom, top), interpolation="antialiased")
    if array["x"].attrs.get("units") == "um":
        _draw_bar(ax, (left, right), (top, bottom))
    finish(ax, name if title is None else title)
    ax.set_axis_off()
    return ax


def _level(image: xr.DataTree | xr.Dataset | xr.DataArray) -> tuple[xr.DataArray, str]:
    """Return the image to draw, and the slide's name."""
    import xarray as xr

    if isinstance(image, xr.DataTree):
        levels = [node.to_dataset() for node in image.children.values() if "image" in node]
        if not levels:
            raise OptionError("This DataTree has no level with an image; give what open_slide returns.")
        fine = [level for level in levels if max(level.sizes["y"], level.sizes["x"]) >= _ENOUGH]
        chosen = min(fine or levels, key=lambda level: level.sizes["y"] * (1 if fine else -1))
        return chosen["image"], str(image.attrs.get("file_name", image.name or ""))
    if isinstance(image, xr.Dataset):
        if "image" not in image:
            raise OptionError("This Dataset has no image; give what open_slide returns.")
        return image["image"], str(image.attrs.get("file_name", ""))
    if not isinstance(image, xr.DataArray) or set(image.dims) != {"y", "x", "c"}:
        raise OptionError("An image has the dimensions y, x and c; give what open_slide returns.")
    return image, ""


def _edges(centres: np.ndarray[tuple[int, ...], np.dtype[np.floating]]) -> tuple[float, float]:
    """Return where the first pixel begins and the last one ends."""
    if not len(centres):
        raise OptionError("This image has no pixels; choose a larger part of the slide.")
    step = (centres[-1] - centres[0]) / (len(centres) - 1) if len(centres) > 1 else 1.0
    return float(centres[0] - step / 2), float(centres[-1] + step / 2)


def _draw_bar(ax: Axes, x: tuple[float, float], y: tuple[float, float]) -> None:
    """Draw the longest bar of a round length that is at most a quarter as wide as the image, on a light ground."""
    from matplotlib.patches import Rectangle

    width, height = x[1] - x[0], y[1] - y[0]
    length = max((one for one in _LENGTHS_UM if one <= width / 4), default=_LENGTHS_UM[0])
    unit = max(width, height) / 100
    left, bottom = x[0] + 3 * unit, y[1] - 3 * unit
    ax.add_patch(
        Rectangle(
            (left - 1.5 * unit, bottom - 5.6 * unit),
            length + 3 * unit,
            7.1 * unit,
            fc="white",
            ec="none",
            alpha=0.8,
        )
    )
    ax.add_patch(Rectangle((left, bottom - 0.9 * unit), length, 0.9 * unit, fc="black", ec="none"))
    said = f"{length / 1000:g} mm" if length >= 1000 else f"{length:g} µm"
    ax.text(left + length / 2, bottom - 1.5 * unit, said, ha="center", va="bottom", fontsize=9, color="black")
