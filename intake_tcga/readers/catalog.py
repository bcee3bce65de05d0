"""Manifests, as intake V2 catalogs that reopen by themselves."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from intake.readers.entry import Catalog

from intake_tcga.errors import IntakeTcgaError, NameNotFoundError
from intake_tcga.readers.checked import CheckedReader
from intake_tcga.readers.data import COLLECTION_OPTIONS, CohortManifest, ManifestCohort, shown_place
from intake_tcga.readers.datasets import CohortReader

if TYPE_CHECKING:
    from intake_tcga.cohorts.collection import CohortCollection


class CohortCatalogReader(CheckedReader):
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
    output_instance = "intake.readers.entry:Catalog"

    def read(self, **changes: Any) -> Catalog:
        """Return the catalog; always the same one, unless other arguments are given."""
        if changes:
            return self(**changes).read()
        if "_catalog" not in vars(self):
            self._catalog = self._read(self.data)
        return self._catalog

    def _read(self, data: CohortManifest) -> Catalog:
        """Read the manifest and return its cohorts as a catalog."""
        return to_v2(data.collection, storage_options=data.storage_options)

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
        names = [name for name in self.keys() if self.data.collection.cohort(name).name in found]
        return to_v2(self.data.collection, names=names, storage_options=self.data.storage_options)

    def keys(self) -> list[str]:
        """List the cohorts: codes, and full names where a code is not unique."""
        return list(self.data.collection.names())

    def __getitem__(self, item: str | int) -> Any:
        """Return the reader of a cohort, by code or full name."""
        # Counting up is how Python iterates over what has no __iter__. With one, intake would take this reader,
        # wherever it meets it inside an entry or a pipeline, for a list, and make it anew of its items.
        if isinstance(item, int):
            return self.keys()[item]
        return self.read()[self.data.collection.cohort(item).name]

    def __contains__(self, item: object) -> bool:
        try:
            return isinstance(item, str) and bool(self.data.collection.cohort(item))
        except NameNotFoundError:
            return False

    def __len__(self) -> int:
        return len(self.keys())

    def __bool__(self) -> bool:
        return True  # without this, whether a reader is true would be asked of its manifest

    def __getattr__(self, item: str) -> Any:
        if item.startswith("_"):
            raise AttributeError(item)
        try:
            return self[item]
        except NameNotFoundError as error:
            raise AttributeError(
                f"A {type(self).__name__} has no attribute or cohort {item!r}: {error}"
            ) from error

    def __dir__(self) -> list[str]:
        return sorted({*object.__dir__(self), *self._ipython_key_completions_()})

    def _ipython_key_completions_(self) -> list[str]:
        try:
            return self.keys()
        except IntakeTcgaError:  # completing a name must not fail where listing does
            return []

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: the cohorts of {shown_place(self.data)}>"


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
    catalog = Catalog(metadata={"manifest": redact(manifest.url), "version": manifest.version})
    for name in collection.names() if names is None else names:
        cohort = collection.cohort(name)
        data = ManifestCohort(cohort.name, **place)
        data._made = collection
        summary = f"{cohort.cancer_name}: {cohort.n_samples} samples × {cohort.n_features} features"
        reader = CohortReader(data, metadata={"description": summary, **describe(cohort)}, **options)
        catalog.add_entry(reader, name=cohort.name)
        catalog.aliases[name] = cohort.name  # what intake lists
    return catalog


def _arguments(collection: CohortCollection) -> dict[str, Any]:
    """Return the arguments that make a collection, as far as they are not the defaults."""
    from intake_tcga.cohorts.bundles import BUNDLES
    from intake_tcga.cohorts.collection import CohortCollection

    default = CohortCollection()
    url = collection.manifest.url  # absolute, so that the catalog opens from any folder
    bundle = next((bundle.name for bundle in BUNDLES.values() if bundle.url == url), url)
    options = {name: getattr(collection, name) for name in COLLECTION_OPTIONS}
    return {
        "url": bundle,
        "storage_options": collection.storage_options,
        **{name: value for name, value in options.items() if value != getattr(default, name)},
    }
