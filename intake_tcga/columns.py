"""What is known of samples and features as plain columns, and attributes as plain values, for files of any kind."""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

Column = npt.NDArray[Any]


def names_along(ds: xr.Dataset, dim: Hashable) -> Column:
    """Return the labels of a dimension as texts; the numbers from 0 where it has none."""
    labels = ds[dim].values if dim in ds.coords else np.arange(ds.sizes[dim])
    names = np.empty(len(labels), dtype=object)
    names[:] = [str(label) for label in labels.tolist()]
    return names


def columns_along(ds: xr.Dataset, dim: Hashable) -> dict[str, Column]:
    """Return every other coordinate of a dimension: numbers and booleans as they are, all else as text.

    Texts are objects, None where one is missing. Dates are written as ISO 8601.
    """
    known = {name: ds[name].variable for name in ds.coords if ds[name].dims == (dim,) and name != dim}
    # Those over dask are computed together: they may come of one pass over a matrix.
    computed = xr.Dataset({n: variable for n, variable in known.items() if variable.chunks}).compute()
    return {
        str(name): plain_column(np.asarray(computed[name].values if name in computed else variable.values))
        for name, variable in known.items()
    }


def lazy_columns(ds: xr.Dataset, dim: Hashable) -> dict[Hashable, xr.Variable]:
    """Return the coordinates of a dimension that are numbers over dask, such as the factors of a normalization."""
    return {
        name: ds[name].variable
        for name in ds.coords
        if ds[name].dims == (dim,) and ds[name].chunks is not None and ds[name].dtype.kind in "biuf"
    }


def plain_column(values: Column) -> Column:
    """Return values as numbers, booleans, or texts (objects, None where missing).

    Examples
    --------
    >>> plain_column(np.array(["a", None, float("nan")], dtype=object)).tolist()
    ['a', None, None]
    """
    if values.dtype.kind in "biuf":
        return values
    if values.dtype.kind == "M":
        texts: list[Any] = [
            None if text == "NaT" else text for text in np.datetime_as_string(values).tolist()
        ]
    else:
        listed = values.tolist()
        texts = [None if pd.isna(value) else str(value) for value in listed]
    column = np.empty(len(texts), dtype=object)
    column[:] = texts
    return column


def plain_attributes(attrs: Mapping[Any, Any]) -> dict[str, Any]:
    """Return attributes as texts, numbers, booleans, arrays of these, or dictionaries of these; None is left out.

    What is none of these is written as JSON. A ``/`` in a name, which HDF5 cannot have, becomes ``_``.

    Examples
    --------
    >>> plain_attributes({"a/b": [1, 2], "c": {"d": None}, "e": [1, "x"]})
    {'a_b': array([1, 2]), 'c': {}, 'e': '[1, "x"]'}
    """
    kept = {str(name).replace("/", "_"): _plain(value) for name, value in attrs.items()}
    return {name: value for name, value in kept.items() if value is not None}


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, Mapping):
        return plain_attributes(value)
    if isinstance(value, np.generic):
        return _plain(value.item())
    array = np.asarray(value) if isinstance(value, list | tuple | np.ndarray) and _even(value) else None
    if array is not None and array.dtype.kind in "biuf":
        return array
    if array is not None and array.ndim == 1 and all(isinstance(item, str) for item in array.tolist()):
        return plain_column(array)
    return json.dumps(value, default=str)


def _even(value: Any) -> bool:
    """Tell whether items are all texts, or all numbers, so that numpy changes none of them."""
    items = np.ravel(np.asarray(value, dtype=object)).tolist()
    return all(isinstance(item, str) for item in items) or all(
        isinstance(item, bool | int | float | np.number | np.bool_) for item in items
    )


def scalars_of(ds: xr.Dataset) -> dict[str, Any]:
    """Return the coordinates without a dimension, such as the normalization that was selected."""
    return plain_attributes({name: ds[name].values.item() for name in ds.coords if not ds[name].ndim})
