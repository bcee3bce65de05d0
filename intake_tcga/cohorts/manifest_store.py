"""Manifests that were read before: kept on disk, so that cohorts are found offline and at the version wanted.

Two layouts under every root of a cache. Ours, for any URL::

    manifests/<key of the URL>/last.json               what the URL gave last; its mtime says when
    manifests/<key of the URL>/versions/<version>.json every version that it gave

and that of SyNG-BTS, for the default bundles, so that one folder serves both programs::

    tcga/<modality>/<version>/manifest.json            beside the data files
    tcga/<modality>/.url_index.json                    {manifest URL: version}
"""

from __future__ import annotations

import contextlib
import json
import os
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from intake_tcga.cohorts.bundles import BUNDLES, Bundle
from intake_tcga.cohorts.locations import copy_key
from intake_tcga.cohorts.manifest import Manifest, parse_manifest
from intake_tcga.cohorts.manifest_json import LARGEST_BODY
from intake_tcga.errors import ManifestError
from intake_tcga.remote import name_problem

_LAST = "last.json"
_VERSIONS = "versions"
_MANIFEST = "manifest.json"
_INDEX = ".url_index.json"


class Copy(NamedTuple):
    """A manifest that was read from a copy on disk."""

    manifest: Manifest
    path: Path
    written: float
    """When the URL gave it, in seconds since 1970."""

    @property
    def age(self) -> str:
        """How long ago that was, in words."""
        return _in_words(time.time() - self.written)


@dataclass(frozen=True)
class ManifestStore:
    """The copies of what one manifest URL gave, under the roots of a cache.

    Copies that are damaged, or of another modality, are passed over: a copy is never worth an error.
    """

    url: str
    """The manifest's URL; only a hash of it, without its credentials, is written to disk."""

    root: Path
    """The writable root; its copies are the newest, so they come first."""

    read_only: Sequence[Path] = ()
    """More roots, never written: a shared folder, SyNG-BTS's own cache."""

    modality: str | None = None
    """What the manifest must be of; None takes any."""

    allow_other_hosts: bool = False
    """As in :func:`~intake_tcga.cohorts.manifest.parse_manifest`."""

    def last(self) -> Copy | None:
        """Return what the URL gave last, as far as any root knows."""
        return next(self._readable(self._last_paths()), None)

    def versions(self) -> dict[str, Copy]:
        """Return a copy of every version that is known, by version."""
        copies: dict[str, Copy] = {}
        for copy in self._readable(self._version_paths()):
            copies.setdefault(copy.manifest.version, copy)
        return copies

    def keep(self, body: bytes, manifest: Manifest) -> None:
        """Write copies of a manifest that was just read and checked; raises OSError where that cannot be."""
        folder = self._folder(self.root)
        _write(folder / _VERSIONS / f"{manifest.version}.json", body)
        _write(folder / _LAST, body)
        if self._bundle:
            self._keep_as_syng_bts_does(body, manifest)

    @property
    def _bundle(self) -> Bundle | None:
        return next((bundle for bundle in BUNDLES.values() if bundle.url == self.url), None)

    @property
    def _roots(self) -> list[Path]:
        return [self.root, *self.read_only]

    def _folder(self, root: Path) -> Path:
        return root / "manifests" / copy_key(self.url)

    def _last_paths(self) -> Iterator[Path]:
        for root in self._roots:
            yield self._folder(root) / _LAST
            if self._bundle:
                shared = root / "tcga" / self._bundle.modality
                version = _read_index(shared / _INDEX).get(self._bundle.url)
                if version is not None:
                    yield shared / version / _MANIFEST

    def _version_paths(self) -> Iterator[Path]:
        for root in self._roots:
            yield from _listed(self._folder(root) / _VERSIONS, "*.json")
        yield from self._last_paths()
        if self._bundle:
            for root in self._roots:
                yield from _listed(root / "tcga" / self._bundle.modality, f"*/{_MANIFEST}")

    def _readable(self, paths: Iterator[Path]) -> Iterator[Copy]:
        for path in paths:
            with contextlib.suppress(OSError, ManifestError):
                with path.open("rb") as file:
                    body = file.read(LARGEST_BODY + 1)
                    written = os.fstat(file.fileno()).st_mtime
                manifest = parse_manifest(
                    body, self.url, modality=self.modality, allow_other_hosts=self.allow_other_hosts
                )
                yield Copy(manifest, path, written)

    def _keep_as_syng_bts_does(self, body: bytes, manifest: Manifest) -> None:
        shared = self.root / "tcga" / manifest.modality
        _write(shared / manifest.version / _MANIFEST, body)
        # The manifest first: an index never points to a version that is not there.
        index = _read_index(shared / _INDEX)
        if index.get(self.url) != manifest.version:
            _write(shared / _INDEX, json.dumps({**index, self.url: manifest.version}, indent=2).encode())


def _listed(folder: Path, pattern: str) -> list[Path]:
    try:
        return sorted(folder.glob(pattern))
    except OSError:  # no permission: as if it were not there
        return []


def _read_index(path: Path) -> dict[str, str]:
    """Read SyNG-BTS's index; damaged, absent or strange, it says nothing."""
    try:
        with path.open("rb") as file:
            index = json.loads(file.read(LARGEST_BODY))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(index, dict):
        return {}
    return {
        url: version
        for url, version in index.items()
        if isinstance(version, str) and name_problem(version) is None  # it becomes part of a path
    }


def _write(path: Path, body: bytes) -> None:
    """Write a whole file or nothing, whoever else writes it at the same time."""
    if path.is_file() and path.read_bytes() == body:
        os.utime(path)  # the same again, now; a hundred workers that start together write nothing
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}")
    try:
        with part.open("xb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _in_words(seconds: float) -> str:
    """Say how long a time is, to its largest unit.

    Examples
    --------
    >>> _in_words(90000), _in_words(61), _in_words(-5)
    ('1 day', '1 minute', 'a moment')
    """
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if (count := int(seconds // length)) > 0:
            return f"{count} {unit}{'s' if count > 1 else ''}"
    return "a moment"
