"""The command that copies a bundle to a platform."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from intake_tcga.cli.options import (
    cache_dir_option,
    json_object,
    offline_option,
    quiet_option,
    storage_options_option,
)
from intake_tcga.cli.printing import json_option, print_json, print_rows
from intake_tcga.cohorts.collection import CohortCollection


@click.command()
@click.argument("manifest")
@click.argument("dest")
@click.option("--name", "names", multiple=True, metavar="NAME", help="Only this cohort (repeatable).")
@click.option(
    "--check",
    type=click.Choice(["digest", "size"]),
    default="digest",
    show_default=True,
    help="What tells that a file is there and right: all its bytes, or their number.",
)
@click.option("--replace", is_flag=True, help="Put it in the place of another bundle or version.")
@click.option(
    "--threads",
    default=4,
    show_default=True,
    type=click.IntRange(1, 32),
    metavar="N",
    help="Files at a time.",
)
@click.option(
    "--dest-options", metavar="JSON", default="{}", callback=json_object, help="Options of fsspec for DEST."
)
@click.option("--manifest-version", metavar="V", help="Pin a version whose manifest is in the cache.")
@click.option("--allow-other-hosts", is_flag=True, help="Follow URLs in the manifest to other hosts.")
@cache_dir_option
@storage_options_option
@offline_option
@quiet_option
@json_option
def mirror(
    manifest: str,
    dest: str,
    names: Sequence[str],
    check: Any,
    replace: bool,
    threads: int,
    dest_options: Mapping[str, Any],
    manifest_version: str | None,
    allow_other_hosts: bool,
    cache_dir: str | None,
    storage_options: Mapping[str, Any],
    offline: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Copy a bundle to a folder or bucket of yours.

    MANIFEST is mirna, rnaseq, or the URL of one; DEST a folder: a path, or a URL that fsspec writes to. Every file is
    verified; what is there and right is left; the manifest is written last. So an interrupted copy goes on with the
    same command, and people can open DEST/manifest.json at any time; while another version is replaced, they are
    refused what differs.

    \b
      intake-tcga mirror rnaseq /srv/tcga/rnaseq
      intake-tcga mirror mirna s3://our-bucket/tcga/mirna --name BRCA --name OV
    """  # noqa: D301
    from intake_tcga.cohorts.mirror import mirror as mirror_bundle

    collection = CohortCollection(
        urlpath=manifest,
        version=manifest_version,
        storage_options=storage_options,
        allow_other_hosts=allow_other_hosts,
        offline=offline or None,
        cache_storage=cache_dir,
        progress=False if quiet else None,
    )
    made = mirror_bundle(
        collection,
        dest,
        names or None,
        storage_options=dest_options,
        check=check,
        replace=replace,
        threads=threads,
    )
    rows = [
        {"cohort": cohort.name, "status": "copied" if cohort.name in made.copied else "was there"}
        for cohort in collection.manifest.cohorts
        if cohort.name in {*made.copied, *made.found}
    ]
    print_json({"manifest": made.shown_url, "cohorts": rows}) if as_json else print_rows(rows)
    click.echo(f"{made.shown_url}: open it with intake.open_tcga({made.shown_url!r})", err=True)
