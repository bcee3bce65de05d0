"""Public cancer-expression data of The Cancer Genome Atlas, as lazy, verified xarray Datasets.

Names are imported when they are first used, so that ``import intake_tcga`` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from intake_tcga._version import __version__

if TYPE_CHECKING:
    from intake_tcga.cache import VerifiedFileCache as VerifiedFileCache
    from intake_tcga.cache import cache_dir as cache_dir
    from intake_tcga.cache import cache_info as cache_info
    from intake_tcga.cache import clear_cache as clear_cache
    from intake_tcga.cohorts.access import cohort_path as cohort_path
    from intake_tcga.cohorts.access import cohort_table as cohort_table
    from intake_tcga.cohorts.access import list_cohorts as list_cohorts
    from intake_tcga.cohorts.access import open_cohort as open_cohort
    from intake_tcga.cohorts.access import open_cohort_tree as open_cohort_tree
    from intake_tcga.cohorts.access import open_sample as open_sample
    from intake_tcga.cohorts.access import prefetch as prefetch
    from intake_tcga.cohorts.collection import CohortCollection as CohortCollection
    from intake_tcga.errors import IntakeTcgaError as IntakeTcgaError
    from intake_tcga.plots import plot_pca as plot_pca

_HOMES = {
    "VerifiedFileCache": "cache",
    "cache_dir": "cache",
    "cache_info": "cache",
    "clear_cache": "cache",
    "cohort_path": "cohorts.access",
    "cohort_table": "cohorts.access",
    "list_cohorts": "cohorts.access",
    "open_cohort": "cohorts.access",
    "open_cohort_tree": "cohorts.access",
    "open_sample": "cohorts.access",
    "prefetch": "cohorts.access",
    "CohortCollection": "cohorts.collection",
    "IntakeTcgaError": "errors",
    "plot_pca": "plots",
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
