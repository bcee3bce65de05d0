"""The cohorts of a manifest, as an intake catalog."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from intake_tcga.cohorts.collection import CohortCollection
from intake_tcga.cohorts.manifest import Cohort
from intake_tcga.drivers.cohort_entry import CohortEntry
from intake_tcga.drivers.listing import ListingCatalog, headed
from intake_tcga.drivers.options import collection_of
from intake_tcga.errors import NameNotFoundError
from intake_tcga.name_lists import names_in

if TYPE_CHECKING:
    import pandas as pd
    from intake.readers.entry import Catalog as CatalogV2


class CohortCatalog(ListingCatalog):
    """The cohorts of a manifest as an intake catalog.

    Making one opens no socket and reads nothing; the manifest is read once, when an entry or the list of them is
    asked for. Entries answer to their code (``BRCA``; their full name where a code is not unique) and to their
    full name; an entry whose name is also a method's (``cat.name``) is reached as ``cat["name"]``.

    Parameters
    ----------
    urlpath : str, optional
        ``mirna``, ``rnaseq``, or the URL of a manifest (anything fsspec opens). None is the modality's own bundle.
    modality, version, storage_options, offline, allow_other_hosts, cache_storage, verify, progress
        As in :class:`~intake_tcga.cohorts.collection.CohortCollection`.
    cohorts : str or sequence of str, optional
        Names of the cohorts to show, codes or full names; None shows all. :meth:`search` and :meth:`filter` set it.
    **kwargs
        Of :class:`intake.catalog.Catalog`: ``name``, ``description``, ``metadata``, …

    Examples
    --------
    >>> import intake
    >>> cat = intake.open_tcga(sample_manifest, offline=True)
    >>> list(cat)
    ['PRAD']
    >>> cat.PRAD.to_dask().sizes["feature"]
    120
    >>> list(cat.search("prostate", n_samples=lambda n: n > 50))
    ['PRAD']
    """

    name = "tcga"
    driver = "tcga"
    positional = ("urlpath",)

    def __init__(
        self,
        urlpath: str | None = None,
        modality: str | None = None,
        version: str | None = None,
        storage_options: Mapping[str, Any] | None = None,
        offline: bool | str | None = None,
        allow_other_hosts: bool = False,
        cache_storage: str | Sequence[str] | None = None,
        verify: str = "stamp",
        progress: bool | None = None,
        cohorts: str | Sequence[str] | None = None,
        **kwargs: Any,
    ) -> None:
        self.collection = collection_of(locals())
        self._wanted = names_in("cohorts", cohorts, "the codes or full names of cohorts")
        CohortCollection.of(
            **self.not_intakes_own(kwargs)
        )  # raises the error that names the options there are
        super().__init__(**{"name": None, **kwargs}, storage_options=dict(self.collection.storage_options))

    # -- entries -------------------------------------------------------------------------------------------------

    def force_reload(self) -> None:
        """Ask the server for the manifest again, if it was read before: making a catalog calls this too."""
        self.__dict__.pop("_subset", None)
        if "manifest" in vars(self.collection):
            self.collection.refresh()

    @cached_property
    def _subset(self) -> frozenset[str] | None:
        """The full names of the cohorts to show; a name that is wrong is an error when they are first listed."""
        if self._wanted is None:
            return None
        return frozenset(self.collection.cohort(name).name for name in self._wanted)

    def _names(self) -> list[str]:
        shown = {cohort.name for cohort in self._cohorts()}
        manifest = self.collection.manifest
        return [key for key in manifest.keys() if manifest.find(key).name in shown]  # noqa: SIM118

    def _make_entry(self, key: str) -> CohortEntry:
        return CohortEntry(self, key, self._find(key))

    def _find(self, name: str) -> Cohort:
        cohort = self.collection.cohort(name)
        if self._subset is not None and cohort.name not in self._subset:
            raise NameNotFoundError(
                f"{name!r} is not among the {len(self._subset)} cohorts that this catalog was narrowed to; "
                f"it has {', '.join(self) or 'none'}."
            )
        return cohort

    def _cohorts(self) -> list[Cohort]:
        shown = self._subset
        return [
            cohort for cohort in self.collection.manifest.cohorts if shown is None or cohort.name in shown
        ]

    # -- finding -------------------------------------------------------------------------------------------------

    @property
    def df(self) -> pd.DataFrame:
        """One row a cohort: names, groups, sizes, digest, models, cached or not; opens no file."""
        table = self.collection.table()
        return table[table["name"].isin([cohort.name for cohort in self._cohorts()])].reset_index(drop=True)

    def search(self, text: str | None = None, depth: int = 2, **facets: Any) -> CohortCatalog:
        """Return the catalog of the cohorts that match.

        Parameters
        ----------
        text : str or compiled pattern, optional
            Found in any field, whatever its case: names, cancer types, clinical variables, groups, …
        depth : int
            Of intake's own signature; a catalog of cohorts has one level.
        **facets
            A column of :attr:`df` with a value, a list of values, a compiled regular expression, or a function:
            ``search(cancer_type=["BRCA", "OV"], n_samples=lambda n: n > 500)``.

        Raises
        ------
        OptionError
            A facet does not exist; the message lists those that do.
        """
        found = {cohort.name for cohort in self.collection.search(text, **facets)}
        return self._narrowed([name for name in self if self._find(name).name in found])

    def _narrowed(self, names: list[str]) -> CohortCatalog:
        narrowed = self._remade(cohorts=[self._find(name).name for name in names])
        narrowed.collection = self.collection  # the manifest is read already
        return narrowed

    # -- acting --------------------------------------------------------------------------------------------------

    def prefetch(self, names: Sequence[str] | None = None, *, threads: int = 4) -> dict[str, str]:
        """Download cohorts (all by default) into the cache; returns their local paths by name."""
        wanted = list(self) if names is None else names
        return {name: str(path) for name, path in self.collection.prefetch(wanted, threads=threads).items()}

    def to_v2(self) -> CatalogV2:
        """Return an intake V2 catalog of the same cohorts; saved, it reopens by itself."""
        from intake_tcga.readers import to_v2

        return to_v2(self.collection, names=list(self))

    # -- showing -------------------------------------------------------------------------------------------------

    def __repr__(self) -> str:
        if self._wanted is None:
            return f"<tcga catalog: {self.collection.summary}>"
        count = len(self._wanted)
        return f"<tcga catalog: {count} cohort{'s' * (count != 1)} chosen from {self.collection.place}>"

    def _repr_html_(self) -> str:
        return headed(self, self.collection.html(self._wanted))
