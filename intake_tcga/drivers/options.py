"""The arguments that drivers pass on to their collection."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

from intake_tcga.cohorts.collection import CohortCollection

COLLECTION_OPTIONS = tuple(field.name for field in fields(CohortCollection))
"""Names of the arguments that say which manifest is meant, and how it is reached."""


def collection_of(arguments: Mapping[str, Any]) -> CohortCollection:
    """Make the collection that a driver's arguments describe; other arguments are passed over."""
    options = given_of(arguments, COLLECTION_OPTIONS)
    if "urlpath" in options:
        options["urlpath"] = tidy(options["urlpath"])
    return CohortCollection.of(**options)


def given_of(arguments: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Return those of some arguments that were given."""
    return {name: arguments[name] for name in names if arguments[name] is not None}


def tidy(urlpath: str) -> str:
    """Return a path or URL without the slashes that joining doubled."""
    # A local CATALOG_DIR ends in "/" and a remote one does not: "{{ CATALOG_DIR }}/x" has two slashes or one.
    scheme, colon, rest = str(urlpath).rpartition("://")
    while "//" in rest.lstrip("/"):
        head, _, tail = rest.rpartition("//")
        rest = f"{head}/{tail}"
    return f"{scheme}{colon}{rest}"


def options_of(collection: CohortCollection) -> dict[str, Any]:
    """Return the arguments that make a collection, as far as they differ from the defaults."""
    default = CohortCollection()
    values = {name: getattr(collection, name) for name in COLLECTION_OPTIONS}
    return {name: value for name, value in values.items() if value != getattr(default, name)}
