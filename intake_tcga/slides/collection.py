"""Slides of the GDC: searched, drawn, listed in manifests and opened. Every adapter is one call into this."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import InitVar, dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from intake_tcga.cache.store import VerifiedFileCache
from intake_tcga.errors import IntakeTcgaError, OfflineError, OptionError, TransferError
from intake_tcga.facts import file_facts, html_facts
from intake_tcga.option_names import check_option_names
from intake_tcga.sampling import draw, draw_per
from intake_tcga.slides import names
from intake_tcga.slides.endpoint import gdc_endpoint
from intake_tcga.slides.listing import Listing, ListingStore, load_listing
from intake_tcga.slides.manifest_tsv import read_manifest, write_manifest
from intake_tcga.slides.query import either, is_in
from intake_tcga.slides.renewal import renewed
from intake_tcga.slides.slide import Slide
from intake_tcga.slides.sources import SlideSource, looks_like_a_place
from intake_tcga.slides.table import COLUMNS, describe, html, search_slides, slide_table, text, total_size
from intake_tcga.slides.token import Token
from intake_tcga.tables import unique_values

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from intake_tcga.slides.query import Filters

_MOST_NAMED = 20

Access = Literal["open", "controlled", "any"]


@dataclass(frozen=True, repr=False)
class SlideCollection:
    """Slides of TCGA at the GDC, and how to reach them.

    A value that costs nothing to make and pickles: the GDC is asked when a slide is first needed, and its answer is
    kept beside the cache, by data release. What is searched or drawn is a collection again.

    Examples
    --------
    >>> from intake_tcga.slides.slide import Slide
    >>> slides = SlideCollection(
    ...     chosen=tuple(
    ...         Slide(
    ...             file_id=f"3b6a3f5e-8a4c-4c53-9a52-00000000000{n}",
    ...             file_name=f"TCGA-EY-A1H{n}-01Z-00-DX1.BDA2E1F5.svs",
    ...             size=74_480_157,
    ...             md5=f"d41d8cd98f00b204e9800998ecf8427{n}",
    ...             project="TCGA-UCEC" if n < 5 else "TCGA-LUAD",
    ...         )
    ...         for n in range(8)
    ...     )
    ... )
    >>> slides
    <SlideCollection of 8 slides, 596 MB, 2 projects>
    >>> luad = slides.search(project="TCGA-LUAD", kind="diagnostic")
    >>> [slide.barcode for slide in luad.draw(2, seed=42)]
    ['TCGA-EY-A1H6-01Z-00-DX1', 'TCGA-EY-A1H5-01Z-00-DX1']
    >>> slides["TCGA-EY-A1H3-01Z-00-DX1"].project
    'TCGA-UCEC'
    """

    endpoint: str | None = None
    """Address of a mirror of the GDC; None follows ``INTAKE_TCGA_GDC_URL``, else is the GDC itself."""

    token: Token | str | None = field(default=None, compare=False)
    """The GDC's token for controlled slides; None follows ``GDC_TOKEN`` and ``GDC_TOKEN_FILE``. Never shown."""

    token_file: InitVar[str | os.PathLike[str] | None] = None
    """File that holds the token."""

    access: Access = "open"
    """Which slides of the listing: ``open``, ``controlled`` (readable with a token) or ``any``."""

    offline: bool | str | None = None
    """Never open a socket. None follows ``INTAKE_TCGA_OFFLINE``."""

    cache_storage: str | Sequence[str] | None = None
    """The cache's folder, or read-only folders followed by the writable one. None follows the environment."""

    verify: Literal["stamp", "always"] = "stamp"
    """Hash a cached file when it changed since it was verified (``stamp``), or at every opening (``always``)."""

    progress: bool | None = None
    """Show progress; None shows it on a terminal or in a notebook."""

    chosen: tuple[Slide, ...] | None = None
    """The slides of this collection; None are all that the GDC lists."""

    manifest: tuple[Slide, ...] | None = None
    """The lines of the manifest that this collection was read from, as they are there."""

    wanted: tuple[str, ...] | None = None
    """Names of the slides of this collection, where they were not looked up yet."""

    def __post_init__(self, token_file: str | os.PathLike[str] | None) -> None:
        object.__setattr__(self, "token", Token.of(self.token, token_file))  # frozen: set once, here
        if self.access not in ("open", "controlled", "any"):
            raise OptionError(f"access={self.access!r} is not an option; use 'open', 'controlled' or 'any'.")
        gdc_endpoint(self.endpoint)

    @classmethod
    def of(cls, **options: Any) -> SlideCollection:
        """Make a collection; an option that does not exist is an error that names those that do."""
        known = [
            *(one.name for one in fields(cls) if one.name not in {"chosen", "manifest", "wanted"}),
            "token_file",
        ]
        check_option_names(options, known)
        return cls(**options)

    def __getstate__(self) -> dict[str, Any]:
        # Where the cache is, is another machine's own affair; what the GDC said is not.
        derived = {"cache", "_names"}
        return {name: value for name, value in self.__dict__.items() if name not in derived}

    # -- what there is ------------------------------------------------------------------------------------------------

    @cached_property
    def cache(self) -> VerifiedFileCache:
        """The verified cache under this collection."""
        return VerifiedFileCache.at(
            self.cache_storage, verify=self.verify, offline=self.offline, progress=self.progress
        )

    @property
    def address(self) -> str:
        """The GDC's address that is used."""
        return gdc_endpoint(self.endpoint)

    @cached_property
    def slides(self) -> tuple[Slide, ...]:
        """The slides, in the order of their ids, or as they were drawn, or as the manifest has them.

        Raises
        ------
        ManifestError, IntegrityError, OfflineError, TransferError
            As for :func:`~intake_tcga.slides.listing.load_listing`; slides that were searched, drawn or read from a
            manifest are there already.
        """
        if self.chosen is not None:
            return self.chosen
        if self.manifest is not None:
            return self._of_manifest(self.manifest)
        if self.wanted is not None:
            return names.find_slides(self.wanted, self.address, self.cache)
        return self._accessible(self.load())

    def load(self, *, refresh: bool = False) -> Listing:
        """Return all slides that the GDC lists; ``refresh=True`` asks for them even where a kept listing would do."""
        return load_listing(self.address, self.cache, refresh=refresh)

    def refresh(self) -> SlideCollection:
        """Ask the GDC for all its slides again, and return them as a new collection."""
        listing = self.load(refresh=True)
        fresh = replace(self, chosen=None, manifest=None, wanted=None)
        fresh.__dict__["slides"] = self._accessible(listing)
        return fresh

    @property
    def releases(self) -> tuple[str, ...]:
        """The GDC's data releases that list these slides: one, or none where only a manifest names them."""
        return tuple(dict.fromkeys(slide.data_release for slide in self.slides if slide.data_release))

    def _accessible(self, listing: Listing) -> tuple[Slide, ...]:
        return tuple(slide for slide in listing.slides if self.access in {"any", slide.access or "open"})

    # -- a choice of them ---------------------------------------------------------------------------------------------

    def search(self, text: str | re.Pattern[str] | None = None, **facets: Any) -> SlideCollection:
        """Return the slides that have a text in any field, and match every facet.

        Parameters
        ----------
        text
            Part of any field but size and digest, whatever its case, or a compiled regular expression.
        **facets
            ``project="TCGA-LUAD"``, ``kind="diagnostic"`` or ``"tissue"``, ``sample_type="Primary Tumor"``,
            ``primary_site=``, ``disease_type=``, ``case=``, ``barcode=``, ``size=``, …: a value (texts in any case), a
            list of values, a compiled regular expression, a comparison (``"< 1e9"``, ``("<", 1e9)``), a range
            (``(1e8, 1e9)``, ``"1e8..1e9"``), or a function of the field's value.

        Raises
        ------
        OptionError
            A facet or a kind that does not exist (the message lists those that do), or a function that failed.
        """
        return self._with(search_slides(self.slides, text, **facets))

    def draw(
        self, n: int | None = None, seed: int | None = None, *, per: tuple[str, int] | None = None
    ) -> SlideCollection:
        """Draw slides at random: the same ones for the same seed, in whatever order the GDC lists them.

        Each slide gets its rank from the seed and its own id, so slides that a release adds or takes away change
        nothing for the others, and a smaller draw is the beginning of a larger one.

        Parameters
        ----------
        n : int, optional
            How many; with ``per`` how many of those that were drawn of each group.
        seed : int
            Another seed, another draw.
        per : (str, int), optional
            A field and a number: ``("project", 10)`` draws ten slides of each project, or all where there are fewer.

        Raises
        ------
        OptionError
            There are fewer slides than asked for; ``seed`` is missing; neither ``n`` nor ``per`` is given; or there is
            no such field.
        """
        if seed is None or (n is None and per is None):
            raise OptionError(
                "A draw needs a number and a seed: draw(100, seed=42), or draw(seed=42, per=('project', 10))."
            )
        slides = self.slides
        if per is not None:
            column, count = _checked_per(per)
            groups = [str(getattr(slide, column)) for slide in slides]
            slides = tuple(slides[i] for i in draw_per(_ids(slides), groups, count, seed=seed))
        if n is not None:
            slides = tuple(slides[i] for i in draw(_ids(slides), n, seed=seed))
        return self._with(slides)

    def alone(self, slide: Slide) -> SlideCollection:
        """Return the collection of one slide that is known already, reached as this collection's are."""
        return self._with((slide,))

    def _with(self, slides: tuple[Slide, ...]) -> SlideCollection:
        return replace(self, chosen=slides, manifest=None, wanted=None)

    def only(self, file_names: Sequence[str]) -> SlideCollection:
        """Return the slides of these files, in this order.

        Where none are listed yet, they are asked for when they are first needed, and no others.

        Raises
        ------
        NameNotFoundError
            One is not in this collection; or, when they are asked for, not at the GDC.
        """
        if self.is_listed:
            return self._with(tuple(self[name] for name in file_names))
        return replace(self, wanted=tuple(file_names))

    # -- manifests ----------------------------------------------------------------------------------------------------

    def from_manifest(self, path: str | os.PathLike[str]) -> SlideCollection:
        """Return the slides that a manifest of the GDC names, in its order, reached as this collection's are.

        The manifest is read and checked at once. What the GDC lists of its slides is asked for when they are first
        needed: their projects and sites, and the present ids of those that a release has renewed, which are told by
        their file names, with a warning. Where the GDC cannot be asked, the manifest alone counts.

        Parameters
        ----------
        path : path or str
            The manifest's TSV (``id filename md5 size state``), or any URL of one that fsspec opens.

        Raises
        ------
        ManifestError
            It cannot be used; the message lists every problem found in it.
        MissingFileError, TransferError
            It cannot be read.
        """
        lines = read_manifest(path, offline=self.cache.offline)
        return replace(self, chosen=None, manifest=lines, wanted=None)

    def to_manifest(self, path: str | os.PathLike[str]) -> Path:
        """Write the manifest of these slides, as gdc-client takes it; return its path.

        Raises
        ------
        OptionError
            It cannot be written there.
        """
        return write_manifest(self.slides, path)

    def _of_manifest(self, lines: tuple[Slide, ...]) -> tuple[Slide, ...]:
        try:
            listing = load_listing(self.address, self.cache, only=_named_in(lines))
        except OfflineError:
            return lines
        except TransferError as error:
            warnings.warn(
                "The GDC cannot be asked about the manifest's slides, so they are as the manifest has them: without "
                f"projects and sites, and ids that a release renewed are not found. Reason: {error}",
                stacklevel=2,
            )
            return lines
        return renewed(lines, listing)

    # -- one of them --------------------------------------------------------------------------------------------------

    def __getitem__(self, name: str) -> Slide:
        """Return the slide of a barcode, a file name or a file id.

        Raises
        ------
        NameNotFoundError
            There is none in this collection; the message names the nearest.
        AmbiguousNameError
            A barcode that several files have.
        """
        return names.find(name, self._names, "this collection")

    def find(self, name: str) -> Slide:
        """Return a slide as ``[name]`` does; where none are listed yet, it is asked for alone, which costs less."""
        return self[name] if self.is_listed else names.find_slide(name, self.address, self.cache)

    def open(self, name: str, **view: Any) -> xr.DataTree | xr.Dataset:
        """Open a slide lazily: its pyramid, one level, or an image of exactly the µm/px that is asked for.

        Parameters
        ----------
        name : str
            Barcode, file name or file id.
        **view
            ``mpp=``, ``level=``, ``box_um=``, ``method=``, … of :func:`~intake_tcga.slides.opening.open_slide`, whose
            results and errors these are.
        """
        from intake_tcga.slides.opening import open_slide

        return open_slide(self._named(name), **self.reached, **view)

    def fetch(self, name: str, *, storage_options: Mapping[str, Any] | None = None) -> Path:
        """Return the path of a slide's whole verified file, downloading it if it is not in the cache.

        Parameters
        ----------
        name : str
            As for :meth:`open`.
        storage_options : mapping, optional
            Options of fsspec, for a URL.

        Raises
        ------
        NameNotFoundError, AmbiguousNameError
            As for ``[name]``.
        TransferError, IntegrityError, CacheError, OfflineError
            It could not be fetched.
        """
        from intake_tcga.slides.opening import find_source

        source = find_source(self._named(name), storage_options=storage_options, **self.reached)
        local, _ = source.downloaded()
        return Path(local.url)

    def known(self, name: str | os.PathLike[str]) -> dict[str, Any]:
        """Return what is known of a slide, and whether it is here; asks nobody, and opens no file.

        Parameters
        ----------
        name : str
            As for :meth:`open`. Of a slide of the GDC nothing is known before this collection is listed.
        """
        if looks_like_a_place(name):
            place = os.fspath(name)
            return file_facts(place) or {"cached": SlideSource.local_or_url(place, self.cache).is_cached}
        if not self.is_loaded or name not in self:
            return {}
        slide = self[str(name)]
        where = SlideSource(slide.file_name, slide.data_url(self.address), self.cache, slide, self.address)
        return {**describe(slide), "cached": where.is_cached}

    def _named(self, name: Slide | str | os.PathLike[str]) -> Slide | str | os.PathLike[str]:
        if isinstance(name, Slide):
            return name
        return name if looks_like_a_place(name) else self.find(str(name))

    @property
    def reached(self) -> dict[str, Any]:
        """How slides are reached, for functions of one slide or many."""
        return {"cache": self.cache, "token": self.token, "endpoint": self.address}

    # -- all of them --------------------------------------------------------------------------------------------------

    def save_images(self, out: str | os.PathLike[str], *, mpp: float, **options: Any) -> pd.DataFrame:
        """Save an image of each slide at exactly one µm/px; return the index.

        Parameters
        ----------
        out : path
            Folder of the images, and of their ``index.csv``.
        mpp : float
            µm/px.
        **options
            ``format=``, ``workers=``, ``method=``, … of :func:`~intake_tcga.slides.images.save_images`, whose errors
            these are.
        """
        from intake_tcga.slides.images import save_images

        return save_images(
            self.slides, out, mpp=mpp, **{"progress": self.progress, **self.reached, **options}
        )

    def contact_sheet(self, path: str | os.PathLike[str], *, mpp: float = 64.0, **options: Any) -> Path:
        """Draw all slides on one sheet, each at the same µm/px; return its path.

        Parameters
        ----------
        path : path
            The sheet: ``.png``, ``.jpg``, ``.tif`` or ``.pdf``.
        mpp : float
            µm/px of every slide on it.
        **options
            ``columns=``, ``workers=``, … of :func:`~intake_tcga.slides.contact_sheet.contact_sheet`, whose errors
            these are.
        """
        from intake_tcga.slides.contact_sheet import contact_sheet

        return contact_sheet(
            self.slides, path, mpp=mpp, **{"progress": self.progress, **self.reached, **options}
        )

    def __contains__(self, name: object) -> bool:
        if isinstance(name, Slide):
            return name in self._names.get(name.file_id, ())
        return isinstance(name, str) and name.strip().lower() in self._names

    def __iter__(self) -> Iterator[Slide]:
        return iter(self.slides)

    def __len__(self) -> int:
        return len(self.slides)

    def __bool__(self) -> bool:
        return True  # a collection is never nothing; its length would ask the GDC

    @cached_property
    def _names(self) -> Mapping[str, tuple[Slide, ...]]:
        return names.index(self.slides)

    # -- as a table ---------------------------------------------------------------------------------------------------

    @property
    def df(self) -> pd.DataFrame:
        """One row a slide: barcode, project, kind, sample type, site, case, ``size`` in bytes, ids and digest."""
        return slide_table(self.slides)

    def unique(self, column: str | None = None) -> Any:
        """Return the distinct values of a column of :attr:`df`, sorted; of None, a dict of all columns.

        Raises
        ------
        OptionError
            There is no such column; the message lists those there are.
        """
        return unique_values(self.df, column)

    def text(self, *, width: int | None = None) -> str:
        """Return the first slides as a table for a terminal."""
        return text(self.slides, width=width)

    def names(self) -> list[str]:
        """List the slides by barcode, by file name where several have one barcode."""
        return names.listed(self.slides)

    @property
    def is_listed(self) -> bool:
        """Whether it is known which slides these are, if not all that the GDC says of them."""
        return self.is_loaded or self.manifest is not None or self.wanted is not None

    @property
    def is_loaded(self) -> bool:
        """Whether the slides are known already, so that nothing need be asked of the GDC."""
        return self.chosen is not None or "slides" in self.__dict__

    @property
    def summary(self) -> str:
        """One line that says which slides these are; nothing is asked for it."""
        if not self.is_loaded:
            if self.manifest is not None:
                return f"{_count(len(self.manifest), 'slide')} of a manifest, {total_size(self.manifest)}"
            if self.wanted is not None:
                return f"{_count(len(self.wanted), 'slide')} of {self.address}, not asked for yet"
            return f"the slides of {self.address}, not listed yet"
        projects = {slide.project for slide in self.slides if slide.project}
        parts = [_count(len(self.slides), "slide"), total_size(self.slides), _count(len(projects), "project")]
        return ", ".join([*parts, *self.releases])

    def __repr__(self) -> str:
        return f"<SlideCollection of {self.summary}>"

    def _repr_html_(self) -> str:
        from html import escape

        if self.is_loaded or self.manifest is not None:  # whose lines are slides, too
            shown = self.slides if self.is_loaded else self.manifest
            return f"<p>{escape(self.summary)}</p>{html(shown) if shown else ''}"
        return html_facts(self.summary, self._unlisted())

    def _unlisted(self) -> dict[str, Any]:
        """Return what can be said of slides that nobody was asked for yet."""
        try:
            roots, offline = (self.cache.root, *self.cache.read_only), bool(self.cache.offline)
        except IntakeTcgaError as error:  # a notebook's display is no place for a traceback
            return {"problem": str(error)}
        wanted = self.wanted or ()
        more = [f"{len(wanted) - _MOST_NAMED:,} more"] if len(wanted) > _MOST_NAMED else []
        return {
            "slides": [*wanted[:_MOST_NAMED], *more] or None,
            "access": self.access,
            "offline": offline,
            "listing kept": ListingStore(self.address, roots).has_any,
            "lists them": "search(), draw(), names(), df",
        }


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' * (number != 1)}"


def _ids(slides: Sequence[Slide]) -> list[str]:
    return [slide.file_id for slide in slides]


def _checked_per(per: object) -> tuple[str, int]:
    if not isinstance(per, tuple | list) or len(per) != 2 or per[0] not in COLUMNS:
        raise OptionError(
            f"per={per!r} does not say what to draw of what; give a field and a number, such as ('project', 10). "
            f"Fields: {', '.join(COLUMNS)}."
        )
    return per[0], per[1]


def _named_in(lines: Sequence[Slide]) -> Filters | None:
    """Return the filter for the slides that a manifest may mean; None where the whole listing costs less."""
    if len(lines) > names.MOST_ASKED_BY_NAME:
        return None
    return either(
        is_in("file_id", *(line.file_id for line in lines)),
        is_in("file_name", *(line.file_name for line in lines)),
    )
