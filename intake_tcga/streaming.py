"""Matrices on their way into files: read in order, whole samples at a time; files are complete or not there."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import xarray as xr

from intake_tcga.arrays.sample_blocks import lazy_rows, rows_at_once
from intake_tcga.errors import OptionError
from intake_tcga.remote import redact

Blocks: TypeAlias = Iterator[npt.NDArray[Any]]
"""A matrix in blocks of whole samples, in their order."""

_NONE: Mapping[Hashable, xr.Variable] = MappingProxyType({})


@contextmanager
def blocks_of(
    matrices: Sequence[xr.Variable], target: Path, columns: Mapping[Hashable, xr.Variable] = _NONE
) -> Iterator[tuple[list[Blocks], dict[Hashable, npt.NDArray[Any]]]]:
    """Read whole samples in their order, a block at a time; over dask, its own blocks.

    Where blocks share work, such as factors that need all samples, all are computed at once, in any order, and wait
    in files beside the target.

    Parameters
    ----------
    matrices
        Of the same samples × features.
    target
        What is written.
    columns
        Numbers along the samples, over dask, which are computed in the same pass as the first matrix.

    Yields
    ------
    (list of iterators, dict of arrays)
        The blocks of each matrix, to be taken in this order; and the columns, which are complete once those of the
        first matrix were taken.
    """
    known = {name: np.empty(column.shape, column.dtype) for name, column in columns.items()}
    lazy = {at: lazy_rows(matrix) for at, matrix in enumerate(matrices) if matrix.chunks is not None}
    beside = {name: column.data for name, column in columns.items()}
    if not any(_share_work(values, [] if at else list(beside.values())) for at, values in lazy.items()):
        yield (
            [
                _computed(lazy[at], {} if at else beside, known) if at in lazy else _parts(matrix)
                for at, matrix in enumerate(matrices)
            ],
            known,
        )
        return
    with _spooled([*lazy.values(), *beside.values()], target) as spooled:
        for name, values in zip(known, spooled[len(lazy) :], strict=True):
            known[name][:] = values
        files = dict(zip(lazy, spooled, strict=False))
        yield (
            [
                _parts(xr.Variable(matrix.dims, files[at]) if at in files else matrix)
                for at, matrix in enumerate(matrices)
            ],
            known,
        )


def _parts(variable: xr.Variable) -> Blocks:
    length = rows_at_once(variable)
    for start in range(0, variable.shape[0], length):
        yield np.asarray(variable[start : start + length].values)


def _computed(
    values: Any, columns: Mapping[Hashable, Any], known: dict[Hashable, npt.NDArray[Any]]
) -> Blocks:
    """Compute dask's blocks one by one, and with each of them its part of the columns."""
    import dask

    start = 0
    for number, length in enumerate(values.chunks[0]):
        rows = slice(start, start + length)
        start += length
        parts = (column[rows] for column in columns.values())
        made = list(dask.compute(*parts, values.blocks[number]))  # type: ignore[attr-defined,no-untyped-call,unused-ignore]
        for name, part in zip(columns, made, strict=False):
            known[name][rows] = part
        yield np.asarray(made.pop())  # which is not held here while the next one is made


def _share_work(values: Any, columns: Sequence[Any]) -> bool:
    """Tell whether computing dask blocks one by one would do much more than computing them together."""
    if values.numblocks[0] < 2 or not values.size:
        return False
    first = [values.blocks[0], *(column[: values.chunks[0][0]] for column in columns)]
    return bool(_tasks(first) * values.numblocks[0] > 2 * _tasks([values, *columns]))


def _tasks(arrays: Sequence[Any]) -> int:
    from dask.base import optimize

    return len(optimize(*arrays)[0].__dask_graph__())  # type: ignore[no-untyped-call]


@contextmanager
def _spooled(arrays: Sequence[Any], target: Path) -> Iterator[list[npt.NDArray[Any]]]:
    """Compute arrays together, into files that are there meanwhile."""
    import dask.array as da

    spools = [_Spool(target.with_name(f"{target.name}.{number}.npy")) for number in range(len(arrays))]
    with ExitStack() as files:
        for spool, array in zip(spools, arrays, strict=True):
            files.callback(spool.path.unlink, missing_ok=True)
            np.lib.format.open_memmap(spool.path, "w+", array.dtype, array.shape).flush()
        # Columns, too: what is stored together is computed together.
        da.store(list(arrays), spools, lock=False)  # type: ignore[arg-type,unused-ignore]
        yield [np.load(spool.path, mmap_mode="r") for spool in spools]


@dataclass(frozen=True, slots=True)
class _Spool:
    """An array in a file, which any process may write parts of."""

    path: Path

    def __setitem__(self, part: Any, values: npt.NDArray[Any]) -> None:
        np.load(self.path, mmap_mode="r+")[part] = values


def check_target(
    ds: xr.Dataset | xr.DataArray, path: str | os.PathLike[str], *, folder: bool = False
) -> None:
    """Refuse a place where nothing can be written, and the file that the data are read from.

    Parameters
    ----------
    ds
        The data.
    path, folder
        As for :func:`check_place`.

    Raises
    ------
    OptionError
        It is one of these.
    """
    check_place(path, folder=folder)
    target = Path(path)
    source = ds.encoding.get("source") or ds.attrs.get("intake_tcga:source")
    if isinstance(source, str) and target.exists() and Path(source).exists() and target.samefile(source):
        raise OptionError(f"{target} is the file that these data are read from; choose another path.")


def check_place(path: str | os.PathLike[str], *, folder: bool = False) -> None:
    """Refuse a place where nothing can be written.

    Parameters
    ----------
    path
        A file, which is replaced if it exists.
    folder
        Whether it is a folder that is to be made: then nothing is replaced.

    Raises
    ------
    OptionError
        It is one of these.
    """
    if "://" in os.fspath(path):
        raise OptionError(
            f"{redact(os.fspath(path))} is a URL; write a file on this machine, and copy it there."
        )
    target = Path(path)
    if not target.parent.is_dir():
        raise OptionError(f"{target} cannot be written: there is no folder {target.parent}; make it first.")
    if folder and target.exists():
        raise OptionError(
            f"{target} cannot be written: it exists, and a store is not replaced; remove it, or choose another path."
        )
    if target.is_dir():
        raise OptionError(f"{target} cannot be written: it is a folder; choose another path.")
    if not os.access(target.parent, os.W_OK):
        raise OptionError(
            f"{target} cannot be written: {target.parent} is not writable; choose another path."
        )


def replaced(path: str | os.PathLike[str], write: Callable[[Path], None]) -> Path:
    """Write beside the path and move there what is complete, so that nobody sees a part."""
    import shutil

    target = Path(path)
    part = target.with_name(f".{target.name}.{os.getpid()}-{secrets.token_hex(4)}.part")
    try:
        write(part)
        part.replace(target)
    except BaseException:
        with suppress(OSError):
            shutil.rmtree(part) if part.is_dir() else part.unlink(missing_ok=True)
        raise
    return target
