"""Labels of a dimension that are made when somebody asks for one, and not before.

To xarray this is its usual pandas index, in every operation; only the pandas index inside comes into being late.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr
from xarray.backends import BackendArray
from xarray.core.indexing import LazilyIndexedArray, PandasIndexingAdapter
from xarray.indexes import PandasIndex


class LabelSource(Protocol):
    """Something that knows how many labels there are, and can make them."""

    size: int
    """Number of labels."""

    def labels(self) -> npt.NDArray[np.object_]:
        """Make the labels, or return those made before."""
        ...

    @property
    def attrs(self) -> Mapping[str, Any]:
        """What is known of the labels at present: it replaces attributes of the same names."""
        ...


@runtime_checkable
class PartSource(LabelSource, Protocol):
    """A source that can make a few labels without making all: those that are printed."""

    def some(self, positions: npt.NDArray[np.intp]) -> npt.NDArray[np.object_]:
        """Make the labels at these positions, none of them negative."""
        ...


_FEW = 1000
"""Labels that are made apart from the others: enough for whatever prints a Dataset."""


class _Taken:
    """Some of the labels of another source."""

    def __init__(self, source: LabelSource, positions: slice | npt.NDArray[np.intp]) -> None:
        self._source = source
        self._positions = positions
        self.size = (
            len(range(source.size)[positions]) if isinstance(positions, slice) else int(np.size(positions))
        )

    def labels(self) -> npt.NDArray[np.object_]:
        if self.size <= _FEW and isinstance(self._source, PartSource):
            return self._source.some(self._positions_of(np.arange(self.size)))
        return self._source.labels()[self._positions]

    def some(self, positions: npt.NDArray[np.intp]) -> npt.NDArray[np.object_]:
        if isinstance(self._source, PartSource):
            return self._source.some(self._positions_of(positions))
        return self.labels()[positions]

    def _positions_of(self, own: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
        """Return the positions in the source of some positions here."""
        if isinstance(self._positions, slice):
            start, _, step = self._positions.indices(self._source.size)
            return start + own * step
        found = self._positions[own]
        return np.where(found < 0, found + self._source.size, found)

    @property
    def attrs(self) -> Mapping[str, Any]:
        return self._source.attrs


class _AsPandasIndexType(type):
    """Makes a class count as PandasIndex where xarray compares types, so that both align with one another."""

    def __eq__(cls, other: object) -> bool:
        return other is cls or other is PandasIndex

    def __hash__(cls) -> int:
        return hash(PandasIndex)


class LazyIndex(PandasIndex, metaclass=_AsPandasIndexType):
    """A PandasIndex whose labels are made at their first use.

    Selecting by position stays lazy; whatever needs labels (``sel``, alignment, ``repr``) makes them, and results
    in a plain PandasIndex.

    Parameters
    ----------
    source
        Makes the labels.
    dim
        The dimension that they label.
    """

    __slots__ = ("_made", "_name", "_source")

    def __new__(cls, source: Any, dim: Hashable, *args: Any, **kwargs: Any) -> Any:
        """Make a lazy index of a source; of anything else, a plain one: what inherited methods want."""
        if isinstance(source, pd.Index | PandasIndex | np.ndarray | list):
            return PandasIndex(source, dim, *args, **kwargs)
        return super().__new__(cls)

    def __init__(self, source: LabelSource, dim: Hashable) -> None:
        self._source = source
        self._name = dim
        self._made: pd.Index[Any] | None = None
        self.dim = dim
        self.coord_dtype = np.dtype(object)

    @property
    def index(self) -> pd.Index[Any]:  # type: ignore[override]
        """The labels; made now if they were not."""
        if self._made is None:
            self._made = pd.Index(self._source.labels(), dtype=object, name=self._name)
        return self._made

    @property
    def source(self) -> LabelSource:
        """What makes the labels."""
        return self._source

    def create_variables(self, variables: Mapping[Any, xr.Variable] | None = None) -> dict[Any, Any]:
        """Return the coordinate, as lazy as the index; with the attributes of one given for it."""
        given = (variables or {}).get(self._name)
        attrs, encoding = (given.attrs, given.encoding) if given is not None else (None, None)
        variable = _LabelVariable(self.dim, _LazyLabels(self), attrs, encoding, fastpath=True)  # type: ignore[no-untyped-call]
        return {self._name: variable}

    def isel(self, indexers: Mapping[Any, Any]) -> PandasIndex | None:
        """Select by position; lazily, unless the labels exist already."""
        indexer = indexers[self.dim]
        if isinstance(indexer, xr.Variable):
            if indexer.dims != (self.dim,):
                return None
            indexer = indexer.data
        if self._made is not None:
            return super().isel({self.dim: indexer})
        if isinstance(indexer, slice):
            return self if indexer == slice(None) else self._like(_Taken(self._source, indexer))
        positions = np.asarray(indexer)
        if positions.ndim != 1:
            return None
        taken = np.flatnonzero(positions) if positions.dtype == bool else positions.astype(np.intp)
        return self._like(_Taken(self._source, taken))

    def rename(self, name_dict: Mapping[Any, Hashable], dims_dict: Mapping[Any, Hashable]) -> LazyIndex:
        """Rename the coordinate and the dimension, without making labels."""
        if self._name not in name_dict and self.dim not in dims_dict:
            return self
        renamed = self._like(self._source, dims_dict.get(self.dim, self.dim))
        renamed._name = name_dict.get(self._name, self._name)
        return renamed

    def _like(self, source: LabelSource, dim: Hashable | None = None) -> LazyIndex:
        other = LazyIndex(source, self.dim if dim is None else dim)
        other._name = self._name
        return other

    def _copy(self, deep: bool = True, memo: dict[int, Any] | None = None) -> PandasIndex:  # type: ignore[override]
        return self  # labels never change

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (self._source, self.dim, self._name)

    def __repr__(self) -> str:
        return f"LazyIndex({self._source.size} labels of {self.dim!r})"


def _restore(source: LabelSource, dim: Hashable, name: Hashable) -> LazyIndex:
    index = LazyIndex(source, dim)
    index._name = name
    return index


class _LazyLabels(PandasIndexingAdapter):
    """The coordinate's data: the lazy index seen as an array."""

    __slots__ = ("_index",)

    def __init__(self, index: LazyIndex) -> None:
        self._index = index
        self._dtype = np.dtype(object)

    @property
    def array(self) -> pd.Index[Any]:  # type: ignore[override]
        return self._index.index

    @property
    def source(self) -> LabelSource:
        return self._index.source

    @property
    def _in_memory(self) -> bool:
        return True  # never to be chunked or loaded: it is an index

    @property
    def shape(self) -> tuple[int]:
        return (self._index._source.size,)

    @property
    def nbytes(self) -> int:
        return np.dtype(object).itemsize * self.shape[0]

    def __getitem__(self, indexer: Any) -> Any:
        if all(isinstance(part, int | np.integer) for part in indexer.tuple):
            return LazilyIndexedArray(_OneLabel(self._index, int(indexer.tuple[0])))
        few = self._few(indexer)
        return PandasIndexingAdapter(self.array, self._dtype)[indexer] if few is None else few

    def _oindex_get(self, indexer: Any) -> Any:
        few = self._few(indexer)
        return PandasIndexingAdapter(self.array, self._dtype)._oindex_get(indexer) if few is None else few

    def _few(self, indexer: Any) -> PandasIndexingAdapter | None:
        """Return what an indexer selects where that is little, and the labels were not made: without making them."""
        source, (part,) = self.source, indexer.tuple
        if self._index._made is not None or not isinstance(source, PartSource):
            return None
        if isinstance(part, slice):
            count = len(range(*part.indices(source.size)))
            positions = np.arange(*part.indices(source.size), dtype=np.intp) if count <= _FEW else None
        else:
            given = np.asarray(part)
            small = given.ndim == 1 and given.size <= _FEW and given.dtype.kind in "iu"
            positions = np.where(given < 0, given + source.size, given) if small else None
        if positions is None:
            return None
        return PandasIndexingAdapter(
            pd.Index(source.some(positions), dtype=object, name=self._index._name), self._dtype
        )

    def _vindex_get(self, indexer: Any) -> Any:
        return PandasIndexingAdapter(self.array, self._dtype)._vindex_get(indexer)

    def _repr_html_(self) -> str:
        """Show labels in a notebook: all where they are few or made already, else the first and the last."""
        from html import escape

        from xarray.core.formatting import short_array_repr

        size = self.shape[0]
        if self._index._made is not None or size <= _FEW or not isinstance(self.source, PartSource):
            return f"<pre>{escape(short_array_repr(np.asarray(self)))}</pre>"  # type: ignore[no-untyped-call]
        shown = self.source.some(np.array([0, 1, 2, size - 3, size - 2, size - 1]))
        first, last = (", ".join(map(repr, half.tolist())) for half in (shown[:3], shown[3:]))
        return f"<pre>{escape(f'array([{first}, ..., {last}], shape=({size},), dtype=object)')}</pre>"

    def copy(self, deep: bool = True) -> _LazyLabels:
        return self

    def __copy__(self) -> _LazyLabels:
        return self

    def __deepcopy__(self, memo: Any) -> _LazyLabels:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _LazyLabels, (self._index,)


class _LabelVariable(xr.IndexVariable):
    """The coordinate: its attributes say what its labels turned out to be, in every copy that xarray makes of it."""

    __slots__ = ()

    @property
    def attrs(self) -> dict[Any, Any]:
        """Attributes; those that the source of the labels knows better are brought up to date."""
        attrs = super().attrs
        if isinstance(self._data, _LazyLabels):
            attrs.update({k: v for k, v in self._data.source.attrs.items() if k in attrs})
        return attrs

    @attrs.setter
    def attrs(self, value: Mapping[Any, Any]) -> None:
        self._attrs = dict(value) if value else None


class _OneLabel(BackendArray):  # type: ignore[misc,unused-ignore]
    """A single label, for the scalar coordinate that selecting one position leaves."""

    def __init__(self, index: LazyIndex, position: int) -> None:
        self._index, self._position = index, position
        self.shape, self.dtype = (), np.dtype(object)

    def __getitem__(self, key: Any) -> Any:
        label = np.empty((), dtype=object)
        index, source = self._index, self._index.source
        if index._made is None and isinstance(source, PartSource):
            position = self._position + (source.size if self._position < 0 else 0)
            label[()] = source.some(np.array([position], dtype=np.intp))[0]
        else:
            label[()] = index.index[self._position]
        return label


def lazy_coordinate(
    source: LabelSource, dim: str, attrs: dict[str, Any]
) -> tuple[xr.IndexVariable, LazyIndex]:
    """Return the coordinate of a dimension and its index, both lazy.

    Parameters
    ----------
    source
        Makes the labels.
    dim
        The dimension, which is the coordinate's name too.
    attrs
        The coordinate's attributes.

    Returns
    -------
    xarray.IndexVariable, LazyIndex
    """
    index = LazyIndex(source, dim)
    variable = index.create_variables()[dim]
    variable.attrs = attrs
    return variable, index
