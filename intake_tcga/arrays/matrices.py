"""The one matrix of samples × features that a tool works on, found by its dimensions whatever its source."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import xarray as xr

from intake_tcga.errors import OptionError

Data = TypeVar("Data", xr.Dataset, xr.DataArray)

_BARE = "values"  # what a DataArray without a name is called while it is in a Dataset


@dataclass(frozen=True, slots=True, eq=False)
class Matrix:
    """Samples × features, and the Dataset that it is part of."""

    dataset: xr.Dataset
    """Everything around it."""

    name: Hashable
    """The variable's name."""

    sample: Hashable
    """The dimension of samples: ``sample``, ``raw_sample``, ``synthetic_sample``."""

    feature: Hashable
    """The dimension of features: ``feature``, ``raw_feature``."""

    @property
    def array(self) -> xr.DataArray:
        """The matrix, one sample a row."""
        return self.dataset[self.name].transpose(self.sample, self.feature)

    def replaced(
        self,
        values: Any,
        name: Hashable,
        attrs: Mapping[str, Any],
        coords: Mapping[str, xr.Variable] | None = None,
    ) -> xr.Dataset:
        """Return the Dataset with other values (samples × features) under another name in this one's place."""
        variable = xr.Variable((self.sample, self.feature), values, attrs=dict(attrs))
        variable = variable.transpose(*self.dataset[self.name].dims)
        variables = {
            (name if other == self.name else other): (variable if other == self.name else self.dataset[other])
            for other in self.dataset.data_vars
            if other == self.name or other != name
        }
        rest = self.dataset.drop_vars(list(self.dataset.data_vars))
        return rest.assign_coords(dict(coords or {})).assign(variables)


def find_matrix(data: xr.Dataset | xr.DataArray, variable: Hashable | None = None) -> Matrix:
    """Find the matrix of samples × features.

    Parameters
    ----------
    data : xarray.Dataset or xarray.DataArray
        With dimensions ``sample`` and ``feature``, or ones that end in ``_sample`` and ``_feature``, in any order.
    variable : str, optional
        Which variable, where there are several such.

    Returns
    -------
    Matrix

    Raises
    ------
    OptionError
        When there is no such variable or several, or when the one named has other dimensions or no numbers.

    Examples
    --------
    >>> counts = xr.Dataset({"counts": (("feature", "sample"), [[1, 2], [3, 4]])})
    >>> matrix = find_matrix(counts)
    >>> matrix.name, matrix.sample, matrix.array.dims
    ('counts', 'sample', ('sample', 'feature'))
    """
    if isinstance(data, xr.DataArray):
        bare = data.name if data.name is not None and data.name not in data.coords else _BARE
        data, variable = data.to_dataset(name=bare), bare
    elif not isinstance(data, xr.Dataset):
        raise OptionError(f"A {type(data).__name__} was given; give an xarray Dataset or DataArray.")
    found = [name for name in data.data_vars if _axes(data[name]) is not None]
    if variable is None:
        if len(found) != 1:
            raise OptionError(_unclear(data, found))
        variable = found[0]
    elif variable not in found:
        raise OptionError(_unsuitable(data, variable, found))
    axes = _axes(data[variable])
    assert axes is not None  # for the type checker: it is among those found
    return Matrix(data, variable, *axes)


def as_given(result: xr.Dataset, name: Hashable, given: Data) -> Data:
    """Return a Dataset where a Dataset was given, and its variable where a DataArray was."""
    return result if isinstance(given, xr.Dataset) else result[name]


def _axes(array: xr.DataArray) -> tuple[Hashable, Hashable] | None:
    """Return the dimensions of samples and of features, if these are all it has and its values are numbers."""
    if array.ndim != 2 or array.dtype.kind not in "biuf":
        return None
    samples = [dim for dim in array.dims if _is(dim, "sample")]
    features = [dim for dim in array.dims if _is(dim, "feature")]
    return (samples[0], features[0]) if samples and features else None


def _is(dim: Hashable, kind: str) -> bool:
    return str(dim) == kind or str(dim).endswith(f"_{kind}")


def _unclear(ds: xr.Dataset, found: list[Hashable]) -> str:
    if found:
        return (
            f"This Dataset has several matrices of samples × features: {', '.join(map(str, found))}; "
            f"say which, e.g. variable={str(found[0])!r}."
        )
    for name in ds.data_vars:
        if remedy := _narrowing(ds, name):
            return f"This Dataset has no matrix of samples × features: {remedy}"
    return (
        f"This Dataset has no variable of numbers along a sample and a feature dimension "
        f"(its dimensions are {', '.join(map(str, ds.sizes)) or 'none'}); rename its dimensions, "
        f"e.g. ds.rename(cell='sample', gene='feature')."
    )


def _unsuitable(ds: xr.Dataset, variable: Hashable, found: list[Hashable]) -> str:
    if variable in ds.data_vars and (remedy := _narrowing(ds, variable)):
        return remedy
    there = ", ".join(map(str, found)) or "none"
    return f"variable={variable!r} is not a matrix of samples × features; those in this Dataset: {there}."


def _narrowing(ds: xr.Dataset, name: Hashable) -> str | None:
    """Say what to select, if that is all that a variable needs to be a matrix."""
    dims = ds[name].dims
    if not any(_is(dim, "sample") for dim in dims) or not any(_is(dim, "feature") for dim in dims):
        return None
    rest = [dim for dim in dims if not _is(dim, "sample") and not _is(dim, "feature")]
    if not rest:
        return None
    label = ds[rest[0]].values[0] if rest[0] in ds.coords and ds.sizes[rest[0]] else 0
    return (
        f"{name} also has {' and '.join(map(str, rest))}; select one first, e.g. ds.sel({rest[0]}={label!r})."
    )
