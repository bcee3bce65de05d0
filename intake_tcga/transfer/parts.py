"""Part files: what has arrived of a download, beside the place where the whole will be.

A part belongs to one download alone, by its name ``.<name>.<pid>-<random>.part``. Beside it, ``….part.json`` tells who
writes it and the validators of the bytes in it (ETag, Last-Modified), so that a later call can go on from a part that
was left: from the part itself where its writer gave it up, whose name says so (process 0); else from a *copy* of it,
since no check can tell for certain that its writer is dead.
"""

from __future__ import annotations

import errno
import json
import os
import platform
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from intake_tcga.digest import Digest, new_hash
from intake_tcga.errors import CacheError

if TYPE_CHECKING:
    from intake_tcga.digest import Hash
    from intake_tcga.transfer.reply import Block

_ABANDONED = 3600.0
"""Seconds without a write after which no live download can own a part: its waits are far shorter."""

_STALE = 7 * 86400.0
"""Seconds after which a left part is removed, whoever comes by."""

_SYNC_STEP = 4 * 2**20
"""Bytes after which the disk is set to work while more arrive: so little is left to wait for at the end."""

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NOBODY = 0  # the process id in the name of a part whose writer gave it up
_COPY_BLOCK = 2**20


@dataclass(frozen=True, slots=True)
class Validator:
    """What a server says to identify the very bytes it sends."""

    url: str
    """Where they come from, without credentials."""

    etag: str | None = None
    """Strong entity tag; None where the server gave none, or a weak one."""

    last_modified: str | None = None
    """The date as the server wrote it."""

    @property
    def if_range(self) -> str | None:
        """Value of the If-Range header that makes a server send the rest only of these very bytes."""
        return self.etag or self.last_modified


class Part:
    """A part file held open: bytes go in at its end, and are hashed here unless that has been done on their way.

    Parameters
    ----------
    target : Path
        Final place of the whole file; its folder must exist.
    algorithm : str
        Digest that is computed.

    Raises
    ------
    CacheError
        The folder cannot be written.
    """

    def __init__(self, target: Path, algorithm: str = "sha256") -> None:
        self.target = target
        self.algorithm = algorithm
        self.path = _part_path(target, os.getpid())
        self.validator: Validator | None = None
        self.offset = 0
        self._hash = new_hash(algorithm)
        self._syncing: threading.Thread | None = None
        self._sync_at = _SYNC_STEP
        try:
            self._write_note()  # first: a part without a note would belong to nobody
            self._file = self.path.open("xb", buffering=0)
        except OSError as error:
            _remove(_note_path(self.path))
            raise explain(error, target) from error

    @property
    def digest(self) -> Digest:
        """Digest of what has been written so far."""
        return Digest(self.algorithm, self._hash.hexdigest())

    def running_hash(self) -> Hash:
        """Return a copy of the hash of what has been written so far."""
        return self._hash.copy()

    def write(self, block: Block) -> None:
        """Append bytes; a full disk becomes a CacheError."""
        if block.hashed is None:
            self._hash.update(block.content)
        else:
            self._hash = block.hashed
        self._append(block.content)
        if self.offset >= self._sync_at:
            self._sync_at = self.offset + _SYNC_STEP
            self._sync_early()

    def restart(self) -> None:
        """Forget everything that was written."""
        self._file.seek(0)
        self._file.truncate()
        self._hash = new_hash(self.algorithm)
        self.offset = 0
        self.validator = None

    def identify(self, validator: Validator) -> None:
        """Remember, also on disk, which bytes these are."""
        if validator != self.validator:
            self.validator = validator
            with suppress(OSError):  # without the note, a later call starts over: slower, not wrong
                self._write_note()

    def adopt(self, left: LeftPart) -> None:
        """Start from a part that was left, or from a copy of it, hashing it on the way."""
        try:
            if left.is_nobodys:
                self._take(left.path)
            else:
                self._copy(left.path)
        except OSError:  # somebody else was faster, or it cannot be read
            self.restart()
        else:
            self.identify(left.validator)

    def _take(self, path: Path) -> None:
        """Make a part that was given up our own: its name can be changed by one alone."""
        path.replace(self.path)
        _remove(_note_path(path))
        self._file.close()
        self._file = self.path.open("rb+", buffering=0)
        while content := self._file.read(_COPY_BLOCK):
            self._hash.update(content)
            self.offset += len(content)

    def _copy(self, path: Path) -> None:
        with path.open("rb", buffering=0) as source:
            while content := source.read(_COPY_BLOCK):
                self._hash.update(content)
                self._append(content)

    def seal(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Bring everything to the disk and close: from here on the file can be moved, and survives a power cut.

        ``meanwhile``, which must not raise, is called while the disk is waited for, and has returned at the end.
        """
        beside = threading.Thread(target=meanwhile, daemon=True)
        beside.start()
        try:
            os.fsync(self._file.fileno())
        except OSError as error:
            raise explain(error, self.target) from error
        finally:
            beside.join()
            self._file.close()

    def discard(self) -> None:
        """Remove the part."""
        self._file.close()
        _remove(self.path)
        _remove(_note_path(self.path))

    def leave(self) -> None:
        """Close the part and leave it for a later call to go on from."""
        self._file.close()
        nobodys = _part_path(self.target, _NOBODY)
        try:
            _note_path(self.path).rename(_note_path(nobodys))
            self.path.rename(nobodys)
        except OSError:
            self.discard()

    def _append(self, content: bytes) -> None:
        left = memoryview(content)
        try:
            while left:
                left = left[self._file.write(left) :]
        except OSError as error:
            raise explain(error, self.target) from error
        self.offset += len(content)

    def _sync_early(self) -> None:
        if hasattr(os, "fdatasync") and (self._syncing is None or not self._syncing.is_alive()):
            self._syncing = threading.Thread(target=_sync, args=(self.path,), daemon=True)
            self._syncing.start()

    def _write_note(self) -> None:
        note = {
            "host": platform.node(),
            "pid": os.getpid(),
            "validator": asdict(self.validator) if self.validator else None,
        }
        _note_path(self.path).write_text(json.dumps(note))


@dataclass(frozen=True, slots=True)
class LeftPart:
    """A part that its writer left behind: killed, interrupted, or out of retries."""

    path: Path
    size: int
    validator: Validator

    @property
    def is_nobodys(self) -> bool:
        """Whether its writer gave it up, and closed it."""
        return _pid_of(self.path) == _NOBODY


def largest_left_part(target: Path, size: int | None) -> LeftPart | None:
    """Return the left part of a file that a download of ``size`` bytes can best go on from."""
    left = []
    for path in _left_parts(target):
        validator = _read_validator(path)
        with suppress(OSError):
            length = path.stat().st_size
            if validator and length and (size is None or length < size):
                left.append(LeftPart(path, length, validator))
    return max(left, key=lambda part: part.size, default=None)


def set_aside(target: Path) -> None:
    """Take a wrong file away from its final name; it goes when the right one is there."""
    target.rename(target.with_name(f".{target.name}.{os.getpid()}-{secrets.token_hex(4)}.aside"))


def sweep(target: Path) -> None:
    """Remove what no download needs once a file is in place, and what is stale in its folder whatever its name."""
    for path in _left_parts(target):
        _remove(path)
        _remove(_note_path(path))
    for note in _litter(target.parent, rf"{re.escape(target.name)}\.\d+-[0-9a-f]+\.part\.json"):
        part = note.with_suffix("")
        if not part.exists() and _is_left(part):
            _remove(note)
    for path in _litter(target.parent, rf"{re.escape(target.name)}\.\d+-[0-9a-f]+\.aside"):
        _remove(path)
    for path in _litter(target.parent, r".+\.\d+-[0-9a-f]+\.(part|part\.json|aside)"):
        if _age(path) > _STALE:
            _remove(path)


def signs_of_life(target: Path) -> object:
    """Return a value that changes while anybody downloads a file."""
    signs = []
    for path in _parts(target):
        with suppress(OSError):
            status = path.stat()
            signs.append((path.name, status.st_size, status.st_mtime_ns))
    return sorted(signs)


def explain(error: OSError, path: Path, need: int | None = None) -> CacheError:
    """Turn a failure to use the cache's folder into a sentence with the path, the need and the next step."""
    needed = f" {need:,} bytes are needed there." if need is not None else ""
    elsewhere = "set INTAKE_TCGA_CACHE_DIR to another folder"
    if error.errno in _NO_ROOM:
        return CacheError(f"No space is left for {path}.{needed} Free some, or {elsewhere}.")
    if error.errno in {errno.ENOTDIR, errno.EEXIST, errno.EISDIR}:
        in_the_way = (above for above in path.parents if above.exists() and not above.is_dir())
        at_fault = next(in_the_way, error.filename or path)
        return CacheError(
            f"{path} cannot be written: {at_fault} is not what it should be there (a file where a folder should be, "
            f"or a folder where a file should be).{needed} Move it away, or {elsewhere}."
        )
    return CacheError(
        f"{path} cannot be written ({error.strerror or error}).{needed} Allow writing there, or {elsewhere}."
    )


def _sync(path: Path) -> None:
    """Bring what a file has to the disk, and promise nothing: only :meth:`Part.seal` does."""
    # Through a descriptor of its own: a failed write is reported once to each, and seal() must still hear of it.
    with suppress(OSError), path.open("rb+", buffering=0) as file:
        os.fdatasync(file.fileno())


def _part_path(target: Path, pid: int) -> Path:
    return target.with_name(f".{target.name}.{pid}-{secrets.token_hex(4)}.part")


def _note_path(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _parts(target: Path) -> Iterator[Path]:
    return _litter(target.parent, rf"{re.escape(target.name)}\.\d+-[0-9a-f]+\.part")


def _litter(folder: Path, pattern: str) -> Iterator[Path]:
    whole = re.compile(rf"\.{pattern}", re.DOTALL)
    try:
        names = os.listdir(folder)  # noqa: PTH208 - names are all that is needed
    except OSError:
        return
    yield from (folder / name for name in names if whole.fullmatch(name))


def _left_parts(target: Path) -> list[Path]:
    return [path for path in _parts(target) if _is_left(path)]


def _pid_of(part: Path) -> int:
    return int(part.name.rpartition("-")[0].rpartition(".")[2])


def _is_left(part: Path) -> bool:
    pid = _pid_of(part)
    if pid == _NOBODY or _age(part) > _ABANDONED:
        return True
    # Process ids say something about our own host alone.
    return _read_note(part).get("host") == platform.node() and not _is_alive(pid)


def _is_alive(pid: int) -> bool:
    if os.name == "nt":  # signal 0 would end the process there; age alone decides
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _read_note(part: Path) -> dict[str, object]:
    try:
        note = json.loads(_note_path(part).read_text())
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}


def _read_validator(part: Path) -> Validator | None:
    fields = _read_note(part).get("validator")
    try:
        return Validator(**fields) if isinstance(fields, dict) else None
    except TypeError:  # written by another version of this package
        return None


def _age(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return 0.0


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink()
