"""The xarray engine ``tcga``: ``xr.open_dataset(path, engine="tcga")`` and ``xr.open_datatree``.

Xarray imports every engine when it guesses one, so nothing else is imported here until a file is opened.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from xarray.backends import BackendEntrypoint

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import xarray as xr


class CohortBackendEntrypoint(BackendEntrypoint):
    """Opens cohort files (HDF5, schema 1.0 and 2.0) as Datasets and DataTrees.

    Examples
    --------
    >>> import xarray as xr
    >>> ds = xr.open_dataset(sample_file, engine=CohortBackendEntrypoint,
    ...                      normalization="TC", model=["CVAE1_5", "CVAE1_20"])
    >>> ds["synthetic"].dims
    ('model', 'synthetic_sample', 'feature')
    >>> ds.close()
    """

    description = "Cohorts of TCGA expression data, measured and synthetic (SyNG-BTS files, HDF5)"
    url = "https://intake-tcga.readthedocs.io"
    supports_groups = True
    # Spelt out, since xarray inspects the signatures of all engines otherwise.
    open_dataset_parameters: ClassVar[tuple[str, ...]] = (
        "filename_or_obj",
        "drop_variables",
        "normalization",
        "model",
        "off_aug",
    )

    def open_dataset(
        self,
        filename_or_obj: Any,
        *,
        drop_variables: str | Iterable[str] | None = None,
        normalization: str | Sequence[str] | None = None,
        model: str | Sequence[str] | None = None,
        off_aug: str | Sequence[str] | None = None,
    ) -> xr.Dataset:
        """Open a local cohort file as a lazy Dataset; see :func:`intake_tcga.cohorts.dataset.open_dataset`."""
        from intake_tcga.cohorts.dataset import open_dataset

        return open_dataset(
            _local_path(filename_or_obj),
            normalization=normalization,
            model=model,
            off_aug=off_aug,
            drop_variables=drop_variables,
        )

    def open_datatree(
        self, filename_or_obj: Any, *, drop_variables: str | Iterable[str] | None = None
    ) -> xr.DataTree:
        """Open a local cohort file as a lazy DataTree; see :func:`intake_tcga.cohorts.tree.open_tree`."""
        from intake_tcga.cohorts.tree import open_tree

        return open_tree(_local_path(filename_or_obj), drop_variables=drop_variables)

    def open_groups_as_dict(
        self, filename_or_obj: Any, *, drop_variables: str | Iterable[str] | None = None
    ) -> dict[str, xr.Dataset]:
        """Open each group of a local cohort file as a lazy Dataset, by its path."""
        from intake_tcga.cohorts.tree import open_groups

        return open_groups(_local_path(filename_or_obj), drop_variables=drop_variables)

    def guess_can_open(self, filename_or_obj: Any) -> bool:
        """Say whether something is the path of a cohort file; costs the first bytes of HDF5 files, nothing else."""
        from pathlib import Path

        from intake_tcga.errors import FileFormatError

        try:
            path = Path(filename_or_obj)
        except TypeError:
            return False
        if path.suffix not in {".h5", ".hdf5"} or not path.is_file():
            return False
        from intake_tcga.cohorts.structure import looks_like_a_cohort

        try:
            return looks_like_a_cohort(path)
        except (FileFormatError, OSError):
            return False


def _local_path(filename_or_obj: Any) -> str:
    """Return the local path, or say what to do instead."""
    import os

    from intake_tcga.errors import OptionError

    if isinstance(filename_or_obj, str | os.PathLike):
        path = os.fspath(filename_or_obj)
        if isinstance(path, str) and "://" not in path:
            return os.path.expanduser(path)  # noqa: PTH111
    raise OptionError(
        f"The engine 'tcga' opens local paths, not {filename_or_obj!r}: a Dataset over a remote or opened file could "
        "not be pickled. Use intake_tcga.open_cohort(…, manifest=url), or fsspec.open_local(url) first."
    )
