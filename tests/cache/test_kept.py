"""What is kept beside a cache's files: bounded, the longest unused out first, and gone when the cache is cleared."""

import os
import time

import pytest
from faulty_server import FaultyServer
from gdc_server import GdcServer, gdc_slide
from hypothesis import given, settings
from hypothesis import strategies as st
from slide_files import write_slide

from intake_tcga.cache import kept
from intake_tcga.cache.blocks import BlockFile
from intake_tcga.cache.store import VerifiedFileCache
from intake_tcga.slides.listing import load_listing
from intake_tcga.slides.opening import open_slide
from intake_tcga.transfer.ranged import RangedFile

SHELF = ".intake-tcga/slides"


@pytest.fixture
def shelf(tmp_path):
    return tmp_path / SHELF


def put(path, size, age=0.0):
    """Write a file that was of use so many seconds ago."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"k" * size)
    os.utime(path, (time.time() - age,) * 2)
    return path


def there(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_the_longest_unused_entries_go_first(shelf):
    put(shelf / "a/0", 40, age=300)
    put(shelf / "a/1", 20, age=100)
    put(shelf / "b/0", 50, age=200)
    put(shelf / "c/0", 10, age=1000)
    kept.make_room(shelf, 120)
    assert there(shelf) == {"a/0", "a/1", "b/0", "c/0"}, "as much as it may"
    kept.make_room(shelf, 119)
    assert there(shelf) == {"a/0", "a/1"}, "c and then b, to leave some room"
    assert not (shelf / "b").exists()
    kept.make_room(shelf, 50)
    assert there(shelf) == {"a/1"}, "of an only entry its oldest files"


def test_an_entry_loses_its_name_last(shelf):
    entry = put(shelf / "a/0", 50, age=10).parent
    kept.name_entry(entry, "a.svs")
    os.utime(entry / "name", (0, 0))
    kept.make_room(shelf, 40)
    assert there(shelf) == {"a/name"}
    kept.name_entry(entry, "b.svs")
    assert kept.kept_names(shelf.parents[1]) == {"a.svs"}


@settings(max_examples=50, deadline=None)
@given(
    files=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 100), st.integers(0, 10_000)), max_size=20),
    most=st.integers(1, 600),
)
def test_never_more_than_it_may_and_never_the_newer_for_the_older(tmp_path_factory, files, most):
    shelf = tmp_path_factory.mktemp("cache") / SHELF
    for at, (entry, size, age) in enumerate(files):
        put(shelf / f"{entry}" / f"{at}", size, 4000 + age)
    kept.make_room(shelf, most)
    left = {int(name.split("/")[1]) for name in there(shelf)}
    total = sum(size for _, size, _ in files)
    assert sum(files[at][1] for at in left) <= most
    if total <= most:
        assert len(left) == len(files)
    newest = {}
    for entry, _, age in files:
        newest[entry] = min(age, newest.get(entry, age))
    whole = {
        entry for entry in newest if all(at in left for at, file in enumerate(files) if file[0] == entry)
    }
    gone = newest.keys() - {files[at][0] for at in left}
    assert all(newest[out] >= newest[stays] for out in gone for stays in whole)


def test_what_is_of_use_stays(shelf):
    old = put(shelf / "a/0", 50, age=10_000)
    put(shelf / "b/0", 50, age=5_000)
    kept.note_use(old)
    kept.make_room(shelf, 60)
    assert there(shelf) == {"a/0"}
    kept.note_use(shelf / "nothing")


def test_writing_makes_room_now_and_then(shelf, monkeypatch):
    monkeypatch.setitem(kept.MOST, SHELF, 1600)
    kept._written.clear()
    put(shelf / "old/0", 2000, age=100)
    kept.note_written(put(shelf / "new/0", 10), 10)
    assert there(shelf) == {"new/0"}, "the first of a process looks"
    put(shelf / "old/0", 2000, age=100)
    kept.note_written(put(shelf / "new/1", 50), 50)
    assert "old/0" in there(shelf), "a little more does not"
    kept.note_written(put(shelf / "new/2", 60), 60)
    assert there(shelf) == {"new/0", "new/1", "new/2"}
    kept._written.clear()
    put(shelf / "old/0", 2000, age=100)
    kept.note_written(put(shelf / "new/3", 10), 10)
    assert "old/0" in there(shelf), "another process looked lately"
    kept.note_written(shelf.parents[1] / "elsewhere/0", 10**9)
    assert there(shelf.parents[1]) >= {f"{SHELF}/old/0"}


def test_blocks_of_files_stay_within_bounds(cache_dir, monkeypatch):
    monkeypatch.setitem(kept.MOST, SHELF, 20_000)
    shelf = cache_dir / SHELF
    kept._written.clear()
    bodies = {f"{at}.svs": bytes([at]) * 9_000 for at in range(6)}
    with FaultyServer(bodies, etags=True) as server:
        for name, body in bodies.items():
            file = BlockFile(RangedFile(server.url(name)), block_size=1000, keep=shelf)
            assert file.read() == body
    held = sum(path.stat().st_size for path in shelf.rglob("*") if path.is_file())
    assert 9_000 <= held <= 20_000 + 20_000 / 16 + 2_000
    assert "5.svs" in kept.kept_names(cache_dir)
    assert kept.kept_beside(cache_dir) == held


def test_clearing_a_cache_removes_what_was_kept(cache_dir, tmp_path):
    paths = [tmp_path / "a.svs", tmp_path / "b.svs"]
    for at, path in enumerate(paths):
        write_slide(path, width=900 + at, height=700)
    cache = VerifiedFileCache(cache_dir)
    with GdcServer([gdc_slide(at, body=path.read_bytes()) for at, path in enumerate(paths, 1)]) as gdc:
        slides = load_listing(gdc.endpoint, cache).slides
        names = [slide.file_name for slide in slides]
        version = slides[0].remote_file(gdc.endpoint).version
        for slide in slides:
            open_slide(slide, endpoint=gdc.endpoint, cache=cache)
        assert kept.kept_names(cache_dir) == set(names)
        cache.clear(version=version)
        assert kept.kept_names(cache_dir) == set(names), "what is kept of slides has no version"
        assert cache.clear(name=names[0]) == []
        assert kept.kept_names(cache_dir) == {names[1]}
        gdc.forget()
        open_slide(slides[0], endpoint=gdc.endpoint, cache=cache)
        assert gdc.asked("data"), "read anew"
        image = open_slide(slides[1], mpp=4.0, method="download", endpoint=gdc.endpoint, cache=cache)
        assert image.sizes["x"] > 0
        assert len(cache.clear(version=version)) == 1
        assert kept.kept_names(cache_dir) == {names[0]}, "what was kept of a file goes with the file"
        assert list((cache_dir / "gdc/listings").rglob("*.json.gz"))
        cache.clear()
        assert kept.kept_beside(cache_dir) == 0
        assert not (cache_dir / "gdc/listings").exists()
