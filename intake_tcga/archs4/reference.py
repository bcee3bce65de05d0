"""What reads are aligned to: a transcriptome, of Ensembl's or the user's own, and its index."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from intake_tcga.archs4.ensembl import checked, ensembl_species, fetch_ensembl
from intake_tcga.archs4.kallisto import Kallisto
from intake_tcga.archs4.kallisto_index import Index, build_index, find_index, index_file
from intake_tcga.archs4.transcriptome import Transcriptome, read_transcriptome
from intake_tcga.cache.stamps import url_key
from intake_tcga.cache.store import VerifiedFileCache
from intake_tcga.digest import Digest
from intake_tcga.errors import FileFormatError, MissingFileError, OptionError
from intake_tcga.remote import RemoteFile, redact

Location = str | os.PathLike[str]


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """A transcriptome and its index."""

    transcriptome: Transcriptome
    index: Index
    kmer: int
    origin: Mapping[str, Any]
    """Where it comes from, as attributes."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which transcriptome is wanted: of Ensembl, or files."""

    species: str | None
    """Ensembl's name; None for files."""

    release: int
    own: tuple[str, ...]
    """Paths and URLs of files."""

    ensembl_url: str

    @classmethod
    def of(
        cls, species: str, release: int, own: Location | Sequence[Location] | None, ensembl_url: str
    ) -> Wanted:
        """Check what was asked for."""
        if own is None:
            if not str(release).isdecimal():
                raise OptionError(f"release={release!r} is no release of Ensembl; use a number, e.g. 107.")
            return cls(ensembl_species(species), int(release), (), ensembl_url)
        given = [own] if isinstance(own, str | os.PathLike) else list(own)
        if not given:
            raise OptionError("transcriptome=[] names no file; give FASTA files, or None for Ensembl's.")
        return cls(None, int(release), tuple(os.fspath(file) for file in given), ensembl_url)

    def obtain(
        self,
        kallisto: Kallisto,
        cache: VerifiedFileCache,
        *,
        kmer: int,
        threads: int,
        storage_options: Mapping[str, Any] | None = None,
    ) -> Reference:
        """Return it, with what is missing of it downloaded and built.

        Ensembl's own checksums are looked at when an index is to be built: an index that is there was built from bytes
        that had them.
        """
        files, paths = self._fetch(cache, storage_options)
        index = None
        try:
            wanted, transcriptome = _described(paths, kallisto, kmer)
            index = find_index(wanted, cache)
        except FileFormatError:
            if self.species is None:
                raise  # Ensembl's own is fetched again below, if it is not what Ensembl lists
        if index is None:
            if self.species is not None:
                paths = [
                    checked(file, cache, url=self.ensembl_url, storage_options=storage_options)
                    for file in files
                ]
                wanted, transcriptome = _described(paths, kallisto, kmer)
            index = build_index(wanted, transcriptome, kallisto, cache, kmer=kmer, threads=threads)
        return Reference(transcriptome, index, kmer, self._origin())

    def _fetch(
        self, cache: VerifiedFileCache, storage_options: Mapping[str, Any] | None
    ) -> tuple[list[RemoteFile], list[Path]]:
        if self.species is None:
            return [], [_local(file, cache, storage_options) for file in self.own]
        files = fetch_ensembl(
            self.species, self.release, cache, url=self.ensembl_url, storage_options=storage_options
        )
        return list(files), [cache.fetch(file, storage_options=storage_options) for file in files]

    def _origin(self) -> dict[str, Any]:
        if self.species is None:
            return {"intake_tcga:transcriptome": ", ".join(redact(file) for file in self.own)}
        return {"intake_tcga:species": self.species, "intake_tcga:ensembl_release": self.release}


def _described(paths: Sequence[Path], kallisto: Kallisto, kmer: int) -> tuple[RemoteFile, Transcriptome]:
    transcriptome = read_transcriptome(paths)
    return index_file(kallisto, [Digest.of(path) for path in paths], kmer=kmer), transcriptome


def _local(file: str, cache: VerifiedFileCache, storage_options: Mapping[str, Any] | None) -> Path:
    if "://" in file:
        name = redact(file).rpartition("/")[2]
        remote = RemoteFile(file, name, collection=("archs4", "transcriptomes"), version=url_key(file)[:16])
        return cache.fetch(remote, storage_options=storage_options)
    path = Path(file).expanduser().absolute()
    if not path.is_file():
        raise MissingFileError(f"{path} is not there; give the path or URL of a FASTA file.")
    return path
