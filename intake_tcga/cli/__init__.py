"""The command line: ``intake-tcga``."""

from __future__ import annotations

import click

from intake_tcga._version import __version__
from intake_tcga.cli import archs4, cache, cohorts, demo, explore, mirror, slides
from intake_tcga.cli.commands import Commands

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
  GDC_TOKEN, GDC_TOKEN_FILE    the GDC's token, for controlled slides
"""


@click.group(
    cls=Commands,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="intake-tcga")
def main() -> None:
    """Public cancer-expression data of The Cancer Genome Atlas: find it, fetch it, check it.

    Most commands are on cohorts: a cohort answers to its code (BRCA) or its full name, and without --manifest or
    --modality they speak of the published bundle of 24 miRNA cohorts. RNA-seq of ARCHS4 and whole-slide images have
    commands of their own.

    \b
      intake-tcga demo                        the offline samples, and a picture
      intake-tcga list                        what there is
      intake-tcga search breast               where a word is found
      intake-tcga fetch BRCA                  download and verify
      intake-tcga list --modality rnaseq      the other bundle
      intake-tcga archs4 --help               a million RNA-seq samples
      intake-tcga slides --help               images of tissue
    """  # noqa: D301 - click reads a real \\b as "keep these lines"


for _command in (
    cohorts.list_,
    cohorts.search,
    cohorts.info,
    cohorts.fetch,
    cohorts.path,
    cohorts.verify,
    cache.cache,
    cache.clear,
    cohorts.catalog,
    mirror.mirror,
    archs4.archs4,
    slides.slides,
    explore.explore,
    demo.demo,
):
    main.add_command(_command)
