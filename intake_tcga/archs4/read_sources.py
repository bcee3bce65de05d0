"""What a user names, files, folders or accessions, as samples."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from intake_tcga.archs4.ena import Run, is_accession
from intake_tcga.archs4.fastq import Layout, Reads, by_sample, is_fastq, merge, pair
from intake_tcga.errors import FileFormatError, IntakeTcgaError, MissingFileError, OptionError

Source = str | os.PathLike[str]
Sources = Source | Sequence[Source] | Mapping[str, Source | Sequence[Source]]
Sample = Reads | tuple[Run, ...]
"""Files that are here, or runs whose files together are the sample."""


@dataclass(frozen=True, slots=True)
class Samples:
    """Samples by name, in the order of their sources, and those that cannot be had."""

    found: dict[str, Sample] = field(default_factory=dict)
    failures: dict[str, IntakeTcgaError] = field(default_factory=dict)


def find_samples(
    sources: Sources,
    *,
    layout: Layout,
    find_runs: Callable[[str], list[Run]],
    check_run: Callable[[Run], None] = lambda run: None,
) -> Samples:
    """Return the samples that sources name.

    Parameters
    ----------
    sources : path, accession, sequence of these, or mapping
        As in :func:`intake_tcga.archs4.align.align`.
    layout : {"auto", "paired", "single"}
        As in :func:`intake_tcga.archs4.fastq.pair`.
    find_runs : callable
        Returns the runs of an accession.
    check_run : callable
        Raises for a run that cannot be used, which leaves the others of its accession.

    Raises
    ------
    OptionError, MissingFileError, FileFormatError
        A source is nothing that can be used; or two samples have one name. What is wrong with one sample alone is
        among the failures instead.
    """
    if isinstance(sources, Mapping):
        return _named(sources, layout, find_runs, check_run)
    samples = Samples()
    files: dict[Path, int] = {}
    entries: list[tuple[int, str, Sample]] = []
    for at, source in enumerate(dict.fromkeys(_listed(sources))):
        if _is_run(source):
            runs, failures = _usable(str(source), find_runs, check_run)
            entries += [(at, run.accession, (run,)) for run in runs]
            samples.failures.update(failures)
        else:
            files |= {path: at for path in _fastq_files(source) if path not in files}
    for (_, stem), members in by_sample(files, layout=layout).items():
        at = min(files[path] for path in members)
        try:
            entries += [(at, reads.sample, reads) for reads in pair(stem, members, layout=layout)]
        except IntakeTcgaError as error:
            samples.failures[stem] = error
    for _, name, sample in sorted(entries, key=lambda entry: entry[0]):
        if name in samples.found and samples.found[name] != sample:
            raise OptionError(
                f"Several samples are called {name!r}; name them yourself: align({{'one': [files], 'other': [files]}})."
            )
        samples.found[name] = sample
    if not samples.found and not samples.failures:
        raise OptionError(
            "There is nothing to align; give FASTQ files, a folder with some, or accessions of runs."
        )
    return samples


def _named(
    sources: Mapping[str, Source | Sequence[Source]],
    layout: Layout,
    find_runs: Callable[[str], list[Run]],
    check_run: Callable[[Run], None],
) -> Samples:
    samples = Samples()
    for name, given in sources.items():
        listed = _listed(given)
        accessions = [str(source) for source in listed if _is_run(source)]
        files = [path for source in listed if not _is_run(source) for path in _fastq_files(source)]
        try:
            if accessions and files:
                raise OptionError(
                    f"{name}: {accessions[0]} is of the archive and {files[0].name} a file; give a sample one or the "
                    "other."
                )
            runs = _all_usable(accessions, find_runs, check_run)
            samples.found[name] = runs or merge(name, paired(files, layout))
        except IntakeTcgaError as error:
            samples.failures[name] = error
    if not samples.found and not samples.failures:
        raise OptionError("There is nothing to align; give each sample's name and its FASTQ files or runs.")
    return samples


def paired(files: Sequence[Path], layout: Layout) -> list[Reads]:
    """Return files put together by their names and reads: lanes and runs of one sample, of which each is a part."""
    groups = by_sample(files, layout=layout).items()
    return [reads for (_, part), group in groups for reads in pair(part, group, layout=layout)]


def _all_usable(
    accessions: Sequence[str], find_runs: Callable[[str], list[Run]], check_run: Callable[[Run], None]
) -> tuple[Run, ...]:
    """Return runs that are one sample: all of them, or the error of one."""
    runs = tuple(dict.fromkeys(run for accession in accessions for run in find_runs(accession)))
    for run in runs:
        check_run(run)
    return runs


def _usable(
    accession: str, find_runs: Callable[[str], list[Run]], check_run: Callable[[Run], None]
) -> tuple[list[Run], dict[str, IntakeTcgaError]]:
    failures: dict[str, IntakeTcgaError] = {}
    try:
        runs = find_runs(accession)
    except IntakeTcgaError as error:
        return [], {accession: error}
    for run in runs:
        try:
            check_run(run)
        except IntakeTcgaError as error:
            failures[run.accession] = error
    return [run for run in runs if run.accession not in failures], failures


def _listed(sources: Source | Sequence[Source]) -> list[Source]:
    listed = [sources] if isinstance(sources, str | os.PathLike) else list(sources)
    if wrong := [one for one in listed if not isinstance(one, str | os.PathLike)]:
        raise OptionError(
            f"{wrong[0]!r} is no file, folder or accession; mates are told by their names, and files of one sample by "
            "a mapping: align({'sample': [first, second]})."
        )
    return listed


def _is_run(source: Source) -> bool:
    return isinstance(source, str) and is_accession(source) and not Path(source).exists()


def _fastq_files(source: Source) -> Iterator[Path]:
    """Yield a file, or the FASTQ files in a folder and its subfolders."""
    path = Path(source).expanduser().absolute()
    if path.is_dir():
        found = sorted(file for file in path.rglob("*") if is_fastq(file) and file.is_file())
        if not found:
            raise MissingFileError(
                f"{path} has no FASTQ files (.fastq, .fq, also .gz) in it; check the folder."
            )
        yield from found
    elif not path.exists():
        hint = (
            ""
            if isinstance(source, str) and "/" not in source and "." not in source
            else "check its path, or "
        )
        raise MissingFileError(
            f"{os.fspath(source)!r} is no file, folder or accession; {hint}give a FASTQ file, a folder, or a run as "
            "SRR14457464 (SRR, ERR or DRR and 6 to 9 digits)."
        )
    elif not is_fastq(path):
        raise FileFormatError(
            f"{path} is not called .fastq or .fq (also .gz), so nothing says that it is FASTQ; rename or convert it."
        )
    else:
        yield path
