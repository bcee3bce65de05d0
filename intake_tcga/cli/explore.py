"""The command that serves the page."""

from __future__ import annotations

import os

import click

from intake_tcga.cli.options import offline_option
from intake_tcga.errors import OptionError


@click.command()
@click.argument("catalog", required=False)
@click.option("--sample", is_flag=True, help="Only the offline sample.")
@click.option(
    "--port",
    default=0,
    show_default=True,
    type=click.IntRange(0, 65535),
    metavar="N",
    help="Where to listen; 0 for any free port.",
)
@click.option("--no-browser", is_flag=True, help="Open no browser; the address is printed.")
@offline_option
def explore(catalog: str | None, sample: bool, port: int, no_browser: bool, offline: bool) -> None:
    """Browse catalogs and their data in a browser.

    Serves a page on 127.0.0.1 until Ctrl-C. Nothing is downloaded before a button that says how much was clicked.

    CATALOG is the path or URL of a catalog (.yaml) or of a manifest of cohorts (.json); without one, everything that
    is published.

    \b
      intake-tcga explore
      intake-tcga explore https://data.example.org/tcga/platform.yaml
      intake-tcga explore bundle/manifest.json
    """  # noqa: D301
    from intake_tcga.drivers.opening import open_shared
    from intake_tcga.explorer.server import serve
    from intake_tcga.explorer.shelves import sample_shelf, shelves_of

    if catalog is not None and sample:
        raise OptionError(f"--sample is the offline sample alone; leave it out to browse {catalog}.")
    os.environ.setdefault("MPLBACKEND", "agg")  # pictures go to the page, and need no display
    if catalog is not None and offline:
        os.environ["INTAKE_TCGA_OFFLINE"] = "1"  # the one option that all entries of a catalog follow
    if catalog is not None:
        shelves = shelves_of(open_shared(catalog, offline=offline))
    else:
        shelves = [sample_shelf()] if sample else shelves_of(offline=offline or None)
    serve(
        shelves,
        port=port,
        browser=not no_browser,
        ready=lambda url: click.echo(f"{url}  (Ctrl-C ends it)"),
    )
    click.echo("Ended.", err=True)
