"""One slide by three ways: the same pixels, few requests, and errors that say what to do."""

import pickle
import tracemalloc
import warnings

import numpy as np
import pytest
import xarray as xr
from faulty_server import status
from fsspec.implementations.http import HTTPFileSystem
from gdc_server import TOKEN, GdcServer, answers, cut_short, gdc_slide, refuses
from PIL import Image
from slide_files import TILE, openslide_level, picture, psnr, write_slide

from intake_tcga.cache.store import VerifiedFileCache
from intake_tcga.errors import (
    AccessDeniedError,
    FileFormatError,
    IntegrityError,
    MissingFileError,
    NameNotFoundError,
    OfflineError,
    OptionError,
    RemoteNotFoundError,
    TransferError,
)
from intake_tcga.slides import pixels, tiff, tiles
from intake_tcga.slides.opening import open_slide
from intake_tcga.slides.slide import Slide
from intake_tcga.slides.sources import SlideSource
from intake_tcga.slides.tiff import TiffLevel
from intake_tcga.transfer.budget import Budget

SIZE = (2400, 1800)
FACTORS = (1, 4, 16)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("slides") / "a.svs"
    write_slide(path, width=SIZE[0], height=SIZE[1], factors=FACTORS, quality=95)
    return path


@pytest.fixture
def gdc(path):
    base = openslide_level(path, 0)
    with GdcServer(
        [gdc_slide(1, body=path.read_bytes(), picture=base), gdc_slide(2, body=path.read_bytes())]
    ) as server:
        yield server


@pytest.fixture
def slide(gdc):
    return slide_of(gdc.files[0])


def slide_of(file):
    return Slide(
        file.file_id, file.file_name, file.length, file.digest, project=file.project, data_release="43"
    )


@pytest.fixture
def impatient(cache_dir):
    return VerifiedFileCache(cache_dir, budget=Budget(attempts=2, backoff=0.01, stall_timeout=2))


def resized(pixels, mpp):
    """Resize as the definition says: one box, one size."""
    size = tuple(int(side * 0.25 / mpp + 1e-6) for side in SIZE)
    scales = [side * 0.25 / own for side, own in zip(SIZE, pixels.shape[1::-1], strict=True)]
    box = (0, 0, size[0] * mpp / scales[0], size[1] * mpp / scales[1])
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS, box=box))


# -- what is opened ---------------------------------------------------------------------------------------------------


def test_a_local_slide_is_a_tree_of_levels(path):
    tree = open_slide(path)
    assert isinstance(tree, xr.DataTree)
    assert list(tree.children) == ["scale0", "scale1", "scale2"]
    for at, factor in enumerate(FACTORS):
        ds = tree[f"scale{at}"]
        assert ds["image"].dims == ("y", "x", "c")
        assert ds["image"].dtype == np.uint8
        assert ds.attrs["mpp"] == pytest.approx(0.25 * factor)
        assert ds.attrs["mpp_source"] == "header"
        assert ds.x.values[0] == 0.125 * factor
        assert ds.x.attrs["units"] == "um"
        np.testing.assert_array_equal(ds["image"].values, openslide_level(path, at))
    assert tree.attrs["magnification"] == 40
    assert tree.attrs["associated_images"] == ["thumbnail", "label", "macro"]


@pytest.mark.parametrize("mpp", [0.25, 0.4, 1.0, 1.01, 3.0, 15.0])
def test_an_image_is_the_level_resized_exactly(path, mpp):
    ds = open_slide(str(path), mpp=mpp)
    expected = resized(openslide_level(path, ds.attrs["level"]), mpp)
    assert ds["image"].shape == expected.shape
    difference = np.abs(ds["image"].values.astype(int) - expected)
    assert (difference > 1).mean() < 1e-4  # Pillow rounds a box to single precision
    assert ds.attrs["mpp"] == mpp
    assert np.diff(ds.x.values) == pytest.approx(mpp)
    assert ds.y.values[0] == mpp / 2


def test_an_image_takes_the_memory_of_itself_and_of_a_strip(path, monkeypatch):
    """What is under it is held as it is stored, and decoded a strip at a time."""
    strip = 4 * TILE * TILE
    monkeypatch.setattr(pixels, "_STRIP", strip)
    monkeypatch.setattr(pixels, "_BLOCK", 64)
    image = open_slide(path, mpp=0.3)["image"]
    tracemalloc.start()
    try:
        out = image.values
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    whole, stored = 3 * SIZE[0] * SIZE[1], path.stat().st_size
    strips = 3 * (2 * strip + 8 * TILE * TILE)  # with what it shares with the one above, and tiles under way
    assert peak - out.nbytes < stored + strips < whole / 2


def test_parts_equal_the_whole_to_the_last_bit(path, monkeypatch):
    ds = open_slide(path, mpp=0.7)
    whole = ds["image"].values
    rows, columns = np.array([7, 3, 600, 600]), slice(100, 700, 3)
    parts = {
        "a box": (slice(150, 300), slice(17, 400)),
        "one row": (5, slice(None)),
        "rows and columns": (rows, columns),
        "one colour": (slice(None), slice(None), 1),
        "the end": (slice(-3, None), slice(-5, None)),
        "nothing": (slice(5, 5), slice(None)),
        "backwards": (slice(None, None, -1), slice(None)),
    }
    for part in parts.values():
        expected = whole[rows][:, columns] if part[0] is rows else whole[part]
        np.testing.assert_array_equal(ds["image"][part].values, expected)
    np.testing.assert_array_equal(
        open_slide(path, mpp=0.7, chunks={"y": 100, "x": 333})["image"].values, whole
    )
    monkeypatch.setattr(pixels, "_BAND", 2**18)
    monkeypatch.setattr(pixels, "_STRIP", 2**17)
    np.testing.assert_array_equal(open_slide(path, mpp=0.7)["image"].values, whole)


def test_a_box_in_um_is_that_part_of_the_slide(path):
    whole = open_slide(path, mpp=2.0)
    box = open_slide(path, mpp=2.0, box_um=(100, 50, 300, 250))
    np.testing.assert_allclose(box.x.values, whole.x.values[50:150])
    difference = np.abs(box["image"].values.astype(int) - whole["image"].values[25:125, 50:150])
    assert (difference > 1).mean() < 1e-4
    level = open_slide(path, level=1, box_um=(100, 50, 300, 250))
    assert level.x.values.min() > 100
    assert level.x.values.max() < 300
    np.testing.assert_array_equal(level["image"].values, openslide_level(path, 1)[50:250, 100:300])


def test_dask_chunks_are_whole_tiles_and_pickle(path):
    tree = open_slide(path, chunks={})
    image = pickle.loads(pickle.dumps(tree["scale0"]["image"]))
    assert image.chunks is not None
    assert open_slide(path, level=0, chunks={"y": 480})["image"].chunks[0] == (480, 480, 480, 360)
    assert image.data.name == open_slide(path, chunks={})["scale0"]["image"].data.name
    np.testing.assert_array_equal(image.values, openslide_level(path, 0))


def test_it_works_on_a_cluster_errors_included(path, gdc, slide):
    distributed = pytest.importorskip("distributed")
    expected = open_slide(path, mpp=1.0)["image"].values
    with (
        distributed.LocalCluster(1, processes=True, threads_per_worker=2, dashboard_address=None) as cluster,
        distributed.Client(cluster),
    ):
        ds = open_slide(path, mpp=1.0, chunks={"y": 128})
        np.testing.assert_array_equal(ds["image"].values, expected)
        gone = open_slide(slide, mpp=1.0, chunks={}, endpoint=gdc.endpoint)["image"]
        gdc.fail("data", status(404), times=None)
        with pytest.raises(RemoteNotFoundError, match="does not exist"):
            gone.data.compute()


def test_images_beside_the_levels(path):
    label = open_slide(path, associated="label")
    np.testing.assert_array_equal(label["image"].values, picture(120, 130, x0=900))
    assert label.x.attrs["units"] == "pixels"
    with pytest.raises(NameNotFoundError, match="it has: thumbnail, label, macro"):
        open_slide(path, associated="barcode")


def test_a_slide_that_does_not_tell_its_resolution(tmp_path):
    path = tmp_path / "silent.svs"
    write_slide(path, width=600, height=500, mpp=None, magnification=20)
    with pytest.raises(
        FileFormatError, match=r"silent\.svs.*mpp_base=.*mpp_from='magnification' \(0\.5 at 20×\)"
    ):
        open_slide(path)
    assert open_slide(path, associated="macro").sizes["x"] == 400
    assert open_slide(path, mpp=2.0, mpp_base=0.5).attrs["mpp_source"] == "given"
    estimated = open_slide(path, mpp=2.0, mpp_from="magnification")
    assert estimated.attrs["mpp_source"] == "magnification"
    assert estimated.sizes["x"] == 150
    in_pixels = open_slide(path, mpp_from="pixels")["scale1"]
    assert "mpp" not in in_pixels.attrs
    assert in_pixels.x.attrs["units"] == "pixels"
    with pytest.raises(OptionError, match="mpp_base="):
        open_slide(path, mpp=2.0, mpp_from="pixels")
    write_slide(path, width=600, height=500, mpp="0,0", magnification=None)
    with pytest.raises(FileFormatError, match="neither its µm/px nor its magnification"):
        open_slide(path, mpp_from="magnification")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"mpp": 1, "level": 0}, "mpp= and level= are given"),
        ({"box_um": (0, 0, 1, 1)}, "give mpp= or level="),
        (
            {"level": 0, "box_um": (0.3, 0.3, 0.35, 0.35)},
            r"holds no pixel's centre at level 0.*0\.25 × 0\.25 µm",
        ),
        ({"level": 1, "box_um": (2, 0.6, 9, 0.7), "chunks": {}}, "holds no pixel's centre at level 1"),
        ({"mpp": 0.1}, "its finest is 0.25"),
        ({"mpp": "15"}, "mpp='15' is not a resolution"),
        ({"mpp": 1e6}, "larger than a glass slide"),
        ({"level": 3}, r"it has 0 \(2,400 × 1,800\), 1"),
        ({"level": True}, "not a level"),
        ({"method": "guess"}, "'ranges', 'tiles', 'download'"),
        ({"mpp_from": "guess"}, "'magnification', 'pixels' or None"),
        ({"mpp_base": -1}, "no resolution of a slide"),
        ({"mpp": 1, "method": "tiles"}, "not a slide of the GDC.*method='ranges'"),
        ({"chunks": {"z": 1}}, "no dimension 'z'"),
        ({"chunks": "x"}, "chunks"),
    ],
)
def test_wrong_options(path, options, said):
    with pytest.raises(OptionError, match=said):
        open_slide(path, **options)


def test_a_path_that_is_not_there(tmp_path):
    with pytest.raises(MissingFileError, match=r"no\.svs is not a file"):
        open_slide(tmp_path / "no.svs")


def test_a_relative_path_outlives_its_working_directory(path, tmp_path, monkeypatch):
    monkeypatch.chdir(path.parent)
    ds = open_slide(path.name, mpp=15.0)
    kept = pickle.dumps(ds)
    monkeypatch.chdir(tmp_path)
    assert pickle.loads(kept)["image"].identical(ds["image"].load())
    assert ds.attrs["intake_tcga:source_url"] == str(path)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("zip://a.svs::file:///z.zip", "a.svs"),
        ("filecache::zip://in/b%20c.svs::https://host/z.zip?key=1", "b c.svs"),
        ("filecache::https://me:secret@host/folder/a.svs?key=1", "a.svs"),
        ("https://host", "slide"),
    ],
)
def test_a_slide_of_a_chain_is_called_after_its_own_file(url, name, cache_dir):
    assert SlideSource.local_or_url(url, VerifiedFileCache(cache_dir)).name == name


def test_a_folder_is_no_slide(path, monkeypatch):
    monkeypatch.chdir(path.parent.parent)
    for folder in (path.parent, path.parent.name):
        with pytest.raises(OptionError, match="is a folder; give the path of a slide"):
            open_slide(folder)


@pytest.mark.parametrize("wrong", ["", " "])
def test_an_empty_name(wrong):
    with pytest.raises(OptionError, match="is no slide: the name is empty"):
        open_slide(wrong)


@pytest.mark.parametrize("wrong", [3, None, ["a.svs"], b"a.svs"])
def test_what_is_no_slide(wrong):
    with pytest.raises(OptionError, match="is no slide; give a barcode"):
        open_slide(wrong)


def test_a_tree_is_a_store_without_warnings_of_its_types(path, tmp_path):
    tree = open_slide(path)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="The data type")
        tree.to_zarr(tmp_path / "tree.zarr")
    kept = xr.open_datatree(tmp_path / "tree.zarr", engine="zarr")
    assert kept["scale1"]["image"].equals(tree["scale1"]["image"])


def test_numbers_of_numpy(path):
    image = open_slide(path, mpp=np.int64(15), mpp_base=np.float32(0.25), box_um=np.array([0, 0, 300, 300]))
    assert image.identical(open_slide(path, mpp=15.0, mpp_base=0.25, box_um=(0, 0, 300, 300)))
    level = open_slide(path, level=np.int64(1))
    assert level.identical(open_slide(path, level=1))
    assert type(level.attrs["level"]) is int


# -- from the GDC -----------------------------------------------------------------------------------------------------


def test_ranges_read_little_and_reopening_nothing(gdc, slide, path):
    ds = open_slide(slide, mpp=15.0, endpoint=gdc.endpoint)
    np.testing.assert_array_equal(ds["image"].values, open_slide(path, mpp=15.0)["image"].values)
    assert len(gdc.requests) <= 6
    assert gdc.busiest <= 4
    assert all(request.method == "GET" for request in gdc.requests)
    assert ds.attrs["file_id"] == slide.file_id
    assert ds.attrs["md5"] == slide.md5
    assert ds.attrs["barcode"] == slide.barcode
    gdc.forget()
    open_slide(slide, endpoint=gdc.endpoint)
    assert gdc.requests == []
    open_slide(slide, endpoint=gdc.endpoint, keep=False, cache=VerifiedFileCache("elsewhere"))
    assert len(gdc.requests) > 0


def test_by_any_name(gdc, slide, path):
    for name in (slide.file_id, slide.file_name, slide.barcode):
        assert open_slide(name, endpoint=gdc.endpoint, mpp=15.0).attrs["file_id"] == slide.file_id
    with pytest.raises(NameNotFoundError):
        open_slide("TCGA-99-9999-01Z-00-DX1", endpoint=gdc.endpoint)
    url = f"{gdc.endpoint}/data/{slide.file_id}"
    assert open_slide(url, mpp=15.0).sizes == open_slide(path, mpp=15.0).sizes
    assert open_slide(path.as_uri(), mpp=15.0).sizes == open_slide(path, mpp=15.0).sizes


@pytest.mark.parametrize(("form", "mode"), [("jpeg", "RGB"), ("png", "RGB"), ("png", "RGBA")])
def test_tiles_are_near_the_slide(gdc, slide, path, form, mode):
    gdc.tile_format, gdc.tile_mode, gdc.tile_size = form, mode, 256
    near = open_slide(slide, mpp=3.0, method="tiles", endpoint=gdc.endpoint)
    exact = open_slide(path, mpp=3.0)
    assert near["image"].shape == exact["image"].shape
    assert psnr(near["image"].values, exact["image"].values) > 40
    assert near.attrs["mpp"] == 3.0
    assert near.attrs["method"] == "tiles"
    assert gdc.busiest <= 4


def test_tiles_without_header_and_as_a_tree(gdc, slide, path):
    tree = open_slide(slide, method="tiles", mpp_base=0.25, endpoint=gdc.endpoint)
    assert gdc.asked("data") == []
    assert tree["scale0"].sizes["x"] == SIZE[0]
    assert tree["scale1"].attrs["mpp"] == 0.5
    part = tree["scale0"]["image"][500:530, 1000:1030].values
    assert psnr(part, openslide_level(path, 0)[500:530, 1000:1030]) > 40


def test_tiles_that_are_damaged_are_asked_for_again(gdc, slide, path, impatient):
    gdc.fail(f"tile/{slide.file_id}", cut_short())
    gdc.fail(f"tile/{slide.file_id}", status(500))
    options = {"mpp": 3.0, "method": "tiles", "mpp_base": 0.25, "endpoint": gdc.endpoint, "cache": impatient}
    ds = open_slide(slide, **options)
    assert psnr(ds["image"].values, open_slide(path, mpp=3.0)["image"].values) > 40
    gdc.fail(f"tile/{slide.file_id}", cut_short(), times=None)
    with pytest.raises(FileFormatError, match=r"gives tile \d+, \d+ of level \d+ of .* damaged"):
        ds["image"].values  # noqa: B018


def test_tiles_that_are_others_are_refused(gdc, slide, impatient):
    ds = open_slide(slide, mpp=3.0, method="tiles", mpp_base=0.25, endpoint=gdc.endpoint, cache=impatient)
    gdc.tile_size = 100
    with pytest.raises(FileFormatError, match="pixels, not .*method='ranges'"):
        ds["image"].values  # noqa: B018


def test_tiles_of_another_size_than_the_slides_are_refused(gdc, slide):
    said = {"Format": "jpeg", "Width": "4800", "Height": "1800", "Overlap": "1", "TileSize": "512"}
    gdc.fail(f"tile/metadata/{slide.file_id}", answers(said))
    with pytest.raises(FileFormatError, match=r"4,800 × 1,800 pixels, .* 2,400 × 1,800; use method='ranges'"):
        open_slide(slide, mpp=3.0, method="tiles", endpoint=gdc.endpoint)


def test_a_slide_without_tiles_names_ranges(gdc):
    with pytest.raises(RemoteNotFoundError, match="no tiles of .*method='ranges'"):
        open_slide(slide_of(gdc.files[1]), mpp=15.0, method="tiles", endpoint=gdc.endpoint)
    gdc.no_tiles = (200, {"message": "internal"})
    with pytest.raises(RemoteNotFoundError, match="no tiles of .*method='ranges'"):
        open_slide(slide_of(gdc.files[1]), mpp=15.0, method="tiles", endpoint=gdc.endpoint)


def test_tiles_that_are_not_there_name_the_slide_and_ranges(gdc, slide):
    ds = open_slide(slide, mpp=15.0, method="tiles", endpoint=gdc.endpoint)
    gdc.fail("tile", status(404), times=None)
    with pytest.raises(RemoteNotFoundError, match=f"describes {slide.file_name} .*method='ranges'"):
        ds["image"].values  # noqa: B018


def test_a_download_is_verified_and_read_from_disk(gdc, slide, path, cache_dir):
    ds = open_slide(slide, mpp=15.0, method="download", endpoint=gdc.endpoint)
    asked = len(gdc.requests)
    np.testing.assert_array_equal(ds["image"].values, open_slide(path, mpp=15.0)["image"].values)
    assert len(gdc.requests) == asked
    assert "127.0.0.1" in ds.attrs["intake_tcga:source_url"]
    (kept,) = cache_dir.rglob("*.svs")
    open_slide(slide, mpp=15.0, method="download", endpoint=gdc.endpoint, keep=False)
    assert kept.exists(), "what was there before stays"


def test_what_was_downloaded_is_read_without_a_request(gdc, slide, path):
    open_slide(slide, mpp=15.0, method="download", endpoint=gdc.endpoint)
    gdc.forget()
    for offline in (True, False):
        ds = open_slide(slide, mpp=15.0, endpoint=gdc.endpoint, offline=offline)
        np.testing.assert_array_equal(ds["image"].values, open_slide(path, mpp=15.0)["image"].values)
        assert (ds.attrs["method"], ds.attrs["intake_tcga:source_url"]) == (
            "ranges",
            slide.data_url(gdc.endpoint),
        )
    assert gdc.requests == []


def test_a_barcode_that_was_downloaded_is_found_offline(gdc, slide, path):
    for name in (slide.barcode, slide.file_name, slide.file_id):
        with pytest.raises(OfflineError):
            open_slide(name, endpoint=gdc.endpoint, offline=True)
    open_slide(slide.barcode, mpp=15.0, method="download", endpoint=gdc.endpoint)
    gdc.forget()
    for name in (slide.barcode, slide.file_name, slide.file_id):
        ds = open_slide(name, mpp=15.0, endpoint=gdc.endpoint, offline=True)
        np.testing.assert_array_equal(ds["image"].values, open_slide(path, mpp=15.0)["image"].values)
    with pytest.raises(OfflineError, match="no listing of slides"):
        open_slide(slide_of(gdc.files[1]).barcode, endpoint=gdc.endpoint, offline=True)
    assert gdc.requests == []


def test_a_damaged_copy_is_passed_over(gdc, slide, path, cache_dir):
    open_slide(slide, mpp=15.0, method="download", endpoint=gdc.endpoint)
    (kept,) = cache_dir.rglob("*.svs")
    kept.write_bytes(bytes(kept.stat().st_size))
    gdc.forget()
    ds = open_slide(slide, mpp=15.0, endpoint=gdc.endpoint)
    np.testing.assert_array_equal(ds["image"].values, open_slide(path, mpp=15.0)["image"].values)
    assert gdc.requests
    with pytest.raises((IntegrityError, OfflineError), match="damaged|expected"):
        open_slide(slide, mpp=15.0, endpoint=gdc.endpoint, offline=True)


def test_a_download_that_is_not_kept(gdc, slide, cache_dir):
    ds = open_slide(slide, mpp=15.0, method="download", endpoint=gdc.endpoint, keep=False, chunks={})
    assert ds["image"].values.any()
    assert list(cache_dir.rglob("*.svs")) == []
    with pytest.raises(OptionError, match="its finest is"):
        open_slide(slide, mpp=0.01, method="download", endpoint=gdc.endpoint, keep=False)
    assert list(cache_dir.rglob("*.svs")) == []
    with pytest.raises(OptionError, match="give mpp=, level= or associated="):
        open_slide(slide, method="download", endpoint=gdc.endpoint, keep=False)


@pytest.mark.parametrize("method", ["ranges", "tiles", "download"])
@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (refuses(), AccessDeniedError),
        (status(400), TransferError),
        (status(404), RemoteNotFoundError),
        (status(500), TransferError),
    ],
)
def test_refusals_are_typed(gdc, slide, impatient, method, fault, kind):
    for name in ("data", "tile"):
        gdc.fail(name, fault, times=None)
    with pytest.raises(kind):
        open_slide(slide, mpp=15.0, method=method, endpoint=gdc.endpoint, cache=impatient)["image"].values  # noqa: B018


@pytest.mark.parametrize("method", ["ranges", "tiles", "download"])
def test_refusals_say_why_and_what_to_do(gdc, slide, impatient, method):
    how = {"mpp": 15.0, "method": method, "endpoint": gdc.endpoint, "cache": impatient}
    with pytest.raises(AccessDeniedError, match=r"invalid or expired.*check the token.*GDC_TOKEN") as refused:
        open_slide(slide, token="wr0ng", **how)
    assert slide.file_name in str(refused.value)
    for name in ("data", "tile"):
        gdc.fail(name, answers({"message": f"No access for {TOKEN}. " + "why " * 100}, 400), times=None)
    with pytest.raises(TransferError, match="HTTP 400: No access for ….*why…") as refused:
        open_slide(slide, token=TOKEN, **how)
    assert len(str(refused.value)) < 500
    gdc._faults.clear()
    for name in ("data", "tile"):
        gdc.fail(name, status(403), times=None)
    with pytest.raises(AccessDeniedError, match=r"\(HTTP 403\); a controlled slide needs a token"):
        open_slide(slide, **how)


@pytest.mark.parametrize("method", ["ranges", "download"])
def test_a_slide_that_changed_is_noticed(gdc, slide, method):
    gdc.files[0].__dict__.pop("content", None)
    gdc.files[0].body = gdc.files[0].body + b"more"
    with pytest.raises(IntegrityError):
        open_slide(slide, mpp=15.0, method=method, endpoint=gdc.endpoint)


def test_other_bytes_of_the_same_size_are_noticed(gdc, slide):
    early = open_slide(slide, mpp=15.0, endpoint=gdc.endpoint)
    gdc.files[0] = gdc_slide(1, body=gdc.files[0].content[:-1] + b"x")
    for changed in (lambda: early, lambda: open_slide(slide, mpp=15.0, endpoint=gdc.endpoint, keep=False)):
        with pytest.raises(IntegrityError, match=f"where {slide.md5} is expected"):
            changed()["image"].values  # noqa: B018


def test_offline(gdc, slide, path):
    with pytest.raises(OfflineError):
        open_slide(slide, mpp=15.0, endpoint=gdc.endpoint, offline=True)
    with pytest.raises(OfflineError):
        open_slide(slide, mpp=15.0, endpoint=gdc.endpoint, offline=True, method="tiles")
    assert open_slide(path, mpp=15.0, offline=True)["image"].values.any()


def test_a_token_reaches_the_server_and_nothing_else(gdc, slide, monkeypatch):
    gdc.files[0].access = "controlled"
    locked = slide_of(gdc.files[0])
    with pytest.raises(AccessDeniedError) as refused:
        open_slide(
            locked, mpp=15.0, endpoint=gdc.endpoint, cache=VerifiedFileCache(budget=Budget(attempts=1))
        )
    assert TOKEN not in str(refused.value)
    ds = open_slide(locked, mpp=15.0, endpoint=gdc.endpoint, token=TOKEN)
    tiles = open_slide(locked, mpp=15.0, endpoint=gdc.endpoint, token=TOKEN, method="tiles")
    for opened in (ds, tiles):
        assert TOKEN.encode() not in pickle.dumps(opened)
        assert TOKEN not in repr(opened) + str(opened.attrs)
        assert opened["image"].values.any()
    monkeypatch.setenv("GDC_TOKEN", TOKEN)
    copy = pickle.loads(pickle.dumps(open_slide(locked, mpp=15.0, endpoint=gdc.endpoint)))
    assert copy["image"].values.any()


@pytest.mark.parametrize("method", ["ranges", "tiles", "download"])
def test_no_filesystem_that_fsspec_keeps_holds_a_token(gdc, slide, method):
    open_slide(slide, mpp=15.0, endpoint=gdc.endpoint, token=TOKEN, method=method)["image"].load()
    name = "data" if method != "tiles" else "tile"
    assert {request.headers["x-auth-token"] for request in gdc.asked(name)} == {TOKEN}
    for kept in HTTPFileSystem._cache.values():
        assert TOKEN not in kept.to_json() + repr(kept.storage_options)


def test_an_image_is_made_in_bands_that_fetch_each_tile_once(path, monkeypatch):
    """Few of the level's pixels are decoded at a time, and no band fetches what the one above has."""
    decoded, fetched, portions = [], [], []
    real_pixels, real_fetch = pixels.read_pixels, TiffLevel.fetch

    def read_pixels(level, rows, columns, *into):
        decoded.append(len(rows) * len(columns))
        return real_pixels(level, rows, columns, *into)

    def fetch(level, cells):
        for portion in real_fetch(level, cells):
            portions.append(len(portion))
            fetched.extend(portion)
            yield portion

    monkeypatch.setattr(pixels, "read_pixels", read_pixels)
    monkeypatch.setattr(TiffLevel, "fetch", fetch)
    expected = open_slide(path, mpp=0.5)["image"].values
    assert len(portions) == 1
    assert len(decoded) > 1
    assert max(decoded) < 1.1 * 2**21
    fetched.clear(), decoded.clear(), portions.clear()
    monkeypatch.setattr(pixels, "_BAND", 2**20 + 2**19)
    monkeypatch.setattr(pixels, "_STRIP", 2**19)
    np.testing.assert_array_equal(open_slide(path, mpp=0.5)["image"].values, expected)
    assert 1 < len(portions) < len(decoded)
    assert max(decoded) < 1.1 * 2**19
    assert len(fetched) == len(set(fetched)) == 80


def test_tiles_that_are_too_much_to_hold_are_fetched_when_they_are_needed(path, monkeypatch):
    expected = open_slide(path, mpp=0.5)["image"].values
    for module in (tiles, tiff):
        monkeypatch.setattr(module, "PORTION", path.stat().st_size // 6)
    monkeypatch.setattr(pixels, "_STRIP", 2**18)
    tracemalloc.start()
    try:
        out = open_slide(path, mpp=0.5)["image"].values
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    np.testing.assert_array_equal(out, expected)
    assert peak < out.nbytes + path.stat().st_size / 2 + 3 * 2**20


def test_a_large_slide_takes_few_requests_and_little(tmp_path, cache_dir):
    """Its finest levels are holes: what they would have is never asked for, nor the lists of their tiles."""
    path = tmp_path / "large.svs"
    write_slide(
        path, width=109_560, height=89_640, factors=(1, 4, 32, 64), holes={0, 1, 2}, bigtiff=True, quality=60
    )
    with GdcServer([gdc_slide(1, body=path)]) as gdc:
        slide = slide_of(gdc.files[0])
        gdc.forget()
        ds = open_slide(slide, mpp=30.0, endpoint=gdc.endpoint)
        assert ds["image"].values.shape == (747, 913, 3)
        assert ds.attrs["level"] == 3
        assert len(gdc.requests) <= 12
        assert gdc.sent < 2_000_000
        gdc.forget()
        tree = open_slide(slide, endpoint=gdc.endpoint)
        assert (tree["scale0"]["image"][50_000:50_100, 60_000:60_100].values == 255).all()
        assert gdc.sent < 500_000
