"""One whole-slide image, as an intake source."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from intake.source.base import Schema

from intake_tcga.drivers.dataset_source import DatasetSource
from intake_tcga.drivers.options import given_of, tidy
from intake_tcga.remote import redact
from intake_tcga.slides.collection import SlideCollection

if TYPE_CHECKING:
    import xarray as xr
    from intake.readers.entry import Catalog as CatalogV2

SLIDE_OPTIONS = ("endpoint", "token_file", "access", "offline", "cache_storage", "verify", "progress")
"""Arguments that say how slides are reached."""


class SlideSource(DatasetSource):
    """One slide as an intake source: ``to_dask()``, ``read()``, ``discover()``, ``local_path()``, ``yaml()``.

    Making one costs nothing. Calling a source gives another one with other options: ``source(mpp=15.0)``. Sources
    pickle; on a worker of ``dask.distributed`` a source reads for itself.

    Parameters
    ----------
    slide : str
        Barcode, file name or file id at the GDC; a local path; or any URL that fsspec opens.
    mpp, level, associated, box_um, upsample, mpp_base, mpp_from, method, chunks
        What is wanted of it; as in :func:`~intake_tcga.slides.opening.open_slide`.
    endpoint, token_file, access, offline, cache_storage, verify, progress
        How it is reached; as in :class:`~intake_tcga.slides.collection.SlideCollection`.
    storage_options : dict, optional
        Options of fsspec, for a slide that is not the GDC's.
    metadata : dict, optional
        Kept with the entry.

    Examples
    --------
    >>> import intake
    >>> source = intake.open_tcga_slide(sample_slide, mpp=15.0)
    >>> source.to_dask()["image"].shape
    (98, 73, 3)
    """

    name = "tcga_slide"
    driver = "tcga_slide"
    opens_with = (
        "to_dask(), to_datatree(); with mpp=, level= or associated= also read(); local_path() is its file"
    )
    positional = ("slide",)

    def __init__(
        self,
        slide: str,
        mpp: float | None = None,
        level: int | None = None,
        associated: str | None = None,
        box_um: Sequence[float] | None = None,
        upsample: bool = False,
        mpp_base: float | None = None,
        mpp_from: str | None = None,
        method: str = "ranges",
        chunks: Any = None,
        endpoint: str | None = None,
        token_file: str | None = None,
        access: str = "open",
        offline: bool | str | None = None,
        cache_storage: str | Sequence[str] | None = None,
        verify: str = "stamp",
        progress: bool | None = None,
        storage_options: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._options = given_of(locals(), SLIDE_OPTIONS)
        super().__init__(storage_options=storage_options or {}, metadata=metadata)
        self.name = self.slide = tidy(slide)
        self.view: dict[str, Any] = {
            "mpp": mpp,
            "level": level,
            "associated": associated,
            "box_um": box_um,
            "upsample": upsample,
            "mpp_base": mpp_base,
            "mpp_from": mpp_from,
            "method": method,
        }
        self.chunks = chunks

    @cached_property
    def collection(self) -> SlideCollection:
        """How the slide is reached, and the slides it is found among."""
        return SlideCollection.of(**self._options)

    def read(self) -> xr.Dataset:
        """Return the image that ``mpp``, ``level`` or ``associated`` asks for, in memory: uint8 (y, x, c)."""
        from intake_tcga.slides.dataset import in_memory

        return in_memory(self._open(chunks=None))

    def to_dask(self) -> xr.Dataset | xr.DataTree:
        """Return the slide over dask: a DataTree of its levels, or the image that ``mpp`` or ``level`` asks for."""
        return self._open(chunks={} if self.chunks is None else self.chunks)

    def to_datatree(self) -> xr.DataTree:
        """Return the lazy pyramid, whatever ``mpp`` and ``level`` say."""
        import xarray as xr

        whole = {"mpp": None, "level": None, "associated": None, "box_um": None}
        tree = self._open(chunks=self.chunks, **whole)
        assert isinstance(tree, xr.DataTree)
        return tree

    def local_path(self) -> str:
        """Return the path of the slide's verified file on this machine, downloading it whole if it is not there."""
        return str(self.collection.fetch(self.slide, storage_options=self.storage_options))

    def _seen(self) -> dict[str, Any]:
        return self.collection.known(self.slide)

    def _get_schema(self) -> Schema:
        import xarray as xr

        image = self._open(chunks=None)
        finest = image["scale0"].to_dataset() if isinstance(image, xr.DataTree) else image
        shown = finest["image"]
        levels = len(image.children) if isinstance(image, xr.DataTree) else 1
        return Schema(
            dtype=str(shown.dtype),
            shape=shown.shape,
            npartitions=1,
            extra_metadata={
                "dims": {str(dim): size for dim, size in finest.sizes.items()},
                "levels": levels,
                "mpp": shown.attrs.get("mpp", finest.attrs.get("mpp")),
            },
        )

    def _open(self, **changes: Any) -> xr.Dataset | xr.DataTree:
        view = {**self.view, **changes}
        return self.collection.open(self.slide, storage_options=self.storage_options or None, **view)

    def to_v2(self) -> CatalogV2:
        """Return an intake V2 catalog with this slide alone, viewed as it is here."""
        from intake_tcga.readers import SlideFile, SlideReader, catalog_of

        # What reaches the slide, and what is wanted of it, is of the same names in both.
        given = {**self._captured_init_kwargs, "slide": self.slide}
        given.pop("metadata", None)
        data = SlideFile(given.pop("slide"))
        return catalog_of({self._shown: SlideReader(data, metadata=self.metadata, **given)})

    @property
    def _shown(self) -> str:
        return redact(self.slide)

    def __repr__(self) -> str:
        chosen = ", ".join(
            f"{key}={value!r}"
            for key, value in self.view.items()
            if value not in (None, False) and (key, value) != ("method", "ranges")
        )
        return f"<tcga_slide {self._shown}{': ' if chosen else ''}{chosen}>"
