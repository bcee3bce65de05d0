"""The counts of one sample: kallisto on its files, and beside it a look at whether the files are whole."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from intake_tcga.archs4.fastq import Reads, count_records
from intake_tcga.archs4.kallisto import (
    Abundances,
    FragmentLengths,
    Kallisto,
    quant_arguments,
    read_abundances,
    reads_processed,
    run,
)
from intake_tcga.archs4.reference import Reference
from intake_tcga.errors import AlignmentError, FileFormatError

_AT_A_TIME = 2  # files looked at beside kallisto


@dataclass(frozen=True, slots=True)
class Quantifier:
    """kallisto with an index and options: everything but the reads."""

    kallisto: Kallisto
    reference: Reference
    fragments: FragmentLengths
    threads: int

    def __call__(self, reads: Reads, *, on_part: Callable[[float], None] = lambda part: None) -> Abundances:
        """Return what is in a sample, a value for each of the reference's transcripts, in their order.

        Parameters
        ----------
        reads : Reads
            The sample's files.
        on_part : callable
            Told which part of the reads is done, from 0 to 1.

        Raises
        ------
        AlignmentError
            kallisto failed, or nothing aligned.
        FileFormatError
            A file is damaged or cut off, or mates differ in number.
        """
        with tempfile.TemporaryDirectory(prefix="intake-tcga-") as name, _Counting(reads) as counting:
            folder = Path(name)
            log, output = folder / "log", folder / "out"

            def meanwhile() -> None:
                counting.check()
                if (total := counting.total) and (done := reads_processed(log)):
                    on_part(min(done / total, 1))

            command = quant_arguments(
                self.kallisto,
                self.reference.index.path,
                reads,
                output,
                threads=self.threads,
                fragments=self.fragments,
            )
            status = run(command, log, meanwhile=meanwhile)
            expected = counting.result()
            found = read_abundances(output, sample=reads.sample, status=status, log=log, expected=expected)
        return self._in_order(found, reads.sample)

    def _in_order(self, found: Abundances, sample: str) -> Abundances:
        """Bring values into the reference's order, which usually is theirs already."""
        wanted = list(self.reference.transcriptome.transcripts)
        names = found.transcripts.tolist()
        if names == wanted:
            return found
        place = {name: at for at, name in enumerate(names)}
        if place.keys() != set(wanted) or len(names) != len(wanted):
            raise AlignmentError(
                f"{sample}: kallisto's index has {len(names):,} transcripts that are not the {len(wanted):,} of the "
                "FASTA files; clear it from the cache and try again."
            )
        order = np.array([place[name] for name in wanted], np.intp)
        return replace(
            found, transcripts=found.transcripts[order], counts=found.counts[order], tpm=found.tpm[order]
        )


class _Stopped(Exception):
    """Ends the counting of records whose number nobody wants any longer."""


class _Counting:
    """Counts the records of a sample's files in other threads."""

    def __init__(self, reads: Reads) -> None:
        self._reads = reads
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(_AT_A_TIME, "intake-tcga-fastq")
        self._counts: dict[Path, Future[int]] = {}

    def __enter__(self) -> _Counting:
        for path in self._reads.files:
            self._counts.setdefault(path, self._pool.submit(count_records, path, alive=self._alive))
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._pool.shutdown(cancel_futures=True)

    @property
    def total(self) -> int | None:
        """Reads, or pairs; None while they are being counted."""
        counts = [self._counts[path] for path in self._reads.first]
        return sum(count.result() for count in counts) if all(count.done() for count in counts) else None

    def check(self) -> None:
        """Raise what has been found wrong so far."""
        for count in self._counts.values():
            if count.done():
                count.result()

    def result(self) -> int:
        """Wait for all files, and return the number of reads, or pairs."""
        for one, two in zip(self._reads.first, self._reads.second, strict=False):
            if (a := self._counts[one].result()) != (b := self._counts[two].result()):
                raise FileFormatError(
                    f"{self._reads.sample}: {one.name} has {a:,} reads, and {two.name} with their mates {b:,}; "
                    "fetch both again."
                )
        return sum(self._counts[path].result() for path in self._reads.first)

    def _alive(self) -> None:
        if self._stop.is_set():
            raise _Stopped
