"""What ARCHS4's own service says of its files: newer ones than this package knows, and what it lacks of others.

The service is not documented, so it is believed only as far as it must be: where a file is follows from its version,
not from what the service says, and what is known already is kept where both differ.
"""

from __future__ import annotations

import json
import logging
import re
import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from intake_tcga.archs4.releases import KNOWN, LATEST, LEVELS, SPECIES, Release, locations
from intake_tcga.cache.store import VerifiedFileCache
from intake_tcga.errors import ManifestError, OfflineError
from intake_tcga.remote import redact
from intake_tcga.transfer import is_local, read_small

SERVICE = "https://archs4.org/api/versionfile"
"""Where the service is."""

_LARGEST_ANSWER = 4 * 2**20
_LARGEST_FILE = 2**50
_VERSION = re.compile(r"\d{1,3}(\.\d{1,3}){1,3}")

_logger = logging.getLogger(__name__)


def refresh_releases(
    *,
    cache: VerifiedFileCache | None = None,
    url: str = SERVICE,
    storage_options: Mapping[str, Any] | None = None,
) -> tuple[Release, ...]:
    """Ask ARCHS4's version service which files there are, and remember the answer in the cache.

    Parameters
    ----------
    cache
        Its folder keeps the answer; its ``offline`` and ``budget`` hold for the request.
    url
        The service, or a copy of what it answers.
    storage_options
        Options of fsspec, for the URL's own protocol or keyed by protocol.

    Returns
    -------
    tuple of Release
        The known ones, with what they lacked filled in, and the new ones before them.

    Raises
    ------
    OfflineError
        In offline mode.
    ManifestError
        When the answer is not a list of files; nothing is remembered then.
    TransferError
        When the service cannot be reached.

    Examples
    --------
    >>> import json, pathlib
    >>> file = {"version_major": 2, "version_minor": 6, "species": "human", "data_level": "gene", "samples": 950_000}
    >>> copy = pathlib.Path("versionfile.json")
    >>> _ = copy.write_text(json.dumps({"versionfiles": [file]}))
    >>> newest = refresh_releases(url=copy.absolute().as_uri())[0]
    >>> newest.name, newest.samples
    ('human_gene_v2.6', 950000)
    """
    cache = cache or VerifiedFileCache()
    if cache.offline and not is_local(url):
        raise OfflineError(
            f"{redact(url)} cannot be asked in offline mode; pass offline=False or unset INTAKE_TCGA_OFFLINE. "
            "The releases that are known are used without it."
        )
    body = read_small(
        url,
        limit=_LARGEST_ANSWER,
        storage_options=storage_options,
        offline=cache.offline,
        budget=cache.budget,
    )
    found = parse_versions(body, redact(url))
    _keep(cache, body)
    return merged(KNOWN, found)


def known_releases(cache: VerifiedFileCache | None = None) -> tuple[Release, ...]:
    """Return the releases that are known without a network: the table, and what the service last said.

    Parameters
    ----------
    cache
        Whose folder may have the service's last answer.
    """
    place = _place(cache or VerifiedFileCache())
    try:
        return merged(KNOWN, parse_versions(place.read_bytes(), str(place)))
    except (OSError, ManifestError):  # none kept, or damaged: the next refresh writes it anew
        return KNOWN


def parse_versions(body: bytes, source: str) -> list[Release]:
    """Read the service's answer.

    Parameters
    ----------
    body
        JSON: ``{"versionfiles": [{"version_major": 2, "version_minor": 5, "species": …}, …]}``.
    source
        Where it is from, for messages.

    Returns
    -------
    list of Release
        Of the species and levels that this package reads; entries that cannot be are logged and left out.

    Raises
    ------
    ManifestError
        When it is no such list, or no entry of it can be used.
    """
    try:
        entries = json.loads(body)["versionfiles"]
        if not isinstance(entries, list) or not entries:
            raise TypeError("an empty list" if entries == [] else f"a {type(entries).__name__}")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ManifestError(
            f"{source} does not answer with a list of ARCHS4 files ({error or type(error).__name__}); use the releases "
            "that are known, and try again later."
        ) from error
    found, problems = [], []
    for entry in entries:
        try:
            found.append(_parse(entry))
        except (ValueError, KeyError, TypeError) as error:
            problems.append(f"{str(entry)[:200]}: {error or type(error).__name__}")
    if not found:
        raise ManifestError(
            f"None of the {len(entries)} entries of {source} can be used; upgrade intake-tcga, or use the releases "
            f"that are known. {'; '.join(problems[:5])}."
        )
    for problem in problems:
        _logger.warning("%s: an entry is left out: %s", source, problem)
    return found


def merged(known: Sequence[Release], found: Sequence[Release]) -> tuple[Release, ...]:
    """Join what is known with what was found: by SHA1, else by name; what is known wins.

    Returns
    -------
    tuple of Release
        New ones first, newest first; then the known ones in their order.
    """
    releases = {release.name: release for release in known}
    by_sha1 = {release.sha1: release.name for release in known if release.sha1}
    new: dict[str, Release] = {}
    for entry in found:
        name = by_sha1.get(entry.sha1 or "", entry.name)
        if name not in releases:
            new.setdefault(name, entry)
            continue
        own = releases[name]
        if own.version == LATEST:  # its bytes change: nothing that is said of it today holds tomorrow
            continue
        if own.sha1 and entry.sha1 and own.sha1 != entry.sha1:
            _logger.warning(
                "The version service says that %s has the SHA1 %s; %s is kept, which was verified.",
                name, entry.sha1, own.sha1,
            )  # fmt: skip
            continue
        releases[name] = replace(
            own,
            size=own.size or entry.size,
            sha1=own.sha1 or entry.sha1,
            samples=own.samples or entry.samples,
            ensembl=own.ensembl or entry.ensembl,
        )
    newest = sorted(new.values(), key=lambda r: (_numbers(r.version), r.name), reverse=True)
    return (*newest, *releases.values())


def _parse(entry: Mapping[str, Any]) -> Release:
    """Check one entry; whatever is wrong with it is a ValueError, KeyError or TypeError."""
    species, level = str(entry["species"]).lower(), str(entry["data_level"]).lower()
    if species not in SPECIES or level not in LEVELS:
        raise ValueError(f"{level} files of {species} are not known")
    version = f"{entry['version_major']}.{entry['version_minor']}"
    if not _VERSION.fullmatch(version):
        raise ValueError(f"{version!r} is not a version")
    sha1 = str(entry.get("checksum") or "").strip().lower() or None
    if sha1 is not None and not re.fullmatch(r"[0-9a-f]{40}", sha1):
        raise ValueError(f"{sha1!r} is not a SHA1")
    url, fallback = locations(species, level, version)
    annotation = re.search(r"\d+", str(entry.get("ensembl_annotation") or ""))
    return Release(
        species,
        level,
        version,
        url,
        fallback,
        size=_count(entry.get("file_size"), _LARGEST_FILE),
        sha1=sha1,
        samples=_count(entry.get("samples"), 2**31),
        ensembl=annotation.group() if annotation else None,
    )


def _count(value: Any, most: int) -> int | None:
    """Return a whole number, or None where none is said; words such as "41G" are not exact, and say none."""
    if isinstance(value, bool) or not re.fullmatch(r"\d{1,18}(\.0+)?", str(value)):
        return None
    number = int(float(str(value)))
    return number if 0 < number <= most else None


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def _place(cache: VerifiedFileCache) -> Path:
    return cache.root / ".intake-tcga" / "archs4-versions.json"


def _keep(cache: VerifiedFileCache, body: bytes) -> None:
    """Remember an answer; a folder that cannot be written forgets it, and the answer holds all the same."""
    place = _place(cache)
    fresh = place.with_name(f"{secrets.token_hex(6)}.new")
    with suppress(OSError):
        place.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_bytes(body)
        fresh.replace(place)
