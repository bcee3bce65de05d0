"""Features of a Dataset that have the same label, made into one feature each."""

from __future__ import annotations

from typing import Any, get_args

import xarray as xr

from intake_tcga.arrays.grouping import How, agreed, group_by, is_missing, reduce_groups
from intake_tcga.arrays.matrices import Matrix
from intake_tcga.arrays.sample_blocks import lazy_rows
from intake_tcga.errors import NameNotFoundError, OptionError

AGGREGATED = "intake_tcga:aggregated"
"""Attribute of a matrix whose features were joined: by what and how."""


def join_features(matrix: Matrix, by: str, how: How = "sum") -> xr.Dataset:
    """Join the features that have the same label; see :func:`intake_tcga.genes.aggregate_genes`.

    Parameters
    ----------
    matrix : Matrix
        Samples × features, and the Dataset that it is part of.
    by : str
        A coordinate along the feature dimension. A feature without a label keeps its own name.
    how : {"sum", "mean", "max", "min"}
        What values become.

    Returns
    -------
    xarray.Dataset
        With one feature a label, in the order in which the labels first occur; lazy unless values are in memory.

    Raises
    ------
    NameNotFoundError
        When there is no such coordinate; the message lists those there are.
    OptionError
        When ``how`` is none of these.
    """
    if how not in get_args(How):
        raise OptionError(f"how={how!r} is not one of {', '.join(get_args(How))}.")
    ds, dim = matrix.dataset, str(matrix.feature)
    grouping = group_by(_labels(ds, by, dim))
    joined = reduce_groups(lazy_rows(matrix.array.variable), grouping, how)
    coords = {
        (f"{dim}_ids" if name == dim else name): xr.Variable(
            (dim,), agreed(ds[name].values, grouping), ds[name].attrs
        )
        for name in _along(ds, dim)
        if not name == by == dim
    }
    coords[dim] = xr.Variable((dim,), grouping.labels, ds[by].attrs)
    attrs = matrix.array.attrs | {AGGREGATED: f"{how} by {by}"}
    values = xr.Variable((matrix.sample, dim), joined, attrs).transpose(*ds[matrix.name].dims)
    rest = ds.drop_dims(dim)
    order = [name for name in ds.data_vars if name in rest or name == matrix.name]
    return rest.assign({matrix.name: values}).assign_coords(coords)[order]


def _labels(ds: xr.Dataset, by: str, dim: str) -> list[Any]:
    """Return each feature's label; its own name where it has none."""
    if by not in (there := _along(ds, dim)):
        raise NameNotFoundError(
            f"by={by!r} is not a coordinate along {dim}; those there are: {', '.join(there) or 'none'}."
        )
    labels = ds[by].values.tolist()
    if dim in ds.coords:
        names = ds[dim].values.tolist()
    else:
        names = [f"{dim} {number}" for number in range(len(labels))]
    return [name if is_missing(label) else label for label, name in zip(labels, names, strict=True)]


def _along(ds: xr.Dataset, dim: str) -> list[str]:
    """Return the names of the coordinates of features."""
    return [str(name) for name in ds.coords if ds[name].dims == (dim,)]
