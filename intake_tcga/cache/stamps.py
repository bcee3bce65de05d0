"""What is remembered of verified files, so that an unchanged one is trusted without hashing it again."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from intake_tcga.cache.roots import state_folder
from intake_tcga.digest import Digest
from intake_tcga.errors import OptionError
from intake_tcga.remote import RemoteFile


@dataclass(frozen=True, slots=True)
class Signature:
    """What changes when a file does: any edit, replacement or truncation changes one of the three."""

    size: int
    """Bytes."""

    mtime_ns: int
    """Time of the last write, in nanoseconds since 1970."""

    inode: int
    """The file's number in its file system."""

    @classmethod
    def of(cls, path: Path) -> Signature | None:
        """Read a regular file's signature; None where there is no such file."""
        try:
            status = os.stat(path)  # noqa: PTH116 - half the time of Path.stat, on a path taken at every opening
        except (OSError, ValueError):
            return None
        if not stat.S_ISREG(status.st_mode):
            return None
        return cls(status.st_size, status.st_mtime_ns, status.st_ino)


@dataclass(frozen=True, slots=True)
class Stamp:
    """The memory of one verification of one file."""

    path: str
    """Where the file is; absolute, but on disk relative to the cache's root if it is below it."""

    signature: Signature
    """The file's signature when it was verified."""

    digest: str
    """``algorithm:hex`` that its bytes had."""

    verified_at: str
    """When, in UTC, ISO 8601."""

    url: str
    """Where the bytes come from, without credentials."""

    url_key: str
    """Digest of the whole URL: what a file without a known digest is recognised by."""

    collection: tuple[str, ...]
    version: str
    name: str
    downloaded: bool
    """Whether this package put the file there."""

    @classmethod
    def made_now(
        cls, path: Path, signature: Signature, digest: Digest, file: RemoteFile, *, downloaded: bool
    ) -> Stamp:
        """Stamp a file that has just been verified."""
        return cls(
            path=str(path),
            signature=signature,
            digest=str(digest),
            verified_at=datetime.now(UTC).isoformat(timespec="seconds"),
            url=file.shown_url,
            url_key=url_key(file.url),
            collection=file.collection,
            version=file.version,
            name=file.name,
            downloaded=downloaded,
        )


@dataclass(frozen=True, slots=True)
class StampStore:
    """Stamps in a folder, a JSON file each, one for each path and digest.

    Two bundles may share a version and a file name; their stamps of that one path do not overwrite each other. Where
    the folder cannot be written (a read-only root) stamps last as long as the process.
    """

    folder: Path

    def of(self, path: Path) -> list[Stamp]:
        """Return all stamps of a path, whether or not they still hold."""
        folder = self._folder_of(path)
        stamps = dict(_in_memory.get(str(folder), {}))
        for file in _json_files(folder):
            if stamp := _read(file, self._root):
                stamps[stamp.digest] = stamp
        return list(stamps.values())

    def keep(self, stamp: Stamp) -> None:
        """Remember a verification; losing it costs a hash, so a folder that cannot be written is no error."""
        folder = self._folder_of(Path(stamp.path))
        place = folder / (stamp.digest.replace(":", "-")[:40] + ".json")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            fresh = place.with_name(f"{secrets.token_hex(6)}.new")
            fresh.write_text(json.dumps(asdict(stamp) | {"path": self._key(Path(stamp.path))}))
            fresh.replace(place)
        except OSError:
            _in_memory.setdefault(str(folder), {})[stamp.digest] = stamp

    def forget(self, path: Path) -> None:
        """Remove all stamps of a path."""
        folder = self._folder_of(path)
        _in_memory.pop(str(folder), None)
        for file in _files(folder):
            with suppress(OSError):
                file.unlink()
        with suppress(OSError):
            folder.rmdir()

    def all(self) -> Iterator[Stamp]:
        """Iterate over every stamp on disk."""
        for folder in sorted(_files(self.folder)):
            for file in _json_files(folder):
                if stamp := _read(file, self._root):
                    yield stamp

    def _folder_of(self, path: Path) -> Path:
        key = self._key(path).encode("utf-8", "surrogatepass")
        return self.folder / hashlib.sha256(key).hexdigest()[:32]

    def _key(self, path: Path) -> str:
        # Relative, so that a cache that is moved or mounted elsewhere keeps its memory.
        return path.relative_to(self._root).as_posix() if path.is_relative_to(self._root) else str(path)

    @property
    def _root(self) -> Path:
        return self.folder.parent.parent


def doubt(path: str | os.PathLike[str]) -> None:
    """Let the stamps of a file hold no longer, so that its next fetch hashes it; without stamps nothing happens.

    They are kept as those of a file that has changed: who put it there, and which digest is its measure, stays known.
    """
    path = Path(path).absolute()
    store = StampStore(state_folder(path) / "stamps")
    for stamp in store.of(path):
        store.keep(replace(stamp, signature=replace(stamp.signature, mtime_ns=_NEVER)))


def url_key(url: str) -> str:
    """Return a key of a whole URL that does not show it."""
    return hashlib.sha256(url.encode("utf-8", "surrogatepass")).hexdigest()[:32]


_NEVER = -1  # no file was written then
_in_memory: dict[str, dict[str, Stamp]] = {}


def _files(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _json_files(folder: Path) -> list[Path]:
    return [file for file in _files(folder) if file.suffix == ".json"]


def _read(file: Path, root: Path) -> Stamp | None:
    """Read a stamp; None where it is damaged or of another version of this package."""
    try:
        fields = json.loads(file.read_bytes())
        stamp = Stamp(**fields)
        Digest.parse(stamp.digest)
        datetime.fromisoformat(stamp.verified_at)
        signature = Signature(**fields["signature"])
        path = str(root / stamp.path)
        return replace(stamp, path=path, signature=signature, collection=tuple(stamp.collection))
    except (OSError, ValueError, TypeError, KeyError, AttributeError, OptionError):
        return None
