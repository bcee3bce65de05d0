"""What the page shows: collections as shelves of entries, each told before anything of it is fetched."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import xarray as xr

from intake_tcga.archs4.collection import Archs4Collection
from intake_tcga.cohorts.collection import CohortCollection
from intake_tcga.cohorts.sample import catalogs_folder, sample_collection
from intake_tcga.errors import IntakeTcgaError, NameNotFoundError, OptionError
from intake_tcga.slides.collection import SlideCollection
from intake_tcga.tables import human_size

Data = xr.Dataset | xr.DataTree


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """One thing to look at."""

    name: str

    about: Mapping[str, object]
    """What is known of it, by field."""

    open: Callable[[], Data]
    """Open it, lazily."""

    cost: str = ""
    """What opening it fetches, for people; empty where nothing is fetched."""


class Shelf(Protocol):
    """A collection of entries."""

    @property
    def label(self) -> str:
        """What people call it."""

    def names(self, text: str = "") -> list[str]:
        """List its entries, or those that have a text in what is known of them."""

    def entry(self, name: str) -> Entry:
        """Return one of its entries; opens nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class CohortShelf:
    """The cohorts of a manifest."""

    label: str
    collection: CohortCollection
    only: Iterable[str] | None = None
    """The names that a narrowed catalog has; it may have to be read for them."""

    def names(self, text: str = "") -> list[str]:
        """List the cohorts that have a text in any field."""
        manifest = self.collection.manifest
        found = {cohort.name for cohort in self.collection.search(text or None)}
        allowed = None if self.only is None else set(self.only)
        return [
            key
            for key in manifest.keys()  # noqa: SIM118 - a method of the manifest
            if manifest.find(key).name in found and (allowed is None or key in allowed)
        ]

    def entry(self, name: str) -> Entry:
        """Return a cohort as the manifest has it."""
        from intake_tcga.cohorts.table import cohort_row

        cohort = self.collection.cohort(name)
        here = self.collection.is_cached(cohort)
        about = cohort_row(self.collection.manifest, cohort, cached=here)
        cost = "" if here else f"{human_size(cohort.size)} to download"
        return Entry(name, about, lambda: self.collection.open(name), cost)


@dataclass(frozen=True, slots=True, eq=False)
class Archs4Shelf:
    """The files of ARCHS4."""

    label: str
    collection: Archs4Collection
    only: Iterable[str] | None = None
    """The names that a narrowed catalog has; it may have to be read for them."""

    def names(self, text: str = "") -> list[str]:
        """List the files that have a text in any field."""
        allowed = None if self.only is None else set(self.only)
        return [name for name in self.collection.search(text or None) if allowed is None or name in allowed]

    def entry(self, name: str) -> Entry:
        """Return a file as it was published."""
        release = self.collection.release(name)
        table = self.collection.table()
        row = table[table["name"] == release.name].iloc[0]
        about = {str(field): value for field, value in row.items()}
        cost = "" if about.get("cached") else "what is looked at is read over the network"
        return Entry(name, about, lambda: self.collection.open(name), cost)


@dataclass(frozen=True, slots=True, eq=False)
class SlideShelf:
    """Slides of the GDC."""

    label: str
    collection: SlideCollection

    def names(self, text: str = "") -> list[str]:
        """List the slides that have a text in any field."""
        found = self.collection.search(text) if text else self.collection
        return [slide.file_name for slide in found]

    def entry(self, name: str) -> Entry:
        """Return a slide as the GDC describes it."""
        from intake_tcga.slides.table import describe

        slide = self.collection[name]
        cost = f"of its {human_size(slide.size)} what is looked at is read over the network"
        return Entry(
            name, {"name": slide.barcode, **describe(slide)}, lambda: self.collection.open(name), cost
        )


@dataclass(frozen=True, slots=True, eq=False)
class ListShelf:
    """Entries that are known one by one."""

    label: str
    entries: Mapping[str, Callable[[], Entry]] = field(repr=False)
    """By name what makes them: whether a file is cached is told as it is now."""

    def names(self, text: str = "") -> list[str]:
        """List the entries that have a text in their name or fields."""
        wanted = text.casefold()
        return [
            name
            for name, made in self.entries.items()
            if not wanted or wanted in f"{name} {made().about}".casefold()
        ]

    def entry(self, name: str) -> Entry:
        """Return the entry of this name."""
        if name not in self.entries:
            raise NameNotFoundError(f"There is no {name!r}; there are {', '.join(self.entries)}.")
        return self.entries[name]()


def shelves_of(data: Any = None, *, offline: bool | str | None = None) -> list[Shelf]:
    """Return what there is to browse; reads nothing.

    Parameters
    ----------
    data : optional
        A catalog, a collection, a Dataset or DataTree; None: the offline sample, both bundles of cohorts, ARCHS4 and
        the slides of the GDC.
    offline : bool or str, optional
        Never open a socket; for None as ``data``.

    Raises
    ------
    OptionError
        It is nothing that can be browsed.

    Examples
    --------
    >>> [shelf.label for shelf in shelves_of()]
    ['Offline sample', 'miRNA cohorts', 'RNA-seq cohorts', 'ARCHS4', 'Slides of the GDC']
    >>> shelves_of()[0].names("lung")
    ['GTEx lung (ARCHS4 layout)']
    """
    if data is None:
        return [
            sample_shelf(),
            CohortShelf("miRNA cohorts", CohortCollection("mirna", offline=offline)),
            CohortShelf("RNA-seq cohorts", CohortCollection("rnaseq", offline=offline)),
            Archs4Shelf("ARCHS4", Archs4Collection(offline=offline)),
            SlideShelf("Slides of the GDC", SlideCollection(offline=offline)),
        ]
    if isinstance(data, xr.Dataset | xr.DataTree):
        return [_listed("This Dataset", [_opened(data)])]
    if (shelf := _shelf_of_one(data)) is not None:
        return [shelf]
    if getattr(data, "container", None) == "catalog":
        return _shelves_of_catalog(data)
    raise OptionError(
        f"A {type(data).__name__} cannot be browsed; give a catalog, a collection, a Dataset, or nothing at all."
    )


def sample_shelf() -> Shelf:
    """Return the data that travel with the package: a cohort, an expression file, a slide."""
    from intake_tcga.archs4.access import open_archs4
    from intake_tcga.slides.opening import open_slide

    folder = catalogs_folder() / "sample"
    cohorts = sample_collection()
    lung, slide = folder / "gtex_lung.h5", folder / "CMU-1-Small-Region.svs"

    def cohort() -> Data:
        return cohorts.open("PRAD")

    return _listed(
        "Offline sample",
        [
            Entry("PRAD", {**CohortShelf("", cohorts).entry("PRAD").about, "cached": True}, cohort),
            Entry(
                "GTEx lung (ARCHS4 layout)",
                {
                    "what": "raw gene counts of 30 lung samples × 818 genes of chromosome 21",
                    "layout": "that of ARCHS4's v2.5 files",
                    "origin": "GTEx V8, GENCODE v26; open access",
                    "file": lung.name,
                },
                lambda: open_archs4(lung, offline=True),
            ),
            Entry(
                "CMU-1-Small-Region",
                {
                    "what": "an Aperio slide, 2,220 × 2,967 pixels at 0.499 µm/px",
                    "origin": "OpenSlide's test data, CC0",
                    "file": slide.name,
                },
                lambda: open_slide(slide, offline=True),
            ),
        ],
    )


def _shelf_of_one(data: Any, label: str | None = None) -> Shelf | None:
    """Return the shelf of a collection, or of a catalog that shows one; None for anything else."""
    collection = getattr(data, "collection", data)
    # A source has the collection that it is found in; it is one entry.
    only = data if collection is not data and getattr(data, "container", None) == "catalog" else None
    if collection is not data and only is None:
        return None
    if isinstance(collection, CohortCollection):
        return CohortShelf(label or f"Cohorts of {collection.place}", collection, only)
    if isinstance(collection, Archs4Collection):
        return Archs4Shelf(label or "ARCHS4", collection, only)
    if isinstance(collection, SlideCollection):
        return SlideShelf(label or "Slides", collection)
    return None


def _shelves_of_catalog(catalog: Any) -> list[Shelf]:
    """Return a shelf of each catalog in a catalog, and one of its sources, and of what cannot be had."""
    shelves: list[Shelf] = []
    entries: dict[str, Callable[[], Entry]] = {}
    for name in map(str, catalog):
        try:
            one = catalog[name]
            if (shelf := _shelf_of_one(one, name)) is not None:
                shelves.append(shelf)
            elif getattr(one, "container", None) == "catalog":
                shelves += _shelves_of_catalog(one)
            elif callable(getattr(one, "to_dask", None)):
                entries[name] = partial(_entry_of, name, one)
        except Exception as error:  # noqa: BLE001 - of whatever driver; one that is broken hides no other
            entries[name] = partial(_broken, name, error)
    label = str(catalog.name or "Catalog")
    rest = [ListShelf(f"{label}, other entries" if shelves else label, entries)] if entries else []
    return [*shelves, *rest]


def _listed(label: str, entries: Iterable[Entry]) -> ListShelf:
    """Return the shelf of entries of which nothing changes."""
    return ListShelf(label, {one.name: partial(_itself, one) for one in entries})


def _itself(entry: Entry) -> Entry:
    return entry


def _entry_of(name: str, source: Any) -> Entry:
    """Return a source's entry; sources of other packages say less of themselves."""
    about = getattr(source, "known", {"description": source.description, **(source.metadata or {})})
    here = about.get("cached") or about.get("on disk")
    return Entry(name, about, source.to_dask, "" if here else "opening it may fetch its data")


def _broken(name: str, error: Exception) -> Entry:
    """Return the entry of what cannot be had, which says why."""

    def failing() -> Data:
        raise error

    told = str(error) if isinstance(error, IntakeTcgaError) else f"{type(error).__name__}: {error}"
    return Entry(name, {"problem": told}, failing)


def _opened(data: Data) -> Entry:
    name = str(data.attrs.get("dataset_name") or getattr(data, "name", None) or "Dataset")
    return Entry(
        name, {str(key): value for key, value in data.attrs.items()}, data.copy
    )  # closing a copy leaves the file open that the user has
