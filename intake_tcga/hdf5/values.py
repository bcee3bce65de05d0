"""What HDF5 stores, in plain Python: strings as ``str``, attributes as numbers, text and lists of them."""

from __future__ import annotations

import json
from typing import Any, cast

import h5py
import numpy as np
import numpy.typing as npt


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
        texts = [decode(value) for value in values]
    return [text.rstrip(" ") for text in texts] if padded else texts


def decode(value: Any) -> str:
    """Decode one string, malformed bytes as U+FFFD."""
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
    name = decode(aid.name)
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
        text = decode(value)
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
            return decode(h5py.h5r.get_name(value, aid) or b"") if value else ""
        except (RuntimeError, ValueError, TypeError, OSError):
            return ""  # a reference to nothing
    if isinstance(value, np.complexfloating):
        return str(complex(value))
    if isinstance(value, np.floating):
        return float(value)
    if isinstance(value, np.generic):
        return cast(object, value.item())
    return value if isinstance(value, int | float) else str(value)
