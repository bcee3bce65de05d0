"""What is in a cache, and its removal."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from intake_tcga.cache import derived, kept
from intake_tcga.cache.filecache_index import unregister
from intake_tcga.cache.stamps import Signature, Stamp, StampStore
from intake_tcga.digest import Digest
from intake_tcga.errors import CacheError
from intake_tcga.transfer.parts import sweep


@dataclass(frozen=True, slots=True)
class CachedFile:
    """One file in a cache, as :meth:`VerifiedFileCache.info` lists it."""

    path: Path
    url: str
    """Where its bytes come from, without credentials."""

    size: int
    """Bytes it has now."""

    digest: Digest
    """Digest that it had when it was verified."""

    verified_at: datetime | None
    """When it was verified, in UTC; None if it changed since, so that its next use hashes it again."""

    collection: tuple[str, ...]
    version: str
    name: str
    downloaded: bool
    """Whether this package put it there; what others put there is never removed."""


def contents(stamps: StampStore) -> list[CachedFile]:
    """List the stamped files that are still there, each once, by path."""
    newest: dict[str, CachedFile] = {}
    for stamp in sorted(stamps.all(), key=lambda stamp: stamp.verified_at):
        cached = _as_cached_file(stamp)
        # Of several stamps of one path, the last that holds tells most.
        if cached and (cached.verified_at is not None or stamp.path not in newest):
            newest[stamp.path] = cached
    return sorted(newest.values(), key=lambda cached: str(cached.path))


def remove(stamps: StampStore, root: Path, *, version: str | None, name: str | None) -> list[Path]:
    """Remove the files below ``root`` whose stamps say that this package put them there, and what was kept of them.

    Without a version, also what was kept of files that were read where they are: of all, or those of that name.
    """
    removed = []
    for stamp in list(stamps.all()):
        path = Path(stamp.path)
        asked_for = version in {None, stamp.version} and name in {None, stamp.name}
        if not (asked_for and stamp.downloaded and path.is_relative_to(root)):
            continue
        signature = Signature.of(path)
        # Another inode: somebody else has put another file in the place of ours.
        if signature is not None and signature.inode == stamp.signature.inode:
            _remove(path)
            removed.append(path)
            derived.forget(path)
        kept.clear_of(root, path, stamp.digest)
        sweep(path)
        stamps.forget(path)
        _remove_empty_folders(path.parent, root)
    unregister(root, removed)
    if version is None and name is None:
        kept.clear_all(root)
    elif version is None and name is not None:
        kept.clear_named(root, name)
    return sorted(set(removed))


def _as_cached_file(stamp: Stamp) -> CachedFile | None:
    path = Path(stamp.path)
    signature = Signature.of(path)
    if signature is None:
        return None
    unchanged = signature == stamp.signature
    return CachedFile(
        path=path,
        url=stamp.url,
        size=signature.size,
        digest=Digest.parse(stamp.digest),
        verified_at=datetime.fromisoformat(stamp.verified_at) if unchanged else None,
        collection=stamp.collection,
        version=stamp.version,
        name=stamp.name,
        downloaded=stamp.downloaded,
    )


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise CacheError(
            f"{path} cannot be removed ({error.strerror or error}); allow it and try again."
        ) from error


def _remove_empty_folders(folder: Path, root: Path) -> None:
    while folder != root and folder.is_relative_to(root):
        try:
            folder.rmdir()
        except OSError:
            return
        folder = folder.parent
