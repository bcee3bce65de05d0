"""What opening a file found out, kept so that opening it again need not walk it: its description and its names."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from intake_tcga.cache import derived
from intake_tcga.cache.stamps import Signature
from intake_tcga.hdf5.structure import ArrayInfo, GroupInfo

Names = dict[str, npt.NDArray[np.object_]]
"""Lists of names by the path of their dataset."""

_KEPT = "description-1"
"""Name under which it is kept; another number whenever what is kept changes."""


def recall(path: str) -> tuple[GroupInfo, Names] | None:
    """Return the description and the names of a file that has not changed since they were kept."""
    kept = derived.recall(path, _KEPT)
    try:
        names = {place: _as_labels(kept["lists"][number]) for place, number in kept["names"].items()}
        return _group(kept["root"]), names
    except (TypeError, KeyError, IndexError, ValueError):
        return None


def keep(path: str, root: GroupInfo, names: Names, signature: Signature | None) -> None:
    """Keep the description of a file whose signature was taken before it was described."""
    plain = _plain_group(root)
    if plain is None:
        return
    lists: list[list[str]] = []
    numbers: dict[str, int] = {}
    for place, labels in names.items():
        values = labels.tolist()
        if values not in lists:
            lists.append(values)
        numbers[place] = lists.index(values)
    derived.keep(path, _KEPT, {"root": plain, "names": numbers, "lists": lists}, signature)


def _plain_group(group: GroupInfo) -> dict[str, Any] | None:
    """Return a description as JSON holds it, or None where that would lose something."""
    groups = {name: _plain_group(below) for name, below in group.groups.items()}
    arrays = {name: _plain_array(array) for name, array in group.arrays.items()}
    if None in groups.values() or None in arrays.values():
        return None
    return {"path": group.path, "attrs": group.attrs, "groups": groups, "arrays": arrays}


def _plain_array(array: ArrayInfo) -> list[Any] | None:
    if np.dtype(array.dtype.str) != array.dtype:  # compounds and the like
        return None
    return [array.path, array.shape, array.dtype.str, array.kind, array.chunks, array.attrs]


def _group(plain: dict[str, Any]) -> GroupInfo:
    return GroupInfo(
        plain["path"],
        plain["attrs"],
        {name: _group(below) for name, below in plain["groups"].items()},
        {name: _array(array) for name, array in plain["arrays"].items()},
    )


def _array(plain: list[Any]) -> ArrayInfo:
    path, shape, dtype, kind, chunks, attrs = plain
    return ArrayInfo(
        path, tuple(shape), np.dtype(dtype), kind, None if chunks is None else tuple(chunks), attrs
    )


def _as_labels(values: list[str]) -> npt.NDArray[np.object_]:
    labels = np.empty(len(values), dtype=object)
    labels[:] = values
    return labels
