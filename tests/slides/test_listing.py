"""One listing a data release: asked once, kept, used offline and in outages, never mixed up."""

import gzip
import logging
import os
import time
import warnings

import faulty_server as faults
import pytest
from gdc_server import GdcServer, answers, gdc_slide

from intake_tcga.cache.store import VerifiedFileCache
from intake_tcga.errors import (
    AccessDeniedError,
    IntegrityError,
    LastCopyWarning,
    ManifestError,
    OfflineError,
    TransferError,
)
from intake_tcga.slides.listing import Listing, ListingStore, load_listing
from intake_tcga.slides.query import is_in
from intake_tcga.transfer.budget import Budget

NEXT = "Data Release 44.0 - October 29, 2025"
QUICK = Budget(attempts=2, stall_timeout=0.6, backoff=0.01, longest_wait=0.3)


@pytest.fixture
def gdc():
    with GdcServer([gdc_slide(number) for number in range(12)]) as gdc:
        yield gdc


@pytest.fixture
def cache(tmp_path):
    return VerifiedFileCache(tmp_path / "cache", read_only=[], budget=QUICK, offline=False)


@pytest.fixture
def offline(cache):
    return VerifiedFileCache(cache.root, read_only=[], offline=True)


@pytest.fixture(autouse=True)
def _no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def asked_pages(gdc):
    return len(gdc.asked("files"))


def kept_files(cache):
    return sorted(cache.root.rglob("*.json.gz"))


def test_a_release_is_listed_once(gdc, cache):
    first = load_listing(gdc.endpoint, cache)
    assert (len(first.slides), first.release) == (12, gdc.release)
    assert abs(first.asked - time.time()) < 60
    again = load_listing(gdc.endpoint, cache)
    assert again == first
    assert asked_pages(gdc) == 1
    assert len(kept_files(cache)) == 1
    assert [path for path in cache.root.rglob("*") if path.suffix == ".new"] == []


def test_a_new_release_is_listed_anew_and_the_old_one_stays(gdc, cache, offline):
    old = load_listing(gdc.endpoint, cache)
    gdc.release = NEXT
    gdc.files.append(gdc_slide(99))
    new = load_listing(gdc.endpoint, cache)
    assert (len(new.slides), new.release) == (13, NEXT)
    assert {slide.data_release for slide in new.slides} == {NEXT}
    assert load_listing(gdc.endpoint, offline) == new
    assert ListingStore(gdc.endpoint, [cache.root]).of_release(old.release) == old


def test_offline_the_last_one_is_used_and_nothing_is_asked(gdc, cache, offline, caplog):
    caplog.set_level(logging.INFO, "intake_tcga")
    listing = load_listing(gdc.endpoint, cache)
    gdc.forget()
    assert load_listing(gdc.endpoint, offline) == listing
    assert gdc.requests == []
    assert listing.release in caplog.text


def test_offline_without_one_says_what_to_do(gdc, offline):
    with pytest.raises(OfflineError, match="once with network"):
        load_listing(gdc.endpoint, offline)
    assert gdc.requests == []


def test_a_refresh_asks_again_and_offline_cannot(gdc, cache, offline):
    load_listing(gdc.endpoint, cache)
    gdc.files.pop()
    assert len(load_listing(gdc.endpoint, cache).slides) == 12
    assert len(load_listing(gdc.endpoint, cache, refresh=True).slides) == 11
    assert len(load_listing(gdc.endpoint, cache).slides) == 11
    with pytest.raises(OfflineError, match="refresh=True"):
        load_listing(gdc.endpoint, offline, refresh=True)


@pytest.mark.parametrize("fault", [faults.status(503), faults.silent, faults.drop(0)])
@pytest.mark.parametrize("path", ["status", "files"])
def test_an_outage_is_told_and_the_last_listing_used(gdc, cache, fault, path):
    listing = load_listing(gdc.endpoint, cache)
    gdc.release = NEXT
    gdc.fail(path, fault, times=None)
    with pytest.warns(LastCopyWarning, match=f"cannot be reached.*{listing.release}.*{listing.day}"):
        assert load_listing(gdc.endpoint, cache) == listing


def test_an_outage_without_a_listing_is_an_error(gdc, cache):
    gdc.fail("status", faults.status(500), times=None)
    with pytest.raises(TransferError, match="HTTP 500"):
        load_listing(gdc.endpoint, cache)


def test_a_refusal_is_no_outage(gdc, cache):
    load_listing(gdc.endpoint, cache)
    gdc.fail("status", answers({"message": "no"}, 403), times=None)
    with pytest.raises(AccessDeniedError):
        load_listing(gdc.endpoint, cache)


def test_a_service_that_answers_nonsense_is_told_with_the_way_on(gdc, cache):
    gdc.fail("status", answers(b"<html>login</html>"), times=None)
    with pytest.raises(ManifestError) as caught:
        load_listing(gdc.endpoint, cache)
    assert "offline=True" not in str(caught.value)
    gdc._faults.clear()
    load_listing(gdc.endpoint, cache)
    gdc.fail("status", answers(b"<html>login</html>"), times=None)
    with pytest.raises(ManifestError, match="offline=True uses it"):
        load_listing(gdc.endpoint, cache)


def test_a_release_that_goes_live_meanwhile_keeps_nothing_wrong(gdc, cache):
    def goes_live(reply):
        gdc.release = NEXT
        faults.good(reply)

    gdc.fail("files", goes_live)
    with pytest.raises(IntegrityError, match="changed its data release"):
        load_listing(gdc.endpoint, cache)
    assert kept_files(cache) == []


@pytest.mark.parametrize(
    "damage",
    [
        lambda body: b"",
        lambda body: body[: len(body) // 2],
        lambda body: body[:-9] + b"x" * 9,
        lambda body: b"not gzip at all",
        lambda body: gzip.compress(b"{}"),
        lambda body: gzip.compress(b"[" * 100_000),
        lambda body: gzip.compress(gzip.decompress(body).replace(b'"format": 1', b'"format": 2')),
        lambda body: gzip.compress(gzip.decompress(body).replace(b".svs", b"/svs")),
        lambda body: gzip.compress(gzip.decompress(body).replace(b'"md5"', b'"md6"')),
        lambda body: gzip.compress(gzip.decompress(body).replace(b'"size": [', b'"size": [1, ')),
    ],
)
def test_a_damaged_listing_is_as_if_it_were_not(gdc, cache, offline, damage):
    listing = load_listing(gdc.endpoint, cache)
    (path,) = kept_files(cache)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(OfflineError):
        load_listing(gdc.endpoint, offline)
    assert load_listing(gdc.endpoint, cache).slides == listing.slides
    assert load_listing(gdc.endpoint, offline).slides == listing.slides


def test_a_listing_under_another_releases_name_is_not_that_releases(gdc, cache):
    load_listing(gdc.endpoint, cache)
    (path,) = kept_files(cache)
    gdc.release = NEXT
    load_listing(gdc.endpoint, cache)
    (other,) = set(kept_files(cache)) - {path}
    other.write_bytes(path.read_bytes())
    assert {slide.data_release for slide in load_listing(gdc.endpoint, cache).slides} == {NEXT}
    assert asked_pages(gdc) == 3


def test_listings_of_two_addresses_do_not_mix(gdc, cache, offline):
    load_listing(gdc.endpoint, cache)
    with pytest.raises(OfflineError):
        load_listing(gdc.endpoint + "/v0", offline)


def test_a_read_only_folder_serves_and_is_not_written(gdc, cache, tmp_path):
    listing = load_listing(gdc.endpoint, cache)
    before = sorted((path, path.stat().st_mtime_ns) for path in cache.root.rglob("*"))
    other = VerifiedFileCache(tmp_path / "own", read_only=[cache.root], offline=True)
    assert load_listing(gdc.endpoint, other) == listing
    assert sorted((path, path.stat().st_mtime_ns) for path in cache.root.rglob("*")) == before


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_that_cannot_be_written_is_told(gdc, cache):
    cache.root.mkdir(parents=True)
    cache.root.chmod(0o500)
    with pytest.warns(UserWarning, match="could not be kept"):
        assert len(load_listing(gdc.endpoint, cache).slides) == 12
    cache.root.chmod(0o700)


def test_a_file_in_the_way_is_told(gdc, cache):
    cache.root.mkdir(parents=True)
    (cache.root / "gdc").write_text("in the way")
    with pytest.warns(UserWarning, match="could not be kept.*INTAKE_TCGA_CACHE_DIR"):
        assert len(load_listing(gdc.endpoint, cache).slides) == 12


def test_a_few_are_asked_for_alone_where_no_listing_is_kept(gdc, cache):
    only = is_in("file_id", gdc.files[3].file_id)
    listing = load_listing(gdc.endpoint, cache, only=only)
    assert [slide.file_id for slide in listing.slides] == [gdc.files[3].file_id]
    assert kept_files(cache) == []
    load_listing(gdc.endpoint, cache)
    gdc.forget()
    assert len(load_listing(gdc.endpoint, cache, only=only).slides) == 12
    assert asked_pages(gdc) == 0


def test_thirty_thousand_slides_are_kept_small_and_whole(tmp_path):
    from gdc_server import RELEASE

    from intake_tcga.slides.query import parse_hits

    hits = [gdc_slide(number, body=b"").hit() for number in range(30_000)]
    slides = parse_hits(hits, RELEASE, "u")
    store = ListingStore("https://host", [tmp_path])
    store.keep(Listing(RELEASE, slides, 1.5))
    (path,) = tmp_path.rglob("*.json.gz")
    assert path.stat().st_size < 6_000_000
    assert store.last() == Listing(RELEASE, slides, 1.5)
