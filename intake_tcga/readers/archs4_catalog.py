"""The published files of ARCHS4, as an intake V2 catalog that reopens by itself."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from intake.readers.entry import Catalog

from intake_tcga.readers.archs4_data import ARCHS4_OPTIONS, Archs4File, Archs4Releases
from intake_tcga.readers.archs4_reader import Archs4Reader
from intake_tcga.readers.catalog_reader import CatalogReader, catalog_of
from intake_tcga.readers.data import changed_options

if TYPE_CHECKING:
    from intake_tcga.archs4.collection import Archs4Collection


class Archs4CatalogReader(CatalogReader):
    """The published files of ARCHS4, as an intake V2 catalog; making or listing it asks nobody.

    It is a mapping itself: ``list(reader)``, ``reader["human_gene_v2.5"]``.

    Parameters
    ----------
    data : Archs4Releases, optional
        How they are reached.
    metadata : dict, optional
        Anything to keep with it.
    **options
        Those of :class:`Archs4Releases`.

    Examples
    --------
    >>> cat = Archs4CatalogReader()
    >>> cat["human_gene_v2.5"]
    <Archs4Reader: human_gene_v2.5>
    >>> list(cat.search(species="mouse", level="gene", version="2.5"))
    ['mouse_gene_v2.5']
    """

    implements: ClassVar[set[type]] = {Archs4Releases}
    data_type = Archs4Releases

    def search(self, text: str | re.Pattern[str] | None = None, **facets: Any) -> Catalog:
        """Return the catalog of the files that have a text in any field, and match every facet.

        Parameters
        ----------
        text : str or compiled pattern, optional
            Found in any field, whatever its case.
        **facets
            ``species=``, ``level=``, ``version=``, ``samples=``, …: a value, a list of values, a compiled pattern,
            or a function.

        Raises
        ------
        OptionError
            A facet does not exist; the message lists those that do.
        """
        return self._made_of(self.data.collection.search(text, **facets))

    def _names(self) -> list[str]:
        return list(self.data.collection.names())

    def _find(self, name: str) -> str:
        return str(self.data.collection.release(name).name)

    def _made_of(self, names: Iterable[str] | None) -> Catalog:
        return archs4_to_v2(self.data.collection, names=names, storage_options=self.data.storage_options)

    def _what(self) -> str:
        return "the files of ARCHS4"


def archs4_to_v2(
    collection: Archs4Collection,
    *,
    names: Iterable[str] | None = None,
    storage_options: Mapping[str, Any] | None = None,
    **options: Any,
) -> Catalog:
    """Return published files of ARCHS4 as an intake V2 catalog, which reopens by itself once it is saved.

    Nobody is asked for anything. Each entry has what is known of its file as its metadata, with the licence and what
    to cite. Credentials are used as long as the catalog lives, and not saved.

    Parameters
    ----------
    collection : Archs4Collection
        How files are reached.
    names : iterable of str, optional
        The releases; None is all of them.
    storage_options : mapping, optional
        What the catalog shall save as these, instead of the collection's own without credentials: values like
        ``"Bearer {env(TOKEN)}"`` are read from the environment when the catalog is used.
    **options
        Options of :class:`Archs4Reader` for every entry: ``series``, ``search``, ``draw``, ``chunks``, ….

    Raises
    ------
    NameNotFoundError, OptionError
        A name or an option does not exist; the message lists those that do.

    Examples
    --------
    >>> from intake_tcga.archs4.collection import Archs4Collection
    >>> cat = archs4_to_v2(Archs4Collection(), names=["human_gene_v2.5"], single_cell=False)
    >>> list(cat), cat["human_gene_v2.5"].metadata["samples"]
    (['human_gene_v2.5'], 888821)
    """
    from intake_tcga.archs4.collection import Archs4Collection

    given = collection.storage_options if storage_options is None else storage_options
    how = changed_options(collection, Archs4Collection(), ARCHS4_OPTIONS)
    readers = {}
    for name in collection.names() if names is None else names:
        release = collection.release(name)
        data = Archs4File(release.name, given, **how).within(collection)
        metadata = {"description": release.description, **release.metadata}
        readers[release.name] = Archs4Reader(data, metadata=metadata, **options)
    return catalog_of(readers, metadata={"description": f"ARCHS4: {collection.summary}"})
