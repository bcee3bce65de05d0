"""The command line: ``intake-tcga``."""

from __future__ import annotations

import click

from intake_tcga._version import __version__
from intake_tcga.cli import archs4, cache, cohorts, slides
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
"""


@click.group(
    cls=Commands,
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
    cohorts.demo,
    archs4.archs4,
    slides.slides,
):
    main.add_command(_command)
