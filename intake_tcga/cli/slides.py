"""Commands on whole-slide images: each one call into the room, and a way to show or save what it returned."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from intake_tcga.cli.commands import Commands
from intake_tcga.cli.facets import facets_of, pattern_of
from intake_tcga.cli.options import cache_dir_option, offline_option, quiet_option, wrapped
from intake_tcga.cli.printing import json_option, print_json, print_rows

if TYPE_CHECKING:
    from intake_tcga.slides.collection import SlideCollection

_Command = TypeVar("_Command", bound=Callable[..., Any])


@click.group("slides", cls=Commands)
def slides() -> None:
    """Find whole-slide images of TCGA, draw some, save each at an exact µm/px.

    A slide answers to its barcode, its file name and its id. Of a slide only what an image needs is read.

    \b
      intake-tcga slides search -w project=TCGA-LUAD -w kind=diagnostic
      intake-tcga slides draw 100 --seed 42 -w kind=diagnostic -o drawn.tsv
      intake-tcga slides images drawn.tsv --mpp 15 -o images/
      intake-tcga slides sheet drawn.tsv -o sheet.png
    """  # noqa: D301 - click reads a real \\b as "keep these lines"


def _with_collection(command: _Command) -> _Command:
    """Add the options that say where slides are; they reach the command as one ``collection``."""

    def with_collection(
        endpoint: str | None,
        token_file: str | None,
        access: Any,
        cache_dir: str | None,
        offline: bool,
        quiet: bool,
        **kwargs: Any,
    ) -> Any:
        from intake_tcga.slides.collection import SlideCollection

        collection = SlideCollection(
            endpoint=endpoint,
            token_file=token_file,
            access=access,
            offline=offline or None,
            cache_storage=cache_dir,
            progress=False if quiet else None,
        )
        return command(collection=collection, **kwargs)

    return wrapped(
        command,
        with_collection,
        click.option("--endpoint", metavar="URL", help="A mirror of the GDC."),
        click.option("--token-file", metavar="FILE", help="The GDC's token, for controlled slides."),
        click.option(
            "--access",
            type=click.Choice(["open", "controlled", "any"]),
            default="open",
            show_default=True,
            help="Which slides.",
        ),
        cache_dir_option,
        offline_option,
        quiet_option,
    )


def _with_search(command: _Command) -> _Command:
    """Add the options of a search; they reach the command as ``found``, the slides that match."""

    def with_search(
        collection: SlideCollection,
        text: str | None,
        regex: bool,
        facets: Sequence[str],
        manifest: str | None,
        **kwargs: Any,
    ) -> Any:
        among = collection if manifest is None else collection.from_manifest(manifest)
        pattern = pattern_of(text) if regex and text else text
        return command(found=among.search(pattern, **facets_of(facets)), **kwargs)

    return wrapped(
        command,
        with_search,
        click.option("-t", "--text", help="Found in any field."),
        click.option("--regex", is_flag=True, help="The text is a regular expression (case-insensitive)."),
        click.option(
            "-w",
            "--where",
            "facets",
            multiple=True,
            metavar="FIELD=VALUE",
            help="Keep slides with this value (several for one field: any of them).",
        ),
        click.option("--manifest", metavar="TSV", help="Only slides of this manifest of the GDC."),
    )


_manifest_option = click.option(
    "-o", "--output", metavar="TSV", help="Write their manifest here, as gdc-client takes it."
)


@slides.command()
@_with_collection
@_with_search
@_manifest_option
@json_option
def search(found: SlideCollection, output: str | None, as_json: bool) -> None:
    """Find slides.

    By project, kind (diagnostic, tissue), sample_type, primary_site, disease_type, case.
    """
    _print_slides(found, output, as_json)


@slides.command()
@click.argument("n", type=click.IntRange(0), required=False)
@click.option("--seed", type=int, required=True, help="Another seed, another draw.")
@click.option("--per", metavar="FIELD=N", help="Draw N of each value of a field, e.g. project=10.")
@_with_collection
@_with_search
@_manifest_option
@json_option
def draw(
    found: SlideCollection, n: int | None, seed: int, per: str | None, output: str | None, as_json: bool
) -> None:
    """Draw N slides at random; the same ones for the same seed, whatever order the GDC lists them in."""
    _print_slides(found.draw(n, seed, per=_each(per)), output, as_json)


@slides.command()
@_with_collection
@_with_search
@click.argument("output")
def manifest(found: SlideCollection, output: str) -> None:
    """Write the manifest of the slides found to OUTPUT, as gdc-client takes it."""
    click.echo(f"{found.to_manifest(output)}: {found.summary}")


@slides.command()
@click.argument("names", nargs=-1, required=True)
@click.option("--mpp", type=float, required=True, help="µm/px of the images.")
@click.option("-o", "--out", required=True, metavar="DIR", help="Folder of the images and their index.")
@click.option(
    "--format",
    "image_format",
    type=click.Choice(["png", "jpeg", "tiff"]),
    default="png",
    show_default=True,
    help="Of the images.",
)
@click.option("--workers", type=click.IntRange(1), default=4, show_default=True, help="Slides at a time.")
@click.option(
    "--method",
    type=click.Choice(["ranges", "tiles", "download"]),
    default="ranges",
    show_default=True,
    help="How they are read.",
)
@click.option(
    "--mpp-from",
    type=click.Choice(["magnification", "pixels"]),
    help="Where a slide does not tell its µm/px.",
)
@_with_collection
@json_option
def images(
    collection: SlideCollection,
    names: Sequence[str],
    mpp: float,
    out: str,
    image_format: Any,
    workers: int,
    method: Any,
    mpp_from: Any,
    as_json: bool,
) -> None:
    """Save an image of each slide at exactly one µm/px.

    NAMES are slides, files, URLs, or manifests (.tsv, .txt). What an earlier run saved is left as it is; a slide
    that fails stops no other, and makes the exit status 1.
    """
    from intake_tcga.slides.images import save_images

    index = save_images(
        _meant(collection, names),
        out,
        mpp=mpp,
        format=image_format,
        workers=workers,
        method=method,
        mpp_from=mpp_from,
        progress=collection.progress,
        **collection.reached,
    )
    rows = index[["file", "width", "height", "mpp_source", "size"]].to_dict("records")
    print_json(rows) if as_json else print_rows([{str(key): row[key] for key in row} for row in rows])


@slides.command()
@click.argument("names", nargs=-1, required=True)
@click.option("--mpp", type=float, default=64.0, show_default=True, help="µm/px of every slide.")
@click.option("-o", "--output", required=True, metavar="FILE", help="The sheet: .png, .jpg, .tif or .pdf.")
@click.option("--columns", type=click.IntRange(1), help="Slides side by side.")
@click.option(
    "--mpp-from",
    type=click.Choice(["magnification", "pixels"]),
    help="Where a slide does not tell its µm/px.",
)
@_with_collection
def sheet(
    collection: SlideCollection,
    names: Sequence[str],
    mpp: float,
    output: str,
    columns: int | None,
    mpp_from: Any,
) -> None:
    """Draw all slides on one sheet, each at the same µm/px. NAMES as for images."""
    from intake_tcga.slides.contact_sheet import contact_sheet

    path = contact_sheet(
        _meant(collection, names),
        output,
        mpp=mpp,
        columns=columns,
        mpp_from=mpp_from,
        progress=collection.progress,
        **collection.reached,
    )
    click.echo(path)


@slides.command()
@click.argument("names", nargs=-1, required=True)
@_with_collection
def download(collection: SlideCollection, names: Sequence[str]) -> None:
    """Download whole slides and verify them; print their paths. NAMES are slides or manifests."""
    for slide in _meant(collection, names):
        click.echo(collection.fetch(slide if isinstance(slide, str) else slide.file_name))


def _meant(collection: SlideCollection, names: Sequence[str]) -> list[Any]:
    """Return the slides that are named, those of manifests among them."""
    meant: list[Any] = []
    for name in names:
        if Path(name).suffix.lower() in {".tsv", ".txt"}:
            meant.extend(collection.from_manifest(name))
        else:
            meant.append(name)
    return meant


def _each(per: str | None) -> tuple[str, int] | None:
    if per is None:
        return None
    field, equals, number = per.partition("=")
    if not equals or not number.isdigit():
        raise click.UsageError(f"--per {per!r} is not FIELD=N, e.g. project=10.")
    return field, int(number)


def _print_slides(found: SlideCollection, output: str | None, as_json: bool) -> None:
    if output is not None:
        click.echo(f"{found.to_manifest(output)}: {found.summary}", err=True)
    table = found.df
    if as_json:
        print_json(table.to_dict("records"))
        return
    shown = table[["barcode", "project", "kind", "sample_type", "primary_site", "size", "file_id"]]
    print_rows([{str(key): value for key, value in row.items()} for row in shown.to_dict("records")])
