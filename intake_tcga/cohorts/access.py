"""The functions of a notebook: list, open and fetch cohorts without making a catalog first."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from intake_tcga.cohorts.collection import CohortCollection
from intake_tcga.cohorts.sample import sample_collection
from intake_tcga.cohorts.selection import Narrowing
from intake_tcga.option_names import check_option_names

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


def list_cohorts(
    *, short: bool = True, modality: str | None = None, manifest: str | None = None, **options: Any
) -> list[str]:
    """List the cohorts of a manifest, in its order.

    Parameters
    ----------
    short : bool
        Codes (``BRCA``; the full name where a code is not unique), else full names.
    modality : str, optional
        ``mirna`` (the default bundle) or ``rnaseq``.
    manifest : str, optional
        ``mirna``, ``rnaseq``, or the URL of a manifest (anything fsspec opens).
    **options
        Other fields of :class:`~intake_tcga.CohortCollection`: ``offline``, ``cache_storage``, ``storage_options``, …

    Raises
    ------
    TransferError, ManifestError
        The manifest could not be fetched, or not be used.

    Examples
    --------
    >>> list_cohorts(manifest=sample_manifest, short=False)
    ['PRAD_sample_type']
    """
    return _collection(list_cohorts, options, urlpath=manifest, modality=modality).names(short=short)


def open_cohort(
    name: str,
    *,
    modality: str | None = None,
    manifest: str | None = None,
    normalization: Narrowing = None,
    model: Narrowing = None,
    off_aug: Narrowing = None,
    chunks: Any = None,
    force: bool = False,
    **options: Any,
) -> xr.Dataset:
    """Open a cohort as a lazy Dataset; at first use its file is downloaded, verified and cached.

    Parameters
    ----------
    name : str
        Full name, or code where only one cohort has it.
    modality : str, optional
        ``mirna`` (the default bundle) or ``rnaseq``.
    manifest : str, optional
        ``mirna``, ``rnaseq``, or the URL of a manifest (anything fsspec opens).
    normalization, model, off_aug : str, sequence of str, or None
        Narrow the Dataset: a label selects it (its dimension becomes a scalar coordinate), several keep them.
    chunks : optional
        As in :func:`xarray.open_dataset`: ``{}`` gives dask arrays chunked as the file is; None plain lazy arrays.
    force : bool
        Download again; the old file stays until the new one is verified.
    **options
        Other fields of :class:`~intake_tcga.CohortCollection`: ``offline``, ``cache_storage``, ``storage_options``, …

    Returns
    -------
    xarray.Dataset
        ``real`` (normalization, sample, feature) and ``synthetic`` (normalization, model, synthetic_sample,
        feature), in log2 units; in schema 1.0 also ``raw`` (raw_sample, raw_feature), in counts. In schema 2.0
        ``synthetic`` has ``augmentation`` after ``normalization``. Every attribute of the file is kept.

    Raises
    ------
    NameNotFoundError, OptionError
        The name or an option is wrong; the message lists the right ones.
    TransferError, IntegrityError, CacheError
        The file could not be fetched and verified.
    FileFormatError
        The file is not what a cohort file is.

    Examples
    --------
    >>> ds = open_cohort("PRAD", manifest=sample_manifest, normalization="TC")
    >>> ds["real"].dims
    ('sample', 'feature')
    """
    collection = _collection(open_cohort, options, urlpath=manifest, modality=modality)
    return collection.open(
        name, normalization=normalization, model=model, off_aug=off_aug, chunks=chunks, force=force
    )


def open_cohort_tree(
    name: str,
    *,
    modality: str | None = None,
    manifest: str | None = None,
    chunks: Any = None,
    force: bool = False,
    **options: Any,
) -> xr.DataTree:
    """Open a cohort as a lazy DataTree that mirrors its file's groups; parameters as in :func:`open_cohort`.

    Examples
    --------
    >>> tree = open_cohort_tree("PRAD", manifest=sample_manifest)
    >>> list(tree["processed"].children)
    ['DESeq', 'TC', 'raw_norm']
    """
    return _collection(open_cohort_tree, options, urlpath=manifest, modality=modality).open_tree(
        name, chunks=chunks, force=force
    )


def open_sample(
    *, normalization: Narrowing = None, model: Narrowing = None, chunks: Any = None, **options: Any
) -> xr.Dataset:
    """Open the small real cohort that travels with the package: no network; same path and result as a published one.

    Parameters
    ----------
    normalization, model, chunks
        As in :func:`open_cohort`.
    **options
        Fields of :class:`~intake_tcga.CohortCollection`, e.g. ``cache_storage``.

    Returns
    -------
    xarray.Dataset
        TCGA-PRAD: 77 samples × 120 miRNAs in 3 normalizations, 9 synthetic runs of 100 samples, raw counts
        80 × 1881.

    Examples
    --------
    >>> ds = open_sample(normalization="TC", model="CVAE1_5")
    >>> dict(ds["synthetic"].sizes)
    {'synthetic_sample': 100, 'feature': 120}
    """
    check_option_names(options, _options_of(open_sample), "open_sample")
    return sample_collection(**options).open("PRAD", normalization=normalization, model=model, chunks=chunks)


def cohort_table(*, modality: str | None = None, manifest: str | None = None, **options: Any) -> pd.DataFrame:
    """Return one row a cohort: names, groups, sizes, bytes, digest, models, cached or not; opens no data file.

    Parameters as in :func:`list_cohorts`.

    Examples
    --------
    >>> cohort_table(manifest=sample_manifest)["cancer_name"].tolist()
    ['Prostate Adenocarcinoma']
    """
    return _collection(cohort_table, options, urlpath=manifest, modality=modality).table()


def cohort_path(
    name: str,
    *,
    modality: str | None = None,
    manifest: str | None = None,
    force: bool = False,
    **options: Any,
) -> Path:
    """Return the local path of a cohort's verified file, downloading it if needed.

    Parameters as in :func:`open_cohort`.

    Examples
    --------
    >>> cohort_path("PRAD", manifest=sample_manifest).name
    'PRAD_sample_type.h5'
    """
    return _collection(cohort_path, options, urlpath=manifest, modality=modality).fetch(name, force=force)


def prefetch(
    names: Sequence[str] | None = None,
    *,
    threads: int = 4,
    modality: str | None = None,
    manifest: str | None = None,
    force: bool = False,
    **options: Any,
) -> dict[str, Path]:
    """Download cohorts (all by default) into the cache, several at a time.

    Announces the number of files and bytes, skips what is there, keeps what succeeded, and reports all failures
    together in one :class:`~intake_tcga.errors.TransferError`. Parameters as in :func:`open_cohort`.

    Returns
    -------
    dict
        Local path of each cohort.

    Examples
    --------
    >>> list(prefetch(manifest=sample_manifest))
    ['PRAD']
    """
    collection = _collection(prefetch, options, urlpath=manifest, modality=modality)
    return collection.prefetch(names, threads=threads, force=force)


def _collection(function: Callable[..., Any], options: Mapping[str, Any], **own: Any) -> CohortCollection:
    """Make the collection that a function's arguments describe; an option that is none is told of that function."""
    check_option_names(options, _options_of(function), function.__name__)
    return CohortCollection(**own, **options)


def _options_of(function: Callable[..., Any]) -> list[str]:
    """List what a function takes by name: its own options, then those that it passes on to the collection."""
    own = [
        name
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    ]
    passed_on = [field.name for field in fields(CohortCollection) if field.name != "urlpath"]
    return list(dict.fromkeys([*own, *passed_on]))
