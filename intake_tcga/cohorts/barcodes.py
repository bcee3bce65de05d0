"""The labels of measured samples, which schema 1.0 does not store beside its processed matrices.

There, processed rows are the raw rows that passed a filter, in the raw order, and ``raw_norm`` is log2(count + 1) of
the features that passed one. So each row can be found among the raw rows by its numbers, and has their barcode.
"""

from __future__ import annotations

import threading
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from intake_tcga.cache import derived
from intake_tcga.cache.stamps import Signature
from intake_tcga.cohorts.alignment import Axis, align
from intake_tcga.cohorts.structure import CohortStructure, Matrix
from intake_tcga.hdf5 import chunks
from intake_tcga.hdf5.file import Hdf5File
from intake_tcga.hdf5.lazy import Positions

LABELS = "intake_tcga:labels"
"""Attribute of the coordinate ``sample``: what its labels are, and why."""

_MATCHED = (
    "TCGA barcodes: each row of raw_norm equals log2(raw + 1) of exactly one raw sample, in order; "
    "where one does not, row numbers, and this says why"
)
_KEPT = "barcodes-1"
"""Name under which the outcome is kept beside the cache; another number whenever matching changes."""

_NUMBERS = "row numbers, because {}"

_PAIRS_AT_ONCE = 200_000  # numbers compared in one step: small beside the matrices themselves
_ROUNDING = 8  # units in the last place by which two implementations of log2 may differ


def sample_axis(file: Hdf5File, structure: CohortStructure) -> Axis:
    """Bring the measured samples of all normalizations onto one axis, and label them.

    Parameters
    ----------
    file, structure
        A described file.

    Returns
    -------
    Axis
        Labelled by the file's own ``sample_ids`` where it has them; else by barcodes that :class:`MatchedBarcodes`
        finds when they are needed; else by row numbers. Its attribute ``intake_tcga:labels`` says which, and why.
        Rows of matrices of different heights that nothing identifies stay apart, as ``"TC/0"``.
    """
    names, matrices = list(structure.real), list(structure.real.values())
    identified = {matrix.rows: matrix.samples for matrix in matrices if matrix.samples is not None}
    if identified:
        return align([
            matrix.samples if matrix.samples is not None
            else identified.get(matrix.rows, _apart(name, matrix.rows))
            for name, matrix in structure.real.items()
        ])  # fmt: skip
    if len({matrix.rows for matrix in matrices}) > 1:
        apart = align([_apart(name, matrix.rows) for name, matrix in structure.real.items()])
        why = "the normalizations have different numbers of samples, and nothing tells which are the same"
        return Axis(apart.labels, apart.maps, {LABELS: f"normalization and row number, because {why}"})
    same: tuple[Positions | None, ...] = (None,) * len(names)
    why_not = _why_not(structure)
    if why_not:
        return Axis(np.arange(matrices[0].rows), same, {LABELS: _NUMBERS.format(why_not)})
    assert structure.raw is not None
    barcodes = MatchedBarcodes(file, structure.real["raw_norm"], structure.raw)
    return Axis(barcodes, same, barcodes.attrs)


def _apart(name: str, rows: int) -> npt.NDArray[np.object_]:
    labels = np.empty(rows, dtype=object)
    labels[:] = [f"{name}/{row}" for row in range(rows)]
    return labels


def _why_not(structure: CohortStructure) -> str | None:
    """Say why rows cannot be matched, as far as the structure tells."""
    if structure.raw is None:
        return "the file holds no raw counts"
    if structure.raw.samples is None:
        return "'/raw' holds no sample_ids"
    if "raw_norm" not in structure.real:
        return "the file holds no '/processed/raw_norm'"
    filtered = structure.real["raw_norm"]
    if not len(filtered.features):
        return "raw_norm holds no features to compare"
    if raw_columns(filtered, structure.raw) is None:
        return "not every feature of raw_norm is exactly one of the raw features"
    return None


def raw_columns(filtered: Matrix, raw: Matrix) -> npt.NDArray[np.intp] | None:
    """Find the raw column of each filtered feature; None when one has none, or several."""
    for spelling in (list, _plain_spellings):
        names, wanted = spelling(raw.features), spelling(filtered.features)
        place = {name: column for column, name in enumerate(names)}
        if len(place) == len(names) and len(set(wanted)) == len(wanted) and place.keys() >= set(wanted):
            return np.array([place[name] for name in wanted], dtype=np.intp)
    return None


def _plain_spellings(names: npt.NDArray[np.object_]) -> list[str]:
    """R writes dots where others write dashes."""
    return [name.replace("-", ".") for name in names]


class MatchedBarcodes:
    """The barcodes of processed rows, found by reading ``raw_norm`` and ``raw`` when they are first needed.

    Parameters
    ----------
    file
        The file that holds both.
    filtered, raw
        ``raw_norm``, and the counts that it was made of.
    """

    def __init__(self, file: Hdf5File, filtered: Matrix, raw: Matrix) -> None:
        self._file, self._filtered, self._raw = file, filtered, raw
        kept = derived.recall(file.path, _KEPT)
        self._outcome = _NUMBERS.format(kept) if isinstance(kept, str) else _MATCHED
        self._found: npt.NDArray[np.object_] | None = None
        self._lock = threading.Lock()
        self.size = filtered.rows

    def labels(self) -> npt.NDArray[np.object_]:
        """Return the barcodes; row numbers, with a warning, when the match fails."""
        with self._lock:
            if self._found is None:
                self._found = self._recall()
            return self._found

    @property
    def attrs(self) -> dict[str, Any]:
        """What the labels are, as far as it is known: why they are row numbers, once the match failed."""
        return {LABELS: self._outcome}

    def _recall(self) -> npt.NDArray[np.object_]:
        """Return the labels that were found at an earlier opening, else find and keep them."""
        found = derived.recall(self._file.path, _KEPT)
        if not (isinstance(found, str) or (isinstance(found, list) and len(found) == self.size)):
            signature = Signature.of(Path(self._file.path))
            found = self._find()
            derived.keep(self._file.path, _KEPT, found, signature)
        if isinstance(found, str):
            self._outcome = _NUMBERS.format(found)
            warnings.warn(
                f"{self._file.path}: the labels of 'sample' are row numbers, because {found}.", stacklevel=2
            )
            return np.arange(self.size).astype(object)
        labels = np.empty(self.size, dtype=object)
        labels[:] = found
        return labels

    def _find(self) -> list[str] | str:
        """Match the rows; return their barcodes, or why that failed."""
        columns = raw_columns(self._filtered, self._raw)
        assert columns is not None
        assert self._raw.samples is not None
        filtered = np.empty(self._filtered.expression.shape, np.float64)
        counts = np.empty((self._raw.rows, len(columns)), np.float64)
        everything = (slice(0, filtered.shape[0]), slice(0, filtered.shape[1]))
        rows = slice(0, self._raw.rows)
        chunks.read(self._file, [
            chunks.Request(self._filtered.expression.path, everything, filtered, everything),
            chunks.Request(
                self._raw.expression.path, (rows, columns), counts, (rows, slice(0, len(columns)))
            ),
        ])  # fmt: skip
        precision = np.finfo(self._filtered.expression.dtype).eps if _is_float(self._filtered) else 0.0
        found = match_rows(filtered, counts, float(precision))
        return found if isinstance(found, str) else [str(name) for name in self._raw.samples[found]]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=threading.Lock())


def _is_float(matrix: Matrix) -> bool:
    return matrix.expression.dtype.kind == "f"


def match_rows(
    filtered: npt.NDArray[np.float64], counts: npt.NDArray[np.float64], precision: float
) -> npt.NDArray[np.intp] | str:
    """Find the row of ``counts`` that each row of ``filtered`` is log2(count + 1) of.

    Parameters
    ----------
    filtered
        Processed rows × features.
    counts
        Raw rows × the same features.
    precision
        Relative precision of the numbers in ``filtered``, by which implementations of log2 may differ.

    Returns
    -------
    numpy.ndarray or str
        One raw row for each processed row, in rising order; or why there is no such match.

    Examples
    --------
    >>> counts = np.array([[1.0, 0.0], [7.0, 3.0], [0.0, 1.0]])
    >>> match_rows(np.log2(counts[1:] + 1), counts, 1e-16)
    array([1, 2])
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        logs = np.log2(counts + 1)
    left, right = _candidates(filtered, logs, precision)
    agree = np.concatenate([
        _equal(filtered[left[i : i + step]], logs[right[i : i + step]], precision).all(axis=1)
        for step in [max(1, _PAIRS_AT_ONCE // max(1, filtered.shape[1]))]
        for i in range(0, len(left), step)
    ] or [np.zeros(0, dtype=bool)])  # fmt: skip
    left, right = left[agree], right[agree]
    matches = np.bincount(left, minlength=len(filtered))
    if (matches != 1).any():
        row = int(np.flatnonzero(matches != 1)[0])
        return f"row {row} of raw_norm equals log2(raw + 1) of {matches[row]} raw samples instead of one"
    found: npt.NDArray[np.intp] = right[np.argsort(left, kind="stable")]
    if (np.diff(found) <= 0).any():
        row = int(np.flatnonzero(np.diff(found) <= 0)[0]) + 1
        return f"row {row} of raw_norm matches a raw sample that comes before that of the row above it"
    return found


def _candidates(
    filtered: npt.NDArray[np.float64], logs: npt.NDArray[np.float64], precision: float
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Pair the rows that agree in the feature that tells the most rows apart."""
    distinct = [len(np.unique(column)) for column in logs.T]
    best = int(np.argmax(distinct))
    wanted, there = filtered[:, best], logs[:, best]
    order = np.argsort(there, kind="stable")
    slack = _slack(wanted, precision)
    first = np.searchsorted(there[order], wanted - slack, side="left")
    last = np.searchsorted(there[order], wanted + slack, side="right")
    count = np.where(np.isnan(wanted), 0, np.maximum(last - first, 0))
    left = np.repeat(np.arange(len(wanted)), count)
    within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    return left, order[np.repeat(first, count) + within]


def _equal(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64], precision: float) -> npt.NDArray[np.bool_]:
    with np.errstate(invalid="ignore"):
        return np.abs(a - b) <= _slack(a, precision)


def _slack(values: npt.NDArray[np.float64], precision: float) -> npt.NDArray[np.float64]:
    # Two different counts below 10^9 are a million times further apart than this in double precision.
    return _ROUNDING * precision * np.maximum(np.abs(values), 1.0)
