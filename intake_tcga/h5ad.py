"""The h5ad format of AnnData, written in blocks of samples: what does not fit into memory is never in it.

The layout is that of https://anndata.readthedocs.io/en/stable/fileformat-prose.html (AnnData 0.8 and later).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

_TEXT = h5py.string_dtype()
_CODES = (np.int8, np.int16, np.int32)


def write_annotations(
    file: h5py.File,
    obs: tuple[npt.NDArray[Any], Mapping[str, npt.NDArray[Any]]],
    var: tuple[npt.NDArray[Any], Mapping[str, npt.NDArray[Any]]],
    uns: Mapping[str, Any],
) -> None:
    """Write all but the matrices.

    Parameters
    ----------
    file
        One that holds nothing else, or the matrices.
    obs, var
        Names of samples and of features, each with its columns (:func:`intake_tcga.columns.columns_along`).
    uns
        Plain attributes (:func:`intake_tcga.columns.plain_attributes`).
    """
    _mark(file, "anndata", "0.1.0")
    _write_frame(file.create_group("obs"), *obs)
    _write_frame(file.create_group("var"), *var)
    _write_mapping(file.create_group("uns"), uns)
    for empty in ("layers", "obsm", "obsp", "varm", "varp"):
        _mark(file.require_group(empty), "dict", "0.1.0")


def write_dense(
    parent: h5py.Group,
    name: str,
    blocks: Iterator[npt.NDArray[Any]],
    shape: tuple[int, int],
    dtype: np.dtype[Any],
) -> None:
    """Write a matrix, whole samples at a time, in compressed chunks of a few samples."""
    row = max(1, dtype.itemsize * shape[1])
    chunks = (max(1, min(shape[0], 2**20 // row)), max(1, min(shape[1], 2**20 // dtype.itemsize)))
    options = {"chunks": chunks, "compression": "gzip", "compression_opts": 1} if all(shape) else {}
    dataset = parent.create_dataset(name, shape, dtype, **options)
    _mark(dataset, "array", "0.2.0")
    start = 0
    for block in blocks:
        dataset[start : start + len(block)] = block
        start += len(block)


def write_sparse(
    parent: h5py.Group,
    name: str,
    blocks: Iterator[npt.NDArray[Any]],
    shape: tuple[int, int],
    dtype: np.dtype[Any],
) -> None:
    """Write a matrix as compressed sparse rows, whole samples at a time."""
    group = parent.create_group(name)
    _mark(group, "csr_matrix", "0.1.0")
    group.attrs["shape"] = np.array(shape, dtype=np.int64)
    options = {"shape": (0,), "maxshape": (None,), "chunks": (2**16,), "compression": "gzip"}
    data = group.create_dataset("data", dtype=dtype, compression_opts=1, **options)
    indices = group.create_dataset("indices", dtype=np.int32, compression_opts=1, **options)
    ends = [np.zeros(1, dtype=np.int64)]
    for block in blocks:
        rows, columns = np.nonzero(block)
        start = int(ends[-1][-1])
        data.resize((start + len(rows),))
        indices.resize((start + len(rows),))
        data[start:], indices[start:] = block[rows, columns], columns
        ends.append(start + np.cumsum(np.bincount(rows, minlength=len(block)), dtype=np.int64))
    group.create_dataset("indptr", data=np.concatenate(ends))


def _mark(item: h5py.Group | h5py.Dataset, kind: str, version: str) -> None:
    item.attrs["encoding-type"] = kind
    item.attrs["encoding-version"] = version


def _write_frame(group: h5py.Group, names: npt.NDArray[Any], columns: Mapping[str, npt.NDArray[Any]]) -> None:
    _mark(group, "dataframe", "0.2.0")
    group.attrs["_index"] = "_index"
    group.attrs.create("column-order", [name.replace("/", "_") for name in columns], dtype=_TEXT)
    _write_array(group, "_index", names)
    for name, values in columns.items():
        if values.dtype.kind == "O":
            _write_categories(group, name.replace("/", "_"), values)
        else:
            _write_array(group, name.replace("/", "_"), values)


def _write_categories(group: h5py.Group, name: str, values: npt.NDArray[Any]) -> None:
    """Write texts as AnnData does: each distinct one once, and its number for each row; -1 where it is missing."""
    categories = sorted({text for text in values.tolist() if text is not None})
    numbers: dict[Any, int] = {text: number for number, text in enumerate(categories)}
    numbers[None] = -1
    dtype = next(dtype for dtype in _CODES if len(categories) <= np.iinfo(dtype).max)
    inner = group.create_group(name)
    _mark(inner, "categorical", "0.2.0")
    inner.attrs["ordered"] = False
    _write_array(inner, "codes", np.array([numbers[text] for text in values.tolist()], dtype=dtype))
    texts = np.empty(len(categories), dtype=object)
    texts[:] = categories
    _write_array(inner, "categories", texts)


def _write_array(group: h5py.Group, name: str, values: npt.NDArray[Any]) -> None:
    texts = values.dtype.kind == "O"
    dataset = group.create_dataset(name, data=values, dtype=_TEXT if texts else None)
    _mark(dataset, "string-array" if texts else "array", "0.2.0")


def _write_mapping(group: h5py.Group, values: Mapping[str, Any]) -> None:
    _mark(group, "dict", "0.1.0")
    for name, value in values.items():
        if isinstance(value, Mapping):
            _write_mapping(group.create_group(name), value)
        elif isinstance(value, np.ndarray):
            _write_array(group, name, value)
        elif isinstance(value, str):
            _mark(group.create_dataset(name, data=value, dtype=_TEXT), "string", "0.2.0")
        else:
            _mark(group.create_dataset(name, data=value), "numeric-scalar", "0.2.0")
