"""Intake V2: data types that intake recognises, readers of them, and catalogs that reopen by themselves.

::

    CohortManifest ── CohortCatalogReader ──► intake V2 Catalog    a manifest: its cohorts
    ManifestCohort ── CohortReader ─────────► xarray Dataset       one cohort of a manifest
    CohortFile ────── CohortFileReader ─────► xarray Dataset       a cohort's file, wherever it is

Intake imports this module whenever it is imported itself: nothing is imported at its top that intake has not
loaded already, and a reader imports what it needs when it reads. Reading is one call into
:class:`~intake_tcga.cohorts.collection.CohortCollection`; the rest is what intake needs to hear.

A catalog's entry says everything about its data in its own arguments, and refers to no other entry, since
intake's own ``Catalog.search`` loses what entries refer to. Credentials never are among these arguments: see
:class:`_Data`.
"""

from __future__ import annotations

from intake_tcga.readers.catalog import CohortCatalogReader, to_v2
from intake_tcga.readers.data import CohortFile, CohortManifest, ManifestCohort
from intake_tcga.readers.datasets import CohortFileReader, CohortReader
from intake_tcga.readers.search import CohortSearch

__all__ = [
    "CohortCatalogReader",
    "CohortFile",
    "CohortFileReader",
    "CohortManifest",
    "CohortReader",
    "CohortSearch",
    "ManifestCohort",
    "to_v2",
]

# What saved catalogs and pickles say: one path for good, whichever file here holds a class.
for _name in __all__:
    globals()[_name].__module__ = __name__
