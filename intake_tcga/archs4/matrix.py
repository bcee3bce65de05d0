"""The matrix of an ARCHS4 file as one lazy array samples × features, whichever way it lies on disk."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import xarray as xr
from xarray.backends import BackendArray
from xarray.core import indexing

from intake_tcga.archs4.announcements import Announcements
from intake_tcga.archs4.metadata import as_numpy
from intake_tcga.errors import FileFormatError, IntakeTcgaError
from intake_tcga.hdf5 import chunks
from intake_tcga.hdf5.file import Hdf5File
from intake_tcga.hdf5.lazy import part_of
from intake_tcga.hdf5.string_columns import read_column
from intake_tcga.hdf5.structure import ArrayInfo

_TASK = 128 * 2**20
"""Bytes that one dask chunk has at most: a pass over 888,821 samples is then some 1,800 tasks."""

_NAMED = 5  # samples of a damaged chunk that an error names


class SampleMatrix(BackendArray):  # type: ignore[misc,unused-ignore]
    """A matrix of which samples are always the first axis, and only the chunks that are asked for are read.

    Selections go to the chunk planner as they are, never to h5py, whose fancy indexing takes a hundred times as long.

    Parameters
    ----------
    file
        The file that holds it.
    array
        The matrix as it is in the file.
    samples_axis
        The axis of it along which the samples are.
    announcements
        Say what large reads of a remote file take.
    accessions
        The path of the samples' accessions in the file, by which errors call them.
    """

    def __init__(
        self,
        file: Hdf5File,
        array: ArrayInfo,
        samples_axis: Literal[0, 1],
        announcements: Announcements | None = None,
        accessions: str | None = None,
    ) -> None:
        self._file = file
        self._announcements = announcements or Announcements(file)
        self._array = array
        self._axis = samples_axis
        self._accessions = accessions
        self.shape = array.shape if samples_axis == 0 else array.shape[::-1]
        self.dtype = array.dtype

    @property
    def preferred_chunks(self) -> dict[str, int]:
        """Lengths of dask's chunks: all features of as many samples as make 64 to 128 MiB, in whole stored chunks."""
        row, stored = max(1, self.shape[1] * self.dtype.itemsize), self.stored_samples
        samples = max(1, _TASK // row)
        if samples > stored:
            samples -= samples % stored
        elif samples * 2 > stored:
            samples = stored
        return {"sample": max(1, min(samples, self.shape[0])), "feature": max(1, self.shape[1])}

    @property
    def stored_samples(self) -> int:
        """Samples in a stored chunk, of which none can be read alone."""
        return self._array.chunks[self._axis] if self._array.chunks else 1

    def variable(self, attrs: dict[str, Any]) -> xr.Variable:
        """Return the lazy variable over this array, samples × features."""
        return xr.Variable(
            ("sample", "feature"),
            indexing.LazilyIndexedArray(self),
            attrs,
            encoding={"preferred_chunks": self.preferred_chunks},
        )

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        if not isinstance(key, indexing.VectorizedIndexer):  # xarray fails on empty slices of a negative step
            return self._get(key.tuple)
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER, self._get)

    def _get(self, key: tuple[Any, ...]) -> npt.NDArray[Any]:
        """Read an outer selection: along each axis an integer, a slice, or an array of integers."""
        source = tuple(part_of(part, length) for part, length in zip(key, self.shape, strict=True))
        lengths = tuple(len(range(p.stop)[p]) if isinstance(p, slice) else len(p) for p in source)
        dest: tuple[chunks.Part, ...] = tuple(slice(0, length, 1) for length in lengths)
        result = np.empty(lengths, self.dtype)
        if self._axis == 0:
            request = chunks.Request(self._array.path, source, result, dest)
        else:
            request = chunks.Request(self._array.path, source[::-1], result.T, dest[::-1])
        wanted = chunks.estimate(self._file, [request]).bytes if self._file.remote else 0
        with self._announcements.of_values(lengths[0], lengths[1], wanted):
            try:
                chunks.read(self._file, [request])
            except chunks.DamagedChunkError as error:
                raise FileFormatError(f"{error}{self._whose(error.spans[self._axis])}") from error
        scalars = tuple(0 if isinstance(part, int | np.integer) else slice(None) for part in key)
        return result[scalars]

    def _whose(self, span: range) -> str:
        """Say which samples a damaged chunk is of; nothing where their accessions cannot be read either."""
        if self._accessions is None:
            return ""
        some = np.arange(span.start, min(span.stop, span.start + _NAMED), dtype=np.intp)
        try:
            names = as_numpy(read_column(self._file, self._accessions, some)).tolist()
        except IntakeTcgaError:
            return ""
        more = f" and {len(span) - len(names)} more" if len(span) > len(names) else ""
        return f" It is of sample{'s' * (len(span) > 1)} {', '.join(map(str, names))}{more}."
