"""Search through rows: a text in any field, and facets that name a field and what it must be."""

from __future__ import annotations

import difflib
import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from intake_tcga.errors import OptionError

Row = Mapping[str, Any]
"""One thing's fields, in plain values; a list is a field with several."""

_FOUND_BY_CHANCE = frozenset({"sha256", "md5", "bytes", "size", "cached"})
"""Fields in which any short text is found; a search for a text passes over them."""

COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
"""What the signs of comparisons mean."""

WRITTEN_COMPARISON = re.compile(r"\s*(<=|>=|==|!=|<|>)\s*(.*?)\s*", re.DOTALL)
"""A comparison as a text: its sign, and what follows."""

_MOST_LISTED = 100  # names in a message; a catalog of slides has thirty thousand

_YES_AND_NO = {"yes": True, "true": True, "no": False, "false": False}

_ENDS = (-math.inf, math.inf)


def matcher(text: str | re.Pattern[str] | None, facets: Mapping[str, Any]) -> Callable[[Row], bool]:
    """Return the test whether a row has a text in any field, and matches every facet.

    Parameters
    ----------
    text
        Part of any field but sizes and digests, whatever its case, or a compiled regular expression.
    facets
        By field what it must be: a value (texts in any case; numbers also where they are stored as text; ``"yes"`` and
        ``"no"``, too, of what is true or false), a list of values (any of them), a compiled regular
        expression (found anywhere in it), a comparison (``"< 1e6"`` or ``("<", 1e6)``, with ``<``, ``<=``, ``>``,
        ``>=``, ``==`` or ``!=``), a range of numbers, both ends included (``(100, 500)``, ``(100, None)`` or
        ``"100..500"``), or a function of the field's value. Of a field that is itself a list one item must match; a
        function is given the whole list. What has no such field matches None alone.

    Raises
    ------
    OptionError
        A text that is neither text nor pattern, a comparison with nothing to compare with; from the test, a function
        that failed, or a comparison of numbers with a field that is none.

    Examples
    --------
    >>> matches = matcher("prostate", {"n_samples": lambda n: n > 50})
    >>> matches({"cancer_name": "Prostate Adenocarcinoma", "n_samples": 77})
    True
    >>> [n for n in (76, 77, 78) if matcher(None, {"n": "77.."})({"n": n})]
    [77, 78]
    """
    has_text = _text_test(text)
    tests = {name: _test(wanted, name) for name, wanted in facets.items()}
    return lambda row: has_text(row) and all(test(row.get(name)) for name, test in tests.items())


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


def no_such(kind: str, name: object, known: Sequence[str]) -> str:
    """Say that a name is not among the known ones, which is the nearest, and which there are.

    Examples
    --------
    >>> no_such("column", "modl", ["model", "code"])
    "There is no column 'modl'. Did you mean model? There are: model, code."
    """
    near = difflib.get_close_matches(str(name), known, n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    more = len(known) - _MOST_LISTED
    listed = ", ".join(known[:_MOST_LISTED]) + (f", … and {more:,} more" if more > 0 else "")
    return f"There is no {kind} {name!r}.{hint} There are: {listed or 'none'}."


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


def _test(wanted: Any, name: str) -> Callable[[Any], bool]:
    """Return the test whether a field's value is what it must be."""
    if callable(wanted):
        return lambda value: value is not None and _answer(wanted, value, name)
    compares = _comparison(wanted, name)
    if compares is None and isinstance(wanted, Iterable) and not isinstance(wanted, str | bytes):
        tests = [_test(one, name) for one in wanted]
        return lambda value: any(test(value) for test in tests)
    compares = compares or (lambda item: _equals(item, wanted))
    return lambda value: any(compares(item) for item in (value if isinstance(value, list) else [value]))


def _comparison(wanted: Any, name: str) -> Callable[[Any], bool] | None:
    """Return the test of one item, if what is wanted is a comparison or a range."""
    if sign_and_bound := _compared_with(wanted, name):
        sign, bound = sign_and_bound
        if sign in ("==", "!=") and isinstance(bound, str) and _number(bound) is None:
            return lambda item: item is not None and _equals(item, bound) == (sign == "==")
        limit = _limit(bound, wanted, name)
        return lambda item: item is not None and bool(COMPARISONS[sign](_compared(item, wanted, name), limit))
    if bounds := _range(wanted):
        low, high = bounds
        return lambda item: item is not None and low <= _compared(item, wanted, name) <= high
    return None


def _compared_with(wanted: Any, name: str) -> tuple[str, Any] | None:
    """Read ``"< 5"`` and ``("<", 5)``."""
    if isinstance(wanted, str) and (written := WRITTEN_COMPARISON.fullmatch(wanted)):
        return written[1], written[2]
    if isinstance(wanted, tuple) and wanted and isinstance(wanted[0], str) and wanted[0] in COMPARISONS:
        if len(wanted) != 2:
            raise OptionError(
                f"{name}={wanted!r} is no comparison; give a sign and a value, such as ('<', 1e6)."
            )
        return wanted
    return None


def _range(wanted: Any) -> tuple[float, float] | None:
    """Read ``"1..5"``, ``"1.."``, ``(1, 5)`` and ``(1, None)``."""
    if isinstance(wanted, str) and ".." in wanted:
        wanted = tuple(bound.strip() or None for bound in wanted.split("..", 1))
    if not isinstance(wanted, tuple) or len(wanted) != 2 or wanted == (None, None):
        return None
    numbers = [end if bound is None else _number(bound) for bound, end in zip(wanted, _ENDS, strict=True)]
    return None if None in numbers else (numbers[0], numbers[1])  # type: ignore[return-value]


def _limit(bound: Any, wanted: Any, name: str) -> float:
    if (number := _number(bound)) is None:
        raise OptionError(
            f"{name}={wanted!r} compares with no number; give one, such as ('<', 1e6) or '< 1e6'."
        )
    return number


def _compared(item: Any, wanted: Any, name: str) -> float:
    """Return a field's value as the number that it must be to be compared."""
    if (number := _number(item)) is None:
        raise OptionError(
            f"{name}={wanted!r} compares numbers, and {name} is {item!r}, which is none; give a text, a list of "
            "values or a compiled pattern."
        )
    return number


def _number(value: Any) -> float | None:
    """Return a number, also one that is written as text; None for anything else."""
    if isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return None if math.isnan(number) else number


def _answer(wanted: Callable[[Any], Any], value: Any, name: str) -> bool:
    try:
        return bool(wanted(value))
    except Exception as error:  # whatever a user's function raises
        raise OptionError(f"The function given for {name} failed on {value!r}: {error!r}.") from error


def _equals(item: Any, wanted: Any) -> bool:
    if isinstance(wanted, re.Pattern):
        return item is not None and wanted.search(str(item)) is not None
    if isinstance(wanted, str):
        if isinstance(item, bool) and wanted.casefold() in _YES_AND_NO:
            return item == _YES_AND_NO[wanted.casefold()]
        return item is not None and str(item).casefold() == wanted.casefold()
    if isinstance(item, str) and (number := _number(wanted)) is not None:
        return _number(item) == number
    return bool(item == wanted)
