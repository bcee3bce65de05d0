"""Manifests that gdc-client writes and reads, and those that nobody should."""

import csv

import pytest
from gdc_server import GdcServer, gdc_slide
from hypothesis import given
from hypothesis import strategies as st

from intake_tcga.errors import IntakeTcgaError, ManifestError, MissingFileError, OfflineError, OptionError
from intake_tcga.slides.manifest_tsv import manifest_text, parse_manifest, read_manifest, write_manifest
from intake_tcga.slides.slide import Slide

ID = "3b6a3f5e-8a4c-4c53-9a52-0a2b3c4d5e6f"
MD5 = "d41d8cd98f00b204e9800998ecf8427e"
HEAD = "id\tfilename\tmd5\tsize\tstate\n"
LINE = f"{ID}\tTCGA-EY-A1H0-01Z-00-DX1.B.svs\t{MD5}\t74\treleased\n"


def parsed(text):
    return parse_manifest(text.encode())


def test_the_services_own_manifest_is_read(tmp_path):
    with GdcServer([gdc_slide(1), gdc_slide(2)]) as gdc:
        ids = ",".join(file.file_id for file in gdc.files)
        slides = read_manifest(gdc.url(f"manifest/{ids}"))
        with pytest.raises(OfflineError):
            read_manifest(gdc.url(f"manifest/{ids}"), offline=True)
        expected = "".join(file.manifest_line() + "\n" for file in gdc.files)
    assert [slide.file_id for slide in slides] == ids.split(",")
    assert manifest_text(slides) == HEAD + expected


def test_what_is_written_is_what_gdc_client_reads(tmp_path):
    slides = parsed(HEAD + LINE)
    path = write_manifest(slides, tmp_path / "manifest.txt")
    with path.open(newline="") as file:  # gdc-client reads it so
        (row,) = csv.DictReader(file, delimiter="\t")
    assert row == {
        "id": ID,
        "filename": slides[0].file_name,
        "md5": MD5,
        "size": "74",
        "state": "released",
    }
    assert read_manifest(path) == slides
    assert [entry.name for entry in tmp_path.iterdir()] == ["manifest.txt"]


@given(
    st.lists(
        st.tuples(st.uuids(), st.integers(0, 10**14), st.sampled_from(["released", "validated", None])),
        unique_by=lambda line: line[0],
        max_size=20,
    )
)
def test_a_round_trip_changes_nothing(lines):
    slides = [
        Slide(
            file_id=str(uid),
            file_name=f"TCGA-{n}.{uid}.svs",
            size=size,
            md5=uid.hex,
            state=state or "released",
        )
        for n, (uid, size, state) in enumerate(lines)
    ]
    assert list(parsed(manifest_text(slides))) == slides


@pytest.mark.parametrize(
    "text",
    [
        (HEAD + LINE).replace("\n", "\r\n"),
        "\ufeff" + HEAD + LINE,
        HEAD + "\n" + LINE + "\n\n",
        HEAD.replace("\tstate", "") + LINE.replace("\treleased", ""),
        HEAD.replace("\n", "\tacl\n") + LINE.replace("\n", "\topen\n"),
        HEAD + LINE.replace(MD5, MD5.upper()).replace(ID, ID.upper()),
        (HEAD + LINE).rstrip(),
    ],
)
def test_what_other_programs_write_is_read(text):
    (slide,) = parsed(text)
    assert (slide.file_id, slide.size, slide.md5, slide.kind) == (ID, 74, MD5, "diagnostic")


def test_columns_may_be_in_any_order():
    text = "state\tsize\tfilename\tid\tmd5\nreleased\t74\ta.svs\t" + f"{ID}\t{MD5}\n"
    assert parsed(text)[0].file_name == "a.svs"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no id, filename, md5, size"),
        ("<html>", "no id"),
        ("id\tfilename\tsize\n", "no md5"),
        (HEAD + "a\tb\n", "line 2: it has 2 fields"),
        (HEAD + LINE.replace(ID, "../x"), "not the id of a file"),
        (HEAD + LINE.replace("TCGA-EY", "../TCGA"), "path separator"),
        (HEAD + LINE.replace("TCGA-EY", "..%2fTCGA"), "path separator"),
        (HEAD + LINE.replace("TCGA-EY", "a:TCGA"), "otherwise"),
        (HEAD + LINE.replace("TCGA-EY-A1H0-01Z-00-DX1.B.svs", ""), "is empty"),
        (HEAD + LINE.replace("TCGA-EY-A1H0-01Z-00-DX1.B.svs", "CON"), "reserved"),
        (HEAD + LINE.replace("TCGA-EY", "a\u2028b"), "line 2"),
        (HEAD + LINE.replace(MD5, "x"), "not a md5 digest"),
        (HEAD + LINE.replace(MD5, ""), "not a md5 digest"),
        (HEAD + LINE.replace("\t74\t", "\t-1\t"), "size '-1'"),
        (HEAD + LINE.replace("\t74\t", "\t7.4e1\t"), "size '7.4e1'"),
        (HEAD + LINE.replace("\t74\t", "\t" + "9" * 5000 + "\t"), "size '9999"),
        (HEAD + LINE.replace("\t74\t", "\t٧٤\t"), "size"),
        (HEAD + LINE.replace("released", "<script>"), "state"),
        (HEAD + LINE + LINE, "line 3: its id .* also that of line 2"),
        (HEAD + LINE + LINE.replace("3b6a", "3b6b"), "line 3: its filename .* also that of line 2"),
    ],
)
def test_what_is_wrong_is_told(text, problem):
    with pytest.raises(ManifestError, match=problem):
        parsed(text)


def test_all_problems_are_told_at_once():
    text = HEAD + LINE.replace(MD5, "x") + LINE.replace("\t74\t", "\tmany\t") + "z" * 100_000 + "\n"
    with pytest.raises(ManifestError) as caught:
        parsed(text)
    assert [f"line {n}:" in str(caught.value) for n in (2, 3, 4)] == [True] * 3
    with pytest.raises(ManifestError, match="… and 980 more") as caught:
        parsed(HEAD + "a\n" * 1000)
    assert len(str(caught.value)) < 3000


@pytest.mark.parametrize("body", [b"\xff\xfe\x00", b"\0" * 100, HEAD.encode("utf-16")])
def test_what_is_no_text_is_told(body):
    with pytest.raises(ManifestError):
        parse_manifest(body)


@given(st.text(alphabet=st.sampled_from("\t\n\r\x0b\u2028/.a1" + ID[:9]), max_size=60))
def test_any_text_is_slides_or_a_manifest_error(text):
    try:
        slides = parsed(HEAD + text)
    except ManifestError:
        return
    assert slides == ()


def test_a_huge_file_is_not_read(tmp_path, monkeypatch):
    from intake_tcga.slides import manifest_tsv

    monkeypatch.setattr(manifest_tsv, "_LARGEST", 1000)
    (tmp_path / "m.txt").write_bytes(b"x" * 1001)
    with pytest.raises(ManifestError, match="1,000"):
        read_manifest(tmp_path / "m.txt")


def test_files_that_are_not_there_and_places_that_cannot_be_written(tmp_path):
    with pytest.raises(MissingFileError, match=r"none\.txt"):
        read_manifest(tmp_path / "none.txt")
    with pytest.raises(IntakeTcgaError):
        read_manifest(tmp_path)
    with pytest.raises(OptionError, match="cannot be written"):
        write_manifest([], tmp_path / "no-such-folder" / "m.txt")
    with pytest.raises(OptionError, match="cannot be written"):
        write_manifest([], tmp_path)
    assert list(tmp_path.iterdir()) == []
