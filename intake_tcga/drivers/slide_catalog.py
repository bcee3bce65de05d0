"""Whole-slide images of the GDC, as an intake catalog."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from intake_tcga.drivers.listing import ListedEntry, ListingCatalog
from intake_tcga.drivers.slide_source import SlideSource
from intake_tcga.slides.access import open_slides
from intake_tcga.slides.collection import SlideCollection
from intake_tcga.slides.slide import Slide

if TYPE_CHECKING:
    import pandas as pd
    from intake.readers.entry import Catalog as CatalogV2


class SlideCatalog(ListingCatalog):
    """TCGA's whole-slide images at the GDC as an intake catalog.

    Making one asks nobody; the GDC is asked for its slides when an entry or the list of them is first needed, and
    its answer is kept for each data release. Entries are listed by barcode (by file name where several files have
    one), and answer to barcode, file name and file id.

    Parameters
    ----------
    endpoint, token_file, access, offline, cache_storage, verify, progress
        As in :class:`~intake_tcga.slides.collection.SlideCollection`. A token itself is no option: it is read from
        ``GDC_TOKEN`` or a file, so that no catalog holds one.
    manifest : str, optional
        Path or URL of a manifest of the GDC: its slides instead of all.
    files : sequence of str, optional
        File names of the slides to show; None shows all. :meth:`search` and :meth:`draw` set it.
    **kwargs
        Of :class:`intake.catalog.Catalog`: ``name``, ``description``, ``metadata``, …

    Examples
    --------
    >>> import intake
    >>> intake.open_tcga_slides()
    <tcga_slides catalog: the slides of https://api.gdc.cancer.gov, not listed yet>
    """

    name = "tcga_slides"
    driver = "tcga_slides"
    positional = ("endpoint",)

    def __init__(
        self,
        endpoint: str | None = None,
        token_file: str | None = None,
        access: str = "open",
        offline: bool | str | None = None,
        cache_storage: str | Sequence[str] | None = None,
        verify: str = "stamp",
        progress: bool | None = None,
        manifest: str | None = None,
        files: Sequence[str] | None = None,
        **kwargs: Any,
    ) -> None:
        options = {
            "endpoint": endpoint,
            "token_file": token_file,
            "access": access,
            "offline": offline,
            "cache_storage": cache_storage,
            "verify": verify,
            "progress": progress,
        }
        self._options = {name: value for name, value in options.items() if value is not None}
        self._manifest = manifest
        self._files = None if files is None else tuple(files)
        SlideCollection.of(**self._options, **self.not_intakes_own(kwargs))
        super().__init__(**{"name": None, **kwargs})

    @cached_property
    def collection(self) -> SlideCollection:
        """The slides, as every other way to them sees them."""
        slides = open_slides(self._manifest, **self._options)
        return slides if self._files is None else slides.only(self._files)

    # -- entries -------------------------------------------------------------------------------------------------

    def force_reload(self) -> None:
        """Ask the GDC for its slides again, if they were asked for before: making a catalog calls this too."""
        if "collection" in vars(self) and self.collection.is_loaded and self._files is None:
            self.collection = self.collection.refresh()

    def _names(self) -> list[str]:
        times = Counter(slide.barcode for slide in self.collection)
        return [slide.barcode if times[slide.barcode] == 1 else slide.file_name for slide in self.collection]

    def _find(self, key: str) -> Slide:
        return self.collection[key]

    def _make_entry(self, key: str) -> ListedEntry:
        from intake_tcga.slides.table import describe

        slide = self._find(key)
        what = ", ".join(filter(None, (slide.project, slide.kind, slide.sample_type)))
        return SlideEntry(
            self,
            key,
            source=SlideSource,
            description=f"Whole-slide image: {what}" if what else "Whole-slide image",
            arguments={"slide": slide.file_name, **self._options},
            metadata=describe(slide),
        )

    # -- finding -------------------------------------------------------------------------------------------------

    @property
    def df(self) -> pd.DataFrame:
        """One row a slide: barcode, project, kind, sample type, site, case, size, ids and digest."""
        return self.collection.df

    def unique(self, column: str | None = None) -> Any:
        """Return the distinct values of a column of :attr:`df`, or of all columns in a dict."""
        return self.collection.unique(column)

    def search(
        self, text: str | re.Pattern[str] | None = None, depth: int = 2, **facets: Any
    ) -> SlideCatalog:
        """Return the catalog of the slides that match.

        Parameters
        ----------
        text : str or compiled pattern, optional
            Found in any field, whatever its case.
        depth : int
            Of intake's own signature; a catalog of slides has one level.
        **facets
            A column of :attr:`df` with a value, a list of values, a compiled regular expression, or a function:
            ``search(project="TCGA-LUAD", kind="diagnostic")``.

        Raises
        ------
        OptionError
            A facet does not exist; the message lists those that do.
        """
        return self._narrowed(self.collection.search(text, **facets))

    def draw(
        self, n: int | None = None, seed: int | None = None, *, per: tuple[str, int] | None = None
    ) -> SlideCatalog:
        """Return the catalog of slides drawn at random; always the same for the same seed.

        See :meth:`~intake_tcga.slides.collection.SlideCollection.draw`.
        """
        return self._narrowed(self.collection.draw(n, seed, per=per))

    def from_manifest(self, path: str | os.PathLike[str]) -> SlideCatalog:
        """Return the catalog of the slides that a manifest of the GDC names."""
        return self._remade(manifest=str(path), files=None)

    def to_manifest(self, path: str | os.PathLike[str]) -> Path:
        """Write the manifest of these slides, as gdc-client takes it; return its path."""
        return self.collection.to_manifest(path)

    def _narrowed(self, slides: SlideCollection) -> SlideCatalog:
        narrowed = self._remade(files=[slide.file_name for slide in slides])
        narrowed.collection = slides  # listed already
        return narrowed

    def _remade(self, **changes: Any) -> SlideCatalog:
        return type(self)(*self._captured_init_args, **{**self._captured_init_kwargs, **changes})

    # -- acting --------------------------------------------------------------------------------------------------

    def save_images(self, out: str | os.PathLike[str], *, mpp: float, **options: Any) -> pd.DataFrame:
        """Save an image of each slide at exactly one µm/px; return the index.

        See :func:`~intake_tcga.slides.images.save_images` for the options, and for how failures are told.
        """
        return self.collection.save_images(out, mpp=mpp, **options)

    def contact_sheet(self, path: str | os.PathLike[str], *, mpp: float = 64.0, **options: Any) -> Path:
        """Draw all slides on one sheet, each at the same µm/px; return its path.

        See :func:`~intake_tcga.slides.contact_sheet.contact_sheet`.
        """
        return self.collection.contact_sheet(path, mpp=mpp, **options)

    def to_v2(self) -> CatalogV2:
        """Return an intake V2 catalog of the same slides; saved, it reopens by itself."""
        from intake_tcga.readers import slides_to_v2

        return slides_to_v2(self.collection, options=self._options)

    def __repr__(self) -> str:
        return f"<tcga_slides catalog: {self.collection.summary}>"

    def _repr_html_(self) -> str:
        return self.collection._repr_html_()


class SlideEntry(ListedEntry):
    """A catalog's entry of one slide."""

    def _share(self, source: SlideSource, user_parameters: Any) -> None:
        if not set(user_parameters) & set(self._catalog._options):
            source.collection = self._catalog.collection  # listed already
