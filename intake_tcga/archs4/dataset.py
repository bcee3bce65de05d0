"""An ARCHS4 file of any version as one lazy Dataset, samples × features."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import xarray as xr

from intake_tcga._version import __version__
from intake_tcga.archs4.announcements import Announcements
from intake_tcga.archs4.labels import LABELS, FeatureLabels, SampleLabels
from intake_tcga.archs4.layout import Layout, read_layout
from intake_tcga.archs4.link import FieldArray
from intake_tcga.archs4.matrix import SampleMatrix
from intake_tcga.archs4.matrix_blocks import MatrixBlocks
from intake_tcga.archs4.metadata import SampleMetadata, sample_metadata
from intake_tcga.archs4.releases import CITATION, LICENCE
from intake_tcga.arrays.chunking import check_chunks
from intake_tcga.arrays.lazy_index import lazy_coordinate
from intake_tcga.arrays.memory import load_whole
from intake_tcga.hdf5.file import Hdf5File
from intake_tcga.hdf5.lazy import LazyStack
from intake_tcga.hdf5.string_columns import require_arrow

FIELD = "intake_tcga:field"
"""Attribute of a coordinate: where in the file its values are."""

LEFT_OUT = "intake_tcga:left_out"
"""Attribute of the Dataset: datasets of the file that fit neither samples nor features, and why."""

_UNITS = {"counts": "reads", "tpm": "transcripts per million"}


def open_dataset(
    file: Hdf5File,
    *,
    chunks: int | str | Mapping[Any, Any] | None = None,
    attrs: Mapping[str, Any] | None = None,
    progress: bool | None = None,
) -> xr.Dataset:
    """Open an ARCHS4 file as a lazy Dataset.

    Parameters
    ----------
    file
        The file, local or remote. Closing the Dataset closes it.
    chunks
        None for an array that is read when it is used; ``{}`` for dask arrays of all features of as many samples as
        make about 128 MiB; a number, -1 (the whole dimension) or ``"auto"`` for both dimensions; or a mapping of
        dimensions to these, as in :func:`xarray.open_dataset`.
    attrs
        Further attributes: where it comes from, its licence.
    progress
        Whether large reads of a remote file are shown as well as logged; None shows them on a terminal or in a
        notebook.

    Returns
    -------
    xarray.Dataset
        ``counts`` (sample, feature), in reads and the file's own integers, or ``tpm``, in transcripts per million and
        its own floats. ``sample`` is the GEO accession, ``feature`` whatever tells all genes or transcripts apart
        (Ensembl's id, where there is one). Every field of the file is a lazy coordinate, under its own name and, where
        versions differ, also under one that is the same in all. Nothing of the matrix and no label has been read: it
        takes as long for a million samples as for three.

    Raises
    ------
    FileFormatError
        When the file is damaged, hostile, or not an ARCHS4 file.
    OptionError
        When ``chunks`` is of no form that can be, or names a dimension that does not exist.
    MissingDependencyError
        Without pyarrow, which holds the metadata.

    Examples
    --------
    >>> ds = open_dataset(Hdf5File(sample_archs4))
    >>> dict(ds.sizes), ds["counts"].dtype.name, ds["symbol"].values[:2].tolist()
    ({'sample': 30, 'feature': 818}, 'uint32', ['PRDM15', 'PFKL'])
    >>> ds.close()
    """
    from intake_tcga.archs4 import accessor  # noqa: F401 - gives every ARCHS4 Dataset its `ds.archs4`

    require_arrow()  # now, and not when somebody prints the Dataset
    try:
        layout, attrs = read_layout(file), attrs or {}
        announcements = Announcements(file, progress, attrs.get("intake_tcga:release"))
        metadata = sample_metadata(file, layout, announcements)
        blocks = _matrix(file, layout, announcements)
        metadata.blocks = blocks
        ds = _laid_out(file, layout, metadata, blocks, attrs)
        if chunks is not None:
            check_chunks(chunks, ds.sizes)
            ds = ds.assign({blocks.name: blocks.of(slice(0, layout.n_samples, 1), chunks)})
    except BaseException:
        file.close()
        raise
    ds.set_close(file.close)
    return ds


def in_memory(ds: xr.Dataset) -> xr.Dataset:
    """Return a Dataset with everything in memory.

    Raises
    ------
    OptionError
        When its matrix alone is larger than this machine's memory; nothing has been read.
    """
    return load_whole(ds, instead="choose samples (search, series, draw), or use to_dask()")


def _matrix(file: Hdf5File, layout: Layout, announcements: Announcements) -> MatrixBlocks:
    """Describe the matrix, lazy or in blocks."""
    matrix = SampleMatrix(file, layout.matrix, layout.samples_axis, announcements, layout.accession)
    described = {"units": _UNITS[layout.variable], **layout.matrix.attrs}
    if file.remote is not None:
        return MatrixBlocks(layout.variable, matrix, described, (file.path, file.remote.identity.key))
    return MatrixBlocks(layout.variable, matrix, described, (file.path, Path(file.path).stat().st_mtime_ns))


def _laid_out(
    file: Hdf5File, layout: Layout, metadata: SampleMetadata, blocks: MatrixBlocks, attrs: Mapping[str, Any]
) -> xr.Dataset:
    """Lay a described file out as one Dataset; its coordinates are lazy, and know the file's rows."""
    coords: dict[str, xr.Variable] = {}
    for name, path in layout.fields.items():
        array = layout.arrays[path]
        coords[name] = FieldArray(metadata, name, array.dtype).variable({FIELD: path, **array.attrs})
    for name, path in layout.feature_fields.items():
        array = layout.arrays[path]
        coords[name] = LazyStack.alone(file, array).variable(("feature",), {FIELD: path, **array.attrs})

    samples = SampleLabels(metadata, layout.accession_field)
    candidates = [(name, layout.arrays[layout.feature_fields[name]]) for name in layout.feature_ids]
    features = FeatureLabels(file, layout.n_features, candidates)
    sample, sample_index = lazy_coordinate(samples, "sample", {FIELD: layout.accession})
    feature, feature_index = lazy_coordinate(features, "feature", {LABELS: "not read yet"})
    return xr.Dataset(
        {layout.variable: blocks.whole},
        xr.Coordinates(
            {"sample": sample, "feature": feature, **coords},
            {"sample": sample_index, "feature": feature_index},
        ),
        {**_with_terms(_notes(file, layout)), **attrs, "intake_tcga:package_version": __version__},
    )


def _notes(file: Hdf5File, layout: Layout) -> dict[str, Any]:
    """Return what the file says of itself."""
    attrs = file.attributes("/")
    for name, path in layout.notes.items():
        values = file.objects(layout.arrays[path]).ravel().tolist()
        attrs[name] = values[0] if len(values) == 1 else values
    if layout.left_out:
        attrs[LEFT_OUT] = [f"{path}: {why}" for path, why in layout.left_out.items()]
    return attrs


def _with_terms(notes: dict[str, Any]) -> dict[str, Any]:
    """Add the licence and what to cite where a file says that it is of ARCHS4's makers; others have the layout too."""
    makers = f"{notes.get('author', '')} {notes.get('laboratory', '')}"
    theirs = "Lachmann" in makers or "Ma'ayan" in makers
    return {"licence": LICENCE, "citation": CITATION, **notes} if theirs else notes
