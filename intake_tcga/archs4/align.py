"""From reads to counts: FASTQ files or runs of the archives, aligned as ARCHS4 does, as a Dataset of its data model."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from intake_tcga._version import __version__
from intake_tcga.archs4 import ena, ensembl
from intake_tcga.archs4.ena import Run, find_runs
from intake_tcga.archs4.fastq import FastqName, Layout, Reads, merge
from intake_tcga.archs4.kallisto import Abundances, FragmentLengths, find_kallisto
from intake_tcga.archs4.quantification import Quantifier
from intake_tcga.archs4.read_sources import Sample, Samples, Source, Sources, find_samples, paired
from intake_tcga.archs4.reference import Reference, Wanted
from intake_tcga.cache.store import VerifiedFileCache
from intake_tcga.errors import AlignmentError, IntakeTcgaError, OptionError
from intake_tcga.progress import Progress

if TYPE_CHECKING:
    import xarray as xr

ReturnType = Literal["gene", "transcript", "tpm"]
Errors = Literal["raise", "skip"]

CITATION = (
    "Bray et al., Nature Biotechnology 34, 525 (2016); Lachmann et al., Nature Communications 9, 1366 (2018)"
)


def align(
    sources: Sources,
    *,
    species: str = "human",
    release: int = 107,
    return_type: ReturnType = "gene",
    transcriptome: Source | Sequence[Source] | None = None,
    layout: Layout = "auto",
    fragment_length: float = 200,
    fragment_sd: float = 20,
    kmer: int = 31,
    threads: int | None = None,
    errors: Errors = "raise",
    keep_fastq: bool = True,
    kallisto: Source | None = None,
    cache: VerifiedFileCache | Source | None = None,
    storage_options: Mapping[str, Any] | None = None,
    offline: bool | str | None = None,
    progress: bool | None = None,
    ensembl_url: str = ensembl.ENSEMBL_URL,
    ena_url: str = ena.ENA_URL,
) -> xr.Dataset:
    """Align reads to a transcriptome with kallisto, and return counts that compare with those of ARCHS4.

    The first call for a transcriptome downloads it (some 100 MB for human) and builds its index (minutes, some GB of
    memory); both stay in the cache. All sources are looked at before the first is aligned. Beside kallisto, each file
    is read through to its end, for a fifth of kallisto's own time: kallisto itself takes a cut file for a whole one.

    Parameters
    ----------
    sources : path, accession, sequence of these, or mapping
        FASTQ files (``.fastq``, ``.fq``, with or without ``.gz``); folders with such files, also in their subfolders;
        accessions of runs (``SRR…``, ``ERR…``, ``DRR…``), or of an experiment, sample, study or project for all of
        its runs, whose files the European Nucleotide Archive serves. Mates and lanes are put together by their names
        and their reads' names. A mapping gives samples their names instead, and the files of each, or the runs that
        make it up. What exists as a path is one.
    species : str
        ``human``, ``mouse``, ``rat``, ``zebrafish``, or a name as Ensembl has it (``sus_scrofa``).
    release : int
        Of Ensembl; ARCHS4 uses 107. Coding (cDNA) and non-coding (ncRNA) transcripts are taken.
    return_type : {"gene", "transcript", "tpm"}
        Counts of genes: kallisto's estimates summed over the transcripts of a gene, then rounded. Counts of
        transcripts: rounded. Or transcripts per million, not rounded.
    transcriptome : path or URL, or sequence of these, optional
        FASTA files to use instead of Ensembl's; genes are told by headers as Ensembl or GENCODE write them (GENCODE's
        tell no gene's biotype, which is ``""`` then).
    layout : {"auto", "paired", "single"}
        ``paired`` takes the names' word for which files are mates; ``single`` takes each file as single reads, also
        those of runs that are of pairs, which fail otherwise where the archive does not tell their mates apart.
    fragment_length, fragment_sd : float
        Mean and standard deviation of the fragments' lengths in bases, for single reads; pairs tell them.
    kmer : int
        Length of the index's k-mers: odd, 31 at most. Shorter reads than that never align.
    threads : int, optional
        Of kallisto. None: as many as there are processors.
    errors : {"raise", "skip"}
        What becomes of samples that fail. ``raise``: one error at the end that names them all. ``skip``: a warning
        that does, and the Dataset of the others; an error where there are no others.
    keep_fastq : bool
        Keep the FASTQ files of runs in the cache, which may be many GB; else each is removed once aligned.
    kallisto : path, optional
        A binary to use. None: that of the package kb-python, else the one on ``PATH``.
    cache : VerifiedFileCache or path, optional
        Where downloads and indexes are kept. None: the default cache.
    storage_options : mapping, optional
        Options of fsspec for every URL here, flat or keyed by protocol.
    offline : bool or str, optional
        Never use a socket: what is in the cache must do. Runs are looked up in the archive, and need one.
    progress : bool, optional
        Show what is being done: None on a terminal or in a notebook, True always, False never.
    ensembl_url, ena_url : str
        Mirrors of Ensembl's folder of releases, and of the archive's portal.

    Returns
    -------
    xarray.Dataset
        In memory. ``counts`` (sample, feature) uint32, or ``tpm`` (sample, feature) float64. Along ``sample``, in the
        order of the sources: ``layout``, ``n_processed`` and ``n_pseudoaligned`` (reads, or pairs) and
        ``p_pseudoaligned`` (percent). Along ``feature``, Ensembl's ids without versions in the order of the
        FASTA files: ``symbol`` and ``biotype`` of the gene, and for transcripts ``ensembl_gene``. What it was made with
        is in the attributes.

    Raises
    ------
    OptionError
        An option or a source is not usable.
    NameNotFoundError
        Ensembl or the archive has no such thing.
    AlignmentError
        Some samples could not be aligned: kallisto failed, or no read aligned. The error of an only failure is
        raised as it is: also FileFormatError for a cut, empty or damaged file, and those of downloads.
    MissingDependencyError
        There is no kallisto; the message installs it.
    TransferError, IntegrityError, CacheError
        The transcriptome could not be fetched or kept.

    Examples
    --------
    >>> ds = align(["SRR14457464"], species="human", return_type="gene")  # doctest: +SKIP
    >>> ds = align({"treated": ["a_R1.fastq.gz", "a_R2.fastq.gz"], "control": "SRR14457464"})  # doctest: +SKIP
    """
    _check(
        return_type=(return_type, get_args(ReturnType)),
        layout=(layout, get_args(Layout)),
        errors=(errors, get_args(Errors)),
    )
    fragments = FragmentLengths(fragment_length, fragment_sd)
    wanted = Wanted.of(species, release, transcriptome, ensembl_url)
    number = _threads(threads)
    store = _cache(cache, offline, progress)
    binary = find_kallisto(kallisto, store.root / "archs4" / "tools")

    archive = partial(
        find_runs, url=ena_url, storage_options=storage_options, offline=store.offline, budget=store.budget
    )
    samples = find_samples(
        sources,
        layout=layout,
        find_runs=archive,
        check_run=partial(_check_run, species=wanted.species, layout=layout),
    )
    _report(samples.failures, errors=errors, others=len(samples.found), early=True)
    reference = wanted.obtain(binary, store, kmer=kmer, threads=number, storage_options=storage_options)
    if return_type == "gene":
        reference.transcriptome.genes()  # before hours of work: headers may not tell them
    batch = _Batch(
        Quantifier(binary, reference, fragments, number), layout, store, storage_options, keep_fastq
    )
    found = batch.run(samples)
    _report(samples.failures, errors=errors, others=len(found))
    return _dataset(found, reference, return_type, _provenance(batch.quantify, found))


@dataclass(frozen=True, slots=True, eq=False)
class _Aligned:
    """One sample's outcome."""

    reads: Reads
    abundances: Abundances


@dataclass(frozen=True, slots=True)
class _Batch:
    """Samples one after the other: each fetched, aligned, and its downloads discarded if they are not wanted."""

    quantify: Quantifier
    layout: Layout
    cache: VerifiedFileCache
    storage_options: Mapping[str, Any] | None
    keep_fastq: bool

    def run(self, samples: Samples) -> dict[str, _Aligned]:
        """Return what could be aligned; what could not joins the failures."""
        found = {}
        sizes = {name: _size(sample) for name, sample in samples.found.items()}
        with Progress("kallisto", sum(sizes.values()), self.cache.progress) as bar:
            for name, sample in samples.found.items():
                try:
                    found[name] = self._aligned(name, sample, _part_of(bar, name, sizes[name]))
                except IntakeTcgaError as error:
                    samples.failures[name] = error
                    continue
                bar.at(name, sizes[name])
                self._discard(name, sample)
        return found

    def _aligned(self, name: str, sample: Sample, on_part: Callable[[float], None]) -> _Aligned:
        try:
            reads = self._reads(name, sample)
            return _Aligned(reads, self.quantify(reads, on_part=on_part))
        except IntakeTcgaError:
            raise
        except OSError as error:  # of the folder for temporary files; all others have errors of their own
            where = error.filename or "the folder for temporary files"
            raise AlignmentError(
                f"{name}: {where} cannot be used ({error.strerror or error}); free some space there, or set TMPDIR to "
                "another folder."
            ) from error

    def _reads(self, name: str, sample: Sample) -> Reads:
        if isinstance(sample, Reads):
            return sample
        files = [
            path for run in sample for path in run.fetch(self.cache, storage_options=self.storage_options)
        ]
        return merge(name, paired(files, self.layout))

    def _discard(self, name: str, sample: Sample) -> None:
        if isinstance(sample, Reads) or self.keep_fastq:
            return
        try:
            for file in (file for run in sample for file in run.files):
                self.cache.clear(version=file.version, name=file.name)
        except OSError as error:
            warnings.warn(f"{name} is aligned, and its files stay: {error}", stacklevel=4)


def _part_of(bar: Progress, name: str, size: int) -> Callable[[float], None]:
    return lambda part: bar.at(name, int(part * size))


def _dataset(
    found: Mapping[str, _Aligned], reference: Reference, return_type: ReturnType, attrs: Mapping[str, Any]
) -> xr.Dataset:
    import xarray as xr

    transcripts = list(reference.transcriptome.transcripts.values())
    abundances = [aligned.abundances for aligned in found.values()]
    along_feature = {
        "symbol": [transcript.symbol for transcript in transcripts],
        "biotype": [transcript.biotype for transcript in transcripts],
        "ensembl_gene": [transcript.gene or "" for transcript in transcripts],
    }
    features: Sequence[str] = [transcript.id for transcript in transcripts]
    if return_type == "tpm":
        values: npt.NDArray[Any] = np.stack([sample.tpm for sample in abundances])
    elif return_type == "transcript":
        values = np.stack([_rounded(sample.counts) for sample in abundances])
    else:
        genes = reference.transcriptome.genes()
        features = genes.ids
        along_feature = {"symbol": list(genes.symbols), "biotype": list(genes.biotypes)}
        values = np.stack([_rounded(genes.sums(sample.counts)) for sample in abundances])
    processed = np.array([sample.n_processed for sample in abundances], np.int64)
    aligned = np.array([sample.n_pseudoaligned for sample in abundances], np.int64)
    layouts = ["paired" if sample.reads.paired else "single" for sample in found.values()]
    name = "tpm" if return_type == "tpm" else "counts"
    return xr.Dataset(
        {name: (("sample", "feature"), values)},
        coords={
            "sample": _text(found),
            "feature": _text(features),
            **{name: ("feature", _text(labels)) for name, labels in along_feature.items()},
            "layout": ("sample", _text(layouts)),
            "n_processed": ("sample", processed),
            "n_pseudoaligned": ("sample", aligned),
            "p_pseudoaligned": ("sample", 100 * aligned / processed),
        },
        attrs=dict(attrs),
    )


def _provenance(quantifier: Quantifier, found: Mapping[str, _Aligned]) -> dict[str, Any]:
    reference, fragments = quantifier.reference, quantifier.fragments
    attrs = {
        **reference.origin,
        "intake_tcga:kallisto_version": quantifier.kallisto.version,
        "intake_tcga:index_digest": str(reference.index.digest),
        "intake_tcga:kmer": reference.kmer,
    }
    if not all(aligned.reads.paired for aligned in found.values()):
        attrs |= {
            "intake_tcga:fragment_length": float(fragments.mean),
            "intake_tcga:fragment_sd": float(fragments.sd),
        }
    return attrs | {"intake_tcga:package_version": __version__, "citation": CITATION}


def _report(
    failures: Mapping[str, IntakeTcgaError], *, errors: Errors, others: int, early: bool = False
) -> None:
    """Raise, or warn of, all failures together; an only one as it is."""
    if not failures:
        return
    number = len(failures) + others
    reasons = "\n".join(f"- {_named(name, str(error))}" for name, error in failures.items())
    if errors == "skip" and others:
        if not early:  # else said once, with those to come
            warnings.warn(f"{len(failures)} of {number} samples are left out:\n{reasons}", stacklevel=3)
        return
    first = next(iter(failures.values()))
    if number == 1:
        raise first
    kept = "; nothing was aligned" if early else "; errors='skip' returns the others" if others else ""
    raise AlignmentError(
        f"{len(failures)} of {number} samples could not be aligned{kept}:\n{reasons}"
    ) from first


def _named(name: str, reason: str) -> str:
    return reason if reason.startswith(name) else f"{name}: {reason}"


def _check_run(run: Run, species: str | None, layout: Layout) -> None:
    """Refuse a run without files, one of pairs without both mates, and one of another species than is meant."""
    run.require_files()
    names = [file.name for file in run.files]
    if run.paired and layout != "single" and not {FastqName.of(Path(name)).mate for name in names} >= {1, 2}:
        raise OptionError(
            f"{run.accession} is of pairs, and the archive's files do not tell their mates apart ({', '.join(names)}); "
            "pass layout='single' to take them as single reads, or convert the run yourself (fasterq-dump --split-3)."
        )
    theirs = run.species.lower().replace(" ", "_")
    if species and theirs and not (theirs + "_").startswith(species + "_"):
        raise OptionError(
            f"{run.accession} is of {run.species}, not of {species}; pass species={theirs!r} for it, or transcriptome= "
            "to align it all the same."
        )


def _rounded(values: npt.NDArray[np.float64]) -> npt.NDArray[np.uint32]:
    if values.max(initial=0) > np.iinfo(np.uint32).max:
        raise AlignmentError(
            f"A count of {values.max():,.0f} is more than 32 bits hold; use return_type='tpm'."
        )
    return np.rint(values).astype(np.uint32)


def _text(labels: Any) -> npt.NDArray[np.object_]:
    return np.array(list(labels), dtype=object)


def _size(sample: Sample) -> int:
    """Return how many bytes there are, for the bar alone: of files that are there no longer, their sample tells."""
    if isinstance(sample, Reads):
        return sum(path.stat().st_size for path in sample.files if path.exists())
    return sum(run.size for run in sample)


def _cache(
    cache: VerifiedFileCache | Source | None, offline: bool | str | None, progress: bool | None
) -> VerifiedFileCache:
    if not isinstance(cache, VerifiedFileCache):
        return VerifiedFileCache(cache, offline=offline, progress=progress)
    asked = {"offline": offline, "progress": progress}
    return cache.but(**{name: value for name, value in asked.items() if value is not None})


def _threads(threads: int | None) -> int:
    if threads is None:
        has_affinity = hasattr(os, "sched_getaffinity")
        return len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    if threads < 1:
        raise OptionError(f"threads={threads!r} cannot be; use a number from 1, or None for all processors.")
    return int(threads)


def _check(**options: tuple[str, Sequence[str]]) -> None:
    for name, (value, allowed) in options.items():
        if value not in allowed:
            raise OptionError(f"{name}={value!r} is not an option; use {', '.join(map(repr, allowed))}.")
