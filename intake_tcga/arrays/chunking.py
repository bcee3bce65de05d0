"""What a user may write as ``chunks``, and lazy variables turned into dask arrays accordingly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import xarray as xr

from intake_tcga.errors import OptionError

_SIZES = 'a positive number, -1 (the whole dimension), "auto", or a size in bytes such as "64MiB"'


def check_chunks(chunks: Any, sizes: Mapping[Any, int]) -> None:
    """Raise an error when ``chunks`` is of no form that dask takes, or names dimensions that do not exist.

    Parameters
    ----------
    chunks
        What the user gave.
    sizes
        Length of each dimension that there is.

    Raises
    ------
    OptionError
        Names everything that is wrong, the forms that are right, and the dimensions.

    Examples
    --------
    >>> check_chunks({"sample": -1, "feature": 100}, {"sample": 20, "feature": 400})
    >>> check_chunks({"samples": 5}, {"sample": 20, "feature": 400})
    Traceback (most recent call last):
    ...
    intake_tcga.errors.OptionError: chunks: there is no dimension 'samples'; choose from sample, feature.
    """
    if chunks is None:
        return
    if not isinstance(chunks, Mapping):
        if not _is_size(chunks):
            raise OptionError(
                f"chunks={chunks!r} is not possible: give None (no dask), {{}} (the file's own chunks), {_SIZES}; "
                f"or a mapping of dimensions to such sizes. The dimensions are {', '.join(map(str, sizes))}."
            )
        return
    problems = []
    for dim, size in chunks.items():
        if dim not in sizes:
            problems.append(f"there is no dimension {dim!r}; choose from {', '.join(map(str, sizes))}")
        elif not (size is None or _is_size(size) or _is_partition(size, sizes[dim])):
            problems.append(
                f"{size!r} is not possible for the dimension {dim!r} of length {sizes[dim]}: give {_SIZES}, or sizes "
                "that add up to the length"
            )
    if problems:
        raise OptionError(f"chunks: {'; '.join(problems)}.")


def over_dask(ds: xr.Dataset, chunks: int | str | Mapping[Any, Any], token: str) -> xr.Dataset:
    """Return a lazy Dataset over dask arrays; where ``chunks`` says nothing, they follow the preferred chunks.

    Parameters
    ----------
    ds
        A Dataset of lazy variables, whose encoding may say which chunks they prefer.
    chunks
        One size for all dimensions, or sizes by dimension; see :func:`check_chunks`.
    token
        What the arrays are named after: another file, another token.

    Returns
    -------
    xarray.Dataset
        Indexes, texts, scalars and what is in memory stay as they are: texts are short, and nothing can be grouped by
        a dask array.
    """
    asked = chunks if isinstance(chunks, Mapping) else dict.fromkeys(ds.dims, chunks)
    variables = {}
    for name, variable in ds.variables.items():
        if name in ds.xindexes or not variable.ndim or variable._in_memory or variable.dtype.kind == "O":
            continue
        preferred = variable.encoding.get("preferred_chunks", {})
        sizes = {dim: asked.get(dim, preferred.get(dim, -1)) for dim in variable.dims}
        variables[name] = variable.chunk(sizes, name=f"open_dataset-{name}-{token}")
    return ds.assign_coords({n: v for n, v in variables.items() if n in ds.coords}).assign(
        {n: v for n, v in variables.items() if n not in ds.coords}
    )


def _is_size(size: Any) -> bool:
    """Say whether dask takes this for any dimension."""
    if isinstance(size, str):
        return size == "auto" or _is_bytes(size)
    return _is_number(size) and (size > 0 or size == -1)


def _is_partition(sizes: Any, length: int) -> bool:
    """Say whether these are the sizes of all chunks of a dimension."""
    return (
        isinstance(sizes, tuple | list)
        and all(_is_number(size) and size >= 0 for size in sizes)
        and sum(sizes) == length
    )


def _is_number(size: Any) -> bool:
    return hasattr(size, "__index__") and not isinstance(size, bool)


def _is_bytes(text: str) -> bool:
    from dask.utils import parse_bytes

    try:
        return int(parse_bytes(text)) > 0
    except ValueError:
        return False
