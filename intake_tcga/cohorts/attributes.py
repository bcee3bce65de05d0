"""Where each HDF5 attribute of a cohort file goes in its Dataset, so that none is lost.

An attribute keeps its own name wherever that name is free. The root's are the Dataset's; a group's are those of the
variable that the group became; those of the groups along a dimension (a normalization, a model) become coordinates
along it. What cannot be a coordinate, or whose name is taken, keeps its place in the file as a prefix:
``"TC.CVAE1_5.history"``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

Key = tuple[str, ...]
"""Labels along some dimensions, e.g. ``("TC", "CVAE1_5")``."""

ORIGIN = "intake_tcga:attribute_of"
"""Attribute of such a coordinate: the variable it describes."""

NAME = "intake_tcga:attribute"
"""Attribute of such a coordinate: the HDF5 attribute's own name."""

# Results of a run: they belong to the run, also when they happen to be equal everywhere.
_ALWAYS_WHOLE = {"epochs_trained"}


@dataclass
class Placed:
    """Attributes of the groups along some dimensions, placed."""

    coords: dict[str, xr.Variable] = field(default_factory=dict)
    """One for each attribute that can be a coordinate."""

    attrs: dict[str, Any] = field(default_factory=dict)
    """The others, under names that say where they were."""


def add(attrs: dict[str, Any], new: Mapping[str, Any], place: str) -> None:
    """Add attributes to others; one whose name is taken by another value gets ``"<place>."`` before it.

    Examples
    --------
    >>> attrs = {"unit": "counts"}
    >>> add(attrs, {"unit": "log2", "scale": 1}, "raw")
    >>> attrs
    {'unit': 'counts', 'raw.unit': 'log2', 'scale': 1}
    """
    for name, value in new.items():
        if name not in attrs:
            attrs[name] = value
        elif not _same(attrs[name], value):
            attrs[_free(f"{place}.{name}", attrs)] = value


def place(
    records: Mapping[Key, Mapping[str, Any]],
    dims: Sequence[str],
    labels: Mapping[str, Sequence[str]],
    taken: Collection[str],
    origin: str,
) -> Placed:
    """Turn the attributes of the groups along some dimensions into coordinates.

    Parameters
    ----------
    records
        Attributes of each group, by its labels along ``dims``.
    dims
        The dimensions along which the groups are.
    labels
        All labels of each dimension, in order.
    taken
        Names that a coordinate cannot have.
    origin
        The variable that the groups belong to: kept with each coordinate, and put in front of a taken name.

    Returns
    -------
    Placed
        A coordinate has only the last of the dimensions when the attribute is the same along the others, e.g.
        ``kl_weight (model)``; all of them otherwise. Where a group lacks the attribute, it is NaN.
    """
    placed = Placed()
    names = dict.fromkeys(name for attrs in records.values() for name in attrs)
    for name in names:
        found = {key: attrs[name] for key, attrs in records.items() if name in attrs}
        if name in dims and all(value == key[dims.index(name)] for key, value in found.items()):
            continue  # it repeats the label, which the dimension's own coordinate holds
        having = {key[-1] for key in found}
        whole = len(found) == sum(key[-1] in having for key in records)
        used, values = tuple(dims), found
        if name not in _ALWAYS_WHOLE and whole and (short := _along_last(found)) is not None:
            used, values = (dims[-1],), short
        array = _array(values, [labels[dim] for dim in used])
        if array is None:
            for key, value in found.items():
                placed.attrs[".".join((*key, name))] = value
            continue
        free = name if name not in taken else _free(f"{origin}_{name}", taken)
        placed.coords[free] = xr.Variable(used, array, {ORIGIN: origin, NAME: name})
    return placed


def _along_last(found: Mapping[Key, Any]) -> dict[Key, Any] | None:
    """Reduce values to the last label, when they do not depend on the others."""
    reduced: dict[Key, Any] = {}
    for key, value in found.items():
        if not _same(reduced.setdefault(key[-1:], value), value):
            return None
    return reduced


def _array(values: Mapping[Key, Any], labels: Sequence[Sequence[str]]) -> np.ndarray[Any, Any] | None:
    """Lay scalars out along their labels; None when they are not scalars of one type."""
    shape = tuple(len(names) for names in labels)
    missing = len(values) < int(np.prod(shape))
    kinds = {type(value) for value in values.values()}
    array: np.ndarray[Any, Any]
    if kinds == {str}:
        array = np.full(shape, np.nan, dtype=object)
    elif kinds == {bool} and not missing:
        array = np.empty(shape, dtype=bool)
    elif kinds == {int} and not missing and all(abs(value) < 2**63 for value in values.values()):
        array = np.empty(shape, dtype=np.int64)
    elif kinds <= {int, float} and all(abs(v) <= 2**53 for v in values.values() if isinstance(v, int)):
        array = np.full(shape, np.nan, dtype=np.float64)
    else:
        return None
    for key, value in values.items():
        array[tuple(list(names).index(label) for names, label in zip(labels, key, strict=True))] = value
    return array


def _same(a: Any, b: Any) -> bool:
    """Compare values of which some may be NaN; True and 1 are not the same."""
    if isinstance(a, float) and isinstance(b, float) and np.isnan(a):
        return bool(np.isnan(b))
    return type(a) is type(b) and bool(a == b)


def _free(name: str, taken: Collection[str]) -> str:
    while name in taken:
        name += "_"
    return name
