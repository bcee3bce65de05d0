"""Samples in the plane of two principal components."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from intake_tcga.errors import OptionError
from intake_tcga.plots.canvas import (
    at_least_one,
    axes_or_new,
    colours,
    finish,
    legend_beside,
    require_matplotlib,
    title_of,
)
from intake_tcga.plots.expression import Expression, Pair, expression

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

Floats = npt.NDArray[np.float64]


def plot_pca(
    ds: xr.Dataset,
    *,
    variable: Hashable | None = None,
    color: str | None = None,
    features: int = 2000,
    ax: Axes | None = None,
) -> Axes:
    """Draw samples in the plane of the first two principal components of the real ones.

    Of a cohort, filled dots are real and open circles synthetic samples; colours are groups. The components are those
    of the real samples alone, so that the synthetic ones are seen from the data they imitate. Any other matrix of
    samples × features is drawn by itself, counts as log2(1 + counts per million).

    Parameters
    ----------
    ds : xarray.Dataset
        ``real`` (sample, feature) and ``synthetic`` (synthetic_sample, feature): one normalization, one model; or one
        matrix. Features that are missing in any sample are left out.
    variable : str, optional
        Draw this matrix alone.
    color : str, optional
        The coordinate of samples that colours them, where a matrix is drawn alone; by default the groups.
        The six largest groups are named, the rest are drawn together as ``others``.
    features : int
        The features of the largest variances among the real samples that are used, 2 or more; only they are held in
        memory.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    OptionError
        More than one normalization, model or augmentation is left in ``ds``; there are too few samples or features,
        or more than 1 GiB of them.
    MissingDependencyError
        matplotlib is not installed.

    Examples
    --------
    >>> from intake_tcga.cohorts.access import open_sample
    >>> ax = plot_pca(open_sample(normalization="TC", model="CVAE1_5"))
    >>> ax.get_xlabel()
    'PC 1 (35 % of the real variance)'
    """
    require_matplotlib()
    if at_least_one(features, "features") < 2:
        raise OptionError(f"features={features} is not possible: a plane needs two; give 2 or more.")
    real, synthetic = _found(ds, variable, color)
    points, others, explained = _projected(real, synthetic, features)
    ax = axes_or_new(ax, 6.8)
    chosen = colours([*real.group_names(), *([] if synthetic is None else synthetic.group_names())])
    total = len(points) + len(others)
    for group, colour in chosen.items():
        own = points[real.group_names() == group]
        _scatter(
            ax, own, _label(group, real, synthetic, "real"), total, color=colour, alpha=0.6, linewidths=0
        )
        if synthetic is not None:
            made = others[synthetic.group_names() == group]
            edge = colour if synthetic.groups is not None else "#6e6e6e"
            _scatter(
                ax,
                made,
                _label(group, synthetic, synthetic, "synthetic"),
                total,
                above=1,
                facecolors="none",
                edgecolors=edge,
                linewidths=0.9 if total < 500 else 0.6,
            )
    whose = " of the real variance" if synthetic is not None else " of the variance"
    ax.set_xlabel(f"PC 1 ({100 * explained[0]:.0f} %{whose})")
    ax.set_ylabel(f"PC 2 ({100 * explained[1]:.0f} %)")
    finish(ax, title_of(ds) if hasattr(ds, "attrs") else "")
    if len(chosen) > 1 or synthetic is not None:
        legend_beside(ax)
    return ax


def _found(
    ds: xr.Dataset, variable: Hashable | None, color: str | None
) -> tuple[Expression, Expression | None]:
    """Find the samples whose components are used, and those that are seen with them."""
    if variable is None and color is None and {"real", "synthetic"} <= set(getattr(ds, "data_vars", ())):
        pair = Pair.of(ds)
        return pair.real, pair.synthetic
    return expression(ds, variable, colour=color), None


def _label(group: str, of: Expression, synthetic: Expression | None, kind: str) -> str:
    count = int((of.group_names() == group).sum())
    kind = kind if synthetic is not None else ""
    name = group if of.groups is not None else ""
    return f"{', '.join(part for part in (name, kind) if part) or 'samples'} ({count:,})"


def _scatter(ax: Axes, points: Floats, label: str, total: int, *, above: int = 0, **style: Any) -> None:
    """Draw points, the smaller the more there are in all; what is of few lies above what is of many."""
    if len(points):
        size = 20 if total < 500 else 11 if total < 3000 else 5
        style["zorder"] = 2 + above + 0.9 * (1 - len(points) / total)
        ax.scatter(points[:, 0], points[:, 1], s=size, label=label, rasterized=len(points) > 5000, **style)


def _projected(
    real: Expression, synthetic: Expression | None, features: int
) -> tuple[Floats, Floats, tuple[float, float]]:
    """Project both on the first two principal components of ``real``; also their shares of its variance."""
    found = real.moments()
    known = found.known if synthetic is None else found.known & synthetic.moments().known
    if known.sum() < 2 or found.n_samples < 2:
        raise OptionError(
            f"A plane of principal components needs 2 samples and 2 features that are known everywhere; "
            f"there are {found.n_samples} and {known.sum()}."
        )
    chosen = found.most_variable(features, known)
    centred = real.load(chosen) - found.mean[chosen]
    present = np.isfinite(centred).all(axis=1)
    plane, explained = _components(centred[present])
    others = (
        np.empty((0, 2)) if synthetic is None else (synthetic.load(chosen) - found.mean[chosen]) @ plane.T
    )
    return centred @ plane.T, others, explained


def _components(centred: Floats) -> tuple[Floats, tuple[float, float]]:
    """Return the two directions of the largest variance, and their shares of it, by the smaller of both products."""
    if centred.shape[0] < centred.shape[1]:
        values, vectors = np.linalg.eigh(centred @ centred.T)
        plane = (centred.T @ vectors[:, -2:])[:, ::-1].T
        lengths = np.linalg.norm(plane, axis=1, keepdims=True)
        plane = np.divide(plane, lengths, out=np.zeros_like(plane), where=lengths > 0)
    else:
        values, vectors = np.linalg.eigh(centred.T @ centred)
        plane = vectors[:, -2:][:, ::-1].T
    total = max(float((centred**2).sum()), np.finfo(float).tiny)
    # The sign of a component is arbitrary: the largest loading is made positive, so that pictures repeat.
    plane = plane * np.sign(plane[[0, 1], np.abs(plane).argmax(axis=1)])[:, None]
    return plane, (max(float(values[-1]), 0.0) / total, max(float(values[-2]), 0.0) / total)
