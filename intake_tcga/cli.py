"""The command line: ``intake-tcga``. Each command is one call into a room, and a way to show what it returned."""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from intake_tcga._version import __version__
from intake_tcga.cohorts.collection import CohortCollection
from intake_tcga.errors import IntakeTcgaError, IntegrityError, NameNotFoundError, OptionError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from intake_tcga.cache import VerifiedFileCache

_Command = TypeVar("_Command", bound=Callable[..., Any])

_EPILOG = """\b
Exit status
  0  done
  1  it could not be done; stderr says why
  2  the command line was wrong

\b
Environment
  INTAKE_TCGA_CACHE_DIR        the cache's folder
  INTAKE_TCGA_READ_ONLY_ROOTS  shared folders to look in first
  INTAKE_TCGA_OFFLINE=1        never open a socket
"""


class _Commands(click.Group):
    """Commands whose own errors end in one sentence on stderr and exit status 1."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)  # in the order of a day's work, not of the alphabet

    def invoke(self, ctx: click.Context) -> Any:
        warnings.showwarning = _show_warning
        logging.getLogger("intake_tcga").addHandler(
            logging.NullHandler()
        )  # what matters is said by the commands
        try:
            return super().invoke(ctx)
        except OptionError as error:
            raise click.UsageError(str(error)) from error
        except IntakeTcgaError as error:
            raise click.ClickException(str(error)) from error
        except BrokenPipeError:
            # `intake-tcga list | head`: the reader has what it wanted. Python would complain again at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(0)
        except OSError as error:
            raise click.ClickException(f"The output cannot be written: {error.strerror or error}.") from error
        except KeyboardInterrupt as error:
            raise click.ClickException(
                "Interrupted; the same command goes on with what was downloaded."
            ) from error


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    click.echo(f"Warning: {message}", err=True)


@click.group(
    cls=_Commands,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="intake-tcga")
def main() -> None:
    """Public cancer-expression data of The Cancer Genome Atlas: find it, fetch it, check it.

    A cohort answers to its code (BRCA) or its full name. Without --manifest or --modality, the commands speak of
    the published bundle of 24 miRNA cohorts.

    \b
      intake-tcga demo                        the offline sample, printed and drawn
      intake-tcga list                        what there is
      intake-tcga search breast               where a word is found
      intake-tcga fetch BRCA                  download and verify
      intake-tcga list --modality rnaseq      the other bundle
    """  # noqa: D301 - click reads a real \\b as "keep these lines"


def _collection_options(command: _Command) -> _Command:
    """Add the options that say which manifest and which cache; they reach the command as one ``collection``."""

    def with_collection(
        manifest: str | None,
        modality: str | None,
        manifest_version: str | None,
        cache_dir: str | None,
        storage_options: Mapping[str, Any],
        offline: bool,
        quiet: bool,
        **kwargs: Any,
    ) -> Any:
        collection = CohortCollection(
            urlpath=manifest,
            modality=modality,
            version=manifest_version,
            storage_options=storage_options,
            offline=offline or None,
            cache_storage=cache_dir,
            progress=False if quiet else None,
        )
        return command(collection=collection, **kwargs)

    with_collection.__name__ = command.__name__
    with_collection.__doc__ = command.__doc__
    with_collection.__click_params__ = getattr(command, "__click_params__", [])  # type: ignore[attr-defined]
    for option in reversed(
        [
            click.option("-m", "--manifest", metavar="URL", help="mirna, rnaseq, or the URL of a manifest."),
            click.option("--modality", type=click.Choice(["mirna", "rnaseq"]), help="Kind of the cohorts."),
            click.option(
                "--manifest-version", metavar="V", help="Pin a version whose manifest is in the cache."
            ),
            click.option("--cache-dir", metavar="DIR", help="The cache's folder."),
            click.option(
                "--storage-options",
                metavar="JSON",
                default="{}",
                callback=_json_object,
                help="Options of fsspec for the URL, as a JSON object.",
            ),
            click.option("--offline", is_flag=True, help="Never open a socket."),
            click.option("-q", "--quiet", is_flag=True, help="No progress bars."),
        ]
    ):
        with_collection = option(with_collection)
    return with_collection  # type: ignore[return-value]


def _json_object(_context: click.Context, _parameter: click.Parameter, text: str) -> Mapping[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise click.BadParameter(f"this is not JSON ({error}).") from error
    if not isinstance(value, dict):
        raise click.BadParameter('give a JSON object, e.g. \'{"headers": {"Authorization": "…"}}\'.')
    return value


_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")


@main.command("list")
@_collection_options
@_json_option
def list_(collection: CohortCollection, as_json: bool) -> None:
    """List the cohorts of a manifest."""
    _print_cohorts(collection, collection.names(short=False), as_json)


@main.command()
@click.argument("text", required=False)
@click.option("--regex", is_flag=True, help="TEXT is a regular expression (case-insensitive).")
@click.option(
    "-w",
    "--where",
    "facets",
    multiple=True,
    metavar="FIELD=VALUE",
    help="Keep cohorts with this value (several for one field: any of them; <, >, <=, >= compare numbers).",
)
@_collection_options
@_json_option
def search(
    collection: CohortCollection, text: str | None, regex: bool, facets: Sequence[str], as_json: bool
) -> None:
    """Find cohorts by a text and by facets.

    TEXT may be in any field.

    \b
      intake-tcga search kidney
      intake-tcga search -w cancer_type=BRCA -w cancer_type=OV
      intake-tcga search -w 'n_samples>500'
    """  # noqa: D301
    pattern = _pattern(text) if regex and text else text
    found = collection.search(pattern, **_facets(facets))
    _print_cohorts(collection, [cohort.name for cohort in found], as_json)


@main.command()
@click.argument("name")
@_collection_options
@_json_option
def info(collection: CohortCollection, name: str, as_json: bool) -> None:
    """Show what the manifest says of a cohort.

    Opens no data file.
    """
    from intake_tcga.cohorts.table import cohort_row

    cohort = collection.cohort(name)
    row = cohort_row(collection.manifest, cohort, cached=collection.is_cached(cohort))
    row["url"] = collection.remote_file(name).shown_url
    if as_json:
        _print_json(row)
    else:
        _print_rows([{"field": key, "value": _shown(value)} for key, value in row.items()])


@main.command()
@click.argument("names", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Every cohort of the manifest.")
@click.option(
    "--threads", default=4, show_default=True, type=click.IntRange(1, 32), help="Downloads at a time."
)
@click.option(
    "--force", is_flag=True, help="Download again; the old file stays until the new one is verified."
)
@_collection_options
@_json_option
def fetch(
    collection: CohortCollection,
    names: Sequence[str],
    everything: bool,
    threads: int,
    force: bool,
    as_json: bool,
) -> None:
    """Download and verify cohorts.

    What is in the cache already is not downloaded again.
    """
    if bool(names) == everything:
        raise click.UsageError("Name the cohorts to fetch, or give --all; not both.")
    paths = collection.prefetch(None if everything else names, threads=threads, force=force)
    rows = [{"cohort": name, "path": str(path)} for name, path in paths.items()]
    _print_json(rows) if as_json else _print_rows(rows)


@main.command()
@click.argument("name")
@_collection_options
def path(collection: CohortCollection, name: str) -> None:
    """Print where a cohort's verified file is.

    Downloads it if it is not in the cache.
    """
    click.echo(collection.fetch(name))


@main.command()
@click.argument("names", nargs=-1)
@_collection_options
@_json_option
def verify(collection: CohortCollection, names: Sequence[str], as_json: bool) -> None:
    """Hash cached files now.

    Those of cohorts NAMES, or of a whole manifest; without either, everything in the cache, with no network. Exit
    status 1 if one is wrong.
    """
    if names or collection.urlpath or collection.modality:
        outcomes = collection.verify_files(names or None)
    else:
        outcomes = _verified_cache(collection.cache)
    rows = [
        {
            "file": name,
            "status": outcome if outcome in _FINE else "damaged",
            "problem": "" if outcome in _FINE else outcome,
        }
        for name, outcome in outcomes.items()
    ]
    _print_json(rows) if as_json else _print_rows(rows)
    if any(outcome not in _FINE for outcome in outcomes.values()):
        sys.exit(1)


_FINE = ("verified", "not cached")


def _verified_cache(store: VerifiedFileCache) -> dict[str, str]:
    """Hash every file that the cache knows of, whichever manifest it is from."""
    from intake_tcga.remote import RemoteFile

    outcomes = {}
    for kept in store.info():
        file = RemoteFile(kept.url, kept.name, kept.collection, kept.version, digest=kept.digest)
        try:
            store.verify(file)
            outcomes[f"{file.folder}/{file.name}"] = "verified"
        except IntegrityError as error:
            outcomes[f"{file.folder}/{file.name}"] = str(error)
    return outcomes


@main.command()
@click.option("--cache-dir", metavar="DIR", help="The cache's folder.")
@_json_option
def cache(cache_dir: str | None, as_json: bool) -> None:
    """Show what is in the cache.

    Files, bytes, and when they were verified.
    """
    from intake_tcga.cache import VerifiedFileCache
    from intake_tcga.cohorts.table import human_size

    store = VerifiedFileCache(cache_dir)
    kept = store.info()
    rows = [
        {
            "file": f"{entry.version}/{entry.name}",
            "bytes": entry.size,
            "verified": entry.verified_at or "not since it changed",
            "digest": str(entry.digest),
            "path": str(entry.path),
        }
        for entry in kept
    ]
    if as_json:
        _print_json({"cache_dir": str(store.root), "files": rows})
        return
    _print_rows(
        [
            {**row, "bytes": human_size(entry.size), "digest": str(entry.digest)[:19]}
            for row, entry in zip(rows, kept, strict=True)
        ]
    )
    click.echo(f"{store.root}: {len(rows)} files, {human_size(sum(entry.size for entry in kept))}")


@main.command()
@click.option("--cache-dir", metavar="DIR", help="The cache's folder.")
@click.option("--manifest-version", metavar="V", help="Only files of this manifest version.")
@click.option("--name", metavar="NAME", help="Only this cohort or file.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@_json_option
def clear(
    cache_dir: str | None, manifest_version: str | None, name: str | None, yes: bool, as_json: bool
) -> None:
    """Remove what was downloaded.

    Only what this program put into the cache.
    """
    from intake_tcga.cache import VerifiedFileCache

    store = VerifiedFileCache(cache_dir)
    if not yes:
        click.confirm(f"Remove files that were downloaded to {store.root}?", abort=True, err=True)
    files = [None] if name is None else _files_named(store, name)
    removed = [str(gone) for file in files for gone in store.clear(version=manifest_version, name=file)]
    if as_json:
        _print_json(removed)
    else:
        click.echo("\n".join([*removed, f"{len(removed)} files removed from {store.root}"]))


def _files_named(store: VerifiedFileCache, name: str) -> list[str]:
    """Return the cached files that a file name, a cohort's full name or its code means."""
    there = sorted({kept.name for kept in store.info()})
    found = [file for file in there if name in {file, Path(file).stem, Path(file).stem.partition("_")[0]}]
    if not found:
        raise NameNotFoundError(
            f"Nothing named {name!r} is in {store.root}; it has {', '.join(there) or 'no files'}."
        )
    return found


@main.command()
@click.option(
    "-o", "--output", metavar="FILE", type=click.Path(dir_okay=False), help="Write here, not to stdout."
)
@click.option("--entries", is_flag=True, help="One entry a cohort, instead of one that reads the manifest.")
@_collection_options
def catalog(collection: CohortCollection, output: str | None, entries: bool) -> None:
    """Write an intake catalog (YAML).

    Of a manifest; credentials are left out.
    """
    from intake_tcga.cohorts.bundles import BUNDLES
    from intake_tcga.cohorts.locations import absolute_url
    from intake_tcga.drivers import CohortCatalog
    from intake_tcga.remote import without_credentials

    place = collection.urlpath or collection.modality or "mirna"
    cat = CohortCatalog(
        place if place in BUNDLES else absolute_url(place),  # a saved catalog opens from any folder
        modality=collection.modality,
        version=collection.version,
        storage_options=collection.storage_options,
        offline=collection.offline,
        cache_storage=collection.cache_storage,
        name=collection.manifest.modality,
        description=f"{len(collection.manifest.cohorts)} cohorts, manifest version {collection.manifest.version}",
    )
    if without_credentials(collection.storage_options) != dict(collection.storage_options):
        click.echo("Credentials were left out; write them as {{ env(NAME) }}.", err=True)
    text = cat.serialize() if entries else cat.yaml()
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        Path(output).write_text(text, encoding="utf-8")
    except OSError as error:
        raise click.ClickException(
            f"{output} cannot be written: {error.strerror}; choose another --output."
        ) from error
    click.echo(f"{output}: open it with intake.open_catalog({output!r})", err=True)


@main.command()
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    default="intake-tcga-demo.png",
    show_default=True,
    type=click.Path(dir_okay=False),
    help="The picture.",
)
@click.option("--cache-dir", metavar="DIR", help="The cache's folder.")
def demo(output: str, cache_dir: str | None) -> None:
    """Open, print and draw the offline sample.

    The picture shows real against synthetic samples. No network.
    """
    from intake_tcga.cohorts.sample import sample_collection
    from intake_tcga.plots import plot_pca

    sample = sample_collection(cache_storage=cache_dir)
    _print_cohorts(sample, sample.names(short=False), as_json=False)
    dataset = sample.open("PRAD")
    click.echo(f"\n{dataset}\n")
    os.environ.setdefault("MPLBACKEND", "agg")  # a picture in a file needs no display
    axes = plot_pca(dataset.sel(normalization="TC", model="CVAE1_5"))
    try:
        cast("Figure", axes.get_figure(root=True)).savefig(output, dpi=150)
    except (OSError, ValueError) as error:  # no such folder, no such format
        raise click.ClickException(
            f"{output} cannot be written: {error}; choose another --output."
        ) from error
    click.echo(f"file      {sample.fetch('PRAD')}\npicture   {output}")


def _print_cohorts(collection: CohortCollection, names: Sequence[str], as_json: bool) -> None:
    from intake_tcga.cohorts.table import cohort_row, human_size

    manifest = collection.manifest
    chosen = [cohort for cohort in manifest.cohorts if cohort.name in set(names)]
    rows = [cohort_row(manifest, cohort, cached=collection.is_cached(cohort)) for cohort in chosen]
    if as_json:
        _print_json(rows)
        return
    _print_rows(
        [
            {
                "cohort": cohort.name if manifest.keys().count(cohort.code) == 0 else cohort.code,
                "cancer": row["cancer_name"],
                "groups": ", ".join(cohort.group_labels),
                "samples": cohort.n_samples,
                "features": cohort.n_features,
                "bytes": human_size(cohort.size),
                "cached": "yes" if row["cached"] else "",
            }
            for cohort, row in zip(chosen, rows, strict=True)
        ]
    )


def _print_rows(rows: Sequence[Mapping[str, object]]) -> None:
    """Print a table on a terminal, tab-separated lines into a pipe."""
    if not rows:
        click.echo("There is nothing to show.", err=True)
        return
    if not _is_terminal():
        click.echo(
            "\n".join("\t".join(map(str, line)) for line in [list(rows[0]), *(row.values() for row in rows)])
        )
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for column, value in rows[0].items():
        table.add_column(column, justify="right" if isinstance(value, int) else "left", overflow="fold")
    for row in rows:
        table.add_row(*(str(value).replace("[", r"\[") for value in row.values()))
    Console().print(table)


def _is_terminal() -> bool:
    return sys.stdout is not None and sys.stdout.isatty()


def _print_json(value: object) -> None:
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def _shown(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text, re.IGNORECASE)
    except re.error as error:
        raise click.UsageError(f"{text!r} is not a regular expression: {error}.") from error


def _facets(texts: Sequence[str]) -> dict[str, Any]:
    """Turn ``field=value`` texts into facets: several values of a field are alternatives."""
    facets: dict[str, Any] = {}
    for text in texts:
        match = re.fullmatch(r"(\w+)\s*(<=|>=|=|<|>)\s*(.*)", text, re.DOTALL)
        if match is None:
            raise click.UsageError(
                f"--where {text!r} is not FIELD=VALUE, e.g. cancer_type=BRCA or 'n_samples>500'."
            )
        name, operator, value = match.groups()
        if operator == "=":
            facets.setdefault(name, []).append(_value(value))
        else:
            facets[name] = _both(facets.get(name), _comparison(operator, value))
    return facets


def _value(text: str) -> bool | int | str:
    if text.lower() in {"yes", "true", "no", "false"}:
        return text.lower() in {"yes", "true"}
    return int(text) if re.fullmatch(r"-?\d+", text) else text


def _comparison(operator: str, text: str) -> Callable[[Any], bool]:
    try:
        bound = float(text)
    except ValueError as error:
        raise click.UsageError(f"{operator}{text} compares with a number, and {text!r} is none.") from error
    return {
        "<": lambda value: value is not None and value < bound,
        ">": lambda value: value is not None and value > bound,
        "<=": lambda value: value is not None and value <= bound,
        ">=": lambda value: value is not None and value >= bound,
    }[operator]


def _both(first: Callable[[Any], bool] | None, second: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """Combine two comparisons of one field: 100 < n and n < 500."""
    return second if first is None else lambda value: first(value) and second(value)
