"""Manifests for tests: as values, as bytes, and of real files in a folder."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import h5py


def mirna_entry(name: str = "BRCA_status", content: bytes = b"not opened", **fields: Any) -> dict[str, Any]:
    """An entry of schema 1.0 for a file with this content; a field given as `...` is left out."""
    return _without_ellipsis(
        {
            **_common(name, content),
            "n_raw_samples": 120,
            "n_filtered_samples": 100,
            "n_raw_features": 1881,
            "n_filtered_features": 570,
            **fields,
        }
    )


def rnaseq_entry(name: str = "SKCM_bulk", content: bytes = b"not opened", **fields: Any) -> dict[str, Any]:
    """An entry of schema 2.0."""
    return _without_ellipsis(
        {
            **_common(name, content),
            "clinical_variable": "",
            "source_label": "GDC STAR counts",
            "n_samples": 361,
            "n_train": 289,
            "n_test": 72,
            "n_features": 1091,
            "normalizations": ["DESeq", "TC"],
            "off_augs": ["none", "AE_head"],
            "models": ["CVAE1-50", "CVAE1-100"],
            "model_family": "CVAE",
            "synthetic_has_groups": True,
            "new_size": 1000,
            **fields,
        }
    )


def mirna_manifest(*entries: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A manifest as the published miRNA one: with neither modality nor schema_version."""
    return _without_ellipsis(
        {
            "version": "1.0",
            "created": "2026-04-30T00:00:00+00:00",
            "syng_bts_version": "3.3.2",
            "datasets": list(entries or [mirna_entry()]),
            **fields,
        }
    )


def rnaseq_manifest(*entries: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A manifest as the published RNA-seq one."""
    return mirna_manifest(
        *(entries or [rnaseq_entry()]), **{"modality": "rnaseq", "schema_version": "2.0", **fields}
    )


def as_bytes(manifest: Any) -> bytes:
    """The body that a server would send."""
    return json.dumps(manifest, indent=1).encode()


def manifest_for(folder: Path, **fields: Any) -> Path:
    """Write the manifest.json of a folder's cohort files, with real sizes and digests; return its path."""
    described = [_describe(path) for path in sorted(folder.glob("*.h5"))]
    schemas = {entry.pop("_schema") for entry in described}
    if len(schemas) > 1:
        raise ValueError(f"a manifest holds cohorts of one schema, {folder} has {sorted(schemas)}")
    manifest = (rnaseq_manifest if schemas == {"2.0"} else mirna_manifest)(*described, **fields)
    manifest["datasets"] = described
    path = folder / "manifest.json"
    path.write_bytes(as_bytes(manifest))
    return path


def _describe(path: Path) -> dict[str, Any]:
    with h5py.File(path, "r") as file:
        attrs = {name: _plain(value) for name, value in file.attrs.items()}
        schema = str(attrs.get("version", "1.0"))
        runs = file.get("synthetic", {})
        norms = list(file["processed"]) if "processed" in file else []
        name = (
            path.stem
        )  # what a published file calls itself too; generated ones have all the same name inside
        fields: dict[str, Any] = {
            "_schema": schema,
            "group_labels": [str(label) for label in attrs.get("group_labels", [])],
            "file": path.name,
        }
        if schema == "1.0":
            entry = mirna_entry(name, path.read_bytes(), **fields)
            for attribute in ("n_raw_samples", "n_filtered_samples", "n_raw_features", "n_filtered_features"):
                entry[attribute] = int(attrs.get(attribute, 0))
            return entry
        levels = {level for norm in norms if norm in runs for level in runs[norm] if level != "feature_names"}
        models = {
            model: float(runs[norm][level][model].attrs.get("kl_weight", 0))
            for norm in norms
            for level in levels
            if norm in runs and level in runs[norm]
            for model in runs[norm][level]
        }
        return rnaseq_entry(
            name,
            path.read_bytes(),
            **fields,
            normalizations=norms,
            off_augs=sorted(levels, key=lambda level: (level != "none", level)),
            models=sorted(models, key=lambda model: (models[model], model)),
            **{count: int(attrs.get(count, 0)) for count in ("n_samples", "n_train", "n_test", "n_features")},
            model_family=str(attrs.get("model_family", "CVAE")),
            synthetic_has_groups=bool(attrs.get("synthetic_has_groups", True)),
        )


def _plain(value: Any) -> Any:
    value = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.decode() if isinstance(value, bytes) else value


def _common(name: str, content: bytes) -> dict[str, Any]:
    return {
        "dataset_name": name,
        "cancer_type": name.partition("_")[0],
        "clinical_variable": name.partition("_")[2],
        "group_labels": ["Negative", "Positive"],
        "file": f"{name}.h5",
        "file_size_bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }


def _without_ellipsis(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not ...}
