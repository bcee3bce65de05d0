"""The metadata of a file's samples, field by field: decoded when asked for, once, and kept on disk in columns."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from intake_tcga.archs4.announcements import Announcements
from intake_tcga.archs4.layout import ACCESSION, Layout
from intake_tcga.errors import NameNotFoundError
from intake_tcga.facets import no_such
from intake_tcga.hdf5.file import Hdf5File
from intake_tcga.hdf5.kept_columns import keep_column, recall_column, state_of
from intake_tcga.hdf5.string_columns import read_column, require_arrow

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from intake_tcga.archs4.matrix_blocks import MatrixBlocks

_IN_MEMORY = 512 * 2**20  # bytes of columns that stay in memory, of one file
_FEW = 100  # rows are few when there are this many times as many in the file


class SampleMetadata:
    """Every field of every sample of one file; nothing is read before it is asked for.

    Pickles without what it has read, and stays one object in copies of a Dataset.

    Parameters
    ----------
    file : Hdf5File
        The file, local or remote.
    fields : mapping
        Field → path of its dataset in the file. Several fields may have one path.
    n_samples : int
        Length of each of them.
    announcements : Announcements, optional
        Say what large fields of a remote file take.
    """

    def __init__(
        self,
        file: Hdf5File,
        fields: Mapping[str, str],
        n_samples: int,
        announcements: Announcements | None = None,
    ) -> None:
        self._file = file
        self._announcements = announcements or Announcements(file)
        self._paths = dict(fields)
        self._columns: OrderedDict[str, pa.Array] = OrderedDict()
        self._turns: dict[tuple[int, str], threading.Lock] = {}
        self.n_samples = n_samples
        self.blocks: MatrixBlocks | None = None
        """The matrix of the same samples, where it is over Dask."""

    @property
    def file(self) -> Hdf5File:
        """The file."""
        return self._file

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields, in the file's order."""
        return tuple(self._paths)

    def column(self, field: str) -> pa.Array:
        """Return one field of all samples.

        Parameters
        ----------
        field : str
            One of :attr:`fields`.

        Returns
        -------
        pyarrow.Array
            Text, as a dictionary where texts repeat, or numbers in the file's own type. None is null.

        Raises
        ------
        NameNotFoundError
            When there is no such field.
        FileFormatError
            When it cannot be read.
        MissingDependencyError
            Without pyarrow.
        """
        path = self._path(field)
        with self._turn(path):
            column = self._known(path)
            if column is None:
                before = state_of(self._file)
                expect = partial(self._announcements.of_field, field)
                column = read_column(self._file, path, expect=expect)
                keep_column(self._file, path, column, before)
                self._remember(path, column)
        return column

    def taken(self, field: str, rows: npt.NDArray[np.intp]) -> pa.Array:
        """Return one field of some samples; of a field not decoded yet only these, if they are few.

        Parameters
        ----------
        field : str
            One of :attr:`fields`.
        rows : numpy.ndarray of int
            Row numbers from 0, in any order; they may repeat.

        Returns
        -------
        pyarrow.Array

        Raises
        ------
        NameNotFoundError, FileFormatError, MissingDependencyError
            As for :meth:`column`.
        """
        import pyarrow as pa

        path = self._path(field)
        if len(rows) * _FEW < self.n_samples and self._known(path) is None:
            return read_column(self._file, path, np.asarray(rows, dtype=np.intp))
        return self.column(field).take(pa.array(rows))

    def values(self, field: str, rows: npt.NDArray[np.intp] | None = None) -> npt.NDArray[Any]:
        """Return one field as a numpy array.

        Parameters
        ----------
        field : str
            One of :attr:`fields`.
        rows : numpy.ndarray of int, optional
            Which samples, in that order; by default all.

        Returns
        -------
        numpy.ndarray
            ``object`` with ``str`` for text, numbers in the file's own type.

        Raises
        ------
        NameNotFoundError, FileFormatError, MissingDependencyError
            As for :meth:`column`.
        """
        return as_numpy(self.column(field) if rows is None else self.taken(field, rows))

    def frame(
        self, fields: Iterable[str] | None = None, rows: npt.NDArray[np.intp] | None = None
    ) -> pd.DataFrame:
        """Return fields as a table.

        Parameters
        ----------
        fields : iterable of str, optional
            Which, in that order; by default all.
        rows : numpy.ndarray of int, optional
            Which samples, in that order; by default all.

        Returns
        -------
        pandas.DataFrame
            A row a sample, labelled with its accession; a column a field.

        Raises
        ------
        NameNotFoundError, FileFormatError, MissingDependencyError
            As for :meth:`column`.
        """
        import pandas as pd

        wanted = self.fields if fields is None else tuple(fields)
        for field in wanted:
            self._path(field)
        index = pd.Index(self.values(ACCESSION, rows), name="sample")
        return pd.DataFrame({field: self.values(field, rows) for field in wanted}, index=index)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_columns": OrderedDict(), "_turns": {}}

    def __copy__(self) -> SampleMetadata:
        return self  # nothing in it ever changes

    def __deepcopy__(self, memo: Any) -> SampleMetadata:
        return self

    def __repr__(self) -> str:
        return f"SampleMetadata({self._file.path!r}, {self.n_samples} samples, {len(self._paths)} fields)"

    def _path(self, field: str) -> str:
        if field not in self._paths:
            raise NameNotFoundError(no_such("field", field, self.fields))
        return self._paths[field]

    def _turn(self, path: str) -> threading.Lock:
        """Return a column's own lock: of threads that want it at once, one decodes it."""
        # By process, since a forked child may inherit a lock that is held by a thread it has not. Whoever holds one
        # may wait for HDF5's lock; nobody who holds HDF5's asks for a column.
        return self._turns.setdefault((os.getpid(), path), threading.Lock())

    def _known(self, path: str) -> pa.Array | None:
        """Return a column that is in memory or was kept on disk."""
        column = self._columns.get(path)
        if column is not None:
            return column
        require_arrow()
        column = recall_column(self._file, path)
        if column is not None and len(column) == self.n_samples:
            self._remember(path, column)
            return column
        return None

    def _remember(self, path: str, column: pa.Array) -> None:
        """Hold a column in memory, and let go of those that came first when there are too many."""
        self._columns[path] = column
        held = list(self._columns.items())
        total = sum(one.nbytes for _, one in held)
        for name, one in held:
            if total <= _IN_MEMORY:
                break
            self._columns.pop(name, None)
            total -= one.nbytes


def sample_metadata(
    file: Hdf5File, layout: Layout, announcements: Announcements | None = None
) -> SampleMetadata:
    """Return the metadata of a described file's samples; nothing is read.

    Parameters
    ----------
    file : Hdf5File
        The file.
    layout : Layout
        Its description.
    announcements : Announcements, optional
        Say what large fields of a remote file take.

    Returns
    -------
    SampleMetadata
    """
    return SampleMetadata(file, layout.fields, layout.n_samples, announcements)


def as_numpy(column: pa.Array) -> npt.NDArray[Any]:
    """Return a column as a numpy array: ``object`` with ``str`` for text, numbers in their own type."""
    import pyarrow as pa

    values: npt.NDArray[Any]
    if isinstance(column, pa.DictionaryArray):  # each text once, however many rows have it
        values = as_numpy(column.dictionary)[column.indices.to_numpy()]
    else:
        values = column.to_numpy(zero_copy_only=False)
    return values
