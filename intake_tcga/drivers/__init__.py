"""Intake V1: ``driver: tcga`` (the cohorts of a manifest) and ``driver: tcga_cohort`` (one cohort).

Each method is one call into :class:`~intake_tcga.cohorts.collection.CohortCollection`; what is here is only what
intake needs to hear. Both classes keep intake's way of pickling and re-making sources: from the arguments they
were made with.
"""

from __future__ import annotations

from typing import Any

from intake_tcga.drivers.cohort_catalog import CohortCatalog
from intake_tcga.drivers.cohort_source import CohortSource

__all__ = ["CohortCatalog", "CohortSource"]


def __getattr__(name: str) -> Any:
    # `intake.cat.tcga`: made on access, so that importing this module opens no file.
    if name == "builtin_catalog":
        from intake.catalog.local import YAMLFileCatalog

        from intake_tcga.cohorts.sample import catalogs_folder

        return YAMLFileCatalog(str(catalogs_folder() / "tcga.yaml"))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
