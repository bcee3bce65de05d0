"""What a field must be: a value, one of several, a pattern, a range of numbers or dates, or what a function says."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from intake_tcga.archs4.text_match import contains, term_of
from intake_tcga.errors import OptionError

if TYPE_CHECKING:
    import pyarrow as pa

Mask: TypeAlias = npt.NDArray[np.bool_]

_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
_WRITTEN = re.compile(r"\s*(<=|>=|==|!=|<|>)\s*(.*?)\s*", re.DOTALL)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_GEO_DATE = re.compile(rf"\b({'|'.join(_MONTHS)}) (\d{{1,2}}) (\d{{4}})\b")
_ISO_DATE = re.compile(r"(\d{4})(?:-(\d{1,2})(?:-(\d{1,2}))?)?(?:[T ].*)?")
_FORMS = (
    "give a value, a list of values, a compiled pattern, a comparison such as ('>=', 1e6) or '>= 1e6', a range such as "
    "('2016-01-01', None), or a function"
)


def meets(column: pa.Array, wanted: Any, field: str) -> Mask:
    """Tell which values of a column are what they must be.

    Parameters
    ----------
    column : pyarrow.Array
        Text, a dictionary of text, or numbers.
    wanted
        A text: the same text, in either case; one that begins with ``<``, ``<=``, ``>``, ``>=``, ``==`` or ``!=`` is
        a comparison. A number: that number, also where numbers are stored as text. A list or set: any of them. A
        compiled pattern: found anywhere. A tuple of an operator and a value: a comparison. A tuple of two bounds,
        each included, either of which may be None: a range. Bounds that are numbers compare numbers; dates
        (``datetime.date``, ``"2016-01-31"``, ``"2016-01"``, ``"2016"``, ``"Jan 31 2016"``) compare dates, also
        within a text such as "Public on Jun 10 2016". A function: of each distinct value.
    field : str
        Its name, for messages.

    Returns
    -------
    numpy.ndarray of bool
        What is no number, or no date, is in no range of them.

    Raises
    ------
    OptionError
        When ``wanted`` is of no such form, or a function fails.

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
    if isinstance(wanted, str) and (written := _WRITTEN.fullmatch(wanted)):
        return _compared(column, written.groups(), field)
    if isinstance(wanted, str) or _is_number(wanted):
        return _equal(column, wanted)
    if isinstance(wanted, date):
        return _compared(column, ("==", wanted), field)
    if callable(wanted):
        return _each_distinct(column, lambda value: _answer(wanted, value, field))
    if isinstance(wanted, Iterable) and not isinstance(wanted, bytes):
        masks = [meets(column, one, field) for one in wanted]
        return np.logical_or.reduce(masks) if masks else np.zeros(len(column), dtype=bool)
    raise OptionError(f"{field}={wanted!r} is no condition; {_FORMS}.")


def _equal(column: pa.Array, wanted: str | float) -> Mask:
    import pyarrow as pa

    if _is_numeric(column):
        number = _number(wanted)
        return np.asarray(column.to_numpy(zero_copy_only=False) == number)
    if isinstance(column, pa.DictionaryArray):
        return np.asarray(_equal(column.dictionary, wanted)[column.indices.to_numpy()])
    if not isinstance(wanted, str):
        return np.asarray(_numbers(column) == float(wanted))
    # The lengths of texts that differ in case alone may differ too, so only Python's own folding will do.
    folded = wanted.casefold()
    return np.fromiter((text.casefold() == folded for text in column.to_pylist()), bool, count=len(column))


def _compared(column: pa.Array, wanted: tuple[Any, ...], field: str) -> Mask:
    """Compare numbers or dates, whichever the bounds are."""
    if len(wanted) != 2:
        raise OptionError(f"{field}={wanted!r} is no condition; {_FORMS}.")
    first, second = wanted
    named = isinstance(first, str) and first in _COMPARE
    bounds = [second] if named else [bound for bound in wanted if bound is not None]
    if not bounds:
        raise OptionError(f"{field}={wanted!r} has no bound; {_FORMS}.")
    if all(_is_number(bound) for bound in bounds) or _is_numeric(column):
        numbers = [_number(bound) for bound in bounds]
        if any(math.isnan(number) for number in numbers):
            raise OptionError(f"{field}={wanted!r} compares numbers with something else; give numbers.")
        values = _numbers(column)
        if named:
            return np.asarray(_COMPARE[first](values, numbers[0])) & ~np.isnan(values)
        low = -math.inf if first is None else numbers[0]
        high = math.inf if second is None else numbers[-1]
        return np.asarray((values >= low) & (values <= high))
    days = _days(column)
    periods = [_period(bound, field) for bound in bounds]
    if named:
        return _compared_with_period(days, first, periods[0])
    inside = days != _NO_DAY
    if first is not None:
        inside &= days >= periods[0].first
    if second is not None:
        inside &= days <= periods[-1].last
    return np.asarray(inside)


# ── numbers ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def _is_numeric(column: pa.Array) -> bool:
    import pyarrow as pa

    kind = column.type
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind))


def _numbers(column: pa.Array) -> npt.NDArray[np.float64]:
    """Return a column as numbers; NaN for what is none."""
    import pyarrow as pa

    if isinstance(column, pa.DictionaryArray):
        return np.asarray(_numbers(column.dictionary)[column.indices.to_numpy()])
    if _is_numeric(column):
        return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.float64)
    return np.fromiter((_number(text) for text in column.to_pylist()), np.float64, count=len(column))


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


# ── dates ─────────────────────────────────────────────────────────────────────────────────────────────────────────

_NO_DAY = -1


@dataclass(frozen=True, slots=True)
class _Period:
    """A day, a month or a year."""

    first: int
    """Its first day, counted as :meth:`datetime.date.toordinal` does."""

    last: int
    """Its last day."""


def _compared_with_period(days: npt.NDArray[np.int64], sign: str, period: _Period) -> Mask:
    within = (days >= period.first) & (days <= period.last)
    found = {
        "<": days < period.first,
        "<=": days <= period.last,
        ">": days > period.last,
        ">=": days >= period.first,
        "==": within,
        "!=": ~within,
    }[sign]
    return np.asarray(found & (days != _NO_DAY))


def _period(value: Any, field: str) -> _Period:
    """Return the days that a bound stands for."""
    if isinstance(value, np.datetime64):
        value = value.astype("datetime64[D]").item()
    if isinstance(value, datetime):
        value = value.date()
    if isinstance(value, date):
        return _Period(value.toordinal(), value.toordinal())
    if isinstance(value, str) and (iso := _ISO_DATE.fullmatch(value.strip())):
        year, month, day = iso.groups()
        try:
            first = date(int(year), int(month or 1), int(day or 1))
            after = first + timedelta(1) if day else _next(first, whole_year=month is None)
            return _Period(first.toordinal(), after.toordinal() - 1)
        except (ValueError, OverflowError):  # the year 0, the 31st of June
            pass
    if isinstance(value, str) and (only := _day(value)) != _NO_DAY:
        return _Period(only, only)
    raise OptionError(
        f"{field} cannot be compared with {value!r}; give a number, or a date such as '2016-01-31', '2016' or "
        "'Jan 31 2016'."
    )


def _next(first: date, *, whole_year: bool) -> date:
    if whole_year or first.month == 12:
        return date(first.year + 1, 1, 1)
    return date(first.year, first.month + 1, 1)


def _days(column: pa.Array) -> npt.NDArray[np.int64]:
    """Return the day that each text tells, as a number."""
    import pyarrow as pa

    if isinstance(column, pa.DictionaryArray):
        return np.asarray(_days(column.dictionary)[column.indices.to_numpy()])
    return np.fromiter((_day(text) for text in column.to_pylist()), np.int64, count=len(column))


@lru_cache(maxsize=2**14)
def _day(text: str) -> int:
    """Return the first day that a text tells, as GEO writes it (``Jun 08 2017``) or ISO 8601 does."""
    try:
        if geo := _GEO_DATE.search(text):
            month, day, year = geo.groups()
            return date(int(year), _MONTHS.index(month) + 1, int(day)).toordinal()
        if (iso := _ISO_DATE.fullmatch(text.strip())) and iso[3]:
            return date(int(iso[1]), int(iso[2]), int(iso[3])).toordinal()
    except ValueError:  # the 31st of June
        pass
    return _NO_DAY


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
