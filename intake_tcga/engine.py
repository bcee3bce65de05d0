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
        "mask_and_scale",
        "decode_times",
        "decode_timedelta",
        "use_cftime",
        "concat_characters",
        "decode_coords",
        "group",
        "normalization",
        "model",
        "off_aug",
    )

    def open_dataset(
        self,
        filename_or_obj: Any,
        *,
        drop_variables: str | Iterable[str] | None = None,
        mask_and_scale: Any = None,
        decode_times: Any = None,
        decode_timedelta: Any = None,
        use_cftime: Any = None,
        concat_characters: Any = None,
        decode_coords: Any = None,
        group: str | None = None,
        normalization: str | Sequence[str] | None = None,
        model: str | Sequence[str] | None = None,
        off_aug: str | Sequence[str] | None = None,
    ) -> xr.Dataset:
        """Open a local cohort file as a lazy Dataset; see :func:`intake_tcga.cohorts.dataset.open_dataset`.

        Parameters
        ----------
        filename_or_obj
            The path of a local file.
        drop_variables, normalization, model, off_aug
            As for :func:`intake_tcga.cohorts.dataset.open_dataset`.
        mask_and_scale, decode_times, decode_timedelta, use_cftime, concat_characters, decode_coords
            Ignored: xarray hands its decoders to every engine, and nothing in cohort files is encoded by the CF
            conventions.
        group
            Not for Datasets: groups are opened as a DataTree.

        Returns
        -------
        xarray.Dataset

        Raises
        ------
        OptionError
            When a ``group`` is given, the path is not local, or the file has no such normalization, model or
            off-augmentation.
        """
        _refuse_group(filename_or_obj, group)
        from intake_tcga.cohorts.dataset import open_dataset

        return open_dataset(
            _local_path(filename_or_obj),
            normalization=normalization,
            model=model,
            off_aug=off_aug,
            drop_variables=drop_variables,
        )

    def open_datatree(
        self,
        filename_or_obj: Any,
        *,
        drop_variables: str | Iterable[str] | None = None,
        mask_and_scale: Any = None,
        decode_times: Any = None,
        decode_timedelta: Any = None,
        use_cftime: Any = None,
        concat_characters: Any = None,
        decode_coords: Any = None,
        group: str | None = None,
    ) -> xr.DataTree:
        """Open a local cohort file as a lazy DataTree; see :func:`intake_tcga.cohorts.tree.open_tree`.

        The decoders are ignored and a ``group`` is refused, as in :meth:`open_dataset`.
        """
        _refuse_group(filename_or_obj, group)
        from intake_tcga.cohorts.tree import open_tree

        return open_tree(_local_path(filename_or_obj), drop_variables=drop_variables)

    def open_groups_as_dict(
        self,
        filename_or_obj: Any,
        *,
        drop_variables: str | Iterable[str] | None = None,
        mask_and_scale: Any = None,
        decode_times: Any = None,
        decode_timedelta: Any = None,
        use_cftime: Any = None,
        concat_characters: Any = None,
        decode_coords: Any = None,
        group: str | None = None,
    ) -> dict[str, xr.Dataset]:
        """Open each group of a local cohort file as a lazy Dataset, by its path.

        The decoders are ignored and a ``group`` is refused, as in :meth:`open_dataset`.
        """
        _refuse_group(filename_or_obj, group)
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


def _refuse_group(filename_or_obj: Any, group: str | None) -> None:
    """Say how to open a single group."""
    from intake_tcga.errors import OptionError

    if group is not None:
        raise OptionError(
            f"The engine 'tcga' opens files whole, not group={group!r} alone (lazily: only what is used is read). Use "
            f'xr.open_datatree({str(filename_or_obj)!r}, engine="tcga")[{str(group).strip("/") or "/"!r}].'
        )


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
