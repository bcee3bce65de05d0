"""What a field must be: a value, one of several, a pattern, a range of numbers or dates, or what a function says."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from intake_tcga.archs4.dates import NO_DAY, Period, compared_with_period, days_of, period_of
from intake_tcga.archs4.text_match import contains, term_of
from intake_tcga.errors import OptionError
from intake_tcga.facets import COMPARISONS, WRITTEN_COMPARISON

if TYPE_CHECKING:
    import pyarrow as pa

Mask: TypeAlias = npt.NDArray[np.bool_]

_FORMS = (
    "give a value, a list of values, a compiled pattern, a comparison such as ('>=', 1e6) or '>= 1e6', a range such as "
    "('2016-01-01', None) or '2016..2017', or a function"
)


def meets(column: pa.Array, wanted: Any, field: str) -> Mask:
    """Tell which values of a column are what they must be.

    Parameters
    ----------
    column : pyarrow.Array
        Text, a dictionary of text, or numbers.
    wanted
        A text: the same text, in either case; one that begins with ``<``, ``<=``, ``>``, ``>=``, ``==`` or ``!=`` is
        a comparison, and two numbers or dates with ``..`` between them, either of which may be missing, are a range.
        A number: that number, also where numbers are stored as text. A list or set: any of them. A compiled pattern:
        found anywhere. A tuple of an operator and a value: a comparison. A tuple of two bounds, each included, either
        of which may be None: a range. In a column of dates, dates (``datetime.date``, ``"2016-01-31"``,
        ``"2016-01"``, ``"2016"`` or 2016, ``"Jan 31 2016"``) are compared as dates, also with texts such as "Public on
        Jun 10 2016"; elsewhere numbers are compared as numbers. ``==`` and ``!=`` compare other texts, too: of texts,
        ``!= 293`` are all that are not that number. A function: of each distinct value.
    field : str
        Its name, for messages.

    Returns
    -------
    numpy.ndarray of bool
        What is no number, or no date, is in no range of them.

    Raises
    ------
    OptionError
        When ``wanted`` is of no such form, or a function fails; or when numbers or dates are compared with a column
        of texts none of which is one.

    Examples
    --------
    >>> import pyarrow as pa
    >>> meets(pa.array(["Jun 08 2017", "Jan 02 2015"]), ("2016", None), "submission_date").tolist()
    [True, False]
    >>> meets(pa.array([0.2, 0.7]), "< 0.5", "singlecellprobability").tolist()
    [True, False]
    """
    if isinstance(wanted, re.Pattern):
        return contains(column, term_of(wanted, regex=True))
    if isinstance(wanted, tuple):
        return _compared(column, wanted, field)
    if isinstance(wanted, str) and (written := _written(wanted)):
        return _compared(column, written, field)
    if isinstance(wanted, str) or _is_number(wanted):
        return _any_of(column, [wanted])
    if isinstance(wanted, date | np.datetime64):
        return _compared(column, ("==", wanted), field)
    if callable(wanted):
        return _each_distinct(column, lambda value: _answer(wanted, value, field))
    if isinstance(wanted, Iterable) and not isinstance(wanted, bytes | Mapping):
        return _meets_any(column, listed(wanted), field)
    raise OptionError(f"{field}={wanted!r} is no condition; {_FORMS}.")


def listed(several: Iterable[Any]) -> list[Any]:
    """Return several values one by one, also those of arrays, whose own items may be arrays again."""
    return list(np.asarray(several).ravel()) if hasattr(several, "__array__") else list(several)


def by_field(conditions: Any) -> dict[str, Any]:
    """Return conditions by field.

    Raises
    ------
    OptionError
        When they are no mapping.
    """
    if conditions is None:
        return {}
    if not isinstance(conditions, Mapping):
        raise OptionError(
            f"where={conditions!r} is no mapping of fields to conditions; give one, such as "
            "{'submission_date': '2016..2017'}."
        )
    return dict(conditions)


def as_text(wanted: Any, field: str) -> Any:
    """Return a condition as a catalog can have it: what :func:`meets` reads as the same, without tuples.

    Raises
    ------
    OptionError
        When it is a pattern or a function, which have no such form; or none at all.

    Examples
    --------
    >>> as_text((">=", 1e6), "aligned_reads"), as_text(("2016", None), "submission_date")
    ('>= 1000000.0', '2016..')
    """
    if isinstance(wanted, re.Pattern) or callable(wanted):
        raise OptionError(
            f"where={{{field!r}: {wanted!r}}} cannot be saved, since catalogs have no patterns and no functions; give "
            "a text, a list, a comparison such as '>= 1e6' or a range such as '2016..2017', or look for a pattern's "
            "text with search= and fields=."
        )
    if isinstance(wanted, tuple):
        _check_form(wanted, field)
        bounds = ["" if bound is None else _bound_as_text(bound) for bound in wanted]
        text = (" " if bounds[0] in COMPARISONS else "..").join(bounds)
        if _written(text) is None:
            raise OptionError(f"{field}={wanted!r} is no condition; {_FORMS}.")
        return text
    if isinstance(wanted, np.generic):
        return wanted.astype("datetime64[D]").item() if isinstance(wanted, np.datetime64) else wanted.item()
    if isinstance(wanted, Iterable) and not isinstance(wanted, str | bytes | Mapping):
        several = [as_text(one, field) for one in listed(wanted)]
        return sorted(several, key=str) if isinstance(wanted, set | frozenset) else several
    return wanted


def _bound_as_text(bound: Any) -> str:
    if isinstance(bound, np.generic):
        bound = bound.astype("datetime64[D]").item() if isinstance(bound, np.datetime64) else bound.item()
    return str(bound.date() if isinstance(bound, datetime) else bound)


def _written(text: str) -> tuple[Any, ...] | None:
    """Read ``>= 1e6`` and ``2016..2017``; None for any other text."""
    if comparison := WRITTEN_COMPARISON.fullmatch(text):
        return comparison.groups()
    low, dots, high = (part.strip() for part in text.partition(".."))
    bounds = [bound for bound in (low, high) if bound]
    if dots and bounds and all(not math.isnan(_number(bound)) or period_of(bound) for bound in bounds):
        return (low or None, high or None)
    return None


def _meets_any(column: pa.Array, wanted: list[Any], field: str) -> Mask:
    """Look up plain values all at once, and whatever else there is one by one."""
    plain = [one for one in wanted if _is_number(one) or (isinstance(one, str) and not _written(one))]
    found = _any_of(column, plain) if plain else np.zeros(len(column), dtype=bool)
    if len(plain) < len(wanted):
        for one in wanted:
            if not _is_number(one) and not (isinstance(one, str) and not _written(one)):
                found |= meets(column, one, field)
    return found


def _any_of(column: pa.Array, wanted: list[Any]) -> Mask:
    """Tell which values are any of some texts and numbers, or on a day that one of them tells."""
    if _is_numeric(column):
        return np.isin(column.to_numpy(zero_copy_only=False), [_number(one) for one in wanted])
    found = _any_text(column, wanted)
    periods = {period for one in wanted if (period := period_of(one, within_text=False))}
    if periods and _tells_days(column):
        days = days_of(column)
        for period in periods:
            found |= compared_with_period(days, "==", period)
    return found


def _any_text(column: pa.Array, wanted: list[Any]) -> Mask:
    """Tell which texts are any of some texts, or any of some numbers."""
    # The lengths of texts that differ in case alone may differ too, so only Python's own folding will do.
    texts = {one.casefold() for one in wanted if isinstance(one, str)}
    numbers = {float(one) for one in wanted if not isinstance(one, str)}
    return _each_distinct(
        column, lambda text: text.casefold() in texts or (bool(numbers) and _number(text) in numbers)
    )


def _check_form(wanted: tuple[Any, ...], field: str) -> None:
    if len(wanted) != 2:
        raise OptionError(f"{field}={wanted!r} is no condition; {_FORMS}.")
    named = isinstance(wanted[0], str) and wanted[0] in COMPARISONS
    if wanted[1] is None and (named or wanted[0] is None):
        raise OptionError(f"{field}={wanted!r} has no bound; {_FORMS}.")


def _compared(column: pa.Array, wanted: tuple[Any, ...], field: str) -> Mask:
    """Compare numbers or dates, whichever the bounds and the column are."""
    _check_form(wanted, field)
    first, second = wanted
    sign = first if isinstance(first, str) and first in COMPARISONS else None
    bounds = [second] if sign else [bound for bound in wanted if bound is not None]
    numbers = [_number(bound) for bound in bounds]
    are_numbers = not any(math.isnan(number) for number in numbers)
    if _is_numeric(column):
        if not are_numbers:
            raise OptionError(f"{field}={wanted!r} compares numbers with something else; give numbers.")
        return _numbers_within(as_numbers(column), sign, wanted, numbers)
    periods = [period for bound in bounds if (period := period_of(bound))]
    are_dates = len(periods) == len(bounds)
    if are_dates and _tells_days(column):
        return _days_within(days_of(column), sign, wanted, periods)
    if sign in ("==", "!=") and (are_numbers or isinstance(second, str)):
        same = _any_text(column, [second, *numbers] if are_numbers else [second])
        return same if sign == "==" else ~same
    if are_numbers and not np.isnan(values := as_numbers(column)).all():
        return _numbers_within(values, sign, wanted, numbers)
    if not are_numbers and not are_dates:
        wrong = next(bound for bound in bounds if math.isnan(_number(bound)) and not period_of(bound))
        raise OptionError(
            f"{field} cannot be compared with {wrong!r}; give a number, or a date such as '2016-01-31', '2016' or "
            "'Jan 31 2016'."
        )
    if any(text.strip() for text in column.to_pylist()):
        what = "number" if are_numbers else "date"
        raise OptionError(
            f"{field}={wanted!r} compares {what}s, and no value of {field} is a {what}; give texts, or a "
            "compiled pattern."
        )
    return np.zeros(len(column), dtype=bool)


# ── numbers ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def _is_numeric(column: pa.Array) -> bool:
    import pyarrow as pa

    kind = column.type
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind))


def as_numbers(column: pa.Array) -> npt.NDArray[np.float64]:
    """Return a column as numbers; NaN for what is none."""
    import pyarrow as pa

    if isinstance(column, pa.DictionaryArray):
        return np.asarray(as_numbers(column.dictionary)[column.indices.to_numpy()])
    if _is_numeric(column):
        return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.float64)
    return np.fromiter((_number(text) for text in column.to_pylist()), np.float64, count=len(column))


def _numbers_within(
    values: npt.NDArray[np.float64], sign: str | None, wanted: tuple[Any, ...], numbers: list[float]
) -> Mask:
    if sign:
        return np.asarray(COMPARISONS[sign](values, numbers[0])) & ~np.isnan(values)
    low = -math.inf if wanted[0] is None else numbers[0]
    high = math.inf if wanted[1] is None else numbers[-1]
    return np.asarray((values >= low) & (values <= high))


def _number(value: Any) -> float:
    if isinstance(value, bool | np.datetime64):
        return math.nan
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


# ── dates ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _tells_days(column: pa.Array) -> bool:
    """Tell whether a column is one of dates: a few years among numbers do not make it one."""
    days = np.count_nonzero(days_of(column) != NO_DAY)
    return bool(days) and bool(days >= np.count_nonzero(~np.isnan(as_numbers(column))))


def _days_within(
    days: npt.NDArray[np.int64], sign: str | None, wanted: tuple[Any, ...], periods: list[Period]
) -> Mask:
    if sign:
        return compared_with_period(days, sign, periods[0])
    inside = days != NO_DAY
    if wanted[0] is not None:
        inside &= days >= periods[0].first
    if wanted[1] is not None:
        inside &= days <= periods[-1].last
    return np.asarray(inside)


# ── functions ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _each_distinct(column: pa.Array, test: Callable[[Any], bool]) -> Mask:
    import pyarrow as pa

    encoded = column if isinstance(column, pa.DictionaryArray) else column.dictionary_encode()
    answers = np.array([test(value) for value in encoded.dictionary.to_pylist()], dtype=bool)
    return answers[encoded.indices.to_numpy()] if len(encoded) else np.zeros(0, dtype=bool)


def _answer(test: Callable[[Any], Any], value: Any, field: str) -> bool:
    try:
        return bool(test(value))
    except Exception as error:  # whatever a user's function raises
        raise OptionError(f"The function given for {field} failed on {value!r}: {error!r}.") from error
