"""Commands on cohorts: list, search, info, fetch, path, verify, catalog."""

import json
import warnings

import pytest
import yaml


def test_list(run):
    lines = run("list").stdout.splitlines()
    assert lines[0].split("\t")[:2] == ["cohort", "cancer"]
    cells = [dict(zip(lines[0].split("\t"), line.split("\t"), strict=True)) for line in lines[1:]]
    assert [cell["cohort"] for cell in cells] == ["BRCA", "OV"]
    assert all(int(cell["bytes"]) > 1000 for cell in cells)


def test_list_json(run):
    assert [row["cancer_type"] for row in json.loads(run("list", "--json").stdout)] == ["BRCA", "OV"]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["breast"], ["BRCA_er_status"]),
        (["^ov", "--regex"], ["OV_grade"]),
        (["-w", "cancer_type=OV", "-w", "cancer_type=BRCA"], ["BRCA_er_status", "OV_grade"]),
        (["-w", "n_samples>100000"], []),
        (["-w", "n_samples=1..1e5"], ["BRCA_er_status", "OV_grade"]),
        (["-w", "cancer_type!=OV"], ["BRCA_er_status"]),
        (["-w", "version=1.0", "-w", "cached=no"], ["BRCA_er_status", "OV_grade"]),
        (["-w", "cached=yes"], []),
    ],
)
def test_search(run, words, found):
    assert [row["name"] for row in json.loads(run("search", *words, "--json").stdout)] == found


def test_info(run):
    shown = json.loads(run("info", "BRCA", "--json").stdout)
    assert shown["cancer_name"] == "Breast Invasive Carcinoma"
    assert shown["cached"] is False
    assert "Breast Invasive Carcinoma" in run("info", "BRCA").stdout


def test_verify_finds_damage(run):
    path = run("path", "OV").stdout.strip()
    with open(path, "r+b") as file:
        file.seek(5000)
        file.write(b"damage")
    result = run("verify", status=1)
    assert "sha256" in result.stdout


def test_fetch_path_verify(run, cache_dir):
    fetched = json.loads(run("fetch", "--all", "--json", "-q").stdout)
    assert [row["cohort"] for row in fetched] == ["BRCA", "OV"]
    assert run("path", "OV").stdout.strip() == fetched[1]["path"]
    assert [row["status"] for row in json.loads(run("verify", "--json").stdout)] == ["verified"] * 2


def test_verify_without_a_manifest_hashes_what_is_cached(run, invoke, manifest):
    run("fetch", "--all", "-q")
    manifest.unlink()
    rows = json.loads(invoke("verify", "--json").stdout)
    assert [row["status"] for row in rows] == ["verified"] * 2
    path = json.loads(invoke("cache", "--json").stdout)["files"][0]["path"]
    with open(path, "r+b") as file:
        file.seek(5000)
        file.write(b"damage")
    rows = json.loads(invoke("verify", "--json", status=1).stdout)
    assert [row["status"] for row in rows] == ["damaged", "verified"]
    assert "sha256" in rows[0]["problem"]


def test_all_unknown_cohorts_are_named(run):
    shown = run("fetch", "BRCA", "XX", "YY", status=1).stderr
    assert "XX" in shown
    assert "YY" in shown


def test_a_warning_is_a_sentence(run, monkeypatch):
    from intake_tcga.cohorts import collection

    load = collection.load_manifest

    def load_with_warning(*args, **kwargs):
        warnings.warn("an old copy is used", stacklevel=2)
        return load(*args, **kwargs)

    monkeypatch.setattr(collection, "load_manifest", load_with_warning)
    assert run("list").stderr == "Warning: an old copy is used\n"


def test_cached_is_a_facet(run):
    run("fetch", "OV", "-q")
    assert [row["name"] for row in json.loads(run("search", "-w", "cached=yes", "--json").stdout)] == [
        "OV_grade"
    ]


def test_catalog(run, tmp_path, manifest, monkeypatch):
    import intake

    run("catalog", "-o", str(tmp_path / "c.yaml"))
    assert list(intake.open_catalog(str(tmp_path / "c.yaml")).mirna) == ["BRCA", "OV"]
    monkeypatch.chdir(manifest.parent)
    relative = run("catalog", "-m", "manifest.json")
    assert yaml.safe_load(relative.stdout)["sources"]["mirna"]["args"]["urlpath"] == str(manifest)
    entries = yaml.safe_load(run("catalog", "--entries").stdout)["sources"]
    assert list(entries) == ["BRCA", "OV"]


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (["info", "BRCX"], 1, "BRCA"),
        (["search", "-w", "colour=red"], 2, "cancer_type"),
        (["search", "-w", "nonsense"], 2, "FIELD=VALUE"),
        (["search", "-w", "n_samples>many"], 2, "many"),
        (["search", "-w", "n_samples<10", "-w", "n_samples=5"], 2, "n_samples=LOW..HIGH"),
        (["search", "-w", "n_samples=5", "-w", "n_samples<10"], 2, "n_samples=LOW..HIGH"),
        (["search", "-w", "n_samples>1", "-w", "n_samples<10"], 2, "n_samples=LOW..HIGH"),
        (["search", "(", "--regex"], 2, "regular expression"),
        (["fetch"], 2, "--all"),
        (["list", "-m", ""], 2, "empty"),
        (["list", "--storage-options", "{"], 2, "JSON"),
        (["list", "--storage-options", "[]"], 2, "JSON object"),
        (["list", "--modality", "rnaseq"], 1, "rnaseq"),
        (["catalog", "-o", "/nonexistent/c.yaml"], 1, "--out"),
    ],
)
def test_errors_are_a_sentence(run, words, status, says):
    result = run(*words, status=status)
    assert says in result.stderr


def test_unreachable_manifest(invoke, tmp_path):
    assert "absent.json" in invoke("list", "-m", (tmp_path / "absent.json").as_uri(), status=1).stderr
