"""The verified cache: local paths of remote files whose bytes are certain.

What it promises rests on this order: bytes are hashed while they arrive in a part file of one download alone, brought
to the disk, stamped (what was verified, of which size, time and inode), and only then moved to their final name in one
step. Whatever dies in between leaves the old state or the new one. Locks save downloads; nothing depends on them.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from intake_tcga.cache.chains import UserCache, is_user_cache
from intake_tcga.cache.contents import CachedFile, contents, remove
from intake_tcga.cache.download import download_verified
from intake_tcga.cache.filecache_index import register
from intake_tcga.cache.locks import hold
from intake_tcga.cache.plan import Download, Hash, Judgement, Place, Refuse, State, Use, Verify, judge, plan
from intake_tcga.cache.roots import is_offline, read_only_roots, writable_root
from intake_tcga.cache.stamps import Signature, Stamp, StampStore, url_key
from intake_tcga.digest import Digest
from intake_tcga.errors import (
    CacheError,
    IntegrityError,
    OfflineError,
    OptionError,
    RemoteNotFoundError,
    TransferError,
)
from intake_tcga.flags import flag
from intake_tcga.progress import Progress
from intake_tcga.remote import RemoteFile
from intake_tcga.transfer import is_local
from intake_tcga.transfer.budget import Budget
from intake_tcga.transfer.parts import signs_of_life

__all__ = ["Budget", "CachedFile", "VerifiedFileCache", "cache_dir", "cache_info", "clear_cache"]

_logger = logging.getLogger(__name__)
_MOST_HASHES = 20
"""Files hashed for one decision: more than there are places, unless something keeps writing to one."""


@dataclass(frozen=True, init=False)
class VerifiedFileCache:
    """A folder of downloaded files, each verified against its size and digest before anybody sees it.

    A plain value: it holds no connection and no lock, so it can be pickled, compared, shared by threads and inherited
    by forks.

    Parameters
    ----------
    root : path, optional
        Folder that downloads go to. None: ``INTAKE_TCGA_CACHE_DIR``, else the platform's cache folder.
    read_only : sequence of paths, optional
        Folders of the same layout that are used first, verified, and never written. None:
        ``INTAKE_TCGA_READ_ONLY_ROOTS``, then SyNG-BTS's own cache (``SYNG_BTS_CACHE_DIR`` or its default) if there
        is one.
    verify : {"stamp", "always"}
        Hash a file again only when its size, time or inode changed since it was verified, or at every fetch.
    offline : bool or str, optional
        Never use a socket; also in words (``"true"``, ``"0"``, ``"off"``, …). None: as ``INTAKE_TCGA_OFFLINE`` says.
    budget : Budget, optional
        Limits of a download.
    progress : bool or str, optional
        Show a bar while downloading: None on a terminal or in a notebook, True always, False never; also in words.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> _ = (folder / "greeting.txt").write_text("hello")
    >>> file = RemoteFile(
    ...     (folder / "greeting.txt").as_uri(),
    ...     "greeting.txt",
    ...     size=5,
    ...     digest=Digest.parse("md5:5d41402abc4b2a76b9719d911017c592"),
    ... )
    >>> cache = VerifiedFileCache(folder / "cache", read_only=[])
    >>> cache.fetch(file).relative_to(cache.root).as_posix()
    'files/unversioned/greeting.txt'
    """

    root: Path
    """Folder that downloads go to; absolute, made when first needed."""

    read_only: tuple[Path, ...]
    """Folders that are used first and never written."""

    verify_mode: Verify
    offline: bool
    """Whether sockets are forbidden."""

    budget: Budget
    progress: bool | None

    def __init__(
        self,
        root: str | os.PathLike[str] | None = None,
        *,
        read_only: Sequence[str | os.PathLike[str]] | None = None,
        verify: Verify = "stamp",
        offline: bool | str | None = None,
        budget: Budget | None = None,
        progress: bool | str | None = None,
    ) -> None:
        if verify not in ("stamp", "always"):
            raise OptionError(f"verify={verify!r} is not an option; use 'stamp' or 'always'.")
        values = {"root": (chosen := writable_root(root)), "read_only": read_only_roots(read_only, chosen)}
        values |= {"verify_mode": verify, "offline": is_offline(offline)}
        values |= {
            "budget": budget or Budget(),
            "progress": None if progress is None else flag(progress, "progress"),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)  # frozen: set once, here

    @classmethod
    def at(
        cls,
        cache_storage: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None,
        *,
        verify: Verify = "stamp",
        offline: bool | str | None = None,
        progress: bool | str | None = None,
    ) -> VerifiedFileCache:
        """Return the cache of some folders, written as fsspec's ``cache_storage`` is.

        Parameters
        ----------
        cache_storage
            The cache's folder, or read-only folders followed by the writable one. None follows the environment.
        verify, offline, progress
            As for the class.
        """
        if isinstance(cache_storage, str | os.PathLike):
            cache_storage = [cache_storage]
        folders = _folders_in(cache_storage)
        return cls(
            folders[-1] if folders else None,
            read_only=folders[:-1] if len(folders) > 1 else None,
            verify=verify,
            offline=offline,
            progress=progress,
        )

    def but(self, **changes: Any) -> VerifiedFileCache:
        """Return this cache with other options, of those that a cache is made with."""
        own = {"read_only": self.read_only, "verify": self.verify_mode, "offline": self.offline}
        return VerifiedFileCache(
            self.root, **{**own, "budget": self.budget, "progress": self.progress, **changes}
        )

    def find(self, file: RemoteFile) -> Path | None:
        """Return where a copy of a file is, or None: by its size and stamps alone, without hashing, without network."""
        usable = {State.TRUSTED, State.UNKNOWN}
        places = self._places(file, verify="stamp")
        return next((place.path for place in places if place.judgement.state in usable), None)

    def fetch(
        self,
        file: RemoteFile,
        *,
        storage_options: Mapping[str, Any] | None = None,
        force: bool = False,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Path:
        """Return the local path of a file whose bytes are verified, downloading it if there is no such copy.

        Parameters
        ----------
        file : RemoteFile
            What is wanted. A URL chained through fsspec's ``filecache::`` or ``simplecache::`` is opened through that
            chain, and its local copy verified.
        storage_options : mapping, optional
            Options of fsspec, flat for the URL's own protocol or keyed by protocol. Never changed.
        force : bool
            Download even if a good copy is there; the old one stays until the new one is verified.
        cancelled : callable
            Asked about twice a second; True ends the download with a TransferError, and what has come is kept.

        Raises
        ------
        IntegrityError
            The source's bytes are not the expected ones; or, offline, those of the copy.
        OfflineError
            Offline, and there is no copy.
        RemoteNotFoundError
            The source has no such file.
        TransferError
            The bytes could not be fetched, after all retries.
        CacheError
            The folder cannot be used: no space, no permission, a file in its way.
        """
        with Progress(file.name, file.size, self.progress) as progress:
            return self._fetch(file, storage_options, force, progress, cancelled)

    def verify(self, file: RemoteFile) -> Path:
        """Hash the copy that :meth:`fetch` would use, whatever is remembered of it; no network.

        Returns
        -------
        Path
            The first copy that is right.

        Raises
        ------
        IntegrityError
            There are copies, and none is right.
        RemoteNotFoundError
            There is no copy.
        """
        step = self._next_step(file, reachable=False, verify="always")
        if isinstance(step, Use):
            return step.path
        assert isinstance(step, Refuse)
        if step.problems:
            raise IntegrityError(f"{file.name} is damaged; fetch it again. {'; '.join(step.problems)}.")
        raise RemoteNotFoundError(f"No copy of {file.name} is in {self._folders}; fetch it first.")

    def prefetch(
        self,
        files: Sequence[RemoteFile],
        *,
        storage_options: Mapping[str, Any] | None = None,
        threads: int = 4,
        force: bool = False,
    ) -> dict[RemoteFile, Path]:
        """Fetch several files at a time; what succeeds is kept, and all failures are reported together.

        Says first how many files and bytes it will download, where progress is shown, and in the log.

        Parameters
        ----------
        files : sequence of RemoteFile
            What is wanted.
        storage_options, force
            As for :meth:`fetch`.
        threads : int
            Downloads at a time.

        Returns
        -------
        dict
            The local path of each file.

        Raises
        ------
        TransferError
            Some could not be fetched; the message names each with its reason. The first reason is its cause. The
            failure of an only file is raised as :meth:`fetch` would.
        """
        wanted = list(dict.fromkeys(files))
        missing = [file for file in wanted if force or self.find(file) is None]
        size = sum(file.size or 0 for file in missing)
        stop = threading.Event()
        with Progress(f"{len(missing)} files", size or None, self.progress) as progress:
            if missing:
                sentence = f"Fetching {len(missing)} of {len(wanted)} files ({size:,} bytes) into {self.root}"
                _logger.info(sentence)
                progress.say(sentence)
            with ThreadPoolExecutor(max(1, threads), "intake-tcga") as pool:
                tasks = {
                    file: pool.submit(self._fetch, file, storage_options, force, progress, stop.is_set)
                    for file in wanted
                }
                try:
                    wait(tasks.values())
                except BaseException:  # Ctrl-C: the other threads would go on to the end
                    stop.set()
                    pool.shutdown(wait=False, cancel_futures=True)
                    raise
        return _all_or_one_error(tasks, self.root)

    def info(self) -> list[CachedFile]:
        """List the files that were verified and are still there, those in read-only roots included."""
        return contents(self._stamps)

    def clear(self, *, version: str | None = None, name: str | None = None) -> list[Path]:
        """Remove the files that this package put there; never what others did, nor anything in a read-only root.

        With them goes what was kept of them (descriptions, barcodes, columns of metadata), which the next opening of
        a new copy makes anew. Without a version, so does what was kept of files that were read where they are
        (headers of slides, parts of HDF5 files, listings): of all, or of those of that name.

        Parameters
        ----------
        version : str, optional
            Only files of this version.
        name : str, optional
            Only files of this name.

        Returns
        -------
        list of Path
            The files that were removed.

        Raises
        ------
        CacheError
            A file cannot be removed.
        """
        return remove(self._stamps, self.root, version=version, name=name)

    # How a fetch goes: decide from what is there, hashing where needed; download under a lock, deciding once more.

    def _fetch(
        self,
        file: RemoteFile,
        storage_options: Mapping[str, Any] | None,
        force: bool,
        progress: Progress,
        cancelled: Callable[[], bool],
    ) -> Path:
        if cancelled():
            raise TransferError(f"The download of {file.name} was cancelled.")
        storage_options = None if file.foreign else storage_options
        if is_user_cache(file.url):
            return self._fetch_through_chain(file, storage_options, force)
        reachable = not self.offline or is_local(file.url)
        step = self._next_step(file, reachable=reachable, force=force)
        if isinstance(step, Download):
            with self._lock(file, cancelled):
                step = self._next_step(file, reachable=reachable, force=force)
                if isinstance(step, Download):
                    return self._download(file, step, storage_options, progress, cancelled)
        if isinstance(step, Use):
            return step.path
        assert isinstance(step, Refuse)
        raise self._refusal(file, step, force=force)

    def _next_step(
        self, file: RemoteFile, *, reachable: bool, force: bool = False, verify: Verify | None = None
    ) -> Use | Download | Refuse:
        """Decide, hashing what must be hashed to do so."""
        hashed: dict[tuple[Path, Signature | None], Judgement] = {}
        for _ in range(_MOST_HASHES):
            places = self._places(file, verify or self.verify_mode)
            known = [
                replace(place, judgement=hashed.get((place.path, place.judgement.signature), place.judgement))
                for place in places
            ]
            step = plan(known, reachable=reachable, force=force)
            if not isinstance(step, Hash):
                return step
            # Noted for the signature from before: a file that changes meanwhile is hashed again.
            before = Signature.of(step.path)
            hashed[step.path, before] = self._hashed(step, file)
        raise CacheError(f"{file.name} changes all the time in {self._folders}; find out what writes it.")

    def _places(self, file: RemoteFile, verify: Verify) -> list[Place]:
        found = []
        for root in (*self.read_only, self.root):
            for path in _paths(root, file):
                signature = Signature.of(path)
                stamps = self._stamps.of(path) if signature else []
                found.append(Place(path, root == self.root, judge(signature, stamps, file, verify)))
        return found

    def _hashed(self, step: Hash, file: RemoteFile) -> Judgement:
        """Hash a file, and remember it if it is right."""
        before = Signature.of(step.path)
        try:
            digest = Digest.of(step.path, step.expected.algorithm)
        except OSError as error:
            problem = f"it cannot be read ({error.strerror or error})"
            return Judgement(State.WRONG, None, problem, before)
        if digest != step.expected or before is None:
            _logger.warning("%s is damaged: its digest is %s, not %s", step.path, digest, step.expected)
            problem = f"its digest is {digest} where {step.expected} is expected"
            return Judgement(State.WRONG, None, problem, before)
        self._remember(step.path, before, digest, file)  # a stamp that fits nothing, if it changed meanwhile
        return Judgement(State.TRUSTED)

    def _remember(self, path: Path, signature: Signature, digest: Digest, file: RemoteFile) -> None:
        ours = any(
            stamp.downloaded and stamp.signature.inode == signature.inode for stamp in self._stamps.of(path)
        )
        self._stamps.keep(Stamp.made_now(path, signature, digest, file, downloaded=ours))
        if path.is_relative_to(self.root):
            register(self.root, path, file.url, pinned=file.digest is not None)

    def _download(
        self,
        file: RemoteFile,
        step: Download,
        storage_options: Mapping[str, Any] | None,
        progress: Progress,
        cancelled: Callable[[], bool],
    ) -> Path:
        label = f"{file.folder}/{file.name}"
        return download_verified(
            file,
            step,
            self._stamps,
            storage_options=storage_options,
            budget=self.budget,
            on_bytes=lambda done, total: progress.at(label, done, total),
            cancelled=cancelled,
            decide_again=lambda: self._next_step(file, reachable=True),
            announce=lambda path: register(self.root, path, file.url, pinned=file.digest is not None),
        )

    def _fetch_through_chain(
        self, file: RemoteFile, storage_options: Mapping[str, Any] | None, force: bool
    ) -> Path:
        """Open a URL through the user's own cache, and verify what it gives."""
        lock_file = self._state / "locks" / f"{url_key(file.url)}.lock"
        with hold(lock_file, patience=self.budget.lock_patience):
            chain = UserCache.of(file, storage_options)
            for attempt in range(2):
                anew = force and attempt == 0 and not (self.offline and not is_local(file.url))
                path = chain.fresh_copy() if anew else chain.local_copy(offline=self.offline)
                problem = self._problem(path, file)
                if problem is None:
                    return path
                if self.offline or not chain.evict():
                    break
        raise IntegrityError(f"{path}, which {file.shown_url} gave, is not the wanted file: {problem}.")

    def _problem(self, path: Path, file: RemoteFile) -> str | None:
        if file.digest is None and file.size is None:
            return None  # nothing is known that could be checked
        signature = Signature.of(path)
        if file.digest is None:
            right = signature is not None and signature.size == file.size
            return (
                None if right else f"it has {signature.size if signature else 0:,} bytes, not {file.size:,}"
            )
        judgement = judge(signature, self._stamps.of(path), file, self.verify_mode)
        if judgement.state is State.FOREIGN and file.size in {None, signature.size if signature else None}:
            judgement = Judgement(State.UNKNOWN, file.digest)
        if judgement.state is State.UNKNOWN:
            judgement = self._hashed(Hash(path, file.digest), file)
        return None if judgement.state is State.TRUSTED else judgement.problem or "it is another file"

    def _refusal(self, file: RemoteFile, step: Refuse, *, force: bool) -> IntegrityError | OfflineError:
        if force and self.find(file) is not None:
            return OfflineError(
                f"force=True downloads {file.name} again, which offline mode forbids; leave it out to use the copy in "
                f"{self._folders}."
            )
        remedy = "fetch it once with network (offline=False, INTAKE_TCGA_OFFLINE unset)"
        if step.problems:
            return IntegrityError(
                f"{file.name} is damaged, and offline mode forbids a new download; {remedy}. "
                f"{'; '.join(step.problems)}."
            )
        return OfflineError(
            f"{file.name} is not in {self._folders}, and offline mode forbids a download; {remedy}."
        )

    def _lock(self, file: RemoteFile, cancelled: Callable[[], bool]) -> Any:
        # One lock for a place, whatever digest is wanted there.
        target = self.root / file.folder / file.name
        return hold(
            self._state / "locks" / f"{url_key(f'{file.folder}/{file.name}')}.lock",
            patience=self.budget.lock_patience,
            signs_of_life=lambda: signs_of_life(target),
            cancelled=cancelled,
        )

    @property
    def _state(self) -> Path:
        return self.root / ".intake-tcga"

    @property
    def _stamps(self) -> StampStore:
        return StampStore(self._state / "stamps")

    @property
    def _folders(self) -> str:
        return " or ".join(str(root) for root in (self.root, *self.read_only))


def cache_dir() -> Path:
    """Return the folder that downloads go to: ``INTAKE_TCGA_CACHE_DIR``, else the platform's cache folder.

    Examples
    --------
    >>> cache_dir().name
    'cache'
    """
    return writable_root()


def cache_info() -> list[CachedFile]:
    """List what is in the default cache: each file, how big it is, and when it was verified.

    Examples
    --------
    >>> from intake_tcga.cohorts.access import cohort_path
    >>> _ = cohort_path("PRAD", manifest=sample_manifest)
    >>> [(file.name, file.size) for file in cache_info()]
    [('PRAD_sample_type.h5', 1018740)]
    """
    return VerifiedFileCache().info()


def clear_cache(*, version: str | None = None, name: str | None = None) -> list[Path]:
    """Remove from the default cache what this package put there; see :meth:`VerifiedFileCache.clear`.

    Examples
    --------
    >>> from intake_tcga.cohorts.access import cohort_path
    >>> path = cohort_path("PRAD", manifest=sample_manifest)
    >>> clear_cache() == [path]
    True
    """
    return VerifiedFileCache().clear(version=version, name=name)


def _folders_in(cache_storage: Sequence[str | os.PathLike[str]] | None) -> list[str | os.PathLike[str]]:
    if cache_storage is None:
        return []
    listed = isinstance(cache_storage, Sequence)
    if not listed or not all(isinstance(folder, str | os.PathLike) for folder in cache_storage):
        raise OptionError(
            f"cache_storage={cache_storage!r} is no folder; give the path of one, or a list of read-only folders "
            "followed by the writable one."
        )
    return list(cache_storage)


def _paths(root: Path, file: RemoteFile) -> tuple[Path, Path]:
    """Return the two places below a root: the plain one, and one for when another bundle's file has that."""
    folder = root.joinpath(*file.collection, file.version)
    own = file.digest.hex if file.digest else url_key(file.url)
    return folder / file.name, folder / own[:12] / file.name


def _all_or_one_error(tasks: Mapping[RemoteFile, Future[Path]], root: Path) -> dict[RemoteFile, Path]:
    failures = {file: error for file, task in tasks.items() if (error := task.exception()) is not None}
    if not failures:
        return {file: task.result() for file, task in tasks.items()}
    if len(tasks) == 1:
        raise next(iter(failures.values()))
    reasons = "\n".join(f"- {_named(file.name, str(error))}" for file, error in failures.items())
    kinds = {type(error) for error in failures.values()}
    kind = kinds.pop() if len(kinds) == 1 else TransferError
    raise (kind if issubclass(kind, TransferError) else TransferError)(
        f"{len(failures)} of {len(tasks)} files could not be fetched; the others are in {root}:\n{reasons}"
    ) from next(iter(failures.values()))


def _named(name: str, reason: str) -> str:
    return reason if reason.startswith(name) else f"{name}: {reason}"
