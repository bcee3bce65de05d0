"""Which manifest is used: what a server answers, or a copy of what it answered before."""

from __future__ import annotations

import difflib
import os
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from intake_tcga.cohorts.bundles import BUNDLES
from intake_tcga.cohorts.locations import absolute_url
from intake_tcga.cohorts.manifest import Manifest, parse_manifest
from intake_tcga.cohorts.manifest_json import LARGEST_BODY
from intake_tcga.cohorts.manifest_store import ManifestStore
from intake_tcga.errors import (
    AccessDeniedError,
    IntegrityError,
    LastCopyWarning,
    ManifestError,
    OfflineError,
    OptionError,
    RemoteNotFoundError,
    TransferError,
)
from intake_tcga.remote import redact
from intake_tcga.transfer import is_local, read_small

if TYPE_CHECKING:
    from intake_tcga.cache.store import VerifiedFileCache
    from intake_tcga.transfer.budget import Budget

_PATIENCE_WITH_A_COPY = 30.0  # seconds


def load_manifest(
    manifest: str | os.PathLike[str] = "mirna",
    *,
    modality: str | None = None,
    cache: VerifiedFileCache,
    storage_options: Mapping[str, Any] | None = None,
    refresh: bool = False,
    allow_other_hosts: bool = False,
    version: str | None = None,
) -> Manifest:
    """Read a manifest, by a bundle's name or by URL.

    The manifests of the published bundles do not change under their URL: once read they are taken from their
    copy, without a request. Any other URL is asked each time; where it cannot be reached, its last copy is used,
    with a :class:`LastCopyWarning`.

    Parameters
    ----------
    manifest
        ``mirna``, ``rnaseq``, or any URL or path that fsspec opens (https, s3, file, chained, …).
    modality
        What it must be a manifest of; None takes any.
    cache
        Its folders hold the copies; its ``offline`` and ``budget`` hold for the request.
    storage_options
        Options of fsspec, for the URL's own protocol or keyed by protocol.
    refresh
        Ask the server also where a copy would do.
    allow_other_hosts
        Let an entry's own ``url`` name another scheme or host than the manifest's.
    version
        Pin: use this version of the manifest, from its copy, or from the server if that is the one it has now.

    Raises
    ------
    ManifestError
        What the server gave cannot be used.
    OptionError
        No bundle has that name, it has another modality than asked for, or there is no copy of the pinned version;
        the message lists what there is.
    OfflineError
        Offline, and there is no copy.
    TransferError
        The server cannot be reached, and there is no copy; RemoteNotFoundError if it has no such file.
    AccessDeniedError
        The server refuses the credentials, or wants some, whether or not there is a copy.
    """
    url, modality = _resolve(manifest, modality)
    source = _Source(
        url=url,
        modality=modality,
        allow_other_hosts=allow_other_hosts,
        cache=cache,
        storage_options=storage_options,
        store=ManifestStore(url, cache.root, cache.read_only, modality, allow_other_hosts),
    )
    if version is not None:
        return source.pinned(version)
    if refresh and not source.reachable:
        raise OfflineError(
            f"refresh=True would ask {source.shown} again, which offline mode forbids; leave one of them out."
        )
    if not source.reachable or (source.published and not refresh):
        copy = source.store.last()
        if copy:
            return copy.manifest
    return source.asked_or_last_copy()


@dataclass(frozen=True)
class _Source:
    """One manifest URL: how it may be asked, and what is kept of it."""

    url: str
    modality: str | None
    allow_other_hosts: bool
    cache: VerifiedFileCache
    storage_options: Mapping[str, Any] | None
    store: ManifestStore

    @property
    def shown(self) -> str:
        return redact(self.url)

    @property
    def published(self) -> bool:
        return any(bundle.url == self.url for bundle in BUNDLES.values())

    @property
    def reachable(self) -> bool:
        return not self.cache.offline or is_local(self.url)

    def asked(self) -> Manifest:
        """Ask the server, check what it answers, and keep a copy."""
        if not self.reachable:
            raise OfflineError(
                f"Offline, and no copy of the manifest {self.shown} is in {self._roots}; open it once with network "
                "(offline=False, INTAKE_TCGA_OFFLINE unset), or point INTAKE_TCGA_CACHE_DIR to a folder that has it."
            )
        try:
            body = read_small(
                self.url,
                limit=LARGEST_BODY,
                storage_options=self.storage_options,
                offline=self.cache.offline,
                budget=self._budget,
            )
        except IntegrityError as error:  # longer than any manifest
            raise ManifestError(f"The manifest {self.shown} cannot be used: {error}") from error
        manifest = parse_manifest(
            body, self.url, modality=self.modality, allow_other_hosts=self.allow_other_hosts
        )
        self._keep(body, manifest)
        return manifest

    @property
    def _budget(self) -> Budget:
        """Less patience where there is a copy to fall back on: nobody waits minutes for what is here already."""
        budget = self.cache.budget
        if self.store.last() is None:
            return budget
        seconds = (
            _PATIENCE_WITH_A_COPY if budget.deadline is None else min(budget.deadline, _PATIENCE_WITH_A_COPY)
        )
        return replace(budget, attempts=min(budget.attempts, 3), deadline=seconds)

    def _keep(self, body: bytes, manifest: Manifest) -> None:
        try:
            self.store.keep(body, manifest)
        except OSError as error:
            # The manifest is here all the same. One on this machine is no worse off without a copy.
            if not is_local(self.url):
                warnings.warn(
                    f"No copy of the manifest {self.shown} could be kept in {self.cache.root} "
                    f"({error.strerror or error}), so it cannot be used offline; "
                    "set INTAKE_TCGA_CACHE_DIR to a folder that can be written.",
                    stacklevel=5,
                )

    def asked_or_last_copy(self) -> Manifest:
        """Ask the server; when it cannot be reached, say so and use its last copy."""
        try:
            return self.asked()
        except ManifestError as error:
            # Whoever publishes it broke it: nobody should go on with an old copy without having decided so.
            copy = self.store.last()
            if copy is None:
                raise
            raise ManifestError(
                f"{error}\nIts last copy (version {copy.manifest.version}, {copy.age} old) is still here: "
                "offline=True uses it."
            ) from error
        except (RemoteNotFoundError, AccessDeniedError):  # no outage: it is for the user to put right
            raise
        except TransferError as error:
            copy = self.store.last()
            if copy is None:
                raise
            warnings.warn(
                f"The manifest {self.shown} cannot be reached, so its last copy is used "
                f"(version {copy.manifest.version}, {copy.age} old). Reason: {error}",
                LastCopyWarning,
                stacklevel=3,
            )
            return copy.manifest

    def pinned(self, version: str) -> Manifest:
        """Return one version: its copy, or what the server has now if that is the one."""
        copies = self.store.versions()
        if version in copies:
            return copies[version].manifest
        if not copies and not self.reachable:
            return self.asked()  # which says what to do offline
        known, reason = set(copies), "offline mode forbids asking for others"
        if self.reachable:
            try:
                served = self.asked()
            except TransferError as error:
                if not copies:
                    raise
                reason = f"the server cannot be asked for others: {error}"
            else:
                if served.version == version:
                    return served
                known.add(served.version)
                reason = "the server has no other now"
        raise OptionError(
            f"Version {version!r} of the manifest {self.shown} is not here; there are {', '.join(sorted(known))} "
            f"({reason})."
        )

    @property
    def _roots(self) -> str:
        return " or ".join(str(root) for root in (self.cache.root, *self.cache.read_only))


def _resolve(manifest: str | os.PathLike[str], modality: str | None) -> tuple[str, str | None]:
    """Return a manifest's URL, and the modality that it must have."""
    text = os.fspath(manifest)
    bundle = next((bundle for bundle in BUNDLES.values() if text in {bundle.name, bundle.url}), None)
    if bundle is None:
        if re.fullmatch(r"[\w-]*", text) and not Path(text).is_file():
            near = difflib.get_close_matches(text.lower(), BUNDLES, n=1)
            raise OptionError(
                f"There is no bundle {text!r}{f'; did you mean {near[0]!r}?' if near else '.'} "
                f"Give one of {', '.join(BUNDLES)}, or the URL of a manifest."
            )
        return absolute_url(text), modality
    if modality not in {None, bundle.modality}:
        raise OptionError(
            f"The bundle {bundle.name!r} is of modality {bundle.modality!r}, not {modality!r}; "
            "leave modality out, or choose the other bundle."
        )
    return bundle.url, bundle.modality
