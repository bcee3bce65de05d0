"""Cohorts as rows: a table of them, and the search through it. No data file is opened for any of it."""

from __future__ import annotations

import difflib
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from intake_tcga.cohorts.manifest import Cohort, Manifest
from intake_tcga.errors import OptionError

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
        regular expression (found anywhere in it), or a function of the field's value. Of a field that is itself a
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
    _check_facets(facets, list(dict.fromkeys([*fields, *(name for _, row in rows for name in row)])))
    return [cohort for cohort, row in rows if row_matches(row, text, **facets)]


def row_matches(row: Mapping[str, Any], text: str | re.Pattern[str] | None = None, /, **facets: Any) -> bool:
    """Tell whether a row, as :func:`describe` makes it, has a text in any field, and matches every facet.

    Parameters and errors as in :func:`search_cohorts`, but for facets that the row has not: they match None alone.

    Examples
    --------
    >>> row_matches({"cancer_name": "Prostate Adenocarcinoma", "n_samples": 77}, "prostate", n_samples=[76, 77])
    True
    """
    return _text_test(text)(row) and all(
        _matches(row.get(name), wanted, name) for name, wanted in facets.items()
    )


def unique_values(table: pd.DataFrame, column: str | None = None) -> Any:
    """Return the distinct values of a column, sorted; of a column of lists, their distinct items.

    Parameters
    ----------
    table
        Of :func:`cohort_table`.
    column
        Its name; None gives a dict of all columns.

    Raises
    ------
    OptionError
        There is no such column; the message lists those there are.
    """
    if column is None:
        return {name: _distinct(table[name]) for name in table.columns}
    if column not in table.columns:
        raise OptionError(_no_such("column", column, list(table.columns)))
    return _distinct(table[column])


def html(table: pd.DataFrame) -> str:
    """Return the table for a notebook: few columns, scrolling sideways on a small screen, all text escaped."""
    if table.empty:
        return "<p>No cohorts.</p>"
    head = "".join(f"<th style='text-align:{_side(name)}'>{escape(name)}</th>" for name in _SHOWN)
    body = "".join(
        "<tr>"
        + "".join(
            f"<td style='text-align:{_side(name)}' title='{escape(hint, quote=True)}'>{escape(cell)}</td>"
            for name, cell, hint in zip(_SHOWN, cells, [full, *cells[1:]], strict=True)
        )
        + "</tr>"
        for cells, full in zip(_cells(table), table["name"], strict=True)
    )
    return (
        "<div style='overflow-x:auto;max-width:100%'><table style='white-space:nowrap'>"
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def text(table: pd.DataFrame, *, width: int | None = None) -> str:
    """Return the table for a terminal, in lines of ``width`` characters at most (the terminal's own by default)."""
    if table.empty:
        return "no cohorts"
    lines = [list(_SHOWN), *_cells(table)]
    widths = _fitted(lines, width or shutil.get_terminal_size().columns)
    return "\n".join(
        "  ".join(
            _cut(cell, size).rjust(size) if _side(name) == "right" else _cut(cell, size).ljust(size)
            for name, cell, size in zip(_SHOWN, line, widths, strict=True)
        ).rstrip()
        for line in lines
    )


_SHOWN = ("cohort", "cancer", "groups", "samples", "features", "size", "cached")


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


def human_size(size: int) -> str:
    """Return a number of bytes as people read it.

    Examples
    --------
    >>> human_size(812), human_size(34_000_000), human_size(550_000_000_000)
    ('812 B', '34 MB', '550 GB')
    """
    number, units = float(size), ["B", "kB", "MB", "GB", "TB"]
    while number >= 999.5 and len(units) > 1:
        number /= 1000
        del units[0]
    decimals = 1 if number < 9.95 and units[0] != "B" else 0
    return f"{number:.{decimals}f} {units[0]}"


def _side(column: str) -> str:
    return "right" if column in {"samples", "features", "size"} else "left"


def _fitted(lines: Sequence[Sequence[str]], width: int) -> list[int]:
    """Narrow the widest column, again and again, until a line fits or nothing readable would be left."""
    widths = [max(len(line[index]) for line in lines) for index in range(len(_SHOWN))]
    room = width - 2 * (len(widths) - 1)
    while sum(widths) > room and max(widths) > 8:
        widest = widths.index(max(widths))
        widths[widest] = max(8, widths[widest] - (sum(widths) - room), sorted(widths)[-2])
        if widths[widest] == sorted(widths)[-2] and sum(widths) > room:
            widths[widest] -= 1
    return widths


def _cut(cell: str, size: int) -> str:
    return cell if len(cell) <= size else cell[: size - 1] + "…"


def _check_facets(facets: dict[str, Any], fields: list[str]) -> None:
    for name, wanted in facets.items():
        if name not in fields:
            raise OptionError(_no_such("facet", name, fields))
        if isinstance(wanted, re.Pattern) and not isinstance(wanted.pattern, str):
            raise OptionError(
                f"The facet {name} is a pattern of bytes; fields are texts, so compile one of text."
            )


def _text_test(text: object) -> Callable[[Mapping[str, Any]], bool]:
    if text is None:
        return lambda row: True
    if isinstance(text, str):
        part = text.casefold()
        return lambda row: any(part in word.casefold() for word in _words(row))
    if isinstance(text, re.Pattern) and isinstance(text.pattern, str):
        return lambda row: any(text.search(word) for word in _words(row))
    raise OptionError(
        f"{text!r} cannot be searched for; give a text or a compiled regular expression of text."
    )


def _words(row: Mapping[str, Any]) -> Iterable[str]:
    """Yield every field as text, but for those where any short text is found by chance."""
    for name, value in row.items():
        if name not in {"sha256", "bytes", "cached"} and value is not None:
            yield from map(str, value) if isinstance(value, list) else [str(value)]


def _matches(value: Any, wanted: Any, name: str) -> bool:
    if callable(wanted):
        return value is not None and _answer(wanted, value, name)
    if isinstance(wanted, Iterable) and not isinstance(wanted, str | bytes):
        return any(_matches(value, one, name) for one in wanted)
    return any(_equals(item, wanted) for item in (value if isinstance(value, list) else [value]))


def _answer(wanted: Callable[[Any], Any], value: Any, name: str) -> bool:
    try:
        return bool(wanted(value))
    except Exception as error:  # whatever a user's function raises
        raise OptionError(f"The function given for {name} failed on {value!r}: {error!r}.") from error


def _equals(item: Any, wanted: Any) -> bool:
    if isinstance(wanted, re.Pattern):
        return item is not None and wanted.search(str(item)) is not None
    if isinstance(wanted, str):
        return item is not None and str(item).casefold() == wanted.casefold()
    return bool(item == wanted)


def _distinct(column: pd.Series[Any]) -> list[Any]:
    import pandas as pd

    values = column.tolist()  # Python's own numbers, not numpy's
    items = [item for value in values for item in (value if isinstance(value, list) else [value])]
    present = [item for item in items if isinstance(item, dict | list) or not pd.isna(item)]
    distinct = list(
        {repr(item): item for item in present}.values()
    )  # a manifest's own fields may be unhashable
    try:
        return sorted(distinct)
    except TypeError:  # a manifest's own field, of mixed types
        return sorted(distinct, key=repr)


def _no_such(kind: str, name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    return f"There is no {kind} {name!r}.{hint} There are: {', '.join(known)}."
