"""The pictures of the page: which there are for what was opened, drawn to PNG."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any, Literal

import xarray as xr

from intake_tcga import plots
from intake_tcga.arrays.matrices import find_matrix
from intake_tcga.errors import OptionError
from intake_tcga.plots.expression import feature_names, is_counts

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Kind = Literal["cohort", "expression", "slide"]
Data = xr.Dataset | xr.DataTree

CHOICES = ("normalization", "augmentation", "model")
"""Dimensions of a cohort of which a picture shows one."""

_DPI = 100  # whatever a notebook has set for its own pictures
_ONE_AT_A_TIME = threading.Lock()  # matplotlib's state is shared by all threads


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture by its name."""

    label: str
    size: tuple[float, float]
    """Inches."""

    draw: Callable[[Any, Figure, str], object]
    """Draw data on a figure; the text is the field or the feature that was picked."""

    picks: Literal["", "field", "feature"] = ""
    """What has to be picked for it."""


def _pca(ds: xr.Dataset, figure: Figure, _: str) -> object:
    return plots.plot_pca(ds, ax=figure.add_subplot())


_COHORT = (
    Picture("Real and synthetic", (6.4, 4.4), _pca),
    Picture(
        "Means and variances", (8.6, 4.3), lambda ds, figure, _: plots.plot_mean_variance(ds, figure=figure)
    ),
    Picture(
        "Correlations", (6.0, 4.8), lambda ds, figure, _: plots.plot_correlations(ds, ax=figure.add_subplot())
    ),
    Picture("Heat map", (8.0, 6.4), lambda ds, figure, _: plots.plot_heatmap(ds, figure=figure)),
    Picture("Groups", (7.0, 3.0), lambda ds, figure, _: plots.plot_groups(ds, ax=figure.add_subplot())),
)
_EXPRESSION = (
    Picture("Samples", (6.4, 4.4), _pca),
    Picture("Heat map", (8.0, 6.4), lambda ds, figure, _: plots.plot_heatmap(ds, figure=figure)),
    Picture(
        "Metadata",
        (7.0, 4.8),
        lambda ds, figure, field: plots.plot_metadata(ds, field, ax=figure.add_subplot()),
        "field",
    ),
)
_LIBRARIES = Picture(
    "Library sizes", (7.2, 4.0), lambda ds, figure, _: plots.plot_library_sizes(ds, ax=figure.add_subplot())
)
_SLIDE = (
    Picture("Slide", (7.0, 7.0), lambda tree, figure, _: plots.plot_slide(tree, ax=figure.add_subplot())),
)

FEATURE = Picture(
    "Feature",
    (5.4, 4.2),
    lambda ds, figure, feature: plots.plot_feature(ds, feature, ax=figure.add_subplot()),
    "feature",
)
"""The values of one feature."""


def kind_of(data: Data) -> Kind:
    """Tell what was opened, by what is in it.

    Raises
    ------
    OptionError
        It is nothing that the page can show.
    """
    if isinstance(data, xr.DataTree) or "image" in data:
        return "slide"
    if {"real", "synthetic"} <= set(data.data_vars):
        return "cohort"
    find_matrix(data)
    return "expression"


def pictures_of(data: Data) -> tuple[Picture, ...]:
    """Return the pictures that there are of data."""
    kind = kind_of(data)
    if kind == "slide":
        return _SLIDE
    if kind == "cohort":
        return _COHORT
    assert isinstance(data, xr.Dataset), "what is no slide"
    return (
        (_EXPRESSION[0], _LIBRARIES, *_EXPRESSION[1:]) if is_counts(find_matrix(data).array) else _EXPRESSION
    )


def choices_of(data: Data) -> dict[str, list[str]]:
    """Return the labels of each dimension of which a picture shows one."""
    if not isinstance(data, xr.Dataset):
        return {}
    return {dim: [str(label) for label in data[dim].values] for dim in CHOICES if dim in data.dims}


def fields_of(data: Data) -> list[str]:
    """Return the fields of the samples of one matrix."""
    if kind_of(data) != "expression":
        return []
    assert isinstance(data, xr.Dataset), "what is no slide"
    dim = find_matrix(data).sample
    return [str(name) for name in data.coords if data[name].dims == (dim,) and name != dim]


def features_of(data: Data) -> list[str]:
    """Return the features by the names that people know: symbols, where there are some."""
    kind = kind_of(data)
    if kind == "slide":
        return []
    assert isinstance(data, xr.Dataset), "what is no slide"
    array = (
        data["real"].isel({dim: 0 for dim in CHOICES if dim in data["real"].dims})
        if kind == "cohort"
        else None
    )
    return list(dict.fromkeys(feature_names(find_matrix(data).array if array is None else array)))


def png(picture: Picture, data: Data, choices: Mapping[str, str], pick: str = "") -> bytes:
    """Draw a picture of the data that were chosen; read what it needs.

    Raises
    ------
    IntakeTcgaError
        As the picture's own function.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    if picture.picks and not pick:
        raise OptionError(f"Pick a {picture.picks} to see.")
    shown = data.sel(dict(choices)) if choices and isinstance(data, xr.Dataset) else data
    with _ONE_AT_A_TIME:
        figure = Figure(figsize=picture.size, dpi=_DPI, layout="constrained")
        picture.draw(shown, figure, pick)
        target = BytesIO()
        FigureCanvasAgg(figure).print_png(target, metadata={"Software": None})  # type: ignore[no-untyped-call]
        return target.getvalue()


def narrowed(data: Data, samples: int, text: str) -> Data:
    """Return some samples of a large matrix: those whose metadata have a text, drawn at random, the same each time."""
    from intake_tcga.archs4.accessor import Archs4Accessor

    if not isinstance(data, xr.Dataset) or kind_of(data) != "expression" or "sample" not in data.dims:
        return data
    found = Archs4Accessor(data).search(text) if text else data
    if not found.sizes["sample"]:
        raise OptionError(f"No sample mentions {text!r}; look for something else.")
    return found if found.sizes["sample"] <= samples else Archs4Accessor(found).draw(samples, seed=1)


def alt_text(picture: Picture, choices: Mapping[str, str], pick: str) -> str:
    """Return what a picture shows, for those who do not see it."""
    parts: Sequence[str] = [picture.label, *choices.values(), pick]
    return ", ".join(part for part in parts if part)
