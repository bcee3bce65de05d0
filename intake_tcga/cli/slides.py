"""Commands on whole-slide images: each one call into the room, and a way to show or save what it returned."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from intake_tcga.cli.commands import Commands
from intake_tcga.cli.facets import conditions_of, pattern_of
from intake_tcga.cli.options import (
    cache_dir_option,
    offline_option,
    quiet_option,
    storage_options_option,
    wrapped,
)
from intake_tcga.cli.printing import json_option, print_json, print_rows
from intake_tcga.errors import IntakeTcgaError

if TYPE_CHECKING:
    from intake_tcga.slides.collection import SlideCollection

_Command = TypeVar("_Command", bound=Callable[..., Any])
_MPP = click.FloatRange(0, min_open=True)


@click.group("slides", cls=Commands)
def slides() -> None:
    """Find whole-slide images and save them at any µm/px.

    All slides of TCGA at the Genomic Data Commons (GDC): searched, drawn at random, saved at an exact resolution.
    A slide answers to its barcode, its file name and its id. Of a slide only what an image needs is read.

    \b
      intake-tcga slides search lung -w project=TCGA-LUAD -w kind=diagnostic
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
        last=True,
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
        return command(found=among.search(pattern, **conditions_of(facets)), **kwargs)

    return wrapped(
        command,
        with_search,
        click.option("--regex", is_flag=True, help="The text is a regular expression (case-insensitive)."),
        click.option(
            "-w",
            "--where",
            "facets",
            multiple=True,
            metavar="FIELD=VALUE",
            help="Keep slides with this value (several for one field: any of them), or in a range LOW..HIGH; <, >, <=, "
            ">=, != compare.",
        ),
        click.option("--manifest", metavar="TSV", help="Only slides of this manifest of the GDC."),
    )


_text_option = click.option("--search", "text", metavar="TEXT", help="Found in any field.")
_mpp_from_option = click.option(
    "--mpp-from",
    type=click.Choice(["magnification", "pixels"]),
    help="Where a slide does not tell its µm/px: an estimate, or none.",
)
_mpp_base_option = click.option(
    "--mpp-base",
    type=_MPP,
    metavar="N",
    help="µm/px of the slides' finest level, whatever they tell.",
)
_manifest_option = click.option(
    "-o", "--out", metavar="TSV", help="Write their manifest here, as gdc-client takes it."
)


@slides.command()
@_with_collection
@click.argument("text", required=False)
@_with_search
@_manifest_option
@json_option
def search(found: SlideCollection, out: str | None, as_json: bool) -> None:
    """Find slides by a text and by facets.

    TEXT may be in any field. Facets are project, kind (diagnostic, tissue), sample_type, primary_site, disease_type,
    case, barcode, size, and others of the table.

    \b
      intake-tcga slides search -w project=TCGA-LUAD -w kind=diagnostic
      intake-tcga slides search kidney -w 'size<500000000' -o small.tsv
      intake-tcga slides search '^TCGA-05' --regex --json
    """  # noqa: D301
    _print_slides(found, out, as_json)


@slides.command()
@_with_collection
@click.argument("n", type=click.IntRange(0), required=False)
@click.option("--seed", type=int, required=True, metavar="N", help="Another seed, another draw.")
@click.option("--per", metavar="FIELD=N", help="Draw N of each value of a field, e.g. project=10.")
@_text_option
@_with_search
@_manifest_option
@json_option
def draw(
    found: SlideCollection, n: int | None, seed: int, per: str | None, out: str | None, as_json: bool
) -> None:
    """Draw N slides at random.

    The same ones for the same seed, whatever order the GDC lists them in; a smaller draw is the beginning of a larger
    one.

    \b
      intake-tcga slides draw 100 --seed 42 -w kind=diagnostic -o drawn.tsv
      intake-tcga slides draw --per project=10 --seed 42
    """  # noqa: D301
    if n is None and per is None:
        raise click.UsageError("Say how many: N, or --per FIELD=N.")
    _print_slides(found.draw(n, seed, per=_each(per)), out, as_json)


@slides.command()
@_with_collection
@_text_option
@_with_search
@click.argument("out")
def manifest(found: SlideCollection, out: str) -> None:
    """Write a manifest of slides.

    As gdc-client and the other commands take it, to the file OUT.
    """
    click.echo(f"{found.to_manifest(out)}: {found.summary}")


@slides.command()
@click.argument("names", nargs=-1, required=True)
@click.option("--mpp", type=_MPP, required=True, metavar="N", help="µm/px of the images.")
@click.option("-o", "--out", required=True, metavar="DIR", help="Folder of the images and their index.")
@click.option(
    "--format",
    "image_format",
    type=click.Choice(["png", "jpeg", "tiff"]),
    default="png",
    show_default=True,
    help="Of the images.",
)
@click.option(
    "--quality", type=click.IntRange(1, 95), default=90, show_default=True, metavar="N", help="Of JPEG."
)
@click.option(
    "--workers", type=click.IntRange(1), default=4, show_default=True, metavar="N", help="Slides at a time."
)
@click.option(
    "--method",
    type=click.Choice(["ranges", "tiles", "download"]),
    default="ranges",
    show_default=True,
    help="How they are read.",
)
@click.option(
    "--keep/--drop",
    default=True,
    show_default=True,
    help="Whether slides that are downloaded stay in the cache.",
)
@click.option("--upsample", is_flag=True, help="Enlarge slides that have no such fine resolution.")
@_mpp_base_option
@_mpp_from_option
@_with_collection
@storage_options_option
@json_option
def images(
    collection: SlideCollection,
    names: Sequence[str],
    out: str,
    image_format: Any,
    storage_options: Mapping[str, Any],
    as_json: bool,
    **options: Any,
) -> None:
    """Save an image of each slide at exactly one µm/px.

    NAMES are slides, files, URLs, or manifests (.tsv, .txt). What an earlier run saved is left as it is. A slide that
    fails stops no other; it is named at the end, and the exit status is 1.

    \b
      intake-tcga slides images drawn.tsv --mpp 15 -o images/
      intake-tcga slides images TCGA-05-4244-01Z-00-DX1 --mpp 0.5 -o images/
      intake-tcga slides images mine.svs --mpp 2 --format jpeg -o images/
    """  # noqa: D301
    from intake_tcga.slides.images import save_what_can_be

    index, tell = save_what_can_be(
        _meant(collection, names),
        out,
        format=image_format,
        storage_options=storage_options,
        progress=collection.progress,
        **options,
        **collection.reached,
    )
    rows = index[["file", "width", "height", "mpp_source", "size"]].to_dict("records")
    if as_json:
        print_json(rows)
    elif rows:
        print_rows([{str(key): row[key] for key in row} for row in rows])
    tell()


@slides.command()
@click.argument("names", nargs=-1, required=True)
@click.option(
    "--mpp",
    type=_MPP,
    default=64.0,
    show_default=True,
    metavar="N",
    help="µm/px of every slide.",
)
@click.option("-o", "--out", required=True, metavar="FILE", help="The sheet: .png, .jpg, .tif or .pdf.")
@click.option("--columns", type=click.IntRange(1), metavar="N", help="Slides side by side.")
@click.option("--upsample", is_flag=True, help="Enlarge slides that have no such fine resolution.")
@_mpp_base_option
@_mpp_from_option
@_with_collection
@storage_options_option
def sheet(
    collection: SlideCollection,
    names: Sequence[str],
    out: str,
    storage_options: Mapping[str, Any],
    **options: Any,
) -> None:
    """Draw all slides on one sheet.

    Each at the same µm/px, so that sizes can be compared. NAMES as for images.
    """
    from intake_tcga.slides.contact_sheet import contact_sheet

    path = contact_sheet(
        _meant(collection, names),
        out,
        storage_options=storage_options,
        progress=collection.progress,
        **options,
        **collection.reached,
    )
    click.echo(path)


@slides.command()
@click.argument("names", nargs=-1, required=True)
@_with_collection
def download(collection: SlideCollection, names: Sequence[str]) -> None:
    """Download whole slides and print their paths.

    Each verified by size and digest. NAMES are slides, or manifests (.tsv, .txt). A slide that fails stops no other;
    it is named at the end, and the exit status is 1.
    """
    from intake_tcga.slides.batch import raise_together

    failures: list[tuple[str, Exception]] = []
    wanted: list[tuple[SlideCollection, str]] = []
    for name in names:
        if _is_manifest(name):
            listed = collection.from_manifest(name)
            wanted.extend((listed, slide.file_id) for slide in listed)
        else:
            wanted.append((collection, name))
    for among, name in wanted:
        try:
            click.echo(among.fetch(name))
        except IntakeTcgaError as error:
            failures.append((name, error))
    raise_together(failures, len(wanted), "the paths of the others are above")


def _meant(collection: SlideCollection, names: Sequence[str]) -> list[Any]:
    """Return the slides that are named, those of manifests among them."""
    meant: list[Any] = []
    for name in names:
        if _is_manifest(name):
            meant.extend(collection.from_manifest(name))
        else:
            meant.append(name)
    return meant


def _is_manifest(name: str) -> bool:
    return Path(name).suffix.lower() in {".tsv", ".txt"}


def _each(per: str | None) -> tuple[str, int] | None:
    if per is None:
        return None
    field, equals, number = per.partition("=")
    if not equals or not number.isdigit():
        raise click.UsageError(f"--per {per!r} is not FIELD=N, e.g. project=10.")
    return field, int(number)


def _print_slides(found: SlideCollection, out: str | None, as_json: bool) -> None:
    if out is not None:
        click.echo(f"{found.to_manifest(out)}: {found.summary}", err=True)
    rows = found.df.to_dict("records")
    if as_json:
        print_json(rows)
        return
    shown = ("barcode", "project", "kind", "sample_type", "primary_site", "size", "file_id")
    print_rows([{name: row[name] for name in shown} for row in rows])
