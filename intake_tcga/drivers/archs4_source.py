"""One ARCHS4 file, or some of its samples, as an intake source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from intake.source.base import Schema

from intake_tcga.archs4.collection import Archs4Collection
from intake_tcga.archs4.narrowing import Narrowing
from intake_tcga.drivers.dataset_source import DatasetSource, schema_of
from intake_tcga.drivers.options import tidy
from intake_tcga.plain_values import without_numpy
from intake_tcga.remote import redact

if TYPE_CHECKING:
    import xarray as xr
    from intake.readers.entry import Catalog as CatalogV2


class Archs4Source(DatasetSource):
    """One ARCHS4 file as an intake source: ``to_dask()``, ``read()``, ``discover()``, ``local_path()``, ``yaml()``.

    Making one costs nothing. Calling a source gives another one with other options:
    ``source(series="GSE64016")``. Sources pickle; on a worker of ``dask.distributed`` a source reads for itself.

    Parameters
    ----------
    source : str
        A release (``human_gene_v2.5``), a path, or any URL that fsspec opens.
    series, samples, search, fields, regex, match, single_cell, threshold, where, draw, seed
        Narrow the Dataset to some samples; as in :class:`~intake_tcga.archs4.narrowing.Narrowing`.
    download : bool
        Download the whole file first, through the verified cache, instead of reading it by ranges.
    chunks : optional
        Dask chunks of :meth:`to_dask`; None is ``{}``: all features of about 128 MiB of samples each.
    storage_options, offline, cache_storage, verify, progress
        As in :class:`~intake_tcga.archs4.collection.Archs4Collection`.
    metadata : dict, optional
        Kept with the entry.

    Examples
    --------
    >>> import intake
    >>> source = intake.open_tcga_archs4_file(sample_archs4)
    >>> source.to_dask()["counts"].dims
    ('sample', 'feature')
    >>> source(draw=5, seed=1).read().sizes["sample"]
    5
    """

    name = "tcga_archs4_file"
    driver = "tcga_archs4_file"
    opens_with = "to_dask(), read(); local_path() is its file, downloaded whole"
    positional = ("source",)

    def __init__(
        self,
        source: str,
        series: str | Sequence[str] | None = None,
        samples: str | Sequence[str] | None = None,
        search: str | Sequence[str] | None = None,
        fields: str | Sequence[str] | None = None,
        regex: bool = True,
        match: Literal["all", "any"] = "all",
        single_cell: bool | None = None,
        threshold: float = 0.5,
        where: Mapping[str, Any] | None = None,
        draw: int | None = None,
        seed: int = 1,
        download: bool = False,
        chunks: Any = None,
        storage_options: Mapping[str, Any] | None = None,
        offline: bool | str | None = None,
        cache_storage: str | Sequence[str] | None = None,
        verify: Literal["stamp", "always"] = "stamp",
        progress: bool | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._collection = Archs4Collection(storage_options or {}, offline, cache_storage, verify, progress)
        self.narrowing = Narrowing(
            without_numpy(series),
            without_numpy(samples),
            without_numpy(search),
            without_numpy(fields),
            regex,
            match,
            single_cell,
            without_numpy(threshold),
            where or {},
            draw,
            seed,
        )
        super().__init__(storage_options=dict(storage_options or {}), metadata=metadata)
        self.name = self.source = tidy(source)
        self.download = download
        self.chunks = chunks

    @cached_property
    def collection(self) -> Archs4Collection:
        """The releases, and how they are reached."""
        return self._collection

    def read(self) -> xr.Dataset:
        """Return the samples in memory; more than the machine's memory holds is an error, before anything is read."""
        from intake_tcga.archs4.dataset import in_memory

        with self._open(chunks=None) as dataset:
            return in_memory(dataset)

    def to_dask(self) -> xr.Dataset:
        """Return the samples with a dask array, chunked as ``chunks`` says."""
        return self._open(chunks={} if self.chunks is None else self.chunks)

    def local_path(self, *, force: bool = False) -> str:
        """Return the path of the whole verified file on this machine, downloading it if need be, or by ``force``."""
        return str(self.collection.download(self.source, force=force))

    def _seen(self) -> dict[str, Any]:
        return self.collection.known(self.source)

    def _get_schema(self) -> Schema:
        with self._open(chunks=None) as dataset:
            return schema_of(dataset, next(iter(dataset.data_vars)))

    def _open(self, *, chunks: Any) -> xr.Dataset:
        return self.collection.open(
            self.source, chunks=chunks, download=self.download, narrowing=self.narrowing
        )

    def to_v2(self) -> CatalogV2:
        """Return an intake V2 catalog with this file alone, narrowed as it is here."""
        from intake_tcga.readers import Archs4File, Archs4Reader, catalog_of

        # What reaches the file is of the same names in both.
        given = {**self._captured_init_kwargs, "source": self.source}
        given.pop("metadata", None)
        data = Archs4File(given.pop("source"))
        return catalog_of({self._shown: Archs4Reader(data, metadata=self.metadata, **given)})

    def _arguments(self) -> dict[str, Any]:
        return {**super()._arguments(), "where": Narrowing.saved_where(self.narrowing.where)}

    @property
    def _shown(self) -> str:
        return redact(self.source)

    def __repr__(self) -> str:
        chosen = ", ".join(f"{name}={value!r}" for name, value in self.narrowing.chosen.items())
        return f"<tcga_archs4_file {self._shown}{': ' if chosen else ''}{chosen}>"
