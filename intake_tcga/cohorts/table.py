"""Cohorts as rows: a table of them, and the search through it. No data file is opened for any of it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from intake_tcga.cohorts.manifest import Cohort, Manifest
from intake_tcga.facets import check_facets, matcher
from intake_tcga.tables import html_table, human_size, text_table

if TYPE_CHECKING:
    import pandas as pd

_COLUMNS = (
    "name",
    "code",
    "cancer_type",
    "cancer_name",
    "clinical_variable",
    "groups",
    "n_samples",
    "n_features",
    "n_raw_samples",
    "n_raw_features",
    "normalizations",
    "off_augs",
    "models",
    "modality",
    "schema_version",
    "version",
    "file",
    "bytes",
    "sha256",
    "cached",
)
_COUNTS = ("n_samples", "n_features", "n_raw_samples", "n_raw_features", "bytes")


def describe(cohort: Cohort) -> dict[str, Any]:
    """Return all that a manifest says of a cohort, in plain values that YAML and JSON take.

    Fields that only this manifest has (RNA-seq: ``n_train``, ``model_family``, …) follow the common ones.
    """
    row: dict[str, Any] = {
        "name": cohort.name,
        "code": cohort.code,
        "cancer_type": cohort.cancer_type,
        "cancer_name": cohort.cancer_name,
        "clinical_variable": cohort.clinical_variable,
        "groups": list(cohort.group_labels),
        "n_samples": cohort.n_samples,
        "n_features": cohort.n_features,
        "n_raw_samples": cohort.n_raw_samples,
        "n_raw_features": cohort.n_raw_features,
        "normalizations": list(cohort.normalizations),
        "off_augs": list(cohort.off_augs),
        "models": list(cohort.models),
        "modality": cohort.modality,
        "schema_version": cohort.schema_version,
        "version": cohort.version,
        "file": cohort.file,
        "bytes": cohort.size,
        "sha256": cohort.sha256,
    }
    # A manifest's own field never hides one of ours.
    return row | {name: value for name, value in cohort.metadata.items() if name not in _COLUMNS}


def cohort_row(manifest: Manifest, cohort: Cohort, *, cached: bool) -> dict[str, Any]:
    """Return a cohort's row of the table, in plain values; see :func:`describe`."""
    return describe(cohort) | {"cached": cached}


def cohort_table(manifest: Manifest, cached: Callable[[Cohort], bool]) -> pd.DataFrame:
    """Return one row a cohort, in the manifest's order.

    Parameters
    ----------
    manifest
        Whose cohorts.
    cached
        Tells whether a cohort's file is on disk.

    Returns
    -------
    pandas.DataFrame
        Texts, lists (``groups``, ``normalizations``, ``off_augs``, ``models``), ``bytes`` and counts as ``Int64``
        (missing where the file has no raw counts), ``cached`` as bool; then every other field of the entries.
    """
    import pandas as pd

    rows = [cohort_row(manifest, cohort, cached=cached(cohort)) for cohort in manifest.cohorts]
    table = pd.DataFrame(rows, columns=None if rows else list(_COLUMNS))
    return table.astype(dict.fromkeys(_COUNTS, "Int64") | {"cached": bool})


def search_cohorts(
    cohorts: Iterable[Cohort],
    text: str | re.Pattern[str] | None = None,
    *,
    is_cached: Callable[[Cohort], bool] | None = None,
    **facets: Any,
) -> list[Cohort]:
    """Return the cohorts that have a text in any field, and match every facet.

    Parameters
    ----------
    cohorts
        Where to look; their order is kept.
    text
        Part of any field but size and digest, whatever its case (the cancer's full name too), or a compiled
        regular expression.
    is_cached
        Tells whether a cohort's file is on disk; with it, ``cached`` is a facet too.
    **facets
        A field with what it must be: a value (texts in any case), a list of values (any of them), a compiled
        regular expression (found anywhere in it), a comparison (``"> 50"``, ``(">", 50)``), a range (``(50, 100)``,
        ``"50..100"``), or a function of the field's value. Of a field that is itself a
        list (``groups``, ``models``, …) one item must match; a function is given the whole list. What has no such
        field matches None alone.

    Raises
    ------
    OptionError
        A facet that no cohort has, a text that is neither text nor pattern, a function that failed.

    Examples
    --------
    >>> from intake_tcga.cohorts.sample import sample_collection
    >>> cohorts = sample_collection().manifest.cohorts
    >>> [cohort.code for cohort in search_cohorts(cohorts, "prostate", n_samples=lambda n: n > 50)]
    ['PRAD']
    """
    rows = [(cohort, describe(cohort)) for cohort in cohorts]
    if is_cached and "cached" in facets:
        rows = [(cohort, row | {"cached": is_cached(cohort)}) for cohort, row in rows]
    fields = [*_COLUMNS[:-1], *(["cached"] if is_cached else [])]
    check_facets(facets, list(dict.fromkeys([*fields, *(name for _, row in rows for name in row)])))
    matches = matcher(text, facets)
    return [cohort for cohort, row in rows if matches(row)]


def html(table: pd.DataFrame) -> str:
    """Return the table for a notebook: few columns, scrolling sideways on a small screen, all text escaped."""
    if table.empty:
        return "<p>No cohorts.</p>"
    return html_table(_SHOWN, _cells(table), right=_RIGHT, hints=table["name"].tolist())


def text(table: pd.DataFrame, *, width: int | None = None) -> str:
    """Return the table for a terminal, in lines of ``width`` characters at most (the terminal's own by default)."""
    if table.empty:
        return "no cohorts"
    return text_table(_SHOWN, _cells(table), right=_RIGHT, width=width)


_SHOWN = ("cohort", "cancer", "groups", "samples", "features", "size", "cached")
_RIGHT = {"samples", "features", "size"}


def _cells(table: pd.DataFrame) -> list[list[str]]:
    codes = Counter(table["code"])
    return [
        [
            row["code"] if codes[row["code"]] == 1 else row["name"],
            row["cancer_name"],
            ", ".join(row["groups"]),
            f"{row['n_samples']:,}",
            f"{row['n_features']:,}",
            human_size(row["bytes"]),
            "yes" if row["cached"] else "",
        ]
        for row in table.to_dict("records")
    ]
