"""A cohort file as a DataTree that mirrors the file's groups."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import xarray as xr

from intake_tcga.arrays.chunking import check_chunks
from intake_tcga.cohorts import attributes
from intake_tcga.cohorts.alignment import Axis
from intake_tcga.cohorts.barcodes import sample_axis
from intake_tcga.cohorts.dataset import NO_GROUP, Coordinate, chunked, coordinate, with_coordinate
from intake_tcga.cohorts.structure import CohortStructure, Labels, Matrix, read_structure
from intake_tcga.hdf5.file import Hdf5File
from intake_tcga.hdf5.lazy import LazyStack, Positions
from intake_tcga.hdf5.structure import GroupInfo


def open_tree(
    path: str | os.PathLike[str],
    *,
    chunks: int | str | Mapping[Any, Any] | None = None,
    drop_variables: str | Iterable[str] | None = None,
) -> xr.DataTree:
    """Open a cohort file as a lazy DataTree with one node for each group of the file.

    Parameters
    ----------
    path
        A local file of schema 1.0 or 2.0.
    chunks
        As in :func:`~intake_tcga.cohorts.dataset.open_dataset`; a mapping holds for the nodes that have the dimension.
    drop_variables
        Variables to leave out of every node.

    Returns
    -------
    xarray.DataTree
        Each node has its group's attributes under their own names. The variables have the names that the datasets
        have in the file (``expression``, ``groups``, ``split``); names of samples and features are the coordinates
        of the dimensions ``sample``, ``synthetic_sample``, ``raw_sample`` and ``feature``, ``raw_feature``, each in
        its own group's order: nothing is aligned here. Close it to close the file.

    Raises
    ------
    FileFormatError, UnsupportedVersionError
        As :func:`~intake_tcga.cohorts.dataset.open_dataset`.
    OptionError
        When ``chunks`` is of no possible form, or names a dimension that no node has.

    Examples
    --------
    >>> tree = open_tree(sample_file)
    >>> tree["synthetic/TC/CVAE1_5"].attrs["kl_weight"]
    5
    >>> tree.close()
    """
    file, nodes = _opened(path, drop_variables)
    if chunks is not None:
        try:
            check_chunks(chunks, {dim: size for node in nodes.values() for dim, size in node.sizes.items()})
        except BaseException:
            file.close()
            raise
        nodes = {name: chunked(node, chunks, file.path, token=name) for name, node in nodes.items()}
    tree = xr.DataTree.from_dict(nodes)
    tree.set_close(file.close)
    return tree


def open_groups(
    path: str | os.PathLike[str], *, drop_variables: str | Iterable[str] | None = None
) -> dict[str, xr.Dataset]:
    """Open each group of a cohort file as a lazy Dataset, by the group's path; parameters as :func:`open_tree`.

    Closing any of them closes the file.
    """
    file, nodes = _opened(path, drop_variables)
    for node in nodes.values():
        node.set_close(file.close)
    return nodes


def _opened(
    path: str | os.PathLike[str], drop_variables: str | Iterable[str] | None
) -> tuple[Hdf5File, dict[str, xr.Dataset]]:
    file = Hdf5File(path)
    try:
        nodes = _nodes(file, read_structure(file))
    except BaseException:
        file.close()
        raise
    dropped = [drop_variables] if isinstance(drop_variables, str) else list(drop_variables or ())
    return file, {name: node.drop_vars(dropped, errors="ignore") for name, node in nodes.items()}


def _nodes(file: Hdf5File, structure: CohortStructure) -> dict[str, xr.Dataset]:
    """Return one Dataset for each group of the file, by the group's path."""
    axis = sample_axis(file, structure)
    own: dict[str, dict[str, Coordinate]] = {}
    for (name, matrix), rows in zip(structure.real.items(), axis.maps, strict=True):
        own[f"/processed/{name}"] = {
            "sample": coordinate("sample", _own_axis(axis, rows, matrix)),
            "feature": _plain("feature", matrix.features, 0),
        }
    for key, matrix in structure.synthetic.items():
        own[f"/synthetic/{'/'.join(key)}"] = {
            "synthetic_sample": _plain("synthetic_sample", None, matrix.rows),
            "feature": _plain("feature", matrix.features, 0),
        }
    if structure.raw is not None:
        own["/raw"] = {
            "raw_sample": _plain("raw_sample", structure.raw.samples, structure.raw.rows),
            "raw_feature": _plain("raw_feature", structure.raw.features, 0),
        }
    for norm, features in _features_above(structure).items():
        own[f"/synthetic/{norm}"] = {"feature": _plain("feature", features, 0)}
    nodes: dict[str, xr.Dataset] = {}
    _visit(file, structure.root, own, nodes)
    return nodes


def _plain(dim: str, labels: Labels | None, size: int) -> Coordinate:
    """Return a coordinate of names, or of row numbers where there are none."""
    return coordinate(dim, Axis(np.arange(size) if labels is None else labels, (None,)))


def _features_above(structure: CohortStructure) -> dict[str, Labels]:
    """Return the features of each normalization of which all runs have the same."""
    found: dict[str, Labels] = {}
    mixed: set[str] = set()
    for key, matrix in structure.synthetic.items():
        if not np.array_equal(found.setdefault(key[0], matrix.features), matrix.features):
            mixed.add(key[0])
    return {norm: features for norm, features in found.items() if norm not in mixed}


def _own_axis(axis: Axis, rows: Positions | None, matrix: Matrix) -> Axis:
    """Return the labels of one matrix's rows out of the axis that all of them share."""
    if rows is None:
        return Axis(axis.labels, (None,), dict(axis.attrs))
    labels = np.empty(matrix.rows, dtype=object)
    here = rows >= 0
    labels[rows[here]] = np.asarray(axis.labels, dtype=object)[here]
    return Axis(labels, (None,), dict(axis.attrs))


def _visit(
    file: Hdf5File,
    group: GroupInfo,
    own: Mapping[str, Mapping[str, Coordinate]],
    nodes: dict[str, xr.Dataset],
) -> None:
    """Make a node of a group, and of every group below it."""
    axes = own.get(group.path, {})
    dims = tuple(axes)
    variables: dict[str, xr.Variable] = {}
    coords: dict[str, xr.Variable] = {}
    attrs = dict(group.attrs)
    for name, array in group.arrays.items():
        if array.kind == "other":
            attributes.add(attrs, {f"{name}.{key}": value for key, value in array.attrs.items()}, name)
        elif len(dims) == 2 and name == "expression":
            variables[name] = LazyStack.alone(file, array).variable(dims, array.attrs)
        elif len(dims) == 2 and name in {"groups", "split"}:
            nulls = NO_GROUP if name == "groups" else frozenset[str]()
            coords[name] = LazyStack.alone(file, array, nulls).variable(dims[:1], array.attrs)
        elif dims and name in {"sample_ids", "feature_names"}:
            attributes.add(axes[dims[0] if name == "sample_ids" else dims[-1]][0].attrs, array.attrs, name)
        else:
            own_dims = tuple(f"{name}.{axis}" for axis in range(len(array.shape)))
            variables[name] = LazyStack.alone(file, array).variable(own_dims, array.attrs)
    node = xr.Dataset(variables, coords, attrs)
    for dim, (variable, index) in axes.items():
        if dim not in group.groups:  # a node cannot have a child and a coordinate of one name
            node = with_coordinate(node, variable, index)
    nodes[group.path] = node
    for child in group.groups.values():
        _visit(file, child, own, nodes)
