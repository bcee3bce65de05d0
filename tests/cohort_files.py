"""Real cohort files of either schema, of any size, shape and oddity, written by plain h5py for the tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

MIRNA_NORMALIZATIONS = ("raw_norm", "TC", "DESeq")
MIRNA_MODELS = ("CVAE1_5", "CVAE1_10", "CVAE1_20")
METHODS = {"raw_norm": "log2_filtered", "TC": "TC_CPM", "DESeq": "DESeq_median_of_ratios"}


def write_mirna(
    path: str | Path,
    *,
    n_raw: int = 14,
    n_samples: int | None = None,
    n_raw_features: int = 30,
    n_features: int | None = None,
    n_synthetic: int = 9,
    normalizations: Sequence[str] = MIRNA_NORMALIZATIONS,
    models: Sequence[str] = MIRNA_MODELS,
    kl_weights: Mapping[str, float] | None = None,
    seed: int = 0,
    chunks: tuple[int, int] | bool | None = True,
    compression: Any = "gzip",
    shuffle: bool = False,
    fletcher32: bool = False,
    dtype: str = "f8",
    string_dtype: Any = None,
    sample_ids: Sequence[Any] | bool = True,
    groups: Sequence[Any] | bool = True,
    raw_groups: Sequence[Any] | None = None,
    root: Mapping[str, Any] | None = None,
    userblock_size: int = 0,
    libver: Any = None,
) -> Path:
    """Write a schema 1.0 file: processed rows are raw rows in order, raw_norm is log2(count + 1) of them."""
    path = Path(path)
    rng = np.random.default_rng(seed)
    n_samples = max(0, n_raw - 2) if n_samples is None else n_samples
    n_features = max(0, n_raw_features // 2) if n_features is None else n_features
    counts = rng.negative_binomial(2, 0.002, size=(n_raw, n_raw_features)).astype("f8")
    kept = np.sort(rng.permutation(n_raw)[:n_samples])
    columns = np.sort(rng.permutation(n_raw_features)[:n_features])
    filtered = counts[np.ix_(kept, columns)]
    ids = barcodes(n_raw) if sample_ids is True else sample_ids
    labels = list(rng.choice(["Normal", "Tumor"], n_raw)) if raw_groups is None else list(raw_groups)
    store = {"chunks": chunks, "compression": compression, "shuffle": shuffle, "fletcher32": fletcher32}
    with h5py.File(path, "w", userblock_size=userblock_size, libver=libver) as file:
        attrs(file, {
            "dataset_name": "TEST_sample_type", "cancer_type": "TEST", "clinical_variable": "sample_type",
            "version": "1.0", "creation_date": "2026-01-01T00:00:00+00:00", "syng_bts_version": "3.6.1",
            "n_raw_samples": np.int64(n_raw), "n_filtered_samples": np.int64(n_samples),
            "n_raw_features": np.int64(n_raw_features), "n_filtered_features": np.int64(n_features),
            **({} if root and "group_labels" in root else {"group_labels": ["Normal", "Tumor"]}),
            **(root or {}),
        })  # fmt: skip
        raw = file.create_group("raw")
        numbers(raw, "expression", counts.astype(dtype), **store)
        strings(raw, "feature_names", features(n_raw_features), string_dtype)
        if ids is not False:
            strings(raw, "sample_ids", list(ids), string_dtype)
        if groups is not False:
            strings(raw, "groups", labels, string_dtype)
        own = [labels[i] for i in kept] if groups in (True, False) else list(groups)
        names = [features(n_raw_features)[i] for i in columns]
        for norm in normalizations:
            group = file.create_group(f"processed/{norm}")
            attrs(group, {"normalization_method": METHODS.get(norm, norm), "transform": "log2(x+1)"})
            numbers(group, "expression", normalized(filtered, norm).astype(dtype), **store)
            strings(group, "feature_names", names, string_dtype)
            if groups is not False:
                strings(group, "groups", own, string_dtype)
        synthetic = file.create_group("synthetic")
        attrs(synthetic, {
            "epoch": np.int64(60), "early_stop_patience": np.int64(20), "batch_frac": np.float64(0.1),
            "learning_rate": 0.0005, "random_seed": np.int64(42), "new_size": np.int64(n_synthetic),
            "apply_log": np.False_,
        })  # fmt: skip
        for i, norm in enumerate(normalizations):
            by_norm = synthetic.create_group(norm)
            strings(by_norm, "feature_names", names, string_dtype)
            for j, model in enumerate(models):
                run = by_norm.create_group(model)
                weight = (kl_weights or {}).get(model, weight_of(model))
                attrs(run, {
                    "kl_weight": weight, "reconstruction_term_weight": np.int64(1),
                    "epochs_trained": np.int64(100 + 10 * i + j), "normalization": norm,
                })  # fmt: skip
                matrix = rng.normal(8, 2, size=(n_synthetic, n_features)).astype(dtype)
                numbers(run, "expression", matrix, **store)
                if groups is not False:
                    strings(run, "groups", list(rng.choice(["Normal", "Tumor"], n_synthetic)), string_dtype)
    return path


def write_rnaseq(
    path: str | Path,
    *,
    n_samples: int = 11,
    n_features: int = 13,
    n_synthetic: int = 17,
    normalizations: Sequence[str] = MIRNA_NORMALIZATIONS,
    off_augs: Sequence[str] = ("none", "AE_head"),
    models: Sequence[str] = ("CVAE1-50", "CVAE1-100", "CVAE1-200"),
    synthetic_groups: bool = True,
    seed: int = 0,
    chunks: tuple[int, int] | bool | None = True,
    compression: Any = "gzip",
    shuffle: bool = False,
    dtype: str = "f4",
    string_dtype: Any = None,
    root: Mapping[str, Any] | None = None,
    compression_opts: int | None = None,
) -> Path:
    """Write a schema 2.0 file; with ``synthetic_groups=False`` and models ``VAE1-…`` it is a VAE cohort."""
    path = Path(path)
    rng = np.random.default_rng(seed)
    n_train = n_samples * 4 // 5
    store = {
        "chunks": chunks,
        "compression": compression,
        "shuffle": shuffle,
        "compression_opts": compression_opts,
    }
    names = [f"ENSG{i:011d}.{i % 9 + 1}" for i in range(n_features)]
    labels = list(rng.choice(["Negative", "Positive"], n_samples))
    with h5py.File(path, "w") as file:
        attrs(file, {
            "dataset_name": "TEST", "cancer_type": "TEST", "clinical_variable": "", "modality": "rnaseq",
            "version": "2.0", "source_label": "TCGA-TEST", "feature_id_type": "ensembl_gene_id_versioned",
            "model_family": "CVAE" if synthetic_groups else "VAE", "synthetic_has_groups": synthetic_groups,
            "group_labels": ["Negative", "Positive"], "n_samples": np.int64(n_samples),
            "n_train": np.int64(n_train), "n_test": np.int64(n_samples - n_train),
            "n_features": np.int64(n_features), **(root or {}),
        })  # fmt: skip
        for norm in normalizations:
            group = file.create_group(f"processed/{norm}")
            attrs(group, {
                "normalization_method": METHODS.get(norm, norm), "scale": "log2",
                "n_train": np.int64(n_train), "n_test": np.int64(n_samples - n_train),
            })  # fmt: skip
            numbers(group, "expression", rng.normal(8, 2, (n_samples, n_features)).astype(dtype), **store)
            strings(group, "groups", labels, string_dtype)
            strings(group, "sample_ids", barcodes(n_samples, "-"), string_dtype)
            split = ["train"] * n_train + ["test"] * (n_samples - n_train)
            strings(group, "split", split, string_dtype)
            strings(group, "feature_names", names, string_dtype)
        synthetic = file.create_group("synthetic")
        attrs(synthetic, {
            "num_epochs": np.int64(1000), "seed": np.int64(7), "latent_size": np.int64(32),
            "apply_log": np.False_, "reconstruction_term_weight": np.int64(1),
        })  # fmt: skip
        for norm in normalizations:
            strings(synthetic.create_group(norm), "feature_names", names, string_dtype)
            for off_aug in off_augs:
                by_aug = synthetic[norm].create_group(off_aug)
                more = {"AE_head_num": np.int64(2)} if off_aug == "AE_head" else {}
                attrs(by_aug, {"off_aug": off_aug, **more})
                for model in models:
                    run = by_aug.create_group(model)
                    attrs(run, {
                        "modelname": model, "kl_weight": weight_of(model), "epochs_trained": rng.integers(99, 999),
                        "early_stop_patience": np.int64(30), "new_size": np.int64(n_synthetic),
                        "normalization": norm,
                    })  # fmt: skip
                    matrix = rng.normal(8, 2, (n_synthetic, n_features)).astype(dtype)
                    numbers(run, "expression", matrix, **store)
                    if synthetic_groups:
                        own = list(rng.choice(["Negative", "Positive"], n_synthetic))
                        strings(run, "groups", own, string_dtype)
    return path


def attrs(where: Any, values: Mapping[str, Any]) -> None:
    """Write attributes; lists of text as an array of variable-length strings, as the published files do."""
    for name, value in values.items():
        text = isinstance(value, list) and all(isinstance(item, str) for item in value)
        where.attrs[name] = np.array(value, dtype=h5py.string_dtype()) if text else value


def numbers(group: Any, name: str, values: np.ndarray, *, chunks: Any, compression: Any, **how: Any) -> None:
    """Write a matrix; explicit chunks are cut to its shape, and what is empty is stored in one piece."""
    if 0 in values.shape:
        chunks = compression = None
        how = {}
    if isinstance(chunks, tuple):
        chunks = tuple(max(1, min(c, n)) for c, n in zip(chunks, values.shape, strict=True))
    if not chunks:
        chunks, compression, how = None, None, {}
    if compression != "gzip":
        how.pop("compression_opts", None)
    group.create_dataset(name, data=values, chunks=chunks, compression=compression, **how)


def strings(group: Any, name: str, values: Sequence[Any], dtype: Any = None) -> None:
    """Write a list of strings (variable-length UTF-8 by default); of numbers, when it holds numbers."""
    if values and not isinstance(values[0], str | bytes):
        group.create_dataset(name, data=np.asarray(values))
        return
    if dtype is not None and h5py.check_string_dtype(np.dtype(dtype)).length:
        data = np.array([v if isinstance(v, bytes) else v.encode() for v in values], dtype=dtype)
        group.create_dataset(name, data=data, dtype=dtype)
        return
    dtype = dtype or h5py.string_dtype()
    data = np.array(list(values), dtype=object)
    group.create_dataset(name, shape=data.shape, dtype=dtype)
    if len(data):
        group[name][...] = data


def normalized(counts: np.ndarray, norm: str) -> np.ndarray:
    """Imitate the three normalizations, on log2 scale."""
    if norm == "raw_norm" or not counts.size:
        return np.log2(counts + 1)
    depth = counts.sum(axis=1, keepdims=True) + 1
    return np.log2(counts / depth * (1e6 if norm == "TC" else depth.mean()) + 1)


def barcodes(n: int, separator: str = ".") -> list[str]:
    """Make up TCGA barcodes, in R's spelling by default."""
    return [separator.join(["TCGA", "G9", f"{i:04d}", "01A", "11R", "A31N", "13"]) for i in range(n)]


def features(n: int) -> list[str]:
    """Make up miRNA names."""
    return [f"hsa.mir.{i}" for i in range(n)]


def weight_of(model: str) -> Any:
    """Return the kl_weight that a model's name ends in."""
    digits = model.replace("-", "_").rpartition("_")[2]
    return np.int64(int(digits)) if digits.isdigit() else np.int64(1)
