"""The published files of ARCHS4, as an intake catalog."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Literal

from intake_tcga.archs4.collection import Archs4Collection
from intake_tcga.archs4.releases import Release, find_release
from intake_tcga.drivers.archs4_source import Archs4Source
from intake_tcga.drivers.listing import ListedEntry, ListingCatalog, headed
from intake_tcga.drivers.options import given_of
from intake_tcga.errors import NameNotFoundError
from intake_tcga.name_lists import names_in

if TYPE_CHECKING:
    import pandas as pd
    from intake.readers.entry import Catalog as CatalogV2

ARCHS4_OPTIONS = tuple(field.name for field in fields(Archs4Collection))
"""Arguments that say how files are reached."""


class Archs4Catalog(ListingCatalog):
    """The published files of ARCHS4 as an intake catalog; opening an entry reads only what is asked for.

    Making or listing one asks nobody: the files are known by name, size and digest.

    Parameters
    ----------
    storage_options, offline, cache_storage, verify, progress
        As in :class:`~intake_tcga.archs4.collection.Archs4Collection`.
    releases : str or sequence of str, optional
        Names of the files to show, ``human_gene_latest`` and the like among them; None shows all. :meth:`search`
        sets it.
    **kwargs
        Of :class:`intake.catalog.Catalog`: ``name``, ``description``, ``metadata``, …

    Examples
    --------
    >>> import intake
    >>> cat = intake.open_tcga_archs4()
    >>> list(cat.search(species="human", level="gene", version="2.5"))
    ['human_gene_v2.5']
    """

    name = "tcga_archs4"
    driver = "tcga_archs4"

    def __init__(
        self,
        storage_options: Mapping[str, Any] | None = None,
        offline: bool | str | None = None,
        cache_storage: str | Sequence[str] | None = None,
        verify: Literal["stamp", "always"] = "stamp",
        progress: bool | None = None,
        releases: str | Sequence[str] | None = None,
        **kwargs: Any,
    ) -> None:
        self._options = given_of(locals(), ARCHS4_OPTIONS)
        self.collection = Archs4Collection.of(**self._options, **self.not_intakes_own(kwargs))
        self._wanted = names_in("releases", releases, "names of ARCHS4's files, such as human_gene_v2.5")
        super().__init__(**{"name": None, **kwargs}, storage_options=dict(storage_options or {}))

    @property
    def _subset(self) -> frozenset[str] | None:
        """The names of the files to show; a name that is wrong is an error when they are first listed."""
        if self._wanted is None:
            return None
        releases = self.collection.releases  # read once, however many names there are
        return frozenset(find_release(name, releases).name for name in self._wanted)

    def _names(self) -> list[str]:
        shown = self._subset
        return [name for name in self.collection.names() if shown is None or name in shown]

    def _find(self, key: str) -> Release:
        release = self.collection.release(key)
        shown = self._subset
        if shown is not None and release.name not in shown:
            raise NameNotFoundError(
                f"{key!r} is not among the {len(shown)} files that this catalog was narrowed to; "
                f"it has {', '.join(self) or 'none'}."
            )
        return release

    def _make_entry(self, key: str) -> ListedEntry:
        release = self._find(key)
        return ListedEntry(
            self,
            key,
            source=Archs4Source,
            description=release.description,
            arguments={"source": release.name, **self._options},
            metadata=release.metadata,
        )

    @property
    def df(self) -> pd.DataFrame:
        """One row a file: species, level, version, samples, features, bytes, annotation, cached or not."""
        table = self.collection.table()
        return table[table["name"].isin(self._names())].reset_index(drop=True)

    def search(
        self, text: str | re.Pattern[str] | None = None, depth: int = 2, **facets: Any
    ) -> Archs4Catalog:
        """Return the catalog of the files that match; samples are searched in a file, by ``ds.archs4.search``.

        Parameters
        ----------
        text : str or compiled pattern, optional
            Found in any field, whatever its case.
        depth : int
            Of intake's own signature; a catalog of files has one level.
        **facets
            A column of :attr:`df` with a value, a list of values, a compiled regular expression, or a function.

        Raises
        ------
        OptionError
            A facet does not exist; the message lists those that do.
        """
        found = self.collection.search(text, **facets)
        return self._narrowed([name for name in self if name in found])

    def _narrowed(self, names: list[str]) -> Archs4Catalog:
        return self._remade(releases=names)

    def refresh(self) -> None:
        """Ask ARCHS4's version service which files there are."""
        self.collection.refresh()

    def to_v2(self) -> CatalogV2:
        """Return an intake V2 catalog of the same files; saved, it reopens by itself."""
        from intake_tcga.readers import archs4_to_v2

        return archs4_to_v2(self.collection, names=self._names())

    def __repr__(self) -> str:
        if self._wanted is None:
            return f"<tcga_archs4 catalog: {self.collection.summary}>"
        count = len(self._wanted)
        return f"<tcga_archs4 catalog: {count} file{'s' * (count != 1)} chosen of ARCHS4>"

    def _repr_html_(self) -> str:
        return headed(self, self.collection.html(self._names()))
