"""The offline sample: a small real cohort that travels with the package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from intake_tcga.cohorts.collection import CohortCollection
from intake_tcga.errors import CacheError


def catalogs_folder() -> Path:
    """Return the folder of the catalogs that travel with the package.

    A wheel has it inside the package; an editable install or a checkout has it beside the package.
    """
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "catalogs", package.parent / "catalogs"):
        if (folder / "tcga.yaml").is_file():
            return folder
    raise CacheError(
        f"The catalogs of this package are neither in {package} nor beside it; install the package again."
    )


def sample_collection(**options: Any) -> CohortCollection:
    """Return the sample's collection; it takes the same way as a published one, and never opens a socket.

    Parameters
    ----------
    **options
        Fields of :class:`~intake_tcga.cohorts.collection.CohortCollection`, e.g. ``cache_storage``.
    """
    manifest = catalogs_folder() / "sample" / "manifest.json"
    return CohortCollection.of(**{"urlpath": manifest.as_uri(), "offline": True, **options})
