"""`intake-tcga slides …`, on the sample, on made-up slides, and on a server that behaves as the GDC does."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from gdc_server import TOKEN, GdcServer, gdc_slide, refuses
from PIL import Image
from slide_files import write_slide

from intake_tcga.slides.opening import open_slide


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("slides")
    for at in range(3):
        write_slide(folder / f"{at}.svs", width=700 + 100 * at, height=500, factors=(1, 4))
    write_slide(folder / "no_mpp.svs", width=700, height=500, factors=(1, 4), mpp=None)
    return folder


@pytest.fixture
def gdc(folder):
    bodies = [(folder / f"{at}.svs").read_bytes() for at in range(3)]
    files = [gdc_slide(at, body=body) for at, body in enumerate(bodies)]
    files += [gdc_slide(at, project="TCGA-BRCA", primary_site="Breast") for at in range(3, 8)]
    files += [gdc_slide(8, kind="tissue"), gdc_slide(9, access="controlled")]
    with GdcServer(files) as server:
        yield server


@pytest.fixture
def slides(invoke, gdc):
    """Return a function that runs a command on the server's slides."""

    def slides(command, *words, status=0):
        return invoke("slides", command, *words, "--endpoint", gdc.endpoint, "-q", status=status)

    return slides


def rows(result):
    return json.loads(result.stdout)


# -- search, draw, manifest --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ([], {0, 1, 2, 3, 4, 5, 6, 7, 8}),
        (["-w", "project=TCGA-BRCA"], {3, 4, 5, 6, 7}),
        (["-w", "kind=tissue", "-w", "project=tcga-luad"], {8}),
        (["-w", "kind=tissue", "-w", "kind=diagnostic"], {0, 1, 2, 3, 4, 5, 6, 7, 8}),
        (["breast"], {3, 4, 5, 6, 7}),
        (["^TCGA-0[45]", "--regex"], {4, 5}),
        (["-w", "size>1000"], {0, 1, 2}),
        (["--access", "controlled"], {9}),
        (["--access", "any", "-w", "size<1000"], {3, 4, 5, 6, 7, 8, 9}),
        (["no such thing"], set()),
    ],
)
def test_search(slides, gdc, words, found):
    numbers = {file.file_id: number for number, file in enumerate(gdc.files)}
    assert {numbers[row["file_id"]] for row in rows(slides("search", *words, "--json"))} == found


def test_search_prints_a_table(slides):
    lines = [line.split("\t") for line in slides("search", "-w", "kind=tissue").stdout.splitlines()]
    assert lines[0] == ["barcode", "project", "kind", "sample_type", "primary_site", "size", "file_id"]
    assert len(lines) == 2
    assert lines[1][:3] == ["TCGA-08-0008-01A-01-TS1", "TCGA-LUAD", "tissue"]


@pytest.mark.parametrize("columns", [80, 120])
def test_search_on_a_terminal(slides, terminal, columns):
    terminal(columns)
    lines = slides("search").stdout.splitlines()
    assert len(lines) == 10
    assert max(map(len, lines)) <= columns
    assert "TCGA-08-0008-01A-01-TS1" in "".join(lines)


def test_a_manifest_goes_out_and_in(slides, tmp_path):
    said = slides("search", "-w", "project=TCGA-BRCA", "-o", "brca.tsv").stderr
    assert "brca.tsv: 5 slides" in said
    assert (tmp_path / "brca.tsv").read_text().startswith("id\tfilename\tmd5\tsize\tstate\n")
    assert len(rows(slides("search", "--manifest", "brca.tsv", "--json"))) == 5
    assert "all.tsv: 8 slides" in slides("manifest", "all.tsv", "-w", "kind=diagnostic").stdout
    assert len((tmp_path / "all.tsv").read_text().splitlines()) == 9
    assert (
        "luad.tsv: 3 slides"
        in slides("manifest", "luad.tsv", "--manifest", "all.tsv", "--search", "luad").stdout
    )


def test_draw(slides):
    drawn = rows(slides("draw", 4, "--seed", 42, "--json"))
    assert len(drawn) == 4
    assert rows(slides("draw", 2, "--seed", 42, "--json")) == drawn[:2]
    assert rows(slides("draw", 4, "--seed", 43, "--json")) != drawn
    each = rows(slides("draw", "--per", "project=2", "--seed", 1, "--json"))
    assert sorted(row["project"] for row in each) == ["TCGA-BRCA"] * 2 + ["TCGA-LUAD"] * 2
    assert len(rows(slides("draw", 3, "--per", "project=2", "--seed", 1, "--search", "tcga", "--json"))) == 3


def test_what_was_listed_is_there_offline(slides, gdc, invoke):
    slides("search")
    gdc.forget()
    again = invoke("slides", "search", "--endpoint", gdc.endpoint, "--offline", "--json")
    assert len(rows(again)) == 9
    assert gdc.requests == []


# -- images, sheet -----------------------------------------------------------------------------------------------------


def test_images(slides, gdc, folder, tmp_path):
    names = [file.file_name for file in gdc.files[:3]]
    lines = slides(
        "images", names[0], names[1].partition(".")[0], gdc.files[2].file_id, "--mpp", 2, "-o", "out"
    )
    table = [line.split("\t") for line in lines.stdout.splitlines()]
    assert table[0] == ["file", "width", "height", "mpp_source", "size"]
    assert [line[0] for line in table[1:]] == [f"{name.removesuffix('.svs')}.2um.png" for name in names]
    for line, at in zip(table[1:], range(3), strict=True):
        with Image.open(tmp_path / "out" / line[0]) as image:
            wanted = open_slide(folder / f"{at}.svs", mpp=2.0)["image"].values
            np.testing.assert_array_equal(np.asarray(image), wanted)
    gdc.forget()
    assert len(rows(slides("images", *names, "--mpp", 2, "-o", "out", "--json"))) == 3
    assert gdc.asked("data") == []  # what was saved is left


def test_one_that_fails_stops_no_other(slides, gdc, tmp_path):
    slides("manifest", "some.tsv", "--search", "luad", "-w", "kind=diagnostic")
    gdc.fail(f"data/{gdc.files[1].file_id}", refuses(), times=None)
    result = slides("images", "some.tsv", "--mpp", 2, "-o", "out", "--json", status=1)
    assert len(json.loads(result.stdout)) == 2
    said = result.stderr
    assert "1 of 3 slides failed" in said
    assert gdc.files[1].file_name.partition(".")[0] in said
    saved = {path.name for path in (tmp_path / "out").iterdir()}
    assert saved == {"index.csv"} | {
        f"{gdc.files[at].file_name.removesuffix('.svs')}.2um.png" for at in (0, 2)
    }
    assert len(pd.read_csv(tmp_path / "out" / "index.csv")) == 2


@pytest.mark.parametrize(
    ("words", "ending"),
    [
        (["--format", "jpeg", "--quality", 70], "jpg"),
        (["--format", "tiff", "--workers", 1], "tif"),
        (["--method", "download", "--drop"], "png"),
        (["--mpp-base", 0.5], "png"),
    ],
)
def test_options_of_images(invoke, folder, tmp_path, words, ending):
    (row,) = rows(invoke("slides", "images", folder / "0.svs", "--mpp", 4, "-o", "out", *words, "--json"))
    assert row["file"] == f"0.4um.{ending}"
    with Image.open(tmp_path / "out" / row["file"]) as image:
        base = 0.5 if "--mpp-base" in words else 0.25
        assert image.size == (row["width"], row["height"])
        assert image.size == pytest.approx((700 * base / 4, 500 * base / 4), abs=1)


def test_slides_that_tell_no_resolution(invoke, folder):
    words = ["images", folder / "no_mpp.svs", "-o", "out", "--json", "--mpp"]
    said = invoke("slides", *words, 4, status=1).stderr
    assert "--mpp-base" in said
    assert "--mpp-from" in said
    assert "mpp_from" not in said
    (row,) = rows(invoke("slides", *words, 4, "--mpp-from", "magnification"))
    assert row["mpp_source"] == "magnification"


def test_finer_than_the_slide(invoke, folder):
    words = ["images", folder / "0.svs", "-o", "out", "--json", "--mpp", 0.2]
    assert "--upsample" in invoke("slides", *words, status=2).stderr
    assert rows(invoke("slides", *words, "--upsample"))[0]["width"] == 875


def test_sheet(slides, invoke, folder, sample_slide, tmp_path):
    slides("manifest", "some.tsv", "--search", "luad", "-w", "kind=diagnostic")
    shown = slides(
        "sheet", "some.tsv", folder / "0.svs", "--mpp", 4, "-o", "sheet.png", "--columns", 2
    ).stdout
    assert shown == "sheet.png\n"
    with Image.open(tmp_path / "sheet.png") as image:
        assert image.width < image.height * 3
        assert np.asarray(image).std() > 10
    invoke("slides", "sheet", sample_slide, "-o", "one.jpg")
    assert (
        "--upsample" in invoke("slides", "sheet", sample_slide, "--mpp", 0.1, "-o", "a.png", status=2).stderr
    )


# -- download ----------------------------------------------------------------------------------------------------------


def test_download(slides, gdc, invoke):
    slides("manifest", "some.tsv", "--search", "luad", "-w", "kind=diagnostic")
    paths = slides("download", "some.tsv").stdout.split()
    assert [Path(path).read_bytes() for path in paths] == [
        file.content for file in sorted(gdc.files[:3], key=lambda file: file.file_id)
    ]
    (path,) = slides("download", gdc.files[1].file_name).stdout.split()
    assert path in paths
    gdc.forget()
    offline = invoke("slides", "download", "some.tsv", "--endpoint", gdc.endpoint, "--offline").stdout.split()
    assert offline == paths
    assert gdc.requests == []


def test_one_download_that_fails_stops_no_other(slides, gdc):
    gdc.fail(f"data/{gdc.files[0].file_id}", refuses(), times=None)
    ids = [file.file_id for file in gdc.files[:2]]
    result = slides("download", *ids, "TCGA-XX-XXXX-01Z-00-DX1", status=1)
    assert "2 of 3 slides failed" in result.stderr
    assert len(result.stdout.split()) == 1


def test_controlled_slides_and_the_token(slides, gdc, tmp_path):
    (tmp_path / "token.txt").write_text(TOKEN + "\n")
    words = [gdc.files[9].file_id, "--access", "any", "--token-file", "token.txt"]
    assert slides("download", *words).stdout.strip()
    (tmp_path / "token.txt").write_text("another-token-that-is-wrong")
    result = slides("download", gdc.files[2].file_id, "--token-file", "token.txt", status=1)
    assert "another-token-that-is-wrong" not in result.output
    assert "none.txt" in slides("download", words[0], "--token-file", "none.txt", status=1).stderr


# -- what goes wrong ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (["search", "-w", "colour=red"], 2, "primary_site"),
        (["search", "-w", "kind=banana"], 2, "diagnostic"),
        (["search", "-w", "nonsense"], 2, "FIELD=VALUE"),
        (["search", "(", "--regex"], 2, "regular expression"),
        (["search", "--manifest", "none.tsv"], 1, "none.tsv"),
        (["search", "--manifest", "bad.tsv"], 1, "bad.tsv"),
        (["search", "-o", "/nonexistent/x.tsv"], 2, "/nonexistent"),
        (["draw", "--seed", "1"], 2, "--per"),
        (["draw", "1000", "--seed", "1"], 2, "1000"),
        (["draw", "3"], 2, "--seed"),
        (["draw", "--per", "project", "--seed", "1"], 2, "FIELD=N"),
        (["draw", "--per", "colour=3", "--seed", "1"], 2, "project"),
        (["images", "TCGA-XX", "--mpp", "2", "-o", "out"], 1, "TCGA-XX"),
        (["images", "none.svs", "--mpp", "2", "-o", "out"], 1, "none.svs"),
        (["images", "bad.svs", "--mpp", "2", "-o", "out"], 1, "bad.svs"),
        (["images", "bad.svs", "--mpp", "0", "-o", "out"], 2, "mpp"),
        (["images", "bad.svs", "--mpp", "nan", "-o", "out"], 2, "--mpp nan is"),
        (["images", "bad.svs", "--mpp", "two", "-o", "out"], 2, "two"),
        (["images", "bad.svs", "--mpp", "2", "-o", "bad.tsv"], 1, "cannot be written"),
        (["sheet", "bad.svs", "-o", "sheet.xyz"], 2, ".png"),
        (["sheet", "bad.svs", "-o", "sheet.png"], 1, "bad.svs"),
        (["download", "none.tsv"], 1, "none.tsv"),
    ],
)
def test_errors_are_a_sentence(slides, tmp_path, words, status, says):
    (tmp_path / "bad.tsv").write_text("this is\tno manifest\n")
    (tmp_path / "bad.svs").write_bytes(b"II*\0" + os.urandom(2000))
    said = slides(*words, status=status).stderr
    assert says in said
    assert "Error: " in said


@pytest.mark.parametrize("package", ["imagecodecs", "PIL"])
def test_missing_extras(invoke, folder, monkeypatch, package):
    for name in [name for name in sys.modules if name.startswith(f"{package}.")]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, package, None)
    said = invoke("slides", "images", folder / "0.svs", "--mpp", 4, "-o", "out", status=1).stderr
    assert "pip install 'intake-tcga[slides]'" in said


def test_no_gdc(invoke):
    assert "offline" in invoke("slides", "search", "--offline", status=1).stderr
    assert "the GDC's address" in invoke("slides", "search", "--endpoint", "nonsense", status=2).stderr
