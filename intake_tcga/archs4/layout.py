"""What an ARCHS4 file holds: every layout since 1.0 negotiated into one value, after which nothing is optional.

Only names, shapes and types are looked at, of a few dozen objects: no label is decoded, and the cost does not depend on
the number of samples. What an axis is, is decided by lengths and never by the names or the version of a file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from intake_tcga.errors import FileFormatError
from intake_tcga.hdf5.file import Hdf5File
from intake_tcga.hdf5.structure import ArrayInfo

SAMPLE_ALIASES: dict[str, tuple[str, ...]] = {
    "aligned_reads": ("readsaligned", "alignedreads", "reads_aligned"),
}
"""Fields of samples: the one name → what files call it."""

FEATURE_ALIASES: dict[str, tuple[str, ...]] = {
    "ensembl_gene": ("ensembl_gene_id", "gene_ensemblid"),
    # `genes` first: in some 1.9 files `gene_symbol` holds the spelling of Python's bytes, b'TP53'.
    "symbol": ("genes", "gene_symbol"),
    "biotype": ("gene_biotype",),
}
"""Fields of genes and transcripts: the one name → what files call it."""

TRANSCRIPT_ALIASES: dict[str, tuple[str, ...]] = {"ensembl_transcript": ("ensembl_id",)}
"""The same, for fields that only transcripts have."""

ACCESSION = "geo_accession"
"""The field that every file has, under this name in all of them."""

_IDS = ("ensembl_transcript", "ensembl_gene", "symbol")
"""What may label a feature, best first."""

_TAKEN = frozenset({"sample", "feature", "counts", "tpm"})
_FLAT_SAMPLE = "Sample_"
_FLAT_FEATURE = ("gene", "transcript", "ensembl")
_LARGEST_NOTE = 100  # values of one piece of information about the file; lists are no such thing

Level = Literal["gene", "transcript"]


@dataclass(frozen=True, eq=False)
class Layout:
    """An ARCHS4 file, described."""

    path: str
    """The file's path or URL, without credentials."""

    matrix: ArrayInfo
    """The counts or TPM values; never read here."""

    samples_axis: Literal[0, 1]
    """The axis of the matrix along which the samples are."""

    level: Level
    """What a feature is: a gene or a transcript."""

    accession: str
    """Path of the samples' GEO accessions."""

    fields: Mapping[str, str]
    """Field of the samples → path of its dataset, under the one name and the file's own, in the file's order."""

    feature_fields: Mapping[str, str]
    """Field of the features → path of its dataset, likewise."""

    arrays: Mapping[str, ArrayInfo]
    """Every dataset that is named above or below, by its path."""

    notes: Mapping[str, str]
    """Information about the file (author, version, …) → path of its dataset."""

    left_out: Mapping[str, str]
    """Path of a dataset that fits neither axis → why it is not used."""

    @property
    def n_samples(self) -> int:
        """Number of samples."""
        return self.matrix.shape[self.samples_axis]

    @property
    def n_features(self) -> int:
        """Number of genes or transcripts."""
        return self.matrix.shape[1 - self.samples_axis]

    @property
    def variable(self) -> Literal["counts", "tpm"]:
        """What the matrix holds: whole numbers are counts, others TPM values."""
        return "tpm" if self.matrix.dtype.kind == "f" else "counts"

    @property
    def accession_field(self) -> str:
        """The field that names the samples."""
        return ACCESSION

    @property
    def sample_group(self) -> str:
        """Path of the group that holds the samples' fields."""
        return self.accession.rpartition("/")[0]

    @property
    def feature_ids(self) -> tuple[str, ...]:
        """Fields that may label the features, best first; the first whose labels differ from one another does."""
        return tuple(name for name in _IDS if name in self.feature_fields)


def read_layout(file: Hdf5File) -> Layout:
    """Describe an ARCHS4 file of any version.

    Parameters
    ----------
    file
        The file, local or remote; it stays open for what follows.

    Returns
    -------
    Layout
        The matrix is samples × features where its shape says so (files up to 1.8), features × samples where that fits
        (from 1.9 on). Where both fit, as in an excerpt of as many samples as genes, files whose fields lie flat in
        ``/meta`` are taken for the former, and files with ``/meta/samples`` for the latter.

    Raises
    ------
    FileFormatError
        When it is not an ARCHS4 file, a part is missing, or the lengths of the lists match neither axis of the matrix;
        all such problems are in the one message.
    """
    return _Reading(file).layout()


@dataclass(frozen=True)
class _Lists:
    """The one-dimensional datasets that belong to the samples, or to the features."""

    arrays: dict[str, ArrayInfo]
    length: int
    left_out: dict[str, str]

    @classmethod
    def of(cls, arrays: Mapping[str, ArrayInfo], length: int) -> _Lists:
        """Tell those of the right length and of a readable type from the others."""
        left_out = {
            array.path: f"its shape is {array.shape}, its type {array.dtype}"
            for array in arrays.values()
            if array.shape != (length,) or array.kind == "other"
        }
        kept = {name: array for name, array in arrays.items() if array.path not in left_out}
        return cls(kept, length, left_out)


class _Reading:
    """One reading of one file: collects problems."""

    def __init__(self, file: Hdf5File) -> None:
        self._file = file
        self._problems: list[str] = []

    def layout(self) -> Layout:
        matrix = self._matrix()
        meta = self._arrays("/meta")
        grouped = self._arrays("/meta/samples")
        accession = self._accession(grouped, meta)
        self._stop_if_any()
        assert matrix is not None
        assert accession is not None
        samples, features, level = self._lists(matrix, accession, grouped, meta)
        axis = self._samples_axis(matrix, samples.length, features.length, flat=not grouped)
        self._stop_if_any()
        notes = self._notes()
        fields = _named(_without_prefix(samples.arrays), SAMPLE_ALIASES)
        aliases = FEATURE_ALIASES if level == "gene" else FEATURE_ALIASES | TRANSCRIPT_ALIASES
        feature_fields = _named(features.arrays, aliases, taken=fields)
        return Layout(
            path=self._file.path,
            matrix=matrix,
            samples_axis=axis,
            level=level,
            accession=accession.path,
            fields={name: array.path for name, array in fields.items()},
            feature_fields={name: array.path for name, array in feature_fields.items()},
            arrays={
                array.path: array for group in (fields, feature_fields, notes) for array in group.values()
            },
            notes={name: array.path for name, array in notes.items()},
            left_out=samples.left_out | features.left_out,
        )

    def _stop_if_any(self) -> None:
        if self._problems:
            raise FileFormatError(
                f"{self._file.path} is not an ARCHS4 file that can be used: {'; '.join(self._problems)}. "
                "Check which file this is, or download it again."
            )

    def _matrix(self) -> ArrayInfo | None:
        """Find the one matrix: ``/data/expression``, or the only one in ``/data``."""
        in_data = self._arrays("/data", whole=False)
        matrices = {
            name: array
            for name, array in in_data.items()
            if array.kind == "number" and len(array.shape) == 2 and array.dtype.kind in "iuf"
        }
        if "expression" in matrices or len(matrices) == 1:
            return matrices.get("expression") or next(iter(matrices.values()))
        if "expression" in in_data:
            found = in_data["expression"]
            self._problems.append(
                f"'/data/expression' is not a matrix of numbers (its type is {found.dtype}, its shape {found.shape})"
            )
        else:
            held = f"; '/data' holds {', '.join(in_data)}" if in_data else ""
            self._problems.append(f"there is no matrix '/data/expression'{held}")
        return None

    def _accession(self, grouped: Mapping[str, ArrayInfo], meta: Mapping[str, ArrayInfo]) -> ArrayInfo | None:
        """Find the samples' accessions, which every file has and which tell how many samples there are."""
        found = grouped.get(ACCESSION) or (None if grouped else meta.get(f"{_FLAT_SAMPLE}{ACCESSION}"))
        if found is None:
            self._problems.append(
                "there are no sample accessions ('/meta/samples/geo_accession', or '/meta/Sample_geo_accession')"
            )
        elif len(found.shape) != 1 or found.kind != "text":
            self._problems.append(
                f"{found.path!r} is not a list of texts (its type is {found.dtype}, its shape {found.shape})"
            )
        return found

    def _lists(
        self,
        matrix: ArrayInfo,
        accession: ArrayInfo,
        grouped: Mapping[str, ArrayInfo],
        meta: Mapping[str, ArrayInfo],
    ) -> tuple[_Lists, _Lists, Level]:
        """Tell the lists of the samples from those of the genes or transcripts."""
        (n_samples,) = accession.shape
        if not grouped:
            return *self._flat_lists(meta, n_samples), "gene"
        found: dict[Level, Mapping[str, ArrayInfo]] = {}
        if transcripts := self._arrays("/meta/transcripts"):
            found["transcript"] = transcripts
        if genes := self._arrays("/meta/genes"):
            found["gene"] = genes
        elif "genes" in meta:
            found["gene"] = {"genes": meta["genes"]}
        if not found:
            self._problems.append(
                "there is no list of genes ('/meta/genes') or transcripts ('/meta/transcripts')"
            )
            self._stop_if_any()
        lengths = {level: _length(arrays, _spellings(level)) for level, arrays in found.items()}
        # Both may be there: a list of genes beside that of the transcripts. The one that fits the matrix is meant.
        fitting = [
            level for level, length in lengths.items() if sorted(matrix.shape) == sorted((length, n_samples))
        ]
        level = fitting[0] if fitting else next(iter(found))
        return _Lists.of(grouped, n_samples), _Lists.of(found[level], lengths[level]), level

    def _flat_lists(self, meta: Mapping[str, ArrayInfo], n_samples: int) -> tuple[_Lists, _Lists]:
        """Tell them apart where all lie in one group: by length, and by name where the lengths are the same."""
        genes = {name: a for name, a in meta.items() if name.lower().startswith(_FLAT_FEATURE)}
        if not genes:
            self._problems.append("there is no list of genes ('/meta/genes')")
            self._stop_if_any()
        n_features = _length(genes, _spellings("gene"))
        samples: dict[str, ArrayInfo] = {}
        features: dict[str, ArrayInfo] = {}
        for name, array in meta.items():
            of_genes = name in genes if n_samples == n_features else array.shape == (n_features,)
            (features if of_genes else samples)[name] = array
        return _Lists.of(samples, n_samples), _Lists.of(features, n_features)

    def _samples_axis(
        self, matrix: ArrayInfo, n_samples: int, n_features: int, *, flat: bool
    ) -> Literal[0, 1]:
        rows_are_samples = matrix.shape == (n_samples, n_features)
        columns_are_samples = matrix.shape == (n_features, n_samples)
        if not (rows_are_samples or columns_are_samples):
            self._problems.append(
                f"{matrix.path!r} has the shape {matrix.shape}, and there are {n_samples} sample accessions and "
                f"{n_features} features: they match neither as samples × features nor as features × samples"
            )
        if rows_are_samples and columns_are_samples:  # a square excerpt: see read_layout
            return 0 if flat else 1
        return 0 if rows_are_samples else 1

    def _notes(self) -> dict[str, ArrayInfo]:
        """Find the information about the file itself."""
        found = self._arrays("/info") | self._arrays("/meta/info")
        return {
            name: array
            for name, array in found.items()
            if array.kind != "other" and len(array.shape) <= 1 and sum(array.shape) <= _LARGEST_NOTE
        }

    def _arrays(self, group: str, *, whole: bool = True) -> dict[str, ArrayInfo]:
        """Describe the datasets in a group; none where there is no such group."""
        if self._file.kind(group) != "group":
            return {}
        paths = {name: f"{group}/{name}" for name in self._file.members(group)}
        return {
            name: self._file.array_info(path, whole=whole)
            for name, path in paths.items()
            if self._file.kind(path) == "array"
        }


def _spellings(level: Level) -> list[str]:
    """List what files call the identifiers of their features, best first."""
    known = TRANSCRIPT_ALIASES | FEATURE_ALIASES if level == "transcript" else FEATURE_ALIASES
    return [spelling for name in _IDS if name in known for spelling in (name, *known[name])]


def _length(arrays: Mapping[str, ArrayInfo], ids: Iterable[str]) -> int:
    """Return how long the lists of one kind are: as long as the best identifier, else as the first list."""
    lists = {name: array for name, array in arrays.items() if len(array.shape) == 1}
    chosen = next((lists[name] for name in ids if name in lists), next(iter(lists.values()), None))
    return chosen.shape[0] if chosen is not None else 0


def _without_prefix(arrays: Mapping[str, ArrayInfo]) -> dict[str, ArrayInfo]:
    """Add the names without ``Sample_``, which all fields have in flat files."""
    named = dict(arrays)
    for name, array in arrays.items():
        if name.startswith(_FLAT_SAMPLE):
            named.setdefault(name.removeprefix(_FLAT_SAMPLE), array)
    return named


def _named(
    arrays: Mapping[str, ArrayInfo], aliases: Mapping[str, tuple[str, ...]], taken: Iterable[Any] = ()
) -> dict[str, ArrayInfo]:
    """Give each field the name of its coordinate; add the one name where the file uses another."""
    named: dict[str, ArrayInfo] = {}
    used = {*_TAKEN, *taken}
    for name, array in arrays.items():
        free = name
        while free in used:  # v2.5 has a field `sample`, which is what the dimension is called
            free += "_"
        named[free] = array
    for name, spellings in aliases.items():
        found = next((arrays[spelling] for spelling in spellings if spelling in arrays), None)
        if found is not None and name not in named and name not in used:
            named[name] = found
    return named
