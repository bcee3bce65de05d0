"""The functions of a notebook: find slides of the GDC without making a catalog first."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from intake_tcga.slides.collection import SlideCollection

if TYPE_CHECKING:
    import pandas as pd


def open_slides(manifest: str | os.PathLike[str] | None = None, **options: Any) -> SlideCollection:
    """Return the slides of TCGA at the GDC, to be searched, drawn and opened; nothing is asked of the network yet.

    Parameters
    ----------
    manifest : path or str, optional
        A manifest of the GDC (a TSV ``id filename md5 size state``): its slides instead of all.
    **options
        Fields of :class:`~intake_tcga.slides.collection.SlideCollection`: ``endpoint``, ``token``, ``token_file``,
        ``access``, ``offline``, ``cache_storage``, …

    Raises
    ------
    OptionError
        There is no such option, or not with such a value; the message says which there are.
    ManifestError, MissingFileError
        The manifest cannot be used.

    Examples
    --------
    >>> open_slides()
    <SlideCollection of the slides of https://api.gdc.cancer.gov, not listed yet>
    """
    slides = SlideCollection.of(**options)
    return slides if manifest is None else slides.from_manifest(manifest)


def list_slides(
    text: str | re.Pattern[str] | None = None,
    *,
    manifest: str | os.PathLike[str] | None = None,
    options: dict[str, Any] | None = None,
    **facets: Any,
) -> pd.DataFrame:
    """Return one row a slide that has a text in any field, and matches every facet.

    Parameters
    ----------
    text, **facets
        As in :meth:`~intake_tcga.slides.collection.SlideCollection.search`: ``project="TCGA-LUAD"``,
        ``kind="diagnostic"``, …
    manifest
        As in :func:`open_slides`.
    options : dict, optional
        The further options of :func:`open_slides`.

    Raises
    ------
    OptionError
        A facet or option that does not exist.
    OfflineError, TransferError, ManifestError, IntegrityError
        The GDC's listing cannot be had.

    Examples
    --------
    >>> from pathlib import Path
    >>> file_id = "d4ff32cd-38cf-40ea-8213-45c2b100ac01"
    >>> rows = [("id", "filename", "md5", "size", "state")]
    >>> rows += [(file_id, f"TCGA-05-4244-01Z-00-DX1.{file_id}.svs", "0" * 32, "74000000", "released")]
    >>> with Path("gdc_manifest.txt").open("w") as file:
    ...     for row in rows:
    ...         print(*row, sep=chr(9), file=file)
    >>> table = list_slides(manifest="gdc_manifest.txt", kind="diagnostic", options={"offline": True})
    >>> table[["barcode", "case"]].values.tolist()
    [['TCGA-05-4244-01Z-00-DX1', 'TCGA-05-4244']]
    """
    return open_slides(manifest, **(options or {})).search(text, **facets).df
