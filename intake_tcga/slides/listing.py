"""The listing of all slides: asked once a data release, kept beside the cache, used offline."""

from __future__ import annotations

import gzip
import hashlib
import json
import logging
import os
import re
import secrets
import time
import warnings
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from intake_tcga.cache.kept import note_written
from intake_tcga.errors import (
    AccessDeniedError,
    IntakeTcgaError,
    IntegrityError,
    LastCopyWarning,
    ManifestError,
    OfflineError,
    RemoteNotFoundError,
    TransferError,
)
from intake_tcga.progress import Progress
from intake_tcga.slides.query import TCGA_SLIDES, Filters, ask_release, ask_slides, every
from intake_tcga.slides.slide import Slide

if TYPE_CHECKING:
    from intake_tcga.cache.store import VerifiedFileCache
    from intake_tcga.transfer.budget import Budget

_FORMAT = 1
_COLUMNS = tuple(field.name for field in fields(Slide) if field.name != "data_release")
_LARGEST = 512 * 2**20  # bytes of a kept listing, unpacked; that of 30,000 slides has ten million
_PATIENCE_WITH_A_COPY = 30.0  # seconds
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Listing:
    """All slides that one data release lists."""

    release: str
    """The GDC's data release, in its words."""

    slides: tuple[Slide, ...]
    """In the order of their ids."""

    asked: float
    """When the GDC said so, in seconds since 1970."""

    @property
    def day(self) -> str:
        """The day on which the GDC said so."""
        return time.strftime("%Y-%m-%d", time.gmtime(self.asked))


def load_listing(
    endpoint: str, cache: VerifiedFileCache, *, refresh: bool = False, only: Filters | None = None
) -> Listing:
    """Return the slides that the GDC lists now: the kept listing of its present data release, or a new one.

    The GDC is asked for the name of its release each time, which is one small request. Where it cannot be reached, the
    last listing is used, with a :class:`~intake_tcga.errors.LastCopyWarning`; offline, without one.

    Parameters
    ----------
    endpoint
        The GDC's address.
    cache
        Listings are kept beside it; its ``offline`` and ``budget`` hold.
    refresh
        Ask for the slides even where this release's listing is kept.
    only
        These slides are enough: where no listing of this release is kept, others are not asked for, and nothing is
        kept. Where one is, it is returned whole.

    Raises
    ------
    OfflineError
        Offline, and no listing is kept; or ``refresh`` was asked for.
    ManifestError, IntegrityError
        What the GDC answers cannot be used.
    TransferError
        The GDC cannot be reached, and no listing is kept.
    """
    store = ListingStore(endpoint, (cache.root, *cache.read_only))
    last = store.last()
    if cache.offline:
        if refresh or last is None:
            reason = (
                "refresh=True asks the GDC" if refresh else f"no listing of slides is kept in {cache.root}"
            )
            raise OfflineError(
                f"Offline, and {reason}; list the slides of {endpoint} once with network "
                "(offline=False, INTAKE_TCGA_OFFLINE unset), or point INTAKE_TCGA_CACHE_DIR to a folder that has them."
            )
        _logger.info("Offline: the listing of %s (%s) is used", last.day, last.release)
        return last
    try:
        return _asked(endpoint, cache, store, last, refresh=refresh, only=only)
    except (AccessDeniedError, RemoteNotFoundError):  # no outage: it is for the user to put right
        raise
    except ManifestError as error:
        # Not the GDC, or broken there: nobody should go on with an old listing without having decided so.
        if last is None:
            raise
        raise ManifestError(
            f"{error}\nIts last listing ({last.release}, asked for on {last.day}) is still here: offline=True uses it."
        ) from error
    except TransferError as error:
        if last is None:
            raise
        warnings.warn(
            f"The GDC ({endpoint}) cannot be reached, so its last listing is used ({last.release}, asked for on "
            f"{last.day}). Reason: {error}",
            LastCopyWarning,
            stacklevel=2,
        )
        return last


def _asked(
    endpoint: str,
    cache: VerifiedFileCache,
    store: ListingStore,
    last: Listing | None,
    *,
    refresh: bool,
    only: Filters | None,
) -> Listing:
    budget = _less_patient(cache.budget) if last else cache.budget
    release = ask_release(endpoint, budget=budget)
    if not refresh:
        kept = last if last and last.release == release else store.of_release(release)
        if kept:
            return kept
    if only is not None:
        slides = ask_slides(endpoint, release, filters=every(TCGA_SLIDES, only), budget=budget)
        return Listing(release, slides, time.time())
    Progress("", show=cache.progress).say(f"Asking {endpoint} for all slides of {release}")
    slides = ask_slides(endpoint, release, budget=budget)
    if ask_release(endpoint, budget=budget) != release:
        raise IntegrityError(f"{endpoint} changed its data release while it was asked; try again in a while.")
    listing = Listing(release, slides, time.time())
    try:
        store.keep(listing)
    except OSError as error:
        warnings.warn(
            f"The listing of slides could not be kept in {cache.root} ({error.strerror or error}), so it is asked for "
            "anew each time; set INTAKE_TCGA_CACHE_DIR to a folder that can be written.",
            stacklevel=4,
        )
    return listing


def _less_patient(budget: Budget) -> Budget:
    """Nobody waits minutes for what a kept listing can say."""
    deadline = (
        _PATIENCE_WITH_A_COPY if budget.deadline is None else min(budget.deadline, _PATIENCE_WITH_A_COPY)
    )
    return replace(budget, attempts=min(budget.attempts, 3), deadline=deadline)


@dataclass(frozen=True)
class ListingStore:
    """The listings that are kept of one GDC address, one file a data release.

    Damaged ones are passed over: a kept listing is never worth an error.
    """

    endpoint: str
    roots: Sequence[Path]
    """Folders of a cache; the first one is written."""

    def last(self) -> Listing | None:
        """Return the listing that was asked for last."""
        files = [path for root in self.roots for path in self._listed(root)]
        for path in sorted(files, key=_modified, reverse=True):
            if listing := _read(path):
                return listing
        return None

    def of_release(self, release: str) -> Listing | None:
        """Return the listing of a data release."""
        for root in self.roots:
            listing = _read(self._folder(root) / _file_name(release))
            if listing and listing.release == release:
                return listing
        return None

    @property
    def has_any(self) -> bool:
        """Whether a listing is kept, of whatever release; none is read for it."""
        return any(self._listed(root) for root in self.roots)

    def keep(self, listing: Listing) -> None:
        """Write a listing, whole or not at all; raises OSError where that cannot be."""
        path = self._folder(self.roots[0]) / _file_name(listing.release)
        columns = {name: [getattr(slide, name) for slide in listing.slides] for name in _COLUMNS}
        document = {"format": _FORMAT, "endpoint": self.endpoint, "release": listing.release}
        document |= {"asked": listing.asked, "columns": columns}
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f".{secrets.token_hex(6)}.new")
        try:
            fresh.write_bytes(body := gzip.compress(json.dumps(document).encode(), 6))
            fresh.replace(path)
            note_written(path, len(body))
        finally:
            fresh.unlink(missing_ok=True)

    def _folder(self, root: Path) -> Path:
        host = re.sub(r"[^\w.-]+", "-", self.endpoint.partition("://")[2])[:60]
        return root / "gdc" / "listings" / f"{host}-{hashlib.sha256(self.endpoint.encode()).hexdigest()[:12]}"

    def _listed(self, root: Path) -> list[Path]:
        with suppress(OSError):
            return list(self._folder(root).glob("*.json.gz"))
        return []


def _file_name(release: str) -> str:
    plain = re.sub(r"[^\w.]+", "-", release).strip("-.")[:60]
    return f"{plain}-{hashlib.sha256(release.encode()).hexdigest()[:8]}.json.gz"


def _read(path: Path) -> Listing | None:
    try:
        with gzip.open(path) as file:
            body = file.read(_LARGEST + 1)
        document = json.loads(body) if len(body) <= _LARGEST else {}
        release, asked, columns = document["release"], float(document["asked"]), document["columns"]
        if document["format"] != _FORMAT or not isinstance(release, str):
            return None
        rows = zip(*(columns[name] for name in _COLUMNS), strict=True)
        slides = tuple(Slide(**dict(zip(_COLUMNS, row, strict=True)), data_release=release) for row in rows)
    except FileNotFoundError:
        return None
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError, RecursionError, IntakeTcgaError):
        _logger.warning("%s is not a listing of slides, and is passed over", path)
        return None
    return Listing(release, slides, asked)


def _modified(path: Path) -> float:
    with suppress(OSError):
        return os.stat(path).st_mtime  # noqa: PTH116
    return 0.0
