"""kallisto's index of a transcriptome: built once on a machine, however many ask for it, and verified like a download.

It is kept in the cache as a file whose source is the program that made it: stamped before it gets its final name in one
step, so whatever dies in between leaves the old state or the new one.
"""

from __future__ import annotations

import hashlib
import logging
import os
import secrets
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from intake_tcga.archs4.kallisto import Kallisto, how_it_ended, index_arguments, run, targets_in
from intake_tcga.archs4.transcriptome import Transcriptome
from intake_tcga.cache.locks import hold
from intake_tcga.cache.stamps import Signature, Stamp, StampStore
from intake_tcga.cache.store import VerifiedFileCache
from intake_tcga.digest import Digest
from intake_tcga.errors import AlignmentError, IntakeTcgaError, IntegrityError, OfflineError, OptionError
from intake_tcga.progress import Progress
from intake_tcga.remote import RemoteFile
from intake_tcga.transfer.parts import explain

_logger = logging.getLogger(__name__)
_HEARTBEAT = 1.0  # seconds between two signs of life of a build
_ABANDONED = 600.0  # seconds without one after which nobody can be building
_WORK = ".building-"


@dataclass(frozen=True, slots=True)
class Index:
    """An index in the cache."""

    path: Path
    digest: Digest
    """Of its bytes, when it was built."""


def index_file(kallisto: Kallisto, fasta: Sequence[Digest], *, kmer: int) -> RemoteFile:
    """Return what an index is known by: all that its bytes depend on.

    Examples
    --------
    >>> index_file(Kallisto(Path("kallisto"), "0.52.0"), [Digest("md5", "0" * 32)], kmer=31).folder
    'archs4/kallisto/0.52.0-k31-0fc66ff417965644'
    """
    if kmer % 2 == 0 or not 3 <= kmer <= 31:
        raise OptionError(f"kmer={kmer!r} cannot be; use an odd number from 3 to 31.")
    key = hashlib.sha256("\n".join(str(digest) for digest in fasta).encode()).hexdigest()
    return RemoteFile(
        f"kallisto-index://{kallisto.version}/{kmer}/{key}",
        "transcripts.idx",
        collection=("archs4", "kallisto"),
        version=f"{kallisto.version}-k{kmer}-{key[:16]}",
    )


def find_index(wanted: RemoteFile, cache: VerifiedFileCache) -> Index | None:
    """Return an index that is in the cache, or in one of its read-only folders, and undamaged; else None.

    What it must be is told by the memory of the cache that it was built in.
    """
    kept = cache.but(offline=True, progress=False)
    for root in (*cache.read_only, cache.root):
        stamps = _stamps(root).of(root / wanted.folder / wanted.name)
        for stamp in sorted(stamps, key=lambda stamp: stamp.verified_at, reverse=True):
            digest = Digest.parse(stamp.digest)
            try:
                return Index(kept.fetch(replace(wanted, digest=digest)), digest)
            except (OfflineError, IntegrityError) as error:
                _logger.debug("no index: %s", error)
    return None


def build_index(
    wanted: RemoteFile,
    transcriptome: Transcriptome,
    kallisto: Kallisto,
    cache: VerifiedFileCache,
    *,
    kmer: int,
    threads: int,
) -> Index:
    """Return an index, built now unless somebody else builds it meanwhile (minutes and some GB of memory for human).

    Raises
    ------
    AlignmentError
        kallisto failed; with its last words.
    CacheError
        The cache's folder cannot be written.
    """
    target = cache.root / wanted.folder / wanted.name
    lock = cache.root / ".intake-tcga" / "locks" / f"{wanted.version}.lock"
    with hold(lock, patience=cache.budget.lock_patience, signs_of_life=lambda: _signs_of_life(target.parent)):
        if (found := find_index(wanted, cache)) is not None:
            return found
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with _work_folder(target.parent) as folder:
                index = _build(transcriptome, kallisto, folder, cache, kmer=kmer, threads=threads)
                return _publish(index, target, wanted, cache)
        except IntakeTcgaError:
            raise
        except OSError as error:
            raise explain(error, target) from error


def _build(
    transcriptome: Transcriptome,
    kallisto: Kallisto,
    folder: Path,
    cache: VerifiedFileCache,
    *,
    kmer: int,
    threads: int,
) -> Path:
    index, log = folder / "transcripts.idx", folder / "log"
    number = len(transcriptome.transcripts)
    sentence = (
        f"Building kallisto's index of {number:,} transcripts in {folder.parent}, once; this can take minutes"
    )
    _logger.info(sentence)
    Progress("index", show=cache.progress).say(sentence)
    command = index_arguments(
        kallisto, transcriptome.files, index, kmer=kmer, threads=threads, scratch=folder / "scratch"
    )
    status = run(command, log, meanwhile=_Heart(folder))
    if status != 0 or not index.exists():
        raise AlignmentError(f"The index could not be built: {how_it_ended(status, log)}.")
    # It says nothing of a disk that is full, so what it wrote is read once, by itself.
    status = run([str(kallisto.path), "inspect", str(index)], log, meanwhile=_Heart(folder))
    if status != 0 or targets_in(log) not in {number, None}:
        raise AlignmentError(
            f"The index that kallisto built is damaged ({how_it_ended(status, log)}); is there room in {folder.parent}?"
        )
    return index


def _publish(index: Path, target: Path, wanted: RemoteFile, cache: VerifiedFileCache) -> Index:
    """Move an index to its final name, in one step, with the memory of its digest."""
    with index.open("rb+") as file:
        os.fsync(file.fileno())
    digest, signature = Digest.of(index), Signature.of(index)
    assert signature is not None
    # Stamped first: killed after the move, the file is known; killed before it, the stamp fits nothing.
    _stamps(cache.root).keep(Stamp.made_now(target, signature, digest, wanted, downloaded=True))
    index.replace(target)
    _logger.info("kallisto's index built (%s): %s", digest, target)
    return Index(target, digest)


@contextmanager
def _work_folder(parent: Path) -> Iterator[Path]:
    """Make a folder for one build, and remove it after; also those of builds that were killed."""
    for left in parent.glob(f"{_WORK}*"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > _ABANDONED:
                shutil.rmtree(left)
    folder = parent / f"{_WORK}{os.getpid()}-{secrets.token_hex(4)}"
    folder.mkdir()
    try:
        (folder / "scratch").mkdir()
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Heart:
    """Touches a folder while a build goes on, for those who wait for it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.last = time.monotonic()

    def __call__(self) -> None:
        if time.monotonic() - self.last >= _HEARTBEAT:
            self.last = time.monotonic()
            with suppress(OSError):
                os.utime(self.folder)


def _signs_of_life(parent: Path) -> object:
    signs = []
    for folder in parent.glob(f"{_WORK}*"):
        with suppress(OSError):
            signs.append((folder.name, folder.stat().st_mtime_ns))
    return sorted(signs)


def _stamps(root: Path) -> StampStore:
    return StampStore(root / ".intake-tcga" / "stamps")
