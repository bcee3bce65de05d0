"""Readers of cohorts, as xarray Datasets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from intake_tcga.readers.checked import CheckedReader
from intake_tcga.readers.data import CohortFile, ManifestCohort, shown_place

if TYPE_CHECKING:
    import xarray as xr

    from intake_tcga.cohorts.selection import Narrowing


class _DatasetReader(CheckedReader):
    """What the readers of Datasets share; ``_open`` is all that differs."""

    options = ("normalization", "model", "off_aug", "chunks")
    imports: ClassVar[set[str]] = {"xarray"}
    output_instance = "xarray:Dataset"

    def read(self, **changes: Any) -> xr.Dataset:
        """Return the Dataset in memory.

        Parameters
        ----------
        **changes
            Options and arguments that shall differ from this reader's.
        """
        reader = self(**changes) if changes else self
        dataset: xr.Dataset = reader._read(**reader.kwargs)
        return dataset

    def to_dask(self, **changes: Any) -> xr.Dataset:
        """Return the Dataset with dask arrays, chunked as ``chunks`` says, by default as the file is."""
        reader = self(**changes)
        chunks = reader.kwargs.get("chunks")
        return reader._open({} if chunks is None else chunks)  # type: ignore[no-any-return]

    def discover(self, **changes: Any) -> xr.Dataset:
        """Return the Dataset with no matrix read: its dimensions, labels and attributes are there, values are lazy."""
        return self(**changes)._open(None)  # type: ignore[no-any-return]

    def _read(
        self,
        data: Any,
        normalization: Narrowing = None,
        model: Narrowing = None,
        off_aug: Narrowing = None,
        chunks: Any = None,
    ) -> xr.Dataset:
        """Open the cohort, narrowed to the options, and load it."""
        from intake_tcga.cohorts.dataset import in_memory

        with self._open(None) as dataset:
            return in_memory(dataset)

    def _open(self, chunks: Any) -> xr.Dataset:
        raise NotImplementedError

    def _narrowing(self) -> dict[str, Any]:
        return {name: self.kwargs.get(name) for name in ("normalization", "model", "off_aug")}

    def _shown_options(self) -> str:
        chosen = ", ".join(f"{name}={value!r}" for name, value in self.kwargs.items() if name in self.options)
        return f": {chosen}" if chosen else ""


class CohortReader(_DatasetReader):
    """One cohort of a manifest, as an xarray Dataset; fetched, verified and cached at first use.

    Calling a reader gives another one with other options: ``reader(normalization="TC")``. A reader pickles; on a
    worker of ``dask.distributed`` it fetches for itself.

    Parameters
    ----------
    data : ManifestCohort or str
        The cohort, or its name, with ``url`` and the other arguments of :class:`ManifestCohort`.
    normalization, model, off_aug : str, sequence of str, or None
        Narrow the Dataset: a label selects it (its dimension becomes a scalar coordinate), several keep them.
    chunks : optional
        Dask chunks of :meth:`to_dask`; None is ``{}``, the file's own.
    metadata : dict, optional
        Anything to keep with it.

    Raises
    ------
    OptionError
        An option is unknown; or, when it is read, has a value that the cohort does not have.

    Examples
    --------
    >>> reader = CohortReader("PRAD", url=sample_manifest, offline=True)
    >>> reader(normalization="TC", model="CVAE1_5").read()["synthetic"].dims
    ('synthetic_sample', 'feature')
    """

    implements: ClassVar[set[type]] = {ManifestCohort}
    data_type = ManifestCohort

    def to_datatree(self) -> xr.DataTree:
        """Return a lazy DataTree that mirrors the groups of the cohort's file."""
        tree: xr.DataTree = self.data.collection.open_tree(self.data.cohort, chunks=self.kwargs.get("chunks"))
        return tree

    def local_path(self) -> str:
        """Return the path of the cohort's verified file on this machine."""
        return str(self.data.collection.fetch(self.data.cohort))

    def _open(self, chunks: Any) -> xr.Dataset:
        dataset: xr.Dataset = self.data.collection.open(self.data.cohort, chunks=chunks, **self._narrowing())
        return dataset

    def __repr__(self) -> str:
        place = shown_place(self.data)
        return f"<{type(self).__name__}: {self.data.cohort} of {place}{self._shown_options()}>"


class CohortFileReader(_DatasetReader):
    """A cohort's file, as an xarray Dataset.

    A file has no digest to be verified by; read cohorts through their manifest where there is one.

    Parameters
    ----------
    data : CohortFile or str
        The file, or its path or URL.
    normalization, model, off_aug, chunks, metadata
        As in :class:`CohortReader`.

    Examples
    --------
    >>> file = sample_manifest.replace("manifest.json", "PRAD_sample_type.h5")
    >>> CohortFileReader(file, normalization="TC").discover()["real"].dims
    ('sample', 'feature')
    """

    implements: ClassVar[set[type]] = {CohortFile}
    data_type = CohortFile

    def _open(self, chunks: Any) -> xr.Dataset:
        from intake_tcga.cohorts.dataset import open_dataset

        return open_dataset(self.data.local_path(), chunks=chunks, **self._narrowing())

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {shown_place(self.data)}{self._shown_options()}>"
