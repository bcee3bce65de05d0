"""The link between a Dataset and the rows of the file that it shows.

Every metadata field is a coordinate over a :class:`FieldArray`, which xarray indexes lazily: whatever is selected, the
variable still knows the file, the field and the row numbers, and nothing was decoded for it. The link *is* the data, so
it cannot go wrong: what is loaded, concatenated, reopened from elsewhere or replaced by the user has none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from xarray.backends import BackendArray
from xarray.core import indexing

if TYPE_CHECKING:
    from intake_tcga.archs4.metadata import SampleMetadata

Rows = slice | npt.NDArray[np.intp]
"""Row numbers of the file's samples, from 0: a slice that says start, stop and step, or an array in any order."""


class FieldArray(BackendArray):  # type: ignore[misc,unused-ignore]
    """One metadata field of every sample of a file, read when it is asked for.

    Parameters
    ----------
    metadata
        The samples' metadata.
    field
        One of its fields.
    dtype
        Type of its values: ``object`` for text.
    """

    def __init__(self, metadata: SampleMetadata, field: str, dtype: np.dtype[Any]) -> None:
        self.metadata = metadata
        self.field = field
        self.shape = (metadata.n_samples,)
        self.dtype = dtype

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        if not isinstance(key, indexing.VectorizedIndexer):  # xarray fails on empty slices of a negative step
            return self._get(key.tuple)
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER, self._get)

    def _get(self, key: tuple[Any, ...]) -> Any:
        rows = _rows(key[0], self.shape[0])
        if isinstance(rows, slice) and rows == slice(0, self.shape[0], 1):
            return self.metadata.values(self.field)
        values = self.metadata.values(self.field, positions(rows))
        if not isinstance(key[0], int | np.integer):
            return values
        value = np.empty(
            (), dtype=self.dtype
        )  # as an array: a text alone would become one of numpy's own strings
        value[()] = values[0]
        return value

    def variable(self, attrs: dict[str, Any]) -> xr.Variable:
        """Return the lazy variable over this array, along ``sample``."""
        return xr.Variable("sample", indexing.LazilyIndexedArray(self), attrs)


@dataclass(frozen=True, slots=True, eq=False)
class Link:
    """Where the values of a variable come from."""

    metadata: SampleMetadata
    """The metadata of the file."""

    field: str
    """The field whose values they are."""

    rows: Rows
    """The rows of the file that the variable shows, in its order."""


def link_of(variable: xr.Variable) -> Link | None:
    """Tell which rows of which file a variable along one dimension shows, without reading anything.

    Parameters
    ----------
    variable
        Any variable, e.g. ``ds["title"].variable``.

    Returns
    -------
    Link or None
        None for whatever is not, or no longer, a lazy field of an ARCHS4 file: loaded or assigned values, dask arrays.
    """
    data: Any = variable._data
    while isinstance(data, indexing.MemoryCachedArray | indexing.CopyOnWriteArray):
        data = data.array
    lazy = indexing.LazilyIndexedArray | indexing.LazilyVectorizedIndexedArray
    if not (isinstance(data, lazy) and isinstance(data.array, FieldArray)) or variable.ndim != 1:
        return None
    (part,) = data.key.tuple
    return Link(data.array.metadata, data.array.field, _rows(part, data.array.shape[0]))


def rows_of(ds: xr.Dataset, dim: str = "sample") -> tuple[SampleMetadata, Rows] | None:
    """Tell which rows of which file a Dataset shows, without reading anything.

    Parameters
    ----------
    ds
        Any Dataset.
    dim
        The dimension of its samples.

    Returns
    -------
    (SampleMetadata, Rows) or None
        None when no coordinate is linked to a file, or two of them are linked to different rows (somebody put the
        coordinate of one Dataset into another): its own values are all there is then.
    """
    links = [
        link
        for variable in ds.coords.values()
        if variable.dims == (dim,) and (link := link_of(variable.variable)) is not None
    ]
    if not links:
        return None
    first = links[0]
    agree = all(link.metadata is first.metadata and _same(link.rows, first.rows) for link in links[1:])
    return (first.metadata, first.rows) if agree else None


def _same(one: Rows, other: Rows) -> bool:
    if isinstance(one, slice) or isinstance(other, slice):
        return isinstance(one, slice) and isinstance(other, slice) and one == other
    return one is other or np.array_equal(one, other)


def positions(rows: Rows) -> npt.NDArray[np.intp]:
    """Return row numbers as an array, whatever they were given as."""
    return np.arange(rows.start, rows.stop, rows.step, dtype=np.intp) if isinstance(rows, slice) else rows


def _rows(part: Any, length: int) -> Rows:
    """Return what xarray's key of one axis selects; negative numbers and steps made plain."""
    if isinstance(part, slice):
        start, stop, step = part.indices(length)
        return (
            slice(start, max(start, stop), step) if step > 0 else np.arange(start, stop, step, dtype=np.intp)
        )
    found = np.atleast_1d(np.asarray(part, dtype=np.intp))
    return np.where(found < 0, found + length, found)
