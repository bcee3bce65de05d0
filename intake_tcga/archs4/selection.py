"""Samples by name: those of series, those with given accessions, and some drawn at random."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from intake_tcga.archs4.conditions import Mask, as_numbers, listed
from intake_tcga.archs4.metadata import as_numpy
from intake_tcga.archs4.samples import Samples
from intake_tcga.errors import NameNotFoundError, OptionError
from intake_tcga.sampling import draw

SERIES = "series_id"
"""The field of series; a sample may be in several, and files differ in what stands between them."""

SINGLE_CELL = "singlecellprobability"
"""The field of how likely a sample is a single cell."""

_A_SERIES = re.compile(r"GSE\d+")
_A_SAMPLE = re.compile(r"GSM\d+")
_SHOWN = 10


def of_series(samples: Samples, series: str | Iterable[str]) -> npt.NDArray[np.intp]:
    """Find the members of one series or several.

    Parameters
    ----------
    samples : Samples
        Where to look.
    series : str or iterable of str
        ``"GSE64016"``, or several: members of any.

    Returns
    -------
    numpy.ndarray of int
        Positions, rising; none where no sample is in them. Samples that are in further series are among them.

    Raises
    ------
    OptionError
        When one is no series.
    NameNotFoundError
        When the samples have no field ``series_id``.
    """
    wanted = _several(series)
    if not wanted:
        raise OptionError("No series is given; give one or several, such as 'GSE64016'.")
    for one in wanted:
        if not isinstance(one, str) or not _A_SERIES.fullmatch(one):
            other = "; samples are selected with samples([...])" if _is(one, _A_SAMPLE) else ""
            raise OptionError(f"{one!r} is not a series; series look like 'GSE64016'{other}.")
    return np.flatnonzero(in_series(samples, wanted))


def in_series(samples: Samples, series: Iterable[str]) -> Mask:
    """Tell which samples are in any of some series, whatever else they are in."""
    wanted = frozenset(series)
    column = samples.column(SERIES)
    encoded = column.dictionary_encode()  # of a dictionary, itself
    members = np.array(
        [not wanted.isdisjoint(_A_SERIES.findall(text)) for text in encoded.dictionary.to_pylist()],
        dtype=bool,
    )
    return members[encoded.indices.to_numpy()] if len(encoded) else np.zeros(0, dtype=bool)


def with_accessions(
    samples: Samples, accessions: str | Iterable[str], missing: Literal["raise", "ignore"] = "raise"
) -> npt.NDArray[np.intp]:
    """Find samples by their accessions.

    Parameters
    ----------
    samples : Samples
        Where to look.
    accessions : str or iterable of str
        ``"GSM1158284"``, or several; they may repeat.
    missing : {"raise", "ignore"}
        What to do about those that there are not: raise, or warn and leave them out.

    Returns
    -------
    numpy.ndarray of int
        Positions, in the order of ``accessions``.

    Raises
    ------
    NameNotFoundError
        When some do not exist; the message names them.
    OptionError
        When some are no accessions of samples (texts only where nothing may be missing), or ``missing`` is neither.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if missing not in {"raise", "ignore"}:
        raise OptionError(f"missing={missing!r} is not one of raise, ignore.")
    wanted = _several(accessions)
    _refuse([one for one in wanted if not isinstance(one, str)])
    distinct = list(dict.fromkeys(wanted))
    known = samples.accessions()
    if isinstance(known, pa.DictionaryArray):
        known = known.dictionary_decode()
    found = pc.index_in(known, value_set=pa.array(distinct, known.type)).fill_null(-1).to_numpy()
    rows = np.flatnonzero(found >= 0)
    position = np.full(len(distinct), -1, dtype=np.intp)
    position[found[rows[::-1]]] = rows[::-1]  # the first of several with one accession
    absent = [name for name, at in zip(distinct, position.tolist(), strict=True) if at < 0]
    if absent:
        if missing == "raise":
            _refuse([name for name in absent if not _A_SAMPLE.fullmatch(name)])
        _report(absent, len(distinct), missing)
    at = dict(zip(distinct, position.tolist(), strict=True))
    return np.array([at[name] for name in wanted if at[name] >= 0], dtype=np.intp)


def drawn(
    samples: Samples,
    n: int,
    *,
    seed: int,
    single_cell: bool | None = None,
    threshold: float = 0.5,
    option: str = "n",
) -> npt.NDArray[np.intp]:
    """Draw samples at random, without replacement.

    Parameters
    ----------
    samples : Samples
        What to draw from.
    n : int
        How many.
    seed : int
        Another seed, another draw. What is drawn depends on it and on the accessions alone, not on their order.
    single_cell : bool, optional
        False to draw from samples whose ``singlecellprobability`` is below the threshold, True from the rest.
    threshold : float
        From 0 to 1.
    option : str
        What the caller calls ``n``, for messages.

    Returns
    -------
    numpy.ndarray of int
        Positions, in the order of the draw.

    Raises
    ------
    OptionError
        When there are fewer, or an option has a value it cannot have.
    NameNotFoundError
        When single cells are to be told apart, and no field says which they are.
    """
    names = as_numpy(samples.accessions())
    candidates = np.arange(samples.size)
    if single_cell is not None:
        candidates = np.flatnonzero(single_cells(samples, single_cell, threshold))
    return candidates[draw(names[candidates].tolist(), n, seed=seed, option=option)]


def single_cells(samples: Samples, wanted: bool, threshold: float) -> Mask:
    """Tell which samples are single cells, those whose probability is not below the threshold; or which are not.

    Raises
    ------
    OptionError
        When ``wanted`` is neither True nor False, or the threshold no number from 0 to 1.
    NameNotFoundError
        When no field says how likely that is.
    """
    if not isinstance(wanted, bool | np.bool_):
        raise OptionError(
            f"single_cell={wanted!r} is not one of True (single cells), False (all others), None (both)."
        )
    number = isinstance(threshold, int | float | np.integer | np.floating) and not isinstance(threshold, bool)
    if not number or not 0 <= threshold <= 1:
        raise OptionError(f"threshold={threshold!r} is not a probability; give a number from 0 to 1.")
    probability = as_numbers(samples.column(SINGLE_CELL))  # NaN, where it is missing, is not below
    below = probability < threshold
    return np.asarray(~below if wanted else below)


def _several(names: Any) -> list[Any]:
    return [names] if isinstance(names, str) or not isinstance(names, Iterable) else listed(names)


def _is(name: object, form: re.Pattern[str]) -> bool:
    return isinstance(name, str) and form.fullmatch(name) is not None


def _refuse(wrong: list[Any]) -> None:
    """Name all that are no accessions of samples."""
    if wrong:
        are = "is not a sample" if len(wrong) == 1 else "are not samples"
        other = "; series are selected with series(...)" if any(_is(one, _A_SERIES) for one in wrong) else ""
        raise OptionError(
            f"{_shown([repr(one) for one in wrong])} {are}; samples look like 'GSM1158284'{other}."
        )


def _shown(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def _report(absent: list[str], asked: int, missing: str) -> None:
    sentence = f"{len(absent)} of {asked} samples are not here: {_shown(absent)}."
    if missing == "raise":
        raise NameNotFoundError(f"{sentence} Leave them out, or pass missing='ignore'.")
    warnings.warn(f"{sentence} They are left out.", UserWarning, stacklevel=4)
