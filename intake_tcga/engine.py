"""The xarray engine ``tcga``: ``xr.open_dataset(path, engine="tcga")`` and ``xr.open_datatree``.

What a file is, is told by its content: a cohort, an ARCHS4 file, or a whole-slide image; each is then one call into its
room. Xarray imports every engine when it guesses one, so nothing else is imported here until a file is opened.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar, Literal

from xarray.backends import BackendEntrypoint

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import xarray as xr

Kind = Literal["cohort", "ARCHS4 file", "slide"]

_OPTIONS: dict[Kind, tuple[str, ...]] = {
    "cohort": ("normalization", "model", "off_aug"),
    "ARCHS4 file": (),
    "slide": ("mpp", "level", "associated", "box_um", "upsample", "mpp_base", "mpp_from"),
}
"""What each kind of file takes."""

_ENDINGS: dict[str, tuple[Kind, ...]] = {
    ".h5": ("cohort", "ARCHS4 file"),
    ".hdf5": ("cohort", "ARCHS4 file"),
    ".svs": ("slide",),
}
"""What files are looked at when xarray asks whether we open them, by the ends of their names."""

_HDF5 = b"\x89HDF\r\n\x1a\n"
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


class TcgaBackendEntrypoint(BackendEntrypoint):
    """Opens cohort files (HDF5, schema 1.0 and 2.0), ARCHS4 files and whole-slide images.

    Examples
    --------
    >>> import xarray as xr
    >>> ds = xr.open_dataset(sample_file, engine=TcgaBackendEntrypoint,
    ...                      normalization="TC", model=["CVAE1_5", "CVAE1_20"])
    >>> ds["synthetic"].dims
    ('model', 'synthetic_sample', 'feature')
    >>> ds.close()
    >>> with xr.open_dataset(sample_archs4, engine=TcgaBackendEntrypoint) as ds:
    ...     dict(ds.archs4.draw(5, seed=1).sizes)
    {'sample': 5, 'feature': 818}
    >>> xr.open_dataset(sample_slide, engine=TcgaBackendEntrypoint, mpp=15.0)["image"].shape
    (98, 73, 3)
    >>> list(xr.open_datatree(sample_slide, engine=TcgaBackendEntrypoint).children)
    ['scale0']
    """

    description = (
        "Cohorts of TCGA (SyNG-BTS files), ARCHS4 files (both HDF5), and whole-slide images (Aperio SVS)"
    )
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
        "mpp",
        "level",
        "associated",
        "box_um",
        "upsample",
        "mpp_base",
        "mpp_from",
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
        mpp: float | None = None,
        level: int | None = None,
        associated: str | None = None,
        box_um: Sequence[float] | None = None,
        upsample: bool | None = None,
        mpp_base: float | None = None,
        mpp_from: Literal["magnification", "pixels"] | None = None,
    ) -> xr.Dataset:
        """Open a local file as a lazy Dataset.

        Parameters
        ----------
        filename_or_obj
            The path of a local file: a cohort, an ARCHS4 file, or a slide.
        drop_variables
            Names of variables to leave out.
        normalization, model, off_aug
            Of a cohort; see :func:`intake_tcga.cohorts.dataset.open_dataset`.
        mpp, level, associated, box_um, upsample, mpp_base, mpp_from
            Of a slide; see :func:`intake_tcga.slides.opening.open_slide`. With neither ``mpp`` nor ``level`` nor
            ``associated`` it is the finest level; :func:`xarray.open_datatree` opens all of them.
        mask_and_scale, decode_times, decode_timedelta, use_cftime, concat_characters, decode_coords
            Ignored: xarray hands its decoders to every engine, and nothing in these files is encoded by the CF
            conventions.
        group
            Not for Datasets: groups are opened as a DataTree.

        Returns
        -------
        xarray.Dataset
            As the room of that kind of file lays it out; samples of an ARCHS4 file are chosen by ``ds.archs4``.

        Raises
        ------
        OptionError
            When a ``group`` is given, the path is not local, the file takes no such option, or has no such value.
        FileFormatError
            When the file is none of the three, or damaged.
        """
        _refuse_group(filename_or_obj, group)
        path = _local_path(filename_or_obj)
        kind = _kind_of(path)
        given = _given(
            normalization=normalization,
            model=model,
            off_aug=off_aug,
            mpp=mpp,
            level=level,
            associated=associated,
            box_um=box_um,
            upsample=upsample,
            mpp_base=mpp_base,
            mpp_from=mpp_from,
        )
        _check_options(path, kind, given)
        if kind == "cohort":
            from intake_tcga.cohorts.dataset import open_dataset

            return open_dataset(path, drop_variables=drop_variables, **given)
        if kind == "slide":
            return _without(_image(path, given), drop_variables)
        from intake_tcga.archs4.access import open_archs4

        return _without(open_archs4(path), drop_variables)

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
        mpp_base: float | None = None,
        mpp_from: Literal["magnification", "pixels"] | None = None,
    ) -> xr.DataTree:
        """Open a local file as a lazy DataTree: the groups of a cohort, or the levels of a slide.

        Parameters
        ----------
        filename_or_obj, drop_variables
            As for :meth:`open_dataset`; the decoders are ignored and a ``group`` is refused likewise.
        mpp_base, mpp_from
            Of a slide that does not tell its µm/px; see :func:`intake_tcga.slides.opening.open_slide`.

        Raises
        ------
        OptionError, FileFormatError
            As for :meth:`open_dataset`; and of an ARCHS4 file, which is one Dataset.
        """
        _refuse_group(filename_or_obj, group)
        path = _local_path(filename_or_obj)
        kind = _kind_of(path)
        _refuse_flat(path, kind)
        if kind == "slide":
            return _levels(path, drop_variables, mpp_base=mpp_base, mpp_from=mpp_from)
        _check_options(path, kind, _given(mpp_base=mpp_base, mpp_from=mpp_from))
        from intake_tcga.cohorts.tree import open_tree

        return open_tree(path, drop_variables=drop_variables)

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
        mpp_base: float | None = None,
        mpp_from: Literal["magnification", "pixels"] | None = None,
    ) -> dict[str, xr.Dataset]:
        """Open each group of a cohort file, or each level of a slide, as a lazy Dataset, by its path.

        Parameters and errors as for :meth:`open_datatree`.
        """
        _refuse_group(filename_or_obj, group)
        path = _local_path(filename_or_obj)
        kind = _kind_of(path)
        _refuse_flat(path, kind)
        if kind == "slide":
            tree = _levels(path, drop_variables, mpp_base=mpp_base, mpp_from=mpp_from)
            return {node.path: node.to_dataset(inherit=False) for node in tree.subtree}
        _check_options(path, kind, _given(mpp_base=mpp_base, mpp_from=mpp_from))
        from intake_tcga.cohorts.tree import open_groups

        return open_groups(path, drop_variables=drop_variables)

    def guess_can_open(self, filename_or_obj: Any) -> bool:
        """Say whether something is the path of a file that this engine opens.

        Costs nothing but for files that end in ``.h5``, ``.hdf5`` or ``.svs``, and the first bytes of these.
        """
        from pathlib import Path

        from intake_tcga.errors import FileFormatError

        try:
            path = Path(filename_or_obj)
        except TypeError:
            return False
        kinds = _ENDINGS.get(path.suffix.lower())
        if kinds is None or not path.is_file():
            return False
        try:
            return _kind_of(str(path)) in kinds
        except (FileFormatError, OSError):
            return False


def _kind_of(path: str) -> Kind:
    """Tell what a local file is, by its first bytes and the names in its root.

    Raises
    ------
    MissingFileError
        It is not there.
    FileFormatError
        It cannot be read, or is nothing that we open.
    """
    from intake_tcga.errors import FileFormatError, MissingFileError

    try:
        with open(path, "rb") as file:  # noqa: PTH123
            start = file.read(len(_HDF5))
            is_hdf5 = _holds_hdf5(file)
    except FileNotFoundError:
        raise MissingFileError(f"{path} does not exist; check the path.") from None
    except OSError as error:
        raise FileFormatError(f"{path} cannot be read ({error.strerror}); give the path of a file.") from None
    if start.startswith(_TIFF):
        return "slide"
    if not is_hdf5:
        raise FileFormatError(
            f"{path} is neither HDF5, as cohorts and ARCHS4 files are, nor TIFF, as slides are: it starts with "
            f"{start!r}. Check which file this is."
        )
    return _kind_of_hdf5(path)


def _holds_hdf5(file: BinaryIO) -> bool:
    """Tell whether HDF5 starts where it may: at the beginning, or after a block of 512 bytes, 1024, 2048 and so on."""
    for at in (0, *(512 << doubled for doubled in range(31))):
        file.seek(at)
        start = file.read(len(_HDF5))
        if start == _HDF5 or len(start) < len(_HDF5):
            return start == _HDF5
    return False


def _kind_of_hdf5(path: str) -> Kind:
    from intake_tcga.errors import FileFormatError
    from intake_tcga.hdf5.file import Hdf5File

    file = Hdf5File(path)
    try:
        with file.opened() as h5:
            names, says_version = set(h5), "version" in h5.attrs
    finally:
        file.close()
    if {"data", "meta"} <= names and not says_version:
        return "ARCHS4 file"
    if says_version or {"processed", "synthetic"} & names:
        return "cohort"  # or nearly: its room says what is missing
    raise FileFormatError(
        f"{path} is HDF5, but neither a cohort ('version', 'processed', 'synthetic') nor an ARCHS4 file (the groups "
        f"'data' and 'meta'): it has {', '.join(sorted(names)[:10]) or 'nothing'}. Check which file this is."
    )


def _given(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _check_options(path: str, kind: Kind, given: Iterable[str]) -> None:
    """Refuse options that are another kind's."""
    from intake_tcga.errors import OptionError

    if wrong := [name for name in given if name not in _OPTIONS[kind]]:
        takes = ", ".join(_OPTIONS[kind]) or "none; choose samples by ds.archs4"
        raise OptionError(
            f"{path} is a{'n' * (kind[0] in 'A')} {kind}, which has no {wrong[0]}=. Its options: {takes}."
        )


def _refuse_flat(path: str, kind: Kind) -> None:
    from intake_tcga.errors import OptionError

    if kind == "ARCHS4 file":
        raise OptionError(
            f'{path} is an ARCHS4 file, which is one Dataset and no tree; use xr.open_dataset({path!r}, engine="tcga").'
        )


def _image(path: str, view: dict[str, Any]) -> xr.Dataset:
    """Open one image of a slide: what is asked for, or the finest level."""
    import xarray as xr

    from intake_tcga.slides.opening import open_slide

    if not {"mpp", "level", "associated"} & set(view):
        view = {**view, "level": 0}
    image = open_slide(path, **view)
    assert isinstance(image, xr.Dataset), "of a view that is not of the whole"
    return image


def _levels(path: str, drop_variables: str | Iterable[str] | None, **view: Any) -> xr.DataTree:
    """Open the pyramid of a slide."""
    import xarray as xr

    from intake_tcga.slides.opening import open_slide

    tree = open_slide(path, **view)
    assert isinstance(tree, xr.DataTree), "of a view that is of the whole"
    return tree.map_over_datasets(_without, drop_variables) if drop_variables is not None else tree


def _without(ds: xr.Dataset, names: str | Iterable[str] | None) -> xr.Dataset:
    return ds if names is None else ds.drop_vars(names, errors="ignore")


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
        "not be pickled. Use intake_tcga.open_cohort(…, manifest=url), open_archs4(url) or open_slide(url), or "
        "fsspec.open_local(url) first."
    )
