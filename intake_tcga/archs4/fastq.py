"""FASTQ files: which belong together, told by names and reads; how many reads they have; whether they are whole."""

from __future__ import annotations

import gzip
import logging
import re
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from intake_tcga.errors import FileFormatError, MissingFileError, OptionError

Layout = Literal["auto", "paired", "single"]

_logger = logging.getLogger(__name__)
_SUFFIX = re.compile(r"\.(fastq|fq)(\.gz)?$", re.IGNORECASE)
_LANE = r"(?:_(?P<lane>L\d{3}))?"
_CERTAIN = re.compile(rf"(?P<sample>.+?){_LANE}[._-][Rr](?P<mate>[12])(?:_(?P<set>\d{{3}}))?")
_LIKELY = re.compile(rf"(?P<sample>.+?){_LANE}[._](?P<mate>[12])")  # also two replicates: their reads tell
_ALONE = re.compile(rf"(?P<sample>.+?){_LANE}")
_BLOCK = 2**20  # bytes; the last two blocks must hold the last record
_COMPARED = 4  # records at the start of two files that show whether the files are mates
_FOREIGN = {b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstandard", b"PK\x03\x04": "zip"}
_FOREIGN |= {b"NCBI.sra": "SRA", b"BAM\x01": "BAM", b"CRAM": "CRAM", b"\x89HDF": "HDF5"}


@dataclass(frozen=True, slots=True)
class Reads:
    """The FASTQ files of one sample."""

    sample: str
    """Its name."""

    first: tuple[Path, ...]
    """Files of single reads, or of the first mates; one a lane."""

    second: tuple[Path, ...] = ()
    """Files of the second mates, in the same order; none where reads are single."""

    @property
    def paired(self) -> bool:
        """Whether there are mates."""
        return bool(self.second)

    @property
    def files(self) -> tuple[Path, ...]:
        """All files, mates side by side, as kallisto wants them."""
        if not self.paired:
            return self.first
        return tuple(path for pair in zip(self.first, self.second, strict=True) for path in pair)


@dataclass(frozen=True, slots=True)
class FastqName:
    """What the name of a FASTQ file tells."""

    sample: str
    lane: str
    """Lane and part of the sequencer's output, ``""`` if not told."""

    mate: int | None
    """1 or 2, None where it tells neither."""

    certain: bool
    """Whether the mate is marked as such (``R1``), not by a number alone, which may count replicates."""

    @classmethod
    def of(cls, path: Path) -> FastqName:
        """Read a name.

        Examples
        --------
        >>> FastqName.of(Path("liver_S1_L002_R1_001.fastq.gz"))
        FastqName(sample='liver_S1', lane='L002001', mate=1, certain=True)
        >>> FastqName.of(Path("SRR1_2.fastq")), FastqName.of(Path("SRR1.fq.gz")).mate
        (FastqName(sample='SRR1', lane='', mate=2, certain=False), None)
        """
        stem = stem_of(path)
        for pattern in (_CERTAIN, _LIKELY, _ALONE):
            if found := pattern.fullmatch(stem):
                parts = found.groupdict()
                lane = (parts["lane"] or "") + (parts.get("set") or "")
                mate = int(parts["mate"]) if "mate" in parts else None
                return cls(parts["sample"], lane, mate, pattern is _CERTAIN)
        raise OptionError(f"{path.name!r} is no name of a FASTQ file; rename it.")


def is_fastq(path: Path) -> bool:
    """Tell by a file's name whether it is FASTQ, compressed with gzip or not at all.

    Examples
    --------
    >>> is_fastq(Path("a_1.fastq.gz")), is_fastq(Path("a.fq")), is_fastq(Path("a.fasta"))
    (True, True, False)
    """
    return bool(_SUFFIX.search(path.name)) and not path.name.startswith(".")


def stem_of(path: Path) -> str:
    """Return a FASTQ file's name without its suffixes."""
    return _SUFFIX.sub("", path.name)


def by_sample(
    files: Iterable[Path], *, layout: Layout = "auto"
) -> dict[tuple[Path, str], dict[Path, FastqName]]:
    """Group FASTQ files by folder and sample, by their names alone.

    Parameters
    ----------
    files : iterable of Path
        Local files; those of one sample lie in one folder.
    layout : {"auto", "paired", "single"}
        ``single`` makes a sample of each file, lanes aside.

    Returns
    -------
    dict
        In the order of the files.
    """
    if layout not in ("auto", "paired", "single"):
        raise OptionError(f"layout={layout!r} is not an option; use 'auto', 'paired' or 'single'.")
    named: dict[tuple[Path, str], dict[Path, FastqName]] = {}
    for path in dict.fromkeys(files):
        name = FastqName.of(path)
        if layout == "single":
            name = _on_its_own(path, name)
        named.setdefault((path.parent, name.sample), {})[path] = name
    return named


def pair(sample: str, members: Mapping[Path, FastqName], *, layout: Layout = "auto") -> list[Reads]:
    """Make samples of the files that have one name but for lanes and mates: mates into pairs, lanes into one.

    Mates are told by ``_R1``/``_R2`` (also ``_R1_001``), ``_1``/``_2`` and ``.1``/``.2``, and by the first records of
    their files, which have the same names. A file of unpaired reads beside a pair (``SRR1.fastq.gz`` beside
    ``SRR1_1.fastq.gz`` and ``SRR1_2.fastq.gz``) is left out, as ARCHS4 does.

    Parameters
    ----------
    sample : str
        Its name.
    members : mapping
        The files, and what their names tell.
    layout : {"auto", "paired", "single"}
        ``paired`` takes the names' word for it.

    Returns
    -------
    list of Reads
        One sample; several where numbers turn out to count replicates.

    Raises
    ------
    MissingFileError, FileFormatError
        A file is not there, or is not FASTQ, or has no reads.
    OptionError
        The names say one thing and the reads another, or a mate is missing.
    """
    by_mate: dict[int | None, dict[str, Path]] = {}
    for path, name in members.items():
        lanes = by_mate.setdefault(name.mate, {})
        if name.lane in lanes:
            raise OptionError(
                f"{lanes[name.lane]} and {path} have the same sample, lane and mate; leave one of them out."
            )
        lanes[name.lane] = path
    first, second, alone = (by_mate.get(mate, {}) for mate in (1, 2, None))
    certain = all(name.certain for name in members.values() if name.mate)
    if first.keys() == second.keys() and first and (layout == "paired" or _are_mates(first, second, certain)):
        if alone:
            _logger.warning(
                "%s: reads without a mate are left out: %s", sample, ", ".join(map(str, alone.values()))
            )
        order = sorted(first)
        return [Reads(sample, tuple(first[lane] for lane in order), tuple(second[lane] for lane in order))]
    missing = first.keys() ^ second.keys()
    if layout == "paired" or (missing and first and second) or (second and not first and certain):
        raise OptionError(
            f"{sample}: these are not pairs of files: {', '.join(path.name for path in members)}; add the "
            "missing mates, or pass layout='single' if there are none."
        )
    singles = [_single(sample, alone)] if alone else []
    for lanes_of_mate in (first, second):
        if lanes_of_mate:
            whole = stem_of(next(iter(lanes_of_mate.values())))
            # A number that marks no mate belongs to the name; R1 never does.
            singles.append(_single(sample if certain or len(lanes_of_mate) > 1 else whole, lanes_of_mate))
    return singles


def merge(sample: str, parts: Sequence[Reads]) -> Reads:
    """Join what was grouped into one sample, e.g. its lanes; single reads and pairs do not mix."""
    if len({part.paired for part in parts}) != 1:
        found = ", ".join(path.name for part in parts for path in part.files) or "no files"
        raise OptionError(
            f"{sample}: single reads and pairs do not make one sample ({found}); align them apart."
        )
    first = tuple(path for part in parts for path in part.first)
    return Reads(sample, first, tuple(path for part in parts for path in part.second))


def count_records(path: Path, *, alive: Callable[[], None] = lambda: None) -> int:
    """Read a FASTQ file through to its end, and return the number of its records.

    This is what notices a cut or damaged file, of which kallisto says nothing: gzip's own checksums, a last record
    that is not whole. It costs the time to decompress, and next to no memory.

    Parameters
    ----------
    path : Path
        The file.
    alive : callable
        Called now and then; may raise.

    Raises
    ------
    FileFormatError
        The file is damaged, or ends within a record.
    """
    newlines, before, last = 0, b"", b""
    with _opened(path) as stream:
        while block := _read(stream, path, _BLOCK):
            alive()
            newlines += block.count(b"\n")
            before, last = (last, block) if len(block) == _BLOCK else ((before + last)[-_BLOCK:], block)
    tail = (before + last).split(b"\n")
    lines = newlines + 1  # the last one may lack its newline
    # A read of which trimming left nothing has blank lines of its own: only those after a whole record are none.
    while lines and (lines % 4 or not _is_whole(tail[-4:])):
        if not tail or tail[-1].rstrip(b"\r"):
            raise FileFormatError(
                f"{path} ends in the middle of a record, after {(lines - 1) // 4:,} whole ones; fetch it again."
            )
        tail.pop()
        lines -= 1
    return lines // 4


def _is_whole(end: Sequence[bytes]) -> bool:
    """Tell whether the last lines of a file, without their newlines, end a record."""
    lines = [line.rstrip(b"\r") for line in end]
    # Fewer than four are at hand of a record that is longer than what is remembered of the file.
    return _is_record(lines) if len(lines) == 4 else any(lines[-1:])


def _on_its_own(path: Path, name: FastqName) -> FastqName:
    """Return a name that shares its sample with other lanes alone."""
    stem = stem_of(path)
    sample = stem.replace(f"_{name.lane[:4]}", "", 1) if name.lane.startswith("L") else stem
    return FastqName(sample, name.lane, None, True)


def _single(sample: str, lanes: dict[str, Path]) -> Reads:
    files = tuple(lanes[lane] for lane in sorted(lanes))
    for path in files:
        records = _first_records(path)
        if (
            len(records) > 1
            and _mate_of(records[0]) == 1
            and _mate_of(records[1]) == 2
            and _same(*records[:2])
        ):
            raise FileFormatError(
                f"{path} has both mates of each pair, one after the other; split it into two files, e.g. with "
                "seqkit split2 or reformat.sh."
            )
    return Reads(sample, files)


def _are_mates(first: dict[str, Path], second: dict[str, Path], certain: bool) -> bool:
    """Tell from their first records whether two files, named like mates, are."""
    for lane, path in first.items():
        ones, twos = _first_records(path), _first_records(second[lane])
        if all(_same(one, two) for one, two in zip(ones, twos, strict=False)):
            continue
        replicates = not certain and _mate_of(twos[0]) != 2
        if replicates and _mate_of(twos[0]) == 1:
            return False
        raise OptionError(
            f"{path} and {second[lane].name} are named like mates, and their reads have other names "
            f"({_shown(ones[0])}, {_shown(twos[0])}); if each is a sample of its own, pass layout='single', and "
            "layout='paired' if their order is right all the same."
        )
    return True


def _first_records(path: Path) -> list[bytes]:
    """Return the title lines of a file's first records, which must be records."""
    with _opened(path) as stream:
        lines = _read(stream, path, 4 * _BLOCK).split(b"\n", 4 * _COMPARED)[: 4 * _COMPARED]
    records = [[line.rstrip(b"\r") for line in lines[at : at + 4]] for at in range(0, len(lines), 4)]
    whole = [record for record in records if len(record) == 4]
    if not whole and not b"".join(lines).strip():
        raise FileFormatError(f"{path} has no reads; leave it out, or fetch it again.")
    if not whole or not _is_record(whole[0]):
        raise FileFormatError(
            f"{path} is not FASTQ with four lines a record: it begins with {b' '.join(lines)[:40]!r}."
        )
    return [record[0] for record in whole]


def _is_record(lines: Sequence[bytes]) -> bool:
    title, sequence, plus, quality = lines
    return title.startswith(b"@") and plus.startswith(b"+") and len(sequence) == len(quality)


def _same(one: bytes, two: bytes) -> bool:
    """Tell whether two titles name the two mates of one pair."""
    a, b = one.split(maxsplit=1)[0], two.split(maxsplit=1)[0]
    if a == b:
        return True
    return a[:-2] == b[:-2] and a[-2:-1] in {b"/", b".", b"_"} and a[-1:] == b"1" and b[-1:] == b"2"


def _mate_of(title: bytes) -> int | None:
    """Return which mate a record says it is: ``@name/1``, ``@name 1:N:0:ACGT``, or ``@SRR1.1 1/1``."""
    found = re.match(rb"@\S+?/([12])(?:\s|$)|@\S+\s+(?:([12]):[YN]:|\S+/([12])(?:\s|$))", title)
    return int(next(filter(None, found.groups()))) if found else None


def _shown(title: bytes) -> str:
    return title[:60].decode(errors="replace")


class _opened:
    """The decompressed stream of a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> IO[bytes]:
        try:
            self._raw = self.path.open("rb")
        except OSError as error:
            raise MissingFileError(
                f"{self.path} cannot be read ({error.strerror or error}); check its path."
            ) from error
        start = self._raw.read(8)
        self._raw.seek(0)
        for magic, kind in _FOREIGN.items():
            if start.startswith(magic):
                self._raw.close()
                raise FileFormatError(
                    f"{self.path} is {kind}, which kallisto does not read; convert it to .fastq.gz."
                )
        if not start.startswith(b"\x1f\x8b"):
            return self._raw
        return gzip.GzipFile(fileobj=self._raw)  # type: ignore[return-value]

    def __exit__(self, *_: object) -> None:
        self._raw.close()


def _read(stream: IO[bytes], path: Path, size: int) -> bytes:
    """Read that many bytes, or what is left."""
    blocks = []
    try:
        while size > 0 and (block := stream.read(size)):
            blocks.append(block)
            size -= len(block)
    except EOFError:
        raise FileFormatError(f"{path} is cut off: its gzip stream has no end; fetch it again.") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise FileFormatError(f"{path} is damaged ({error}); fetch it again.") from None
    except OSError as error:
        raise FileFormatError(f"{path} cannot be read ({error.strerror or error}).") from error
    return b"".join(blocks)
