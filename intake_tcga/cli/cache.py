"""The cache's own commands: what is in it, and out with it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from intake_tcga.cli.options import cache_dir_option
from intake_tcga.cli.printing import json_option, print_json, print_rows
from intake_tcga.errors import NameNotFoundError

if TYPE_CHECKING:
    from intake_tcga.cache.store import VerifiedFileCache


@click.command()
@cache_dir_option
@json_option
def cache(cache_dir: str | None, as_json: bool) -> None:
    """Show what is in the cache.

    Files of any source, their bytes, and when they were verified; and how much is kept beside them, of files that
    were read where they are.
    """
    from intake_tcga.cache.kept import kept_beside
    from intake_tcga.cache.store import VerifiedFileCache
    from intake_tcga.tables import human_size

    store = VerifiedFileCache(cache_dir)
    kept, beside = store.info(), kept_beside(store.root)
    rows = [
        {
            "file": "/".join((*entry.collection, entry.version, entry.name)),
            "bytes": entry.size,
            "verified": entry.verified_at or "not since it changed",
            "digest": str(entry.digest),
            "path": str(entry.path),
        }
        for entry in kept
    ]
    if as_json:
        print_json({"cache_dir": str(store.root), "files": rows, "kept_beside": beside})
        return
    print_rows(
        [{**row, "digest": str(entry.digest)[:19]} for row, entry in zip(rows, kept, strict=True)],
        whole={"path"},
    )
    files = f"{len(rows)} files, {human_size(sum(entry.size for entry in kept))}"
    click.echo(f"{store.root}: {files}; {human_size(beside)} kept beside them")


@click.command()
@cache_dir_option
@click.option("--manifest-version", metavar="V", help="Only files of this manifest version.")
@click.option("--name", metavar="NAME", help="Only this cohort, release, slide or file.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@json_option
def clear(
    cache_dir: str | None, manifest_version: str | None, name: str | None, yes: bool, as_json: bool
) -> None:
    """Remove what was downloaded.

    Only what this program put into the cache. Without --name and --manifest-version, also what was kept of files
    that were read where they are.
    """
    from intake_tcga.cache.store import VerifiedFileCache

    store = VerifiedFileCache(cache_dir)
    if not yes:
        click.confirm(f"Remove files that were downloaded to {store.root}?", abort=True, err=True)
    files = [None] if name is None else _files_named(store, name)
    removed = [str(gone) for file in files for gone in store.clear(version=manifest_version, name=file)]
    if as_json:
        print_json(removed)
    else:
        click.echo("\n".join([*removed, f"{len(removed)} files removed from {store.root}"]))


def _names(file: str) -> set[str]:
    """Return what a file answers to: a cohort's names, a release, a slide's barcode."""
    stem = Path(file).stem
    return {file, stem, stem.partition("_")[0], file.partition(".")[0]}


def _files_named(store: VerifiedFileCache, name: str) -> list[str]:
    """Return the cached files that a name means."""
    from intake_tcga.cache.kept import kept_names

    there = sorted({kept.name for kept in store.info()} | kept_names(store.root))
    found = [file for file in there if name in _names(file)]
    if not found:
        raise NameNotFoundError(
            f"Nothing named {name!r} is in {store.root}; it has {', '.join(there) or 'no files'}."
        )
    return found
