"""What an HDF5 file holds, judged before anything in it is used and told in plain Python.

A file is walked through hard links (and soft links that stay inside), and whatever could make a reader leave the file
or exhaust the machine is refused. :func:`describe` tells everything, for files of a few hundred objects.
:func:`members`, :func:`kind_of` and :func:`array_info` tell one thing each by the same judgements, and touch neither
other objects nor the index of a dataset's chunks: for files whose headers lie gigabytes apart, or whose chunks are tens
of millions.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import h5py
import numpy as np

from intake_tcga.errors import FileFormatError
from intake_tcga.hdf5.values import attributes, decode

_DEEPEST = 32
_MOST_OBJECTS = 100_000
_SMALL = 256 * 2**20
_HIGHEST_RATIO = 100
_LONGEST_AXIS = 2**31
_UNASKED = 2**62  # bytes that count as stored of what is read in parts: enough for whatever it claims
_LARGEST_CHUNK = (
    2**30
)  # where the stored size of a dataset is not known: no chunk that anybody reads is larger


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


def members(file: h5py.File, path: str, group: str) -> tuple[str, ...]:
    """List the names in one group, in the file's order; nothing that they lead to is touched.

    Parameters
    ----------
    file
        An open file.
    path
        Its name, for messages.
    group
        The group's absolute path.

    Raises
    ------
    FileFormatError
        When there is no such group, or the way to it is one that :func:`describe` refuses.
    """
    return _Walk(file, path).members(group)


def kind_of(file: h5py.File, path: str, name: str) -> Literal["group", "array", "other"] | None:
    """Tell what an absolute path leads to; None where there is nothing.

    Parameters
    ----------
    file, path
        As for :func:`members`.
    name
        The absolute path in the file.

    Raises
    ------
    FileFormatError
        When the way to it is one that :func:`describe` refuses.
    """
    found = _Walk(file, path).find(name)
    if found is None:
        return None
    if isinstance(found, h5py.h5g.GroupID):
        return "group"
    return "array" if isinstance(found, h5py.h5d.DatasetID) else "other"


def find(file: h5py.File, path: str, name: str) -> Any:
    """Open what an absolute path leads to, as a low-level h5py identifier; arguments and errors as for :func:`kind_of`.

    Raises
    ------
    FileFormatError
        Also when there is nothing.
    """
    walk = _Walk(file, path)
    found = walk.find(name)
    if found is None:
        raise walk.absent("object", name)
    return found


def array_info(file: h5py.File, path: str, name: str, *, whole: bool = True) -> ArrayInfo:
    """Describe one dataset; only its own header is read.

    Parameters
    ----------
    file, path
        As for :func:`members`.
    name
        The dataset's absolute path in the file.
    whole
        Whether it may be read as a whole. Of one that is only read in parts, such as a matrix of which hardly a chunk
        was written, the chunks alone must be of a reasonable size.

    Raises
    ------
    FileFormatError
        When there is no such dataset, or it is one that :func:`describe` refuses. How much is stored of it is not
        looked up, which would take a walk over all its chunks: it may claim what the whole file could account for.
    """
    return _Walk(file, path).array(name, whole=whole)


class _Walk:
    """Steps through a file: counts objects, knows the groups it is inside of."""

    def __init__(self, file: h5py.File, path: str) -> None:
        self._file = file
        self._path = path
        self._seen = 0

    def find(self, path: str) -> Any:
        """Open what an absolute path leads to, or return None."""
        here: Any = h5py.h5o.open(self._file.id, b"/")
        at = ""
        for part in filter(None, path.split("/")):
            raw, at = part.encode(), f"{at}/{part}"
            if not isinstance(here, h5py.h5g.GroupID) or not here.links.exists(raw):
                return None
            here = self._follow(here, raw, at)
        return here

    def members(self, path: str) -> tuple[str, ...]:
        gid = self.find(path)
        if not isinstance(gid, h5py.h5g.GroupID):
            raise self.absent("group", path)
        if gid.get_num_objs() > _MOST_OBJECTS:
            raise self._too_many()
        return tuple(decode(name) for name in gid)

    def array(self, path: str, *, whole: bool) -> ArrayInfo:
        did = self.find(path)
        if not isinstance(did, h5py.h5d.DatasetID):
            raise self.absent("dataset", path)
        return self._array(did, path, lambda: int(self._file.id.get_filesize()) if whole else _UNASKED)

    def absent(self, what: str, path: str) -> FileFormatError:
        """Say that there is no such thing, and what the innermost group on the way to it holds instead."""
        parts = [part for part in path.split("/") if part]
        group: Any = None
        while parts and not isinstance(group, h5py.h5g.GroupID):
            parts.pop()
            group = self.find("/".join(parts))
        names = sorted(decode(name) for name in itertools.islice(group or (), 40))
        return FileFormatError(
            f"{self._path} has no {what} {path!r}: /{'/'.join(parts)} holds {', '.join(names) or 'nothing'}."
        )

    def _too_many(self) -> FileFormatError:
        return self._refusal(f"it holds more than {_MOST_OBJECTS} objects")

    def group(self, gid: Any, path: str, ancestors: tuple[int, ...]) -> GroupInfo:
        address = h5py.h5o.get_info(gid).addr
        if address in ancestors:
            raise self._refusal(f"group {path!r} contains itself")
        if len(ancestors) > _DEEPEST:
            raise self._refusal(f"its groups are nested deeper than {_DEEPEST} levels at {path!r}")
        info = GroupInfo(path, attributes(gid))
        for raw_name in gid:
            name = decode(raw_name)
            child_path = f"{path.rstrip('/')}/{name}"
            self._seen += 1
            if self._seen > _MOST_OBJECTS:
                raise self._too_many()
            child = self._follow(gid, raw_name, child_path)
            if isinstance(child, h5py.h5g.GroupID):
                info.groups[name] = self.group(child, child_path, (*ancestors, address))
            elif isinstance(child, h5py.h5d.DatasetID):
                info.arrays[name] = self._array(child, child_path, child.get_storage_size)
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

    def _array(self, did: Any, path: str, stored: Callable[[], int]) -> ArrayInfo:
        """Describe and judge a dataset, for which at most so many bytes are stored."""
        plist = did.get_create_plist()
        layout = plist.get_layout()
        if layout == h5py.h5d.VIRTUAL:
            raise self._refusal(f"{path!r} is a virtual dataset, whose values live in other files")
        if plist.get_external_count():
            raise self._refusal(f"the values of {path!r} live in other files (external storage)")
        shape = tuple(did.shape or ())
        dtype, kind = _type_of(did)
        chunks = tuple(plist.get_chunk()) if layout == h5py.h5d.CHUNKED else None
        self._check_size(did, path, shape, chunks, stored)
        return ArrayInfo(path, shape, dtype, kind, chunks, attributes(did))

    def _check_size(
        self,
        did: Any,
        path: str,
        shape: tuple[int, ...],
        chunks: tuple[int, ...] | None,
        stored: Callable[[], int],
    ) -> None:
        """Refuse what would exhaust the memory of whoever reads it, also when it is all fill values."""
        width = did.get_type().get_size()
        claimed = math.prod(shape) * width
        in_a_chunk = math.prod(chunks) * width if chunks else 0
        large = max(claimed, in_a_chunk)
        # The stored size costs a walk over the index of all chunks: asked for only when it decides.
        held = stored() if large > _SMALL else 0
        if (
            large > max(_SMALL, held * _HIGHEST_RATIO)
            or in_a_chunk > _LARGEST_CHUNK
            or max(shape, default=0) > _LONGEST_AXIS
        ):
            raise self._refusal(
                f"{path!r} claims the shape {shape} in chunks of {chunks}, and at most {held} bytes are stored for it"
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
