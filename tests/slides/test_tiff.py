"""Slides' own files: pixel by pixel what OpenSlide reads; and files that are damaged or hostile, refused in time."""

import io
import pickle
import struct
import tracemalloc
from pathlib import Path

import imagecodecs
import numpy as np
import openslide
import pytest
import tifffile
from PIL import Image
from slide_files import TILE, openslide_level, picture, psnr, write_slide
from slide_scans import write_scan

from intake_tcga.cache.blocks import BlockFile
from intake_tcga.cohorts.sample import catalogs_folder
from intake_tcga.errors import FileFormatError
from intake_tcga.slides import holes as holes_module
from intake_tcga.slides import tiff as tiff_module
from intake_tcga.slides.directories import Tiff
from intake_tcga.slides.tiff import read_pyramid
from intake_tcga.slides.tile_codecs import Codec
from intake_tcga.slides.tiles import read_pixels
from intake_tcga.transfer.ranged import RangedFile

CMU = catalogs_folder() / "sample" / "CMU-1-Small-Region.svs"


def described(path):
    file = RangedFile(path)
    blocks = BlockFile(file, block_size=4096)
    return read_pyramid(Tiff.open(blocks, blocks.size, Path(path).name), file)


def whole(level):
    width, height = level.size
    return read_pixels(level, np.arange(height), np.arange(width))


KINDS = {
    "jpeg": {},
    "jpeg with small chroma": {"photometric": "ycbcr"},
    "jpeg 2000": {"compression": "jpeg2000"},
    "jpeg 2000, ycbcr": {"compression": "jpeg2000 ycbcr"},
    "lzw": {"compression": "lzw"},
    "deflate": {"compression": "deflate"},
    "bigtiff": {"bigtiff": True},
    "generic": {"aperio": False, "resolution": (40_000, 40_000)},
    "three levels": {"factors": (1, 2, 8), "mpp": None},
    "ratios that are hardly 4": {"sizes": [(1001, 799), (250, 199)]},
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_level_is_what_openslide_reads(tmp_path, kind):
    path = tmp_path / "a.svs"
    sizes = write_slide(path, **{"width": 900, "height": 700} | KINDS[kind])
    pyramid = described(path)
    assert pyramid.sizes == sizes
    for at, level in enumerate(pyramid.levels):
        np.testing.assert_array_equal(whole(level), openslide_level(path, at))


def test_the_real_slide_and_the_images_beside_it():
    import openslide

    pyramid = described(CMU)
    np.testing.assert_array_equal(whole(pyramid.levels[0]), openslide_level(CMU, 0))
    with openslide.OpenSlide(CMU) as slide:
        assert set(pyramid.associated) == set(slide.associated_images) == {"thumbnail", "label", "macro"}
        for name, image in slide.associated_images.items():
            np.testing.assert_array_equal(whole(pyramid.associated[name]), np.asarray(image.convert("RGB")))
    assert pyramid.header.mpp == (0.499, 0.499)
    assert pyramid.header.magnification == 20


@pytest.mark.parametrize(
    "how", [{"byteorder": ">"}, {"compression": "none"}, {"aperio": False, "subifds": True}]
)
def test_what_openslide_does_not_read(tmp_path, how):
    path = tmp_path / "a.tif"
    sizes = write_slide(path, width=900, height=700, **how)
    pyramid = described(path)
    assert pyramid.sizes == sizes
    for level in pyramid.levels:
        width, height = level.size
        assert psnr(whole(level), picture(width, height, scale=900 / width)) > 40


def test_associated_images_of_written_slides(tmp_path):
    write_slide(tmp_path / "a.svs")
    found = described(tmp_path / "a.svs").associated
    assert {name: image.size for name, image in found.items()} == {
        "thumbnail": (300, 220),
        "label": (120, 130),
        "macro": (400, 150),
    }
    np.testing.assert_array_equal(whole(found["label"]), picture(120, 130, x0=900))


def test_holes_show_the_finer_level_and_white_where_there_is_none(tmp_path):
    path = tmp_path / "a.svs"
    write_slide(path, factors=(1, 4, 16), some_holes=0.5)
    pyramid = described(path)
    for level in pyramid.levels:
        width, height = level.size
        assert psnr(whole(level), picture(width, height, scale=1500 / width)) > 40
    write_slide(path, holes={0, 1}, factors=(1, 4))
    assert all((whole(level) == 255).all() for level in described(path).levels)


def test_holes_are_the_same_in_whatever_is_asked_for(tmp_path, monkeypatch):
    path = tmp_path / "a.svs"
    write_slide(
        path, sizes=[(1500, 1100), (701, 513), (331, 243)], some_holes=0.6, noise=9, tile=48, holes={1}
    )
    level = described(path).levels[2]
    expected = whole(level)
    monkeypatch.setattr(tiff_module, "_HOLES", 1)
    np.testing.assert_array_equal(whole(level), expected)
    monkeypatch.setattr(tiff_module, "PORTION", 1)
    rows, columns = np.arange(240, 90, -7), np.arange(5, 330, 11)
    np.testing.assert_array_equal(read_pixels(level, rows, columns), expected[np.ix_(rows, columns)])


@pytest.mark.timeout(60)  # without it: longer than anyone waits
def test_holes_under_holes_take_the_time_of_one_level_each(tmp_path):
    path = tmp_path / "deep.svs"
    write_slide(
        path, sizes=[(1000 - at, 1000 - at) for at in range(60)], holes=set(range(60)), thumbnail=False
    )
    level = described(path).levels[-1]
    assert (whole(level) == 255).all()


def test_a_hole_over_a_huge_level_takes_the_memory_of_what_is_there(tmp_path):
    path, side = tmp_path / "huge.svs", 20_000
    grid = -(-side // TILE)
    tile = imagecodecs.jpeg8_encode(np.zeros((TILE, TILE, 3), np.uint8), 90, outcolorspace="RGB")
    with tifffile.TiffWriter(path) as writer:
        for size, tiles in ((side, [tile] + [b""] * (grid**2 - 1)), (200, [b""])):
            writer.write(
                iter(tiles), shape=(size, size, 3), dtype=np.uint8, tile=(TILE, TILE), compression="jpeg",
                compressionargs={"outcolorspace": "rgb"}, photometric="rgb", description="Aperio|MPP = 0.25",
                metadata=None, software=False,
            )  # fmt: skip
    level = described(path).levels[1]
    tracemalloc.start()
    try:
        pixels = whole(level)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 30e6
    assert (pixels[:2, :2] == 0).all()
    assert (pixels[2, :2] == round(0.6 * 255)).all()
    assert (pixels[3:] == 255).all()


@pytest.mark.parametrize("limit", ["_MOST_PARTS", "_MOST_PIXELS"])
def test_holes_over_more_than_any_slide_has_are_named(tmp_path, monkeypatch, limit):
    path = tmp_path / "bad.svs"
    write_slide(path, holes={1})
    monkeypatch.setattr(holes_module, limit, 3)
    with pytest.raises(
        FileFormatError, match=r"bad\.svs.*holes of level 1 .* from .* of level 0; read that level"
    ):
        whole(described(path).levels[1])


@pytest.mark.parametrize("share", [0.3, 0.6])
def test_holes_are_filled_in_few_requests(tmp_path, share):
    path = tmp_path / "a.svs"
    write_slide(path, width=20_000, height=15_000, factors=(1, 4, 16, 32), holes={0}, some_holes=share)
    file = RangedFile(path)
    pyramid = read_pyramid(Tiff.open(BlockFile(file, block_size=2**15), file.size, path.name), file)
    whole(pyramid.levels[3])
    assert file.requests <= 12


def test_any_rows_and_columns(tmp_path):
    write_slide(tmp_path / "a.svs")
    level = described(tmp_path / "a.svs").levels[0]
    all_of_it = whole(level)
    rows, columns = np.array([1099, 3, 3, 700, 240]), np.arange(5, 1400, 7)
    np.testing.assert_array_equal(read_pixels(level, rows, columns), all_of_it[np.ix_(rows, columns)])


def test_only_the_tiles_that_are_needed_are_read(tmp_path):
    path = tmp_path / "a.svs"
    write_slide(path, width=3000, height=3000)
    file = RangedFile(path)
    blocks = BlockFile(file, block_size=4096)
    pyramid = read_pyramid(Tiff.open(blocks, blocks.size, "a.svs"), file)
    read_pixels(pyramid.levels[0], np.arange(1), np.arange(1))
    before = file.bytes_read
    read_pixels(pyramid.levels[0], np.arange(250, 260), np.arange(10))
    assert file.bytes_read - before < 3 * path.stat().st_size / 169


def test_a_description_pickles_small(tmp_path):
    write_slide(tmp_path / "a.svs")
    pyramid = described(tmp_path / "a.svs")
    whole(pyramid.levels[1])
    copy = pickle.loads(pickle.dumps(pyramid))
    np.testing.assert_array_equal(whole(copy.levels[0]), whole(pyramid.levels[0]))
    assert len(pickle.dumps(pyramid)) < 20_000


# -- files that are damaged or hostile --------------------------------------------------------------------------------


def tiff(*directories, loop=False):
    """Return a classic TIFF of directories of (tag, type, count, value); values of four bytes at most."""
    body, places = bytearray(b"II*\0\x08\0\0\0"), []
    for at, entries in enumerate(directories, 1):
        places.append(len(body))
        body += struct.pack("<H", len(entries))
        for tag, kind, count, value in sorted(entries):
            body += struct.pack("<HHII", tag, kind, count, value)
        body += struct.pack("<I", 0 if at == len(directories) else len(body) + 4)
    if loop:
        body[-4:] = struct.pack("<I", places[0])
    return bytes(body)


def image(**changes):
    tags = {
        "width": (256, 4, 1, 100), "height": (257, 4, 1, 100), "bits": (258, 3, 1, 8), "compression": (259, 3, 1, 7),
        "photometric": (262, 3, 1, 1), "samples": (277, 3, 1, 1), "tile_width": (322, 4, 1, 128),
        "tile_height": (323, 4, 1, 128), "offsets": (324, 4, 1, 8), "lengths": (325, 4, 1, 20),
    }  # fmt: skip
    tags |= changes
    return [tag for tag in tags.values() if tag is not None]


MANY = {"width": (256, 4, 1, 10**6), "height": (257, 4, 1, 10**6)}
STRIP = {"tile_width": None, "offsets": (273, 4, 1, 8), "lengths": (279, 4, 1, 9)}
PLAIN = {"factors": (1,), "label": False, "macro": False, "thumbnail": False}
HOSTILE = {
    "a loop": tiff(image(), image(), loop=True),
    "too many": tiff(*[image()] * 70),
    "no directory": b"II*\0\0\0\0\0",
    "directory outside": b"II*\0\xff\xff\xff\x7f",
    "many tags": b"II*\0\x08\0\0\0\xff\xff" + b"\0" * 100,
    "cut short": tiff(image())[:60],
    "huge tiles": tiff(image(tile_width=(322, 4, 1, 2**30), tile_height=(323, 4, 1, 2**30))),
    "huge strip": tiff(image(**STRIP, width=(256, 4, 1, 2**30))),
    "no width": tiff(image(width=None)),
    "zero width": tiff(image(width=(256, 4, 1, 0))),
    "width of text": tiff(image(width=(256, 2, 4, 0))),
    "many widths": tiff(image(width=(256, 4, 2**31, 8))),
    "absurd size": tiff(image(width=(256, 4, 1, 2**32 - 1), height=(257, 4, 1, 2**31))),
    "a long line": tiff(image(
        width=(256, 4, 1, 2**31 - 1), height=(257, 4, 1, 1),
        tile_width=(322, 4, 1, 2**26), tile_height=(323, 4, 1, 1), offsets=(324, 4, 32, 8), lengths=(325, 4, 32, 8),
    )),
    "many tiles, short list": tiff(image(**MANY)),
    "many tiles, list outside": tiff(
        image(**MANY, offsets=(324, 4, 61_042_969, 8), lengths=(325, 4, 61_042_969, 8))
    ),
    "16 bits": tiff(image(bits=(258, 3, 1, 16))),
    "unknown compression": tiff(image(compression=(259, 3, 1, 12345))),
    "palette": tiff(image(photometric=(262, 3, 1, 3))),
    "planes": tiff(image(planes=(284, 3, 1, 2), samples=(277, 3, 1, 3), photometric=(262, 3, 1, 2))),
    "not a tiff": b"\x89PNG\r\n\x1a\n" + b"\0" * 50,
    "empty": b"",
    "bigtiff of odd offsets": b"II+\0\x04\0\0\0" + b"\x10" + b"\0" * 30,
    "long description": tiff([*image(), (270, 2, 2**31, 8)]),
}  # fmt: skip


@pytest.mark.timeout(60)
@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_files_are_refused_at_once(tmp_path, kind):
    path = tmp_path / "bad.svs"
    path.write_bytes(HOSTILE[kind])
    with pytest.raises(FileFormatError, match=r"bad\.svs"):
        described(path)


@pytest.mark.parametrize(
    "change", [{"lengths": (325, 4, 1, 10**9)}, {"offsets": (324, 4, 1, 10**9)}, {"lengths": (325, 4, 1, 20)}]
)
def test_a_tile_that_cannot_be_is_named(tmp_path, change):
    path = tmp_path / "bad.svs"
    path.write_bytes(tiff(image(**change)))
    level = described(path).levels[0]
    with pytest.raises(FileFormatError, match=r"bad\.svs.*level 0, tile at row 0 and column 0"):
        whole(level)


@pytest.mark.parametrize("compression", ["jpeg", "jpeg2000", "lzw", "deflate"])
def test_damaged_tiles_are_named(tmp_path, compression):
    path = tmp_path / "bad.svs"
    write_slide(
        path,
        width=240,
        height=240,
        factors=(1,),
        compression=compression,
        label=False,
        macro=False,
        thumbnail=False,
    )
    level = described(path).levels[0]
    places = level._places([(0, 0)])
    content = bytearray(path.read_bytes())
    at, length = int(places[0][0]), int(places[1][0])
    content[at : at + length] = bytes(length)
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match=r"bad\.svs is damaged: level 0, tile at row 0 and column 0"):
        whole(described(path).levels[0])


def test_a_tile_of_another_size_takes_no_memory(tmp_path):
    path = tmp_path / "bad.svs"
    write_slide(path, width=240, height=240, **PLAIN)
    level = described(path).levels[0]
    (at,), (length,) = level._places([(0, 0)])
    bomb = imagecodecs.jpeg8_encode(np.zeros((4000, 8, 3), np.uint8), 50)
    assert len(bomb) < length
    content = bytearray(path.read_bytes())
    content[at : at + len(bomb)] = bomb
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match="JPEG data do not decode"):
        whole(described(path).levels[0])


def half(tile):
    return tile[: len(tile) // 2] + b"\xff\xd9"


def zeros(tile):
    return tile[:2500] + bytes(500) + tile[3000:]


def a_marker(tile):
    return tile[:2500] + b"\xff\xd3" + tile[2502:]


def an_early_end(tile):
    return tile[:2500] + b"\xff\xd9" + tile[2502:]


@pytest.mark.parametrize("damage", [half, zeros, a_marker, an_early_end])
@pytest.mark.parametrize("photometric", ["rgb", "ycbcr"])
def test_jpeg_tiles_that_libjpeg_would_only_warn_of_are_refused(tmp_path, damage, photometric):
    path = tmp_path / "bad.svs"
    write_slide(path, width=240, height=240, noise=6, photometric=photometric, **PLAIN)
    level = described(path).levels[0]
    (at,), (length,) = level._places([(0, 0)])
    content = bytearray(path.read_bytes())
    bad = damage(bytes(content[at : at + length]))
    content[at : at + len(bad)] = bad
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match="row 0 and column 0: its JPEG data do not decode.*damaged"):
        whole(described(path).levels[0])


@pytest.mark.parametrize(
    "how", [{}, {"progressive": True}, {"restart_marker_blocks": 3}, {"quality": 100}, {"optimize": True}]
)
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_sound_jpeg_of_any_kind_is_read(how, mode):
    random = np.random.default_rng(5)
    for width, height in ((1, 1), (17, 250), (240, 240)):
        grain = random.integers(-9, 10, (height, width, 3))
        for pixels in (
            np.clip(picture(width, height) + grain, 0, 255).astype(np.uint8),
            np.full((height, width, 3), 255, np.uint8),
        ):
            image = Image.fromarray(pixels).convert(mode)
            image.save(into := io.BytesIO(), "JPEG", **how)
            expected = np.asarray(Image.open(into).convert("RGB"))
            codec = Codec(7, *((6, 3) if mode == "RGB" else (1, 1)))
            np.testing.assert_array_equal(codec.decode(into.getvalue(), height, width), expected)
            with pytest.raises(FileFormatError):
                codec.decode(into.getvalue()[:-2], height, width)


@pytest.mark.parametrize(
    ("place", "numbers", "said"),
    [
        (8, (20_000, 20_000), r"20,000 × 20,000 pixels of 3 samples, and 240 × 240 of 3 belong there"),
        (8, (480, 480), r"480 × 480 pixels"),
        (16, (120, 0), r"120 × 240 pixels"),
        (24, (1, 1), r"cut into tiles of 1 × 1 pixels"),
        (24, (0, 0), r"cut into tiles of 0 × 0 pixels"),
        (40, (0x4000_0F01,), r"of 16,384 samples"),
        (42, (0x0F01_010F,), "have not 8 bits"),
        (2, (0,), "do not tell their size"),
    ],
)
def test_a_jpeg_2000_tile_of_another_size_is_refused_before_it_is_decoded(
    tmp_path, monkeypatch, place, numbers, said
):
    path = tmp_path / "bad.svs"
    write_slide(path, width=240, height=240, compression="jpeg2000", **PLAIN)
    (at,), _ = described(path).levels[0]._places([(0, 0)])
    content = bytearray(path.read_bytes())
    start = content.index(b"\xff\x4f\xff\x51", at)
    struct.pack_into(f">{len(numbers)}I", content, start + place, *numbers)
    path.write_bytes(content)
    level = described(path).levels[0]
    monkeypatch.delattr(imagecodecs, "jpeg2k_decode")
    with pytest.raises(FileFormatError, match=f"tile at row 0 and column 0.*{said}"):
        whole(level)


def test_jpeg_2000_in_boxes(tmp_path):
    path, pixels = tmp_path / "a.tif", picture(240, 240)
    tile = imagecodecs.jpeg2k_encode(pixels, codecformat="jp2", reversible=True)
    with tifffile.TiffWriter(path) as writer:
        writer.write(iter([tile]), shape=(240, 240, 3), dtype=np.uint8, tile=(240, 240), compression=34712)
    np.testing.assert_array_equal(whole(described(path).levels[0]), pixels)


def test_random_damage_never_crashes(tmp_path):
    path, bad = tmp_path / "a.svs", tmp_path / "bad.svs"
    write_slide(path, width=300, height=300, factors=(1,))
    good = path.read_bytes()
    random = np.random.default_rng(3)
    for _ in range(60):
        content = bytearray(good)
        for at in random.integers(0, len(good), 30):
            content[at] = random.integers(256)
        for at in random.integers(0, 400, 3):
            content[at] = random.integers(256)
        bad.write_bytes(content)
        try:
            pyramid = described(bad)
            for level in (*pyramid.levels, *pyramid.associated.values()):
                if level.size[0] * level.size[1] < 10**7:
                    whole(level)
        except FileFormatError:
            pass


def test_jpeg_2000_with_small_chroma(tmp_path):
    """The codec converts such tiles itself, and rounds otherwise than OpenSlide does."""
    tile = (Path(__file__).parents[1] / "data" / "slides" / "chroma422.j2k").read_bytes()
    path = tmp_path / "a.svs"
    with tifffile.TiffWriter(path) as writer:
        writer.write(
            iter([tile]),
            shape=(64, 64, 3),
            dtype=np.uint8,
            tile=(64, 64),
            compression="aperio_jp2000_ycbc",
            photometric="rgb",
            description="Aperio|MPP = 0.25",
            metadata=None,
        )
    ours, theirs = whole(described(path).levels[0]), openslide_level(path, 0)
    assert np.abs(ours.astype(int) - theirs).max() <= 1
    assert psnr(ours, picture(64, 64, scale=4)) > 30


def test_long_lists_of_tiles_are_read_in_part(tmp_path, monkeypatch):
    path = tmp_path / "a.svs"
    write_slide(path, some_holes=0.3)
    expected = [whole(level) for level in described(path).levels]
    monkeypatch.setattr(tiff_module, "_KEPT_INDEX", 0)
    pyramid = described(path)
    for level, pixels in zip(pyramid.levels, expected, strict=True):
        np.testing.assert_array_equal(whole(level), pixels)
    rows, columns = np.arange(230, 500), np.array([3, 1400])
    np.testing.assert_array_equal(
        read_pixels(pyramid.levels[0], rows, columns), expected[0][np.ix_(rows, columns)]
    )


@pytest.mark.parametrize("first", ["data", "directory"])
def test_few_requests_however_far_apart_directories_are(tmp_path, first):
    path = tmp_path / "far.svs"
    write_scan(
        path, width=36_000, height=24_000, factors=(1, 4, 16), repeated=(1,), hole=200_000_000, first=first
    )
    file = RangedFile(path)
    pyramid = read_pyramid(Tiff.open(BlockFile(file, block_size=4096), file.size, path.name), file)
    assert list(pyramid.associated) == ["thumbnail", "label", "macro"]
    assert file.requests <= 2 + 6, "the size, the beginning, and each directory with its texts at once"
    for level, reads in ((2, 1), (1, 2)):
        before = file.requests
        pixels = read_pixels(pyramid.levels[level], np.arange(100), np.arange(900))
        assert file.requests - before <= reads, "the tiles; of a large level also their list"
        with openslide.OpenSlide(path) as slide:
            expected = np.asarray(slide.read_region((0, 0), level, (900, 100)))[..., :3]
        np.testing.assert_array_equal(pixels, expected)
