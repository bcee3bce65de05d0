"""Dates as GEO writes them, as ISO 8601 does, and as Python has them: days that can be compared."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pyarrow as pa

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_GEO_DATE = re.compile(rf"\b({'|'.join(_MONTHS)}) (\d{{1,2}}) (\d{{4}})\b")
_ISO_DATE = re.compile(r"(\d{4})(?:-(\d{1,2})(?:-(\d{1,2}))?)?(?:[T ].*)?")
NO_DAY = -1
"""Stands for the day of a text that tells none."""


@dataclass(frozen=True, slots=True)
class Period:
    """A day, a month or a year."""

    first: int
    """Its first day, counted as :meth:`datetime.date.toordinal` does."""

    last: int
    """Its last day."""


def compared_with_period(days: npt.NDArray[np.int64], sign: str, period: Period) -> npt.NDArray[np.bool_]:
    """Compare days (:func:`days_of`) with a period; what is no day compares with nothing.

    Parameters
    ----------
    days : numpy.ndarray of int
        Days.
    sign : {"<", "<=", ">", ">=", "==", "!="}
        ``==`` is within the period.
    period : Period
        What they are compared with.
    """
    within = (days >= period.first) & (days <= period.last)
    found = {
        "<": days < period.first,
        "<=": days <= period.last,
        ">": days > period.last,
        ">=": days >= period.first,
        "==": within,
        "!=": ~within,
    }[sign]
    return np.asarray(found & (days != NO_DAY))


def period_of(value: Any, *, within_text: bool = True) -> Period | None:
    """Return the days that a value stands for.

    Parameters
    ----------
    value
        A date of any kind, a text that tells one, or a whole number: a year.
    within_text : bool
        Whether a text may say more than its date.

    Returns
    -------
    Period or None
        None where it is no date.

    Examples
    --------
    >>> period = period_of("2016-02")
    >>> period.last - period.first + 1
    29
    """
    if isinstance(value, np.datetime64):
        value = value.astype("datetime64[D]").item()
    if isinstance(value, datetime):
        value = value.date()
    if isinstance(value, date):
        return Period(value.toordinal(), value.toordinal())
    number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if number and float(value).is_integer():
        value = str(int(value))
    if not isinstance(value, str):
        return None
    if iso := _ISO_DATE.fullmatch(value.strip()):
        year, month, day = iso.groups()
        try:
            first = date(int(year), int(month or 1), int(day or 1))
            after = first + timedelta(1) if day else _next(first, whole_year=month is None)
            return Period(first.toordinal(), after.toordinal() - 1)
        except (ValueError, OverflowError):  # the year 0, the 31st of June
            return None
    if not within_text and not _GEO_DATE.fullmatch(value.strip()):
        return None
    only = _day(value)
    return None if only == NO_DAY else Period(only, only)


def _next(first: date, *, whole_year: bool) -> date:
    if whole_year or first.month == 12:
        return date(first.year + 1, 1, 1)
    return date(first.year, first.month + 1, 1)


def days_of(column: pa.Array) -> npt.NDArray[np.int64]:
    """Return the day that each text of a column tells, counted as :class:`Period` does; :data:`NO_DAY` for none."""
    import pyarrow as pa

    if isinstance(column, pa.DictionaryArray):
        return np.asarray(days_of(column.dictionary)[column.indices.to_numpy()])
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
    return NO_DAY
