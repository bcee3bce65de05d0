"""The entries of a catalog of cohorts: made when asked for, described by the manifest."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from intake.catalog.local import LocalCatalogEntry, UserParameter

from intake_tcga.cohorts.collection import CohortCollection
from intake_tcga.cohorts.manifest import Cohort
from intake_tcga.cohorts.selection import Narrowing, check
from intake_tcga.drivers.options import COLLECTION_OPTIONS, options_of
from intake_tcga.drivers.source import CohortSource
from intake_tcga.errors import NameNotFoundError

if TYPE_CHECKING:
    from intake_tcga.drivers.catalog import CohortCatalog


_SOURCE_ARGUMENTS = set(inspect.signature(CohortSource.__init__).parameters)


class CohortEntry(LocalCatalogEntry):  # type: ignore[misc]
    """A catalog's entry of one cohort: its metadata, and the source that it makes."""

    def __init__(self, catalog: CohortCatalog, key: str, cohort: Cohort) -> None:
        self._cohort = cohort
        super().__init__(
            name=key,
            description=f"{cohort.cancer_name}: {cohort.n_samples} samples × {cohort.n_features} features",
            driver=CohortSource,
            args={"cohort": cohort.name, **options_of(catalog.collection)},
            parameters=_parameters(cohort),
            metadata=_metadata(catalog.collection, cohort),
            catalog=catalog,
        )

    def __reduce__(self) -> tuple[Any, ...]:
        # Intake remakes objects from their arguments' states, which a catalog and a cohort do not survive.
        return type(self), self._captured_init_args

    def _create_open_args(self, user_parameters: dict[str, Any]) -> tuple[type[CohortSource], dict[str, Any]]:
        """Merge an entry's arguments and the user's, as they are.

        Intake's own merging renders both as jinja templates, which would let a manifest's text read environment
        variables, and warns of shell commands that nobody gave.
        """
        if unknown := set(user_parameters) - _SOURCE_ARGUMENTS:
            CohortCollection.of(**dict.fromkeys(unknown))  # raises the error that names the options there are
        for parameter in self._user_parameters:
            if self._cohort.states_labels and parameter.name in user_parameters:
                parameter.validate(user_parameters[parameter.name])
        metadata = {
            key: value for key, value in self._metadata.items() if key != "cached"
        }  # true only just now
        return CohortSource, {"metadata": metadata, **self._open_args, **user_parameters}

    def get(self, **user_parameters: Any) -> CohortSource:
        """Return the source, with the user's options."""
        source: CohortSource = super().get(**user_parameters)
        if not set(user_parameters) & set(COLLECTION_OPTIONS):
            source.collection = self._catalog.collection  # its manifest is read already
        return source


class LabelParameter(UserParameter):  # type: ignore[misc]
    """A user parameter that takes one of its allowed labels, several of them, or None for all."""

    def validate(self, value: Narrowing) -> Narrowing:
        """Return the value if every label of it is allowed."""
        check({self.name: value}, {self.name: self.allowed})
        return value


class CohortEntries(Mapping[str, CohortEntry]):
    """The entries of a catalog, made when asked for, so that an unread manifest stays unread."""

    def __init__(self, catalog: CohortCatalog) -> None:
        self._catalog = catalog

    def __iter__(self) -> Iterator[str]:
        shown = {cohort.name for cohort in self._catalog._cohorts()}
        manifest = self._catalog.collection.manifest
        return iter([key for key in manifest.keys() if manifest.find(key).name in shown])  # noqa: SIM118

    def __len__(self) -> int:
        return len(self._catalog._cohorts())

    def __contains__(self, key: object) -> bool:
        try:
            return isinstance(key, str) and bool(self._catalog._cohort(key))
        except NameNotFoundError:
            return False

    def __getitem__(self, key: str) -> CohortEntry:
        # A new one each time: intake changes entries as it opens them, and "cached" must be today's.
        return CohortEntry(self._catalog, key, self._catalog._cohort(key))


def _parameters(cohort: Cohort) -> list[LabelParameter]:
    # Keywords only: intake keeps nothing else of a parameter when a catalog is saved.
    choices = {"normalization": cohort.normalizations, "model": cohort.models, "off_aug": cohort.off_augs}
    return [
        LabelParameter(
            name=name, description=f"{name}s to open; all if not given", type="str", allowed=list(labels)
        )
        for name, labels in choices.items()
        if labels
    ]


def _metadata(collection: CohortCollection, cohort: Cohort) -> dict[str, Any]:
    """Return an entry's metadata: the cohort's row of the catalog's table, in plain values."""
    from intake_tcga.cohorts.table import cohort_row

    return cohort_row(collection.manifest, cohort, cached=collection.is_cached(cohort))
