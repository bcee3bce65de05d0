"""Whole-slide images, and the list of the GDC's, as intake V2 data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from intake.readers.datatypes import TIFF, BaseData

from intake_tcga.name_lists import names_in
from intake_tcga.readers.data import OfCollection, filled_in

SLIDE_OPTIONS = ("endpoint", "token_file", "access", "offline", "cache_storage", "verify", "progress")
"""Arguments that all data of slides take: how the GDC is reached."""


class _OfSlides(OfCollection):
    """How slides are reached."""

    options = SLIDE_OPTIONS

    def _make_collection(self, options: dict[str, Any]) -> Any:
        from intake_tcga.slides.collection import SlideCollection

        return SlideCollection.of(**options)


class SlideFile(_OfSlides, TIFF):  # type: ignore[misc]
    """One whole-slide image: of the GDC, on disk, or anywhere else.

    ``intake.recommend(url)`` names this type for a file name that ends in ``.svs``, and first for an Aperio slide
    that is known by its content. A token is no argument: it is read from ``GDC_TOKEN`` or a file, so that no catalog
    holds one.

    Parameters
    ----------
    url : str
        Barcode, file name or file id at the GDC; a path; or any URL that fsspec opens.
    storage_options : dict, optional
        Options of fsspec, for a slide that is not the GDC's; credentials as in :class:`CohortManifest`.
    metadata : dict, optional
        Anything to keep with it.
    **options
        ``endpoint``, ``token_file``, ``access``, ``offline``, ``cache_storage``, ``verify``, ``progress``, as in
        :class:`~intake_tcga.slides.collection.SlideCollection`.

    Examples
    --------
    >>> import intake
    >>> intake.recommend(sample_slide, head=False)[0].__name__
    'SlideFile'
    >>> SlideFile("TCGA-05-4244-01Z-00-DX1").to_reader(mpp=15.0)
    <SlideReader: TCGA-05-4244-01Z-00-DX1: mpp=15.0>
    """

    fields = ("url", "storage_options", *SLIDE_OPTIONS)
    structure: ClassVar[set[str]] = {"array", "image", "hierarchy"}
    mimetypes = ""
    filepattern = r"^.*\.svs$"  # from the start: intake prefers what matches earliest
    magic: ClassVar[set[Any]] = {(None, rb"\A(?:II[*+]\0|MM\0[*+])[\s\S]*?Aperio ")}


class GdcSlides(_OfSlides, BaseData):  # type: ignore[misc]
    """TCGA's whole-slide images at the GDC, all or some.

    Parameters
    ----------
    endpoint : str, optional
        Address of a mirror of the GDC.
    manifest : str, optional
        Path or URL of a manifest of the GDC: its slides instead of all.
    files : str or sequence of str, optional
        File names of the slides to list; None lists all.
    metadata : dict, optional
        Anything to keep with it.
    **options
        The further ones of :class:`SlideFile`.

    Examples
    --------
    >>> GdcSlides(offline=True).to_reader()
    <SlideCatalogReader: the slides of https://api.gdc.cancer.gov, not listed yet>
    """

    fields = (*SLIDE_OPTIONS, "manifest", "files")
    structure: ClassVar[set[str]] = {"catalog"}

    def __init__(
        self,
        endpoint: str | None = None,
        manifest: str | None = None,
        files: str | Sequence[str] | None = None,
        metadata: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        wanted = names_in("files", files, "file names of slides")
        self._take(metadata, options, endpoint=endpoint, manifest=manifest, files=wanted and list(wanted))

    def _make_collection(self, options: dict[str, Any]) -> Any:
        from intake_tcga.slides.access import open_slides

        slides = open_slides(filled_in(self._given.get("manifest")), **options)
        files = self._given.get("files")
        return slides if files is None else slides.only(files)
