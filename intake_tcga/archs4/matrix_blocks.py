"""The matrix in blocks of samples over Dask; a selection gets blocks of its own.

Dask selects in blocks that were read: for a hundred samples out of a million it would read all the million. So samples
that are found by their metadata are selected in the file's own lazy array, as long as nothing was done to the blocks,
and these are made anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from intake_tcga.archs4.link import Rows, rows_of
from intake_tcga.archs4.matrix import SampleMatrix
from intake_tcga.arrays.chunking import over_dask

SAMPLE = "sample"


@dataclass(frozen=True, eq=False)
class MatrixBlocks:
    """The file's matrix, ready to be cut into Dask's blocks."""

    name: str
    """Of the variable."""

    matrix: SampleMatrix
    """All of it."""

    attrs: Mapping[str, Any]
    """Of the variable."""

    state: tuple[str, Any]
    """Tells this state of this file from any other."""

    @property
    def whole(self) -> xr.Variable:
        """All of it as one lazy variable, without Dask."""
        return self.matrix.variable(dict(self.attrs))

    def of(self, rows: Rows, chunks: Any) -> xr.Variable:
        """Return the blocks of some samples.

        Parameters
        ----------
        rows
            Row numbers in the file.
        chunks
            As in :func:`xarray.open_dataset`.
        """
        from dask.base import tokenize

        selected = xr.Dataset({self.name: self.whole.isel({SAMPLE: rows})})
        blocks = over_dask(selected, chunks, f"{self._token_of(rows)}-{tokenize(chunks)}")
        return blocks[self.name].variable

    def are_in(self, variable: xr.Variable, rows: Rows) -> bool:
        """Tell whether a variable is these blocks of these samples, and nothing was done to them."""
        name = getattr(variable._data, "name", None)
        return isinstance(name, str) and name.startswith(f"open_dataset-{self.name}-{self._token_of(rows)}-")

    def _token_of(self, rows: Rows) -> str:
        from dask.base import tokenize

        return str(tokenize(self.state, rows))


def narrowed(ds: xr.Dataset, found: npt.NDArray[np.intp]) -> xr.Dataset:
    """Return some samples of any Dataset; blocks of the file's own matrix become blocks of just these samples.

    As many samples as were in the largest block are in each, or fewer, so that no stored chunk is in two of them.

    Parameters
    ----------
    ds
        With a dimension ``sample``.
    found
        Positions along it, in any order.
    """
    linked = rows_of(ds)
    blocks = linked[0].blocks if linked else None
    if linked is None or blocks is None or blocks.name not in ds.data_vars:
        return ds.isel({SAMPLE: found})
    variable = ds.variables[blocks.name]
    if not blocks.are_in(variable, linked[1]):
        return ds.isel({SAMPLE: found})
    rows = _rows_at(linked[1], found)
    along, across = variable.chunks or ((), ())
    sizes = _sizes(rows, max(along, default=1), blocks.matrix.stored_samples)
    remade = blocks.of(rows, {SAMPLE: sizes, variable.dims[1]: across})
    remade.attrs = dict(variable.attrs)  # which may be the user's by now
    return ds.drop_vars(blocks.name).isel({SAMPLE: found}).assign({blocks.name: remade})


def _rows_at(rows: Rows, found: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    return rows.start + rows.step * np.asarray(found, np.intp) if isinstance(rows, slice) else rows[found]


def _sizes(rows: npt.NDArray[np.intp], most: int, stored: int) -> tuple[int, ...]:
    """Cut a selection into blocks; where a stored chunk holds several samples, rather between two of these.

    Examples
    --------
    >>> _sizes(np.array([0, 3, 9, 11, 14, 15, 25]), 3, 10)
    (3, 3, 1)
    >>> _sizes(np.array([0, 9, 10, 11, 14, 15, 25]), 3, 10)
    (2, 3, 2)
    """
    most = max(1, most)
    seams = np.flatnonzero(np.diff(rows // stored)) + 1
    ends = [0]
    while len(rows) - ends[-1] > most:
        last = int(np.searchsorted(seams, ends[-1] + most, side="right")) - 1
        seam = int(seams[last]) if last >= 0 else 0
        ends.append(seam if seam > ends[-1] else ends[-1] + most)
    return tuple(np.diff([*ends, len(rows)]).tolist())
