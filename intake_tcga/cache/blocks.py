"""A file-like object over a file that is read by ranges, for readers that seek: HDF5, TIFF."""

from __future__ import annotations

import hashlib
import io
import secrets
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from intake_tcga.cache.kept import name_entry, note_use, note_written
from intake_tcga.errors import OptionError
from intake_tcga.transfer.garbage import no_collection
from intake_tcga.transfer.ranged import RangedFile

if TYPE_CHECKING:
    from typing_extensions import Buffer

_CHECKSUM = 16  # bytes of it at the end of each kept block


class BlockFile(io.RawIOBase):
    """Bytes of a remote file in blocks: each is asked for once while it is remembered, and none before it is wanted.

    All blocks that one read lacks are asked for at once. Like any file object it has one position, so threads that
    share it call :meth:`read_at`, which has none. It holds no lock while it waits, and lets no garbage be collected
    meanwhile: HDF5 reads under a lock of its own, which h5py's objects take when they are collected, in any thread.

    Parameters
    ----------
    file : RangedFile
        What to read; it stays open when this is closed.
    block_size : int
        Bytes of a block.
    memory : int
        Bytes of blocks to remember, at least one block; the longest unused are forgotten. A single read of more than
        half of it is passed through, and remembers nothing.
    keep : Path, optional
        Folder in which to keep every block that was read, under the file's identity: for the next process. Bounded
        where it is one of :mod:`intake_tcga.cache.kept`. Only files with a validator are kept. Blocks with a wrong
        checksum are read again.
    key : str, optional
        What the bytes are kept under instead of what the server says of them: a digest that the caller knows, so that
        what is kept can be used without asking.
    name : str, optional
        What the user calls the file, by which what is kept of it can be removed. None: the last part of its URL.

    Raises
    ------
    OptionError
        ``block_size`` or ``memory`` is not positive.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile() as local:
    ...     _ = local.write(b"0123456789"), local.flush()
    ...     file = BlockFile(RangedFile(local.name), block_size=4)
    ...     _ = file.seek(-3, 2)
    ...     file.read(), file.read_at(0, 2), file.file.bytes_read
    (b'789', b'01', 10)
    """

    def __init__(
        self,
        file: RangedFile,
        *,
        block_size: int = 64 * 1024,
        memory: int = 8 * 2**20,
        keep: Path | None = None,
        key: str | None = None,
        name: str | None = None,
    ) -> None:
        if block_size < 1 or memory < 1:
            raise OptionError(f"block_size={block_size}, memory={memory}: give bytes, 1 or more.")
        super().__init__()
        self.file = file
        self.block_size = block_size
        self.memory = max(memory, block_size)
        self.keep = keep
        self.key = key
        self.name = name or file.shown_url.partition("?")[0].rpartition("/")[2]
        self._position = 0
        self._blocks: OrderedDict[int, bytes] = OrderedDict()

    def __reduce__(self) -> tuple[Any, ...]:
        return _remade, (
            self.file,
            self.block_size,
            self.memory,
            self.keep,
            self.key,
            self.name,
            self._position,
            self.closed,
        )

    @property
    def size(self) -> int:
        """Bytes of the file. Where nothing is known of it yet, its first block is read, since readers begin there."""
        if self.file.size_known is None:
            with no_collection():
                first = bytes(self.file.head(self.block_size))
                self._store(0, first)
        return self.file.size

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position."""
        self._check_open()
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Move the position, also past the end, where nothing is to be read."""
        self._check_open()
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._position}
        position = offset + (self.size if whence == io.SEEK_END else origin[whence])
        if position < 0:
            raise ValueError(f"position {position} is before the file's start")
        self._position = position
        return position

    def readinto(self, buffer: Buffer, /) -> int:
        """Fill a buffer from the position on; fewer bytes come at the file's end alone."""
        with memoryview(buffer).cast("B") as target:
            data = self.read(len(target))
            target[: len(data)] = data
        return len(data)

    def read(self, size: int | None = -1, /) -> bytes:
        """Read from the position on; all that follows, if no size is given."""
        self._check_open()
        left = max(self.size - self._position, 0)
        length = left if size is None or size < 0 else min(size, left)
        data = self.read_at(self._position, length)
        self._position += len(data)
        return data

    def readall(self) -> bytes:
        """Read all that follows the position."""
        return self.read()

    def read_at(self, offset: int, length: int) -> bytes:
        """Read bytes wherever the position is; from many threads at once, if need be.

        Parameters
        ----------
        offset, length : int
            Range in bytes, inside the file.

        Raises
        ------
        FileFormatError
            The range is not inside the file.
        IntakeTcgaError
            As for :meth:`RangedFile.read`.
        """
        self._check_open()
        if length <= 0:
            return b""
        with no_collection():
            if length > self.memory // 2 or offset < 0 or offset + length > self.size:
                return bytes(self.file.read([(offset, length)])[0])
            first, last = offset // self.block_size, (offset + length - 1) // self.block_size
            blocks = self._all(range(first, last + 1))
            skipped = offset - first * self.block_size
            if len(blocks) == 1:
                return blocks[0][skipped : skipped + length]
            return b"".join(blocks)[skipped : skipped + length]

    def close(self) -> None:
        """Forget all blocks."""
        if hasattr(self, "_blocks"):
            self._blocks.clear()
        super().close()

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed file")

    def _all(self, numbers: range) -> list[bytes]:
        """Return blocks: remembered, kept, or asked for in one call."""
        found = {number: self._remembered(number) for number in numbers}
        missing = [number for number, block in found.items() if block is None]
        if missing:
            size, step = self.file.size, self.block_size
            spans = [(number * step, min(step, size - number * step)) for number in missing]
            for number, body in zip(missing, self.file.read(spans, gap=0), strict=True):
                found[number] = block = bytes(body)
                self._store(number, block)
        return [block for block in found.values() if block is not None]

    def _remembered(self, number: int) -> bytes | None:
        block = self._blocks.get(number)
        if block is None:
            if (block := self._kept(number)) is not None:
                self._remember(number, block)
            return block
        with suppress(KeyError):  # another thread has just forgotten it
            self._blocks.move_to_end(number)
        return block

    def _remember(self, number: int, block: bytes) -> None:
        self._blocks[number] = block
        while len(self._blocks) * self.block_size > self.memory and len(self._blocks) > 1:
            with suppress(KeyError):
                self._blocks.popitem(last=False)

    def _store(self, number: int, block: bytes) -> None:
        self._remember(number, block)
        path = self._kept_path(number)
        if path is not None:
            new = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
            with suppress(OSError):  # a full disk makes it slower, not wrong
                path.parent.mkdir(parents=True, exist_ok=True)
                name_entry(path.parent, self.name)
                new.write_bytes(block + _checksum(block))
                new.replace(path)
                note_written(path, len(block))

    def _kept(self, number: int) -> bytes | None:
        path = self._kept_path(number)
        if path is None:
            return None
        try:
            data = path.read_bytes()
        except OSError:
            return None
        block, checksum = data[:-_CHECKSUM], data[-_CHECKSUM:]
        if not block or checksum != _checksum(block):
            return None
        note_use(path)
        return block

    def _kept_path(self, number: int) -> Path | None:
        if self.keep is None or (self.key is None and self.file.identity.validator is None):
            return None
        return self.keep / (self.key or self.file.identity.key) / f"{self.block_size}-{number}"


def _checksum(block: bytes) -> bytes:
    return hashlib.blake2b(block, digest_size=_CHECKSUM).digest()


def _remade(
    file: RangedFile,
    block_size: int,
    memory: int,
    keep: Path | None,
    key: str | None,
    name: str,
    position: int,
    closed: bool,
) -> BlockFile:
    remade = BlockFile(file, block_size=block_size, memory=memory, keep=keep, key=key, name=name)
    remade._position = position
    if closed:
        remade.close()
    return remade
