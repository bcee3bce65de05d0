"""Matrices of samples × features in Zarr stores: what their chunks are, and how they are written in bounded memory."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from intake_tcga.errors import MissingDependencyError
from intake_tcga.streaming import Blocks

_CHUNK = 2**20  # bytes of a chunk
_AT_ONCE = 4  # chunks that are compressed at once, along each dimension


def require_zarr() -> None:
    """Refuse to go on without zarr.

    Raises
    ------
    MissingDependencyError
        It is not installed.
    """
    try:
        import zarr  # noqa: F401 - xarray imports it by itself, with another message
    except ImportError as error:
        raise MissingDependencyError("Zarr stores need zarr; install it with: pip install zarr") from error


def chunk_shape(variable: xr.Variable, by: str, memory: int) -> tuple[int, int]:
    """Return the shape of a chunk of a matrix of samples × features: about 1 MiB.

    Parameters
    ----------
    variable
        The matrix.
    by
        ``"feature"``: long along samples; ``"sample"``: whole samples.
    memory
        Bytes of the matrix that are gathered before they are written, which bounds the samples of a chunk.

    Examples
    --------
    >>> counts = xr.Variable(("sample", "feature"), np.zeros((1000, 2000), "u4"))
    >>> chunk_shape(counts, "feature", 2**22), chunk_shape(counts, "sample", 2**22)
    ((524, 500), (131, 2000))
    """
    (n, width), item = variable.shape, variable.dtype.itemsize
    rows = max(1, min(n, memory // max(1, item * width)))
    if by == "feature":
        return rows, max(1, min(width, _CHUNK // (item * rows)))
    return max(1, min(rows, _CHUNK // max(1, item * width))), max(1, width)


def lay_out(
    plain: xr.Dataset, path: Path, chunks: Mapping[Hashable, tuple[int, int]], later: Sequence[Hashable]
) -> dict[Hashable, Any]:
    """Write all of a store but the values of some variables; return the arrays of these.

    Parameters
    ----------
    plain
        What is stored, with names, texts and attributes that a store can hold.
    path
        The store's folder.
    chunks
        Shapes of chunks, by variable; the others are stored as xarray does.
    later
        The variables that are only laid out.
    """
    import dask.array as da
    import zarr

    empty = {
        name: (
            plain[name].dims,
            da.empty(plain[name].shape, dtype=plain[name].dtype, chunks=-1),
            plain[name].attrs,
        )
        for name in later
    }
    laid_out = plain.assign_coords({name: one for name, one in empty.items() if name in plain.coords})
    laid_out = laid_out.assign({name: one for name, one in empty.items() if name not in plain.coords})
    encoding = {name: {"chunks": shape} for name, shape in chunks.items()}
    laid_out.to_zarr(path, mode="w", encoding=encoding, consolidated=False, compute=False)
    rest = {
        name: one for name, one in plain.variables.items() if one.chunks is not None and name not in later
    }
    if rest:
        xr.Dataset(rest).to_zarr(path, mode="r+", consolidated=False)
    store: Any = zarr.open_group(path, mode="r+")
    return {name: store[str(name)] for name in later}


def write_matrix(stored: Any, blocks: Blocks, chunk: tuple[int, int], memory: int) -> None:
    """Write a matrix, as many samples at a time as fit into memory, so that no chunk is written twice.

    Parameters
    ----------
    stored
        The array of the store.
    blocks
        The matrix.
    chunk
        Shape of the array's chunks.
    memory
        Bytes that are gathered; at least a chunk's samples are.
    """
    (n, width), (rows, columns) = stored.shape, chunk
    length = rows * max(1, memory // max(1, rows * width * stored.dtype.itemsize))
    start = 0
    for block in _gathered(blocks, np.empty((min(n, length), width), stored.dtype)):
        # Zarr copies what it is given, chunk by chunk, before it compresses any.
        for row in range(0, len(block), rows * _AT_ONCE):
            for column in range(0, width, columns * _AT_ONCE):
                part = slice(row, row + rows * _AT_ONCE), slice(column, column + columns * _AT_ONCE)
                stored[start + row : start + min(part[0].stop, len(block)), part[1]] = block[part]
        start += len(block)


def _gathered(blocks: Blocks, gathered: npt.NDArray[Any]) -> Blocks:
    """Make blocks of others, as long as the array they are gathered in, each until the next is asked for."""
    filled = 0
    for block in blocks:
        done = 0
        while done < len(block):
            taken = min(len(block) - done, len(gathered) - filled)
            gathered[filled : filled + taken] = block[done : done + taken]
            done, filled = done + taken, filled + taken
            if filled == len(gathered):
                yield gathered
                filled = 0
        del block  # before the next one is made
    if filled:
        yield gathered[:filled]
