"""kallisto: where its binary is, what it is called with, how it is run, and whether to believe what it wrote.

The one module that starts other programs.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from intake_tcga.digest import Digest
from intake_tcga.errors import AlignmentError, MissingDependencyError, MissingFileError, OptionError
from intake_tcga.transfer.parts import explain

if TYPE_CHECKING:
    from intake_tcga.archs4.fastq import Reads

_logger = logging.getLogger(__name__)
_POLL = 0.1  # seconds between two looks at the running program
_FIRST_WITH_INDEX_THREADS = (0, 50)  # earlier versions refuse -t and -T when indexing
_TAIL = 64 * 1024  # bytes of a log's end in which its last words are


@dataclass(frozen=True, slots=True)
class Kallisto:
    """A kallisto that runs on this machine."""

    path: Path
    version: str
    """As it says itself, e.g. ``0.52.0``: indexes of one version cannot be read by another."""


@dataclass(frozen=True, slots=True)
class FragmentLengths:
    """What single-end reads do not tell: how long the fragments are that they begin."""

    mean: float = 200.0
    """In bases."""

    sd: float = 20.0
    """In bases."""

    def __post_init__(self) -> None:
        if not (self.mean > 0 and self.sd > 0 and np.isfinite(self.mean) and np.isfinite(self.sd)):
            raise OptionError(
                f"fragment_length={self.mean!r} and fragment_sd={self.sd!r} cannot be; give two positive numbers of "
                "bases, e.g. 200 and 20."
            )


@dataclass(frozen=True, slots=True, eq=False)
class Abundances:
    """What kallisto found in one sample, a value a transcript, in the index's order."""

    transcripts: npt.NDArray[np.object_]
    """Names, as the FASTA files have them."""

    counts: npt.NDArray[np.float64]
    """Reads, or pairs of reads, as estimated: not whole numbers."""

    tpm: npt.NDArray[np.float64]
    """Transcripts per million."""

    n_processed: int
    """Reads, or pairs."""

    n_pseudoaligned: int
    """How many of them were found in some transcript."""


def find_kallisto(given: str | os.PathLike[str] | None, folder: Path) -> Kallisto:
    """Return the kallisto to be used: the one given, else kb-python's, else the one on ``PATH``.

    Parameters
    ----------
    given : path, optional
        A binary of the user's.
    folder : Path
        Where a copy of kb-python's goes, should its own not be executable.

    Raises
    ------
    MissingDependencyError
        There is none.
    MissingFileError
        The given one is not there.
    AlignmentError
        It does not run.
    """
    if given is not None:
        path = Path(given).expanduser().absolute()
        if not path.is_file():
            raise MissingFileError(f"{path} is not there; give the path of a kallisto binary, or none.")
        return Kallisto(path, _version(path))
    bundled = _bundled()
    if bundled is not None:
        path = bundled if os.access(bundled, os.X_OK) else _executable_copy(bundled, folder)
        return Kallisto(path, _version(path))
    if on_path := shutil.which("kallisto"):
        path = Path(on_path).absolute()  # it runs in other folders than this
        return Kallisto(path, _version(path))
    raise MissingDependencyError(
        "kallisto, which aligns the reads, is not installed: pip install --no-deps 'kb-python>=0.30.2' brings its "
        "binary (of the other packages that kb-python asks for none is needed here; pip install 'intake-tcga[align]' "
        "brings them too), or put a kallisto on PATH."
    )


def index_arguments(
    kallisto: Kallisto, fasta: Sequence[Path], index: Path, *, kmer: int, threads: int, scratch: Path
) -> list[str]:
    """Return the command that builds an index.

    Examples
    --------
    >>> command = index_arguments(Kallisto(Path("kallisto"), "0.48.0"), [Path("a.fa")], Path("a.idx"),
    ...                           kmer=31, threads=2, scratch=Path("tmp"))
    >>> " ".join(command)
    'kallisto index -i a.idx -k 31 a.fa'
    """
    command = [str(kallisto.path), "index", "-i", str(index), "-k", str(kmer)]
    if _numbers(kallisto.version) >= _FIRST_WITH_INDEX_THREADS:
        command += ["-t", str(threads), "-T", str(scratch)]
    return command + [str(path) for path in fasta]


def quant_arguments(
    kallisto: Kallisto, index: Path, reads: Reads, output: Path, *, threads: int, fragments: FragmentLengths
) -> list[str]:
    """Return the command that quantifies one sample: what ARCHS4 calls kallisto with, and a word of its progress.

    Examples
    --------
    >>> from intake_tcga.archs4.fastq import Reads
    >>> command = quant_arguments(Kallisto(Path("kallisto"), "0.52.0"), Path("a.idx"), Reads("s", (Path("s.fq"),)),
    ...                           Path("out"), threads=2, fragments=FragmentLengths())
    >>> " ".join(command)
    'kallisto quant -i a.idx -o out -t 2 --verbose --single -l 200.0 -s 20.0 s.fq'
    """
    command = [
        str(kallisto.path),
        "quant",
        "-i",
        str(index),
        "-o",
        str(output),
        "-t",
        str(threads),
        "--verbose",
    ]
    if not reads.paired:
        command += ["--single", "-l", str(float(fragments.mean)), "-s", str(float(fragments.sd))]
    return command + [str(path) for path in reads.files]


def run(command: Sequence[str], log: Path, *, meanwhile: Callable[[], None] = lambda: None) -> int:
    """Run a command to its end, and return its exit status; below zero, the signal that ended it.

    What it prints goes to a file, which never fills up as a pipe does. It runs in that file's folder. If anything
    happens here, Ctrl-C included, it is killed.

    Parameters
    ----------
    command : sequence of str
        The program and its arguments; no shell reads them.
    log : Path
        Where its output goes.
    meanwhile : callable
        Called some times a second; may raise, which ends the program.

    Raises
    ------
    AlignmentError
        The program cannot be started.
    """
    _logger.debug("%s", command)
    with log.open("wb") as sink:
        try:
            child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT, cwd=log.parent
            )
        except OSError as error:
            raise AlignmentError(
                f"{command[0]} does not run here ({error.strerror or error}); install a kallisto for this machine "
                "and give its path as kallisto=."
            ) from error
        try:
            while True:
                try:
                    return child.wait(_POLL)
                except subprocess.TimeoutExpired:
                    meanwhile()
        except BaseException:
            child.kill()
            child.wait()
            raise


def how_it_ended(status: int, log: Path) -> str:
    r"""Say how a program ended, with its last words.

    Examples
    --------
    >>> log = Path(tempfile.mkdtemp()) / "log"
    >>> _ = log.write_text("[build] loading\nError: repeated name in FASTA file\n\nRun with --make-unique\n")
    >>> how_it_ended(1, log)
    'kallisto ended with status 1: Error: repeated name in FASTA file'
    """
    lines = [line.strip() for line in re.split(r"[\r\n]+", _end_of(log)) if line.strip()]
    telling = [line for line in lines if re.match(r"\[?~?(error|warn)", line, re.IGNORECASE)]
    words = (telling or lines or ["it said nothing"])[-1]
    if status < 0:
        reason = (
            "; that is how a system ends a program for which it has too little memory" if status == -9 else ""
        )
        return f"kallisto was killed by signal {-status}{reason} ({words})"
    return f"kallisto ended with status {status}: {words}"


def reads_processed(log: Path) -> int | None:
    """Return how many millions of reads a running kallisto says it has done, as a number of reads."""
    found = re.findall(r"\[progress\] (\d+)M reads processed", _end_of(log))
    return int(found[-1]) * 1_000_000 if found else None


def read_abundances(output: Path, *, sample: str, status: int, log: Path, expected: int) -> Abundances:
    """Return what kallisto wrote, if it is to be believed.

    Parameters
    ----------
    output : Path
        Folder that it wrote to, empty before.
    sample : str
        Named in errors.
    status : int
        Its exit status.
    log : Path
        What it said.
    expected : int
        Reads, or pairs, that the files have.

    Raises
    ------
    AlignmentError
        It failed; or nothing aligned, for which it writes zeros; or it did not read what is there.
    """
    summary = _summary(output)
    processed, aligned = summary.get("n_processed"), summary.get("n_pseudoaligned")
    if processed and aligned == 0:
        raise AlignmentError(
            f"{sample}: none of its {processed:,} reads aligned; check that they are RNA of this species, and longer "
            "than the index's k-mers."
        )
    if status != 0:
        raise AlignmentError(f"{sample}: {how_it_ended(status, log)}.")
    if not isinstance(processed, int) or not isinstance(aligned, int) or aligned <= 0:
        raise AlignmentError(f"{sample}: kallisto left no valid run_info.json; {how_it_ended(status, log)}.")
    if processed != expected:
        raise AlignmentError(
            f"{sample}: kallisto read {processed:,} reads where its files have {expected:,}; a record within them is "
            "damaged. Fetch them again."
        )
    names, counts, tpm = _values(output, sample)
    return Abundances(names, counts, tpm, processed, aligned)


def targets_in(log: Path) -> int | None:
    """Return the number of transcripts that kallisto said an index has."""
    found = re.search(r"number of targets: ([\d,]+)", log.read_text(errors="replace"))
    return int(found[1].replace(",", "")) if found else None


def _bundled() -> Path | None:
    """Return the binary for this machine in the package kb-python, without importing that, or None."""
    from importlib.util import find_spec

    spec = find_spec("kb_python")
    folders = {"linux": "linux", "darwin": "darwin", "win32": "windows"}
    folder = folders.get(sys.platform)
    arm = platform.machine().lower() in {"arm64", "aarch64"}
    if spec is None or not spec.submodule_search_locations or folder is None or (arm and folder != "darwin"):
        return None  # its binaries are for x86-64, but for Apple's
    name = "kallisto.exe" if folder == "windows" else "kallisto"
    below = Path("bins", folder, *(["m1"] if arm else []), "kallisto", name)
    found = [Path(place) / below for place in spec.submodule_search_locations]
    return next((path for path in found if path.is_file()), None)


def _executable_copy(binary: Path, folder: Path) -> Path:
    """Return a copy that may be executed: unpackers of wheels may lose that bit, and the original is not ours."""
    copy = folder / f"{binary.stem}-{Digest.of(binary).hex[:12]}{binary.suffix}"
    if not copy.exists():
        fresh = copy.with_name(f".{copy.name}.{secrets.token_hex(4)}")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(binary, fresh)
            fresh.chmod(0o755)
            fresh.replace(copy)
        except OSError as error:
            fresh.unlink(missing_ok=True)
            raise explain(error, copy, binary.stat().st_size) from error
    return copy


def _version(path: Path) -> str:
    with tempfile.TemporaryDirectory(prefix="intake-tcga-") as folder:
        log = Path(folder) / "log"
        status = run([str(path), "version"], log)
        found = re.search(r"kallisto,? version (\S+)", _end_of(log))
        if status != 0 or not found:
            raise AlignmentError(f"{path} is not a kallisto that runs here: {how_it_ended(status, log)}.")
    return found[1]


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])


def _end_of(log: Path) -> str:
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL))
            return file.read().decode(errors="replace")
    except OSError:
        return ""


def _summary(output: Path) -> dict[str, Any]:
    try:
        summary = json.loads((output / "run_info.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return summary if isinstance(summary, dict) else {}


def _values(
    output: Path, sample: str
) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    try:
        if (output / "abundance.h5").exists():
            names, counts, lengths = _from_hdf5(output / "abundance.h5")
        else:
            names, counts, lengths = _from_text(output / "abundance.tsv")
    except (OSError, KeyError, ValueError, IndexError) as error:
        raise AlignmentError(f"{sample}: what kallisto wrote cannot be read ({error}); try again.") from error
    if not (np.isfinite(counts).all() and (counts >= 0).all() and counts.sum() > 0 and (lengths > 0).all()):
        raise AlignmentError(
            f"{sample}: kallisto wrote counts or lengths that cannot be; try another version."
        )
    rate = counts / lengths
    return names, counts, rate / rate.sum() * 1e6


def _from_hdf5(
    path: Path,
) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    import h5py

    with h5py.File(path, "r") as file:
        names = np.array([name.decode() for name in file["aux/ids"][:]], object)
        return names, file["est_counts"][:].astype(np.float64), file["aux/eff_lengths"][:].astype(np.float64)


def _from_text(
    path: Path,
) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    # Builds without HDF5 write this alone; it has six digits of each number.
    rows = [line.split("\t") for line in path.read_text().splitlines()]
    columns = {name: at for at, name in enumerate(rows[0])}
    names = np.array([row[columns["target_id"]] for row in rows[1:]], object)
    counts, lengths = (
        np.array([float(row[columns[name]]) for row in rows[1:]]) for name in ("est_counts", "eff_length")
    )
    return names, counts, lengths
