"""Lists of names brought onto one axis: by name, never by position."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from intake_tcga.hdf5.lazy import Positions


@dataclass(frozen=True, eq=False)
class Axis:
    """One axis for several matrices."""

    labels: Any
    """Its labels: an array, or a :class:`~intake_tcga.arrays.lazy_index.LabelSource` that makes them when needed."""

    maps: tuple[Positions | None, ...]
    """For each matrix, where each label is found in it (-1: nowhere); None when its own labels are these."""

    attrs: dict[str, Any] = field(default_factory=dict)
    """Attributes of the labels."""

    @property
    def size(self) -> int:
        """Number of labels."""
        return int(self.labels.size)


def align(lists: Sequence[Any]) -> Axis:
    """Bring several lists of names onto one axis.

    Parameters
    ----------
    lists
        Object arrays of names. A name that occurs twice in a list is matched with its second occurrence in others.

    Returns
    -------
    Axis
        The first list, followed by what it lacks of the others in their order.

    Examples
    --------
    >>> axis = align([np.array(["a", "b"], object), np.array(["b", "c"], object)])
    >>> axis.labels.tolist(), [found.tolist() for found in axis.maps]
    (['a', 'b', 'c'], [[0, 1, -1], [-1, 0, 1]])
    """
    first = lists[0]
    if all(names is first or np.array_equal(names, first) for names in lists):
        return Axis(first, (None,) * len(lists))
    keys = [_distinct(names) for names in lists]
    union: dict[tuple[str, int], None] = dict.fromkeys(key for own in keys for key in own)
    labels = np.empty(len(union), dtype=object)
    labels[:] = [name for name, _ in union]
    maps: list[Positions | None] = []
    for own in keys:
        place = {key: position for position, key in enumerate(own)}
        found = np.fromiter((place.get(key, -1) for key in union), dtype=np.intp, count=len(union))
        maps.append(None if len(own) == len(union) and (found == np.arange(len(union))).all() else found)
    return Axis(labels, tuple(maps))


def by_number(rows: int, length: int) -> Positions | None:
    """Return the map of rows that have no names but their numbers, onto a longer axis of numbers."""
    if rows == length:
        return None
    numbers = np.arange(length, dtype=np.intp)
    return np.where(numbers < rows, numbers, -1)


def _distinct(names: Any) -> list[tuple[str, int]]:
    """Return each name with its occurrence, so that repeated names stay distinct."""
    series = pd.Series(names, dtype=object)
    return list(zip(names, series.groupby(series, sort=False).cumcount().tolist(), strict=True))
