"""The command line, as a user types it."""

import json
import os
import subprocess
import sys
import warnings

import pytest
import yaml
from click.testing import CliRunner
from cohort_files import write_mirna
from manifests import manifest_for

from intake_tcga.cli import main


@pytest.fixture
def manifest(tmp_path):
    folder = tmp_path / "bundle"
    folder.mkdir()
    for name in ("BRCA_er_status", "OV_grade"):
        write_mirna(folder / f"{name}.h5")
    return manifest_for(folder)


@pytest.fixture
def run(manifest, tmp_path, monkeypatch):
    """Return a function that runs a command on the manifest and returns its result."""
    monkeypatch.chdir(tmp_path)

    def run(*words, status=0, with_manifest=True):
        with_manifest = with_manifest and "-m" not in words and words[0] != "demo"
        words = [*words, "-m", manifest.as_uri()] if with_manifest else words
        result = CliRunner().invoke(main, words)
        assert result.exit_code == status, result.output
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result

    return run


def test_list(run):
    lines = run("list").stdout.splitlines()
    assert lines[0].split("\t")[:2] == ["cohort", "cancer"]
    assert [line.split("\t")[0] for line in lines[1:]] == ["BRCA", "OV"]


def test_list_json(run):
    assert [row["cancer_type"] for row in json.loads(run("list", "--json").stdout)] == ["BRCA", "OV"]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["breast"], ["BRCA_er_status"]),
        (["^ov", "--regex"], ["OV_grade"]),
        (["-w", "cancer_type=OV", "-w", "cancer_type=BRCA"], ["BRCA_er_status", "OV_grade"]),
        (["-w", "n_samples>100000"], []),
        (["-w", "n_samples>0", "-w", "n_samples<=100000"], ["BRCA_er_status", "OV_grade"]),
    ],
)
def test_search(run, words, found):
    assert [row["name"] for row in json.loads(run("search", *words, "--json").stdout)] == found


def test_info(run):
    shown = json.loads(run("info", "BRCA", "--json").stdout)
    assert shown["cancer_name"] == "Breast Invasive Carcinoma"
    assert shown["cached"] is False
    assert "Breast Invasive Carcinoma" in run("info", "BRCA").stdout


def test_fetch_path_verify_cache_clear(run, cache_dir):
    fetched = json.loads(run("fetch", "--all", "--json", "-q").stdout)
    assert [row["cohort"] for row in fetched] == ["BRCA", "OV"]
    assert run("path", "OV").stdout.strip() == fetched[1]["path"]
    assert [row["status"] for row in json.loads(run("verify", "--json").stdout)] == ["verified"] * 2
    kept = json.loads(run("cache", "--json", with_manifest=False).stdout)
    assert kept["cache_dir"] == str(cache_dir)
    assert len(kept["files"]) == 2
    removed = json.loads(run("clear", "--yes", "--json", "--name", "OV_grade.h5", with_manifest=False).stdout)
    assert removed == [fetched[1]["path"]]
    assert not os.path.exists(removed[0])
    assert json.loads(run("verify", "OV", "--json").stdout)[0]["status"] == "not cached"


def test_verify_finds_damage(run):
    path = run("path", "OV").stdout.strip()
    with open(path, "r+b") as file:
        file.seek(5000)
        file.write(b"damage")
    result = run("verify", status=1)
    assert "sha256" in result.stdout


def test_verify_without_a_manifest_hashes_what_is_cached(run, manifest):
    run("fetch", "--all", "-q")
    manifest.unlink()
    rows = json.loads(run("verify", "--json", with_manifest=False).stdout)
    assert [row["status"] for row in rows] == ["verified"] * 2
    path = json.loads(run("cache", "--json", with_manifest=False).stdout)["files"][0]["path"]
    with open(path, "r+b") as file:
        file.seek(5000)
        file.write(b"damage")
    rows = json.loads(run("verify", "--json", with_manifest=False, status=1).stdout)
    assert [row["status"] for row in rows] == ["damaged", "verified"]
    assert "sha256" in rows[0]["problem"]


def test_clear_takes_what_other_commands_take(run):
    run("fetch", "--all", "-q")
    assert "BRCA_er_status.h5" in run("clear", "--name", "KIRC", "-y", with_manifest=False, status=1).stderr
    assert len(json.loads(run("clear", "--name", "OV", "-y", "--json", with_manifest=False).stdout)) == 1


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


def test_clear_asks_first(run):
    run("fetch", "OV", "-q")
    result = CliRunner().invoke(main, ["clear"], input="n\n")
    assert result.exit_code == 1
    assert run("path", "OV", "--offline").stdout.strip()


def test_catalog(run, tmp_path, manifest, monkeypatch):
    import intake

    run("catalog", "-o", str(tmp_path / "c.yaml"))
    assert list(intake.open_catalog(str(tmp_path / "c.yaml")).mirna) == ["BRCA", "OV"]
    monkeypatch.chdir(manifest.parent)
    relative = CliRunner().invoke(main, ["catalog", "-m", "manifest.json"])
    assert yaml.safe_load(relative.stdout)["sources"]["mirna"]["args"]["urlpath"] == str(manifest)
    entries = yaml.safe_load(run("catalog", "--entries").stdout)["sources"]
    assert list(entries) == ["BRCA", "OV"]


def test_demo(run, tmp_path):
    result = run("demo", with_manifest=False)
    assert "Prostate Adenocarcinoma" in result.stdout
    assert "synthetic_sample: 100" in result.stdout
    assert (tmp_path / "intake-tcga-demo.png").read_bytes().startswith(b"\x89PNG")


def test_demo_without_matplotlib_says_how_to_install_it(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    assert "pip install 'intake-tcga[plots]'" in run("demo", with_manifest=False, status=1).stderr


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (["info", "BRCX"], 1, "BRCA"),
        (["search", "-w", "colour=red"], 2, "cancer_type"),
        (["search", "-w", "nonsense"], 2, "FIELD=VALUE"),
        (["search", "-w", "n_samples>many"], 2, "many"),
        (["search", "(", "--regex"], 2, "regular expression"),
        (["fetch"], 2, "--all"),
        (["list", "-m", ""], 2, "empty"),
        (["demo", "-o", "picture.xyz"], 1, "--output"),
        (["list", "--storage-options", "{"], 2, "JSON"),
        (["list", "--storage-options", "[]"], 2, "JSON object"),
        (["list", "--modality", "rnaseq"], 1, "rnaseq"),
        (["catalog", "-o", "/nonexistent/c.yaml"], 1, "--output"),
    ],
)
def test_errors_are_a_sentence(run, words, status, says):
    result = run(*words, status=status)
    assert says in result.stderr
    assert "Traceback" not in result.output


def test_unreachable_manifest(tmp_path):
    result = CliRunner().invoke(main, ["list", "-m", (tmp_path / "absent.json").as_uri()])
    assert result.exit_code == 1
    assert "absent.json" in result.stderr


def test_help_shows_every_command(run):
    shown = run("--help", with_manifest=False).stdout
    for command in ("list", "search", "info", "fetch", "path", "verify", "cache", "clear", "catalog", "demo"):
        assert f"\n  {command} " in shown
    assert "Exit status" in shown


def test_a_closed_pipe_is_no_error(manifest):
    command = f"{sys.executable} -m intake_tcga list -m {manifest.as_uri()} | true"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""


@pytest.mark.parametrize(("redirection", "status"), [("> /dev/full", 1), (">&-", 0)])
def test_output_that_goes_nowhere_is_no_traceback(manifest, redirection, status):
    command = f"{sys.executable} -m intake_tcga list -m {manifest.as_uri()} {redirection}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    assert done.returncode == status


def test_tables_on_a_terminal(run, monkeypatch):
    from intake_tcga.cli import printing

    monkeypatch.setattr(printing, "is_terminal", lambda: True)
    shown = run("list").stdout
    assert "\t" not in shown
    assert "Ovarian" in shown
