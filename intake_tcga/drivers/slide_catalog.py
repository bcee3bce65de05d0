"""Whole-slide images of the GDC, as an intake catalog."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from intake_tcga.drivers.listing import ListedEntry, ListingCatalog
from intake_tcga.drivers.options import given_of
from intake_tcga.drivers.slide_source import SLIDE_OPTIONS, SlideSource
from intake_tcga.errors import IntakeTcgaError, OptionError
from intake_tcga.name_lists import names_in
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
    files : str or sequence of str, optional
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
        files: str | Sequence[str] | None = None,
        **kwargs: Any,
    ) -> None:
        self._options = given_of(locals(), SLIDE_OPTIONS)
        self._manifest = manifest
        self._files = names_in("files", files, "file names of slides")
        self._found: dict[str, Slide] = {}
        if "token" in kwargs:
            raise OptionError(
                "A catalog has no option 'token', which it would be saved with; put the token in GDC_TOKEN, or name "
                "its file in token_file=."
            )
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
        self._found = {}
        if self._is_loaded and self._manifest is None and self._files is None:
            self.collection = self.collection.refresh()

    @property
    def _is_loaded(self) -> bool:
        return "collection" in vars(self) and self.collection.is_loaded

    def _names(self) -> list[str]:
        return self.collection.names()

    def _find(self, key: str) -> Slide:
        # Intake asks for an entry several times over, and one that is not listed is asked of the GDC.
        if key not in self._found:
            self._found[key] = self.collection.find(key)
        return self._found[key]

    def _make_entry(self, key: str) -> ListedEntry:
        from intake_tcga.slides.table import describe, one_line

        slide = self._find(key)
        return SlideEntry(
            self,
            key,
            source=SlideSource,
            description=one_line(slide),
            arguments={"slide": slide.file_name, **self._options},
            metadata=describe(slide),
        )

    def __dir__(self) -> list[str]:
        # Completing a name is no reason to ask the GDC for thirty thousand.
        return super().__dir__() if self._is_loaded else sorted(object.__dir__(self))

    def _ipython_key_completions_(self) -> list[str]:
        return list(self) if self._is_loaded else []

    # -- finding -------------------------------------------------------------------------------------------------

    @property
    def df(self) -> pd.DataFrame:
        """One row a slide: barcode, project, kind, sample type, site, case, size, ids and digest."""
        return self.collection.df

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
        return self._of(self.collection.search(text, **facets))

    def draw(
        self, n: int | None = None, seed: int | None = None, *, per: tuple[str, int] | None = None
    ) -> SlideCatalog:
        """Return the catalog of slides drawn at random; always the same for the same seed.

        See :meth:`~intake_tcga.slides.collection.SlideCollection.draw`.
        """
        return self._of(self.collection.draw(n, seed, per=per))

    def from_manifest(self, path: str | os.PathLike[str]) -> SlideCatalog:
        """Return the catalog of the slides that a manifest of the GDC names."""
        return self._remade(manifest=str(path), files=None)

    def to_manifest(self, path: str | os.PathLike[str]) -> Path:
        """Write the manifest of these slides, as gdc-client takes it; return its path."""
        return self.collection.to_manifest(path)

    def _narrowed(self, names: list[str]) -> SlideCatalog:
        return self._of(self.collection.only(names))

    def _of(self, slides: SlideCollection) -> SlideCatalog:
        narrowed = self._remade(files=[slide.file_name for slide in slides])
        narrowed.collection = slides  # listed already
        return narrowed

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

        return slides_to_v2(self.collection)

    def __repr__(self) -> str:
        try:
            return f"<tcga_slides catalog: {self.collection.summary}>"
        except IntakeTcgaError as error:  # of a manifest that cannot be read
            return f"<tcga_slides catalog: {error}>"

    def _repr_html_(self) -> str:
        try:
            return self.collection._repr_html_()
        except IntakeTcgaError as error:
            return f"<p>{escape(str(error))}</p>"


class SlideEntry(ListedEntry):
    """A catalog's entry of one slide."""

    @property
    def _slide(self) -> Slide:
        return self._catalog._find(self._name)  # type: ignore[no-any-return]

    def _share(self, source: SlideSource, user_parameters: Any) -> None:
        if not {"slide", *SLIDE_OPTIONS} & set(user_parameters):
            source.collection = self._catalog.collection.alone(self._slide)  # the GDC need not be asked again
