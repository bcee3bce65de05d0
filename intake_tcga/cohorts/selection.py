"""Narrow a Dataset to the normalizations, models and off-augmentations that were asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from intake_tcga.errors import OptionError
from intake_tcga.plain_values import without_numpy

if TYPE_CHECKING:
    import xarray as xr

Narrowing: TypeAlias = str | Sequence[str] | None
"""One label (its dimension becomes a scalar coordinate), several (it stays), or None (all)."""

_DIMS = {"normalization": "normalization", "model": "model", "off_aug": "augmentation"}


def select(
    ds: xr.Dataset,
    *,
    normalization: Narrowing = None,
    model: Narrowing = None,
    off_aug: Narrowing = None,
) -> xr.Dataset:
    """Narrow a cohort's Dataset.

    Parameters
    ----------
    ds
        A Dataset of :func:`~intake_tcga.cohorts.dataset.open_dataset`; nothing of it is read.
    normalization, model, off_aug
        One label drops its dimension and leaves a scalar coordinate; several keep the dimension, in the order
        given, each once; None keeps everything.

    Returns
    -------
    xarray.Dataset

    Raises
    ------
    OptionError
        When the Dataset has no such label; the message lists those it has. All wrong options are in one message.
    """
    given = {"normalization": normalization, "model": model, "off_aug": off_aug}
    wanted = {option: without_numpy(value) for option, value in given.items()}
    check(wanted, {option: labels_of(ds, dim) for option, dim in _DIMS.items()})
    indexers = {
        _DIMS[option]: value if isinstance(value, str) else list(dict.fromkeys(value))
        for option, value in wanted.items()
        if value is not None and _DIMS[option] in ds.dims
    }
    narrowed = ds.sel(indexers)
    narrowed.set_close(ds._close)
    return narrowed


def check(wanted: Mapping[str, Narrowing], available: Mapping[str, Sequence[str]]) -> None:
    """Raise one error that names every wanted label that is not available, and those that are.

    Parameters
    ----------
    wanted
        By option: one label, several, or None for all.
    available
        By option: the labels there are.
    """
    problems: list[str] = []
    for option, value in wanted.items():
        if value is None:
            continue
        labels = _listed(without_numpy(value))
        if wrong := [label for label in labels if label not in available[option]]:
            problems.append(_problem(option, wrong, available[option]))
        elif not labels:
            problems.append(f"{option} must name at least one of {', '.join(available[option])}")
    if problems:
        raise OptionError("; ".join(problems) + ".")


def labels_of(ds: xr.Dataset, dim: str) -> list[str]:
    """Return the labels along a dimension, also when one was selected and the dimension is gone."""
    if dim not in ds.coords:
        return []
    return [str(label) for label in ds[dim].values.ravel()]


def _listed(value: Any) -> list[Any]:
    """Return what was asked for as a list; what is no list of labels is one label, which no cohort has."""
    several = isinstance(value, Iterable) and not isinstance(value, str | bytes | Iterator)
    return list(value) if several else [value]


def _problem(option: str, wrong: Sequence[str], available: Sequence[str]) -> str:
    if not available:
        return (
            f"{option}={wrong[0]!r} cannot be chosen: this cohort has no such dimension; leave {option} out"
        )
    shown = wrong[0] if len(wrong) == 1 else wrong
    return f"{option}={shown!r} is not in this cohort; choose from {', '.join(available)}"
