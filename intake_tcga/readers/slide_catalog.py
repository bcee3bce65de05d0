"""Slides of the GDC, as intake V2 catalogs that reopen by themselves."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar

from intake.readers.entry import Catalog

from intake_tcga.readers.catalog_reader import CatalogReader, catalog_of
from intake_tcga.readers.data import changed_options
from intake_tcga.readers.slide_data import SLIDE_OPTIONS, GdcSlides, SlideFile
from intake_tcga.readers.slide_reader import SlideReader

if TYPE_CHECKING:
    from intake_tcga.slides.collection import SlideCollection


class SlideCatalogReader(CatalogReader):
    """TCGA's whole-slide images at the GDC, as an intake V2 catalog.

    It is a mapping itself: ``list(reader)``, ``reader["TCGA-05-4244-01Z-00-DX1"]``. The GDC is asked at the first
    question; making a reader, or listing the catalog it is in, asks nobody.

    Parameters
    ----------
    data : GdcSlides or str, optional
        The slides, or the address of a mirror of the GDC.
    metadata : dict, optional
        Anything to keep with it.
    **options
        Those of :class:`GdcSlides`.

    Examples
    --------
    >>> SlideCatalogReader()
    <SlideCatalogReader: the slides of https://api.gdc.cancer.gov, not listed yet>
    """

    implements: ClassVar[set[type]] = {GdcSlides}
    data_type = GdcSlides

    def search(self, text: str | re.Pattern[str] | None = None, **facets: Any) -> Catalog:
        """Return the catalog of the slides that have a text in any field, and match every facet.

        Parameters
        ----------
        text : str or compiled pattern, optional
            Found in any field, whatever its case.
        **facets
            ``project="TCGA-LUAD"``, ``kind="diagnostic"``, …: a value, a list of values, a compiled pattern, or a
            function.

        Raises
        ------
        OptionError
            A facet does not exist; the message lists those that do.
        """
        return slides_to_v2(self.data.collection.search(text, **facets))

    def draw(
        self, n: int | None = None, seed: int | None = None, *, per: tuple[str, int] | None = None
    ) -> Catalog:
        """Return the catalog of slides drawn at random; always the same for the same seed.

        See :meth:`~intake_tcga.slides.collection.SlideCollection.draw`.
        """
        return slides_to_v2(self.data.collection.draw(n, seed, per=per))

    def _names(self) -> list[str]:
        return list(self.data.collection.names())

    def _find(self, name: str) -> str:
        return str(self.data.collection.find(name).file_name)

    def _made_of(self, names: Iterable[str] | None) -> Catalog:
        slides = self.data.collection
        return slides_to_v2(slides if names is None else slides.only(list(names)))

    def _what(self) -> str:
        return str(self.data.collection.summary)


def slides_to_v2(slides: SlideCollection, **options: Any) -> Catalog:
    """Return slides as an intake V2 catalog, which reopens by itself once it is saved.

    Slides answer to the names they are listed by, and to their file names. Each entry has what the GDC says of its
    slide as its metadata. A token is used as long as the catalog lives, and not saved, but for the name of its file.

    Parameters
    ----------
    slides : SlideCollection
        The slides; the GDC is asked for them if it was not yet. A catalog of some hundreds, searched or drawn, is
        quick; one of all thirty thousand takes some seconds, and some more to be saved.
    **options
        Options of :class:`SlideReader` for every entry: ``mpp``, ``level``, ``method``, ``chunks``, ….

    Raises
    ------
    OptionError
        An option does not exist; the message lists those that do.
    TransferError, ManifestError, IntegrityError
        The GDC's listing cannot be had.
    """
    from intake_tcga.slides.collection import SlideCollection
    from intake_tcga.slides.table import describe, one_line
    from intake_tcga.slides.token import Token

    how = changed_options(slides, SlideCollection(), SLIDE_OPTIONS)
    how |= {"token_file": file} if (file := Token.of(slides.token).file) else {}
    readers, keys = {}, {}
    for name, slide in zip(slides.names(), slides, strict=True):
        data = SlideFile(slide.file_name, **how).within(slides.alone(slide))
        metadata = {"description": one_line(slide), **describe(slide)}
        readers[name] = SlideReader(data, metadata=metadata, **options)
        keys[name] = slide.file_name
    return catalog_of(readers, keys=keys, metadata={"description": slides.summary})
