"""The functions of a notebook: list, open and download ARCHS4's files without making a catalog first."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from intake_tcga.archs4.releases import (
    CITATION,
    LATEST,
    LICENCE,
    Release,
    find_release,
    is_release_name,
    release_at,
)
from intake_tcga.archs4.version_service import known_releases
from intake_tcga.cache.contents import CachedFile
from intake_tcga.cache.store import VerifiedFileCache
from intake_tcga.errors import (
    AccessDeniedError,
    IntegrityError,
    MissingFileError,
    OfflineError,
    OptionError,
    RemoteNotFoundError,
    TransferError,
)
from intake_tcga.facts import file_facts
from intake_tcga.hdf5.file import Hdf5File
from intake_tcga.progress import Progress
from intake_tcga.remote import RemoteFile, name_problem, redact
from intake_tcga.tables import human_size
from intake_tcga.transfer import is_local
from intake_tcga.transfer.pieces import MOST_AT_ONCE
from intake_tcga.transfer.ranged import RangedFile
from intake_tcga.transfer.reply import NoRangesError

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

_logger = logging.getLogger(__name__)
_T = TypeVar("_T")
_GONE = (RemoteNotFoundError, AccessDeniedError)
"""What a store answers for a file that it no longer has: S3 says "denied" to whoever may not list its files."""

_ELSEWHERE = ("archs4", "elsewhere")
"""The collection of files that no release is."""

_SOURCE = "intake_tcga:source"


def open_archs4(
    source: str | os.PathLike[str],
    *,
    chunks: int | str | Mapping[Any, Any] | None = None,
    download: bool = False,
    force: bool = False,
    cache: VerifiedFileCache | None = None,
    storage_options: Mapping[str, Any] | None = None,
    offline: bool | str | None = None,
) -> xr.Dataset:
    """Open an ARCHS4 file as a lazy Dataset: a release, a local file, or a file anywhere else.

    Parameters
    ----------
    source
        A release (``"human_gene_v2.5"``, see :func:`list_archs4`): its verified copy in the cache if it was downloaded,
        else read from where it is published, range by range. Or a path (whatever ends in ``.h5`` is one): the file is
        used as it is, and not copied. Or any URL that fsspec opens: read range by range, or from
        its copy in the cache, as long as the server has the same bytes; offline, from the copy made last.
        A copy that changed since it was verified is hashed first; one that is damaged is not used.
    chunks
        None for an array that is read when it is used; ``{}`` for dask arrays, all features of about 128 MiB of samples
        each; or sizes, as in :func:`xarray.open_dataset`.
    download
        Download the whole file first, where it is not in the cache; see :func:`download_archs4`.
    force
        Download it again where it is in the cache, also without ``download``; the old copy stays until the new one is
        verified. What is not in the cache is downloaded only with ``download``.
    cache
        Where downloads go, and what is kept of remote files; the default one if None.
    storage_options
        Options of fsspec, flat for the URL's own protocol or keyed by protocol.
    offline
        Never use a socket. None: as the cache says, which follows ``INTAKE_TCGA_OFFLINE``.

    Returns
    -------
    xarray.Dataset
        ``counts`` or ``tpm`` (sample, feature), and every field of metadata as a lazy coordinate; see
        :func:`intake_tcga.archs4.dataset.open_dataset`. Its attributes say where it comes from, which bytes these are
        (ETag, or digest), under which licence, and what to cite.

    Raises
    ------
    NameNotFoundError
        There is no such release; the message has the nearest.
    MissingFileError, RemoteNotFoundError
        There is no such file.
    OfflineError
        It is not here, and offline mode forbids to ask for it.
    FileFormatError
        It is not an ARCHS4 file, or damaged.
    TransferError, AccessDeniedError, IntegrityError
        It could not be read from where it is.

    Notes
    -----
    Before a request fetches much of a remote file (50 MB, or most of it), the log says how much of how much, and how
    long that takes; so does the terminal or notebook, unless the cache has ``progress=False``. Of blocks that Dask
    reads it is said once, when they have come to that much.

    Examples
    --------
    >>> ds = open_archs4(sample_archs4, chunks={})
    >>> ds["counts"].isel(feature=slice(2)).sum("feature").compute().values[:3].tolist()
    [9000, 7928, 11928]
    >>> ds.close()
    """
    from intake_tcga.archs4.dataset import open_dataset

    cache = _with_offline(cache, offline)
    place = _located(source, _Asking(cache, storage_options, download, force))
    file = Hdf5File(place.where, state=cache.root / ".intake-tcga")
    ds = open_dataset(file, chunks=chunks, attrs=place.attrs, progress=cache.progress)
    if isinstance(place.where, Path):
        ds.encoding["source"] = str(
            place.where
        )  # as xarray does: what writes files does not replace this one
    return ds


def download_archs4(
    name: str,
    *,
    force: bool = False,
    cache: VerifiedFileCache | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> Path:
    """Return the local path of a release's verified file, downloading it if it is not in the cache.

    Says first how large it is and how much room there is, where progress is shown, and in the log. Goes on where an
    interrupted download ended.

    Parameters
    ----------
    name
        A release, e.g. ``"human_gene_v2.5"``, or the URL of any file.
    force
        Download even if a good copy is there; the old one stays until the new one is verified.
    cache
        Where to; the default one if None.
    storage_options
        Options of fsspec, flat for the URL's own protocol or keyed by protocol.

    Raises
    ------
    NameNotFoundError
        There is no such release.
    IntegrityError
        The bytes are not those that were published; nothing is kept.
    CacheError
        There is no room, or the folder cannot be used.
    OfflineError, RemoteNotFoundError, AccessDeniedError, TransferError
        It could not be fetched, from neither of its places.

    Examples
    --------
    >>> import fsspec
    >>> with open(sample_archs4, "rb") as here, fsspec.open("memory://gtex_lung.h5", "wb") as there:
    ...     _ = there.write(here.read())
    >>> download_archs4("memory://gtex_lung.h5").name
    'gtex_lung.h5'
    """
    place = _located(name, _Asking(cache or VerifiedFileCache(), storage_options, download=True, force=force))
    assert isinstance(place.where, Path)
    return place.where


def list_archs4(*, cache: VerifiedFileCache | None = None) -> pd.DataFrame:
    """Return one row a release, newest first; asks nobody.

    Parameters
    ----------
    cache
        Which of them are in it, and what the version service last said (see
        :func:`intake_tcga.archs4.version_service.refresh_releases`); the default one if None.

    Returns
    -------
    pandas.DataFrame
        Columns name, species, level, version, samples, features, bytes (``exact`` tells whether to the last one),
        ensembl (release of the annotation), cached, sha1, url, fallback (where
        else it is), licence. What is not known is missing.

    Examples
    --------
    >>> list_archs4().set_index("name").loc["human_gene_v2.5", ["samples", "features", "bytes"]].astype(int).tolist()
    [888821, 67186, 47865298452]
    """
    import pandas as pd

    cache = cache or VerifiedFileCache()
    latest = _cached_latest(cache)
    rows = [
        {
            "name": release.name,
            "species": release.species,
            "level": release.level,
            "version": release.version,
            "samples": release.samples,
            "features": release.features,
            "bytes": release.bytes,
            "exact": release.size is not None,
            "ensembl": release.ensembl,
            "cached": _is_cached(release, cache, latest),
            "sha1": release.sha1,
            "url": release.url,
            "fallback": release.fallback,
            "licence": LICENCE,
        }
        for release in known_releases(cache)
    ]
    return pd.DataFrame(rows).astype(dict.fromkeys(("samples", "features", "bytes"), "Int64"))


def known_of(source: str | os.PathLike[str], *, cache: VerifiedFileCache | None = None) -> dict[str, Any]:
    """Return what is known of a release, a path or a URL; asks nobody, and opens no file.

    Parameters
    ----------
    source
        As for :func:`open_archs4`.
    cache
        Whether a copy is in it; the default one if None.

    Returns
    -------
    dict
        What was published of a release; ``cached`` of it and of a URL; ``on disk`` and ``size`` of a path.

    Raises
    ------
    NameNotFoundError
        There is no such release.

    Examples
    --------
    >>> known_of(sample_archs4)["on disk"]
    True
    >>> known_of("human_gene_v2.5")["samples"]
    888821
    """
    cache, place = cache or VerifiedFileCache(), os.fspath(source)
    is_url = "://" in place or "::" in place
    if not is_url and (not isinstance(source, str) or _is_path(place)):
        return file_facts(place)
    releases = known_releases(cache)
    release = release_at(place, releases) if is_url else find_release(place, releases)
    if release is None:
        return file_facts(place) or {"cached": any(map(cache.find, _copies_of(place, cache)))}
    return {**release.metadata, "cached": _is_cached(release, cache, _cached_latest(cache))}


# ── where a file is ───────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, eq=False)
class _Place:
    """Where a file is read from, and what is known of it."""

    where: Path | RangedFile
    attrs: dict[str, Any]


@dataclass(frozen=True)
class _Asking:
    """How files may be asked for."""

    cache: VerifiedFileCache
    storage_options: Mapping[str, Any] | None
    download: bool
    """Whether files that are not in the cache are downloaded."""

    force: bool
    """Whether files that are in the cache are downloaded again."""

    def ranged(self, url: str, size: int | None = None) -> RangedFile:
        """Ask for a file's identity, so that a file that is not there is noticed here."""
        file = RangedFile(
            url,
            size=size,
            storage_options=self.storage_options,
            offline=self.cache.offline,
            budget=self.cache.budget,
            concurrency=MOST_AT_ONCE,  # a file's structure and columns are many small ranges
        )
        _ = file.identity
        return file

    def copy(self, file: RemoteFile, about: int | None = None) -> Path | None:
        """Return the verified copy of a file: the one in the cache, or a new one where that is asked for; else None."""
        is_here = self.cache.find(file) is not None
        if is_here and not self.force and (kept := self._kept(file)):
            return kept
        if not (self.download or (is_here and self.force)):
            return None
        self._announce(file, about)
        return self.cache.fetch(file, storage_options=self.storage_options, force=self.force)

    def _kept(self, file: RemoteFile) -> Path | None:
        """Verify the copy in the cache: hash it, unless its stamp holds. One that is damaged counts as none."""
        try:
            return self.cache.but(offline=True).fetch(file)  # never a download that nobody asked for
        except (IntegrityError, OfflineError):
            if self.cache.offline:
                raise
            _logger.warning(
                "The copy of %s in %s is damaged and not used; download=True replaces it.",
                file.name, self.cache.root,
            )  # fmt: skip
            return None

    def _announce(self, file: RemoteFile, about: int | None) -> None:
        root = self.cache.root
        there = next((folder for folder in (root, *root.parents) if folder.is_dir()), root.parents[-1])
        bytes_ = file.size or about
        size = human_size(bytes_) if bytes_ else "of unknown size"
        free = human_size(shutil.disk_usage(there).free)
        sentence = (
            f"Downloading {file.name} ({size}) from {file.shown_url} into {root}, where {free} are free."
        )
        _logger.info(sentence)
        with Progress(file.name, show=self.cache.progress) as progress:
            progress.say(sentence)


def _located(source: str | os.PathLike[str], asking: _Asking) -> _Place:
    """Find out what a user means, and where it is."""
    if not isinstance(source, str | os.PathLike):
        raise OptionError(
            f"{source!r} is no file; give a release such as 'human_gene_v2.5', a path, or a URL; several files are "
            "opened one by one."
        )
    if not isinstance(source, str):
        return _local(Path(source))
    releases = known_releases(asking.cache)
    if "://" in source or "::" in source:
        if release := release_at(source, releases):
            return _released(release, asking)
        if "::" not in source and source.startswith(("file:", "local:")):
            return _local(Path(_without_protocol(source)))
        return _elsewhere(source, asking)
    if _is_path(source):
        return _local(Path(source))
    return _released(find_release(source, releases), asking)


def _is_path(text: str) -> bool:
    """Tell a path from a release's name, also from a misspelt one."""
    if text.lower().endswith((".h5", ".hdf5")) or any(mark in text for mark in "/\\"):
        return True
    return not is_release_name(text) and Path(text).expanduser().exists()


def _local(path: Path) -> _Place:
    path = path.expanduser().absolute()
    if not path.exists():
        raise MissingFileError(
            f"{path} does not exist; check the path, or give a release by its name, as list_archs4 shows it (without "
            "'.h5')."
        )
    return _Place(path, {_SOURCE: str(path)})


def _released(release: Release, asking: _Asking) -> _Place:
    if release.version == LATEST:
        return _latest(release, asking)
    attrs = _attrs(release)
    path = _at_either(release, lambda r: asking.copy(r.remote_file(), r.about_bytes))
    if path is not None:
        return _Place(path, attrs)
    if asking.cache.offline and not is_local(release.url):
        raise _not_here(release, asking.cache)
    file = _at_either(release, lambda r: asking.ranged(r.url, r.size))
    return _Place(file, attrs | _seen(file))


def _latest(release: Release, asking: _Asking) -> _Place:
    """Find the newest bytes of a file that changes: those there are now; offline, those that were downloaded last."""
    if asking.cache.offline and not is_local(release.url):
        files = [
            replace(release, url=cached.url).remote_file(
                pinned=cached.version.removeprefix(f"{LATEST}-"), size=cached.size
            )
            for cached in _cached_latest(asking.cache)
            if cached.name == release.file_name
        ]
        last = _last_copy(files, asking)
        if last is None:
            raise _not_here(release, asking.cache)
        seen = {"intake_tcga:size": last.file.size, "intake_tcga:pinned": last.file.version}
        return _Place(last.path, _attrs(release) | seen)
    file = _at_either(release, lambda r: asking.ranged(r.url))
    here = replace(release, url=file.url)
    remote = here.remote_file(pinned=file.identity.key, size=file.identity.size)
    attrs = _attrs(here) | _seen(file) | {"intake_tcga:pinned": remote.version}
    return _Place(asking.copy(remote) or file, attrs)


def _elsewhere(url: str, asking: _Asking) -> _Place:
    """Find a file that no release is: its copy in the cache if it is still the same, else where it is."""
    if asking.cache.offline and not is_local(url):
        return _elsewhere_offline(url, asking)
    try:
        file = asking.ranged(url)
    except NoRangesError as error:
        return _Place(_whole(url, asking, error), {_SOURCE: redact(url)})
    remote = _remote(url, file.identity.key, file.identity.size)
    return _Place(asking.copy(remote) or file, _seen(file))


def _elsewhere_offline(url: str, asking: _Asking) -> _Place:
    """Find the copy of a URL's file that was downloaded last, where nobody can be asked for newer bytes."""
    last = _last_copy(_copies_of(url, asking.cache), asking)
    if last is None:
        raise OfflineError(
            f"{redact(url)} is not in {asking.cache.root}, and cannot be read in offline mode; download it once with "
            "network (offline=False, INTAKE_TCGA_OFFLINE unset), or give the path of a copy."
        )
    attrs = {
        _SOURCE: redact(url),
        "intake_tcga:size": last.file.size,
        "intake_tcga:pinned": last.file.version,
    }
    return _Place(last.path, attrs)


def _copies_of(url: str, cache: VerifiedFileCache) -> list[RemoteFile]:
    """List what may be a copy of a URL's file: shown URLs have no query, and the cache alone knows the whole URL."""
    return [
        _remote(url, cached.version, cached.size)
        for cached in cache.info()
        if cached.collection == _ELSEWHERE
    ]


def _whole(url: str, asking: _Asking, error: NoRangesError) -> Path:
    """Return the copy of a file whose server knows no ranges, and tells too little to know whether it changed."""
    path = asking.copy(_remote(url, "unversioned", None))
    if path is None:
        raise TransferError(f"{error} That is open_archs4(url, download=True).") from error
    return path


@dataclass(frozen=True)
class _Copy:
    """A file, and its verified copy in the cache."""

    file: RemoteFile
    path: Path


def _last_copy(files: Iterable[RemoteFile], asking: _Asking) -> _Copy | None:
    """Return the copy that was downloaded last, of several contents of one file; None where none is in the cache."""
    found = [
        (path.stat().st_mtime_ns, file) for file in files if (path := asking.cache.find(file)) is not None
    ]
    if not found:
        return None
    _, file = max(found, key=lambda one: one[0])
    path = asking.copy(file)
    return None if path is None else _Copy(file, path)


def _remote(url: str, version: str, size: int | None) -> RemoteFile:
    name = redact(url).rpartition("/")[2]
    return RemoteFile(url, "archs4.h5" if name_problem(name) else name, _ELSEWHERE, version, size)


def _at_either(release: Release, reach: Callable[[Release], _T]) -> _T:
    """Reach for a release where it is; if it is gone from there, at its other place."""
    try:
        return reach(release)
    except _GONE as gone:
        other = release.other_place
        if other is None:
            raise
        _logger.warning("%s; trying %s", gone, other.url)
        try:
            return reach(other)
        except _GONE as error:
            raise type(gone)(
                f"{release.name} is at neither of its places: {gone} {error} Is it still published? "
                "See https://archs4.org; open a copy by its path or URL."
            ) from error


def _cached_latest(cache: VerifiedFileCache) -> list[CachedFile]:
    """List the copies of files that change."""
    return [
        cached
        for cached in cache.info()
        if cached.collection == ("archs4",) and cached.version.startswith(f"{LATEST}-")
    ]


def _is_cached(release: Release, cache: VerifiedFileCache, latest: Iterable[CachedFile]) -> bool:
    """Tell whether a release's copy is in the cache; ``latest`` are those of files that change."""
    if release.version == LATEST:
        return release.file_name in {cached.name for cached in latest}
    return cache.find(release.remote_file()) is not None


def _not_here(release: Release, cache: VerifiedFileCache) -> OfflineError:
    return OfflineError(
        f"{release.file_name} is not in {cache.root}, and offline mode forbids to read it from {release.url}; download "
        "it once with network (offline=False, INTAKE_TCGA_OFFLINE unset), or give the path of a copy."
    )


def _attrs(release: Release) -> dict[str, Any]:
    """Return what is known of a release's file."""
    known = {
        "intake_tcga:release": release.name,
        _SOURCE: redact(release.url),
        "intake_tcga:digest": str(release.digest) if release.digest else None,
        "ensembl_release": release.ensembl,
        "licence": LICENCE,
        "citation": CITATION,
    }
    return {name: value for name, value in known.items() if value is not None}


def _seen(file: RangedFile) -> dict[str, Any]:
    """Return which bytes a server has: enough to tell them from others later."""
    identity = file.identity
    attrs: dict[str, Any] = {_SOURCE: file.shown_url, "intake_tcga:size": identity.size}
    return attrs | ({"intake_tcga:etag": identity.validator} if identity.validator else {})


def _with_offline(cache: VerifiedFileCache | None, offline: bool | str | None) -> VerifiedFileCache:
    """Return the cache, as offline as it was said to be."""
    if cache is None:
        return VerifiedFileCache(offline=offline)
    return cache if offline is None else cache.but(offline=offline)


def _without_protocol(url: str) -> str:
    from fsspec.implementations.local import LocalFileSystem

    return str(LocalFileSystem._strip_protocol(url))
