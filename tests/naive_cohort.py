"""A naive reader of cohort files, to check the real one against: eager, by plain h5py, one matrix at a time."""

from __future__ import annotations

import h5py
import numpy as np


def matrix(group) -> np.ndarray:
    return group["expression"][()]


def names(dataset) -> list[str]:
    values = dataset[()]
    if values.dtype.kind in "OS":
        return [value.decode("utf-8", "replace") for value in values.tolist()]
    return [str(value) for value in values.tolist()]


def runs(file):
    """Yield (labels, group, features) of each synthetic run."""
    two = file.attrs["version"] == "2.0"
    for norm, by_norm in file["synthetic"].items():
        features = by_norm["feature_names"]
        parents = by_norm.items() if two else [(None, by_norm)]
        for augmentation, parent in parents:
            if not isinstance(parent, h5py.Group):
                continue
            for model, run in parent.items():
                if isinstance(run, h5py.Group):
                    labels = {"normalization": norm, "augmentation": augmentation, "model": model}
                    yield {k: v for k, v in labels.items() if v is not None}, run, names(features)


def every_attribute(file):
    """Yield (path, name, value) of each attribute in the file, in plain Python types."""
    found = [("/", file)]
    file.visititems(lambda name, thing: found.append((f"/{name}", thing)))
    for path, thing in found:
        for name, value in thing.attrs.items():
            yield path, name, plain(value)


def plain(value):
    if isinstance(value, np.ndarray):
        return [plain(item) for item in value]
    if isinstance(value, bytes):
        return value.decode()
    return value.item() if isinstance(value, np.generic) else value
