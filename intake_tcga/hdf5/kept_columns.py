"""Columns of a file kept on disk as Parquet, one file a column, so that what was decoded once need not be again.

They lie in the folder of the cache that the file is in, or else was opened with, and hold as long as the file keeps its
size, time and inode; those of a remote file, its URL, size and ETag. They are a convenience: whatever is damaged,
unwritable or gone is decoded anew. Any number of processes may read and write them at once: a column appears whole,
under its name, or not at all.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from intake_tcga.cache.derived import too_fresh
from intake_tcga.cache.kept import entry_of, note_use, note_written
from intake_tcga.cache.roots import state_folder
from intake_tcga.cache.stamps import Signature
from intake_tcga.errors import IntakeTcgaError
from intake_tcga.hdf5.file import Hdf5File

if TYPE_CHECKING:
    import pyarrow as pa

_FORMAT = "2"  # another one, other columns: raise it when a column's content or type would differ
_PLAIN, _TEXTS, _CODES = "column", "texts", "codes"
_ABANDONED = 3600  # seconds after which what another process has begun to write is no longer under way


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the columns of one state of one file are."""

    folder: Path
    """One for each file."""

    state: bytes
    """What changes when the file does."""

    lasting: bool
    """False for a file so new that another write might not change its time."""


def recall_column(file: Hdf5File, path: str) -> pa.Array | None:
    """Return a kept column.

    Parameters
    ----------
    file : Hdf5File
        The file.
    path : str
        The dataset's path in it.

    Returns
    -------
    pyarrow.Array or None
        None where none was kept, or the file has changed since, or what was kept is damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    place = _place(file)
    if place is None:
        return None
    try:
        with pq.ParquetFile(_name(place, path), page_checksum_verification=True) as kept:
            known = kept.schema_arrow.metadata or {}
            if known.get(b"state") != place.state or known.get(b"path") != _raw(path):
                return None
            column = _unpacked(kept.read(use_threads=False))
        note_use(_name(place, path))
        return column
    except (OSError, pa.ArrowException, UnicodeError, LookupError):
        return None


def keep_column(file: Hdf5File, path: str, column: pa.Array, before: bytes | None) -> None:
    """Keep a column.

    Parameters
    ----------
    file, path
        As for :func:`recall_column`.
    column
        What was read.
    before
        :func:`state_of` the file before it was read: of a file that changed meanwhile, or was written a moment ago,
        nothing is kept.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    place = _place(file)
    if place is None or place.state != before or not place.lasting:
        return
    metadata = {b"state": place.state, b"path": _raw(path)}
    table = _packed(column).replace_schema_metadata(metadata)
    fresh = place.folder / f"{secrets.token_hex(6)}.new"
    try:
        place.folder.mkdir(parents=True, exist_ok=True)
        _clear_abandoned(place.folder)
        pq.write_table(
            table,
            fresh,
            compression="lz4",  # reads as fast as nothing at all, and takes a fraction of the space
            use_dictionary=False,
            write_statistics=False,
            write_page_checksum=True,  # a damaged page would be text that nobody wrote
        )
        size = fresh.stat().st_size
        fresh.replace(_name(place, path))
        note_written(_name(place, path), size)
    except (OSError, pa.ArrowException):
        with suppress(OSError):
            fresh.unlink()


def _packed(column: pa.Array) -> pa.Table:
    """Return a table that holds a column.

    A dictionary is two lists in one row: Parquet's own dictionaries are hashed text by text when they are read, which
    takes several times as long as reading them.
    """
    import pyarrow as pa

    if not isinstance(column, pa.DictionaryArray):
        return pa.table({_PLAIN: column})
    parts = {_TEXTS: column.dictionary, _CODES: column.indices}
    return pa.table(
        {name: pa.LargeListArray.from_arrays(pa.array([0, len(part)]), part) for name, part in parts.items()}
    )


def _unpacked(table: pa.Table) -> pa.Array:
    """Return the column that a table holds."""
    import pyarrow as pa

    if _PLAIN in table.column_names:
        return table[_PLAIN].combine_chunks()
    texts, codes = (table[name].combine_chunks().flatten() for name in (_TEXTS, _CODES))
    return pa.DictionaryArray.from_arrays(codes, texts)


def state_of(file: Hdf5File) -> bytes | None:
    """Return what changes when the file does; None where that cannot be said."""
    place = _place(file)
    return place.state if place else None


def _place(file: Hdf5File) -> _Place | None:
    if file.remote is not None:
        try:
            folder = file.kept
        except IntakeTcgaError:  # the server cannot be asked now: then it cannot be read either
            return None
        return _Place(folder / "columns", f"{_FORMAT}".encode(), lasting=True) if folder else None
    path = Path(file.path)
    signature = Signature.of(path)
    if signature is None:
        return None
    state = f"{_FORMAT} {signature.size} {signature.mtime_ns} {signature.inode}"
    folder = entry_of(file.path, state_folder(path, file.state) / "columns")
    return _Place(folder, state.encode(), lasting=not too_fresh(signature))


def _name(place: _Place, path: str) -> Path:
    return place.folder / f"{hashlib.sha256(_raw(path)).hexdigest()[:32]}.parquet"


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _clear_abandoned(folder: Path) -> None:
    """Remove what processes that were killed had begun to write."""
    for fresh in folder.glob("*.new"):
        with suppress(OSError):
            if time.time() - fresh.stat().st_mtime > _ABANDONED:
                fresh.unlink()
