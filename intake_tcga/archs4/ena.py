"""Runs of the sequence archives, as the European Nucleotide Archive lists them: their FASTQ files and digests."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from intake_tcga.cache.store import VerifiedFileCache
from intake_tcga.digest import Digest
from intake_tcga.errors import FileFormatError, NameNotFoundError, OptionError, TransferError
from intake_tcga.remote import RemoteFile
from intake_tcga.transfer import read_small
from intake_tcga.transfer.budget import Budget

ENA_URL = "https://www.ebi.ac.uk/ena/portal/api"
"""The archive's portal."""

_RUN = re.compile(r"[SED]RR\d{6,9}")
_GROUP = re.compile(r"[SED]R[XPS]\d{6,9}|PRJ(NA|EB|DB)\d{1,9}")
_FIELDS = ("run_accession", "scientific_name", "library_layout", "fastq_ftp", "fastq_md5", "fastq_bytes")
_LONGEST_REPORT = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a sequencer, and its FASTQ files."""

    accession: str
    species: str
    """Scientific name; ``""`` if not told."""

    paired: bool
    """Whether the library was, as the archive has it; its files may be otherwise."""

    files: tuple[RemoteFile, ...]
    """Of the two mates, or of single reads; none where the archive has made none."""

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size or 0 for file in self.files)

    def require_files(self) -> None:
        """Raise NameNotFoundError if there are no files."""
        if not self.files:
            raise NameNotFoundError(
                f"The archive has no FASTQ files of {self.accession}: others were submitted, or access is controlled. "
                "Convert them yourself (fasterq-dump --split-3) and give those files."
            )

    def fetch(
        self, cache: VerifiedFileCache, *, storage_options: Mapping[str, Any] | None = None
    ) -> list[Path]:
        """Return the paths of the files, downloaded and verified by their md5; an interrupted download goes on.

        Raises
        ------
        NameNotFoundError
            There are none.
        TransferError, IntegrityError, CacheError
            They could not be fetched.
        """
        self.require_files()
        return list(cache.prefetch(self.files, storage_options=storage_options).values())


def is_accession(text: str) -> bool:
    """Tell whether a text is the accession of runs: one, or those of an experiment, sample, study or project.

    Examples
    --------
    >>> is_accession("SRR14457464"), is_accession("PRJNA1"), is_accession("GSE64016"), is_accession("a.fastq.gz")
    (True, True, False, False)
    """
    return bool(_RUN.fullmatch(text) or _GROUP.fullmatch(text))


def find_runs(
    accession: str,
    *,
    url: str = ENA_URL,
    storage_options: Mapping[str, Any] | None = None,
    offline: bool = False,
    budget: Budget | None = None,
) -> list[Run]:
    """Return the runs of an accession, each with the links of its FASTQ files.

    Parameters
    ----------
    accession : str
        Of a run (``SRR…``, ``ERR…``, ``DRR…``), or of an experiment (``SRX…``), a sample (``SRS…``), a study
        (``SRP…``) or a project (``PRJNA…``), for all of its runs.
    url : str
        The archive's portal, or a mirror's.
    storage_options : mapping, optional
        Options of fsspec for that URL, and for links to its own host.
    offline, budget
        As in :func:`intake_tcga.transfer.read_small`.

    Raises
    ------
    OptionError
        That is no such accession.
    NameNotFoundError
        The archive has no such runs.
    FileFormatError
        The answer cannot be used.
    TransferError
        The archive cannot be reached.
    """
    if not is_accession(accession):
        raise OptionError(
            f"{accession!r} is no accession of runs; use SRR, ERR or DRR and 6 to 9 digits (or SRX…, SRS…, SRP…, "
            "PRJNA… for all runs of an experiment, sample, study or project). GEO's own pages link GSM… and GSE… to "
            "those."
        )
    query = {
        "accession": accession,
        "result": "read_run",
        "fields": ",".join(_FIELDS),
        "format": "tsv",
        "limit": 0,
    }
    report = f"{url.rstrip('/')}/filereport?{urlencode(query, safe=',')}"
    try:
        body = read_small(
            report, limit=_LONGEST_REPORT, storage_options=storage_options, offline=offline, budget=budget
        )
    except TransferError as error:
        if re.search(r"HTTP (204|400)\b", str(error)):  # how the portal says that it has nothing
            raise _nothing(accession) from error
        raise
    rows = _rows(body, accession)
    if not rows:
        raise _nothing(accession)
    return [_run(row, report) for row in rows]


def _nothing(accession: str) -> NameNotFoundError:
    return NameNotFoundError(
        f"The archive knows no runs of {accession}; check the accession, and that it is public."
    )


def _rows(body: bytes, accession: str) -> list[dict[str, str]]:
    """Read the report, whatever the order of its columns."""
    text = body.decode("utf-8", "replace")
    if not text.strip():
        return []
    table = csv.DictReader(text.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE)
    missing = [name for name in _FIELDS if name not in (table.fieldnames or [])]
    if missing:
        raise FileFormatError(
            f"The archive's answer for {accession} has no {', '.join(missing)} (it begins with {text[:40]!r}); try "
            "again later."
        )
    return [{name: (row[name] or "").strip() for name in _FIELDS} for row in table]


def _run(row: Mapping[str, str], report: str) -> Run:
    run, paired = row["run_accession"], row["library_layout"].upper() == "PAIRED"
    if not row["fastq_ftp"] and _RUN.fullmatch(run):
        return Run(run, row["scientific_name"], paired, ())
    links, digests, sizes = (
        row[name].strip(";").split(";") for name in ("fastq_ftp", "fastq_md5", "fastq_bytes")
    )
    if not _RUN.fullmatch(run) or not len(links) == len(digests) == len(sizes):
        raise FileFormatError(
            f"The archive's answer for {run} names {len(links)} files, {len(digests)} digests and {len(sizes)} sizes; "
            "try again later."
        )
    files = tuple(_file(run, *parts, report) for parts in zip(links, digests, sizes, strict=True))
    return Run(run, row["scientific_name"], paired, files)


def _file(run: str, link: str, digest: str, size: str, report: str) -> RemoteFile:
    """Return one FASTQ file; links are without a scheme, for FTP, and the same server speaks https."""
    url = link if "://" in link else f"https://{link}"
    url = re.sub(r"^ftp://", "https://", url)
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not size.isdecimal():
        raise FileFormatError(
            f"The archive's answer for {run} names a file that cannot be fetched ({link[:80]!r})."
        )
    try:
        return RemoteFile(
            url,
            parts.path.rpartition("/")[2],
            collection=("archs4", "fastq"),
            version=run,
            size=int(size),
            digest=Digest("md5", digest.lower()),
            foreign=parts.netloc != urlsplit(report).netloc,
        )
    except OptionError as error:
        raise FileFormatError(f"The archive's answer for {run} cannot be used: {error}") from error
