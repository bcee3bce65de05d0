"""Questions to the GDC and what its answers become, hostile ones included."""

import json

import faulty_server as faults
import pytest
from gdc_server import GdcServer, answers, changes, gdc_slide
from hypothesis import given
from hypothesis import strategies as st

from intake_tcga.errors import IntakeTcgaError, IntegrityError, ManifestError, OfflineError, TransferError
from intake_tcga.slides import query
from intake_tcga.slides.query import (
    FIELDS,
    TCGA_SLIDES,
    ask_release,
    ask_slides,
    either,
    every,
    is_in,
    page_query,
    parse_hit,
    parse_hits,
)
from intake_tcga.transfer.budget import Budget

QUICK = Budget(attempts=3, stall_timeout=0.6, backoff=0.01, longest_wait=0.3)
HIT = gdc_slide(1).hit()


@pytest.fixture
def gdc():
    files = [gdc_slide(number, project=["TCGA-LUAD", "TCGA-BRCA"][number % 2]) for number in range(23)]
    files += [
        gdc_slide(100, kind="tissue", sample_type="Solid Tissue Normal"),
        gdc_slide(101, project="CPTAC-3"),
    ]
    with GdcServer(files) as gdc:
        yield gdc


def asked(gdc, **options):
    return ask_slides(gdc.endpoint, "43", budget=QUICK, **options)


def test_filters_are_the_gdcs_own():
    assert every(is_in("a", "1"), either(is_in("b", "2", "3"))) == {
        "op": "and",
        "content": [
            {"op": "in", "content": {"field": "a", "value": ["1"]}},
            {"op": "or", "content": [{"op": "in", "content": {"field": "b", "value": ["2", "3"]}}]},
        ],
    }


def test_every_page_is_sorted_and_asks_for_little():
    page = page_query(TCGA_SLIDES, start=4000)
    assert (page["sort"], page["from"], page["size"]) == ("file_id:asc", 4000, 2000)
    assert page["fields"].split(",") == list(FIELDS)
    json.dumps(page)


def test_a_slide_is_what_the_gdc_says(gdc):
    slide = next(slide for slide in asked(gdc) if slide.kind == "tissue")
    file = next(file for file in gdc.files if file.strategy == "Tissue Slide")
    assert (slide.file_id, slide.file_name, slide.size, slide.md5) == (
        file.file_id,
        file.file_name,
        file.length,
        file.digest,
    )
    assert (slide.project, slide.case, slide.sample_type) == ("TCGA-LUAD", file.case, "Solid Tissue Normal")
    assert (slide.primary_site, slide.access, slide.state, slide.data_release) == (
        "Bronchus and lung",
        "open",
        "released",
        "43",
    )


@pytest.mark.parametrize("page", [1, 3, 4, 8, 24, 100])
def test_pages_make_up_the_whole_whatever_their_size(gdc, monkeypatch, page):
    monkeypatch.setattr(
        query, "page_query", lambda filters, *, start: page_query(filters, start=start, size=page)
    )
    gdc.latency = 0.05
    slides = asked(gdc)
    wanted = sorted(file.file_id for file in gdc.files if file.project != "CPTAC-3")
    assert [slide.file_id for slide in slides] == wanted
    assert len(gdc.requests) == -(-24 // page)
    assert gdc.busiest <= 4
    assert (gdc.busiest > 1) == (page <= 8)


def test_a_service_may_give_smaller_pages_than_asked_for(gdc):
    gdc.largest_page = 5
    assert len(asked(gdc)) == 24
    assert len(gdc.requests) == 5


def test_filters_are_applied_there(gdc):
    slides = asked(gdc, filters=every(TCGA_SLIDES, is_in("cases.project.project_id", "TCGA-BRCA")))
    assert {slide.project for slide in slides} == {"TCGA-BRCA"}
    assert asked(gdc, filters=is_in("file_id", "none")) == ()


@pytest.mark.parametrize(
    "fault", [faults.status(500), faults.drop(0.5), faults.stall, faults.status(429, "0")]
)
def test_bad_moments_are_waited_for(gdc, fault):
    gdc.largest_page = 10
    gdc.fail("files", fault, times=2)
    assert len(asked(gdc)) == 24


def test_pages_that_moved_are_asked_for_once_more(gdc):
    gdc.largest_page = 10

    def shrinks(document):
        document["data"]["pagination"]["total"] -= 1
        return document

    gdc.fail("files", changes(shrinks))
    assert len(asked(gdc)) == 24


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data["pagination"].update(total=25),
        lambda data: data["pagination"].update(total=3),
        lambda data: data.update(hits=[]),
        lambda data: data.update(hits=data["hits"][:1] * len(data["hits"])),
        lambda data: data["hits"].pop() and data["pagination"].update(total=24),
    ],
)
def test_pages_that_do_not_make_up_the_whole_are_refused(gdc, change):
    gdc.largest_page = 12

    def changed(document):
        change(document["data"])
        return document

    gdc.fail("files", faults.good)
    gdc.fail("files", changes(changed), times=None)
    with pytest.raises(IntegrityError, match="slides"):
        asked(gdc)
    assert len(gdc.requests) < 60


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"<html>Please log in</html>", "does not answer in JSON"),
        (b"[" * 100_000, "does not answer in JSON"),
        (b"\xff\xfe", "does not answer in JSON"),
        ([], "does not answer in JSON"),
        ({}, "page of files"),
        ({"data": []}, "page of files"),
        ({"data": {"hits": []}}, "page of files"),
        ({"data": {"hits": {}, "pagination": {"total": 1}}}, "page of files"),
        ({"data": {"hits": [], "pagination": {"total": "1"}}}, "page of files"),
        ({"data": {"hits": [], "pagination": {"total": True}}}, "page of files"),
        ({"data": {"hits": [], "pagination": {"total": -1}}}, "page of files"),
        ({"data": {"hits": [], "pagination": {"total": 10**18}}}, "announces 1,000,000,000"),
        ({"data": {"hits": [3], "pagination": {"total": 1}}}, "it is a int, not an object"),
    ],
)
def test_what_is_no_answer_of_the_gdc_is_told(gdc, answer, message):
    gdc.fail("files", answers(answer), times=None)
    with pytest.raises(ManifestError, match=message):
        asked(gdc)


def test_a_huge_answer_is_not_read(gdc, monkeypatch):
    monkeypatch.setattr(query, "_LARGEST_PAGE", 10_000)
    gdc.fail("files", faults.endless, times=None)
    with pytest.raises(IntegrityError, match="10,000"):
        asked(gdc)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("file_id", "../../x", "not the id of a file"),
        ("file_id", None, "has no file_id"),
        ("file_id", 7, "is a int, not a text"),
        ("file_name", "../x.svs", "path separator"),
        ("file_name", "a\u202eb.svs", "printed"),
        ("file_name", "x" * 400, "longer"),
        ("file_size", "12", "not a number of bytes"),
        ("file_size", True, "not a number of bytes"),
        ("file_size", -5, "cannot have -5 bytes"),
        ("file_size", 1e300, "not a number of bytes"),
        ("md5sum", "abc", "not a md5 digest"),
        ("md5sum", None, "has no md5sum"),
        ("access", ["open", "x"], None),
        ("state", "\x1b[31mreleased", "printed"),
        ("cases", "none", None),
        ("cases", [{"project": {"project_id": "../../evil"}}], "not the name of one"),
        ("cases", [{"primary_site": {"a": 1}}], "is a dict"),
        ("cases", [], None),
        ("cases", None, None),
    ],
)
def test_fields_that_are_not_what_they_should_be(field, value, message):
    hit = {**HIT, field: value}
    if message is None:
        assert parse_hit(hit, "43").file_id == HIT["file_id"]
        return
    with pytest.raises(ManifestError, match=message) as caught:
        parse_hits([HIT, hit], "43", "https://host/files")
    assert "1 of 2 slides" in str(caught.value)
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_all_problems_are_told_at_once_but_no_thousands():
    with pytest.raises(ManifestError) as caught:
        parse_hits([{**HIT, "md5sum": str(n)} for n in range(2000)], "43", "u")
    assert str(caught.value).count("\n") == 11
    assert "… and 1,990 more" in str(caught.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*HIT, "x"]), inner, max_size=4)
    ),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from(list(HIT)), JSON))
def test_any_document_is_a_slide_or_a_manifest_error(changed):
    try:
        (slide,) = parse_hits([{**HIT, **changed}], "43", "u")
    except ManifestError:
        return
    assert "/" not in slide.file_name


def test_the_release_is_told(gdc):
    assert ask_release(gdc.endpoint) == gdc.release


@pytest.mark.parametrize("answer", [b"<html>", {}, {"data_release": 43}, {"data_release": "a\nb"}, []])
def test_an_address_that_tells_no_release_is_not_the_gdcs(gdc, answer):
    gdc.fail("status", answers(answer))
    with pytest.raises(ManifestError, match="GDC's address"):
        ask_release(gdc.endpoint)


def test_warnings_of_the_service_are_passed_on(gdc):
    gdc.warnings = {"fields": "unrecognized values: [md5]"}
    with pytest.warns(UserWarning, match="unrecognized values"):
        asked(gdc)


def test_offline_nothing_is_asked(gdc):
    for ask in (lambda: asked(gdc, offline=True), lambda: ask_release(gdc.endpoint, offline=True)):
        with pytest.raises(OfflineError):
            ask()
    assert gdc.requests == []


def test_a_server_that_is_gone_is_an_error_of_ours():
    with GdcServer() as gdc:
        endpoint = gdc.endpoint
    with pytest.raises(TransferError) as caught:
        ask_slides(endpoint, "43", budget=QUICK)
    assert isinstance(caught.value, IntakeTcgaError)
