"""The samples that a Dataset shows, as columns: of their file while they are linked to one, else of their values."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from intake_tcga.archs4.layout import ACCESSION
from intake_tcga.archs4.link import Link, link_of
from intake_tcga.archs4.metadata import as_numpy
from intake_tcga.errors import NameNotFoundError, OptionError
from intake_tcga.facets import no_such
from intake_tcga.hdf5.string_columns import require_arrow

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

SAMPLE = "sample"
"""The dimension of samples, whose labels are their accessions."""


class Samples:
    """Columns over the samples of one Dataset, in its order.

    Fields are the coordinates along ``sample``. Those that are still linked to a file are read from its columns, of
    which each is decoded once; others (loaded, assigned, reopened from Zarr) from their own values.

    Parameters
    ----------
    dataset : xarray.Dataset
        With a dimension ``sample``.

    Raises
    ------
    OptionError
        When there is no such dimension.
    """

    def __init__(self, dataset: xr.Dataset) -> None:
        if SAMPLE not in dataset.dims:
            dims = ", ".join(map(str, dataset.dims)) or "none"
            raise OptionError(
                f"There is no dimension {SAMPLE!r}, along which samples are; there are: {dims}."
            )
        self._dataset = dataset
        self.size = dataset.sizes[SAMPLE]
        self.fields = tuple(
            str(name)
            for name in dataset.coords
            if name != SAMPLE and dataset.variables[name].dims == (SAMPLE,)
        )

    def known(self, fields: Iterable[str]) -> tuple[str, ...]:
        """Return fields, all of which exist.

        Raises
        ------
        NameNotFoundError
            When one does not; the message has the nearest, and lists all.
        """
        wanted = tuple(fields)
        for field in wanted:
            if field not in self.fields:
                raise NameNotFoundError(no_such("field", str(field), self.fields))
        return wanted

    def column(self, field: str) -> pa.Array:
        """Return one field, in the order of the Dataset.

        Returns
        -------
        pyarrow.Array
            Text, maybe as a dictionary, or numbers. Missing text is empty; missing numbers are NaN.

        Raises
        ------
        NameNotFoundError
            When there is no such field.
        FileFormatError
            When it cannot be read.
        MissingDependencyError
            Without pyarrow.
        """
        self.known([field])
        require_arrow()
        variable = self._dataset.variables[field]
        link = link_of(variable)
        return _linked(link) if link is not None else _held(np.asarray(variable.values))

    def accessions(self) -> pa.Array:
        """Return the accessions: the field of that name, or else the labels of the samples."""
        if ACCESSION in self.fields:
            return self.column(ACCESSION)
        require_arrow()
        if SAMPLE in self._dataset.coords:
            return _held(np.asarray(self._dataset[SAMPLE].values))
        return _held(np.array([str(row) for row in range(self.size)], dtype=object))

    def frame(self, fields: Iterable[str]) -> pd.DataFrame:
        """Return fields as a table, a row a sample, labelled with its accession."""
        import pandas as pd

        wanted = self.known(fields)
        index = pd.Index(as_numpy(self.accessions()), name=SAMPLE)
        return pd.DataFrame({field: as_numpy(self.column(field)) for field in wanted}, index=index)


def _linked(link: Link) -> pa.Array:
    """Return a field of the file, as far as it is shown; without a copy where that is a run of it."""
    import pyarrow as pa

    rows = link.rows
    if isinstance(rows, slice) and rows.step == 1 and (rows.stop - rows.start) * 2 > link.metadata.n_samples:
        return link.metadata.column(link.field).slice(rows.start, rows.stop - rows.start)
    if isinstance(rows, slice):
        rows = np.arange(rows.start, rows.stop, rows.step)
    column = link.metadata.taken(link.field, rows)
    if isinstance(column, pa.DictionaryArray) and len(column) < len(column.dictionary):
        return column.dictionary_decode()  # of the texts of all samples only a few are left
    return column


def _held(values: Any) -> pa.Array:
    import pyarrow as pa

    if values.dtype.kind in "biuf":
        return pa.array(np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("=")))
    if values.dtype.kind == "S":
        values = np.char.decode(values, "utf-8", "replace")
    return pa.array([_text(value) for value in values.tolist()], pa.string())


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()  # lone surrogates are no text
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return "" if value is None or value != value else str(value)  # noqa: PLR0124 - NaN
