"""Which samples a search finds: terms in their texts, and what their fields must be."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np

from intake_tcga.archs4.conditions import Mask, by_field, listed, meets
from intake_tcga.archs4.samples import Samples
from intake_tcga.archs4.selection import SERIES, in_series, single_cells
from intake_tcga.archs4.text_match import Term, contains, term_of
from intake_tcga.errors import OptionError

if TYPE_CHECKING:
    import numpy.typing as npt

DEFAULT_FIELDS = (
    "geo_accession",
    "series_id",
    "characteristics_ch1",
    "extract_protocol_ch1",
    "source_name_ch1",
    "title",
)
"""The fields that terms are looked for in, as far as a file has them: those that archs4py searches."""

Terms = str | re.Pattern[str] | Iterable[str | re.Pattern[str]] | None
Match = Literal["all", "any"]

_SIGNED_SERIES = re.compile(r"\s*(==|!=)?\s*(GSE\d+)\s*", re.IGNORECASE)

_T = TypeVar("_T")
_R = TypeVar("_R")


def searched_fields(samples: Samples, fields: str | Iterable[str] | None) -> tuple[str, ...]:
    """Return the fields that terms are looked for in.

    Raises
    ------
    NameNotFoundError
        When there is no such field.
    OptionError
        When none is given.
    """
    if fields is None:
        return tuple(field for field in DEFAULT_FIELDS if field in samples.fields) or samples.fields
    wanted = samples.known([fields] if isinstance(fields, str) else fields)
    if not wanted:
        raise OptionError(f"fields=() names no field; there are: {', '.join(samples.fields)}.")
    return wanted


def find(
    samples: Samples,
    terms: Terms = None,
    fields: str | Iterable[str] | None = None,
    *,
    regex: bool = True,
    match: Match = "all",
    single_cell: bool | None = None,
    threshold: float = 0.5,
    conditions: Mapping[str, Any] | None = None,
) -> npt.NDArray[np.intp]:
    """Find samples.

    Parameters
    ----------
    samples : Samples
        What is searched.
    terms : str, re.Pattern or several, optional
        What some field must contain, in either case.
    fields : str or iterable of str, optional
        Where terms are looked for; by default in :data:`DEFAULT_FIELDS`.
    regex : bool
        Whether terms are regular expressions, with the meaning that Python's :mod:`re` gives them.
    match : {"all", "any"}
        Whether all terms must be found, each in any field, or any of them.
    single_cell : bool, optional
        False for samples whose ``singlecellprobability`` is below the threshold, True for the rest, None for all.
    threshold : float
        From 0 to 1.
    conditions : mapping, optional
        Field → what it must be, all of them; see :func:`intake_tcga.archs4.conditions.meets`. A series
        (``series_id="GSE64016"``) has also those members that are in several, and ``"!= GSE64016"`` has none of them.

    Returns
    -------
    numpy.ndarray of int
        Positions, rising; none where nothing is found.

    Raises
    ------
    NameNotFoundError
        When there is no such field; the message lists those there are.
    OptionError
        When an expression is none, or an option has a value that it cannot have.
    """
    wanted = _terms(terms, regex=regex)
    if match not in {"all", "any"}:
        raise OptionError(f"match={match!r} is not one of all, any.")
    where = searched_fields(samples, fields)
    conditions = by_field(conditions)
    samples.known(conditions)

    found = np.ones(samples.size, dtype=bool)
    if single_cell is not None:
        found &= single_cells(samples, single_cell, threshold)
    for mask in _each(lambda field: _condition(samples, field, conditions[field]), list(conditions)):
        found &= mask
    if wanted:
        combine = np.logical_and if match == "all" else np.logical_or
        found &= combine.reduce(_in_any_field(samples, where, wanted))
    return np.flatnonzero(found)


def _terms(terms: Terms, *, regex: bool) -> list[Term]:
    if terms is None:
        return []
    several = (
        [terms] if isinstance(terms, str | re.Pattern) or not isinstance(terms, Iterable) else list(terms)
    )
    if not several:
        raise OptionError("An empty list of terms finds nothing; give some, or none at all (terms=None).")
    return [term_of(term, regex=regex) for term in several]


def _in_any_field(samples: Samples, fields: Sequence[str], terms: Sequence[Term]) -> list[Mask]:
    """Tell for each term which samples have it in any of the fields."""

    def in_field(field: str) -> list[Mask]:
        column = samples.column(field)
        return [contains(column, term) for term in terms]

    by_field = _each(in_field, fields)
    return [np.logical_or.reduce([masks[number] for masks in by_field]) for number in range(len(terms))]


def _condition(samples: Samples, field: str, wanted: Any) -> Mask:
    if field == SERIES:
        return _series_condition(samples, wanted)
    return meets(samples.column(field), wanted, field)


def _series_condition(samples: Samples, wanted: Any) -> Mask:
    """Tell which samples are in series that are wanted, or in none that is not, whatever else they are in."""
    one = isinstance(wanted, str | bytes | tuple | Mapping) or not isinstance(wanted, Iterable)
    several = [wanted] if one else listed(wanted)
    named = [_signed_series(each) for each in several]
    found = in_series(samples, [series for sign, series in named if sign == "=="])
    for each, (sign, series) in zip(several, named, strict=True):
        if sign == "!=":
            found |= ~in_series(samples, [series])
        elif not sign:
            found |= meets(samples.column(SERIES), each, SERIES)
    return found


def _signed_series(wanted: Any) -> tuple[str, str]:
    """Read ``GSE1``, ``!= GSE1`` and ``("!=", "GSE1")`` as a sign and a series; any other condition has no sign."""
    if isinstance(wanted, tuple) and len(wanted) == 2 and all(isinstance(part, str) for part in wanted):
        wanted = "".join(wanted) if wanted[0] in ("==", "!=") else None
    read = _SIGNED_SERIES.fullmatch(wanted) if isinstance(wanted, str) else None
    return (read[1] or "==", read[2].upper()) if read else ("", "")


def _each(work: Callable[[_T], _R], items: Sequence[_T]) -> list[_R]:
    """Do something for each item, two at a time: while one column is read, another is searched."""
    if len(items) <= 1:
        return [work(item) for item in items]
    with ThreadPoolExecutor(2, thread_name_prefix="intake-tcga-search") as pool:
        return list(pool.map(work, items))
