"""What is kept beside the files of a cache, so that it need not be asked for or worked out again: bounded, removable.

Each kind has a folder of its own, here called a shelf, with one entry (a folder, or a file) for each file that
something was kept of. All of it is a convenience: whatever is gone is made anew. So a shelf that has become too large
lets go of what was longest of no use, whoever else reads there.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_STATE = ".intake-tcga"
MOST = {
    f"{_STATE}/slides": 2**29,  # headers of slides, some 300 KB each
    f"{_STATE}/remote": 2**32,  # parts of HDF5 files that were read where they are, and their columns
    f"{_STATE}/columns": 2**32,  # metadata of local files, decoded
    f"{_STATE}/derived": 2**26,  # descriptions and barcodes of cohorts
    "gdc/listings": 2**26,  # all slides of a data release, a few MB each
}
"""Bytes that each shelf of a cache may have, by its folder below the cache's root."""

_NAME = "name"  # a file in an entry: what the user calls the file that it is of
_LEFT = 0.9  # part of a shelf that remains when it was too large: room for a while
_SHARE = 16  # a process looks at a shelf again when it has put this part of it there
_LOOKED = ".looked-at"  # ends the name of a file beside a shelf: its time is when any process looked last
_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    size: int
    used: float
    """When it was written, or was last of use; in seconds since 1970."""

    entry: str


def entry_of(path: str | os.PathLike[str], shelf: Path) -> Path:
    """Return the folder of a shelf in which things of a local file are kept."""
    raw = os.fspath(path).encode("utf-8", "surrogatepass")
    return shelf / hashlib.sha256(raw).hexdigest()[:32]


def name_entry(entry: Path, name: str) -> None:
    """Note what the user calls the file that an entry is of; raises OSError where that cannot be written."""
    label = entry / _NAME
    if not label.exists():
        label.write_text(name, encoding="utf-8", errors="surrogatepass")


def note_use(path: Path) -> None:
    """Note that something kept was of use, so that it is not let go of soon."""
    with suppress(OSError):
        if time.time() - path.stat().st_mtime > _HOUR:
            os.utime(path)


def note_written(path: Path, size: int) -> None:
    """Note that something was put on a shelf; now and then, make room there.

    Parameters
    ----------
    path : Path
        What was written; outside every shelf, nothing happens.
    size : int
        Its bytes.
    """
    shelf, most = _shelf_of(path)
    if shelf is None:
        return
    written = _written.get(shelf)
    if written is None:
        written = 0 if _looked_lately(shelf) else most
    _written[shelf] = written + size
    if _written[shelf] > most // _SHARE:
        _written[shelf] = 0
        make_room(shelf, most)


def make_room(shelf: Path, most: int) -> None:
    """Let go of what was longest of no use, where a shelf has more bytes than it may.

    Entries go one after the other; of the last one to go perhaps only its oldest files.
    """
    files = list(_files(shelf))
    used: dict[str, float] = {}
    for file in files:
        used[file.entry] = max(file.used, used.get(file.entry, 0.0))
    files.sort(key=lambda file: (used[file.entry], file.entry, file.path.name == _NAME, file.used))
    total = sum(file.size for file in files)
    if total > most:
        for file in files:
            if total <= _LEFT * most:
                break
            with suppress(OSError):
                file.path.unlink()
            total -= file.size
        _remove_empty_folders(shelf)
    with suppress(OSError):
        _mark(shelf).touch()


def kept_beside(root: Path) -> int:
    """Return the bytes on all shelves of a cache."""
    return sum(file.size for folder in MOST for file in _files(root / folder))


def kept_names(root: Path) -> set[str]:
    """Return the names of the files that something was kept of, as far as they were noted."""
    return {name for entry in _entries(root) if (name := _name_of(entry)) is not None}


def clear_all(root: Path) -> None:
    """Empty all shelves of a cache."""
    for folder in MOST:
        shutil.rmtree(root / folder, ignore_errors=True)


def clear_named(root: Path, name: str) -> None:
    """Remove what was kept of files of one name that were read where they are."""
    for entry in _entries(root):
        if _name_of(entry) == name:
            shutil.rmtree(entry, ignore_errors=True)


def clear_of(root: Path, path: Path, digest: str) -> None:
    """Remove what was kept of a file in the cache.

    Parameters
    ----------
    root : Path
        The cache's.
    path : Path
        Where the file is, or was.
    digest : str
        Its digest, ``algorithm:hex``: parts of it may have been kept before it was downloaded.
    """
    shutil.rmtree(entry_of(path, root / _STATE / "columns"), ignore_errors=True)
    shutil.rmtree(root / _STATE / "slides" / digest.replace(":", "-"), ignore_errors=True)


_written: dict[Path, int] = {}
"""Bytes that this process has put on a shelf since it looked at it."""


def _shelf_of(path: Path) -> tuple[Path | None, int]:
    for parent in path.parents:
        most = MOST.get(f"{parent.parent.name}/{parent.name}")
        if most is not None:
            return parent, most
    return None, 0


def _looked_lately(shelf: Path) -> bool:
    try:
        return time.time() - _mark(shelf).stat().st_mtime < _HOUR
    except OSError:
        return False


def _mark(shelf: Path) -> Path:
    return shelf.with_name(shelf.name + _LOOKED)


def _files(shelf: Path) -> Iterator[_File]:
    """List the files of a shelf; what disappears meanwhile is passed over."""
    folders = [(shelf, "")]
    while folders:
        folder, entry = folders.pop()
        with suppress(OSError), os.scandir(folder) as found:
            for item in found:
                with suppress(OSError):
                    if item.is_dir(follow_symlinks=False):
                        folders.append((Path(item.path), entry or item.name))
                    else:
                        status = item.stat(follow_symlinks=False)
                        yield _File(Path(item.path), status.st_size, status.st_mtime, entry or item.name)


def _entries(root: Path) -> Iterator[Path]:
    for folder in MOST:
        with suppress(OSError):
            yield from [entry for entry in (root / folder).iterdir() if entry.is_dir()]


def _name_of(entry: Path) -> str | None:
    try:
        return (entry / _NAME).read_text(encoding="utf-8", errors="surrogatepass")
    except (OSError, UnicodeError):
        return None


def _remove_empty_folders(shelf: Path) -> None:
    for folder, _, _ in os.walk(shelf, topdown=False):
        with suppress(OSError):  # not empty
            Path(folder).rmdir()
