"""Columns that share a label, made into one: sums, means and extremes over groups, in memory or block by block."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from intake_tcga.errors import OptionError

How: TypeAlias = Literal["sum", "mean", "max", "min"]
"""How the members of a group become one."""

_UFUNCS = {"sum": np.add, "mean": np.add, "max": np.maximum, "min": np.minimum}
_LARGEST_BLOCK = 128 * 2**20  # bytes of a dask block that joining columns may make


@dataclass(frozen=True, slots=True, eq=False)
class Grouping:
    """Which columns belong together, in the order in which their labels first occur."""

    labels: npt.NDArray[np.object_]
    """One label a group."""

    codes: npt.NDArray[np.intp]
    """For each column, the number of its group."""

    first: npt.NDArray[np.intp]
    """For each group, the position of its first column."""

    @property
    def size(self) -> int:
        """Number of groups."""
        return len(self.labels)

    @property
    def sizes(self) -> npt.NDArray[np.intp]:
        """Number of columns of each group."""
        return np.bincount(self.codes, minlength=self.size).astype(np.intp)


def group_by(labels: Iterable[Any]) -> Grouping:
    """Group columns by their labels.

    Parameters
    ----------
    labels : iterable
        The label of each column; equal labels belong together.

    Returns
    -------
    Grouping
        Groups are numbered in the order of their first columns.

    Examples
    --------
    >>> grouping = group_by(["TP53", "MYC", "TP53"])
    >>> grouping.labels.tolist(), grouping.codes.tolist(), grouping.first.tolist()
    (['TP53', 'MYC'], [0, 1, 0], [0, 1])
    """
    numbers: dict[Any, int] = {}
    codes = np.fromiter((numbers.setdefault(label, len(numbers)) for label in labels), dtype=np.intp)
    unique = np.empty(len(numbers), dtype=object)
    unique[:] = list(numbers)
    first = np.full(len(numbers), len(codes), dtype=np.intp)
    np.minimum.at(first, codes, np.arange(len(codes)))
    return Grouping(unique, codes, first)


def reduce_groups(values: Any, grouping: Grouping, how: How = "sum") -> Any:
    """Make one column of each group's columns.

    Parameters
    ----------
    values : numpy.ndarray or dask.array.Array
        Rows × columns of numbers; as many columns as were grouped.
    grouping : Grouping
        Which columns belong together.
    how : {"sum", "mean", "max", "min"}
        What a group's columns become. NaN in any of them makes NaN.

    Returns
    -------
    numpy.ndarray or dask.array.Array
        Rows × groups, of the kind that was given. Over dask it is lazy: each block of rows is reduced by itself,
        once its columns are in one block. Types do not depend on the values: sums of integers are 64-bit integers of
        the same sign, which counts do not overflow; means of integers are float64; everything else keeps its type
        (sums and means of float32 are accumulated in float64).

    Raises
    ------
    OptionError
        When ``how`` is none of these, or the columns are not those that were grouped.

    Examples
    --------
    >>> reduce_groups(np.array([[1, 2, 3]], dtype="uint32"), group_by(["TP53", "MYC", "TP53"]))
    array([[4, 2]], dtype=uint64)
    """
    if how not in get_args(How):
        raise OptionError(f"how={how!r} is not one of {', '.join(get_args(How))}.")
    if values.ndim != 2 or values.shape[1] != len(grouping.codes):
        raise OptionError(
            f"An array of shape {values.shape} does not have the {len(grouping.codes)} columns that were grouped; "
            f"group the labels of its own columns."
        )
    dtype = reduced_dtype(values.dtype, how)
    if isinstance(values, np.ndarray):
        return _reduce_block(values, grouping, how, dtype)
    whole = with_whole_rows(values)
    return whole.map_blocks(
        _reduce_block,
        grouping,
        how,
        dtype,
        dtype=dtype,
        chunks=(whole.chunks[0], (grouping.size,)),
        meta=np.empty((0, 0), dtype),
    )


def agreed(values: npt.NDArray[Any], grouping: Grouping) -> npt.NDArray[Any]:
    """Return one value a group of what is known of columns: the one that its members agree on.

    Parameters
    ----------
    values : numpy.ndarray
        One value a column: texts, numbers, or dates.
    grouping : Grouping
        Which columns belong together.

    Returns
    -------
    numpy.ndarray
        One value a group. Missing values (empty text, None, NaN) are left out where others of the group are known.
        Where these differ, texts are joined with ``";"`` in the order in which they occur; numbers become NaN, and
        dates NaT (whole numbers and booleans become float64 if any group differs).

    Examples
    --------
    >>> agreed(np.array(["ENSG1", "ENSG2", "ENSG3"]), group_by(["TP53", "MYC", "TP53"])).tolist()
    ['ENSG1;ENSG3', 'ENSG2']
    """
    known: dict[int, list[Any]] = {}
    for position in np.flatnonzero(grouping.sizes[grouping.codes] > 1).tolist():
        seen = known.setdefault(int(grouping.codes[position]), [])
        if not is_missing(values[position]) and values[position] not in seen:
            seen.append(values[position])
    result = values[grouping.first]
    differing = [code for code, seen in known.items() if len(seen) > 1]
    if values.dtype.kind in "OSUT":
        result = result.astype(object)
        for code in differing:
            result[code] = ";".join(map(str, known[code]))
    elif differing:
        result = result.astype(np.result_type(result, np.float64)) if values.dtype.kind in "biu" else result
        result[differing] = np.array("NaT", result.dtype) if values.dtype.kind in "mM" else np.nan
    for code, seen in known.items():
        if len(seen) == 1:
            result[code] = seen[0]
    return result


def is_missing(value: object) -> bool:
    """Tell whether a label is empty text, None, NaN or NaT."""
    return value is None or value == "" or (np.isscalar(value) and value != value)  # noqa: PLR0124 - NaN


def reduced_dtype(dtype: np.dtype[Any], how: How) -> np.dtype[Any]:
    """Return the type that groups have when their members are of ``dtype``."""
    if how in {"max", "min"} or dtype.kind == "f":
        return dtype
    if how == "mean":
        return np.dtype(np.float64)
    return np.dtype(np.uint64 if dtype.kind == "u" else np.int64)


def with_whole_rows(array: Any) -> Any:
    """Return a dask array whose blocks hold whole rows, few enough of them that a block stays small."""
    if array.numblocks[1] <= 1:
        return array
    row = array.dtype.itemsize * max(1, array.shape[1])
    if max(array.chunks[0]) * row <= _LARGEST_BLOCK:
        return array.rechunk({1: -1})
    return array.rechunk({0: max(1, _LARGEST_BLOCK // row), 1: -1})


def _reduce_block(
    block: npt.NDArray[Any], grouping: Grouping, how: How, dtype: np.dtype[Any]
) -> npt.NDArray[Any]:
    # Most labels are alone in their group: those columns are copied, and only the rest is sorted and reduced.
    result = block[:, grouping.first].astype(dtype, copy=False)
    sizes = grouping.sizes
    shared = np.flatnonzero(sizes > 1)
    if not len(shared) or not len(block):
        return result
    members = np.flatnonzero(sizes[grouping.codes] > 1)
    members = members[np.argsort(grouping.codes[members], kind="stable")]
    starts = np.concatenate([[0], np.cumsum(sizes[shared])[:-1]])
    wide = np.dtype(np.float64) if how in {"sum", "mean"} and dtype.kind == "f" else dtype
    reduced = _UFUNCS[how].reduceat(block[:, members].astype(wide, copy=False), starts, axis=1)
    result[:, shared] = reduced / sizes[shared] if how == "mean" else reduced
    return result
