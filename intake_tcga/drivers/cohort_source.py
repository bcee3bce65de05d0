"""One cohort, as an intake source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from intake.source.base import Schema

from intake_tcga.cohorts.selection import Narrowing
from intake_tcga.drivers.dataset_source import DatasetSource, schema_of
from intake_tcga.drivers.options import collection_of

if TYPE_CHECKING:
    import xarray as xr
    from intake.readers.entry import Catalog as CatalogV2


class CohortSource(DatasetSource):
    """One cohort as an intake source: ``read()``, ``to_dask()``, ``discover()``, ``local_path()``, ``yaml()``.

    Making one costs nothing; the manifest and the file are fetched by the first method that needs them. Calling
    a source gives another one with other options: ``source(normalization="TC")``. Sources pickle; on a worker of
    ``dask.distributed`` a source fetches for itself.

    Parameters
    ----------
    cohort : str
        Full name, or code where only one cohort has it.
    urlpath : str, optional
        ``mirna``, ``rnaseq``, or the URL of a manifest (anything fsspec opens). None is the modality's own bundle.
    modality, version, storage_options, offline, allow_other_hosts, cache_storage, verify, progress
        As in :class:`~intake_tcga.cohorts.collection.CohortCollection`.
    normalization, model, off_aug : str, sequence of str, or None
        Narrow the Dataset: a label selects it, several keep them.
    chunks : optional
        Dask chunks of :meth:`to_dask`; None is ``{}``, the file's own.
    metadata : dict, optional
        Kept with the entry.

    Examples
    --------
    >>> import intake
    >>> source = intake.open_tcga_cohort("PRAD", urlpath=sample_manifest, offline=True)
    >>> source(normalization="TC").to_dask()["real"].dims
    ('sample', 'feature')
    """

    name = "tcga_cohort"
    driver = "tcga_cohort"
    opens_with = "to_dask(), read(), to_datatree(); local_path() is its file"
    positional = ("cohort",)

    def __init__(
        self,
        cohort: str,
        urlpath: str | None = None,
        modality: str | None = None,
        version: str | None = None,
        storage_options: Mapping[str, Any] | None = None,
        offline: bool | str | None = None,
        allow_other_hosts: bool = False,
        cache_storage: str | Sequence[str] | None = None,
        verify: str = "stamp",
        progress: bool | None = None,
        normalization: Narrowing = None,
        model: Narrowing = None,
        off_aug: Narrowing = None,
        chunks: Any = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self.collection = collection_of(locals())
        super().__init__(storage_options=dict(self.collection.storage_options), metadata=metadata)
        self.name = cohort
        self.cohort = cohort
        self.narrowing: dict[str, Narrowing] = {
            "normalization": normalization,
            "model": model,
            "off_aug": off_aug,
        }
        self.chunks = chunks

    def read(self) -> xr.Dataset:
        """Return the cohort's Dataset in memory."""
        from intake_tcga.cohorts.dataset import in_memory

        with self._open(chunks=None) as dataset:
            return in_memory(dataset)

    def to_dask(self) -> xr.Dataset:
        """Return the cohort's Dataset with dask arrays, chunked as ``chunks`` says (by default as the file is)."""
        return self._open(chunks={} if self.chunks is None else self.chunks)

    def to_datatree(self) -> xr.DataTree:
        """Return a lazy DataTree that mirrors the groups of the cohort's file."""
        return self.collection.open_tree(self.cohort, chunks=self.chunks)

    def local_path(self, *, force: bool = False) -> str:
        """Return the path of the cohort's verified file on this machine; ``force`` downloads it again."""
        return str(self.collection.fetch(self.cohort, force=force))

    def to_v2(self) -> CatalogV2:
        """Return an intake V2 catalog with this cohort alone."""
        from intake_tcga.readers import to_v2

        options: dict[str, Any] = {"chunks": self.chunks, **self.narrowing}
        return to_v2(self.collection, names=[self.cohort], **options)

    def _seen(self) -> dict[str, Any]:
        return self.collection.known(self.cohort)

    def _get_schema(self) -> Schema:
        with self._open(chunks=None) as dataset:
            return schema_of(dataset, "real")

    def _open(self, *, chunks: Any) -> xr.Dataset:
        return self.collection.open(
            self.cohort,
            chunks=chunks,
            normalization=self.narrowing["normalization"],
            model=self.narrowing["model"],
            off_aug=self.narrowing["off_aug"],
        )

    def __repr__(self) -> str:
        chosen = ", ".join(f"{key}={value!r}" for key, value in self.narrowing.items() if value is not None)
        return f"<tcga_cohort {self.cohort}{': ' + chosen if chosen else ''} of {self.collection.place}>"
