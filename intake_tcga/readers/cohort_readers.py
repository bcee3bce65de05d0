"""Readers of cohorts, as xarray Datasets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from intake_tcga.readers.cohort_data import CohortFile, ManifestCohort
from intake_tcga.readers.data import shown_place
from intake_tcga.readers.dataset_reader import DatasetReader

if TYPE_CHECKING:
    import xarray as xr

_NARROWING = ("normalization", "model", "off_aug")


class _OfCohort(DatasetReader):
    """What both readers of a cohort share."""

    options = (*_NARROWING, "chunks")

    def _load(self, opened: xr.Dataset) -> xr.Dataset:
        from intake_tcga.cohorts.dataset import in_memory

        with opened:
            return in_memory(opened)


class CohortReader(_OfCohort):
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

    def local_path(self, *, force: bool = False) -> str:
        """Return the path of the cohort's verified file on this machine; ``force`` downloads it again."""
        return str(self.data.collection.fetch(self.data.cohort, force=force))

    def _open(self, chunks: Any) -> xr.Dataset:
        dataset: xr.Dataset = self.data.collection.open(
            self.data.cohort, chunks=chunks, **self._chosen(*_NARROWING)
        )
        return dataset

    def _what(self) -> str:
        return f"{self.data.cohort} of {shown_place(self.data)}"


class CohortFileReader(_OfCohort):
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

        return open_dataset(self.data.local_path(), chunks=chunks, **self._chosen(*_NARROWING))

    def _what(self) -> str:
        return shown_place(self.data)
