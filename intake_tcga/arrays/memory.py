"""Datasets read whole into memory, unless they are larger than it."""

from __future__ import annotations

import os

import xarray as xr

from intake_tcga.errors import OptionError
from intake_tcga.tables import human_size


def load_whole(ds: xr.Dataset, *, instead: str) -> xr.Dataset:
    """Load a Dataset whole, its labels too, so that it needs the file no longer; returns the same Dataset.

    Parameters
    ----------
    ds
        A lazy Dataset.
    instead
        What to do where it is too large, as the end of a sentence.

    Raises
    ------
    OptionError
        Its variables alone are larger than this machine's memory; nothing has been read.

    Examples
    --------
    >>> import dask.array
    >>> load_whole(xr.Dataset({"a": ("x", dask.array.zeros(10**15, chunks=10**14))}), instead="select some")
    Traceback (most recent call last):
    ...
    intake_tcga.errors.OptionError: x: 1,000,000,000,000,000 take ..., and this machine has ...; select some.
    """
    need = sum(variable.nbytes for variable in ds.data_vars.values())
    there = _memory()
    if there is not None and need > there:
        sizes = ", ".join(f"{dim}: {size:,}" for dim, size in ds.sizes.items())
        raise OptionError(
            f"{sizes} take {human_size(need)}, and this machine has {human_size(there)} of memory; {instead}."
        )
    for name in ds.xindexes:
        _ = ds[name].values  # xarray takes any index for loaded, and ours may not be
    return ds.load()


def _memory() -> int | None:
    """Return the bytes of this machine's memory, or None where they cannot be told."""
    if not hasattr(os, "sysconf"):
        return None
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
