"""What is in the cache, whichever source it is of, and out with it."""

import json
import os

import pytest
from archs4_files import write_archs4
from faulty_server import FaultyServer
from gdc_server import GdcServer, gdc_slide


def test_cohorts(run, invoke, cache_dir):
    paths = [row["path"] for row in json.loads(run("fetch", "--all", "--json", "-q").stdout)]
    kept = json.loads(invoke("cache", "--json").stdout)
    assert kept["cache_dir"] == str(cache_dir)
    assert len(kept["files"]) == 2
    assert json.loads(invoke("clear", "--yes", "--json", "--name", "OV_grade.h5").stdout) == [paths[1]]
    assert not os.path.exists(paths[1])
    assert json.loads(run("verify", "OV", "--json").stdout)[0]["status"] == "not cached"


def test_clear_takes_what_other_commands_take(run, invoke):
    run("fetch", "--all", "-q")
    assert "BRCA_er_status.h5" in invoke("clear", "--name", "KIRC", "-y", status=1).stderr
    assert len(json.loads(invoke("clear", "--name", "OV", "-y", "--json").stdout)) == 1


def test_clear_asks_first(run, invoke):
    run("fetch", "OV", "-q")
    invoke("clear", input="n\n", status=1)
    assert run("path", "OV", "--offline").stdout.strip()


@pytest.fixture
def all_sources(run, invoke, tmp_path):
    """Fetch a file of each source; return their paths."""
    cohort = run("path", "OV").stdout.strip()
    made_up = write_archs4(tmp_path / "made_up.h5").read_bytes()
    with FaultyServer({"made_up.h5": made_up}) as server:
        archs4 = invoke("archs4", "download", server.url("made_up.h5")).stdout.strip()
    file = gdc_slide(1)
    with GdcServer([file]) as gdc:
        slide = invoke("slides", "download", file.file_id, "--endpoint", gdc.endpoint).stdout.strip()
    return cohort, archs4, slide


def test_all_sources_are_listed_verified_and_removed(all_sources, invoke, cache_dir):
    kept = json.loads(invoke("cache", "--json").stdout)["files"]
    assert sorted(row["path"] for row in kept) == sorted(all_sources)
    names = {row["file"].rpartition("/")[2] for row in kept}
    assert {"OV_grade.h5", "made_up.h5"} < names
    assert all(row["verified"] for row in kept)
    shown = invoke("cache").stdout
    assert all(path in shown for path in all_sources)
    assert "3 files" in shown
    assert [row["status"] for row in json.loads(invoke("verify", "--json").stdout)] == ["verified"] * 3
    assert sorted(json.loads(invoke("clear", "-y", "--json").stdout)) == sorted(all_sources)
    assert json.loads(invoke("cache", "--json").stdout)["files"] == []
    assert not [path for path in cache_dir.rglob("*") if path.suffix in {".h5", ".svs"}]


@pytest.mark.parametrize("name", ["OV", "made_up", "TCGA-01-0001-01Z-00-DX1"])
def test_each_answers_to_its_name(all_sources, invoke, name):
    (gone,) = json.loads(invoke("clear", "-y", "--json", "--name", name).stdout)
    assert gone in all_sources
    assert f"/{name}" in gone
    assert not os.path.exists(gone)


def test_what_was_kept_of_files_elsewhere_goes_too(invoke, tmp_path):
    made_up = write_archs4(tmp_path / "made_up.h5", n_samples=50)
    os.utime(made_up, (1e9, 1e9))
    with FaultyServer({"made_up.h5": made_up.read_bytes()}) as server:
        found = invoke("archs4", "search", server.url("made_up.h5"), "a", "--json").stdout
        assert len(json.loads(found)) > 0
    assert json.loads(invoke("cache", "--json").stdout)["kept_beside"] > 0
    assert "kB kept beside" in invoke("cache").stdout
    assert "made_up.h5" in invoke("clear", "-y", "--name", "other", status=1).stderr
    assert "0 files removed" in invoke("clear", "-y", "--name", "made_up").stdout
    assert "made_up.h5" not in invoke("clear", "-y", "--name", "other", status=1).stderr
    assert "0 files removed" in invoke("clear", "-y").stdout
    assert json.loads(invoke("cache", "--json").stdout)["kept_beside"] == 0


def test_damage_is_found_in_any_source(all_sources, invoke):
    with open(all_sources[2], "r+b") as file:
        file.write(b"?")
    rows = json.loads(invoke("verify", "--json", status=1).stdout)
    assert [row["status"] for row in rows].count("damaged") == 1
