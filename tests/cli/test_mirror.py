"""`intake-tcga mirror`: a bundle to a folder or a bucket, from a shell."""

import json

import pytest
from s3_server import s3_server


def test_a_folder(invoke, manifest, tmp_path):
    made = invoke("mirror", manifest, tmp_path / "srv", "-q")
    assert made.stdout.splitlines() == ["cohort\tstatus", "BRCA_er_status\tcopied", "OV_grade\tcopied"]
    assert f"intake.open_tcga('{tmp_path}/srv/manifest.json')" in made.stderr
    assert (tmp_path / "srv" / "manifest.json").read_bytes() == manifest.read_bytes()
    again = json.loads(invoke("mirror", manifest, tmp_path / "srv", "--json", "--check", "size").stdout)
    assert again["manifest"] == f"{tmp_path}/srv/manifest.json"
    assert [row["status"] for row in again["cohorts"]] == ["was there"] * 2
    assert "Ovarian" in invoke("list", "-m", tmp_path / "srv" / "manifest.json").stdout


def test_a_relative_folder_and_one_cohort(invoke, manifest, tmp_path):
    invoke("mirror", manifest, "srv", "--name", "OV")
    assert sorted(path.name for path in (tmp_path / "srv").iterdir()) == ["OV_grade.h5", "manifest.json"]


def test_a_bucket(invoke, manifest):
    with s3_server("platform") as options:
        made = invoke("mirror", manifest, "s3://platform/tcga", "--dest-options", json.dumps(options))
        assert "s3cr3t" not in made.output
        url = "s3://platform/tcga/manifest.json"
        shown = invoke("list", "-m", url, "--storage-options", json.dumps(options)).stdout
        assert "Ovarian" in shown


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (["BUNDLE", "https://host/folder"], 2, "cannot be written to"),
        (["BUNDLE", "srv", "--name", "KIRC"], 1, "There are: BRCA, OV"),
        (["mirrna", "srv"], 2, "did you mean 'mirna'"),
        (["BUNDLE", "/proc/nowhere"], 1, "/proc/nowhere does not exist"),
        (["BUNDLE"], 2, "DEST"),
        (["BUNDLE", "srv", "--dest-options", "[]"], 2, "JSON object"),
        (["BUNDLE", "s3://bucket/x", "--offline"], 1, "offline"),
    ],
)
def test_errors_are_a_sentence(invoke, manifest, words, status, says):
    words = [manifest if word == "BUNDLE" else word for word in words]
    assert says in invoke("mirror", *words, status=status).stderr


def test_another_bundle_is_not_overwritten(invoke, manifest, tmp_path):
    invoke("mirror", manifest, "srv")
    body = json.loads(manifest.read_bytes())
    manifest.write_text(json.dumps({**body, "version": "2.0"}))
    assert "--replace" in invoke("mirror", manifest, "srv", status=2).stderr
    invoke("mirror", manifest, "srv", "--replace")
