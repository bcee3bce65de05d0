"""A guard for HDF5's global heaps, where variable-length strings are.

HDF5 (up to 2.0 at least) never returns from reading a heap in which a damaged byte has made a free block zero bytes
long. So each heap is walked here before HDF5 does: a walk over a few kilobytes, once for each heap. Of a local file,
which HDF5 reads itself, the heaps are looked up beforehand (:class:`StringHeaps`); where HDF5 reads through a Python
file, each is seen as it passes (:class:`GuardedFile`).
"""

from __future__ import annotations

import io
import math
import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from intake_tcga.errors import FileFormatError

if TYPE_CHECKING:
    from intake_tcga.cache.blocks import BlockFile

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
        self._ends_checked = False
        usable = file.driver == "sec2" and file.userblock_size == 0 and hasattr(os, "pread")
        self._descriptor: int | None = file.id.get_vfd_handle() if usable else None
        self._end = os.fstat(self._descriptor).st_size if self._descriptor is not None else 0

    def check_attributes(self) -> None:
        """Check the heaps near the ends of the file: attributes do not tell which heap they use."""
        if self._descriptor is None or self._ends_checked:
            return
        self._ends_checked = True
        starts = [0] if self._end <= 2 * _ENDS else [0, self._end - _ENDS]
        for start in starts:
            data = os.pread(self._descriptor, _ENDS if len(starts) > 1 else self._end, start)
            at = data.find(_SIGNATURE)
            while at >= 0:
                self._check(start + at)
                at = data.find(_SIGNATURE, at + 1)

    def check_strings(self, did: Any) -> None:
        """Check the heaps that a dataset of variable-length strings refers to."""
        if self._descriptor is None or not did.get_type().is_variable_str():
            return
        for stored in self._references(did):
            elements = np.frombuffer(stored[: len(stored) // 16 * 16], dtype=_ELEMENT)
            for heap in np.unique(elements["heap"]).tolist():
                if 0 < heap < self._end:
                    self._check(heap)

    def _references(self, did: Any) -> Iterator[bytes]:
        """Read the references to the strings as they are stored, as far as their filters are known."""
        assert self._descriptor is not None
        plist = did.get_create_plist()
        if plist.get_layout() == h5py.h5d.CONTIGUOUS and did.get_offset() is not None:
            yield os.pread(self._descriptor, did.get_storage_size(), did.get_offset())
        if plist.get_layout() != h5py.h5d.CHUNKED:
            return
        filters = [plist.get_filter(i)[0] for i in range(plist.get_nfilters())]
        size = math.prod(plist.get_chunk()) * _ELEMENT.itemsize
        chunks: list[tuple[int, int, int]] = []
        did.chunk_iter(lambda chunk: chunks.append((chunk.byte_offset, chunk.size, chunk.filter_mask)))
        for offset, length, mask in chunks:
            data = os.pread(self._descriptor, length, offset)
            for position, code in reversed(list(enumerate(filters))):
                if mask >> position & 1:
                    continue
                if code == h5py.h5z.FILTER_DEFLATE:
                    with suppress(zlib.error):  # HDF5 will say so itself
                        data = zlib.decompressobj().decompress(data, size)
                elif code == h5py.h5z.FILTER_SHUFFLE and len(data) % _ELEMENT.itemsize == 0:
                    data = np.frombuffer(data, dtype=np.uint8).reshape(_ELEMENT.itemsize, -1).T.tobytes()
            yield data

    def _check(self, heap: int) -> None:
        """Walk one heap; HDF5 itself reports any fault but the one that makes it loop."""
        if heap in self._sound or self._descriptor is None:
            return
        if size := _size(os.pread(self._descriptor, 16, heap)):
            _walk(os.pread(self._descriptor, size - 16, heap + 16), heap, self._path)
        self._sound.add(heap)


class GuardedFile(io.RawIOBase):
    """A file that HDF5 reads through Python: heaps are checked as they pass, and what went wrong is remembered.

    Parameters
    ----------
    file
        The file that is read; it is closed with this one.
    path
        Its name, for messages.
    """

    def __init__(self, file: BlockFile, path: str) -> None:
        super().__init__()
        self.failure: BaseException | None = None
        """What a read raised: HDF5 may have made another error of it."""
        self._file = file
        self._path = path
        self._sound: set[int] = set()

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer from where the file stands."""
        try:
            at = self._file.tell()
            count = self._file.readinto(buffer)
            head = bytes(memoryview(buffer)[: min(count, 16)])
            if (size := _size(head)) and at not in self._sound:
                self._check(at, size)
        except BaseException as error:
            self.failure = error
            raise
        return count

    def read_at(self, offset: int, length: int) -> bytes:
        """Read at an offset; fewer bytes come at the end of the file alone."""
        return self._file.read_at(offset, max(0, min(length, self._file.size - offset)))

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move to an offset."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the offset."""
        return self._file.tell()

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def close(self) -> None:
        """Close the file."""
        if not self.closed:
            self._file.close()
        super().close()

    def _check(self, heap: int, size: int) -> None:
        end = self._file.size
        _walk(self.read_at(heap + 16, min(size, end - heap) - 16), heap, self._path)
        self._sound.add(heap)


def _size(head: bytes) -> int:
    """Return the length of the heap that begins with these 16 bytes; 0 where none does."""
    size = int.from_bytes(head[8:16], "little")
    return size if head[:4] == _SIGNATURE and len(head) == 16 and 16 < size <= _LARGEST else 0


def _walk(body: bytes, heap: int, path: str) -> None:
    """Step through the objects of a heap, as HDF5 will."""
    at = 0
    while at + 16 <= len(body):
        number, _, _, length = _OBJECT.unpack_from(body, at)
        if number == 0 and length < 16:
            raise FileFormatError(
                f"{path} is damaged: the string heap at byte {heap} has a free block of {length} bytes. "
                "Fetch it again."
            )
        at += length if number == 0 else 16 + (length + 7) // 8 * 8
