"""Open one slide: its levels, an image of an exact µm/px, or an image beside them, by any of the three methods."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from intake_tcga.cache.store import VerifiedFileCache
from intake_tcga.errors import IntakeTcgaError, OptionError
from intake_tcga.slides.dataset import associated_dataset, image_dataset, level_dataset, pyramid_tree
from intake_tcga.slides.endpoint import gdc_endpoint
from intake_tcga.slides.header import MppFrom, Resolution, checked_base, resolution
from intake_tcga.slides.names import find_each
from intake_tcga.slides.pyramid import Pyramid
from intake_tcga.slides.scale import checked_mpp
from intake_tcga.slides.slide import Slide
from intake_tcga.slides.sources import METHODS, Method, SlideSource, looks_like_a_place
from intake_tcga.slides.token import Token

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True)
class View:
    """What is wanted of a slide."""

    mpp: float | None = None
    level: int | None = None
    associated: str | None = None
    box_um: Sequence[float] | None = None
    upsample: bool = False
    mpp_base: float | None = None
    mpp_from: MppFrom | None = None
    chunks: Any = None

    def __post_init__(self) -> None:
        if self.mpp is not None:
            object.__setattr__(self, "mpp", checked_mpp(self.mpp))  # frozen: set once, here
        object.__setattr__(self, "mpp_base", checked_base(self.mpp_base, self.mpp_from))
        box: Any = self.box_um
        if isinstance(box, np.ndarray):
            object.__setattr__(self, "box_um", tuple(box.tolist()))
        one_of = {"mpp": self.mpp, "level": self.level, "associated": self.associated}
        given = [name for name, value in one_of.items() if value is not None]
        if len(given) > 1:
            raise OptionError(
                f"{' and '.join(f'{name}=' for name in given)} are given; give one of them, or none."
            )
        if self.box_um is not None and given not in (["mpp"], ["level"]):
            raise OptionError("box_um= is a part of an image or of a level; give mpp= or level= with it.")

    @property
    def is_whole(self) -> bool:
        """Whether all levels are wanted."""
        return self.mpp is None and self.level is None and self.associated is None

    @property
    def header_needed(self) -> bool:
        """Whether the slide's own header must tell the µm/px."""
        return self.mpp_base is None and self.associated is None

    def of(self, pyramid: Pyramid, attrs: Mapping[str, Any], token: str) -> xr.DataTree | xr.Dataset:
        """Lay a described slide out as it is wanted."""
        how: dict[str, Any] = {"chunks": self.chunks, "token": token}
        if self.associated is not None:
            return associated_dataset(pyramid, self.associated, attrs, **how)
        scale = self._resolution(pyramid)
        if self.mpp is not None:
            how |= {"box_um": self.box_um, "upsample": self.upsample}
            return image_dataset(pyramid, self.mpp, scale, attrs, **how)
        if self.level is not None:
            return level_dataset(pyramid, self.level, scale, attrs, box_um=self.box_um, **how)
        return pyramid_tree(pyramid, scale, attrs, **how)

    def _resolution(self, pyramid: Pyramid) -> Resolution:
        return resolution(pyramid.name, pyramid.header, mpp_base=self.mpp_base, mpp_from=self.mpp_from)


def open_slide(
    source: Slide | str | os.PathLike[str],
    *,
    mpp: float | None = None,
    level: int | None = None,
    associated: str | None = None,
    box_um: Sequence[float] | None = None,
    upsample: bool = False,
    mpp_base: float | None = None,
    mpp_from: MppFrom | None = None,
    method: Method = "ranges",
    chunks: Any = None,
    keep: bool = True,
    cache: VerifiedFileCache | str | os.PathLike[str] | None = None,
    storage_options: Mapping[str, Any] | None = None,
    token: Token | str | None = None,
    token_file: str | os.PathLike[str] | None = None,
    endpoint: str | None = None,
    offline: bool | str | None = None,
) -> xr.DataTree | xr.Dataset:
    """Open a slide lazily: the whole pyramid, one level, or an image of exactly the µm/px that is asked for.

    Parameters
    ----------
    source : Slide, str or path
        A slide of the GDC (a :class:`~intake_tcga.slides.slide.Slide`, or its ``file_id``, file name or barcode), a
        local file, or any URL that fsspec opens.
    mpp : float, optional
        µm/px of the image wanted: the coarsest level that is fine enough is resized, antialiased. None: the levels.
    level : int, optional
        One level, 0 the finest.
    associated : str, optional
        An image beside the levels: ``"thumbnail"``, ``"label"``, ``"macro"``.
    box_um : four float, optional
        Left, top, right and bottom in µm: only this part of the image or level.
    upsample : bool
        Allow an image finer than the slide is.
    mpp_base : float, optional
        µm/px of the slide's finest level, whatever its header says.
    mpp_from : {"magnification", "pixels"}, optional
        Where the header does not tell the µm/px: estimate it from the magnification (10 µm/px over it), or count
        lengths in pixels. None: an error.
    method : {"ranges", "tiles", "download"}
        Read the slide's own file by ranges, the GDC's tile service (JPEG once more, so only near), or the whole file
        once through the verified cache. ``"ranges"`` reads the whole file from the cache where it is there already.
    chunks : optional
        None: arrays read when they are used. ``{}``: dask arrays in chunks of about 12 MB. Or as in
        :func:`xarray.open_dataset`.
    keep : bool
        Keep what was fetched: by ``"ranges"`` the header (the next opening then needs no request for it), by
        ``"download"`` the file. False with ``"download"`` reads the image at once, and removes the file again, also
        after an error.
    cache : VerifiedFileCache or path, optional
        Where to keep it. None: the default cache.
    storage_options : mapping, optional
        Options of fsspec, flat or keyed by protocol.
    token, token_file : optional
        The GDC's token for controlled slides; else ``GDC_TOKEN``, ``GDC_TOKEN_FILE``. Never shown nor pickled.
    endpoint : str, optional
        The GDC's address.
    offline : bool or str, optional
        Never open a socket. None follows ``INTAKE_TCGA_OFFLINE``.

    Returns
    -------
    xarray.DataTree
        Without ``mpp``, ``level`` and ``associated``: ``scale0`` (the finest), ``scale1``, …, each a Dataset as below.
    xarray.Dataset
        ``image`` (y, x, c) of uint8; ``y`` and ``x`` are the pixels' centres in µm from the slide's top left corner,
        ``c`` is red, green, blue. In attrs: ``mpp`` (``mpp_x``, ``mpp_y``), ``mpp_source``, ``level``, the slide's
        ``file_id``, ``md5``, …. Nothing was decoded: what is computed reads its own tiles alone. It pickles.

    Raises
    ------
    OptionError
        An option is wrong; or the slide is not as fine as asked for.
    NameNotFoundError
        There is no such slide, or no such image beside the levels.
    FileFormatError
        The file is damaged or not a slide, or does not tell its µm/px; the message says the ways out.
    TransferError, IntegrityError, CacheError, MissingFileError
        The bytes could not be had, or are not the slide's.
    MissingDependencyError
        imagecodecs or Pillow is not installed; raised when pixels are read.

    Examples
    --------
    >>> tree = open_slide(sample_slide)
    >>> dict(tree["scale0"].sizes)
    {'y': 2967, 'x': 2220, 'c': 3}
    >>> image = open_slide(sample_slide, mpp=15.0)
    >>> dict(image.sizes), image.attrs["mpp"], image.attrs["mpp_source"]
    ({'y': 98, 'x': 73, 'c': 3}, 15.0, 'header')
    """
    view = View(mpp, level, associated, box_um, upsample, mpp_base, mpp_from, chunks)
    if method not in METHODS:
        raise OptionError(f"method={method!r} is not an option; use {', '.join(map(repr, METHODS))}.")
    where = find_source(
        source,
        cache=cache,
        storage_options=storage_options,
        token=Token.of(token, token_file),
        endpoint=endpoint,
        offline=offline,
    )
    return opened(where, view, method=method, keep=keep)


def opened(where: SlideSource, view: View, *, method: Method, keep: bool) -> xr.DataTree | xr.Dataset:
    """Open a slide whose place is known; see :func:`open_slide`."""
    if where.slide is not None:
        where.slide.check_readable(with_token=where.token.is_there)
    if method == "download":
        return _downloaded(where, view, keep=keep)
    if method == "tiles":
        if view.associated is not None:
            raise OptionError("The tile service shows no images beside the levels; use method='ranges'.")
        pyramid = where.tiles(keep=keep, header_needed=view.header_needed)
    elif (copy := where.kept()) is not None:
        pyramid = copy.pyramid(keep=False)
    else:
        pyramid = where.pyramid(keep=keep)
    return view.of(pyramid, where.attrs(method), _token(where, method))


def opened_image(where: SlideSource, view: View, *, method: Method, keep: bool) -> xr.Dataset:
    """Open one image or level of a slide whose place is known."""
    import xarray as xr

    ds = opened(where, view, method=method, keep=keep)
    assert isinstance(ds, xr.Dataset), "of a view that is not of the whole"
    return ds


def find_source(source: Slide | str | os.PathLike[str], **options: Any) -> SlideSource:
    """Tell where a slide is, as :func:`find_each_source` does."""
    (found,) = find_each_source([source], **options)
    if isinstance(found, IntakeTcgaError):
        raise found
    return found


def find_each_source(
    slides: Sequence[Slide | str | os.PathLike[str]],
    *,
    cache: VerifiedFileCache | str | os.PathLike[str] | None = None,
    storage_options: Mapping[str, Any] | None = None,
    token: Token | None = None,
    endpoint: str | None = None,
    offline: bool | str | None = None,
) -> list[SlideSource | IntakeTcgaError]:
    """Tell where each slide is, or why that cannot be told; names are looked up at the GDC, all at once.

    What is neither path nor URL is such a name. Nothing is read of any slide.
    """
    at = cache if isinstance(cache, VerifiedFileCache) else VerifiedFileCache(cache, offline=offline)
    if isinstance(cache, VerifiedFileCache) and offline is not None:
        at = cache.but(offline=offline)
    options = storage_options or {}
    address = gdc_endpoint(endpoint)
    names = [str(one) for one in slides if not isinstance(one, Slide) and not looks_like_a_place(one)]
    named = dict(zip(names, find_each(names, address, at), strict=True))

    def found(one: Slide | str | os.PathLike[str]) -> SlideSource | IntakeTcgaError:
        if not isinstance(one, Slide) and looks_like_a_place(one):
            try:
                return SlideSource.local_or_url(one, at, storage_options=options)
            except IntakeTcgaError as error:
                return error
        slide = one if isinstance(one, Slide) else named[str(one)]
        if isinstance(slide, IntakeTcgaError):
            return slide
        return SlideSource(
            slide.file_name, slide.data_url(address), at, slide, address, token or Token(), options
        )

    return [found(one) for one in slides]


def _downloaded(where: SlideSource, view: View, *, keep: bool) -> xr.DataTree | xr.Dataset:
    """Open a slide from its whole file; where it is not to be kept, read what is wanted at once."""
    if not keep and view.is_whole and not where.is_on_disk:
        raise OptionError(
            "keep=False removes the file as soon as the image is read, which all levels are never; "
            "give mpp=, level= or associated= with it."
        )
    local, remove = where.downloaded()
    try:
        pyramid = local.pyramid(keep=False)
        attrs = {**local.attrs("download"), "intake_tcga:source_url": where.shown_url}
        ds = view.of(pyramid, attrs, _token(where, "download"))
        if keep or where.is_on_disk:
            return ds
        return replace(view, chunks=None).of(pyramid, attrs, "").load()
    finally:
        if not keep:
            remove()


def _token(where: SlideSource, method: str) -> str:
    """Name dask's arrays after the bytes they are read from."""
    if where.slide is not None:
        return f"{method}-{where.slide.md5}-{where.endpoint}"
    changed = os.stat(where.url).st_mtime_ns if where.is_on_disk else ""  # noqa: PTH116
    return f"{method}-{where.url}-{changed}"
