"""Commands on ARCHS4's files: each one call into the room, and a way to show or save what it returned."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from intake_tcga.cli.commands import Commands
from intake_tcga.cli.facets import conditions_of, names_of
from intake_tcga.cli.genes import with_genes
from intake_tcga.cli.options import (
    cache_dir_option,
    offline_option,
    quiet_option,
    storage_options_option,
    wrapped,
)
from intake_tcga.cli.outputs import Output, out_option
from intake_tcga.cli.printing import json_option, print_json, print_rows

if TYPE_CHECKING:
    from intake_tcga.archs4.collection import Archs4Collection
    from intake_tcga.archs4.narrowing import Narrowing

_Command = TypeVar("_Command", bound=Callable[..., Any])

_SHOWN = ("series_id", "title", "source_name_ch1")
_METHODS = ("cpm", "log_cpm", "quantile", "log_quantile", "tmm", "log_trimmed_mean", "median_of_ratios")


@click.group("archs4", cls=Commands)
def archs4() -> None:
    """Find, save and align RNA-seq samples (ARCHS4).

    A million samples of human and mouse, uniformly aligned: found by what is written about them, saved with it.

    SOURCE is a release (human_gene_v2.5, see list), a file, or a URL. Of a remote one only what is asked for is
    read.

    \b
      intake-tcga archs4 list
      intake-tcga archs4 search human_gene_v2.5 myoblast --bulk
      intake-tcga archs4 counts human_gene_v2.5 --series GSE64016 -o counts.h5ad
      intake-tcga archs4 align SRR14457464 -o mine.h5ad
    """  # noqa: D301 - click reads a real \\b as "keep these lines"


def _with_collection(command: _Command) -> _Command:
    """Add the options that say how files are reached; they reach the command as one ``collection``."""

    def with_collection(
        cache_dir: str | None, storage_options: Mapping[str, Any], offline: bool, quiet: bool, **kwargs: Any
    ) -> Any:
        from intake_tcga.archs4.collection import Archs4Collection

        collection = Archs4Collection(
            storage_options, offline or None, cache_dir, progress=False if quiet else None
        )
        return command(collection=collection, **kwargs)

    return wrapped(
        command, with_collection, cache_dir_option, storage_options_option, offline_option, quiet_option
    )


def _with_narrowing(command: _Command) -> _Command:
    """Add the options that say which samples; they reach the command as one ``narrowing``."""

    def with_narrowing(
        series: Sequence[str],
        samples: Sequence[str],
        field: Sequence[str],
        literal: bool,
        any_term: bool,
        single_cell: bool | None,
        threshold: float,
        where: Sequence[str],
        draw: int | None,
        seed: int,
        terms: Sequence[str] = (),
        search: Sequence[str] = (),
        **kwargs: Any,
    ) -> Any:
        from intake_tcga.archs4.narrowing import Narrowing

        narrowing = Narrowing(
            series=series or None,
            samples=[name for text in samples for name in names_of(text)] or None,
            search=[*terms, *search] or None,
            fields=field or None,
            regex=not literal,
            match="any" if any_term else "all",
            single_cell=single_cell,
            threshold=threshold,
            where=conditions_of(where),
            draw=draw,
            seed=seed,
        )
        return command(narrowing=narrowing, **kwargs)

    return wrapped(
        command,
        with_narrowing,
        click.option("--series", multiple=True, metavar="GSE", help="Members of a series (repeatable)."),
        click.option(
            "--samples",
            multiple=True,
            metavar="GSM,GSM",
            help="Accessions, or @FILE with one on each line (repeatable).",
        ),
        click.option(
            "-f", "--field", multiple=True, metavar="FIELD", help="Where terms are looked for (repeatable)."
        ),
        click.option("--literal", is_flag=True, help="Terms as they stand, not regular expressions."),
        click.option("--any", "any_term", is_flag=True, help="Any of the terms, not all."),
        click.option(
            "--single-cell/--bulk", "single_cell", default=None, help="Only single cells, or only others."
        ),
        click.option(
            "--threshold",
            type=click.FloatRange(0, 1),
            default=0.5,
            show_default=True,
            metavar="P",
            help="The probability from which on a sample counts as a single cell.",
        ),
        click.option(
            "-w",
            "--where",
            multiple=True,
            metavar="FIELD=VALUE",
            help="Keep samples with this value, or in a range LOW..HIGH; <, >, <=, >=, != compare (repeatable).",
        ),
        click.option("--draw", type=click.IntRange(0), metavar="N", help="Of these, N at random."),
        click.option(
            "--seed", type=int, default=1, show_default=True, metavar="N", help="Another seed, another draw."
        ),
    )


@archs4.command("list")
@click.option("--refresh", is_flag=True, help="Ask ARCHS4 which files there are.")
@_with_collection
@json_option
def list_(collection: Archs4Collection, refresh: bool, as_json: bool) -> None:
    """List the published files.

    With their samples, features, bytes and Ensembl release, as far as they are known without a network.
    """
    if refresh:
        collection.refresh()
    table = collection.table()
    rows = table.astype(object).where(table.notna(), None).to_dict("records")
    if as_json:
        print_json(rows)
        return
    print_rows(
        [
            {
                "file": row["name"],
                "samples": row["samples"],
                "features": row["features"],
                "bytes": row["bytes"],
                "ensembl": row["ensembl"] or "",
                "cached": "yes" if row["cached"] else "",
            }
            for row in rows
        ]
    )


@archs4.command()
@click.argument("source")
@click.option("--tree", is_flag=True, help="Every group and dataset of the file, with shapes and types.")
@_with_collection
@json_option
def fields(collection: Archs4Collection, source: str, tree: bool, as_json: bool) -> None:
    """List what can be searched in a file.

    The fields of its samples; or, with --tree, everything that is in it.
    """
    if tree and as_json:
        raise click.UsageError("--tree is text; leave out --json, or --tree.")
    with collection.open(source) as ds:
        if tree:
            click.echo(ds.archs4.tree())
            return
        rows = [
            {"field": name, "type": "text" if ds[name].dtype == object else str(ds[name].dtype)}
            for name in ds.archs4.fields()
        ]
    print_json(rows) if as_json else print_rows(rows)


@archs4.command()
@click.argument("source")
@click.argument("terms", nargs=-1)
@_with_narrowing
@click.option("-c", "--column", multiple=True, metavar="FIELD", help="Show this field (repeatable).")
@_with_collection
@json_option
def search(
    collection: Archs4Collection, narrowing: Narrowing, source: str, column: Sequence[str], as_json: bool
) -> None:
    """Find samples by what is written about them.

    TERMS are regular expressions, found in either case in accession, series, characteristics, protocol, source
    and title, or in the fields that are named. Without any, it is all samples, or those that other options leave.

    \b
      intake-tcga archs4 search human_gene_v2.5 liver 'fibros(is|e)' --bulk
      intake-tcga archs4 search human_gene_v2.5 -w 'aligned_reads>=1e6'
      intake-tcga archs4 search human_gene_v2.5 -w submission_date=2020..2021
      intake-tcga archs4 search human_gene_v2.5 --series GSE64016 --json
    """  # noqa: D301
    with collection.open(source, narrowing=narrowing) as ds:
        known = ds.archs4.fields()
        shown = list(column) or [name for name in _SHOWN if name in known]
        table = ds.archs4.metadata(shown)
    rows = [
        {"sample": sample, **{str(name): value for name, value in row.items()}}
        for sample, row in zip(table.index, table.to_dict("records"), strict=True)
    ]
    print_json(rows) if as_json else print_rows(rows)


@archs4.command()
@click.argument("source")
@out_option
@click.option(
    "--search", multiple=True, metavar="TERM", help="Samples in which this is written (repeatable)."
)
@_with_narrowing
@click.option("--genes", metavar="ID,ID", help="Ensembl ids or symbols, or @FILE with one on each line.")
@click.option("--by-symbol", is_flag=True, help="Join the genes of one symbol.")
@click.option("--min-reads", type=float, metavar="N", help="Keep genes with at least N reads …")
@click.option(
    "--min-samples",
    type=float,
    default=0.02,
    show_default=True,
    metavar="SHARE",
    help="… in at least this share of the samples.",
)
@click.option(
    "--normalize",
    "method",
    type=click.Choice(_METHODS),
    metavar="METHOD",
    help=f"Make samples comparable: {', '.join(_METHODS)}.",
)
@_with_collection
def counts(
    collection: Archs4Collection,
    narrowing: Narrowing,
    source: str,
    out: Output,
    genes: str | None,
    by_symbol: bool,
    min_reads: float | None,
    min_samples: float,
    method: Any,
) -> None:
    """Save the counts of some samples.

    Files of .h5ad and .zarr have all that is known of the samples, too. Without an option that says which samples, it
    is all of them. Of a remote file only these samples and genes are read. The file is written beside its place and
    moved there when it is complete.

    \b
      intake-tcga archs4 counts human_gene_v2.5 --search myoblast -o some.h5ad
      intake-tcga archs4 counts my.h5 --samples @gsm.txt --genes TP53 -o one.tsv
      intake-tcga archs4 counts my.h5 --draw 1000 --normalize tmm -o random.zarr
    """  # noqa: D301
    with collection.open(source, narrowing=narrowing) as ds:
        if not ds.sizes["sample"]:
            raise click.ClickException("No sample is what was asked for; nothing was written.")
        chosen = ds if genes is None else with_genes(ds, names_of(genes))
        if by_symbol:
            if "symbol" not in ds.coords:
                raise click.UsageError("This file names no gene symbols, so leave out --by-symbol.")
            chosen = chosen.archs4.counts_by_symbol()
        if min_reads is not None:
            from intake_tcga.genes import filter_genes

            chosen = filter_genes(chosen, min_reads=min_reads, min_samples=min_samples)
        if not chosen.sizes["feature"]:
            raise click.ClickException("No gene has so many reads in so many samples; nothing was written.")
        if method is not None:
            from intake_tcga.normalization import normalize

            chosen = normalize(chosen, method)
        out.save(chosen, collection.progress)


@archs4.command()
@click.argument("name")
@click.option(
    "--force", is_flag=True, help="Download again; the old file stays until the new one is verified."
)
@_with_collection
def download(collection: Archs4Collection, name: str, force: bool) -> None:
    """Download a whole file and print its path.

    Verified where its digest is known (about 50 GB for the largest). An interrupted download goes on where it ended.
    """
    click.echo(collection.download(name, force=force))


@archs4.command()
@click.argument("sources", nargs=-1, required=True)
@out_option
@click.option(
    "--species",
    default="human",
    show_default=True,
    metavar="NAME",
    help="human, mouse, or Ensembl's name of one.",
)
@click.option(
    "--release", type=int, default=107, show_default=True, metavar="N", help="Ensembl's; ARCHS4 uses 107."
)
@click.option(
    "--return-type",
    type=click.Choice(["gene", "transcript", "tpm"]),
    default="gene",
    show_default=True,
    help="What to count.",
)
@click.option(
    "--transcriptome", multiple=True, metavar="FASTA", help="Your own, instead of Ensembl's (repeatable)."
)
@click.option(
    "--layout",
    type=click.Choice(["auto", "paired", "single"]),
    default="auto",
    show_default=True,
    help="Which files are mates: by names and reads, by names alone, or none.",
)
@click.option(
    "--fragment-length",
    type=float,
    default=200,
    show_default=True,
    metavar="N",
    help="Of single reads, in bases.",
)
@click.option("--fragment-sd", type=float, default=20, show_default=True, metavar="N", help="Its deviation.")
@click.option("--threads", type=click.IntRange(1), metavar="N", help="Of kallisto; by default all.")
@click.option("--kallisto", metavar="FILE", help="The program; by default that of kb-python, or on PATH.")
@click.option("--skip-failed", is_flag=True, help="Leave out samples that fail, with a warning.")
@click.option(
    "--keep-fastq/--drop-fastq",
    default=True,
    show_default=True,
    help="Whether files of runs stay in the cache.",
)
@_with_collection
def align(
    collection: Archs4Collection,
    sources: Sequence[str],
    out: Output,
    skip_failed: bool,
    transcriptome: Sequence[str],
    **options: Any,
) -> None:
    """Align reads as ARCHS4 does, with kallisto.

    SOURCES are FASTQ files, folders of them, or accessions (SRR…, or a study's) whose files the ENA serves. Mates
    and lanes are put together by their names. The first time, the transcriptome is fetched and indexed.

    \b
      intake-tcga archs4 align SRR14457464 -o mine.h5ad
      intake-tcga archs4 align reads/ --species mouse --return-type tpm -o my.tsv
    """  # noqa: D301
    from intake_tcga.archs4.align import align as align_reads

    ds = align_reads(
        list(sources),
        transcriptome=list(transcriptome) or None,
        errors="skip" if skip_failed else "raise",
        cache=collection.cache,
        storage_options=collection.storage_options,
        progress=collection.progress,
        **options,
    )
    out.save(ds, collection.progress)
