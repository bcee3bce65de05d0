"""HDF5 files from elsewhere: walked safely, described once in plain Python, opened again wherever they are needed.

A file is *described* before anything in it is used: :func:`describe` walks it through hard links (and soft links
that stay inside), and refuses whatever could make a reader leave the file or exhaust the machine. What it returns
is a tree of plain values; no later step looks at a link, a type or a shape again.
"""

from __future__ import annotations

import json
import math
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast
from weakref import WeakKeyDictionary

import h5py
import numpy as np
import numpy.typing as npt
from xarray.backends import CachingFileManager

from intake_tcga.errors import FileFormatError, IntakeTcgaError, MissingFileError
from intake_tcga.stamps import doubt
from intake_tcga.string_heaps import StringHeaps

_DEEPEST = 32
_MOST_OBJECTS = 100_000
_SMALL = 256 * 2**20
_HIGHEST_RATIO = 100
_LONGEST_AXIS = 2**31


@dataclass(frozen=True, slots=True)
class ArrayInfo:
    """What there is to know about one HDF5 dataset without reading its values."""

    path: str
    """Absolute path in the file, e.g. ``"/processed/TC/expression"``."""

    shape: tuple[int, ...]
    """Length of each axis, in the file's own order."""

    dtype: np.dtype[Any]
    """Type of its values as numpy sees them; ``object`` for text."""

    kind: Literal["number", "text", "other"]
    """``other`` is what we never read: compounds, references, named types."""

    chunks: tuple[int, ...] | None
    """Shape of its stored chunks; None when it is stored in one piece."""

    attrs: dict[str, Any]
    """Its attributes in plain Python types."""

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class GroupInfo:
    """One HDF5 group: its attributes and everything below it."""

    path: str
    """Absolute path in the file; ``"/"`` for the root."""

    attrs: dict[str, Any]
    """Its attributes in plain Python types."""

    groups: dict[str, GroupInfo] = field(default_factory=dict)
    """Groups in it, by name, in the file's order."""

    arrays: dict[str, ArrayInfo] = field(default_factory=dict)
    """Datasets in it, by name, in the file's order."""

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]

    def below(self, path: str) -> GroupInfo | None:
        """Return the group at a path relative to this one, or None."""
        group: GroupInfo | None = self
        for part in path.split("/"):
            group = group.groups.get(part) if group else None
        return group


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


_heaps_of: WeakKeyDictionary[h5py.File, StringHeaps] = WeakKeyDictionary()


def _heaps(file: h5py.File, path: str) -> StringHeaps:
    if file not in _heaps_of:
        _heaps_of[file] = StringHeaps(file, path)
    return _heaps_of[file]


class Hdf5File:
    """A file that is open when it is needed: picklable, reopened elsewhere, closed by :meth:`close`.

    Parameters
    ----------
    path
        A local file.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(Path(path).absolute())
        self._manager = CachingFileManager(_open, self.path, mode="r", lock=_ForkSafeLock())

    @contextmanager
    def opened(self) -> Iterator[h5py.File]:
        """Hold the open file, and the HDF5 lock with it; whatever goes wrong inside is a FileFormatError."""
        with _ForkSafeLock(), format_errors(self.path):
            yield self._manager.acquire(needs_lock=False)

    def describe(self) -> GroupInfo:
        """Walk the file; see :func:`describe`."""
        with self.opened() as file:
            _heaps(file, self.path).check_attributes()
            return describe(file, self.path)

    def text(self, array: ArrayInfo) -> npt.NDArray[np.object_]:
        """Read a whole dataset of strings as an object array of ``str`` of the same shape."""
        with self.opened() as file:
            did = h5py.h5d.open(file.id, array.path.encode())
            if array.chunks is not None:
                _heaps(file, self.path).check_attributes()
            else:
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


FETCH_AGAIN = "Fetch it again: if it was downloaded, opening it with force=True does so."


@contextmanager
def format_errors(path: str) -> Iterator[None]:
    """Turn whatever h5py and HDF5 raise on a damaged file into one FileFormatError that names the file.

    A file of the cache is no longer trusted then: its next fetch hashes it, and heals it if it is damaged.
    """
    try:
        yield
    except FileFormatError:
        doubt(path)
        raise
    except IntakeTcgaError:
        raise
    except FileNotFoundError as error:
        raise MissingFileError(
            f"{path} does not exist, or not any longer; check the path, or open the data anew."
        ) from error
    except (PermissionError, IsADirectoryError) as error:
        raise FileFormatError(
            f"{path} cannot be read ({os.strerror(error.errno or 0)}); give the path of a file that you may read."
        ) from error
    except (
        OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError, MemoryError, IndexError,
        AttributeError, NotImplementedError, SystemError,
    ) as error:  # fmt: skip
        doubt(path)
        raise FileFormatError(
            f"{path} cannot be read as HDF5: {str(error) or type(error).__name__}. "
            f"It is damaged or not an HDF5 file. {FETCH_AGAIN}"
        ) from error


def describe(file: h5py.File, path: str) -> GroupInfo:
    """Describe everything in an open file, and refuse what no honest data file needs.

    Parameters
    ----------
    file
        An open file.
    path
        Its name, for messages.

    Returns
    -------
    GroupInfo
        The root group; nothing but attributes has been read.

    Raises
    ------
    FileFormatError
        For links or storage outside the file, virtual datasets, cycles, more objects than any cohort has, or
        shapes that the stored bytes cannot account for.
    """
    return _Walk(file, path).group(file.id, "/", ())


class _Walk:
    """One walk over a file: counts objects, knows the groups it is inside of."""

    def __init__(self, file: h5py.File, path: str) -> None:
        self._file = file
        self._path = path
        self._seen = 0

    def group(self, gid: Any, path: str, ancestors: tuple[int, ...]) -> GroupInfo:
        address = h5py.h5o.get_info(gid).addr
        if address in ancestors:
            raise self._refusal(f"group {path!r} contains itself")
        if len(ancestors) > _DEEPEST:
            raise self._refusal(f"its groups are nested deeper than {_DEEPEST} levels at {path!r}")
        info = GroupInfo(path, attributes(gid))
        for raw_name in gid:
            name = _decode(raw_name)
            child_path = f"{path.rstrip('/')}/{name}"
            self._seen += 1
            if self._seen > _MOST_OBJECTS:
                raise self._refusal(f"it holds more than {_MOST_OBJECTS} objects")
            child = self._follow(gid, raw_name, child_path)
            if isinstance(child, h5py.h5g.GroupID):
                info.groups[name] = self.group(child, child_path, (*ancestors, address))
            elif isinstance(child, h5py.h5d.DatasetID):
                info.arrays[name] = self._array(child, child_path)
            else:  # a named type: it has attributes, and no values
                info.arrays[name] = ArrayInfo(
                    child_path, (), np.dtype(object), "other", None, attributes(child)
                )
        return info

    def _follow(self, gid: Any, name: bytes, path: str, hops: int = 0) -> Any:
        """Open what a link leads to, provided that every step of the way stays inside the file."""
        kind = gid.links.get_info(name).type
        if kind == h5py.h5l.TYPE_HARD:
            return h5py.h5o.open(gid, name)
        if kind != h5py.h5l.TYPE_SOFT:
            raise self._refusal(f"{path!r} is a link to another file")
        if hops >= 16:
            raise self._refusal(f"the soft link {path!r} leads in a circle")
        target = gid.links.get_val(name)
        here = h5py.h5o.open(gid, b"/") if target.startswith(b"/") else gid
        for part in target.split(b"/"):
            if part in {b"", b"."}:
                continue
            if not isinstance(here, h5py.h5g.GroupID) or part not in here:
                raise self._refusal(f"the soft link {path!r} leads nowhere")
            here = self._follow(here, part, path, hops + 1)
        return here

    def _array(self, did: Any, path: str) -> ArrayInfo:
        plist = did.get_create_plist()
        layout = plist.get_layout()
        if layout == h5py.h5d.VIRTUAL:
            raise self._refusal(f"{path!r} is a virtual dataset, whose values live in other files")
        if plist.get_external_count():
            raise self._refusal(f"the values of {path!r} live in other files (external storage)")
        shape = tuple(did.shape or ())
        dtype, kind = _type_of(did)
        chunks = tuple(plist.get_chunk()) if layout == h5py.h5d.CHUNKED else None
        self._check_size(did, path, shape, chunks)
        return ArrayInfo(path, shape, dtype, kind, chunks, attributes(did))

    def _check_size(
        self, did: Any, path: str, shape: tuple[int, ...], chunks: tuple[int, ...] | None
    ) -> None:
        """Refuse what would exhaust the memory of whoever reads it, also when it is all fill values."""
        width = did.get_type().get_size()
        claimed = math.prod(shape) * width
        in_a_chunk = math.prod(chunks) * width if chunks else 0
        large = max(claimed, in_a_chunk)
        # The stored size costs a walk over the index of all chunks: asked for only when it decides.
        stored = did.get_storage_size() if large > _SMALL else 0
        if large > max(_SMALL, stored * _HIGHEST_RATIO) or max(shape, default=0) > _LONGEST_AXIS:
            raise self._refusal(
                f"{path!r} claims the shape {shape} in chunks of {chunks}, and stores {stored} bytes for it"
            )

    def _refusal(self, what: str) -> FileFormatError:
        return FileFormatError(
            f"{self._path} is not a data file to trust: {what}. Fetch it again from its source."
        )


def _type_of(did: Any) -> tuple[np.dtype[Any], Literal["number", "text", "other"]]:
    """Return the numpy type of a dataset and what it is to us."""
    if did.shape is None:  # H5S_NULL: a dataset without even a scalar
        return np.dtype(object), "other"
    if isinstance(did.get_type(), h5py.h5t.TypeStringID):
        return np.dtype(object), "text"
    try:
        dtype = did.dtype
    except TypeError:  # a type that numpy has no word for
        return np.dtype(object), "other"
    if dtype.kind in "biuf" and dtype.subdtype is None:
        return dtype.newbyteorder("="), "number"
    return np.dtype(object), "other"


def read_text(did: Any) -> npt.NDArray[np.object_]:
    """Read a dataset of strings: fixed or variable length, ASCII or UTF-8, malformed bytes as U+FFFD.

    Parameters
    ----------
    did
        A low-level h5py identifier of the dataset: several times faster for short ones than the high level.
    """
    values = np.empty(did.shape, dtype=did.dtype)
    did.read(h5py.h5s.ALL, h5py.h5s.ALL, values)
    padded = did.get_type().get_strpad() == h5py.h5t.STR_SPACEPAD
    result = np.empty(values.size, dtype=object)
    result[:] = decode_all([value or b"" for value in values.ravel().tolist()], padded=padded)
    return result.reshape(values.shape)


def decode_all(values: list[Any], *, padded: bool = False) -> list[str]:
    """Decode many byte strings at once (several times faster than one by one)."""
    try:
        joined = b"\n".join(values)
    except TypeError:  # text among them
        joined = b""
    if joined and joined.count(b"\n") == len(values) - 1:
        texts = joined.decode("utf-8", "replace").split("\n")
    else:
        texts = [_decode(value) for value in values]
    return [text.rstrip(" ") for text in texts] if padded else texts


def _decode(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    # h5py keeps malformed bytes as lone surrogates, which no file format and no terminal accepts
    return str(value).encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def attributes(oid: Any) -> dict[str, Any]:
    """Return the attributes of an object in plain Python types: ``str``, ``int``, ``float`` and lists of them.

    Parameters
    ----------
    oid
        A low-level h5py identifier of a group, dataset or named type.

    Returns
    -------
    dict
        In the file's order. A boolean is 0 or 1, since attributes of netCDF files cannot be boolean. Nothing
        (``h5py.Empty``) is ``""`` for text and ``[]`` otherwise; a reference is the path of what it refers to; an
        enumeration's value is its member's name; a compound is JSON.
    """
    count = h5py.h5a.get_num_attrs(oid)
    if not count:
        return {}
    return dict(_attribute(h5py.h5a.open(oid, index=i)) for i in range(count))


_UNEXPLAINED = (h5py.h5t.TypeOpaqueID, h5py.h5t.TypeTimeID, h5py.h5t.TypeBitfieldID)


def _attribute(aid: Any) -> tuple[str, Any]:
    tid = aid.get_type()
    name = _decode(aid.name)
    space = aid.get_space()
    if space.get_simple_extent_type() == h5py.h5s.NULL:
        return name, "" if isinstance(tid, h5py.h5t.TypeStringID) else []
    if isinstance(tid, _UNEXPLAINED):
        return name, f"<{tid.get_size()} bytes that HDF5 does not explain>"
    dtype = tid.dtype
    values = np.empty(space.get_simple_extent_dims(), dtype=dtype)
    aid.read(values)
    padded = isinstance(tid, h5py.h5t.TypeStringID) and tid.get_strpad() == h5py.h5t.STR_SPACEPAD
    members = h5py.check_enum_dtype(dtype)
    names = {number: member for member, number in members.items()} if members else None
    if values.ndim == 0:
        return name, _plain(values[()], aid, padded, names)
    return name, _plain(values, aid, padded, names)


def _plain(value: Any, aid: Any, padded: bool, names: dict[int, str] | None) -> Any:
    """Turn whatever h5py reads into Python's own types."""
    if isinstance(value, bytes | str):
        text = _decode(value)
        return text.rstrip(" ") if padded else text
    if isinstance(value, np.bool_):
        return int(value)
    if names is not None and np.ndim(value) == 0:
        return names.get(int(value), int(value))
    if isinstance(value, np.void) and value.dtype.names:
        return json.dumps({key: _plain(value[key], aid, padded, None) for key in value.dtype.names})
    if isinstance(value, np.ndarray):
        return [_plain(item, aid, padded, names) for item in value]
    if isinstance(value, h5py.h5r.Reference):
        try:
            return _decode(h5py.h5r.get_name(value, aid) or b"") if value else ""
        except (RuntimeError, ValueError, TypeError, OSError):
            return ""  # a reference to nothing
    if isinstance(value, np.complexfloating):
        return str(complex(value))
    if isinstance(value, np.floating):
        return float(value)
    if isinstance(value, np.generic):
        return cast(object, value.item())
    return value if isinstance(value, int | float) else str(value)
