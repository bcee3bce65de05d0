"""Narrow a Dataset to the normalizations, models and off-augmentations that were asked for."""

from __future__ import annotations

from collections.abc import Sequence

import xarray as xr

from intake_tcga.errors import OptionError

_DIMS = {"normalization": "normalization", "model": "model", "off_aug": "augmentation"}


def select(
    ds: xr.Dataset,
    *,
    normalization: str | Sequence[str] | None = None,
    model: str | Sequence[str] | None = None,
    off_aug: str | Sequence[str] | None = None,
) -> xr.Dataset:
    """Narrow a cohort's Dataset.

    Parameters
    ----------
    ds
        A Dataset of :func:`~intake_tcga.cohorts.dataset.open_dataset`; nothing of it is read.
    normalization, model, off_aug
        One label drops its dimension and leaves a scalar coordinate; several keep the dimension, in the order
        given; None keeps everything.

    Returns
    -------
    xarray.Dataset

    Raises
    ------
    OptionError
        When the Dataset has no such label; the message lists those it has. All wrong options are in one message.
    """
    wanted = {"normalization": normalization, "model": model, "off_aug": off_aug}
    problems: list[str] = []
    indexers: dict[str, str | list[str]] = {}
    for option, value in wanted.items():
        if value is None:
            continue
        dim = _DIMS[option]
        labels = [value] if isinstance(value, str) else list(value)
        available = labels_of(ds, dim)
        wrong = [label for label in labels if label not in available]
        if wrong:
            problems.append(_problem(option, wrong, available))
        elif not labels:
            problems.append(f"{option} must name at least one of {', '.join(available)}")
        elif dim in ds.dims:
            indexers[dim] = value if isinstance(value, str) else labels
    if problems:
        raise OptionError("; ".join(problems) + ".")
    narrowed = ds.sel(indexers)
    narrowed.set_close(ds._close)
    return narrowed


def labels_of(ds: xr.Dataset, dim: str) -> list[str]:
    """Return the labels along a dimension, also when one was selected and the dimension is gone."""
    if dim not in ds.coords:
        return []
    return [str(label) for label in ds[dim].values.ravel()]


def _problem(option: str, wrong: list[str], available: list[str]) -> str:
    if not available:
        return (
            f"{option}={wrong[0]!r} cannot be chosen: this cohort has no such dimension; leave {option} out"
        )
    shown = wrong[0] if len(wrong) == 1 else wrong
    return f"{option}={shown!r} is not in this cohort; choose from {', '.join(available)}"
