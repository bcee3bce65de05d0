"""Pictures of expression data. matplotlib is imported by the functions that draw (extra ``plots``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from intake_tcga.errors import MissingDependencyError, OptionError

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

_GROUP_COLOURS = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
)  # Okabe-Ito: colour-blind safe


def plot_pca(ds: xr.Dataset, *, ax: Axes | None = None) -> Axes:
    """Draw real and synthetic samples in the plane of the real samples' first two principal components.

    Filled dots are real, open circles synthetic; colours are groups. The components are those of the real
    samples alone, so that the synthetic ones are seen from the data they imitate.

    Parameters
    ----------
    ds : xarray.Dataset
        ``real`` (sample, feature) and ``synthetic`` (synthetic_sample, feature): one normalization, one model.
        Features that are missing in either are left out.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    OptionError
        More than one normalization, model or augmentation is left in ``ds``.
    MissingDependencyError
        matplotlib is not installed.

    Examples
    --------
    >>> from intake_tcga.cohorts.access import open_sample
    >>> ax = plot_pca(open_sample(normalization="TC", model="CVAE1_5"))
    >>> ax.get_xlabel()
    'PC 1 (35 % of the real variance)'
    """
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise MissingDependencyError(
            "Pictures need matplotlib; install it with: pip install 'intake-tcga[plots]'"
        ) from error
    real, synthetic = ds["real"], ds["synthetic"]
    if left := [str(dim) for dim in synthetic.dims if dim not in ("synthetic_sample", "feature")]:
        raise OptionError(
            f"A picture shows one {' and one '.join(left)}, and this Dataset has several; "
            f"select first, e.g. ds.sel({left[0]}={ds[left[0]].values[0]!r})."
        )
    ax = ax or plt.figure(figsize=(6.4, 4.8), layout="constrained").add_subplot()
    real_points, synthetic_points, explained = _project(real.to_numpy(), synthetic.to_numpy())
    groups = [str(group) for group in ds["group"].to_numpy()]
    synthetic_groups = (
        [str(group) for group in ds["synthetic_group"].to_numpy()] if "synthetic_group" in ds.coords else None
    )
    for number, group in enumerate(dict.fromkeys(sorted(groups))):
        colour = _GROUP_COLOURS[number % len(_GROUP_COLOURS)]
        chosen = np.array([g == group for g in groups])
        ax.scatter(
            real_points[chosen, 0],
            real_points[chosen, 1],
            s=18,
            color=colour,
            label=f"{group}, real ({chosen.sum()})",
        )
        if synthetic_groups is not None:
            chosen = np.array([g == group for g in synthetic_groups])
            ax.scatter(
                synthetic_points[chosen, 0],
                synthetic_points[chosen, 1],
                s=22,
                facecolors="none",
                edgecolors=colour,
                linewidths=0.8,
                label=f"{group}, synthetic ({chosen.sum()})",
            )
    if synthetic_groups is None:
        ax.scatter(
            synthetic_points[:, 0],
            synthetic_points[:, 1],
            s=22,
            facecolors="none",
            edgecolors="0.4",
            linewidths=0.8,
            label=f"synthetic ({len(synthetic_points)})",
        )
    ax.set_xlabel(f"PC 1 ({explained[0]:.0%} of the real variance)".replace("%", " %"))
    ax.set_ylabel(f"PC 2 ({explained[1]:.0%})".replace("%", " %"))
    chosen_labels = [
        str(ds[name].item()) for name in ("normalization", "augmentation", "model") if name in ds.coords
    ]
    ax.set_title(" · ".join([str(ds.attrs.get("dataset_name", "")), *chosen_labels]).strip(" ·"))
    ax.legend(fontsize="small", framealpha=0.6)
    return ax


def _project(
    real: np.ndarray[tuple[int, int], np.dtype[np.floating]],
    synthetic: np.ndarray[tuple[int, int], np.dtype[np.floating]],
) -> tuple[
    np.ndarray[tuple[int, int], np.dtype[np.floating]],
    np.ndarray[tuple[int, int], np.dtype[np.floating]],
    tuple[float, float],
]:
    """Project both on the first two principal components of ``real``; also their shares of its variance."""
    known = np.isfinite(real).all(axis=0) & np.isfinite(synthetic).all(axis=0)
    if known.sum() < 2 or len(real) < 2:
        raise OptionError(
            f"A plane of principal components needs 2 samples and 2 features that are known everywhere; "
            f"there are {len(real)} and {known.sum()}."
        )
    centre = real[:, known].mean(axis=0)
    centred = real[:, known] - centre
    _, singular, axes = np.linalg.svd(centred, full_matrices=False)
    share = singular**2 / max(float((singular**2).sum()), np.finfo(float).tiny)
    # The sign of a component is arbitrary: the largest loading is made positive, so that pictures repeat.
    plane = axes[:2] * np.sign(axes[[0, 1], np.abs(axes[:2]).argmax(axis=1)])[:, None]
    return centred @ plane.T, (synthetic[:, known] - centre) @ plane.T, (float(share[0]), float(share[1]))
