"""Whether texts contain a term, with the meaning that Python's ``re`` gives it, at the speed of Arrow's RE2.

The two agree on most expressions, but beyond ASCII they differ in what a word, a digit or a blank is, and in the other
case of a few letters. So Arrow searches everything; Python searches again the texts on which the two may differ, and
everything where an expression is one that RE2 lacks (lookaheads, references back) or reads in another way.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from intake_tcga.errors import OptionError

if TYPE_CHECKING:
    import pyarrow as pa

_SLICE = 2**16  # texts that one thread searches at a time
_ESCAPED_LETTERS = "dDwWsSbAtnrfv"  # whose meaning is the same in both; \B is not, on the empty text
_CASELESS = frozenset("ıſK\u0130")  # letters beyond ASCII that are, in another case, ones of ASCII
_DIFFERENT = re.compile(
    rf"""
      \\ (?: [^\W_] (?<![{_ESCAPED_LETTERS}]) | _ )  # other letters, references, octal numbers
    | \[ [\[:.=]  | \[\^ \[                         # RE2 has classes by name
    | \{{ ,                                         # from nought in Python, as it stands in RE2
    | \( \? (?! : | P< )                            # lookarounds, flags, atoms, comments
    | [*+?}}] \+                                    # possessive
    """,
    re.VERBOSE,
)
_CONTROLS = r"[\x00-\x1f\x7f]"
_CASES_OF_I = "İ|ı"  # which Python takes for an i in either case, and RE2 for none
_BLOCK = 2**20


_BEYOND_ASCII, _CONTROL, _I = "beyond ASCII", "control characters", "cases of i"


@dataclass(frozen=True, slots=True)
class Term:
    """What is looked for."""

    pattern: re.Pattern[str]
    """What it means."""

    arrow: str | None
    """What means the same to Arrow, on texts in ASCII; None where nothing does."""

    ignore_case: bool
    """Whether Arrow is to ignore the case of letters."""

    differs: tuple[str, ...]
    """What a text contains on which Python and Arrow may differ about it: some of the kinds below."""


def term_of(text: str | re.Pattern[str], *, regex: bool) -> Term:
    """Read a term.

    Parameters
    ----------
    text : str or re.Pattern
        A text, found in either case; or a compiled expression, which keeps its own flags.
    regex : bool
        Whether a text is a regular expression.

    Returns
    -------
    Term

    Raises
    ------
    OptionError
        When it is empty, no text, or not a regular expression; the message says where it goes wrong.
    """
    if isinstance(text, re.Pattern):
        if not isinstance(text.pattern, str):
            raise OptionError(f"{text.pattern!r} is a pattern of bytes; compile one of text.")
        return _term(text, text.pattern)
    if not isinstance(text, str) or not text:
        raise OptionError(f"{text!r} cannot be searched for; give a text, such as 'myoblast'.")
    if not regex:
        return _term(re.compile(re.escape(text), re.IGNORECASE), re.escape(text))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of sets within sets, which we leave to Python
            return _term(re.compile(text, re.IGNORECASE), text)
    except (re.error, OverflowError, RecursionError) as error:
        place = f" at position {error.pos}" if isinstance(error, re.error) and error.pos is not None else ""
        why = error.msg if isinstance(error, re.error) else str(error)
        raise OptionError(
            f"{text!r} is not a regular expression: {why}{place}. Correct it, or pass regex=False to find it as it "
            "stands."
        ) from error


def _term(pattern: re.Pattern[str], text: str) -> Term:
    ignore_case = bool(pattern.flags & re.IGNORECASE)
    usual = pattern.flags & ~re.IGNORECASE == re.UNICODE
    same = usual and not _DIFFERENT.search(text) and _ascii_alike(text)
    kinds = {
        _BEYOND_ASCII: not text.isascii() or re.search(r"\\[dDwWsSb]", text),
        _CONTROL: re.search(r"\$|\\[sS]", text),
        _I: ignore_case and re.search(r"[iI\[]", text),
    }
    return Term(
        pattern, text if same else None, ignore_case, tuple(kind for kind, may in kinds.items() if may)
    )


def _ascii_alike(text: str) -> bool:
    """Tell whether letters beyond ASCII, if there are any, make no difference on texts in ASCII."""
    return text.isascii() or not ("[" in text or _CASELESS.intersection(text))


def contains(column: pa.Array, term: Term) -> npt.NDArray[np.bool_]:
    """Tell which values of a column contain a term.

    Parameters
    ----------
    column : pyarrow.Array
        Text, a dictionary of text, or numbers, which are searched as they are written.
    term : Term
        From :func:`term_of`.

    Returns
    -------
    numpy.ndarray of bool
        As ``term.pattern.search`` says of each value.

    Examples
    --------
    >>> import pyarrow as pa
    >>> contains(pa.array(["Liver", "lung"]), term_of("liver|brain", regex=True)).tolist()
    [True, False]
    """
    import pyarrow as pa

    if isinstance(column, pa.DictionaryArray):  # each distinct text once
        return np.asarray(contains(column.dictionary, term)[column.indices.to_numpy()])
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        column = pa.array([str(value) for value in column.to_pylist()], pa.string())
    if term.arrow is None:
        return _python(column, term)
    slices = [column.slice(at, _SLICE) for at in range(0, len(column), _SLICE)]
    return _joined(_each(slices, term))


def _each(slices: list[Any], term: Term) -> Iterable[npt.NDArray[np.bool_]]:
    if len(slices) <= 1:
        return [_arrow(one, term) for one in slices]
    with ThreadPoolExecutor(min(len(slices), os.cpu_count() or 1)) as pool:  # Arrow lets go of Python's lock
        return list(pool.map(lambda one: _arrow(one, term), slices))


def _joined(parts: Iterable[npt.NDArray[np.bool_]]) -> npt.NDArray[np.bool_]:
    return np.concatenate([np.empty(0, dtype=bool), *parts])


def _arrow(texts: pa.Array, term: Term) -> npt.NDArray[np.bool_]:
    """Search with RE2, and again with Python what the two may differ on."""
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        found = _bools(pc.match_substring_regex(texts, term.arrow, ignore_case=term.ignore_case))
    except pa.ArrowInvalid:  # one that RE2 refuses: it lacks something, or it would take too much memory
        return _python(texts, term)
    places = np.flatnonzero(_odd(texts, term))
    if len(places):
        found[places] = _python(texts.take(pa.array(places)), term)
    return found


def _odd(texts: pa.Array, term: Term) -> npt.NDArray[np.bool_]:
    """Tell on which texts Python and Arrow may differ about a term."""
    import pyarrow.compute as pc

    odd = np.zeros(len(texts), dtype=bool)
    if _BEYOND_ASCII in term.differs:
        odd |= ~_bools(pc.string_is_ascii(texts))
    elif _I in term.differs and _may_have_cases_of_i(texts):
        odd |= _bools(pc.match_substring_regex(texts, _CASES_OF_I))
    if _CONTROL in term.differs:
        odd |= _bools(pc.match_substring_regex(texts, _CONTROLS))
    return odd


def _may_have_cases_of_i(texts: pa.Array) -> bool:
    """Tell whether the first byte that both such letters have in UTF-8 occurs at all: a fraction of a search."""
    import pyarrow as pa

    _, bounds, content = texts.buffers()
    if content is None:
        return False
    ends = np.frombuffer(bounds, dtype=np.int64 if pa.types.is_large_string(texts.type) else np.int32)
    held = np.frombuffer(content, dtype=np.uint8)[ends[texts.offset] : ends[texts.offset + len(texts)]]
    return any((held[at : at + _BLOCK] == 0xC4).any() for at in range(0, len(held), _BLOCK))


def _bools(values: pa.Array) -> npt.NDArray[np.bool_]:
    return np.array(values.to_numpy(zero_copy_only=False), dtype=bool)


def _python(texts: pa.Array, term: Term) -> npt.NDArray[np.bool_]:
    search = term.pattern.search
    return np.fromiter((search(text) is not None for text in texts.to_pylist()), dtype=bool, count=len(texts))
