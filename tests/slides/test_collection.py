"""Collections of slides: searched, drawn, read from manifests; lazy, picklable, the same in any order."""

import hashlib
import pickle
import re
import warnings
from dataclasses import replace

import faulty_server as faults
import pytest
from gdc_server import GdcServer, gdc_slide
from hypothesis import given
from hypothesis import strategies as st

from intake_tcga.errors import (
    AmbiguousNameError,
    IntakeTcgaError,
    ManifestError,
    NameNotFoundError,
    OfflineError,
    OptionError,
)
from intake_tcga.slides.access import list_slides, open_slides
from intake_tcga.slides.collection import SlideCollection
from intake_tcga.slides.names import find_slide
from intake_tcga.slides.query import parse_hits
from intake_tcga.slides.slide import Slide

PROJECTS = ["TCGA-LUAD", "TCGA-BRCA", "TCGA-OV"]
SITES = {"TCGA-LUAD": "Bronchus and lung", "TCGA-BRCA": "Breast", "TCGA-OV": "Ovary"}


def gdc_files(count=40):
    for number in range(count):
        project = PROJECTS[number % 3 if number % 7 else 0]
        kind = "tissue" if number % 5 == 0 else "diagnostic"
        sample_type = "Solid Tissue Normal" if number % 11 == 0 else "Primary Tumor"
        access = "controlled" if number == 39 else "open"
        yield gdc_slide(
            number,
            project=project,
            primary_site=SITES[project],
            kind=kind,
            sample_type=sample_type,
            access=access,
            size=1000 * number,
        )


FILES = list(gdc_files())
SLIDES = parse_hits([file.hit() for file in FILES if file.access == "open"], "43", "u")
HELD = SlideCollection(chosen=SLIDES)


@pytest.fixture
def gdc():
    with GdcServer(gdc_files()) as gdc:
        yield gdc


@pytest.fixture
def slides(gdc):
    return SlideCollection(endpoint=gdc.endpoint)


# -- lazy ------------------------------------------------------------------------------------------------------------


def test_nothing_is_asked_until_it_is_needed(gdc, slides):
    assert "not listed yet" in repr(slides)
    assert "not listed yet" in slides._repr_html_()
    assert bool(slides)
    assert slides.cache.root
    pickle.loads(pickle.dumps(slides))
    assert gdc.requests == []
    assert len(slides) == 39
    asked = len(gdc.requests)
    assert repr(slides) == f"<SlideCollection of 39 slides, 741 kB, 3 projects, {gdc.release}>"
    assert slides.releases == (gdc.release,)
    assert len(slides.search(project="TCGA-OV").draw(3, 1)) == 3
    assert len(gdc.requests) == asked


def test_what_was_found_travels_and_needs_no_network(gdc, slides):
    some = slides.search(kind="diagnostic").draw(5, seed=1)
    whole = pickle.dumps(slides)
    gdc.forget()
    for collection in (some, slides):
        there = pickle.loads(pickle.dumps(collection))
        assert list(there) == list(collection)
        assert there == collection
    assert gdc.requests == []
    assert b"_names" not in whole
    assert len(pickle.dumps(some)) < 5000


def test_controlled_slides_are_listed_when_asked_for(gdc):
    numbers = {
        access: len(SlideCollection(endpoint=gdc.endpoint, access=access))
        for access in ("open", "controlled", "any")
    }
    assert numbers == {"open": 39, "controlled": 1, "any": 40}
    with pytest.raises(OptionError, match="access='all'"):
        SlideCollection(access="all")


def test_a_refresh_is_a_new_collection(gdc, slides):
    assert len(slides) == 39
    gdc.files.append(gdc_slide(77))
    assert len(slides.refresh()) == 40
    assert len(slides) == 39


def test_the_environment_tells_the_address(gdc, monkeypatch):
    monkeypatch.setenv("INTAKE_TCGA_GDC_URL", gdc.endpoint)
    assert len(open_slides()) == 39
    assert len(list_slides(project="TCGA-OV", options={"access": "any"})) == len(
        [file for file in FILES if file.project == "TCGA-OV"]
    )


def test_wrong_options_are_told_before_anything_is_asked():
    with pytest.raises(OptionError, match="did you mean 'endpoint'"):
        open_slides(endpont="x")
    with pytest.raises(OptionError, match="cannot be the GDC's address"):
        open_slides(endpoint="ftp://x")


# -- search ----------------------------------------------------------------------------------------------------------


@given(
    st.none() | st.sampled_from([*PROJECTS, "tcga-ov", "x"]) | st.lists(st.sampled_from(PROJECTS)),
    st.none() | st.sampled_from(["diagnostic", "tissue"]),
    st.none() | st.sampled_from(["Primary Tumor", "Solid Tissue Normal"]),
    st.none() | st.integers(0, 40_000),
)
def test_a_search_is_a_plain_filter(project, kind, sample_type, most):
    wanted = {"project": project, "kind": kind, "sample_type": sample_type}
    facets = {name: value for name, value in wanted.items() if value is not None}
    if most is not None:
        facets["size"] = lambda size: size <= most
    naive = [
        slide
        for slide in SLIDES
        if (project is None or slide.project in ([project.upper()] if isinstance(project, str) else project))
        and kind in {None, slide.kind}
        and sample_type in {None, slide.sample_type}
        and (most is None or slide.size <= most)
    ]
    assert list(HELD.search(**facets)) == naive
    stepwise = HELD
    for name, value in facets.items():
        stepwise = stepwise.search(**{name: value})
    assert list(stepwise) == naive


@pytest.mark.parametrize(
    ("text", "facets"),
    [
        ("breast", {}),
        (None, {"primary_site": re.compile("^Brea")}),
        (None, {"project": ["TCGA-BRCA"]}),
        (re.compile("BRCA$"), {}),
        ("tcga-brca", {"access": "open"}),
    ],
)
def test_texts_and_patterns_find_what_facets_do(text, facets):
    found = HELD.search(text, **facets)
    assert len(found) == 11
    assert found.unique("project") == ["TCGA-BRCA"]


@pytest.mark.parametrize(
    ("text", "facets", "message"),
    [
        (None, {"projct": "x"}, "Did you mean project"),
        (None, {"kind": "diagnostics"}, "'diagnostics'; use 'diagnostic' or 'tissue'"),
        (None, {"kind": ["tissue", "frozen"]}, "'frozen'"),
        (None, {"size": lambda size: size > "x"}, "failed on"),
        (7, {}, "cannot be searched for"),
    ],
)
def test_wrong_searches_say_what_is_right(text, facets, message):
    with pytest.raises(OptionError, match=message):
        HELD.search(text, **facets)


# -- draw ------------------------------------------------------------------------------------------------------------


def naive_draw(slides, n, seed):
    """Rank by a hash of seed and id, as the promise is written."""

    def rank(slide):
        return hashlib.blake2b(f"{seed}\0{slide.file_id}".encode(), digest_size=16).digest()

    return sorted(slides, key=rank)[:n]


@given(st.randoms(use_true_random=False), st.integers(0, 39), st.integers(), st.sets(st.integers(0, 38)))
def test_a_draw_depends_on_seed_and_ids_alone(random, n, seed, gone):
    drawn = list(HELD.draw(n, seed))
    assert drawn == naive_draw(SLIDES, n, seed)
    shuffled = SlideCollection(chosen=tuple(random.sample(SLIDES, len(SLIDES))))
    assert list(shuffled.draw(n, seed)) == drawn
    left = tuple(slide for number, slide in enumerate(SLIDES) if number not in gone)
    fewer = SlideCollection(chosen=left).draw(min(n, len(left)), seed)
    assert [slide for slide in drawn if slide in left] == list(fewer)[: len([s for s in drawn if s in left])]


@given(
    st.integers(0, 20), st.integers(), st.sampled_from(["project", "kind", "primary_site", "disease_type"])
)
def test_strata_are_drawn_one_by_one(n, seed, column):
    drawn = HELD.draw(seed=seed, per=(column, n))
    groups = sorted({getattr(slide, column) for slide in SLIDES})
    naive = [naive_draw([s for s in SLIDES if getattr(s, column) == group], n, seed) for group in groups]
    assert list(drawn) == [slide for group in naive for slide in group]


def test_strata_and_a_number_in_all():
    strata = HELD.draw(seed=3, per=("project", 4))
    assert list(HELD.draw(5, 3, per=("project", 4))) == naive_draw(list(strata), 5, 3)
    with pytest.raises(OptionError, match="n=13 cannot be drawn from 12"):
        HELD.draw(13, 3, per=("project", 4))


def test_unknown_fields_are_a_group_of_their_own():
    unknown = tuple(replace(slide, project=None) for slide in SLIDES[:5])
    assert (
        len(SlideCollection(chosen=SLIDES + unknown[:0] + SLIDES[:0]).draw(seed=1, per=("project", 1))) == 3
    )
    assert len(SlideCollection(chosen=SLIDES[5:] + unknown).draw(seed=1, per=("project", 1))) == 4


@pytest.mark.parametrize(
    "wrong",
    [
        {"n": 3},
        {"seed": 3},
        {},
        {"n": 100, "seed": 1},
        {"n": -1, "seed": 1},
        {"n": 2.0, "seed": 1},
        {"n": 2, "seed": "x"},
        {"seed": 1, "per": "project"},
        {"seed": 1, "per": ("projekt", 2)},
        {"seed": 1, "per": ("project", -2)},
        {"seed": 1, "per": ("project", "2")},
        {"seed": 1, "per": (["project"], 2)},
    ],
)
def test_impossible_draws_are_refused(wrong):
    with pytest.raises(OptionError):
        HELD.draw(**wrong)


def test_the_services_order_changes_nothing(gdc):
    first = SlideCollection(endpoint=gdc.endpoint).draw(10, 42)
    gdc.files.reverse()
    assert list(SlideCollection(endpoint=gdc.endpoint).refresh().draw(10, 42)) == list(first)


# -- one of them -----------------------------------------------------------------------------------------------------


def test_a_slide_is_found_by_any_of_its_names():
    slide = SLIDES[7]
    for name in (
        slide.barcode,
        slide.file_name,
        slide.file_id,
        slide.barcode.lower(),
        f" {slide.file_id.upper()} ",
    ):
        assert HELD[name] is slide
        assert name in HELD
    assert slide in HELD
    assert replace(slide, size=1) not in HELD
    assert 7 not in HELD


def test_a_name_that_nothing_has_shows_the_nearest():
    slide = SLIDES[7]
    with pytest.raises(NameNotFoundError, match=f"The nearest: {slide.barcode}"):
        HELD[slide.barcode[:-1] + "9"]
    with pytest.raises(NameNotFoundError, match="no slide 'x' in this collection"):
        HELD["x"]
    with pytest.raises(NameNotFoundError) as caught:
        HELD["y" * 100_000]
    assert len(str(caught.value)) < 500


def test_a_barcode_of_two_files_is_ambiguous():
    slide = SLIDES[7]
    twin = replace(slide, file_id=SLIDES[7].file_id[:-4] + "0000", file_name=f"{slide.barcode}.OTHER.svs")
    both = SlideCollection(chosen=(slide, twin))
    with pytest.raises(AmbiguousNameError, match=r"OTHER\.svs"):
        both[slide.barcode]
    assert both[twin.file_name] is twin


def test_one_slide_by_name_costs_two_small_requests(gdc):
    cache = SlideCollection(endpoint=gdc.endpoint).cache
    for file in gdc.files[:3]:
        barcode = file.file_name.partition(".")[0]
        for name in (file.file_id, file.file_name, barcode, barcode.lower(), file.file_id.upper()):
            gdc.forget()
            assert find_slide(name, gdc.endpoint, cache).file_id == file.file_id
            assert len(gdc.requests) == 2
            assert gdc.sent < 2000
    for name in ("nothing", "TCGA-99-9999-01Z-00-DX1", "00000000-0000-0000-0000-000000000000", "../../x", ""):
        with pytest.raises(NameNotFoundError, match="TCGA's slides at the GDC"):
            find_slide(name, gdc.endpoint, cache)


# -- manifests -------------------------------------------------------------------------------------------------------


def test_a_manifest_comes_back_with_all_that_the_gdc_lists(gdc, slides, tmp_path):
    some = slides.draw(6, seed=2)
    path = some.to_manifest(tmp_path / "manifest.txt")
    gdc.forget()
    again = open_slides(path, endpoint=gdc.endpoint)
    assert "6 slides of a manifest" in repr(again)
    assert gdc.requests == []
    assert list(again) == list(some)


def test_without_a_kept_listing_the_manifests_slides_alone_are_asked_for(gdc, tmp_path):
    held = SlideCollection(endpoint=gdc.endpoint, chosen=SLIDES[:4])
    again = held.from_manifest(held.to_manifest(tmp_path / "m.txt"))
    assert [slide.project for slide in again] == [slide.project for slide in SLIDES[:4]]
    assert [request.name for request in gdc.requests] == ["status", "files"]
    assert gdc.sent < 5000


def test_ids_that_are_gone_are_found_by_file_name(gdc, slides, tmp_path):
    path = slides.to_manifest(tmp_path / "m.txt")
    old = slides[gdc.files[0].file_name]
    gdc.release = "Data Release 44.0 - October 29, 2025"
    gdc.files = [replace(file) for file in gdc_files()]
    gdc.files[0].file_id = gdc_slide(0, renewed=1).file_id
    gdc.files[1].file_id = gdc_slide(1, renewed=1).file_id
    gdc.files[1].body = b"scanned again"
    del gdc.files[2]
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        now = slides.from_manifest(path)
        moved, changed, gone = now[FILES[0].file_name], now[FILES[1].file_name], now[FILES[2].file_name]
    assert moved == replace(old, file_id=gdc.files[0].file_id, data_release=gdc.release)
    assert changed.md5 == gdc.files[1].digest
    assert (gone.file_id, gone.project, gone.data_release) == (FILES[2].file_id, None, None)
    assert len(now) == 39
    texts = sorted(str(one.message) for one in told)
    assert len(texts) == 3
    for text, part, name in zip(
        texts,
        ["not among TCGA's slides", "other ids and other bytes", "the files are the same"],
        [FILES[2].file_name, FILES[1].file_name, FILES[0].file_name],
        strict=True,
    ):
        assert part in text
        assert name in text


def test_a_manifests_own_digest_holds(gdc, slides, tmp_path):
    path = slides.to_manifest(tmp_path / "m.txt")
    slide = slides[FILES[3].file_name]
    path.write_text(path.read_text().replace(slide.md5, "f" * 32))
    assert slides.from_manifest(path)[slide.file_id].md5 == "f" * 32


def test_offline_a_manifest_alone_is_enough(slides, gdc, tmp_path):
    path = SlideCollection(chosen=SLIDES).to_manifest(tmp_path / "m.txt")
    alone = open_slides(path, endpoint=gdc.endpoint, offline=True)
    assert [slide.file_id for slide in alone] == [slide.file_id for slide in SLIDES]
    assert alone.unique("kind") == ["diagnostic", "tissue"]
    assert alone.releases == ()
    assert gdc.requests == []


def test_in_an_outage_a_manifest_alone_is_used_and_that_is_told(gdc, tmp_path, monkeypatch):
    from intake_tcga.transfer.budget import Budget

    monkeypatch.setattr("intake_tcga.cache.store.Budget", lambda: Budget(attempts=1))
    path = SlideCollection(chosen=SLIDES[:2]).to_manifest(tmp_path / "m.txt")
    gdc.fail("status", faults.status(500), times=None)
    with pytest.warns(UserWarning, match="cannot be asked about the manifest's slides"):
        assert len(open_slides(path, endpoint=gdc.endpoint)) == 2


def test_a_wrong_manifest_is_told_at_once(tmp_path):
    (tmp_path / "m.txt").write_text("hello")
    with pytest.raises(ManifestError):
        open_slides(tmp_path / "m.txt")


# -- as a table ------------------------------------------------------------------------------------------------------


def test_the_table_has_a_row_a_slide():
    frame = HELD.df
    assert frame["file_id"].tolist() == [slide.file_id for slide in SLIDES]
    assert str(frame["size"].dtype) == "int64"
    assert HELD.unique("project") == sorted(PROJECTS)
    assert set(HELD.unique()) == set(frame.columns)
    with pytest.raises(OptionError, match="Did you mean kind"):
        HELD.unique("kinds")
    empty = HELD.search("no such thing")
    assert len(empty.df) == 0
    assert list(empty.df.columns) == list(frame.columns)
    assert empty.text() == "no slides"
    assert repr(empty) == "<SlideCollection of 0 slides, 0 B, 0 projects>"


def test_what_is_shown_is_short_and_escaped():
    evil = replace(SLIDES[0], primary_site="<script>alert(1)</script>")
    page = SlideCollection(chosen=(evil, *SLIDES[1:]))._repr_html_()
    assert "<script>" not in page
    assert "… and 19 more" in page
    assert page.count("<tr>") == 21
    lines = HELD.text(width=80).splitlines()
    assert lines[0].split() == ["slide", "project", "kind", "sample", "site", "size"]
    assert max(map(len, lines)) <= 80
    assert lines[-1] == "… and 19 more"


def test_offline_without_anything_kept_is_told(gdc):
    with pytest.raises(OfflineError):
        list(SlideCollection(endpoint=gdc.endpoint, offline=True))
    assert gdc.requests == []


def test_errors_are_ours_and_pickle(gdc):
    gdc.fail("status", faults.not_found)
    with pytest.raises(IntakeTcgaError) as caught:
        list(SlideCollection(endpoint=gdc.endpoint))
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


@pytest.mark.parametrize("wrong", [0, None, ["a"]])
def test_what_is_no_slide_and_no_manifest(wrong):
    with pytest.raises(OptionError, match="is no slide; give a barcode"):
        SlideCollection(chosen=()).open(wrong)
    with pytest.raises(OptionError, match="is no manifest; give the path"):
        SlideCollection().from_manifest(wrong)


@pytest.mark.parametrize("wanted", ["< 1e6", ("<", 1e6), (1, 999_999), "..999999", lambda size: size < 1e6])
def test_sizes_are_compared_in_every_form(wanted):
    slides = SlideCollection(
        chosen=tuple(
            Slide(
                f"3b6a3f5e-8a4c-4c53-9a52-00000000000{n}", f"TCGA-EY-A1H{n}-01Z-00-DX1.B.svs", size, "0" * 32
            )
            for n, size in enumerate([500, 2_000_000, 999_999])
        )
    )
    assert [slide.size for slide in slides.search(size=wanted)] == [500, 999_999]
    assert len(slides.search(kind="!= tissue")) == 3
    with pytest.raises(OptionError, match="case is 'TCGA-EY-A1H0'"):
        slides.search(case=wanted if not callable(wanted) else "> 3")
    with pytest.raises(OptionError, match="no kind"):
        slides.search(kind="!= wood")
