"""What samples and features are called: read when a label is first asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from intake_tcga.hdf5.file import Hdf5File
from intake_tcga.hdf5.structure import ArrayInfo

if TYPE_CHECKING:
    from intake_tcga.archs4.metadata import SampleMetadata

LABELS = "intake_tcga:labels"
"""Attribute of the features' coordinate: which field its labels are, once that is known."""


class SampleLabels:
    """The accessions of a file's samples.

    Parameters
    ----------
    metadata
        The samples' metadata.
    field
        The field that names them.
    """

    def __init__(self, metadata: SampleMetadata, field: str) -> None:
        self._metadata = metadata
        self._field = field
        self.size = metadata.n_samples

    def labels(self) -> npt.NDArray[np.object_]:
        """Read them all."""
        return np.asarray(self._metadata.values(self._field), dtype=object)

    def some(self, positions: npt.NDArray[np.intp]) -> npt.NDArray[np.object_]:
        """Read a few of them: what it takes to print them."""
        return np.asarray(self._metadata.values(self._field, positions), dtype=object)

    @property
    def attrs(self) -> Mapping[str, Any]:
        """Nothing is known of them beyond the labels."""
        return {}


class FeatureLabels:
    """A name for each feature that no other has: which field that is takes reading it, and is found out then.

    Parameters
    ----------
    file
        The file that has them.
    size
        Number of features.
    candidates
        Fields that may be the name, best first.
    """

    def __init__(self, file: Hdf5File, size: int, candidates: Sequence[tuple[str, ArrayInfo]]) -> None:
        self._file = file
        self._candidates = tuple(candidates)
        self._made: tuple[npt.NDArray[np.object_], str] | None = None
        self.size = size

    def labels(self) -> npt.NDArray[np.object_]:
        """Read them, or return those read before."""
        if self._made is None:
            self._made = self._find()
        return self._made[0]

    @property
    def attrs(self) -> Mapping[str, Any]:
        """Which field the labels are, as soon as they were read."""
        return {LABELS: self._made[1]} if self._made else {}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_made": None}  # read again where they are needed: they are most of its size

    def _find(self) -> tuple[npt.NDArray[np.object_], str]:
        names = None
        for field, array in self._candidates:
            names = self._file.names(array)
            if len(set(names.tolist())) == self.size:
                return names, field
        if names is not None:
            told_apart = _told_apart(names)
            if len(set(told_apart.tolist())) == self.size:
                field = self._candidates[-1][0]
                return told_apart, f"{field}, with #row where several have the same"
        numbers = np.empty(self.size, dtype=object)
        numbers[:] = [str(row) for row in range(self.size)]
        return numbers, "row"


def _told_apart(names: npt.NDArray[np.object_]) -> npt.NDArray[np.object_]:
    """Append the row number to every name that several features have: none of them is more that name than another."""
    counts = Counter(names.tolist())
    result = np.empty(len(names), dtype=object)
    result[:] = [f"{name}#{row}" if counts[name] > 1 else name for row, name in enumerate(names.tolist())]
    return result
