"""Cohort files at the size of the published ones, and the manifest that lists them."""

import hashlib
import json
from pathlib import Path

import h5py
import numpy as np

NORMALIZATIONS = {"raw_norm": "log2_filtered", "TC": "TC_CPM", "DESeq": "DESeq_median_of_ratios"}


def write_mirna(path: Path, *, samples: int, raw_samples: int, features: int, seed: int = 0) -> dict:
    """Write a cohort of schema 1.0: gzip 4, h5py's own chunks; return its manifest entry."""
    rng = np.random.default_rng(seed)
    raw_features, synthetic = 1881, 1000
    means = rng.lognormal(3, 2.5, raw_features)
    counts = rng.negative_binomial(2, 2 / (2 + means), (raw_samples, raw_features)).astype(float)
    kept_rows = np.sort(rng.choice(raw_samples, samples, replace=False))
    kept = np.sort(np.argsort(means)[-features:])
    names = np.array([f"hsa-mir-{i}" for i in range(raw_features)], dtype=object)
    groups = np.where(np.arange(raw_samples) % 10 == 0, "Normal", "Tumor").astype(object)
    barcodes = [f"TCGA-{i // 1000:02d}-{i % 1000:04d}-01A-11R-A143-13" for i in range(raw_samples)]
    root = {
        "dataset_name": path.stem,
        "cancer_type": path.stem.split("_")[0],
        "clinical_variable": "sample_type",
        "version": "1.0",
        "creation_date": "2026-04-30T00:00:00+00:00",
        "syng_bts_version": "3.3.2",
        "n_raw_samples": raw_samples,
        "n_filtered_samples": samples,
        "n_raw_features": raw_features,
        "n_filtered_features": features,
    }
    with h5py.File(path, "w") as file:
        file.attrs.update(root)
        file.attrs["group_labels"] = np.array(["Normal", "Tumor"], dtype=object)
        raw = file.create_group("raw")
        raw["groups"], raw["sample_ids"], raw["feature_names"] = groups, barcodes, names
        raw.create_dataset("expression", data=counts, compression="gzip", compression_opts=4, chunks=True)
        file.create_group("synthetic").attrs.update(
            {"epoch": 1000, "learning_rate": 0.0005, "random_seed": 42}
        )
        real = np.log2(counts[kept_rows][:, kept] + 1)
        for normalization, method in NORMALIZATIONS.items():
            scaled = real if normalization == "raw_norm" else real * rng.uniform(0.9, 1.1, (samples, 1))
            group = file.create_group(f"processed/{normalization}")
            group.attrs.update({"normalization_method": method, "transform": "log2(x+1)"})
            group["groups"], group["feature_names"] = groups[kept_rows], names[kept]
            group.create_dataset(
                "expression", data=scaled, compression="gzip", compression_opts=4, chunks=True
            )
            runs = file.create_group(f"synthetic/{normalization}")
            runs["feature_names"] = names[kept]
            for kl_weight in (5, 10, 20):
                run = runs.create_group(f"CVAE1_{kl_weight}")
                run.attrs.update(
                    {"kl_weight": kl_weight, "epochs_trained": 500, "normalization": normalization}
                )
                run["groups"] = np.resize(groups, synthetic)
                # A network's float32 output, kept as float64: half of the mantissa is zeros, as in the published files.
                values = np.abs(rng.normal(real.mean(0), real.std(0), (synthetic, features))).astype("f4")
                values = values.astype("f8")
                run.create_dataset(
                    "expression", data=values, compression="gzip", compression_opts=4, chunks=True
                )
    return _entry(path, root, group_labels=["Normal", "Tumor"])


def write_rnaseq(path: Path, *, samples: int, features: int, synthetic: int, seed: int = 0) -> dict:
    """Write a cohort of schema 2.0 without groups (a VAE's); return its manifest entry."""
    rng = np.random.default_rng(seed)
    names = np.array([f"ENSG{i:011d}.1" for i in range(features)], dtype=object)
    root = {
        "dataset_name": path.stem,
        "cancer_type": path.stem.split("_")[0],
        "clinical_variable": "",
        "modality": "rnaseq",
        "version": "2.0",
        "creation_date": "2026-04-30T00:00:00+00:00",
        "syng_bts_version": "3.6.0",
        "source_label": path.stem,
        "feature_id_type": "ensembl_gene_id_versioned",
        "model_family": "VAE",
        "synthetic_has_groups": False,
        "n_samples": samples,
        "n_train": samples - samples // 5,
        "n_test": samples // 5,
        "n_features": features,
    }
    with h5py.File(path, "w") as file:
        file.attrs.update(root)
        file.attrs["group_labels"] = np.array(["A", "B"], dtype=object)
        file.create_group("synthetic").attrs.update({"num_epochs": 1000, "seed": 42, "latent_size": 32})
        for normalization in NORMALIZATIONS:
            group = file.create_group(f"processed/{normalization}")
            group.attrs.update({"normalization_method": normalization, "scale": "log2"})
            group["groups"] = np.where(np.arange(samples) % 2, "A", "B").astype(object)
            group["sample_ids"] = [f"TCGA-AB-{i:04d}-03A" for i in range(samples)]
            group["split"] = np.where(np.arange(samples) % 5, "train", "test").astype(object)
            group["feature_names"] = names
            real = np.abs(rng.normal(8, 3, (samples, features))).astype("f4")
            group.create_dataset("expression", data=real, compression="gzip", compression_opts=4, chunks=True)
            file[f"synthetic/{normalization}/feature_names"] = names
            for augmentation in ("none", "AE_head"):
                file.create_group(f"synthetic/{normalization}/{augmentation}").attrs["off_aug"] = augmentation
                for kl_weight in (50, 100, 200):
                    run = file.create_group(f"synthetic/{normalization}/{augmentation}/VAE1-{kl_weight}")
                    run.attrs.update(
                        {"modelname": f"VAE1-{kl_weight}", "kl_weight": kl_weight, "new_size": synthetic}
                    )
                    values = np.abs(rng.normal(8, 3, (synthetic, features))).astype("f4")
                    run.create_dataset(
                        "expression", data=values, compression="gzip", compression_opts=4, chunks=True
                    )
    return _entry(
        path,
        {key: root[key] for key in root if key != "version"},
        group_labels=["A", "B"],
        normalizations=list(NORMALIZATIONS),
        off_augs=["none", "AE_head"],
        models=["VAE1-50", "VAE1-100", "VAE1-200"],
        new_size=synthetic,
    )


def _entry(path: Path, root: dict, **fields: object) -> dict:
    left_out = {"version", "creation_date", "syng_bts_version", "modality", "feature_id_type"}
    return {
        **{key: value for key, value in root.items() if key not in left_out},
        **fields,
        "file": path.name,
        "file_size_bytes": path.stat().st_size,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }


def write_manifest(folder: Path, modality: str, entries: list[dict]) -> Path:
    """Write the manifest of files that lie in ``folder``."""
    manifest = {
        "version": "1.0",
        "created": "2026-04-30T00:00:00+00:00",
        "syng_bts_version": "3.6.0",
        "modality": modality,
        "schema_version": {"mirna": "1.0", "rnaseq": "2.0"}[modality],
        "datasets": entries,
    }
    path = folder / "manifest.json"
    path.write_text(json.dumps(manifest))
    return path
