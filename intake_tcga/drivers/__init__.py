"""Intake V1: a catalog and a source for each kind of data.

=============== ==================================== ======================================
kind            catalog                              source
=============== ==================================== ======================================
cohorts         ``tcga``: those of a manifest        ``tcga_cohort``: one
ARCHS4          ``tcga_archs4``: published files     ``tcga_archs4_file``: one, local or not
slides          ``tcga_slides``: TCGA's at the GDC   ``tcga_slide``: one, local or not
=============== ==================================== ======================================

Each method is one call into a room's collection; what is here is only what intake needs to hear. All classes keep
intake's way of pickling and re-making sources: from the arguments they were made with.
"""

from __future__ import annotations

from typing import Any

from intake_tcga.drivers.archs4_catalog import Archs4Catalog
from intake_tcga.drivers.archs4_source import Archs4Source
from intake_tcga.drivers.cohort_catalog import CohortCatalog
from intake_tcga.drivers.cohort_source import CohortSource
from intake_tcga.drivers.slide_catalog import SlideCatalog
from intake_tcga.drivers.slide_source import SlideSource

__all__ = ["Archs4Catalog", "Archs4Source", "CohortCatalog", "CohortSource", "SlideCatalog", "SlideSource"]


def __getattr__(name: str) -> Any:
    # `intake.cat.tcga`: made on access, so that importing this module opens no file.
    if name == "builtin_catalog":
        from intake_tcga.cohorts.sample import catalogs_folder
        from intake_tcga.drivers.builtin import BuiltinCatalog

        return BuiltinCatalog(str(catalogs_folder() / "tcga.yaml"))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
