"""Expression data for other tools: AnnData objects, h5ad files and Zarr stores here, tables in ``table_files``."""

from __future__ import annotations

import itertools
import os
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import xarray as xr

from intake_tcga import h5ad
from intake_tcga.arrays.matrices import Matrix, find_matrix
from intake_tcga.arrays.sample_blocks import lazy_rows
from intake_tcga.columns import columns_along, names_along, plain_attributes, plain_column, scalars_of
from intake_tcga.errors import MissingDependencyError, OptionError
from intake_tcga.streaming import blocks_of, check_target, replaced
from intake_tcga.table_files import write_table

if TYPE_CHECKING:
    import anndata as ad

__all__ = ["to_anndata", "write_h5ad", "write_table", "write_zarr"]

_GENE_CHUNK = 2**20  # bytes of one chunk of a Zarr store for reading by features


def to_anndata(
    ds: xr.Dataset,
    *,
    variable: Hashable | None = None,
    layers: Sequence[Hashable] | None = None,
    sparse: bool | None = None,
) -> ad.AnnData:
    """Return the data as an AnnData object: what scanpy and its relatives work on.

    Parameters
    ----------
    ds : xarray.Dataset
        With one matrix of samples × features: of a cohort's ``real`` and ``synthetic``, one normalization, model
        and augmentation.
    variable : str, optional
        The variable that becomes ``X``, where there are several such.
    layers : sequence of str, optional
        Variables that become layers; by default all others of the same dimensions.
    sparse : bool, optional
        Whether matrices become compressed sparse rows; by default where that is smaller. Data over dask, or not
        read yet, stay lazy and dense unless it is True, which reads them.

    Returns
    -------
    anndata.AnnData
        ``obs`` and ``var`` hold every coordinate of samples and features: numbers as they are, all else as text;
        ``uns`` the Dataset's attributes, its coordinates without a dimension (the normalization that was selected)
        and, under ``variables``, the attributes of the matrices. Matrices keep their type.

    Raises
    ------
    OptionError
        When there is no such variable or several, or a layer has other dimensions.
    MissingDependencyError
        When anndata is not installed.
    """
    try:
        import anndata as ad
    except ImportError as error:
        raise MissingDependencyError(
            "AnnData objects need anndata; install it with: pip install 'intake-tcga[anndata]' "
            "(write_h5ad writes its files without)."
        ) from error
    import pandas as pd

    matrix = find_matrix(ds, variable)
    names = _matrices(matrix, layers)
    obs, var = (
        pd.DataFrame(columns_along(ds, dim), index=pd.Index(names_along(ds, dim), dtype=object))
        for dim in (matrix.sample, matrix.feature)
    )
    made = {name: _maybe_sparse(lazy_rows(_rows(matrix, name)), sparse) for name in names}
    return ad.AnnData(
        X=made.pop(matrix.name),
        obs=obs,
        var=var,
        uns=_unstructured(matrix, names),
        layers={str(name): values for name, values in made.items()},
    )


def write_h5ad(
    ds: xr.Dataset,
    path: str | os.PathLike[str],
    *,
    variable: Hashable | None = None,
    layers: Sequence[Hashable] | None = None,
    sparse: bool | None = None,
) -> Path:
    """Write the data as an h5ad file, some samples at a time, however large they are; anndata is not needed.

    Parameters
    ----------
    ds, variable, layers
        As for :func:`to_anndata`.
    path : str or path
        The file; one that exists is replaced, once the new one is complete.
    sparse : bool, optional
        Whether matrices are written as compressed sparse rows; by default where the first samples say that this
        is smaller.

    Returns
    -------
    pathlib.Path
        The file. While it is written, data whose blocks share work (``normalize`` by ``"tmm"``, say) take as much
        room again beside it. ``anndata.read_h5ad(path, backed="r")`` and ``scanpy.read_h5ad`` open it; texts are
        categories.

    Raises
    ------
    OptionError
        When there is no such variable or several, a layer has other dimensions, or ``path`` is in no folder that
        exists, is a URL, or is the very file that the data are read from.

    Examples
    --------
    >>> ds = xr.Dataset({"counts": (("sample", "feature"), [[1, 0], [0, 2]])}, {"feature": ["TP53", "MYC"]})
    >>> write_h5ad(ds, "counts.h5ad").name
    'counts.h5ad'
    """
    import h5py

    check_target(ds, path)
    matrix = find_matrix(ds, variable)
    names = _matrices(matrix, layers)

    def write(part: Path) -> None:
        with h5py.File(part, "w") as file:
            h5ad.write_annotations(
                file,
                (names_along(ds, matrix.sample), columns_along(ds, matrix.sample)),
                (names_along(ds, matrix.feature), columns_along(ds, matrix.feature)),
                _unstructured(matrix, names),
            )
            for name in names:
                parent, key = (file, "X") if name == matrix.name else (file["layers"], str(name))
                variable = _rows(matrix, name)
                n, width = variable.shape
                with blocks_of(variable, part) as blocks:
                    first = next(blocks, np.zeros((0, width), variable.dtype))
                    smaller = _smaller_sparse(first) if sparse is None else sparse
                    writer = h5ad.write_sparse if smaller else h5ad.write_dense
                    writer(parent, key, itertools.chain([first], blocks), (n, width), variable.dtype)

    return replaced(path, write)


def write_zarr(
    ds: xr.Dataset,
    path: str | os.PathLike[str],
    *,
    variable: Hashable | None = None,
    by: Literal["feature", "sample"] = "feature",
    memory: int = 512 * 2**20,
) -> Path:
    """Write the Dataset as a Zarr store that is fast to read by features, or by samples.

    One gene over all samples of an ARCHS4 file touches every block of it; of this store, a small part.

    Parameters
    ----------
    ds : xarray.Dataset
        With a matrix of samples × features; everything else is written along.
    path : str or path
        The store, a folder that must not exist yet.
    variable : str, optional
        Which variable is laid out so, where there are several such; all others that are matrices of the same
        dimensions are, too.
    by : {"feature", "sample"}
        What is read together: chunks are long along samples and narrow along features, or whole samples.
    memory : int
        Bytes of a matrix in memory at once. The more, the longer the chunks along samples.

    Returns
    -------
    pathlib.Path
        The store; ``xarray.open_zarr(path, consolidated=False)`` opens it. Texts that are missing are empty, and a
        ``/`` in a name is ``_``.

    Raises
    ------
    OptionError
        When there is no such variable or several, ``by`` is none of these, or ``path`` exists.
    MissingDependencyError
        When zarr is not installed.
    """
    try:
        import zarr  # noqa: F401 - xarray imports it by itself, with another message
    except ImportError as error:
        raise MissingDependencyError("Zarr stores need zarr; install it with: pip install zarr") from error
    if by not in {"feature", "sample"}:
        raise OptionError(f"by={by!r} is not one of feature, sample.")
    check_target(ds, path)
    if Path(path).exists():
        raise OptionError(f"{path} exists; remove it, or choose another path.")
    matrix = find_matrix(ds, variable)
    plain = _plain_coordinates(ds.transpose(matrix.sample, matrix.feature, ...))
    encoding = {}
    for name in _matrices(matrix, None):
        n, width = (ds.sizes[matrix.sample], ds.sizes[matrix.feature])
        item = ds[name].dtype.itemsize
        rows = max(1, min(n, memory // max(1, item * width)))
        if by == "feature":
            chunks = (rows, max(1, min(width, _GENE_CHUNK // (item * rows))))
        else:
            rows = max(1, min(rows, _GENE_CHUNK // max(1, item * width)))
            chunks = (rows, max(1, width))
        encoding[name] = {"chunks": chunks}
        values = lazy_rows(plain[name].variable)
        if not isinstance(values, np.ndarray):
            # A block of dask is whole chunks of the store, so that no two blocks write to one.
            whole = xr.Variable((matrix.sample, matrix.feature), values, plain[name].attrs)
            plain[name] = whole.chunk({matrix.sample: rows, matrix.feature: -1})

    def write(part: Path) -> None:
        plain.to_zarr(part, mode="w", encoding=encoding, consolidated=False)

    return replaced(path, write)


# -- the matrices -----------------------------------------------------------------------------------------------------


def _matrices(matrix: Matrix, layers: Sequence[Hashable] | None) -> list[Hashable]:
    """Return the names of the matrix and of its layers, in this order."""
    ds = matrix.dataset
    fitting = [
        name
        for name in ds.data_vars
        if set(ds[name].dims) == {matrix.sample, matrix.feature}
        and ds[name].dtype.kind in "biuf"
        and name != matrix.name
    ]
    if layers is None:
        return [matrix.name, *fitting]
    for name in layers:
        if name not in fitting:
            raise OptionError(
                f"{name!r} cannot be a layer of {matrix.name}; those that can: "
                f"{', '.join(map(str, fitting)) or 'none'}."
            )
    return [matrix.name, *layers]


def _rows(matrix: Matrix, name: Hashable) -> xr.Variable:
    return matrix.dataset[name].variable.transpose(matrix.sample, matrix.feature)


def _smaller_sparse(values: npt.NDArray[Any]) -> bool:
    item = values.dtype.itemsize
    return bool(np.count_nonzero(values) * (item + 4) < values.size * item)  # 4: the number of a column


def _maybe_sparse(values: Any, sparse: bool | None) -> Any:
    if sparse is None:
        sparse = isinstance(values, np.ndarray) and values.size > 0 and _smaller_sparse(values)
    if not sparse:
        return values
    from scipy.sparse import csr_matrix  # anndata depends on it

    return csr_matrix(np.asarray(values))


def _unstructured(matrix: Matrix, names: Sequence[Hashable]) -> dict[str, Any]:
    ds = matrix.dataset
    attrs = {str(name): plain_attributes(ds[name].attrs) for name in names}
    return plain_attributes(ds.attrs) | scalars_of(ds) | {"variables": {"X": str(matrix.name), **attrs}}


def _plain_coordinates(ds: xr.Dataset) -> xr.Dataset:
    """Return a Dataset as stores need it: texts are texts throughout, empty where missing; no "/" in names."""
    texts = {
        name: xr.Variable(ds[name].dims, _filled(ds[name].values), ds[name].attrs)
        for name in ds.coords
        if ds[name].dtype.kind in "OUT"
    }
    plain = ds.assign_coords(texts).drop_encoding()
    plain = plain.rename({name: str(name).replace("/", "_") for name in ds.coords if "/" in str(name)})
    for variable in plain.variables.values():
        variable.attrs = _stored(variable.attrs)
    plain.attrs = _stored(plain.attrs)
    return plain


def _stored(attrs: Mapping[Any, Any]) -> dict[str, Any]:
    """Return attributes as JSON can hold them."""
    plain = plain_attributes(attrs)
    return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in plain.items()}


def _filled(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    column = plain_column(np.ravel(values))
    column[:] = ["" if text is None else text for text in column.tolist()]
    return column.reshape(np.shape(values))
