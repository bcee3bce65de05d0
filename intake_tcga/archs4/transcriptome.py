"""A transcriptome: FASTA files of transcripts, and what their headers tell of the genes that these belong to."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from intake_tcga.errors import FileFormatError, MissingFileError

_BLOCK = 4 * 2**20
_HEADER = re.compile(rb"^>([^\r\n]*)", re.MULTILINE)
_FIELD = re.compile(r"\b(gene|gene_biotype|gene_symbol):(\S+)")
_VERSIONED = re.compile(r"((?:ENS[A-Z]*|MGP_\w+?_)[GT]\d+)\.\d+")
_GENCODE_FIELDS = 8
_MOST_NAMED = 3  # of many that are wrong in one way


@dataclass(frozen=True, slots=True)
class Transcript:
    """What the header of one FASTA record tells."""

    name: str
    """As kallisto shows it: the header to its first blank."""

    id: str
    """Without the version, if it is Ensembl's."""

    gene: str | None
    """Id of its gene, without the version; None where the header does not tell."""

    symbol: str
    """The gene's symbol; its id where it has none, as ARCHS4 does; ``""`` where the gene is not known."""

    biotype: str
    """Of the gene; ``""`` if not told."""

    @classmethod
    def of(cls, header: str) -> Transcript:
        """Read a header of Ensembl's or GENCODE's.

        GENCODE writes the transcript's biotype alone: a protein-coding gene has transcripts of many, so none is taken
        for the gene's.

        Examples
        --------
        >>> Transcript.of("ENST00000633705.1 cdna chromosome:GRCh38:7:1:2:1 gene:ENSG00000211751.9 "
        ...               "gene_biotype:TR_C_gene transcript_biotype:TR_C_gene gene_symbol:TRBC1 description:T cell")
        Transcript(name='ENST00000633705.1', id='ENST00000633705', gene='ENSG00000211751', symbol='TRBC1',
                   biotype='TR_C_gene')
        """
        name, _, rest = header.partition(" ")
        parts = name.split("|")
        if len(parts) >= _GENCODE_FIELDS and parts[1].startswith("ENS"):
            return cls(name, unversioned(parts[0]), unversioned(parts[1]), parts[5] or parts[1], "")
        told = dict(_FIELD.findall(rest.partition(" description:")[0]))
        gene = unversioned(told["gene"]) if "gene" in told else None
        return cls(
            name, unversioned(name), gene, told.get("gene_symbol") or gene or "", told.get("gene_biotype", "")
        )


@dataclass(frozen=True, slots=True, eq=False)
class Transcriptome:
    """FASTA files, and the transcripts in them."""

    files: tuple[Path, ...]
    transcripts: Mapping[str, Transcript]
    """By name, in the files' order."""

    def genes(self) -> Genes:
        """Return the genes that the transcripts belong to.

        Raises
        ------
        FileFormatError
            Of some transcripts no gene is known.
        """
        lost = [transcript.name for transcript in self.transcripts.values() if transcript.gene is None]
        if lost:
            raise FileFormatError(
                f"The headers of {len(lost):,} of {len(self.transcripts):,} transcripts name no gene "
                f"({_some(lost)}); use Ensembl's or GENCODE's FASTA files, or return_type='transcript'."
            )
        first: dict[str, Transcript] = {}
        for transcript in self.transcripts.values():
            first.setdefault(str(transcript.gene), transcript)
        position = {gene: at for at, gene in enumerate(first)}
        of = np.array([position[str(t.gene)] for t in self.transcripts.values()], np.intp)
        return Genes(
            tuple(first),
            tuple(t.symbol for t in first.values()),
            tuple(t.biotype for t in first.values()),
            of,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Genes:
    """Genes in the order in which a transcriptome has them."""

    ids: tuple[str, ...]
    symbols: tuple[str, ...]
    biotypes: tuple[str, ...]
    of: npt.NDArray[np.intp]
    """Position of each transcript's gene."""

    def sums(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Sum values of transcripts over the transcripts of each gene."""
        sums: npt.NDArray[np.float64] = np.bincount(self.of, values, len(self.ids)).astype(
            np.float64, copy=False
        )
        return sums


def read_transcriptome(files: Sequence[Path]) -> Transcriptome:
    """Read the headers of FASTA files, plain or gzipped; each file is read through, gzip's checksums included.

    Raises
    ------
    MissingFileError
        A file is not there.
    FileFormatError
        A file is damaged or not FASTA, or two transcripts have one name.
    """
    transcripts: dict[str, Transcript] = {}
    twice: list[str] = []
    for path in files:
        before = len(transcripts)
        for header in _headers(path):
            transcript = Transcript.of(header)
            if transcript.name in transcripts:
                twice.append(transcript.name)
            transcripts[transcript.name] = transcript
        if len(transcripts) == before and not twice:
            raise FileFormatError(f"{path} has no transcripts; give FASTA files, plain or gzipped.")
    if twice:
        raise FileFormatError(
            f"{len(twice):,} transcripts are there more than once ({_some(twice)}); leave one of the files out."
        )
    return Transcriptome(tuple(files), _with_unique_ids(transcripts))


def unversioned(name: str) -> str:
    """Return an id of Ensembl's without its version, as ARCHS4 has them; any other id as it is.

    Examples
    --------
    >>> unversioned("ENSMUSG00000051951.6"), unversioned("Y74C9A.3")
    ('ENSMUSG00000051951', 'Y74C9A.3')
    """
    found = _VERSIONED.fullmatch(name)
    return found[1] if found else name


def _with_unique_ids(transcripts: dict[str, Transcript]) -> dict[str, Transcript]:
    """Keep whole names where ids without versions would be the same for several transcripts."""
    if len({transcript.id for transcript in transcripts.values()}) == len(transcripts):
        return transcripts
    return {n: Transcript(n, n, t.gene, t.symbol, t.biotype) for n, t in transcripts.items()}


def _headers(path: Path) -> Iterator[str]:
    """Yield the header lines of a FASTA file, without their ``>``."""
    for block in _blocks(path):
        for found in _HEADER.finditer(block):
            yield found[1].decode("utf-8", "replace").strip()


def _blocks(path: Path) -> Iterator[bytes]:
    """Yield a file in blocks that end with a line."""
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            stream = gzip.GzipFile(fileobj=raw) if packed else raw
            rest, beginning = b"", True
            while block := stream.read(_BLOCK):
                if beginning and not block.lstrip().startswith(b">"):
                    raise FileFormatError(f"{path} is not FASTA: it begins with {block[:20]!r}.")
                beginning = False
                whole, newline, rest = (rest + block).rpartition(b"\n")
                yield whole + newline
            yield rest
    except FileNotFoundError as error:
        raise MissingFileError(f"{path} is not there; check its path.") from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise FileFormatError(f"{path} is damaged or cut off ({error}); fetch it again.") from None
    except OSError as error:
        if isinstance(error, FileFormatError):
            raise
        raise MissingFileError(f"{path} cannot be read ({error.strerror or error}); check it.") from error


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_MOST_NAMED]) + (", …" if len(names) > _MOST_NAMED else "")
