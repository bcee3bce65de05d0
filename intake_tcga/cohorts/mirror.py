"""Copy a bundle to where a platform serves it from: each file verified, the manifest last."""

from __future__ import annotations

import json
import logging
import os
import re
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any, Literal

from intake_tcga.cohorts.collection import CohortCollection, check_threads
from intake_tcga.cohorts.manifest import Cohort, Manifest, parse_manifest
from intake_tcga.cohorts.manifest_json import LARGEST_BODY
from intake_tcga.cohorts.manifest_store import ManifestStore
from intake_tcga.errors import IntegrityError, ManifestError, OptionError, TransferError
from intake_tcga.progress import Progress
from intake_tcga.transfer import read_small
from intake_tcga.transfer.destination import Destination

_logger = logging.getLogger(__name__)
_MANIFEST = "manifest.json"
_BESIDE = re.compile(r"[\w.+~-]+(/[\w.+~-]+)*", re.ASCII)
"""A relative URL that means the same file on the web, in a bucket and in a folder."""

Check = Literal["digest", "size"]


@dataclass(frozen=True)
class Mirror:
    """What a mirror has, and what was done for it."""

    manifest_url: str = field(repr=False)
    """Where its manifest is; may carry credentials, as the destination did."""

    shown_url: str
    """That URL without credentials."""

    copied: tuple[str, ...]
    """Full names of the cohorts whose files were put there."""

    found: tuple[str, ...]
    """Full names of those whose files were there, and right."""

    size: int
    """Bytes that were put there."""


def mirror(
    collection: CohortCollection,
    dest: str | os.PathLike[str],
    names: Sequence[str] | None = None,
    *,
    storage_options: Mapping[str, Any] | None = None,
    check: Check = "digest",
    replace: bool = False,
    threads: int = 4,
) -> Mirror:
    """Copy cohorts and their manifest to a folder or bucket, which is then a bundle of its own.

    Files come through the verified cache, so a download that was cut goes on, and none is put there that is not what
    the manifest says. What is there and right is left as it is. The manifest is written last: nobody reads of a file
    before it is there.

    Parameters
    ----------
    collection : CohortCollection
        Whose manifest and files.
    dest : str or path
        A folder: a path, or any URL that fsspec writes to (``s3://bucket/tcga/rnaseq``).
    names : sequence of str, optional
        Full names or codes; all cohorts by default. Cohorts of this manifest that an earlier call put there stay.
    storage_options : mapping, optional
        Options of fsspec for ``dest``. Never shown. Those of the collection are for its own URL alone.
    check : {"digest", "size"}
        What makes a file that is there a right one: ``"digest"`` reads and hashes it; ``"size"`` believes its size,
        which is enough to go on after an interruption, since files are never there in part. Where another manifest is
        there, its files may be of the same size and yet others, so all are read.
    replace : bool
        Put this manifest, and its files, in the place of another or of another version. Files come before their
        manifest here too: until this returns, or for good where it is interrupted and not called again, cohorts that
        differ are refused (:class:`~intake_tcga.errors.IntegrityError`) to whoever opens the old manifest. A folder
        for each version spares people that.
    threads : int
        Files at a time.

    Returns
    -------
    Mirror
        Where the manifest is, and what was copied. Of a whole bundle the manifest is the same, byte for byte; of some
        cohorts it is that of these. An entry that says by itself where its file is (``url``), other than by a plain
        relative path, loses that: the file lies beside the manifest.

    Raises
    ------
    NameNotFoundError, AmbiguousNameError
        There is no such cohort.
    OptionError
        Nothing can be written there, or another bundle is there and ``replace`` is False.
    TransferError, IntegrityError, CacheError, OfflineError
        Files could not be fetched, or not be written; the message names each. The manifest was not written. What
        was done is kept: the same call goes on from there.

    Examples
    --------
    >>> from intake_tcga.cohorts.sample import sample_collection
    >>> made = mirror(sample_collection(), "memory://platform/tcga")
    >>> made.copied, made.shown_url
    (('PRAD_sample_type',), 'memory://platform/tcga/manifest.json')
    >>> CohortCollection("memory://platform/tcga/manifest.json").names()
    ['PRAD']
    """
    if check not in {"digest", "size"}:
        raise OptionError(f"check={check!r} is not an option; use 'digest' or 'size'.")
    check_threads(threads)
    names = [names] if isinstance(names, str) else names
    folder = Destination.of(dest, storage_options, offline=collection.cache.offline)
    if folder.url.endswith(".json"):
        raise OptionError(f"{folder.shown_url} is a manifest; give the folder that it is to be in.")
    document = _Document.of(collection)
    wanted = {collection.cohort(name).name for name in names} if names is not None else None
    there = folder.read(_MANIFEST, limit=LARGEST_BODY)
    body = document.of_mirror(wanted, there, folder, replace=replace)
    if there is not None and not document.has(there):
        check = "digest"  # the sizes of another bundle's files say nothing of these
    url = f"{folder.url}/{_MANIFEST}"
    made = parse_manifest(body, url)
    places = {entry["dataset_name"]: entry.get("url") or entry["file"] for entry in document.entries}
    copied = _bring(collection, made, folder, places, check=check, threads=threads)
    if folder.read(_MANIFEST, limit=LARGEST_BODY) != body:
        folder.write(body, _MANIFEST)
    listed = [cohort.name for cohort in made.cohorts]
    return Mirror(
        manifest_url=url,
        shown_url=f"{folder.shown_url}/{_MANIFEST}",
        copied=tuple(name for name in listed if name in copied),
        found=tuple(name for name in listed if name not in copied),
        size=sum(cohort.size for cohort in made.cohorts if cohort.name in copied),
    )


# -- the manifest -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Document:
    """A manifest as it was published, and as it is in a mirror."""

    body: bytes
    entries: tuple[dict[str, Any], ...]
    """As they are in a mirror."""

    header: dict[str, Any]
    as_published: bool
    """Whether the mirror's entries are the published ones."""

    @classmethod
    def of(cls, collection: CohortCollection) -> _Document:
        body = _body(collection)
        document = json.loads(body.decode("utf-8-sig"))
        published = document["datasets"]
        entries = tuple(_beside_its_manifest(entry) for entry in published)
        return cls(body, entries, _header(document), list(entries) == published)

    def of_mirror(
        self, wanted: set[str] | None, there: bytes | None, folder: Destination, *, replace: bool
    ) -> bytes:
        """Return the mirror's manifest: the wanted cohorts, and those of this bundle that it has already."""
        kept = set() if there is None or replace else self._kept(there, folder)
        chosen = [entry for entry in self.entries if wanted is None or entry["dataset_name"] in wanted | kept]
        if self.as_published and len(chosen) == len(self.entries):
            return self.body
        return (json.dumps({**self.header, "datasets": chosen}, indent=2, ensure_ascii=False) + "\n").encode()

    def has(self, there: bytes) -> bool:
        """Return whether a manifest is one of this bundle at this version: the whole, or some of its cohorts."""
        try:
            parse_manifest(there, _MANIFEST)
        except ManifestError:
            return False
        document = json.loads(there.decode("utf-8-sig"))
        return _header(document) == self.header and all(
            entry in self.entries for entry in document["datasets"]
        )

    def _kept(self, there: bytes, folder: Destination) -> set[str]:
        """Return the names in a manifest that is there, if it is one of this bundle at this version."""
        way_out = "give this one a folder of its own, or replace it (replace=True)"
        try:
            parse_manifest(there, folder.url)
        except ManifestError as error:
            raise OptionError(
                f"{folder.shown_url} has a {_MANIFEST} that is none; {way_out}. {error}"
            ) from error
        document = json.loads(there.decode("utf-8-sig"))
        if not self.has(there):
            raise OptionError(
                f"{folder.shown_url} has another manifest, of version {document['version']} "
                f"({len(document['datasets'])} cohorts); {way_out}."
            )
        return {entry["dataset_name"] for entry in document["datasets"]}


def _body(collection: CohortCollection) -> bytes:
    """Return the bytes that the collection's manifest was read from."""
    manifest, cache = collection.manifest, collection.cache
    store = ManifestStore(
        manifest.url, cache.root, cache.read_only, manifest.modality, collection.allow_other_hosts
    )
    for copy in (store.last(), store.versions().get(manifest.version)):
        if copy is not None and copy.manifest == manifest:
            return copy.path.read_bytes()
    body = read_small(  # no copy could be kept
        manifest.url,
        limit=LARGEST_BODY,
        storage_options=collection.storage_options,
        offline=cache.offline,
        budget=cache.budget,
    )
    again: Manifest = parse_manifest(body, manifest.url, allow_other_hosts=collection.allow_other_hosts)
    if again != manifest:
        raise IntegrityError(f"{manifest.shown_url} has just changed; start again.")
    return body


def _header(document: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name != "datasets"}


def _beside_its_manifest(entry: dict[str, Any]) -> dict[str, Any]:
    """Return an entry that finds its file wherever the folder is served from."""
    url = entry.get("url")
    if url is None or (_BESIDE.fullmatch(url) and not {".", ".."} & set(url.split("/"))):
        return entry
    return {name: value for name, value in entry.items() if name != "url"}


# -- the files --------------------------------------------------------------------------------------------------------


def _bring(
    collection: CohortCollection,
    made: Manifest,
    folder: Destination,
    places: Mapping[str, str],
    *,
    check: Check,
    threads: int,
) -> set[str]:
    """Put the files there that are not, and return the names of their cohorts."""
    with _Threads(threads) as pool:
        right = pool.all(
            {
                cohort.name: pool.submit(_is_there, cohort, places[cohort.name], folder, check, pool.check)
                for cohort in made.cohorts
            },
            f"files in {folder.shown_url} could not be checked",
        )
    missing = [cohort for cohort in made.cohorts if not right[cohort.name]]
    if not missing:
        return set()
    files = {cohort.name: collection.remote_file(cohort.name) for cohort in missing}
    paths = collection.cache.prefetch(
        list(files.values()), storage_options=collection.storage_options, threads=threads
    )
    total = sum(cohort.size for cohort in missing)
    sentence = f"Copying {len(missing)} of {len(made.cohorts)} files ({total:,} bytes) to {folder.shown_url}"
    _logger.info(sentence)
    with Progress(f"to {folder.shown_url}", total, collection.progress) as shown, _Threads(threads) as pool:
        shown.say(sentence)

        def put(cohort: Cohort) -> None:
            def on_bytes(done: int) -> None:
                pool.check()
                shown.at(cohort.name, done, cohort.size)

            pool.check()
            folder.put(paths[files[cohort.name]], places[cohort.name], on_bytes)

        pool.all(
            {cohort.name: pool.submit(put, cohort) for cohort in missing},
            f"files could not be copied to {folder.shown_url}; the others are there, the manifest is not",
        )
    return set(files)


def _is_there(cohort: Cohort, name: str, folder: Destination, check: Check, alive: Any) -> bool:
    alive()
    if folder.size(name) != cohort.size:
        return False
    return check == "size" or folder.digest(name, "sha256", alive).hex == cohort.sha256


class _Threads:
    """A few threads, all of which stop when one is interrupted, and whose failures are told together."""

    def __init__(self, number: int) -> None:
        self._pool = ThreadPoolExecutor(number, "intake-tcga-mirror")
        self._stopped = threading.Event()
        self.submit = self._pool.submit

    def __enter__(self) -> _Threads:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            self._stopped.set()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def check(self) -> None:
        """Raise if this was interrupted."""
        if self._stopped.is_set():
            raise TransferError("The copy was cancelled.")

    def all(self, tasks: Mapping[str, Future[Any]], what_failed: str) -> dict[str, Any]:
        """Return all results, or raise one error with every reason."""
        wait(tasks.values())
        failures = {name: error for name, task in tasks.items() if (error := task.exception()) is not None}
        if not failures:
            return {name: task.result() for name, task in tasks.items()}
        first = next(iter(failures.values()))
        if len(tasks) == 1 or not all(isinstance(error, TransferError) for error in failures.values()):
            raise first
        kinds = {type(error) for error in failures.values()}
        reasons = "\n".join(f"- {name}: {error}" for name, error in failures.items())
        kind = kinds.pop() if len(kinds) == 1 else TransferError
        raise kind(f"{len(failures)} of {len(tasks)} {what_failed}:\n{reasons}") from first
