"""Images of many slides: complete or not there, skipped when they are right, and one failure stops nothing."""

import csv
import hashlib
import os
import signal
import sys
import threading
import time

import numpy as np
import pandas as pd
import pytest
from faulty_server import FaultyServer
from gdc_server import GdcServer, gdc_slide, refuses
from PIL import Image
from slide_files import write_slide

from intake_tcga.cache.store import VerifiedFileCache
from intake_tcga.errors import (
    AccessDeniedError,
    CacheError,
    FileFormatError,
    IntakeTcgaError,
    MissingDependencyError,
    MissingFileError,
    OptionError,
)
from intake_tcga.slides import contact_sheet as contact_sheets
from intake_tcga.slides import images
from intake_tcga.slides.contact_sheet import contact_sheet
from intake_tcga.slides.images import save_images
from intake_tcga.slides.opening import open_slide
from intake_tcga.slides.slide import Slide
from intake_tcga.transfer.budget import Budget


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("slides")
    for at in range(4):
        write_slide(folder / f"{at}.svs", width=1300 + 100 * at, height=1000, factors=(1, 4))
    return folder


@pytest.fixture
def paths(folder):
    return [folder / f"{at}.svs" for at in range(4)]


@pytest.fixture
def gdc(paths):
    with GdcServer([gdc_slide(at, body=path.read_bytes()) for at, path in enumerate(paths)]) as server:
        yield server


def slides_of(gdc):
    return [
        Slide(file.file_id, file.file_name, file.length, file.digest, project=file.project, data_release="43")
        for file in gdc.files
    ]


def test_images_and_their_index(gdc, paths, tmp_path):
    slides = slides_of(gdc)
    index = save_images(slides, tmp_path / "out", mpp=2.0, endpoint=gdc.endpoint)
    assert index["file_id"].tolist() == [slide.file_id for slide in slides]
    assert index["barcode"].tolist() == [slide.barcode for slide in slides]
    assert set(index["mpp"]) == {2.0}
    assert set(index["mpp_source"]) == {"header"}
    assert set(index["data_release"]) == {"43"}
    kept = pd.read_csv(tmp_path / "out" / "index.csv", dtype={"data_release": str})
    pd.testing.assert_frame_equal(kept, index)
    for line, path in zip(index.itertuples(), paths, strict=True):
        file = tmp_path / "out" / line.file
        assert line.file == line.slide.removesuffix(".svs") + ".2um.png"
        assert file.stat().st_size == line.size
        assert hashlib.sha256(file.read_bytes()).hexdigest() == line.sha256
        with Image.open(file) as image:
            assert image.size == (line.width, line.height)
            np.testing.assert_array_equal(np.asarray(image), open_slide(path, mpp=2.0)["image"].values)
            assert image.info["dpi"] == pytest.approx((12_700, 12_700), rel=1e-4)
    assert gdc.busiest <= 4


@pytest.mark.parametrize(("form", "ending"), [("png", "png"), ("jpeg", "jpg"), ("tiff", "tif")])
def test_every_format_carries_its_resolution(paths, tmp_path, form, ending):
    (line,) = save_images(paths[:1], tmp_path, mpp=15.0, format=form).itertuples()
    assert line.file == f"0.15um.{ending}"
    with Image.open(tmp_path / line.file) as image:
        assert image.size == (21, 16)
        assert [float(dots) for dots in image.info["dpi"]] == pytest.approx([25_400 / 15] * 2, rel=1e-3)
        said = image.info.get("Description") or image.info.get("comment") or image.tag_v2[270]
        assert "15.0" in str(said)


def test_what_is_there_is_not_made_again(gdc, tmp_path, monkeypatch):
    slides = slides_of(gdc)
    save_images(slides[:3], tmp_path, mpp=2.0, endpoint=gdc.endpoint)
    made = []
    real = images._write_image
    monkeypatch.setattr(
        images, "_write_image", lambda pixels, path, *rest: (made.append(path), real(pixels, path, *rest))
    )
    index = save_images(slides, tmp_path, mpp=2.0, endpoint=gdc.endpoint)
    assert len(made) == 1
    assert len(index) == 4
    made.clear()
    (tmp_path / index.file[0]).write_bytes(b"damaged")
    (tmp_path / index.file[1]).unlink()
    again = save_images(slides, tmp_path, mpp=2.0, endpoint=gdc.endpoint)
    assert len(made) == 2
    pd.testing.assert_frame_equal(again, index)
    made.clear()
    save_images(slides, tmp_path, mpp=2.0, mpp_base=0.5, endpoint=gdc.endpoint)
    assert len(made) == 4, "another µm/px is another image"


@pytest.mark.parametrize("method", ["ranges", "tiles", "download"])
def test_many_workers_ask_for_no_more_at_once_than_few(paths, tmp_path, method):
    picture = np.zeros((1000, 1300, 3), np.uint8)
    files = [gdc_slide(at, body=paths[0].read_bytes(), picture=picture) for at in range(12)]
    with GdcServer(files, latency=0.05) as gdc:
        save_images(slides_of(gdc), tmp_path, mpp=1.0, workers=12, method=method, endpoint=gdc.endpoint)
        assert 2 <= gdc.busiest <= 4


def test_urls_that_differ_in_their_query_are_other_slides(paths, tmp_path):
    with FaultyServer({"get": paths[0].read_bytes()}) as server:
        first = save_images([server.url("get?id=1")], tmp_path, mpp=2.0, keep=False)
        assert save_images([server.url("get?id=1")], tmp_path, mpp=2.0).equals(first)
        server.bodies["get"] = paths[1].read_bytes()
        second = save_images([server.url("get?id=2")], tmp_path, mpp=2.0)
    assert second["sha256"][0] != first["sha256"][0]
    assert "id=" not in (tmp_path / "index.csv").read_text()


def test_an_index_that_was_cut_off_loses_one_line(paths, tmp_path, monkeypatch):
    index = save_images(paths, tmp_path, mpp=2.0)
    file = tmp_path / "index.csv"
    file.write_bytes(file.read_bytes()[:-30])
    made = []
    real = images._write_image
    monkeypatch.setattr(
        images, "_write_image", lambda pixels, path, *rest: (made.append(path), real(pixels, path, *rest))
    )
    pd.testing.assert_frame_equal(save_images(paths, tmp_path, mpp=2.0), index)
    assert len(made) == 1
    save_images(paths[:1], tmp_path, mpp=3.0)
    with file.open() as lines:
        assert len(list(csv.reader(lines))) == 6, "lines of other images stay"


@pytest.mark.parametrize("workers", [1, 3])
def test_failures_stop_nothing_and_are_told_together(gdc, paths, tmp_path, workers):
    slides = slides_of(gdc)
    bad = tmp_path / "bad.svs"
    bad.write_bytes(b"no slide")
    gdc.fail(f"data/{slides[1].file_id}", refuses(), times=None)
    with pytest.raises(IntakeTcgaError) as failed:
        save_images(
            [*slides, bad],
            tmp_path / "out",
            mpp=2.0,
            endpoint=gdc.endpoint,
            workers=workers,
            cache=hasty(tmp_path),
        )
    said = str(failed.value)
    assert said.startswith("2 of 5 slides failed; the images of the others are in ")
    assert "bad.svs is not a TIFF file" in said
    assert slides[1].file_name in said
    assert len(list((tmp_path / "out").glob("*.png"))) == 3
    with (tmp_path / "out" / "index.csv").open() as lines:
        assert [line["file_id"] for line in csv.DictReader(lines)] == [slides[at].file_id for at in (0, 2, 3)]
    assert [path for path in (tmp_path / "out").iterdir() if path.name.endswith(".new")] == []


def test_slides_that_are_not_there_stop_nothing(gdc, paths, tmp_path):
    slides = [*paths, tmp_path / "gone.svs", "TCGA-99-9999-01Z-00-DX1"]
    with pytest.raises(IntakeTcgaError, match="2 of 6 slides failed") as failed:
        save_images(slides, tmp_path / "out", mpp=2.0, endpoint=gdc.endpoint)
    assert "gone.svs is not a file" in str(failed.value)
    assert "TCGA-99-9999-01Z-00-DX1" in str(failed.value)
    assert len(list((tmp_path / "out").glob("*.png"))) == 4


def hasty(tmp_path):
    return VerifiedFileCache(tmp_path / "cache", budget=Budget(attempts=1))


def test_the_error_of_an_only_slide_and_of_one_kind(gdc, tmp_path):
    gdc.fail("data", refuses(), times=None)
    options = {"mpp": 2.0, "endpoint": gdc.endpoint, "cache": hasty(tmp_path)}
    with pytest.raises(AccessDeniedError, match="^The GDC does not give TCGA-"):
        save_images(slides_of(gdc)[:1], tmp_path / "out", **options)
    with pytest.raises(AccessDeniedError, match="^4 of 4 slides failed"):
        save_images(slides_of(gdc), tmp_path / "out", **options)


def test_failures_of_slides_of_one_name_are_all_told(paths, tmp_path):
    bad = [tmp_path / folder / "bad.svs" for folder in ("a", "b")]
    for path in bad:
        path.parent.mkdir()
        path.write_bytes(b"no slide")
    with pytest.raises(FileFormatError, match="2 of 3 slides failed") as failed:
        contact_sheet([*bad, paths[0]], tmp_path / "sheet.png", mpp=4.0)
    assert all(f"- {path}: " in str(failed.value) for path in bad)


def test_what_a_slide_cannot_give_is_no_wrong_option_of_the_batch(paths, tmp_path):
    with pytest.raises(IntakeTcgaError, match="2 of 5 slides failed") as failed:
        save_images([*paths[:3], tmp_path, tmp_path / "gone.svs"], tmp_path / "out", mpp=2.0)
    assert "is a folder" in str(failed.value)
    with pytest.raises(IntakeTcgaError, match="4 of 4 slides failed") as failed:
        save_images(paths, tmp_path / "out", mpp=0.01)
    assert not isinstance(failed.value, OptionError)


def test_names_are_looked_up_at_once(gdc, tmp_path):
    save_images([file.file_name for file in gdc.files], tmp_path / "out", mpp=2.0, endpoint=gdc.endpoint)
    assert len([request for request in gdc.requests if request.name == "files"]) == 1


def test_an_error_that_is_not_ours_is_told_too(paths, tmp_path, monkeypatch):
    real = images._write_image

    def failing(pixels, path, *rest):
        if path.name.startswith(".2."):
            raise ZeroDivisionError("a bug")
        real(pixels, path, *rest)

    monkeypatch.setattr(images, "_write_image", failing)
    with pytest.raises(IntakeTcgaError, match=r"1 of 4 slides failed.*\n- 2\.svs: ZeroDivisionError: a bug"):
        save_images(paths, tmp_path, mpp=2.0)
    assert len(list(tmp_path.glob("*.png"))) == 3


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"format": "gif"}, "'png', 'jpeg', 'tiff'"),
        ({"method": "guess"}, "'ranges'"),
        ({"workers": 0}, "workers=0"),
        ({"quality": 200}, "quality=200"),
        ({"mmp": 3}, "no option 'mmp'"),
    ],
)
def test_wrong_options(paths, tmp_path, options, said):
    with pytest.raises(OptionError, match=said):
        save_images(paths, tmp_path, **{"mpp": 2.0} | options)


def test_names_that_meet_are_refused_and_repeated_slides_count_once(folder, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    write_slide(other / "0.svs", width=500, height=400)
    with pytest.raises(OptionError, match=r"0\.2um\.png"):
        save_images([folder / "0.svs", other / "0.svs"], tmp_path / "out", mpp=2.0)
    assert len(save_images([folder / "0.svs", folder / "0.svs"], tmp_path / "out", mpp=2.0)) == 1


def test_images_of_all_but_equal_resolutions_have_names_of_their_own(paths, tmp_path):
    for mpp in (15.0, 15.00001):
        save_images(paths[:1], tmp_path, mpp=mpp)
    assert {path.name for path in tmp_path.glob("*.png")} == {"0.15um.png", "0.15.00001um.png"}


def test_half_written_files_of_runs_that_were_killed_are_removed(paths, tmp_path):
    old = [tmp_path / ".0.2um.png.0123abcd.new", tmp_path / ".index.csv.0123abcd.new"]
    others = [tmp_path / ".1.2um.png.0123abcd.new", tmp_path / ".mine.new"]
    for path in (*old, *others):
        path.write_bytes(b"half")
    for path in (*old, others[1]):
        os.utime(path, (0, 0))
    save_images(paths[:1], tmp_path, mpp=2.0)
    assert sorted(path for path in tmp_path.iterdir() if path.name.startswith(".")) == sorted(others)


def test_a_folder_that_cannot_be(paths, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CacheError, match="cannot be written to"):
        save_images(paths, tmp_path / "file" / "out", mpp=2.0)


# -- contact sheets ---------------------------------------------------------------------------------------------------


def test_a_sheet_shows_every_slide_at_one_scale(paths, tmp_path):
    sheet = contact_sheet(paths, tmp_path / "sheet.png", mpp=4.0, columns=2)
    with Image.open(sheet) as drawn:
        pixels = np.asarray(drawn.convert("RGB"))
    for path in paths:
        wanted = open_slide(path, mpp=4.0)["image"].values
        assert any_place(pixels, wanted)


def any_place(sheet, picture):
    """Tell whether a picture is somewhere on a sheet: its first rows, then all of it."""
    height, width, _ = picture.shape
    windows = np.lib.stride_tricks.sliding_window_view(sheet[..., 0], (1, 24))[:, :, 0]
    places = np.argwhere((windows == picture[0, :24, 0]).all(-1))
    return any(np.array_equal(sheet[y : y + height, x : x + width], picture) for y, x in places)


def test_a_sheet_with_a_slide_that_fails(paths, tmp_path):
    bad = tmp_path / "bad.svs"
    bad.write_bytes(b"no slide")
    with pytest.raises(FileFormatError, match=r"1 of 5 slides failed; the others are on .*sheet\.png"):
        contact_sheet([*paths, bad], tmp_path / "sheet.png", mpp=4.0)
    assert (tmp_path / "sheet.png").exists()


def test_a_sheet_has_an_empty_place_for_a_slide_that_was_not_found(paths, tmp_path, monkeypatch):
    drawn = []
    real = contact_sheets._drawn
    monkeypatch.setattr(contact_sheets, "_drawn", lambda *args: (drawn.append(args), real(*args))[1])
    with pytest.raises(MissingFileError, match="1 of 3 slides failed"):
        contact_sheet([paths[0], tmp_path / "lost.svs", paths[1]], tmp_path / "sheet.png", mpp=4.0)
    captions, pictures, *_ = drawn[0]
    assert captions == [("0.svs", ""), ("lost.svs", "was not found"), ("1.svs", "")]
    assert [picture is None for picture in pictures] == [False, True, False]
    assert (tmp_path / "sheet.png").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"columns": 0}, "columns=0"),
        ({"path": "sheet.doc"}, "ending"),
        ({"slides": []}, "no slides"),
        ({"mpp": 0.26}, None),
    ],
)
def test_sheets_that_cannot_be(paths, tmp_path, monkeypatch, options, said):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("intake_tcga.slides.contact_sheet._MOST_PIXELS", 10**6)
    with pytest.raises(OptionError, match=said or "larger mpp"):
        contact_sheet(**{"slides": paths, "path": "sheet.png"} | options)


@pytest.mark.skipif(not hasattr(os, "kill"), reason="no signals here")
def test_ctrl_c_begins_no_further_slide_and_keeps_what_is_complete(paths, tmp_path, monkeypatch):
    begun = []
    real = images.opened_image

    def opened(source, *args, **kwargs):
        begun.append(source.name)
        if len(begun) == 1:
            time.sleep(0.2)  # until the batch waits
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.3)  # meanwhile the batch is told
        return real(source, *args, **kwargs)

    monkeypatch.setattr(images, "opened_image", opened)
    before = signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # also where the tests run in the background
    try:
        with pytest.raises(KeyboardInterrupt):
            save_images(paths, tmp_path, mpp=2.0, workers=1)
    finally:
        signal.signal(signal.SIGINT, before)
    assert begun == ["0.svs"]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["0.2um.png", "index.csv"]
    assert len(pd.read_csv(tmp_path / "index.csv")) == 1
    assert len(save_images(paths, tmp_path, mpp=2.0)) == 4
    assert begun.count("0.svs") == 1


@pytest.mark.skipif(not hasattr(os, "kill"), reason="no signals here")
def test_ctrl_c_ends_downloads_and_keeps_what_has_come_of_them(gdc, tmp_path, cache_dir):
    served, waited_for = threading.Event(), []

    def slowly(reply):
        reply.head(200, len(reply.body))
        reply.send(reply.body[:-1000])
        if not served.wait(30):
            waited_for.append(reply)

    for file in gdc.files:
        gdc.fail(f"data/{file.file_id}", slowly)
    threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT)).start()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            save_images(
                slides_of(gdc), tmp_path, mpp=2.0, endpoint=gdc.endpoint, method="download", workers=4
            )
        assert not waited_for
    finally:
        signal.signal(signal.SIGINT, before)
        served.set()
    assert not list(tmp_path.glob("*.png"))
    assert len(save_images(slides_of(gdc), tmp_path, mpp=2.0, endpoint=gdc.endpoint, method="download")) == 4


@pytest.mark.parametrize("absent", ["imagecodecs", "PIL"])
def test_what_is_not_installed_is_said_with_how_to_install_it(paths, tmp_path, monkeypatch, absent):
    monkeypatch.setitem(sys.modules, absent, None)
    monkeypatch.delitem(sys.modules, "PIL.Image", raising=False)
    lazy = open_slide(paths[0], mpp=2.0)
    for make in (
        lambda: lazy["image"].values,
        lambda: save_images(paths, tmp_path / "out", mpp=2.0),
        lambda: contact_sheet(paths, tmp_path / "sheet.png", mpp=8.0),
    ):
        with pytest.raises(MissingDependencyError, match=r"pip install 'intake-tcga\[slides\]'"):
            make()
    assert not (tmp_path / "sheet.png").exists()
    assert not list(tmp_path.rglob("*.png"))


@pytest.mark.parametrize("function", [save_images, contact_sheet])
@pytest.mark.parametrize("options", [{"mpp": wrong} for wrong in ("15", 0, float("nan"), 1e6, True)])
def test_a_wrong_resolution_is_told_once_and_first(paths, tmp_path, function, options):
    with pytest.raises(OptionError, match="mpp=") as error:
        function(paths, tmp_path / "new.png", **options)
    assert "slides failed" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("options", [{"mpp_base": -1}, {"mpp_from": "guess"}])
def test_what_the_slides_cannot_change_is_told_first(paths, tmp_path, options):
    with pytest.raises(OptionError, match="mpp_"):
        save_images(paths, tmp_path / "new", mpp=15.0, **options)
    assert list(tmp_path.iterdir()) == []


def test_numbers_of_numpy_are_the_same_recipe(paths, tmp_path):
    plain = save_images(paths[:1], tmp_path, mpp=15.0, box_um=(0, 0, 200, 200), format="jpeg", quality=80)
    numpys = {"mpp": np.float64(15), "box_um": np.array([0, 0, 200, 200]), "quality": np.int64(80)}
    again = save_images(paths[:1], tmp_path, format="jpeg", workers=np.int64(2), **numpys)
    assert again["recipe"].tolist() == plain["recipe"].tolist()
    assert contact_sheet(paths, tmp_path / "sheet.png", mpp=np.int32(32), columns=np.int64(2)).exists()
