"""A reader of whole-slide images, as xarray Datasets and DataTrees."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from intake_tcga.readers.data import filled_in, shown_place
from intake_tcga.readers.dataset_reader import DatasetReader
from intake_tcga.readers.slide_data import SlideFile

if TYPE_CHECKING:
    import xarray as xr

_CHOICE = ("mpp", "level", "associated", "box_um")


class SlideReader(DatasetReader):
    """One slide: an image at an exact µm/px or of a level as an xarray Dataset, or its pyramid as a lazy DataTree.

    Calling a reader gives another one with other options: ``reader(mpp=15.0)``. A reader pickles; on a worker of
    ``dask.distributed`` it reads for itself.

    Parameters
    ----------
    data : SlideFile or str
        The slide, or its barcode, file name, file id, path or URL, with the other arguments of :class:`SlideFile`.
    mpp, level, associated, box_um, upsample, mpp_base, mpp_from, method, chunks
        What is wanted of it; as in :func:`~intake_tcga.slides.opening.open_slide`.
    metadata : dict, optional
        Anything to keep with it.

    Raises
    ------
    OptionError
        An option is unknown; or, when it is read, has a value that cannot be. :meth:`read` wants one image: ``mpp``,
        ``level`` or ``associated``; :meth:`to_dask`, :meth:`discover` and :meth:`to_datatree` give the pyramid too.

    Examples
    --------
    >>> reader = SlideReader(sample_slide)
    >>> reader(mpp=15.0).read()["image"].shape
    (98, 73, 3)
    >>> list(reader.to_datatree().children)
    ['scale0']
    """

    implements: ClassVar[set[type]] = {SlideFile}
    data_type = SlideFile
    options = (*_CHOICE, "upsample", "mpp_base", "mpp_from", "method", "chunks")

    def to_datatree(self) -> xr.DataTree:
        """Return the lazy pyramid, whatever ``mpp``, ``level``, ``associated`` and ``box_um`` say."""
        whole = self(**dict.fromkeys(_CHOICE))
        tree: xr.DataTree = whole._open(self.kwargs.get("chunks"))
        return tree

    def local_path(self) -> str:
        """Return the path of the slide's whole verified file, downloading it if it is not there."""
        return str(self.data.collection.fetch(self.data.url, storage_options=self._storage_options()))

    def _open(self, chunks: Any) -> xr.Dataset | xr.DataTree:
        image: xr.Dataset | xr.DataTree = self.data.collection.open(
            self.data.url,
            storage_options=self._storage_options(),
            **{**self._chosen(), "chunks": chunks},
        )
        return image

    def _storage_options(self) -> Any:
        return filled_in(self.data.storage_options or {})

    def _load(self, opened: xr.Dataset | xr.DataTree) -> xr.Dataset:
        from intake_tcga.slides.dataset import in_memory

        return in_memory(opened)

    def _what(self) -> str:
        return shown_place(self.data)
