"""A cohort file as one lazy Dataset."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import xarray as xr

from intake_tcga._version import __version__
from intake_tcga.arrays.chunking import check_chunks, over_dask
from intake_tcga.arrays.lazy_index import lazy_coordinate
from intake_tcga.arrays.memory import load_whole
from intake_tcga.cohorts import attributes
from intake_tcga.cohorts.alignment import Axis, align, by_number
from intake_tcga.cohorts.barcodes import sample_axis
from intake_tcga.cohorts.selection import select
from intake_tcga.cohorts.structure import CohortStructure, Matrix, read_structure, unknown_arrays
from intake_tcga.hdf5.file import Hdf5File
from intake_tcga.hdf5.lazy import Block, LazyStack
from intake_tcga.hdf5.structure import ArrayInfo

ALIGNED = "intake_tcga:aligned"
"""Attribute of a variable whose matrices do not all have the same rows and columns."""

Coordinate: TypeAlias = tuple[xr.Variable, xr.indexes.PandasIndex]
"""A dimension's coordinate and its index."""

# A group that is not known is written as text in published files; in ours it is missing.
NO_GROUP = frozenset({"nan", "NaN", ""})


def open_dataset(
    path: str | os.PathLike[str],
    *,
    chunks: int | str | Mapping[Any, Any] | None = None,
    normalization: str | Sequence[str] | None = None,
    model: str | Sequence[str] | None = None,
    off_aug: str | Sequence[str] | None = None,
    drop_variables: str | Iterable[str] | None = None,
) -> xr.Dataset:
    """Open a cohort file as a lazy Dataset.

    Parameters
    ----------
    path
        A local file of schema 1.0 (miRNA) or 2.0 (RNA-seq).
    chunks
        None for arrays that are read when they are used; ``{}`` for dask arrays whose chunks follow the file's
        own, one matrix at a time; a number, -1 (the whole dimension) or ``"auto"`` for all dimensions; or a mapping
        of dimensions to these, as in :func:`xarray.open_dataset`. Dimensions that it leaves out follow the file's
        chunks; those that narrowing drops may be in it.
    normalization, model, off_aug
        Narrow the Dataset to one (which drops the dimension) or to several; None keeps all.
    drop_variables
        Variables to leave out.

    Returns
    -------
    xarray.Dataset
        ``real`` (normalization, sample, feature), ``synthetic`` (normalization, [augmentation,] model,
        synthetic_sample, feature) and, in schema 1.0, ``raw`` (raw_sample, raw_feature), in the file's own number
        types and units (log2 for all but ``raw``, which counts reads). Every attribute of the file is an attribute
        or a coordinate. Only the structure and the names have been read. Close it to close the file.

    Raises
    ------
    FileFormatError
        When the file is damaged, hostile, or not a cohort file.
    UnsupportedVersionError
        When it follows a schema that this release does not know.
    OptionError
        When the file has no such normalization, model or off-augmentation, or ``chunks`` is of no such form.

    Examples
    --------
    >>> ds = open_dataset(sample_file)
    >>> dict(ds["synthetic"].sel(normalization="TC", model="CVAE1_5").sizes)
    {'synthetic_sample': 100, 'feature': 120}
    >>> ds.close()
    """
    from intake_tcga.cohorts import accessor  # noqa: F401 - gives every cohort's Dataset its `ds.tcga`

    file = Hdf5File(path)
    try:
        ds = _build(file, read_structure(file))
        check_chunks(chunks, ds.sizes)
    except BaseException:
        file.close()
        raise
    ds = ds.drop_vars([drop_variables] if isinstance(drop_variables, str) else list(drop_variables or ()))
    ds = select(ds, normalization=normalization, model=model, off_aug=off_aug)
    if chunks is not None:
        ds = chunked(ds, chunks, file.path)
    ds.set_close(file.close)
    return ds


def in_memory(ds: xr.Dataset) -> xr.Dataset:
    """Load a cohort whole, its labels too, so that it needs the file no longer; returns the same Dataset."""
    return load_whole(ds, instead="choose normalizations and models, or use to_dask()")


def chunked(
    ds: xr.Dataset, chunks: int | str | Mapping[Any, Any], path: str, *, token: str = ""
) -> xr.Dataset:
    """Return the Dataset over dask arrays; where ``chunks`` says nothing, they follow the file's own chunks."""
    from dask.base import tokenize

    return over_dask(ds, chunks, tokenize(path, os.stat(path).st_mtime_ns, chunks, token))  # noqa: PTH116


def _build(file: Hdf5File, structure: CohortStructure) -> xr.Dataset:
    """Lay a described file out as one Dataset."""
    layout = _Layout(file, structure)
    layout.add_real()
    layout.add_synthetic()
    layout.add_raw()
    layout.add_varying_attributes()
    layout.add_unknown()
    return layout.dataset()


class _Layout:
    """A Dataset in the making."""

    def __init__(self, file: Hdf5File, structure: CohortStructure) -> None:
        self._file = file
        self._structure = structure
        self._variables: dict[str, xr.Variable] = {}
        self._coords: dict[str, Any] = {}
        matrices = [*structure.real.values(), *structure.synthetic.values()]
        self._features = align([matrix.features for matrix in matrices])
        self._feature_maps = {
            id(matrix): found for matrix, found in zip(matrices, self._features.maps, strict=True)
        }
        self._labels: dict[str, Sequence[str]] = {"normalization": structure.normalizations}
        if structure.augmentations is not None:
            self._labels["augmentation"] = structure.augmentations
        self._labels["model"] = structure.models
        self._run_dims = tuple(self._labels)
        for dim, names in self._labels.items():
            self._coords[dim] = labelled(dim, names)
        self._coords["feature"] = labelled("feature", self._features.labels)

    def dataset(self) -> xr.Dataset:
        attrs = dict(self._structure.root.attrs)
        for group in self._structure.root.groups.values():
            if group.name not in {"raw", "processed", "synthetic"}:
                _add_tree(attrs, group, group.name)
        attrs.setdefault("intake_tcga:package_version", __version__)
        # All indexes are made here, once: xarray would make, align and compare them again at each addition.
        coords = {name: _as_coordinate(name, value) for name, value in self._coords.items()}
        indexes = {
            name: xr.indexes.PandasIndex.from_variables({name: variable}, options={})
            for name, variable in coords.items()
            if variable.dims == (name,) and name != "sample"
        }
        indexes["sample"] = self._sample_index
        return xr.Dataset(self._variables, xr.Coordinates(coords, indexes), attrs)

    def add_real(self) -> None:
        structure = self._structure
        names, matrices = list(structure.real), list(structure.real.values())
        axis = sample_axis(self._file, structure)
        rows = dict(zip(names, axis.maps, strict=True))
        shape = (axis.size, len(self._features.labels))
        blocks: dict[tuple[int, ...], Block] = {
            (structure.normalizations.index(name),): Block(
                matrix.expression, (rows[name], self._feature_maps[id(matrix)])
            )
            for name, matrix in structure.real.items()
        }
        self._add_matrix("real", "processed", ("normalization", "sample", "feature"), shape, blocks)
        self._coords["sample"], self._sample_index = coordinate("sample", axis)
        self._add_row_labels("group", [m.groups for m in matrices], names, axis, NO_GROUP)
        self._add_row_labels("split", [m.split for m in matrices], names, axis)
        self._add_names_attributes("processed", names)

    def _add_matrix(
        self,
        name: str,
        group: str,
        dims: tuple[str, ...],
        shape: tuple[int, ...],
        blocks: Mapping[tuple[int, ...], Block],
    ) -> None:
        """Add the matrices of one group as one variable, with the group's attributes."""
        lead = tuple(len(self._labels[dim]) for dim in dims[: -len(shape)])
        stack = LazyStack(self._file, lead, shape, blocks)
        attrs = dict(self._structure.root.groups[group].attrs)
        if not all(block.complete for block in blocks.values()):
            attrs[ALIGNED] = "by name; NaN where a matrix has no such row or column"
        self._variables[name] = stack.variable(dims, attrs)

    def _add_row_labels(
        self,
        name: str,
        arrays: list[ArrayInfo | None],
        norms: list[str],
        axis: Axis,
        null_texts: frozenset[str] = frozenset(),
    ) -> None:
        """Add a label of each measured sample: along ``sample`` alone when all normalizations agree on it."""
        blocks: dict[tuple[int, ...], Block] = {
            (self._structure.normalizations.index(norm),): Block(array, (rows,))
            for norm, array, rows in zip(norms, arrays, axis.maps, strict=True)
            if array is not None
        }
        if not blocks:
            return
        length = axis.size
        stack = LazyStack(self._file, (len(self._structure.normalizations),), (length,), blocks, null_texts)
        table = stack.values()
        attrs: dict[str, Any] = {}
        for norm, array in zip(norms, arrays, strict=True):
            attributes.add(attrs, array.attrs if array is not None else {}, norm)
        agreed = _agreed(table, blocks, length)
        dims = ("sample",) if agreed is not None else ("normalization", "sample")
        self._coords[name] = xr.Variable(dims, agreed if agreed is not None else table, attrs)

    def _add_names_attributes(self, part: str, norms: Iterable[str]) -> None:
        """Keep what is attached to the lists of features and samples."""
        for norm in norms:
            group = self._structure.root.groups[part].groups[norm]
            for array_name, coord in (("feature_names", "feature"), ("sample_ids", "sample")):
                array = group.arrays.get(array_name)
                if array is not None and array.attrs:
                    attributes.add(self._coords[coord].attrs, array.attrs, f"{part}.{norm}")

    def add_synthetic(self) -> None:
        structure = self._structure
        rows = max(matrix.rows for matrix in structure.synthetic.values())
        lead = tuple(len(names) for names in self._labels.values())
        expression: dict[tuple[int, ...], Block] = {}
        groups: dict[tuple[int, ...], Block] = {}
        group_attrs: dict[str, Any] = {}
        for key, matrix in structure.synthetic.items():
            cell = tuple(
                list(names).index(label) for names, label in zip(self._labels.values(), key, strict=True)
            )
            numbers = by_number(matrix.rows, rows)
            expression[cell] = Block(matrix.expression, (numbers, self._feature_maps[id(matrix)]))
            if matrix.groups is not None:
                groups[cell] = Block(matrix.groups, (numbers,))
                attributes.add(group_attrs, matrix.groups.attrs, ".".join(key))
        self._coords["synthetic_sample"] = np.arange(rows)
        dims = (*self._run_dims, "synthetic_sample", "feature")
        self._add_matrix("synthetic", "synthetic", dims, (rows, len(self._features.labels)), expression)
        if groups:
            self._coords["synthetic_group"] = LazyStack(self._file, lead, (rows,), groups, NO_GROUP).variable(
                (*self._run_dims, "synthetic_sample"), group_attrs
            )
        self._add_names_attributes("synthetic", structure.root.groups["synthetic"].groups)

    def add_raw(self) -> None:
        raw = self._structure.raw
        if raw is None:
            return
        group = self._structure.root.groups["raw"]
        attrs = dict(group.attrs)
        attributes.add(attrs, raw.expression.attrs, "expression")
        self._variables["raw"] = LazyStack.alone(self._file, raw.expression).variable(
            ("raw_sample", "raw_feature"), attrs
        )
        self._coords["raw_feature"] = labelled("raw_feature", raw.features, group.arrays.get("feature_names"))
        if raw.samples is not None:
            self._coords["raw_sample"] = labelled("raw_sample", raw.samples, group.arrays.get("sample_ids"))
        else:
            self._coords["raw_sample"] = np.arange(raw.rows)
        if raw.groups is not None:
            self._coords["raw_group"] = LazyStack.alone(self._file, raw.groups, NO_GROUP).variable(
                ("raw_sample",), raw.groups.attrs
            )

    def add_varying_attributes(self) -> None:
        """Attributes of normalizations, augmentations and runs become coordinates along those dimensions."""
        structure = self._structure
        processed, synthetic = structure.root.groups["processed"], structure.root.groups["synthetic"]
        self._place("real", ("normalization",), {
            (name,): _with_expression(group.attrs, structure.real[name]) for name, group in processed.groups.items()
        })  # fmt: skip
        self._place("synthetic", ("normalization",), {
            (name,): group.attrs for name, group in synthetic.groups.items()
        })  # fmt: skip
        if structure.augmentations is not None:
            self._place("synthetic", ("normalization", "augmentation"), {
                (norm, name): group.attrs
                for norm, by_norm in synthetic.groups.items() for name, group in by_norm.groups.items()
            })  # fmt: skip
        self._place("synthetic", self._run_dims, {
            key: _with_expression(attrs, structure.synthetic[key]) for key, attrs in structure.run_attrs.items()
        })  # fmt: skip

    def _place(
        self, variable: str, dims: tuple[str, ...], records: Mapping[attributes.Key, Mapping[str, Any]]
    ) -> None:
        known = {
            key: attrs
            for key, attrs in records.items()
            if all(label in self._labels[dim] for dim, label in zip(dims, key, strict=True))
        }
        taken = {*_RESERVED, *self._coords, *self._variables}
        placed = attributes.place(known, dims, self._labels, taken, variable)
        self._coords |= placed.coords
        attributes.add(self._variables[variable].attrs, placed.attrs, variable)
        for key in records.keys() - known.keys():
            attributes.add(self._variables[variable].attrs, records[key], ".".join(key))

    def add_unknown(self) -> None:
        """Datasets that no schema names become variables of their own, with dimensions of their own."""
        for array in unknown_arrays(self._structure):
            name = array.path.strip("/").replace("/", ".")
            while name in self._variables or name in self._coords or name in _RESERVED:
                name += "_"
            if array.kind == "other":
                attributes.add(self._variables["real"].attrs, array.attrs, name)
                continue
            dims = tuple(f"{name}.{axis}" for axis in range(len(array.shape)))
            self._variables[name] = LazyStack.alone(self._file, array).variable(dims, array.attrs)


_RESERVED = {
    "real", "synthetic", "raw", "sample", "feature", "group", "synthetic_group", "raw_group", "split",
    "raw_sample", "raw_feature", "synthetic_sample", "normalization", "model", "augmentation",
}  # fmt: skip


def coordinate(dim: str, axis: Axis) -> Coordinate:
    """Return the coordinate of an axis and its index; lazy when the labels are."""
    if isinstance(axis.labels, np.ndarray):
        variable = xr.Variable(dim, axis.labels, axis.attrs).to_index_variable()
        return variable, xr.indexes.PandasIndex.from_variables({dim: variable}, options={})
    return lazy_coordinate(axis.labels, dim, axis.attrs)


def with_coordinate(ds: xr.Dataset, variable: xr.Variable, index: xr.indexes.PandasIndex) -> xr.Dataset:
    """Add a coordinate with its own index, which may be lazy."""
    (dim,) = variable.dims
    return ds.assign_coords(xr.Coordinates({dim: variable}, {dim: index}))


def _as_coordinate(name: str, value: Any) -> xr.Variable:
    variable = value if isinstance(value, xr.Variable) else xr.Variable(name, value)
    return variable.to_index_variable() if variable.dims == (name,) and name != "sample" else variable


def labelled(dim: str, names: Any, array: ArrayInfo | None = None) -> xr.Variable:
    """Return labels along a dimension; as objects, since numpy's own strings cannot be stored portably."""
    labels = np.empty(len(names), dtype=object)
    labels[:] = names
    return xr.Variable(dim, labels, dict(array.attrs) if array is not None else {})


def _with_expression(attrs: Mapping[str, Any], matrix: Matrix) -> dict[str, Any]:
    """Return a group's attributes with those of the matrix in it."""
    merged = dict(attrs)
    attributes.add(merged, matrix.expression.attrs, "expression")
    return merged


def _agreed(table: Any, blocks: Mapping[tuple[int, ...], Block], length: int) -> Any | None:
    """Return one label a sample when all normalizations that know the sample agree; else None."""
    agreed = np.full(length, np.nan, dtype=table.dtype if table.dtype.kind in "fO" else np.float64)
    agreed = agreed if len(blocks) < len(table) or table.dtype.kind in "fO" else np.zeros(length, table.dtype)
    known = np.zeros(length, dtype=bool)
    for (number,), block in blocks.items():
        (rows,) = block.maps
        here = np.ones(length, dtype=bool) if rows is None else rows >= 0
        both = here & known
        left, right = table[number][both], agreed[both]
        if not ((left == right) | (pd.isna(left) & pd.isna(right))).all():
            return None
        agreed[here & ~known] = table[number][here & ~known]
        known |= here
    return agreed


def _add_tree(attrs: dict[str, Any], group: Any, place: str) -> None:
    """Add the attributes of an unknown group and of the groups in it, under the names of their places."""
    for name, value in group.attrs.items():
        attributes.add(attrs, {f"{place}.{name}": value}, place)
    for child in group.groups.values():
        _add_tree(attrs, child, f"{place}.{child.name}")
