"""Commands on ARCHS4's files: each one call into the room, and a way to show or save what it returned."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from intake_tcga.cli.commands import Commands
from intake_tcga.cli.facets import conditions_of
from intake_tcga.cli.options import (
    cache_dir_option,
    offline_option,
    quiet_option,
    storage_options_option,
    wrapped,
)
from intake_tcga.cli.printing import json_option, print_json, print_rows
from intake_tcga.errors import OptionError

if TYPE_CHECKING:
    import xarray as xr

    from intake_tcga.archs4.collection import Archs4Collection
    from intake_tcga.archs4.narrowing import Narrowing

_Command = TypeVar("_Command", bound=Callable[..., Any])

_SHOWN = ("series_id", "title", "source_name_ch1")
_METHODS = ("cpm", "log_cpm", "quantile", "log_quantile", "tmm", "log_trimmed_mean", "median_of_ratios")


@click.group("archs4", cls=Commands)
def archs4() -> None:
    """Search a million uniformly aligned RNA-seq samples, take some, align your own.

    SOURCE is a release (human_gene_v2.5, see list), a file, or a URL. Of a remote one only what is asked for is
    read.

    \b
      intake-tcga archs4 list
      intake-tcga archs4 search human_gene_v2.5 myoblast --bulk
      intake-tcga archs4 counts human_gene_v2.5 --series GSE64016 --by-symbol -o counts.h5ad
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
            samples=[name for text in samples for name in _listed(text)] or None,
            search=[*terms, *search] or None,
            fields=field or None,
            regex=not literal,
            match="any" if any_term else "all",
            single_cell=single_cell,
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
        click.option("-f", "--field", multiple=True, help="Where terms are looked for (repeatable)."),
        click.option("--literal", is_flag=True, help="Terms as they stand, not regular expressions."),
        click.option("--any", "any_term", is_flag=True, help="Any of the terms, not all."),
        click.option(
            "--single-cell/--bulk", "single_cell", default=None, help="Only single cells, or only others."
        ),
        click.option(
            "-w",
            "--where",
            multiple=True,
            metavar="FIELD=VALUE",
            help="Keep samples with this value; <, >, <=, >= compare numbers and dates (repeatable).",
        ),
        click.option("--draw", type=click.IntRange(0), metavar="N", help="Of these, N at random."),
        click.option("--seed", type=int, default=1, show_default=True, help="Of the draw."),
    )


def _listed(text: str) -> list[str]:
    """Return names given with commas between them, or in a file."""
    if not text.startswith("@"):
        return [name.strip() for name in text.split(",") if name.strip()]
    try:
        return Path(text[1:]).read_text(encoding="utf-8").split()
    except (OSError, ValueError) as error:
        raise click.UsageError(f"{text[1:]} cannot be read: {error}.") from error


@archs4.command("list")
@click.option("--refresh", is_flag=True, help="Ask ARCHS4 which files there are.")
@_with_collection
@json_option
def list_(collection: Archs4Collection, refresh: bool, as_json: bool) -> None:
    """List the published files."""
    from intake_tcga.tables import human_size

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
                "samples": "" if row["samples"] is None else f"{row['samples']:,}",
                "features": "" if row["features"] is None else f"{row['features']:,}",
                "bytes": "" if row["bytes"] is None else human_size(int(row["bytes"])),
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
    """List the fields of a file's samples: what can be searched."""
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
    and title, or in the fields that are named. Numbers and dates compare: -w 'aligned_reads>=1e6',
    -w 'submission_date>=2020'.
    """
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
@click.option(
    "-o",
    "--out",
    required=True,
    metavar="FILE",
    type=click.Path(),
    help="Where to: .h5ad, .zarr, .parquet, .tsv, .csv (.gz).",
)
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
@click.option("--normalize", "method", type=click.Choice(_METHODS), help="Make samples comparable.")
@_with_collection
def counts(
    collection: Archs4Collection,
    narrowing: Narrowing,
    source: str,
    out: str,
    genes: str | None,
    by_symbol: bool,
    min_reads: float | None,
    min_samples: float,
    method: Any,
) -> None:
    """Save the counts of some samples, with all that is known of them.

    Without an option that says which samples, it is all of them.
    """
    write = _writer(out)
    with collection.open(source, chunks={}, narrowing=narrowing) as ds:
        if not ds.sizes["sample"]:
            raise click.ClickException("No sample is what was asked for; nothing was written.")
        chosen = ds if genes is None else _only_genes(ds, _listed(genes))
        if by_symbol:
            chosen = chosen.archs4.counts_by_symbol()
        if min_reads is not None:
            from intake_tcga.genes import filter_genes

            chosen = filter_genes(chosen, min_reads=min_reads, min_samples=min_samples)
        if method is not None:
            from intake_tcga.normalization import normalize

            chosen = normalize(chosen, method)
        path = write(chosen, out)
        click.echo(f"{path}: {chosen.sizes['sample']:,} samples × {chosen.sizes['feature']:,} features")


def _writer(out: str) -> Callable[[xr.Dataset, str], Path]:
    """Return what writes a file of this ending; before anything is read."""
    from intake_tcga.export import write_h5ad, write_table, write_zarr

    ending = "".join(Path(out).suffixes[-2:] if out.endswith(".gz") else Path(out).suffixes[-1:])
    if ending == ".h5ad":
        return write_h5ad
    if ending == ".zarr":
        return write_zarr
    if ending in {".parquet", ".tsv", ".csv", ".tsv.gz", ".csv.gz"}:
        return write_table
    raise OptionError(
        f"{out} has no ending that says how to write it; use .h5ad, .zarr, .parquet, .tsv or .csv."
    )


def _only_genes(ds: xr.Dataset, names: Sequence[str]) -> xr.Dataset:
    """Return the features with these ids or symbols, in the order of the names."""
    import numpy as np

    from intake_tcga.facets import no_such

    ids = ds["feature"].values.astype(str)
    symbols = ds["symbol"].values.astype(str) if "symbol" in ds.coords else ids
    rows: list[int] = []
    for name in names:
        found = np.flatnonzero((ids == name) | (symbols == name)).tolist()
        if not found:
            raise OptionError(no_such("gene", name, [*dict.fromkeys(symbols.tolist())][:20]))
        rows += found
    return ds.isel(feature=list(dict.fromkeys(rows)))


@archs4.command()
@click.argument("name")
@click.option(
    "--force", is_flag=True, help="Download again; the old file stays until the new one is verified."
)
@_with_collection
def download(collection: Archs4Collection, name: str, force: bool) -> None:
    """Download a whole file and verify it; print its path.

    An interrupted download goes on where it ended.
    """
    click.echo(collection.download(name, force=force))


@archs4.command()
@click.argument("sources", nargs=-1, required=True)
@click.option(
    "-o", "--out", required=True, metavar="FILE", type=click.Path(), help="Where to; as for counts."
)
@click.option("--species", default="human", show_default=True, help="human, mouse, or Ensembl's name of one.")
@click.option("--release", type=int, default=107, show_default=True, help="Ensembl's release.")
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
@click.option("--threads", type=click.IntRange(1), help="Of kallisto; by default all.")
@click.option("--skip-failed", is_flag=True, help="Leave out samples that fail, with a warning.")
@_with_collection
def align(
    collection: Archs4Collection,
    sources: Sequence[str],
    out: str,
    species: str,
    release: int,
    return_type: Any,
    transcriptome: Sequence[str],
    threads: int | None,
    skip_failed: bool,
) -> None:
    """Align reads as ARCHS4 does, with kallisto.

    SOURCES are FASTQ files, folders of them, or runs of the SRA (SRR…), which are fetched from the ENA.
    """
    from intake_tcga.archs4.align import align as align_reads

    write = _writer(out)
    ds = align_reads(
        list(sources),
        species=species,
        release=release,
        return_type=return_type,
        transcriptome=list(transcriptome) or None,
        threads=threads,
        errors="skip" if skip_failed else "raise",
        cache=collection.cache,
        storage_options=collection.storage_options,
        progress=collection.progress,
    )
    path = write(ds, out)
    click.echo(f"{path}: {ds.sizes['sample']:,} samples × {ds.sizes['feature']:,} features")
