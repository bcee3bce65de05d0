"""The files that ARCHS4 publishes: where each is, what it holds, and the bytes it must have."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from intake_tcga.digest import Digest
from intake_tcga.errors import NameNotFoundError, OptionError
from intake_tcga.remote import RemoteFile

LICENCE = "CC BY-NC-SA 4.0"
"""Licence of the data, as ARCHS4's site links it."""

CITATION = (
    "Lachmann A, Torre D, Keenan AB, Jagodnik KM, Lee HJ, Wang L, Silverstein MC, Ma'ayan A. Massive mining of "
    "publicly available RNA-seq data from human and mouse. Nature Communications 9, 1366 (2018). "
    "doi:10.1038/s41467-018-03751-6"
)
"""What to cite when the data are used."""

LATEST = "latest"
"""The version of the files that change under their URL."""

_FILES = "https://s3.dev.maayanlab.cloud/archs4/files"
_OLD_FILES = "https://s3.dev.maayanlab.cloud/archs4"
_FALLBACK = "https://s3.amazonaws.com/mssm-data"
_V1_FILES = "https://s3.amazonaws.com/mssm-seq-matrix"

Species = Literal["human", "mouse"]
Level = Literal["gene", "transcript", "tpm"]

SPECIES: tuple[Species, ...] = ("human", "mouse")
LEVELS: tuple[Level, ...] = ("gene", "transcript", "tpm")
_NAME = re.compile(
    r"(?P<species>human|mouse)_(?P<level>gene|transcript|tpm)_(?:v(?P<version>\d+(?:\.\d+)*)|latest)"
)


@dataclass(frozen=True, slots=True)
class Release:
    """One published file."""

    species: Species
    level: Level
    """``gene`` and ``transcript`` files hold counts, ``tpm`` files transcripts per million."""

    version: str
    """``"2.5"``; or ``"latest"``, whose bytes change."""

    url: str
    """Where it is; it may redirect to another host."""

    fallback: str | None = None
    """Where else it is, if the first place has it no longer."""

    size: int | None = None
    """Bytes, where they are known exactly."""

    about_bytes: int | None = None
    """Bytes to within a few per cent, where they are not."""

    sha1: str | None = None
    """SHA1 in hexadecimal digits, where it was published."""

    samples: int | None = None
    features: int | None = None
    """Genes or transcripts."""

    ensembl: str | None = None
    """Release of Ensembl whose annotation was used, where it is known."""

    @property
    def name(self) -> str:
        """What users call it, e.g. ``human_gene_v2.5``, ``mouse_tpm_latest``."""
        version = LATEST if self.version == LATEST else f"v{self.version}"
        return f"{self.species}_{self.level}_{version}"

    @property
    def file_name(self) -> str:
        """Name of the local copy."""
        return f"{self.name}.h5"

    @property
    def bytes(self) -> int | None:
        """Bytes, exact or not: for messages and tables."""
        return self.size or self.about_bytes

    @property
    def digest(self) -> Digest | None:
        """Digest that its bytes must have."""
        return Digest("sha1", self.sha1) if self.sha1 else None

    @property
    def description(self) -> str:
        """One line for catalogs."""
        what = {"gene": "gene counts", "transcript": "transcript counts", "tpm": "transcripts per million"}
        size = f" of {self.samples:,} samples" if self.samples else ""
        return f"ARCHS4 {self.version}: {self.species} {what[self.level]}{size}"

    @property
    def metadata(self) -> dict[str, Any]:
        """What is known of it, in plain values; with its licence and what to cite."""
        known = {
            "species": self.species,
            "level": self.level,
            "version": self.version,
            "samples": self.samples,
            "features": self.features,
            "bytes": self.bytes,
            "sha1": self.sha1,
            "ensembl": self.ensembl,
            "url": self.url,
            "fallback": self.fallback,
            "licence": LICENCE,
            "citation": CITATION,
        }
        return {name: value for name, value in known.items() if value is not None}

    def remote_file(self, *, pinned: str | None = None, size: int | None = None) -> RemoteFile:
        """Tell where it is, and where its verified copy belongs in a cache.

        Parameters
        ----------
        pinned
            For ``latest``: what tells these bytes from later ones. Copies of different bytes never touch.
        size
            For ``latest``: the bytes it has now.

        Raises
        ------
        OptionError
            When it is ``latest`` and nothing says which.
        """
        if self.version != LATEST:
            return RemoteFile(self.url, self.file_name, ("archs4",), self.version, self.size, self.digest)
        if pinned is None:
            raise OptionError(
                f"{self.name} changes under its URL; say which of its contents is meant (its ETag and size)."
            )
        return RemoteFile(self.url, self.file_name, ("archs4",), f"{LATEST}-{pinned}", size, None)

    @property
    def other_place(self) -> Release | None:
        """The same file at its other place; None where there is none."""
        return replace(self, url=self.fallback, fallback=None) if self.fallback else None


def _release(
    species: Species,
    level: Level,
    version: str,
    bytes_: int | str | None = None,
    sha1: str | None = None,
    *,
    samples: int | None = None,
    features: int | None = None,
) -> Release:
    """Make a known release: its URL follows from its version; bytes in words ("28 G") are not exact."""
    url, fallback = locations(species, level, version)
    return Release(
        species,
        level,
        version,
        url,
        fallback,
        size=bytes_ if isinstance(bytes_, int) else None,
        about_bytes=int(bytes_.removesuffix(" G")) * 2**30 if isinstance(bytes_, str) else None,
        sha1=sha1,
        samples=samples,
        features=features,
        ensembl="107" if version in {"2.2", "2.3", "2.4", "2.5", LATEST} else None,
    )


def locations(species: Species, level: Level, version: str) -> tuple[str, str | None]:
    """Return the URL of a file, and that of its other place.

    Examples
    --------
    >>> locations("human", "gene", "2.5")[0]
    'https://s3.dev.maayanlab.cloud/archs4/files/human_gene_v2.5.h5'
    """
    if version.startswith("1."):
        kind = "matrix" if level == "gene" else level
        return f"{_V1_FILES}/{species}_{kind}_v{version.removeprefix('1.')}.h5", None
    if version == "2.1.2":
        name = f"archs4_{level}_{species}_v{version}.h5"
        return f"{_OLD_FILES}/{name}", f"{_FALLBACK}/{name}"
    name = f"{species}_{level}_v{'2.latest' if version == LATEST else version}.h5"
    return f"{_FILES}/{name}", f"{_FALLBACK}/{name}"


KNOWN: tuple[Release, ...] = (
    _release("human", "gene", "2.5", 47_865_298_452, "ae96de0519b9f008b0dc3a9f944ee9007daf2f6a",
             samples=888_821, features=67_186),
    _release("mouse", "gene", "2.5", 38_960_132_574, "22605c9b6c4e7502b0861d4d8591ce128907c39f",
             samples=997_515, features=53_511),
    _release("human", "gene", "2.4", "43 G", "f4aea8dc17bd733a6b424dc6906c81f83ef4c4a4"),
    _release("mouse", "gene", "2.4", "35 G", "883bdf48b80b47e225409c9de9c5161362f21cb0"),
    _release("human", "gene", "2.3", "41 G", "31a37ba49ab5cf812a0be9f180d75b3b29e07ea2"),
    _release("mouse", "gene", "2.3", "34 G", "45f1a98bf2da06ecb249f25be08126cb63553d9c"),
    _release("human", "gene", "2.2", 37_513_952_183, "20f4063e264437c78c7875d74a31685e2ca2a18d",
             samples=722_425, features=67_186),
    _release("mouse", "gene", "2.2", "29 G", "4308672c7a8e93fb063c7c289564105af60aaaf7"),
    _release("human", "transcript", "2.2", "107 G", "9d129b0c06531ec12847fc42f988818e0e7afcf7"),
    _release("mouse", "transcript", "2.2", "65 G", "cb7c8a7e0e1996067208cb526ff1e9670bf4335d"),
    _release("human", "tpm", "2.2", "218 G", "85bd7ea1fc9aa8bb6c1dda927c9de17b11ba9933"),
    _release("mouse", "tpm", "2.2", "126 G", "496226cbe8b8148efbe84db0f8e72d7b9af27790"),
    _release("human", "gene", "2.1.2", "28 G", "742ba9fba9b6e5bc4577a555243dc208dafc0423",
             samples=620_825, features=62_548),
    _release("mouse", "gene", "2.1.2", "25 G", "ded9d42ce96bf23fd7a107e6cfe839b622df7919"),
    _release("human", "gene", "1.11", samples=441_356, features=35_238),
    _release("mouse", "gene", "1.11"),
    *(_release(species, level, LATEST) for level in LEVELS for species in SPECIES),
)  # fmt: skip
"""Every file that is known without asking, newest first, ``latest`` last; sizes and SHA1s as they were published."""


def find_release(name: str, releases: Sequence[Release] = KNOWN) -> Release:
    """Find a release by its name.

    Parameters
    ----------
    name
        E.g. ``"human_gene_v2.5"``; ``.h5`` behind it and capitals do not matter.
    releases
        Those there are.

    Raises
    ------
    NameNotFoundError
        When there is none of that name; the message has the nearest, and the others.

    Examples
    --------
    >>> find_release("mouse_gene_v2.5").samples
    997515
    >>> find_release("human_genes_v2.5")
    Traceback (most recent call last):
    ...
    intake_tcga.errors.NameNotFoundError: There is no ARCHS4 release 'human_genes_v2.5'; did you mean ...
    """
    by_name = {release.name: release for release in releases}
    wanted = plain_name(name)
    if wanted in by_name:
        return by_name[wanted]
    near = difflib.get_close_matches(wanted, by_name, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    raise NameNotFoundError(
        f"There is no ARCHS4 release {name!r}{hint} Choose from {', '.join(by_name)}; or refresh the list with network "
        "(refresh_releases)."
    )


def plain_name(name: str) -> str:
    """Return a release's name as the table has it, however it was spelt.

    Examples
    --------
    >>> plain_name("Human_Gene_v2.latest.h5")
    'human_gene_latest'
    """
    return re.sub(r"_v(?:2\.)?latest$", "_latest", name.strip().lower().removesuffix(".h5"))


def is_release_name(name: str) -> bool:
    """Tell whether a text is of the form that names of releases have, known or not.

    Examples
    --------
    >>> is_release_name("human_gene_v2.9"), is_release_name("counts.h5")
    (True, False)
    """
    return _NAME.fullmatch(plain_name(name)) is not None


def release_at(url: str, releases: Iterable[Release] = KNOWN) -> Release | None:
    """Find the release that is at a URL, or None."""
    return next((release for release in releases if url in {release.url, release.fallback}), None)
