"""The command that shows what there is without a network."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, cast

import click

from intake_tcga.cli.cohorts import print_cohorts
from intake_tcga.cli.options import cache_dir_option
from intake_tcga.cli.printing import print_rows

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@click.command()
@click.option(
    "-o",
    "--out",
    metavar="FILE",
    default="intake-tcga-demo.png",
    show_default=True,
    type=click.Path(dir_okay=False),
    help="The picture.",
)
@cache_dir_option
def demo(out: str, cache_dir: str | None) -> None:
    """Open, print and draw the offline samples.

    The picture shows real against synthetic samples of a cohort. No network.
    """
    from intake_tcga.cohorts.sample import catalogs_folder, sample_collection
    from intake_tcga.plots import plot_pca

    sample = sample_collection(cache_storage=cache_dir)
    print_cohorts(sample, sample.names(short=False), as_json=False)
    dataset = sample.open("PRAD")
    click.echo(f"\n{dataset}\n")
    os.environ.setdefault("MPLBACKEND", "agg")  # a picture in a file needs no display
    axes = plot_pca(dataset.sel(normalization="TC", model="CVAE1_5"))
    try:
        cast("Figure", axes.get_figure(root=True)).savefig(out, dpi=150)
    except (OSError, ValueError) as error:  # no such folder, no such format
        raise click.ClickException(f"{out} cannot be written: {error}; choose another --out.") from error
    folder = catalogs_folder() / "sample"
    rows = [
        ("cohort", sample.fetch("PRAD"), "intake_tcga.open_sample()"),
        ("archs4", folder / "gtex_lung.h5", "intake_tcga.open_archs4(file)"),
        ("slide", folder / "CMU-1-Small-Region.svs", "intake_tcga.open_slide(file, mpp=15)"),
        ("picture", out, ""),
    ]
    print_rows(
        [{"sample": name, "file": file, "opens with": how} for name, file, how in rows], whole={"file"}
    )
