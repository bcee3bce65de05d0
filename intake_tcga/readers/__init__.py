"""Intake V2: data types that intake recognises, readers of them, and catalogs that reopen by themselves.

::

    CohortManifest ── CohortCatalogReader ──► intake V2 Catalog           a manifest: its cohorts
    ManifestCohort ── CohortReader ─────────► xarray Dataset              one cohort of a manifest
    CohortFile ────── CohortFileReader ─────► xarray Dataset              a cohort's file, wherever it is
    Archs4Releases ── Archs4CatalogReader ──► intake V2 Catalog           the files that ARCHS4 publishes
    Archs4File ────── Archs4Reader ─────────► xarray Dataset              one of them, or any other, or some samples
    GdcSlides ─────── SlideCatalogReader ───► intake V2 Catalog           TCGA's slides at the GDC
    SlideFile ─────── SlideReader ──────────► xarray Dataset, DataTree    one of them, or any other

Intake imports this module whenever it is imported itself: nothing is imported at its top that intake has not
loaded already, and a reader imports what it needs when it reads. Reading is one call into a room's collection; the
rest is what intake needs to hear.

A catalog's entry says everything about its data in its own arguments, and refers to no other entry, since
intake's own ``Catalog.search`` loses what entries refer to. Credentials never are among these arguments: see
:class:`~intake_tcga.readers.data.Data`.
"""

from __future__ import annotations

from intake_tcga.readers.archs4_catalog import Archs4CatalogReader, archs4_to_v2
from intake_tcga.readers.archs4_data import Archs4File, Archs4Releases
from intake_tcga.readers.archs4_reader import Archs4Reader
from intake_tcga.readers.catalog_reader import catalog_of
from intake_tcga.readers.cohort_catalog import CohortCatalogReader, to_v2
from intake_tcga.readers.cohort_data import CohortFile, CohortManifest, ManifestCohort
from intake_tcga.readers.cohort_readers import CohortFileReader, CohortReader
from intake_tcga.readers.search import CohortSearch
from intake_tcga.readers.slide_catalog import SlideCatalogReader, slides_to_v2
from intake_tcga.readers.slide_data import GdcSlides, SlideFile
from intake_tcga.readers.slide_reader import SlideReader

__all__ = [
    "Archs4CatalogReader",
    "Archs4File",
    "Archs4Reader",
    "Archs4Releases",
    "CohortCatalogReader",
    "CohortFile",
    "CohortFileReader",
    "CohortManifest",
    "CohortReader",
    "CohortSearch",
    "GdcSlides",
    "ManifestCohort",
    "SlideCatalogReader",
    "SlideFile",
    "SlideReader",
    "archs4_to_v2",
    "catalog_of",
    "slides_to_v2",
    "to_v2",
]

# What saved catalogs and pickles say: one path for good, whichever file here holds a class.
for _name in __all__:
    globals()[_name].__module__ = __name__
