"""A described slide as xarray's: a DataTree of its levels, or a Dataset of one image. Nothing is decoded here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from intake_tcga.arrays.chunking import check_chunks, over_dask
from intake_tcga.arrays.memory import load_whole
from intake_tcga.errors import NameNotFoundError, OptionError
from intake_tcga.slides.header import Resolution
from intake_tcga.slides.pixels import ImageArray, LevelArray, lazy_variable
from intake_tcga.slides.pyramid import Pyramid
from intake_tcga.slides.scale import Pair, checked_box, is_whole, level_mpp, pixel_centres, plan_image

_COLOURS = ("red", "green", "blue")
Attrs = Mapping[str, Any]


def pyramid_tree(
    pyramid: Pyramid, resolution: Resolution, attrs: Attrs, *, chunks: Any = None, token: str = ""
) -> xr.DataTree:
    """Return a DataTree with one node a level, ``scale0`` the finest.

    Parameters
    ----------
    pyramid
        The slide.
    resolution
        µm/px of its finest level.
    attrs
        What is known of the slide; every node has it.
    chunks
        None for lazy arrays without dask; ``{}`` for dask chunks of whole tiles, about 12 MB; or as in
        :func:`xarray.open_dataset`.
    token
        What dask arrays are named after.

    Returns
    -------
    xarray.DataTree
        Each node has ``image`` (y, x, c) of uint8, and the pixels' centres in µm as ``y`` and ``x``.
    """
    nodes: dict[str, xr.Dataset] = {}
    for at in range(len(pyramid.levels)):
        nodes[f"/scale{at}"] = level_dataset(pyramid, at, resolution, attrs, chunks=chunks, token=token)
    base = _resolution_attrs(resolution, resolution.mpp)
    nodes["/"] = xr.Dataset(attrs={**attrs, **base, **_header_attrs(pyramid)})
    return xr.DataTree.from_dict(nodes, name=pyramid.name)


def level_dataset(
    pyramid: Pyramid,
    level: int,
    resolution: Resolution,
    attrs: Attrs,
    *,
    box_um: Sequence[float] | None = None,
    chunks: Any = None,
    token: str = "",
) -> xr.Dataset:
    """Return one level as a Dataset, or the part of it of which the pixels' centres are in a box.

    Raises
    ------
    OptionError
        There is no such level, or the box is not on the slide, or so small that it holds no pixel's centre.
    """
    sizes = pyramid.sizes
    if not is_whole(level) or not 0 <= level < len(sizes):
        listed = ", ".join(f"{at} ({width:,} × {height:,})" for at, (width, height) in enumerate(sizes))
        raise OptionError(f"level={level!r} is not a level of {pyramid.name}; it has {listed}.")
    mpp = None if resolution.mpp is None else level_mpp(resolution.mpp, sizes)[level]
    x, y = (pixel_centres(size, of) for size, of in zip(sizes[level], mpp or (1.0, 1.0), strict=True))
    extra = {**attrs, **_resolution_attrs(resolution, mpp), "level": int(level)}
    ds = _dataset(LevelArray(pyramid.levels[level]), x, y, "pixels" if mpp is None else "um", extra)
    if box_um is not None:
        if resolution.mpp is None or mpp is None:
            raise OptionError(
                f"box_um= needs the µm/px of {pyramid.name}, which mpp_from='pixels' leaves open; give mpp_base=."
            )
        box = checked_box(box_um, sizes[0], resolution.mpp, pyramid.name)
        ds = ds.isel(x=_between(x, box[0], box[2]), y=_between(y, box[1], box[3]))
        if not ds["image"].size:
            raise OptionError(
                f"box_um={tuple(map(float, box_um))} holds no pixel's centre at level {level} of {pyramid.name}, where "
                f"a pixel is {mpp[0]:g} × {mpp[1]:g} µm; give a larger box, or a finer level."
            )
    return _over_dask(ds, chunks, f"{token}-{level}")


def image_dataset(
    pyramid: Pyramid,
    mpp: float,
    resolution: Resolution,
    attrs: Attrs,
    *,
    box_um: Sequence[float] | None = None,
    upsample: bool = False,
    chunks: Any = None,
    token: str = "",
) -> xr.Dataset:
    """Return an image of exactly one µm/px, resized when it is read; parameters as for ``plan_image``."""
    if resolution.mpp is None:
        raise OptionError(
            f"mpp={mpp!r} needs the µm/px of {pyramid.name}, which mpp_from='pixels' leaves open; give mpp_base=."
        )
    plan = plan_image(pyramid.sizes, resolution.mpp, mpp, box_um=box_um, upsample=upsample, name=pyramid.name)
    x, y = plan.centres()
    extra = {**attrs, **_resolution_attrs(resolution, (plan.mpp, plan.mpp)), "level": plan.level}
    ds = _dataset(ImageArray(pyramid.levels[plan.level], plan), x, y, "um", extra | _header_attrs(pyramid))
    return _over_dask(ds, chunks, f"{token}-{plan}")


def associated_dataset(
    pyramid: Pyramid, name: str, attrs: Attrs, *, chunks: Any = None, token: str = ""
) -> xr.Dataset:
    """Return an image beside the pyramid by its name; its coordinates count pixels.

    Raises
    ------
    NameNotFoundError
        There is none of that name; the message lists those that there are.
    """
    if name not in pyramid.associated:
        there = ", ".join(pyramid.associated) or "none"
        raise NameNotFoundError(f"{pyramid.name} has no image {name!r} beside its levels; it has: {there}.")
    image = pyramid.associated[name]
    x, y = (pixel_centres(size, 1.0) for size in image.size)
    ds = _dataset(LevelArray(image), x, y, "pixels", {**attrs, "associated_image": name})
    return _over_dask(ds, chunks, f"{token}-{name}")


def in_memory(image: xr.DataTree | xr.Dataset) -> xr.Dataset:
    """Load one image or level whole; returns the same Dataset.

    Raises
    ------
    OptionError
        It is larger than this machine's memory, or the pyramid of all levels; nothing has been read.
    """
    if isinstance(image, xr.DataTree):
        raise OptionError(
            f"{image.name} is a pyramid of {len(image.children)} levels, which are not read whole; "
            "give mpp=, level= or associated=, or use to_dask() or to_datatree()."
        )
    return load_whole(image, instead="give a larger mpp= or a box_um=, or use to_dask()")


def _dataset(array: LevelArray | ImageArray, x: Any, y: Any, units: str, attrs: Attrs) -> xr.Dataset:
    centre = {"units": units, "long_name": "centre of the pixel, from the slide's top left corner"}
    return xr.Dataset(
        {"image": lazy_variable(array)},
        {
            "y": ("y", y, centre),
            "x": ("x", x, centre),
            "c": ("c", np.array(_COLOURS, dtype=object)),
        },
        dict(attrs),
    )


def _over_dask(ds: xr.Dataset, chunks: Any, token: str) -> xr.Dataset:
    if chunks is None:
        return ds
    from dask.base import tokenize

    check_chunks(chunks, ds.sizes)
    return over_dask(ds, chunks, tokenize(token, chunks, dict(ds.sizes), float(ds.x[0]), float(ds.y[0])))


def _resolution_attrs(resolution: Resolution, mpp: Pair | None) -> dict[str, Any]:
    """Return the attributes of every image: µm/px, and where the slide's is from."""
    if mpp is None:
        return {"mpp_source": resolution.source}
    return {"mpp": mpp[0], "mpp_x": mpp[0], "mpp_y": mpp[1], "mpp_source": resolution.source}


def _header_attrs(pyramid: Pyramid) -> dict[str, Any]:
    attrs: dict[str, Any] = {"associated_images": list(pyramid.associated)} if pyramid.associated else {}
    if pyramid.header is not None:
        attrs["vendor"] = pyramid.header.vendor
        if pyramid.header.magnification is not None:
            attrs["magnification"] = pyramid.header.magnification
        if pyramid.header.description:
            attrs["description"] = pyramid.header.description
    return attrs


def _between(centres: Any, first: float, last: float) -> slice:
    return slice(int(np.searchsorted(centres, first, "left")), int(np.searchsorted(centres, last, "left")))
