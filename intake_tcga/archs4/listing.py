"""What is in an HDF5 file, as a tree in text: groups, datasets, their shapes and types."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from intake_tcga.errors import FileFormatError
from intake_tcga.hdf5.file import Hdf5File
from intake_tcga.hdf5.structure import ArrayInfo

_DEEPEST = 32
_MOST_LINES = 10_000


def tree(file: Hdf5File) -> str:
    """List a file's groups and datasets, with shapes, types and chunks.

    Reads the header of every object, and no value: of a remote file that is a few hundred kilobytes.

    Parameters
    ----------
    file
        The file, local or remote.

    Returns
    -------
    str
        One line an object, in the file's order; groups end in ``/``.

    Raises
    ------
    FileFormatError
        When it is no HDF5 file, or one that cannot be trusted.

    Examples
    --------
    >>> print(tree(Hdf5File(sample_archs4)))  # doctest: +ELLIPSIS
    data/
        expression                  818 × 30    uint32    chunks 2000 × 1
    meta/
        genes/
            ensembl_gene            818         text
    ...
    """
    rows = list(itertools.islice(_rows(file, "", 0), _MOST_LINES + 1))
    if len(rows) > _MOST_LINES:
        raise FileFormatError(
            f"{file.path} is not a data file to trust: it holds more than {_MOST_LINES} objects."
        )
    # Each column as wide as its widest entry.
    names = max((len(name) for name, *_ in rows), default=0)
    shapes = max((len(shape) for _, shape, _, _ in rows), default=0)
    types = max((len(kind) for *_, kind, _ in rows), default=0)
    return "\n".join(
        f"{name:<{names}}   {shape:<{shapes}}   {kind:<{types}}   {chunks}".rstrip()
        for name, shape, kind, chunks in rows
    )


def _rows(file: Hdf5File, group: str, depth: int) -> Iterator[tuple[str, str, str, str]]:
    """Name, shape, type and chunks of everything in a group."""
    if depth > _DEEPEST:
        raise FileFormatError(f"{file.path} is not a data file to trust: its groups are nested too deeply.")
    indent = "    " * depth
    for name in file.members(group or "/"):
        path = f"{group}/{name}"
        match file.kind(path):
            case "group":
                yield f"{indent}{name}/", "", "", ""
                yield from _rows(file, path, depth + 1)
            case "array":
                yield f"{indent}{name}", *_described(file.array_info(path, whole=False))
            case _:
                yield f"{indent}{name}", "", "type", ""


def _described(array: ArrayInfo) -> tuple[str, str, str]:
    """Shape, type and chunks in words."""
    kind = array.dtype.name if array.kind == "number" else "text" if array.kind == "text" else "not readable"
    shape = " × ".join(map(str, array.shape)) if array.shape else "one value"
    return shape, kind, f"chunks {' × '.join(map(str, array.chunks))}" if array.chunks else ""
