"""Commands on cohorts: each one call into the room, and a way to show what it returned."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from intake_tcga.cli.facets import conditions_of, pattern_of
from intake_tcga.cli.options import (
    cache_dir_option,
    offline_option,
    quiet_option,
    storage_options_option,
    wrapped,
)
from intake_tcga.cli.printing import json_option, print_json, print_rows, shown
from intake_tcga.cohorts.collection import CohortCollection
from intake_tcga.errors import IntegrityError

if TYPE_CHECKING:
    from intake_tcga.cache.store import VerifiedFileCache

_Command = TypeVar("_Command", bound=Callable[..., Any])


def collection_options(command: _Command) -> _Command:
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

    return wrapped(
        command,
        with_collection,
        click.option("-m", "--manifest", metavar="URL", help="mirna, rnaseq, or the URL of a manifest."),
        click.option("--modality", type=click.Choice(["mirna", "rnaseq"]), help="Kind of the cohorts."),
        click.option("--manifest-version", metavar="V", help="Pin a version whose manifest is in the cache."),
        cache_dir_option,
        storage_options_option,
        offline_option,
        quiet_option,
    )


@click.command("list")
@collection_options
@json_option
def list_(collection: CohortCollection, as_json: bool) -> None:
    """List the cohorts of a manifest."""
    print_cohorts(collection, collection.names(short=False), as_json)


@click.command()
@click.argument("text", required=False)
@click.option("--regex", is_flag=True, help="TEXT is a regular expression (case-insensitive).")
@click.option(
    "-w",
    "--where",
    "facets",
    multiple=True,
    metavar="FIELD=VALUE",
    help="Keep cohorts with this value (several for one field: any of them), or in a range LOW..HIGH; <, >, <=, >=, "
    "!= compare.",
)
@collection_options
@json_option
def search(
    collection: CohortCollection, text: str | None, regex: bool, facets: Sequence[str], as_json: bool
) -> None:
    """Find cohorts by a text and by facets.

    TEXT may be in any field.

    \b
      intake-tcga search kidney
      intake-tcga search -w cancer_type=BRCA -w cancer_type=OV
      intake-tcga search -w 'n_samples>500'
      intake-tcga search -w n_samples=100..500
    """  # noqa: D301
    pattern = pattern_of(text) if regex and text else text
    found = collection.search(pattern, **conditions_of(facets))
    print_cohorts(collection, [cohort.name for cohort in found], as_json)


@click.command()
@click.argument("name")
@collection_options
@json_option
def info(collection: CohortCollection, name: str, as_json: bool) -> None:
    """Show what the manifest says of a cohort.

    Opens no data file.
    """
    from intake_tcga.cohorts.table import cohort_row

    cohort = collection.cohort(name)
    row = cohort_row(collection.manifest, cohort, cached=collection.is_cached(cohort))
    row["url"] = collection.remote_file(name).shown_url
    if as_json:
        print_json(row)
    else:
        print_rows([{"field": key, "value": shown(value)} for key, value in row.items()], whole={"value"})


@click.command()
@click.argument("names", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Every cohort of the manifest.")
@click.option(
    "--threads", default=4, show_default=True, type=click.IntRange(1, 32), help="Downloads at a time."
)
@click.option(
    "--force", is_flag=True, help="Download again; the old file stays until the new one is verified."
)
@collection_options
@json_option
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
    print_json(rows) if as_json else print_rows(rows, whole={"path"})


@click.command()
@click.argument("name")
@collection_options
def path(collection: CohortCollection, name: str) -> None:
    """Print where a cohort's verified file is.

    Downloads it if it is not in the cache.
    """
    click.echo(collection.fetch(name))


@click.command()
@click.argument("names", nargs=-1)
@collection_options
@json_option
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
    print_json(rows) if as_json else print_rows(rows, whole={"problem"})
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


@click.command()
@click.option(
    "-o", "--out", metavar="FILE", type=click.Path(dir_okay=False), help="Write here, not to stdout."
)
@click.option("--entries", is_flag=True, help="One entry a cohort, instead of one that reads the manifest.")
@collection_options
def catalog(collection: CohortCollection, out: str | None, entries: bool) -> None:
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
    if out is None:
        click.echo(text, nl=False)
        return
    try:
        Path(out).write_text(text, encoding="utf-8")
    except OSError as error:
        raise click.ClickException(
            f"{out} cannot be written: {error.strerror}; choose another --out."
        ) from error
    click.echo(f"{out}: open it with intake.open_catalog({out!r})", err=True)


def print_cohorts(collection: CohortCollection, names: Sequence[str], as_json: bool) -> None:
    """Print the cohorts of these full names, in the manifest's order."""
    from intake_tcga.cohorts.table import cohort_row

    manifest = collection.manifest
    chosen = [cohort for cohort in manifest.cohorts if cohort.name in set(names)]
    rows = [cohort_row(manifest, cohort, cached=collection.is_cached(cohort)) for cohort in chosen]
    if as_json:
        print_json(rows)
        return
    print_rows(
        [
            {
                "cohort": cohort.name if manifest.keys().count(cohort.code) == 0 else cohort.code,
                "cancer": row["cancer_name"],
                "groups": ", ".join(cohort.group_labels),
                "samples": cohort.n_samples,
                "features": cohort.n_features,
                "bytes": cohort.size,
                "cached": "yes" if row["cached"] else "",
            }
            for cohort, row in zip(chosen, rows, strict=True)
        ]
    )
