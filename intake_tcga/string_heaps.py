"""A guard for HDF5's global heaps, where variable-length strings are.

HDF5 (up to 2.0 at least) never returns from reading a heap in which a damaged byte has made a free block zero bytes
long. So each heap is walked here before HDF5 does: a walk over a few kilobytes, once for each heap.
"""

from __future__ import annotations

import os
import struct
from typing import Any

import h5py
import numpy as np

from intake_tcga.errors import FileFormatError

_SIGNATURE = b"GCOL"
_OBJECT = struct.Struct("<HHIQ")  # number, references, nothing, bytes
_ELEMENT = np.dtype([("length", "<u4"), ("heap", "<u8"), ("number", "<u4")])
_LARGEST = 2**28
_ENDS = 2**17  # heaps of attributes are looked for in this many bytes at either end of a file


class StringHeaps:
    """The heaps of one open file, of which each is checked once.

    Parameters
    ----------
    file
        An open file.
    path
        Its name, for messages.
    """

    def __init__(self, file: h5py.File, path: str) -> None:
        self._path = path
        self._sound: set[int] = set()
        usable = file.driver == "sec2" and file.userblock_size == 0 and hasattr(os, "pread")
        self._descriptor: int | None = file.id.get_vfd_handle() if usable else None
        self._end = os.fstat(self._descriptor).st_size if self._descriptor is not None else 0

    def check_attributes(self) -> None:
        """Check the heaps near the ends of the file: attributes do not tell which heap they use."""
        if self._descriptor is None:
            return
        starts = [0] if self._end <= 2 * _ENDS else [0, self._end - _ENDS]
        for start in starts:
            data = os.pread(self._descriptor, _ENDS if len(starts) > 1 else self._end, start)
            at = data.find(_SIGNATURE)
            while at >= 0:
                self._check(start + at)
                at = data.find(_SIGNATURE, at + 1)

    def check_strings(self, did: Any) -> None:
        """Check the heaps that a dataset of variable-length strings refers to, if it is stored in one piece."""
        offset = did.get_offset() if self._descriptor is not None else None
        if self._descriptor is None or offset is None or did.get_type().get_size() != _ELEMENT.itemsize:
            return
        stored = os.pread(self._descriptor, did.get_storage_size(), offset)
        elements = np.frombuffer(stored[: len(stored) // 16 * 16], dtype=_ELEMENT)
        for heap in np.unique(elements["heap"]).tolist():
            if 0 < heap < self._end:
                self._check(heap)

    def _check(self, heap: int) -> None:
        """Walk one heap; HDF5 itself reports any fault but the one that makes it loop."""
        if heap in self._sound or self._descriptor is None:
            return
        head = os.pread(self._descriptor, 16, heap)
        size = int.from_bytes(head[8:16], "little")
        if head[:4] == _SIGNATURE and 16 < size <= _LARGEST:
            body = os.pread(self._descriptor, size - 16, heap + 16)
            at = 0
            while at + 16 <= len(body):
                number, _, _, length = _OBJECT.unpack_from(body, at)
                if number == 0 and length < 16:
                    raise FileFormatError(
                        f"{self._path} is damaged: the string heap at byte {heap} has a free block of {length} bytes. "
                        "Fetch it again."
                    )
                at += length if number == 0 else 16 + (length + 7) // 8 * 8
        self._sound.add(heap)
