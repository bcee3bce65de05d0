"""Ensembl's transcripts of a species in a release: which files they are, fetched and checked."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from intake_tcga.cache.store import VerifiedFileCache
from intake_tcga.digest import Digest
from intake_tcga.errors import (
    FileFormatError,
    IntegrityError,
    NameNotFoundError,
    OptionError,
    RemoteNotFoundError,
)
from intake_tcga.remote import RemoteFile

ENSEMBL_URL = "https://ftp.ensembl.org/pub"
"""Folder of all releases."""

SPECIES = {
    "human": "homo_sapiens",
    "mouse": "mus_musculus",
    "rat": "rattus_norvegicus",
    "zebrafish": "danio_rerio",
}
"""Ensembl's names of species that are asked for by others."""

_logger = logging.getLogger(__name__)
_KINDS = {"cdna": r"\.cdna\.all\.fa\.gz", "ncrna": r"\.ncrna\.fa\.gz"}
_CHECKSUM = re.compile(r"(?:(\d{1,5})\s+(\d{1,12})|([0-9a-f]{32}))\s+(?:\./)?(\S+)")
_SUM_BLOCK = 1024  # bytes; the unit in which `sum` gives a file's size
_LONGEST_LISTING = 2**20


@dataclass(frozen=True, slots=True)
class Checksum:
    """What a line of Ensembl's CHECKSUMS says: the output of BSD's ``sum``, or an md5."""

    name: str
    sum: int | None = None
    """16 bits, rotated and added."""

    blocks: int | None = None
    """The size in blocks of 1024 bytes, the last one counted whole."""

    md5: str | None = None

    def check(self, path: Path) -> str | None:
        """Say in which way a file is another one, or None if it is the one listed (some seconds for 100 MB)."""
        if self.md5 is not None:
            found = Digest.of(path, "md5").hex
            return None if found == self.md5 else f"its md5 is {found} where {self.md5} is listed"
        blocks = -(-path.stat().st_size // _SUM_BLOCK)
        if blocks != self.blocks:
            return f"it has {blocks:,} blocks of {_SUM_BLOCK} bytes where {self.blocks:,} are listed"
        value = bsd_sum(path)
        return None if value == self.sum else f"its sum is {value} where {self.sum} is listed"


def ensembl_species(species: str) -> str:
    """Return Ensembl's name of a species.

    Examples
    --------
    >>> ensembl_species("human"), ensembl_species("Sus scrofa")
    ('homo_sapiens', 'sus_scrofa')
    """
    name = SPECIES.get(species.strip().lower(), species.strip().lower().replace(" ", "_"))
    if not re.fullmatch(r"[a-z]+(_[a-z0-9]+)+", name):
        raise OptionError(
            f"species={species!r} is none that is known; use {', '.join(SPECIES)}, or a name as Ensembl has it, "
            "e.g. sus_scrofa."
        )
    return name


def fetch_ensembl(
    species: str,
    release: int,
    cache: VerifiedFileCache,
    *,
    url: str = ENSEMBL_URL,
    storage_options: Mapping[str, Any] | None = None,
) -> tuple[RemoteFile, RemoteFile]:
    """Return the files of a release's coding and non-coding transcripts, both in the cache.

    Their names are read from Ensembl's own lists, which carry the assembly's. :func:`checked` checks their bytes.

    Parameters
    ----------
    species : str
        Ensembl's name.
    release : int
        E.g. 107.
    cache : VerifiedFileCache
        Where they go.
    url : str
        Folder of all releases: Ensembl's, or a mirror's.
    storage_options : mapping, optional
        Options of fsspec for that URL.

    Returns
    -------
    RemoteFile, RemoteFile
        cDNA and ncRNA.

    Raises
    ------
    NameNotFoundError
        There is no such release, or no such species in it.
    TransferError, IntegrityError, CacheError
        They could not be fetched.
    """
    coding, noncoding = (
        _file(
            next(iter(_listing(kind, species, release, cache, url, storage_options))),
            kind,
            species,
            release,
            url,
        )
        for kind in _KINDS
    )
    cache.prefetch([coding, noncoding], storage_options=storage_options)
    return coding, noncoding


def checked(
    file: RemoteFile,
    cache: VerifiedFileCache,
    *,
    url: str = ENSEMBL_URL,
    storage_options: Mapping[str, Any] | None = None,
) -> Path:
    """Return the path of one of Ensembl's files whose bytes are the listed ones, fetched anew if need be.

    Raises
    ------
    IntegrityError
        They are not, also those of a second download.
    """
    _, species, kind = file.collection[-3:]
    release = int(file.version.removeprefix("release-"))
    listed = _listing(kind, species, release, cache, url, storage_options)[file.name]
    problem = None
    for again in (False, True):
        path = cache.fetch(file, storage_options=storage_options, force=again and not cache.offline)
        problem = listed.check(path)
        if problem is None:
            return path
        _logger.warning("%s is not the file that Ensembl lists: %s", path, problem)
    raise IntegrityError(f"{file.shown_url} is not the file that Ensembl lists: {problem}; try again later.")


def bsd_sum(path: Path) -> int:
    """Return the checksum that BSD's ``sum`` gives; each step needs the one before, so 100 MB take some seconds."""
    value = 0
    with path.open("rb") as file:
        while block := file.read(2**20):
            for byte in block:
                value = ((value >> 1) + ((value & 1) << 15) + byte) & 0xFFFF
    return value


def read_checksums(text: str) -> dict[str, Checksum]:
    """Read a list of checksums, by file name.

    Examples
    --------
    >>> read_checksums("52166 71968 Homo_sapiens.GRCh38.cdna.all.fa.gz")["Homo_sapiens.GRCh38.cdna.all.fa.gz"].blocks
    71968
    """
    return {listed.name: listed for line in text.splitlines() for listed in _checksums(line)}


def _checksums(line: str) -> Iterator[Checksum]:
    if found := _CHECKSUM.fullmatch(line.strip()):
        value, blocks, md5, name = found.groups()
        yield Checksum(name, int(value) if value else None, int(blocks) if blocks else None, md5)


def _listing(
    kind: str,
    species: str,
    release: int,
    cache: VerifiedFileCache,
    url: str,
    storage_options: Mapping[str, Any] | None,
) -> dict[str, Checksum]:
    """Return the checksum of the one file of this kind, by its name. A copy is kept: a release does not change."""
    file = _file("CHECKSUMS", kind, species, release, url)
    pattern = re.compile(rf"{re.escape(species)}\.[\w.-]+?{_KINDS[kind]}", re.IGNORECASE)
    for again in (False, True):  # what a proxy once said in the list's place must not stay for ever
        try:
            path = cache.fetch(file, storage_options=storage_options, force=again and not cache.offline)
        except RemoteNotFoundError as error:
            raise NameNotFoundError(
                f"Ensembl's release {release} has no {kind} of {species!r} ({file.shown_url} is not there); check the "
                "release and the species' name."
            ) from error
        text = path.read_text(errors="replace") if path.stat().st_size <= _LONGEST_LISTING else ""
        listed = {name: entry for name, entry in read_checksums(text).items() if pattern.fullmatch(name)}
        if len(listed) == 1:
            return listed
    raise FileFormatError(
        f"{file.shown_url} names {len(listed)} files of {species}'s {kind} where 1 is expected; check the URL."
    )


def _file(name: str, kind: str, species: str, release: int, url: str) -> RemoteFile:
    return RemoteFile(
        f"{url.rstrip('/')}/release-{release}/fasta/{species}/{kind}/{name}",
        name,
        collection=("archs4", "ensembl", species, kind),
        version=f"release-{release}",
    )
