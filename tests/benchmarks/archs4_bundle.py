"""Generated files with the layout, the chunks and the sizes of ARCHS4's."""

import random
import zlib
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

TEXT = (
    "geo_accession",
    "series_id",
    "characteristics_ch1",
    "extract_protocol_ch1",
    "source_name_ch1",
    "title",
)
"""The fields that are searched, here and by archs4py."""

FILLERS = (
    "channel_count", "contact_address", "contact_city", "contact_country", "contact_institute", "contact_name",
    "contact_zip", "data_processing", "instrument_model", "last_update_date", "library_selection",
    "library_source", "library_strategy", "molecule_ch1", "organism_ch1", "platform_id", "relation", "sample",
    "status", "submission_date", "taxid_ch1", "type",
)  # fmt: skip
"""The other fields of text in human 2.5."""

_MANY = 10**5  # samples from which on the other fields are there, but empty
_BATCH = 50_000
_KEYS = (
    "tissue",
    "cell type",
    "treatment",
    "age",
    "Sex",
    "genotype",
    "disease state",
    "time",
    "donor id",
    "batch",
)
_TISSUES = (
    "liver", "myoblast", "skeletal muscle", "PBMC", "whole blood", "brain, cortex", "HeLa", "lung adenocarcinoma",
    "heart – left ventricle", "CD4+ T cells", "MCF-7", "K562", "HEK293T", "breast tumor", "iPSC", "kidney", "skin",
)  # fmt: skip


def write_archs4(
    path: Path, *, features: int, samples: int, chunks: tuple[int, int], written: bool = True, seed: int = 0
) -> Path:
    """Write a file as human 2.5 is written: features × samples, gzip level 4, its texts of any length.

    Parameters
    ----------
    written
        False to leave the matrix empty, where only its shape matters.
    """
    partial = path.with_suffix(".part")
    with h5py.File(partial, "w") as file:
        write_samples(file.create_group("meta/samples"), samples, seed)
        write_features(file.create_group("meta/genes"), features)
        for name, value in {"author": "benchmark", "version": "2.5", "creation-date": "2026"}.items():
            file[f"meta/info/{name}"] = value
        write_matrix(file, (features, samples), chunks, seed, written=written)
    return partial.rename(path)


def write_matrix(
    file: h5py.File, shape: tuple[int, int], chunks: tuple[int, int], seed: int, *, written: bool
) -> None:
    """Write a matrix sample by sample, of a few dozen different chunks that are compressed once."""
    rng = np.random.default_rng(seed)
    matrix = file.create_dataset(
        "data/expression", shape, "u4", chunks=chunks, maxshape=(shape[0], None), compression="gzip",
        compression_opts=4,
    )  # fmt: skip
    if not written:
        return
    distinct = 60 if np.prod(chunks) < 2e5 else 6
    packed = [zlib.compress(counts(rng, chunks).tobytes(), 4) for _ in range(distinct)]
    corners = ((i, j) for j in range(0, shape[1], chunks[1]) for i in range(0, shape[0], chunks[0]))
    for number, corner in enumerate(corners):
        matrix.id.write_direct_chunk(corner, packed[number * 7 % distinct])


def counts(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Return counts as of RNA-seq: many zeros, few large; gzip makes a fifth to a third of them."""
    mean = np.exp(rng.normal(2, 2.2, size=(shape[0], 1)))
    return rng.negative_binomial(0.5, 0.5 / (0.5 + mean), size=shape).astype("u4")


def write_features(group: h5py.Group, n: int) -> None:
    """Write identifiers that differ, and symbols of which some are the same."""
    group["ensembl_gene"] = [f"ENSG{i:011d}" for i in range(n)]
    group["symbol"] = [f"SYM{i - i % 30 // 29}" for i in range(n)]
    group["biotype"] = ["protein_coding" if i % 3 else "lncRNA" for i in range(n)]


def write_samples(group: h5py.Group, n: int, seed: int) -> None:
    """Write the fields of the samples, appended batch by batch, as files that grew over years are."""
    text = h5py.string_dtype("utf-8")
    columns = {
        name: group.create_dataset(name, (n,), text, maxshape=(None,), chunks=(2000,)) for name in TEXT
    }
    for start, rows in batches(n, seed):
        for name, values in zip(TEXT, zip(*rows, strict=True), strict=True):
            columns[name][start : start + len(rows)] = values
    for name in FILLERS:
        filler = group.create_dataset(name, (n,), text, maxshape=(None,), chunks=(2000,))
        if n < _MANY:
            filler[:] = np.full(n, f"a {name}", dtype=object)
    rng = np.random.default_rng(seed)
    group["singlecellprobability"] = rng.beta(0.2, 0.4, n)
    group["alignedreads"] = rng.integers(10**5, 5 * 10**7, n)


def batches(n: int, seed: int) -> Iterator[tuple[int, list[tuple[str, ...]]]]:
    """Yield the first row of each batch, and its rows of the six fields."""
    rows: list[tuple[str, ...]] = []
    done = 0
    for row in samples_of_series(n, seed):
        rows.append(row)
        if len(rows) == _BATCH:
            yield done, rows
            done, rows = done + len(rows), []
    if rows:
        yield done, rows


def samples_of_series(n: int, seed: int) -> Iterator[tuple[str, ...]]:
    """Yield samples series by series: those of one say much the same, and most of a protocol is common to all."""
    rng = random.Random(seed)
    words = ["".join(rng.choices("aeilnorst", k=rng.randint(2, 11))) for _ in range(3000)]
    tissues_known = [*_TISSUES, *(" ".join(rng.choices(words, k=2)) for _ in range(150))]
    sample, series, left = 1_000_000, 10_000, n
    while left:
        size = min(left, 3000, int(rng.paretovariate(1.1) * 8))
        left -= size
        series += rng.randint(1, 6)
        named = f"GSE{series},GSE{series + 1}" if rng.random() < 0.15 else f"GSE{series}"
        protocols = [" ".join(rng.choices(words, k=rng.randint(30, 180))) for _ in range(rng.randint(1, 2))]
        tissues, keys = rng.choices(tissues_known, k=rng.randint(1, 4)), rng.sample(_KEYS, rng.randint(2, 6))
        title, numbered = " ".join(rng.choices(words, k=2)), rng.random() < 0.5
        told = [",".join(f"{key}: {key[:3]}{rng.randint(0, 2)}" for key in keys[1:]) for _ in range(4)]
        for i in range(size):
            sample += rng.randint(1, 4)
            tissue = tissues[i % len(tissues)]
            characteristics = f"{keys[0]}: {tissue},{told[i % 4]}" + (f"_{i}" if numbered else "")
            yield (
                f"GSM{sample}", named, characteristics, protocols[i % len(protocols)], tissue,
                f"{title} {tissue} rep{i}",
            )  # fmt: skip
