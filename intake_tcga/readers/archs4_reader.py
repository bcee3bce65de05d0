"""A reader of ARCHS4's files, as xarray Datasets of all samples or of some."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from intake_tcga.readers.archs4_data import Archs4File
from intake_tcga.readers.data import shown_place, without_templates
from intake_tcga.readers.dataset_reader import DatasetReader

if TYPE_CHECKING:
    import xarray as xr
    from intake.readers.entry import ReaderDescription

NARROWING = (
    "series",
    "samples",
    "search",
    "fields",
    "regex",
    "match",
    "single_cell",
    "threshold",
    "where",
    "draw",
    "seed",
)
"""The options of :class:`~intake_tcga.archs4.narrowing.Narrowing`, which is not imported for their names."""


class Archs4Reader(DatasetReader):
    """One ARCHS4 file, or some of its samples, as an xarray Dataset; read by ranges, as far as it is used.

    Calling a reader gives another one with other options: ``reader(series="GSE64016")``. A reader pickles; on a
    worker of ``dask.distributed`` it reads for itself.

    Parameters
    ----------
    data : Archs4File or str
        The file, or its release, path or URL, with the other arguments of :class:`Archs4File`.
    series, samples, search, fields, regex, match, single_cell, threshold, where, draw, seed
        Narrow the Dataset to some samples; as in :class:`~intake_tcga.archs4.narrowing.Narrowing`.
    download : bool
        Download the whole file first, through the verified cache, instead of reading it by ranges.
    chunks : optional
        Dask chunks of :meth:`to_dask`; None is ``{}``: all features of about 128 MiB of samples each.
    metadata : dict, optional
        Anything to keep with it.

    Raises
    ------
    OptionError
        An option is unknown; or, when it is read, has a value that cannot be.

    Examples
    --------
    >>> reader = Archs4Reader(sample_archs4)
    >>> dict(reader.discover().sizes)
    {'sample': 30, 'feature': 818}
    >>> reader(draw=5, seed=1).read()["counts"].shape
    (5, 818)
    """

    implements: ClassVar[set[type]] = {Archs4File}
    data_type = Archs4File
    options = (*NARROWING, "download", "chunks")

    def local_path(self, *, force: bool = False) -> str:
        """Return the path of the whole verified file on this machine, downloading it if need be, or by ``force``."""
        return str(self.data.collection.download(self.data.url, force=force))

    def to_entry(self) -> ReaderDescription:
        """Return the description that intake keeps in catalogs, with conditions as YAML can have them.

        Raises
        ------
        OptionError
            A condition is a pattern or a function.
        """
        from intake_tcga.archs4.narrowing import Narrowing

        entry = super().to_entry()
        if "where" in self.kwargs:
            entry.kwargs["where"] = without_templates(Narrowing.saved_where(self.kwargs["where"]))
        return entry

    def _open(self, chunks: Any) -> xr.Dataset:
        from intake_tcga.archs4.narrowing import Narrowing

        dataset: xr.Dataset = self.data.collection.open(
            self.data.url,
            chunks=chunks,
            narrowing=Narrowing(**self._chosen(*NARROWING)),
            **self._chosen("download"),
        )
        return dataset

    def _load(self, opened: xr.Dataset) -> xr.Dataset:
        from intake_tcga.archs4.dataset import in_memory

        with opened:
            return in_memory(opened)

    def _what(self) -> str:
        return shown_place(self.data)
