"""What a cohort file holds: either schema negotiated into one value, after which nothing is optional.

Only names, shapes, attributes and the lists of features and sample ids are read here; no expression value is.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from intake_tcga.cache.stamps import Signature
from intake_tcga.cohorts import description
from intake_tcga.errors import FileFormatError, UnsupportedVersionError
from intake_tcga.hdf5.file import Hdf5File
from intake_tcga.hdf5.structure import ArrayInfo, GroupInfo

SUPPORTED_VERSIONS = ("1.0", "2.0")

_KNOWN_NORMALIZATIONS = ("raw_norm", "TC", "DESeq")
_OWN_ARRAYS = ("expression", "groups", "sample_ids", "feature_names", "split")

Labels = npt.NDArray[np.object_]
"""Names along one axis, as an object array of ``str``."""


@dataclass(frozen=True, eq=False)
class Matrix:
    """One expression matrix, samples × features, with what belongs to its axes."""

    expression: ArrayInfo
    """The matrix itself; never read here."""

    features: Labels
    """Name of each column."""

    samples: Labels | None
    """Name of each row, when the file tells it."""

    groups: ArrayInfo | None
    """Group of each row, when there are groups."""

    split: ArrayInfo | None
    """``train`` or ``test`` for each row, in schema 2.0."""

    @property
    def rows(self) -> int:
        """Number of samples."""
        return self.expression.shape[0]


@dataclass(frozen=True, eq=False)
class CohortStructure:
    """A whole cohort file, described; schema 1.0 and 2.0 look the same from here on."""

    path: str
    """The local file."""

    version: str
    """``"1.0"`` or ``"2.0"``."""

    root: GroupInfo
    """Every group, dataset and attribute of the file."""

    raw: Matrix | None
    """Counts before filtering; schema 1.0 only."""

    normalizations: tuple[str, ...]
    """Their names, in the order of the dimension."""

    augmentations: tuple[str, ...] | None
    """Off-augmentations in the order of the dimension; None in schema 1.0, which has no such dimension."""

    models: tuple[str, ...]
    """Their names by rising ``kl_weight``."""

    real: dict[str, Matrix]
    """Measured samples by normalization."""

    synthetic: dict[tuple[str, ...], Matrix]
    """Generated samples by (normalization, model), or (normalization, augmentation, model) in schema 2.0."""

    run_attrs: dict[tuple[str, ...], dict[str, Any]]
    """The attributes of each synthetic run, under the same keys."""


def read_structure(file: Hdf5File) -> CohortStructure:
    """Describe a cohort file of either schema.

    Parameters
    ----------
    file
        The file; it stays open for what follows.

    Returns
    -------
    CohortStructure

    Raises
    ------
    UnsupportedVersionError
        When the file says that it follows another schema.
    FileFormatError
        When it is not a cohort file, or a part is missing, misshapen or of the wrong type; all such problems are
        in the one message.
    """
    if kept := description.recall(file.path):
        root, names = kept
        return _Reading(file, root, _version(root, file.path), names).structure()
    signature = Signature.of(Path(file.path))
    root, names = file.describe(), {}
    structure = _Reading(file, root, _version(root, file.path), names).structure()
    description.keep(file.path, root, names, signature)
    return structure


def looks_like_a_cohort(path: Path) -> bool:
    """Say whether an HDF5 file names itself a cohort, by its root alone.

    Raises
    ------
    FileFormatError
        When it is not HDF5.
    """
    file = Hdf5File(path)
    try:
        with file.opened() as h5:
            return "version" in h5.attrs and "processed" in h5 and "synthetic" in h5
    finally:
        file.close()


def _version(root: GroupInfo, path: str) -> str:
    if "version" not in root.attrs:
        raise FileFormatError(
            f"{path} is not a cohort file: its root has no attribute 'version'. Check which file this is."
        )
    version = str(root.attrs["version"])
    if version not in SUPPORTED_VERSIONS:
        raise UnsupportedVersionError(
            f"{path} follows schema version {version!r}; this release reads "
            f"{' and '.join(SUPPORTED_VERSIONS)}. Upgrade intake-tcga, or use a manifest of a supported version."
        )
    return version


class _Reading:
    """One reading of one file: collects problems, and reads each list of names once."""

    def __init__(self, file: Hdf5File, root: GroupInfo, version: str, known: dict[str, Labels]) -> None:
        self._file = file
        self._root = root
        self._version = version
        self._problems: list[str] = []
        self._known = known

    def structure(self) -> CohortStructure:
        two = self._version == "2.0"
        processed = self._part("processed")
        synthetic = self._part("synthetic")
        raw_group = None if two and "raw" not in self._root.groups else self._part("raw")
        self._stop_if_any()

        raw = self._matrix(raw_group, None) if raw_group is not None else None
        real = {name: self._matrix(group, None) for name, group in processed.groups.items()}
        runs = self._runs(synthetic, two)
        generated = {
            key: self._matrix(run, self._features_above(key, synthetic, real)) for key, run in runs.items()
        }
        if not real:
            self._problems.append("'/processed' holds no normalization")
        if not runs:
            self._problems.append("'/synthetic' holds no run")
        self._stop_if_any()

        weights = {key: run.attrs.get("kl_weight") for key, run in runs.items()}
        return CohortStructure(
            path=self._file.path,
            version=self._version,
            root=self._root,
            raw=raw,
            normalizations=_in_order([*real, *(key[0] for key in runs)], _KNOWN_NORMALIZATIONS),
            augmentations=_in_order([key[1] for key in runs], ("none", "AE_head")) if two else None,
            models=_by_weight(weights),
            real={name: matrix for name, matrix in real.items() if matrix is not None},
            synthetic={key: matrix for key, matrix in generated.items() if matrix is not None},
            run_attrs={key: run.attrs for key, run in runs.items()},
        )

    def _part(self, name: str) -> GroupInfo:
        if name not in self._root.groups:
            self._problems.append(f"there is no group '/{name}'")
        return self._root.groups.get(name) or GroupInfo(f"/{name}", {})

    def _stop_if_any(self) -> None:
        if self._problems:
            raise FileFormatError(
                f"{self._file.path} is not a usable cohort file of schema {self._version}: "
                f"{'; '.join(self._problems)}. Fetch it again from its source."
            )

    def _runs(self, synthetic: GroupInfo, two: bool) -> dict[tuple[str, ...], GroupInfo]:
        """Find the groups that hold a generated matrix."""
        if two:
            return {
                (norm, augmentation, model): run
                for norm, by_norm in synthetic.groups.items()
                for augmentation, by_augmentation in by_norm.groups.items()
                for model, run in by_augmentation.groups.items()
            }
        return {
            (norm, model): run
            for norm, by_norm in synthetic.groups.items()
            for model, run in by_norm.groups.items()
        }

    def _features_above(
        self, key: tuple[str, ...], synthetic: GroupInfo, real: dict[str, Matrix | None]
    ) -> Labels | None:
        """Return the feature names that a run inherits: its normalization's own, else the measured ones'."""
        above = synthetic.groups[key[0]].arrays.get("feature_names")
        if above is not None:
            return self._names(above)
        measured = real.get(key[0])
        return measured.features if measured is not None else None

    def _matrix(self, group: GroupInfo, features: Labels | None) -> Matrix | None:
        """Check one matrix and what belongs to it; None when something is wrong with it."""
        expression = group.arrays.get("expression")
        if expression is None:
            self._problems.append(f"there is no dataset '{group.path}/expression'")
            return None
        if expression.kind != "number" or len(expression.shape) != 2:
            self._problems.append(
                f"{expression.path!r} is not a matrix of numbers "
                f"(its type is {expression.dtype}, its shape {expression.shape})"
            )
            return None
        rows, columns = expression.shape
        own = group.arrays.get("feature_names")
        features = self._names(own) if own is not None else features
        if features is None:
            self._problems.append(f"there is no dataset '{group.path}/feature_names'")
            return None
        if len(features) != columns:
            self._problems.append(
                f"{expression.path!r} has {columns} columns, and there are {len(features)} feature names for them"
            )
            return None
        ids = self._along_rows(group, "sample_ids", rows)
        return Matrix(
            expression,
            features,
            self._names(ids) if ids is not None else None,
            self._along_rows(group, "groups", rows),
            self._along_rows(group, "split", rows),
        )

    def _along_rows(self, group: GroupInfo, name: str, rows: int) -> ArrayInfo | None:
        array = group.arrays.get(name)
        if array is None:
            return None
        if array.shape != (rows,) or array.kind == "other":
            self._problems.append(
                f"{array.path!r} does not label the {rows} rows of its matrix "
                f"(its type is {array.dtype}, its shape {array.shape})"
            )
            return None
        return array

    def _names(self, array: ArrayInfo) -> Labels | None:
        """Read a list of names; numbers are names too."""
        if len(array.shape) != 1 or array.kind == "other":
            self._problems.append(f"{array.path!r} is not a list of names (its shape is {array.shape})")
            return None
        if array.path not in self._known:
            self._known[array.path] = self._file.names(array)
        return self._known[array.path]


def _in_order(names: list[str], known: tuple[str, ...]) -> tuple[str, ...]:
    """Return each name once: the known ones in their usual order, then the others by name."""
    return tuple(
        sorted(set(names), key=lambda name: (known.index(name) if name in known else len(known), name))
    )


def _by_weight(weights: dict[tuple[str, ...], Any]) -> tuple[str, ...]:
    """Order the models by the lowest kl_weight that any run of theirs has; unknown ones last, by name."""
    lowest: dict[str, float] = {}
    for key, weight in weights.items():
        number = float(weight) if isinstance(weight, int | float) else float("inf")
        lowest[key[-1]] = min(lowest.get(key[-1], float("inf")), number)
    return tuple(sorted(lowest, key=lambda model: (lowest[model], model)))


def unknown_arrays(structure: CohortStructure) -> list[ArrayInfo]:
    """Return the datasets that neither schema names, wherever they are, in the file's order."""
    matrices = [*structure.real.values(), *structure.synthetic.values()]
    if structure.raw is not None:
        matrices.append(structure.raw)
    known = {matrix.expression.path.rpartition("/")[0] for matrix in matrices}

    def search(group: GroupInfo) -> list[ArrayInfo]:
        names = _OWN_ARRAYS if group.path in known else ()
        if group.path.startswith("/synthetic/"):
            names = (*names, "feature_names")
        found = [array for name, array in group.arrays.items() if name not in names]
        return found + [array for child in group.groups.values() for array in search(child)]

    return search(structure.root)
