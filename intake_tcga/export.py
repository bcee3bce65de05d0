"""Expression data for other tools: what each kind of file holds is in ``h5ad``, ``zarr_store`` and ``table_files``."""

from __future__ import annotations

import itertools
import os
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import xarray as xr

from intake_tcga import h5ad, zarr_store
from intake_tcga.arrays.matrices import Matrix, find_matrix
from intake_tcga.arrays.memory import load_whole
from intake_tcga.arrays.sample_blocks import lazy_rows
from intake_tcga.columns import (
    columns_along,
    lazy_columns,
    names_along,
    plain_attributes,
    plain_column,
    scalars_of,
)
from intake_tcga.errors import MissingDependencyError, OptionError
from intake_tcga.streaming import blocks_of, check_target, replaced
from intake_tcga.table_files import write_table

if TYPE_CHECKING:
    import anndata as ad

__all__ = ["to_anndata", "write_h5ad", "write_table", "write_zarr"]


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
        Whether matrices become compressed sparse rows; by default where that is smaller. Data over dask stay lazy
        and dense unless it is True, which reads them; all others are read.

    Returns
    -------
    anndata.AnnData
        ``obs`` and ``var`` hold every coordinate of samples and features: numbers as they are, all else as text;
        ``uns`` the Dataset's attributes, its coordinates without a dimension (the normalization that was selected)
        and, under ``variables``, the attributes of the matrices. Matrices keep their type.

    Raises
    ------
    OptionError
        When there is no such variable or several, a layer has other dimensions, or what is to be read is larger than
        this machine's memory.
    MissingDependencyError
        When anndata is not installed.

    Examples
    --------
    >>> from intake_tcga.cohorts.access import open_sample
    >>> to_anndata(open_sample(normalization="TC"), variable="real").shape  # doctest: +SKIP
    (77, 120)
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
    made = {name: _maybe_sparse(_values(_rows(matrix, name)), sparse) for name in names}
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
        can be written to, is a folder or a URL, or is the very file that the data are read from.

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
        factors = lazy_columns(ds, matrix.sample)
        obs = names_along(ds, matrix.sample), columns_along(ds.drop_vars(list(factors)), matrix.sample)
        var = names_along(ds, matrix.feature), columns_along(ds, matrix.feature)
        rows = [_rows(matrix, name) for name in names]
        with h5py.File(part, "w") as file, blocks_of(rows, part, factors) as (streams, known):
            for name, whole, blocks in zip(names, rows, streams, strict=True):
                of_x = name == matrix.name
                parent, key = (file, "X") if of_x else (file.require_group("layers"), str(name))
                first = next(blocks, np.zeros((0, whole.shape[1]), whole.dtype))
                smaller = _smaller_sparse(first) if sparse is None else sparse
                writer = h5ad.write_sparse if smaller else h5ad.write_dense
                n, width = whole.shape
                writer(parent, key, itertools.chain([first], blocks), (n, width), whole.dtype)
            obs[1].update({str(name): column for name, column in known.items()})
            h5ad.write_annotations(file, obs, var, _unstructured(matrix, names))

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
        Bytes of a matrix that are gathered before they are written: the more, the longer the chunks along samples.
        On top comes the one block that is computed meanwhile, however many threads there are.

    Returns
    -------
    pathlib.Path
        The store; ``xarray.open_zarr(path, consolidated=False)`` opens it. Texts that are missing are empty, and a
        ``/`` in a name is ``_``. While it is written, data whose blocks share work take room beside it, as for
        :func:`write_h5ad`.

    Raises
    ------
    OptionError
        When there is no such variable or several, ``by`` is none of these, or ``path`` exists or is in no folder that
        can be written to.
    MissingDependencyError
        When zarr is not installed.

    Examples
    --------
    >>> ds = xr.Dataset({"counts": (("sample", "feature"), [[1, 0], [0, 2]])}, {"feature": ["TP53", "MYC"]})
    >>> store = write_zarr(ds, "counts.zarr")
    >>> xr.open_zarr(store, consolidated=False)["counts"].sel(feature="MYC").values.tolist()
    [0, 2]
    """
    zarr_store.require_zarr()
    if by not in {"feature", "sample"}:
        raise OptionError(f"by={by!r} is not one of feature, sample.")
    check_target(ds, path, folder=True)
    matrix = find_matrix(ds, variable)
    plain = _plain_coordinates(ds.transpose(matrix.sample, matrix.feature, ...))
    names = _matrices(matrix, None)
    chunks = {name: zarr_store.chunk_shape(plain[name].variable, by, memory) for name in names}
    unread = {name: plain[name].variable for name in names if not plain[name].variable._in_memory}
    factors = lazy_columns(plain, matrix.sample) if unread else {}

    def write(part: Path) -> None:
        arrays = zarr_store.lay_out(plain, part, chunks, [*unread, *factors])
        with blocks_of(list(unread.values()), part, factors) as (streams, known):
            for name, blocks in zip(unread, streams, strict=True):
                zarr_store.write_matrix(arrays[name], blocks, chunks[name], memory)
            for name, values in known.items():
                arrays[name][:] = values

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


def _values(variable: xr.Variable) -> Any:
    """Return values as dask's blocks of whole samples where they are over dask, else in memory."""
    if variable.chunks is not None:
        return lazy_rows(variable)
    whole = load_whole(
        xr.Dataset({"matrix": variable}), instead="select some samples, or open them with chunks={}"
    )
    return whole["matrix"].values


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
