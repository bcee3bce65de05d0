"""One subset of a cohort as pandas objects: the pair (expression, groups) that SyNG-BTS works with."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from intake_tcga.cohorts import attributes
from intake_tcga.cohorts.dataset import ALIGNED
from intake_tcga.cohorts.selection import labels_of, select
from intake_tcga.errors import OptionError

_DEFAULT_NORMALIZATION = "DESeq"
_DEFAULT_MODEL = "CVAE1_5"


def real_pair(ds: xr.Dataset, normalization: str | None = None) -> tuple[pd.DataFrame, pd.Series[Any] | None]:
    """Read the measured samples of one normalization; see :meth:`~intake_tcga.cohorts.accessor.CohortAccessor.real`."""
    _require(ds, "real")
    chosen = normalization or default_normalization(ds)
    return _pair(_narrow(ds, normalization=chosen), "real", "sample", "group")


def synthetic_pair(
    ds: xr.Dataset, normalization: str | None = None, model: str | None = None, off_aug: str | None = None
) -> tuple[pd.DataFrame, pd.Series[Any] | None]:
    """Read the samples that one model generated; see :meth:`~intake_tcga.cohorts.accessor.CohortAccessor.synth`."""
    _require(ds, "synthetic")
    narrowed = _narrow(
        ds,
        normalization=normalization or default_normalization(ds),
        model=model or default_model(ds),
        off_aug=off_aug or default_augmentation(ds),
    )
    return _pair(narrowed, "synthetic", "synthetic_sample", "synthetic_group")


def subset_metadata(
    ds: xr.Dataset, normalization: str | None = None, model: str | None = None, off_aug: str | None = None
) -> dict[str, Any]:
    """Collect inherited attributes; see :meth:`~intake_tcga.cohorts.accessor.CohortAccessor.metadata`."""
    metadata = {name: value for name, value in ds.attrs.items() if not str(name).startswith("intake_tcga:")}
    part = "synthetic" if model is not None or off_aug is not None else "real"
    if part not in ds.variables:
        return metadata
    metadata |= {
        name: value for name, value in ds[part].attrs.items() if not str(name).startswith("intake_tcga:")
    }
    if normalization is None and part == "real":
        return metadata
    if part == "synthetic":
        off_aug = off_aug or default_augmentation(ds)
    narrowed = select(ds, normalization=normalization, model=model, off_aug=off_aug)
    for coord in narrowed.coords.values():
        if coord.attrs.get(attributes.ORIGIN) != part or coord.ndim:
            continue
        value = coord.values.item()  # by way of values, since dask arrays have no item()
        if not pd.isna(value):
            metadata[coord.attrs[attributes.NAME]] = value
    if normalization is not None:
        metadata.setdefault("normalization", normalization)
    return metadata


def default_normalization(ds: xr.Dataset) -> str | None:
    """Return ``DESeq`` where it exists, else the first that there is."""
    names = labels_of(ds, "normalization")
    return _DEFAULT_NORMALIZATION if _DEFAULT_NORMALIZATION in names else next(iter(names), None)


def default_model(ds: xr.Dataset) -> str | None:
    """Return ``CVAE1_5`` where it exists, else the model of the lowest ``kl_weight``."""
    models = labels_of(ds, "model")
    if _DEFAULT_MODEL in models or not models:
        return _DEFAULT_MODEL if models else None
    if "kl_weight" not in ds.coords or ds["kl_weight"].dims != ("model",):
        return models[0]
    return models[int(np.nanargmin(ds["kl_weight"].values))] if ds["kl_weight"].notnull().any() else models[0]


def default_augmentation(ds: xr.Dataset) -> str | None:
    """Return ``none`` where it exists, else the first; None when the cohort has no such dimension."""
    names = labels_of(ds, "augmentation")
    return "none" if "none" in names else next(iter(names), None)


def _require(ds: xr.Dataset, name: str) -> None:
    if name not in ds.variables:
        raise OptionError(
            f"This Dataset has no variable {name!r}; it has {', '.join(map(str, ds.data_vars)) or 'none'}. "
            "Take the subset before dropping variables."
        )


def _narrow(ds: xr.Dataset, **options: str | None) -> xr.Dataset:
    for option, value in options.items():
        if value is not None and not isinstance(value, str):
            raise OptionError(f"{option}={value!r} must be one name: a subset has one {option}.")
    return select(ds, **options)


def _pair(ds: xr.Dataset, variable: str, rows: str, label: str) -> tuple[pd.DataFrame, pd.Series[Any] | None]:
    """Read one matrix and the groups of its rows."""
    matrix = ds[variable].transpose(rows, "feature")
    samples = matrix.indexes[rows]
    features = matrix.indexes["feature"]
    expression = pd.DataFrame(matrix.values, index=samples, columns=features, copy=False)
    if ALIGNED in matrix.attrs:  # rows and columns that only other subsets have
        expression = expression.dropna(axis=0, how="all").dropna(axis=1, how="all")
    if label not in ds.coords:
        return expression, None
    groups = pd.Series(ds[label].values, index=samples, name="groups")
    groups = groups[samples.isin(expression.index)]
    return expression, None if len(groups) and groups.isna().all() else groups
