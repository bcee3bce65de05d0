"""Pyramidal slides as Aperio's scanners write them, of a picture that is computed: small, or large and mostly holes.

write_slide(path, width=3000, height=2200, factors=(1, 4, 16))          # JPEG, with thumbnail, label and macro
write_slide(path, compression="jpeg2000", mpp=None, bigtiff=True)
write_slide(path, width=109_559, height=89_665, factors=(1, 4, 16, 32), holes={0})   # level 0 has no tiles at all
"""

import imagecodecs
import numpy as np
import tifffile
from PIL import Image

TILE = 240


def picture(width, height, *, x0=0, y0=0, scale=1.0, of=None):
    """Return a part of an endless picture: smooth tissue with spots, so that JPEG can come near it."""
    across = of or 2000
    x = ((np.arange(width) + 0.5) * scale + x0)[None, :] / across
    y = ((np.arange(height) + 0.5) * scale + y0)[:, None] / across
    tissue = 0.5 + 0.5 * np.sin(9 * x + 3 * np.sin(7 * y)) * np.cos(8 * y - 2 * np.sin(5 * x))
    spots = np.exp(-12 * (np.sin(40 * x) ** 2 + np.cos(37 * y) ** 2))
    red, green, blue = (
        245 - 60 * tissue - 70 * spots,
        240 - 130 * tissue - 60 * spots,
        243 - 70 * tissue + 0 * spots,
    )
    return np.clip(np.stack([red, green, blue], -1), 0, 255).astype(np.uint8)


def write_slide(
    path,
    *,
    width=1500,
    height=1100,
    factors=(1, 4),
    sizes=None,
    compression="jpeg",
    photometric="rgb",
    quality=90,
    mpp=0.25,
    magnification=40,
    holes=(),
    some_holes=0.0,
    bigtiff=False,
    byteorder="<",
    thumbnail=True,
    label=True,
    macro=True,
    aperio=True,
    tile=TILE,
    subifds=False,
    resolution=None,
    noise=0,
):
    """Write a slide; return the sizes (width, height) of its levels.

    Of JPEG alone: ``holes`` are levels without any tile, ``some_holes`` is the share left out of every level but 0.
    ``noise`` makes it less smooth, and so larger.
    """
    sizes = sizes or [(width // factor, height // factor) for factor in factors]
    words = [
        f"Aperio Image Library v12.0.15 \r\n{width}x{height} [0,0 {width}x{height}] ({tile}x{tile}) {compression}"
    ]
    words += [f"AppMag = {magnification}"] * (magnification is not None) + ["Date = 01/02/13"]
    words += [f"MPP = {mpp}"] * (mpp is not None)
    description = "|".join(words) if aperio else "a slide"
    random = np.random.default_rng(7)
    how = {"compression": _COMPRESSIONS[compression], "photometric": photometric, "metadata": None}
    how["software"] = False
    if compression == "jpeg":
        how["compressionargs"] = {"outcolorspace": photometric}
    if photometric == "ycbcr":
        how["subsampling"] = (2, 2)

    def encoded(pixels):
        if pixels is None:
            return b""
        sampling = {"rgb": "444", "ycbcr": "420"}[photometric]
        return imagecodecs.jpeg8_encode(
            pixels, quality, colorspace="RGB", outcolorspace=photometric.upper(), subsampling=sampling
        )

    with tifffile.TiffWriter(path, bigtiff=bigtiff, byteorder=byteorder) as writer:
        for level, size in enumerate(sizes):
            said = (
                description
                if level == 0
                else f"Aperio Image Library v12.0.15 \r\n{width}x{height} -> {size[0]}x{size[1]}"
            )
            tiles = _tiles(
                size, width / size[0], tile, level in holes, some_holes if level else 0, random, noise
            )
            writer.write(
                map(encoded, tiles) if compression == "jpeg" else tiles,
                shape=(size[1], size[0], 3),
                dtype=np.uint8,
                tile=(tile, tile),
                description=said if aperio or level == 0 else None,
                subfiletype=0 if level == 0 or aperio else 1,
                subifds=len(sizes) - 1 if subifds and level == 0 else None,
                **(
                    {"resolution": resolution, "resolutionunit": "CENTIMETER"}
                    if resolution and level == 0
                    else {}
                ),
                **how,
            )
            if level == 0 and thumbnail and aperio:
                _write_plain(
                    writer, picture(300, 220, scale=5), f"Aperio\n{width}x{height} -> 300x220", "jpeg"
                )
        if label and aperio:
            _write_plain(writer, picture(120, 130, x0=900), "Aperio\nlabel 120x130", "lzw", subfiletype=1)
        if macro and aperio:
            _write_plain(writer, picture(400, 150, x0=300), "Aperio\nmacro 400x150", "jpeg", subfiletype=9)
    return sizes


_COMPRESSIONS = {
    "jpeg": "jpeg",
    "jpeg2000": "aperio_jp2000_rgb",
    "jpeg2000 ycbcr": "aperio_jp2000_ycbc",
    "lzw": "lzw",
    "deflate": "adobe_deflate",
    "none": None,
}


def _write_plain(writer, pixels, description, compression, subfiletype=0):
    predictor = {"predictor": True} if compression == "lzw" else {}
    writer.write(
        pixels,
        photometric="rgb",
        compression=compression,
        description=description,
        rowsperstrip=16,
        subfiletype=subfiletype,
        metadata=None,
        software=False,
        **predictor,
    )


def _tiles(size, scale, tile, empty, share, random, noise):
    """Yield the tiles of a level row by row; None where there is a hole."""
    width, height = size
    for y in range(0, height, tile):
        for x in range(0, width, tile):
            if empty or random.random() < share:
                yield None
                continue
            pixels = picture(tile, tile, x0=x * scale, y0=y * scale, scale=scale)
            if noise:
                grain = random.integers(-noise, noise + 1, pixels.shape)
                pixels = np.clip(pixels + grain, 0, 255).astype(np.uint8)
            yield pixels


def openslide_level(path, level):
    """Return OpenSlide's reading of a level, on white where it has nothing."""
    import openslide

    with openslide.OpenSlide(path) as slide:
        seen = slide.read_region((0, 0), level, slide.level_dimensions[level])
    white = Image.new("RGBA", seen.size, "white")
    return np.asarray(Image.alpha_composite(white, seen).convert("RGB"))


def psnr(one, other):
    """Return how near two images are, in dB."""
    error = np.mean((one.astype(float) - other.astype(float)) ** 2)
    return np.inf if error == 0 else 10 * np.log10(255**2 / error)
