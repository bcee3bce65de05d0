"""Search through rows: a text in any field, and facets that name a field and what it must be."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from intake_tcga.errors import OptionError

Row = Mapping[str, Any]
"""One thing's fields, in plain values; a list is a field with several."""

_FOUND_BY_CHANCE = frozenset({"sha256", "md5", "bytes", "size", "cached"})
"""Fields in which any short text is found; a search for a text passes over them."""


def matcher(text: str | re.Pattern[str] | None, facets: Mapping[str, Any]) -> Callable[[Row], bool]:
    """Return the test whether a row has a text in any field, and matches every facet.

    Parameters
    ----------
    text
        Part of any field but sizes and digests, whatever its case, or a compiled regular expression.
    facets
        By field what it must be: a value (texts in any case), a list of values (any of them), a compiled regular
        expression (found anywhere in it), or a function of the field's value. Of a field that is itself a list one
        item must match; a function is given the whole list. What has no such field matches None alone.

    Raises
    ------
    OptionError
        A text that is neither text nor pattern; from the test, a function that failed.

    Examples
    --------
    >>> matches = matcher("prostate", {"n_samples": lambda n: n > 50})
    >>> matches({"cancer_name": "Prostate Adenocarcinoma", "n_samples": 77})
    True
    """
    has_text = _text_test(text)
    wanted = list(facets.items())
    return lambda row: has_text(row) and all(_matches(row.get(name), what, name) for name, what in wanted)


def row_matches(row: Row, text: str | re.Pattern[str] | None = None, /, **facets: Any) -> bool:
    """Tell whether a row has a text in any field, and matches every facet; see :func:`matcher`.

    Examples
    --------
    >>> row_matches({"cancer_name": "Prostate Adenocarcinoma", "n_samples": 77}, "prostate", n_samples=[76, 77])
    True
    """
    return matcher(text, facets)(row)


def check_facets(facets: Mapping[str, Any], fields: Sequence[str]) -> None:
    """Refuse facets that no row has, or that could match none.

    Raises
    ------
    OptionError
        The message names the nearest field, and all there are.
    """
    for name, wanted in facets.items():
        if name not in fields:
            raise OptionError(no_such("facet", name, fields))
        if isinstance(wanted, re.Pattern) and not isinstance(wanted.pattern, str):
            raise OptionError(
                f"The facet {name} is a pattern of bytes; fields are texts, so compile one of text."
            )


def no_such(kind: str, name: str, known: Sequence[str]) -> str:
    """Say that a name is not among the known ones, which is the nearest, and which there are.

    Examples
    --------
    >>> no_such("column", "modl", ["model", "code"])
    "There is no column 'modl'. Did you mean model? There are: model, code."
    """
    near = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    return f"There is no {kind} {name!r}.{hint} There are: {', '.join(known)}."


def _text_test(text: object) -> Callable[[Row], bool]:
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


def _words(row: Row) -> Iterable[str]:
    """Yield every field as text, but for those where any short text is found by chance."""
    for name, value in row.items():
        if name not in _FOUND_BY_CHANCE and value is not None:
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
