"""Manifests, as intake V2 catalogs that reopen by themselves."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from intake.readers.entry import Catalog

from intake_tcga.readers.catalog_reader import CatalogReader, catalog_of
from intake_tcga.readers.cohort_data import COLLECTION_OPTIONS, CohortManifest, ManifestCohort
from intake_tcga.readers.cohort_readers import CohortReader
from intake_tcga.readers.data import changed_options, shown_place

if TYPE_CHECKING:
    from intake_tcga.cohorts.collection import CohortCollection


class CohortCatalogReader(CatalogReader):
    """The cohorts of a manifest, as an intake V2 catalog.

    It is a mapping itself: ``list(reader)``, ``reader["BRCA"]``, ``reader.BRCA``. The manifest is read once, at
    the first question about it; making a reader, or listing the catalog it is in, reads nothing.

    Parameters
    ----------
    data : CohortManifest or str
        The manifest, or its URL, or ``mirna`` or ``rnaseq``.
    metadata : dict, optional
        Anything to keep with it.
    **options
        Those of :class:`CohortManifest`.

    Examples
    --------
    >>> cat = CohortCatalogReader(sample_manifest, offline=True)
    >>> list(cat)
    ['PRAD']
    >>> cat.PRAD(normalization="TC").to_dask()["real"].dims
    ('sample', 'feature')
    >>> list(cat.search("prostate", n_samples=lambda n: n > 50))
    ['PRAD']
    """

    implements: ClassVar[set[type]] = {CohortManifest}
    data_type = CohortManifest

    def search(self, text: str | re.Pattern[str] | None = None, **facets: Any) -> Catalog:
        """Return the catalog of the cohorts that have a text in any field, and match every facet.

        Parameters
        ----------
        text : str or compiled pattern, optional
            Found in any field, whatever its case: names, cancer types, clinical variables, groups, …
        **facets
            A field with what it must be: a value, a list of values, a compiled pattern, or a function.

        Raises
        ------
        OptionError
            A facet does not exist; the message lists those that do.
        """
        found = {cohort.name for cohort in self.data.collection.search(text, **facets)}
        return self._made_of([name for name in self._names() if self._find(name) in found])

    def _names(self) -> list[str]:
        return list(self.data.collection.names())

    def _find(self, name: str) -> str:
        return str(self.data.collection.cohort(name).name)

    def _made_of(self, names: Iterable[str] | None) -> Catalog:
        return to_v2(self.data.collection, names=names, storage_options=self.data.storage_options)

    def _what(self) -> str:
        return f"the cohorts of {shown_place(self.data)}"


def to_v2(
    collection: CohortCollection,
    *,
    names: Iterable[str] | None = None,
    storage_options: Mapping[str, Any] | None = None,
    **options: Any,
) -> Catalog:
    """Return cohorts as an intake V2 catalog, which reopens by itself once it is saved.

    Cohorts answer to the names they are listed by, and to their full names. Each entry has the manifest's fields
    as its metadata. Credentials are used as long as the catalog lives, and not saved.

    Parameters
    ----------
    collection : CohortCollection
        Whose cohorts; its manifest is read.
    names : iterable of str, optional
        The cohorts, by the names they shall be listed by; None is all of them.
    storage_options : mapping, optional
        What the catalog shall save as these, instead of the collection's own without credentials: values like
        ``"Bearer {env(TOKEN)}"`` are read from the environment when the catalog is used.
    **options
        Options of :class:`CohortReader` for every entry: ``normalization``, ``model``, ``off_aug``, ``chunks``.

    Raises
    ------
    NameNotFoundError, OptionError
        A name or an option does not exist; the message lists those that do.
    TransferError, ManifestError
        The manifest could not be fetched, or not be used.

    Examples
    --------
    >>> from intake_tcga.cohorts.sample import sample_collection
    >>> cat = to_v2(sample_collection())
    >>> list(cat)
    ['PRAD']
    >>> cat["PRAD"].metadata["cancer_name"]
    'Prostate Adenocarcinoma'
    """
    from intake_tcga.cohorts.table import describe
    from intake_tcga.remote import redact

    manifest = collection.manifest
    place = _arguments(collection)
    if storage_options is not None:
        place["storage_options"] = storage_options
    readers, keys = {}, {}
    for name in collection.names() if names is None else names:
        cohort = collection.cohort(name)
        data = ManifestCohort(cohort.name, **place).within(collection)
        summary = f"{cohort.cancer_name}: {cohort.n_samples} samples × {cohort.n_features} features"
        readers[name] = CohortReader(data, metadata={"description": summary, **describe(cohort)}, **options)
        keys[name] = cohort.name
    metadata = {"manifest": redact(manifest.url), "version": manifest.version}
    return catalog_of(readers, keys=keys, metadata=metadata)


def _arguments(collection: CohortCollection) -> dict[str, Any]:
    """Return the arguments that make a collection, as far as they are not the defaults."""
    from intake_tcga.cohorts.bundles import BUNDLES
    from intake_tcga.cohorts.collection import CohortCollection

    url = collection.manifest.url  # absolute, so that the catalog opens from any folder
    bundle = next((bundle.name for bundle in BUNDLES.values() if bundle.url == url), url)
    return {
        "url": bundle,
        "storage_options": collection.storage_options,
        **changed_options(collection, CohortCollection(), COLLECTION_OPTIONS),
    }
