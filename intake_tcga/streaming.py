"""Matrices on their way into files: read in order, whole samples at a time; files are complete or not there."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from intake_tcga.arrays.sample_blocks import lazy_rows
from intake_tcga.errors import OptionError
from intake_tcga.remote import redact

_BLOCK = 64 * 2**20  # bytes of a matrix in memory at once, where what was given has no blocks of its own


@contextmanager
def blocks_of(variable: xr.Variable, target: Path) -> Iterator[Iterator[npt.NDArray[Any]]]:
    """Read whole samples in their order, a block at a time; over dask, its own blocks.

    Where blocks share work, such as factors that need all samples, all are computed at once, in any order, and wait
    in a file beside the target.
    """
    if variable.chunks is None:
        yield _parts(variable)
        return
    import dask.array as da

    values = lazy_rows(variable)
    if not _share_work(values):
        yield (np.asarray(values.blocks[number].compute()) for number in range(values.numblocks[0]))
        return
    spool = _Spool(target.with_name(f"{target.name}.npy"))
    try:
        np.lib.format.open_memmap(spool.path, "w+", values.dtype, values.shape).flush()
        da.store([values], [spool], lock=False)  # type: ignore[list-item,unused-ignore]
        yield _parts(xr.Variable(variable.dims, np.load(spool.path, mmap_mode="r")))
    finally:
        spool.path.unlink(missing_ok=True)


def _parts(variable: xr.Variable) -> Iterator[npt.NDArray[Any]]:
    length = max(1, _BLOCK // max(1, variable.dtype.itemsize * variable.shape[1]))
    for start in range(0, variable.shape[0], length):
        yield np.asarray(variable[start : start + length].values)


def _share_work(values: Any) -> bool:
    """Tell whether computing dask blocks one by one would do much more than computing them together."""
    if values.numblocks[0] < 2 or not values.size:
        return False
    from dask.base import optimize

    alone, together = (len(optimize(part)[0].__dask_graph__()) for part in (values.blocks[0], values))  # type: ignore[no-untyped-call]
    return bool(alone * values.numblocks[0] > 2 * together)


@dataclass(frozen=True, slots=True)
class _Spool:
    """An array in a file, which any process may write parts of."""

    path: Path

    def __setitem__(self, part: Any, values: npt.NDArray[Any]) -> None:
        np.load(self.path, mmap_mode="r+")[part] = values


def check_target(ds: xr.Dataset | xr.DataArray, path: str | os.PathLike[str]) -> None:
    """Refuse a place where nothing can be written, and the file that the data are read from.

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
    source = ds.encoding.get("source") or ds.attrs.get("intake_tcga:source")
    if isinstance(source, str) and target.exists() and Path(source).exists() and target.samefile(source):
        raise OptionError(f"{target} is the file that these data are read from; choose another path.")


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
