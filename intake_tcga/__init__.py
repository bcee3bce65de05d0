"""Public cancer-expression data of The Cancer Genome Atlas, as lazy, verified xarray Datasets.

Names are imported when they are first used, so that ``import intake_tcga`` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from intake_tcga._version import __version__

if TYPE_CHECKING:
    from intake_tcga.archs4.access import download_archs4 as download_archs4
    from intake_tcga.archs4.access import list_archs4 as list_archs4
    from intake_tcga.archs4.access import open_archs4 as open_archs4
    from intake_tcga.archs4.align import align as align
    from intake_tcga.archs4.collection import Archs4Collection as Archs4Collection
    from intake_tcga.archs4.version_service import refresh_releases as refresh_releases
    from intake_tcga.cache.store import VerifiedFileCache as VerifiedFileCache
    from intake_tcga.cache.store import cache_dir as cache_dir
    from intake_tcga.cache.store import cache_info as cache_info
    from intake_tcga.cache.store import clear_cache as clear_cache
    from intake_tcga.cohorts.access import cohort_path as cohort_path
    from intake_tcga.cohorts.access import cohort_table as cohort_table
    from intake_tcga.cohorts.access import list_cohorts as list_cohorts
    from intake_tcga.cohorts.access import open_cohort as open_cohort
    from intake_tcga.cohorts.access import open_cohort_tree as open_cohort_tree
    from intake_tcga.cohorts.access import open_sample as open_sample
    from intake_tcga.cohorts.access import prefetch as prefetch
    from intake_tcga.cohorts.collection import CohortCollection as CohortCollection
    from intake_tcga.comparison import compare as compare
    from intake_tcga.errors import IntakeTcgaError as IntakeTcgaError
    from intake_tcga.explorer import explore as explore
    from intake_tcga.export import to_anndata as to_anndata
    from intake_tcga.export import write_h5ad as write_h5ad
    from intake_tcga.export import write_table as write_table
    from intake_tcga.export import write_zarr as write_zarr
    from intake_tcga.genes import aggregate_genes as aggregate_genes
    from intake_tcga.genes import filter_genes as filter_genes
    from intake_tcga.normalization import normalize as normalize
    from intake_tcga.plots import plot_comparison as plot_comparison
    from intake_tcga.plots import plot_correlations as plot_correlations
    from intake_tcga.plots import plot_feature as plot_feature
    from intake_tcga.plots import plot_groups as plot_groups
    from intake_tcga.plots import plot_heatmap as plot_heatmap
    from intake_tcga.plots import plot_library_sizes as plot_library_sizes
    from intake_tcga.plots import plot_mean_variance as plot_mean_variance
    from intake_tcga.plots import plot_metadata as plot_metadata
    from intake_tcga.plots import plot_pca as plot_pca
    from intake_tcga.plots import plot_slide as plot_slide
    from intake_tcga.slides.access import list_slides as list_slides
    from intake_tcga.slides.access import open_slides as open_slides
    from intake_tcga.slides.collection import SlideCollection as SlideCollection
    from intake_tcga.slides.contact_sheet import contact_sheet as contact_sheet
    from intake_tcga.slides.images import save_images as save_images
    from intake_tcga.slides.opening import open_slide as open_slide

_HOMES = {
    "download_archs4": "archs4.access",
    "list_archs4": "archs4.access",
    "open_archs4": "archs4.access",
    "align": "archs4.align",
    "Archs4Collection": "archs4.collection",
    "refresh_releases": "archs4.version_service",
    "cache_dir": "cache.store",
    "cache_info": "cache.store",
    "clear_cache": "cache.store",
    "VerifiedFileCache": "cache.store",
    "cohort_path": "cohorts.access",
    "cohort_table": "cohorts.access",
    "list_cohorts": "cohorts.access",
    "open_cohort": "cohorts.access",
    "open_cohort_tree": "cohorts.access",
    "open_sample": "cohorts.access",
    "prefetch": "cohorts.access",
    "CohortCollection": "cohorts.collection",
    "compare": "comparison",
    "IntakeTcgaError": "errors",
    "explore": "explorer",
    "to_anndata": "export",
    "write_h5ad": "export",
    "write_table": "export",
    "write_zarr": "export",
    "aggregate_genes": "genes",
    "filter_genes": "genes",
    "normalize": "normalization",
    "plot_comparison": "plots",
    "plot_correlations": "plots",
    "plot_feature": "plots",
    "plot_groups": "plots",
    "plot_heatmap": "plots",
    "plot_library_sizes": "plots",
    "plot_mean_variance": "plots",
    "plot_metadata": "plots",
    "plot_pca": "plots",
    "plot_slide": "plots",
    "list_slides": "slides.access",
    "open_slides": "slides.access",
    "SlideCollection": "slides.collection",
    "contact_sheet": "slides.contact_sheet",
    "save_images": "slides.images",
    "open_slide": "slides.opening",
}
__all__ = ["__version__", *_HOMES]  # noqa: PLE0604 - the names of the table above


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'intake_tcga' has no attribute {name!r}; it has {', '.join(_HOMES)}.")
    value = globals()[name] = getattr(import_module(f"intake_tcga.{home}"), name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
