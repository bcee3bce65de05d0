"""HDF5 files that are open when they are needed: local ones, and remote ones read range by range.

An :class:`Hdf5File` is only a name until it is used: it is picklable, opened again wherever it is needed, and closed
when too many are open. What is in it is judged by :mod:`~intake_tcga.hdf5.structure` before anything is read.
"""

from __future__ import annotations

import atexit
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from weakref import WeakKeyDictionary

import h5py
import numpy as np
import numpy.typing as npt
from xarray.backends import CachingFileManager

from intake_tcga.cache.roots import writable_root
from intake_tcga.cache.stamps import doubt
from intake_tcga.errors import FileFormatError, IntakeTcgaError, MissingFileError
from intake_tcga.hdf5 import structure
from intake_tcga.hdf5.byte_sources import ByteSource, LocalBytes, RemoteBytes
from intake_tcga.hdf5.string_heaps import GuardedFile, StringHeaps
from intake_tcga.hdf5.structure import ArrayInfo, GroupInfo
from intake_tcga.hdf5.values import attributes, read_text
from intake_tcga.transfer.garbage import no_collection_at_all

if TYPE_CHECKING:
    from intake_tcga.transfer.ranged import RangedFile

OPEN_AGAIN = (
    "Open it again, which downloads a damaged copy in a cache anew; a file of your own you have to get again."
)
_TRY_AGAIN = (
    "Try again: what was kept of it is forgotten; if that does not help, the file at its source is damaged."
)

_BLOCK = 64 * 2**10  # bytes of structure fetched at a time from a remote file


class _ForkSafeLock:
    """One lock for all HDF5 calls of this process; free again in a forked child, whatever the parent did.

    HDF5 is not re-entrant and h5py serialises it anyway; this lock also keeps a handle from being closed, by
    the manager's least-recently-used rule, between being acquired and being used.
    """

    _lock = threading.RLock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def acquire(self, blocking: bool = True) -> bool:
        return self._lock.acquire(blocking)

    def release(self) -> None:
        self._lock.release()

    def __reduce__(self) -> tuple[type[_ForkSafeLock], tuple[()]]:
        return _ForkSafeLock, ()  # a lock guards its own process only

    @classmethod
    def _renew(cls) -> None:
        cls._lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_ForkSafeLock._renew)


def _open(path: str, mode: str) -> h5py.File:
    """Open a file, with HDF5's own locks or without: files here are only read, and need none."""
    # Locks fail on some NFS and Lustre; and HDF5 wants all handles of one file in a process to agree on them.
    for locking in (None, False, True):
        try:
            return h5py.File(path, mode, locking=locking)
        except OSError as error:
            if "lock" not in str(error):
                raise
    return h5py.File(path, mode, locking="best-effort")


@dataclass(frozen=True, eq=False)  # eq=False: the manager wants something hashable, whatever the file is
class _RemoteOpening:
    """Opens a remote file's structure; picklable, as the manager needs it."""

    source: RangedFile
    state: Path

    def __call__(self, mode: str) -> h5py.File:
        from intake_tcga.cache.blocks import BlockFile

        blocks = BlockFile(self.source, block_size=_BLOCK, keep=self.state / "remote")
        guarded = GuardedFile(blocks, self.source.shown_url)
        try:
            file = h5py.File(guarded, mode)
        except Exception as error:  # noqa: BLE001 - h5py may have made anything of what the file raised
            guarded.close()
            raise guarded.failure or error from None
        _guards[file] = guarded
        return file

    @property
    def kept(self) -> Path | None:
        """Where things of this very content are kept: under its URL, validator and size; None without a validator."""
        identity = self.source.identity
        return None if identity.validator is None else self.state / "remote" / identity.key


# HDF5 closes what is still open when the process ends, and reads through Python files when Python is gone: it crashes.
_guards: WeakKeyDictionary[h5py.File, GuardedFile] = WeakKeyDictionary()


@atexit.register
def _close_remote_files() -> None:
    for file in list(_guards):
        with suppress(Exception):
            file.close()


_heaps_of: WeakKeyDictionary[h5py.File, StringHeaps] = WeakKeyDictionary()


def _heaps(file: h5py.File, path: str) -> StringHeaps:
    if file not in _heaps_of:
        _heaps_of[file] = StringHeaps(file, path)
    return _heaps_of[file]


class Hdf5File:
    """A file that is open when it is needed: picklable, reopened elsewhere, closed by :meth:`close`.

    Parameters
    ----------
    source
        A local file's path; or a remote file, of which only what is asked for is fetched.
    state
        The folder in which the structure of a remote file is kept, so that opening it again costs hardly a request;
        by default in the user's cache. Of a local file only columns of text are kept, and here only if it lies in
        no cache itself; see :mod:`intake_tcga.hdf5.kept_columns`.
    """

    def __init__(
        self, source: str | os.PathLike[str] | RangedFile, *, state: str | os.PathLike[str] | None = None
    ) -> None:
        self.remote: RangedFile | None
        self.state = Path(state).absolute() if state is not None else None
        if isinstance(source, str | os.PathLike):
            self.path = os.fspath(Path(source).absolute())
            self.remote = None
            self._opening = None
            self._manager = CachingFileManager(_open, self.path, mode="r", lock=_ForkSafeLock())
        else:
            self.path = source.shown_url  # a name, for messages: without credentials
            self.remote = source
            self._opening = _RemoteOpening(source, self.state or writable_root() / ".intake-tcga")
            self._manager = CachingFileManager(self._opening, mode="r", lock=_ForkSafeLock())

    @contextmanager
    def opened(self) -> Iterator[h5py.File]:
        """Hold the open file, and the HDF5 lock with it; whatever goes wrong inside is a FileFormatError."""
        with no_collection_at_all() if self.remote else nullcontext(), _ForkSafeLock(), self.errors():
            file = self._manager.acquire(needs_lock=False)
            try:
                yield file
            except Exception as error:
                failure = _guards[file].failure if file in _guards else None
                if failure is None:
                    raise
                self.close()  # HDF5 does not expect reads to fail: what it holds may be half of something
                raise failure from (error if error is not failure else None)

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn whatever h5py and HDF5 raise on a damaged file into one FileFormatError that names the file.

        What is remembered of such a file is no longer trusted: one of the cache is hashed at its next fetch, and heals
        if it is damaged; of a remote one everything that was kept is forgotten.
        """
        try:
            yield
        except FileFormatError:
            self._distrust()
            raise
        except IntakeTcgaError:
            raise
        except FileNotFoundError as error:
            raise MissingFileError(
                f"{self.path} does not exist, or not any longer; check the path, or open the data anew."
            ) from error
        except (PermissionError, IsADirectoryError) as error:
            raise FileFormatError(
                f"{self.path} cannot be read ({os.strerror(error.errno or 0)}); "
                "give the path of a file that you may read."
            ) from error
        except (
            OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError, MemoryError, IndexError,
            AttributeError, NotImplementedError, SystemError,
        ) as error:  # fmt: skip
            self._distrust()
            raise FileFormatError(
                f"{self.path} cannot be read as HDF5: {str(error) or type(error).__name__}. "
                f"It is damaged or not an HDF5 file. {self.remedy}"
            ) from error

    @property
    def remedy(self) -> str:
        """What to do when the file is damaged: the last sentence of a message."""
        return OPEN_AGAIN if self.remote is None else _TRY_AGAIN

    @property
    def kept(self) -> Path | None:
        """The folder in which things of a remote file are kept, named by its identity.

        None for a local file, and where the server gives nothing that would tell another file of the same size.

        Raises
        ------
        TransferError
            When the file's identity is not known yet, and the server cannot be asked.
        """
        return None if self._opening is None else self._opening.kept

    def reader(self, file: h5py.File) -> Callable[[int, int], bytes] | None:
        """Return what reads the bytes of an open file past HDF5, of its structure; None where nothing can."""
        if file.userblock_size:  # everything is shifted then, and nobody writes such files
            return None
        if file in _guards:
            return _guards[file].read_at
        if not hasattr(os, "pread") or file.driver != "sec2":
            return None
        descriptor = file.id.get_vfd_handle()
        return lambda offset, length: os.pread(descriptor, length, offset)

    def source(self, file: h5py.File) -> ByteSource:
        """Return the bytes of an open file past HDF5, of its chunks; the caller closes it."""
        return LocalBytes(file.id.get_vfd_handle()) if self.remote is None else RemoteBytes(self.remote)

    def describe(self) -> GroupInfo:
        """Walk the whole file; see :func:`intake_tcga.hdf5.structure.describe`."""
        with self._checked() as file:
            return structure.describe(file, self.path)

    def members(self, group: str = "/") -> tuple[str, ...]:
        """List the names in one group; see :func:`intake_tcga.hdf5.structure.members`."""
        with self._checked() as file:
            return structure.members(file, self.path, group)

    def kind(self, path: str) -> Literal["group", "array", "other"] | None:
        """Tell what is at a path, if anything; see :func:`intake_tcga.hdf5.structure.kind_of`."""
        with self._checked() as file:
            return structure.kind_of(file, self.path, path)

    def array_info(self, path: str, *, whole: bool = True) -> ArrayInfo:
        """Describe one dataset by its header alone; see :func:`intake_tcga.hdf5.structure.array_info`."""
        with self._checked() as file:
            return structure.array_info(file, self.path, path, whole=whole)

    def attributes(self, path: str = "/") -> dict[str, Any]:
        """Return the attributes of one group or dataset in plain Python types."""
        with self._checked() as file:
            return attributes(structure.find(file, self.path, path))

    def text(self, array: ArrayInfo) -> npt.NDArray[np.object_]:
        """Read a whole dataset of strings as an object array of ``str`` of the same shape."""
        with self.opened() as file:
            did = h5py.h5d.open(file.id, array.path.encode())
            _heaps(file, self.path).check_strings(did)
            return read_text(did)

    def objects(self, array: ArrayInfo) -> npt.NDArray[np.object_]:
        """Read a whole dataset as an object array of Python's own ``str``, ``int``, ``float`` or ``bool``."""
        if array.kind == "text":
            return self.text(array)
        with self.opened() as file:
            return np.asarray(file[array.path][()]).astype(object)

    def names(self, array: ArrayInfo) -> npt.NDArray[np.object_]:
        """Read a whole dataset as names: text as it is, numbers spelt out."""
        names = self.objects(array)
        if array.kind != "text":
            names[...] = np.reshape([str(value) for value in names.ravel()], names.shape)
        return names

    def close(self) -> None:
        """Close the file; reading again would reopen it."""
        self._manager.close()

    @contextmanager
    def _checked(self) -> Iterator[h5py.File]:
        """Hold the open file, when no attribute in it can make HDF5 loop."""
        with self.opened() as file:
            _heaps(file, self.path).check_attributes()
            yield file

    def _distrust(self) -> None:
        if self._opening is None:
            doubt(self.path)
            return
        self.close()
        with suppress(IntakeTcgaError):  # what has no identity yet has nothing kept
            if kept := self._opening.kept:
                shutil.rmtree(kept, ignore_errors=True)
