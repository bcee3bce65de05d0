"""Small ARCHS4 files of every layout since 1.0, written by plain h5py for the tests, and a naive reader of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

FLAT = ("1.0", "1.8")
GROUPED_V1 = ("1.9", "1.10", "1.11")
V2 = ("2.1.2", "2.2", "2.5", "latest")
VERSIONS = (*FLAT, *GROUPED_V1, *V2)
"""Versions whose layouts differ."""

LAYOUTS = [(version, "gene") for version in VERSIONS] + [
    (version, level) for version in ("2.2", "latest") for level in ("transcript", "tpm")
]
"""Every layout, as (version, level)."""

REAL = Path(__file__).parent / "data" / "archs4"
"""Folder of the real excerpts."""

SEPARATORS = {"1.0": "Xx-xX", "1.8": "Xx-xX", "1.9": "-", "1.10": "\t"}
"""What stands between the series of one sample, where it is not a comma."""

READ_DEPTH = {
    "1.9": "readsaligned", "1.10": "readsaligned", "1.11": "readsaligned", "2.2": "readsaligned",
    "2.1.2": "aligned_reads", "latest": "alignedreads",
}  # fmt: skip
"""What the number of aligned reads is called, where it is there."""

MALFORMED = b"na\xefve T\xe2 cell"
"""A text that is no UTF-8, as real files have some."""


def write_archs4(
    path: str | Path,
    version: str = "2.5",
    *,
    level: str = "gene",
    n_samples: int = 7,
    n_features: int = 11,
    seed: int = 0,
    matrix: np.ndarray | None = None,
    sparse: bool = False,
    chunks: tuple[int, int] | None = None,
    compression: Any = "gzip",
    shuffle: bool = False,
    fixed: bool | None = None,
    samples: Mapping[str, Sequence[Any] | None] | None = None,
    features: Mapping[str, Sequence[Any] | None] | None = None,
    info: Mapping[str, Any] | None = None,
    species: str = "human",
    libver: Any = None,
) -> Path:
    """Write a file as a version of ARCHS4 has it.

    Parameters
    ----------
    path
        Where to.
    version, level
        One of :data:`LAYOUTS`.
    matrix
        Samples × features; made up by default.
    sparse
        Write no value of the matrix at all: for files of many samples.
    chunks
        Of the matrix as it lies on disk; by default the version's own.
    fixed
        Strings of a fixed length; by default as the version has them.
    samples, features
        Further fields, or other values of those there are; None leaves a field out. Values are bytes or numbers.
    """
    path = Path(path)
    flat, fixed = version in FLAT, (version in FLAT if fixed is None else fixed)
    if matrix is None:
        made_up = (1, 1) if sparse else (n_samples, n_features)  # for its number type alone
        matrix = made_up_matrix(*made_up, level, version, seed)
    if not sparse:
        n_samples, n_features = matrix.shape
    on_disk = (n_samples, n_features) if flat else (n_features, n_samples)
    grid = chunks or ((200, 200) if flat else (2000, 1))
    grid = tuple(max(1, min(chunk, length)) for chunk, length in zip(grid, on_disk, strict=True))
    sample_fields = {**made_up_samples(n_samples, version, species), **(samples or {})}
    feature_fields = {**made_up_features(n_features, version, level, species), **(features or {})}
    notes = {**made_up_info(version), **(info or {})}
    with h5py.File(path, "w", libver=libver) as file:
        dataset = file.create_dataset(
            "data/expression", on_disk, matrix.dtype, chunks=grid, compression=compression, shuffle=shuffle,
            maxshape=on_disk if flat else (n_features, None),
        )  # fmt: skip
        if not sparse and dataset.size:
            dataset[...] = matrix if flat else matrix.T
        if flat:
            _write_lists(file.create_group("meta"), {
                **{f"Sample_{name}": column for name, column in sample_fields.items()},
                **feature_fields,
            }, fixed)  # fmt: skip
            _write_notes(file.create_group("info"), notes, fixed)
        else:
            _write_lists(file.create_group("meta/samples"), sample_fields, fixed)
            group = "meta/genes" if level == "gene" else "meta/transcripts"
            _write_lists(file.create_group(group), feature_fields, fixed)
            _write_notes(file.create_group("meta/info"), notes, fixed)
    return path


def made_up_matrix(n_samples: int, n_features: int, level: str, version: str, seed: int = 0) -> np.ndarray:
    """Return values in the version's own number type, samples × features, some of them large."""
    rng = np.random.default_rng(seed)
    values = rng.negative_binomial(1, 0.002, size=(n_samples, n_features))
    values[rng.random(values.shape) < 0.02] = 2**31 - 1 - rng.integers(100)
    if level == "tpm":
        return (values / 7).astype("f4" if version == "latest" else "f8")
    return values.astype("i4" if version.startswith("1.") else "u4")


def made_up_samples(n: int, version: str, species: str = "human") -> dict[str, Any]:
    """Return the fields of the samples, by the version's own names."""
    separator = SEPARATORS.get(version, ",")
    series = [f"GSE{200 + i // 3}" + (f"{separator}GSE{900 + i % 2}" if i % 4 == 1 else "") for i in range(n)]
    tissues = ["liver", "skeletal muscle", "brain", "whole blood"]
    organism, taxid = {"human": ("Homo sapiens", "9606"), "mouse": ("Mus musculus", "10090")}[species]
    fields: dict[str, Any] = {
        "geo_accession": [f"GSM{1_000_000 + (i ^ 5)}" for i in range(n)],
        "series_id": series,
        "title": [MALFORMED if i == 2 else f"Sample {i}, β-cell".encode() for i in range(n)],
        "source_name_ch1": [tissues[i % 4] for i in range(n)],
        "characteristics_ch1": [
            f"tissue: {tissues[i % 4]},cell line: {'C2C12 myoblast' if i % 3 == 0 else 'none'},age: {i}"
            for i in range(n)
        ],
        "extract_protocol_ch1": ["TRIzol; poly-A" for _ in range(n)],
        "molecule_ch1": ["total RNA" if i % 2 else "polyA RNA" for i in range(n)],
        "organism_ch1": [organism] * n,
        "taxid_ch1": [taxid] * n,
        "platform_id": ["GPL16791"] * n,
        "submission_date": [
            f"{['Jan', 'Feb', 'Jun', 'Dec'][i % 4]} {1 + i % 28:02d} {2014 + i % 9}" for i in range(n)
        ],
        "last_update_date": ["May 15 2019"] * n,
        "status": ["Public on Jun 10 2016"] * n,
        "type": ["SRA"] * n,
    }
    if version in FLAT:
        return fields
    fields["singlecellprobability"] = np.array([(i * 0.37) % 1 for i in range(n)])
    if version in READ_DEPTH:
        fields[READ_DEPTH[version]] = np.array([1e6 + 1000.0 * i for i in range(n)])
    if version == "2.5":
        fields["sample"] = list(fields["geo_accession"])
    return fields


def made_up_features(n: int, version: str, level: str, species: str = "human") -> dict[str, Any]:
    """Return the fields of the genes or transcripts, by the version's own names; two genes have one symbol."""
    prefix = {"human": "ENS", "mouse": "ENSMUS"}[species]
    ensembl = [f"{prefix}G{i:011d}" for i in range(n)]
    symbols = ["MATR3" if i in {1, 4} else f"GENE{i}" for i in range(n)]
    biotypes = ["protein_coding" if i % 3 else "lncRNA" for i in range(n)]
    if level != "gene":
        fields: dict[str, Any] = {"ensembl_id": [f"{prefix}T{i:011d}" for i in range(n)]}
        if version == "latest":
            fields["ensembl_gene"] = [ensembl[i // 2] for i in range(n)]
        return fields
    unique = [f"GENE{i}" for i in range(n)]
    if version in FLAT:
        fields = {"genes": unique}
        if version == "1.8":
            fields["gene_ensemblid"] = ["NA" if i % 5 == 0 else name for i, name in enumerate(ensembl)]
        return fields
    if version in GROUPED_V1:
        return {
            "genes": unique,
            "gene_symbol": [f"b'{name}'" for name in unique],
            "ensembl_gene_id": ["missing" if i % 5 == 0 else name for i, name in enumerate(ensembl)],
            "gene_biotype": biotypes,
            "chromosome": ["13"] * n,
            "start_position": [str(1000 * i) for i in range(n)],
        }
    if version == "2.1.2":
        return {"gene_symbol": symbols}
    return {
        "biotype": biotypes,
        "ensembl_gene_id" if version == "2.2" else "ensembl_gene": ensembl,
        "symbol": symbols,
    }


def made_up_info(version: str) -> dict[str, Any]:
    """Return what a file says of itself."""
    number: Any = int(version.partition(".")[2]) if version in GROUPED_V1 else version
    return {
        "author": "Alexander Lachmann",
        "contact": "alexander.lachmann@mssm.edu",
        "creation-date": "11/12/20",
        "laboratory": "Ma'ayan Lab - Icahn School of Medicine at Mount Sinai",
        "version": number,
    }


def naive_matrix(path: str | Path, version: str = "2.5") -> np.ndarray:
    """Read the whole matrix as samples × features."""
    with h5py.File(path) as file:
        values = file["data/expression"][()]
    return values if version in FLAT else values.T


def naive_texts(path: str | Path, dataset: str) -> list[str]:
    """Read a list of texts."""
    with h5py.File(path) as file:
        return [bytes(value).decode("utf-8", "replace") for value in file[dataset][()]]


def _write_lists(group: h5py.Group, fields: Mapping[str, Any], fixed: bool) -> None:
    for name, values in fields.items():
        if values is None:
            continue
        if isinstance(values, list) and all(isinstance(value, str | bytes) for value in values):
            texts = [value.encode() if isinstance(value, str) else value for value in values]
            dtype = f"S{max([1, *map(len, texts)])}" if fixed else h5py.string_dtype()
            group.create_dataset(name, data=np.array(texts, dtype=dtype if fixed else object), dtype=dtype)
        else:
            group.create_dataset(name, data=np.asarray(values))


def _write_notes(group: h5py.Group, notes: Mapping[str, Any], fixed: bool) -> None:
    for name, value in notes.items():
        group[name] = np.array([value.encode()]) if fixed and isinstance(value, str) else value
