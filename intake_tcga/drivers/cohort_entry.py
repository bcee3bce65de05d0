"""The entries of a catalog of cohorts, described by the manifest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from intake.catalog.local import UserParameter

from intake_tcga.cohorts.collection import CohortCollection
from intake_tcga.cohorts.manifest import Cohort
from intake_tcga.cohorts.selection import Narrowing, check
from intake_tcga.drivers.cohort_source import CohortSource
from intake_tcga.drivers.listing import ListedEntry
from intake_tcga.drivers.options import COLLECTION_OPTIONS, options_of

if TYPE_CHECKING:
    from intake_tcga.drivers.cohort_catalog import CohortCatalog


class CohortEntry(ListedEntry):
    """A catalog's entry of one cohort: its metadata, and the source that it makes."""

    def __init__(self, catalog: CohortCatalog, key: str, cohort: Cohort) -> None:
        self._cohort = cohort
        super().__init__(
            catalog,
            key,
            source=CohortSource,
            description=f"{cohort.cancer_name}: {cohort.n_samples} samples × {cohort.n_features} features",
            arguments={"cohort": cohort.name, **options_of(catalog.collection)},
            parameters=_parameters(cohort),
            metadata=_metadata(catalog.collection, cohort),
        )

    def _check(self, user_parameters: Mapping[str, Any]) -> None:
        for parameter in self._user_parameters:
            if self._cohort.states_labels and parameter.name in user_parameters:
                parameter.validate(user_parameters[parameter.name])

    def _share(self, source: CohortSource, user_parameters: Mapping[str, Any]) -> None:
        if not set(user_parameters) & set(COLLECTION_OPTIONS):
            source.collection = self._catalog.collection  # its manifest is read already


class LabelParameter(UserParameter):  # type: ignore[misc]
    """A user parameter that takes one of its allowed labels, several of them, or None for all."""

    def validate(self, value: Narrowing) -> Narrowing:
        """Return the value if every label of it is allowed."""
        check({self.name: value}, {self.name: self.allowed})
        return value


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
