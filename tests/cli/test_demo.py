"""The first thing that a new user types."""

import sys

import pytest


def test_demo(invoke, tmp_path):
    shown = invoke("demo").stdout
    assert "Prostate Adenocarcinoma" in shown
    assert "synthetic_sample: 100" in shown
    assert "gtex_lung.h5\tintake_tcga.open_archs4(file)" in shown
    assert "CMU-1-Small-Region.svs\tintake_tcga.open_slide(file, mpp=15)" in shown
    assert (tmp_path / "intake-tcga-demo.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("out", ["picture.xyz", "/nonexistent/picture.png"])
def test_a_picture_that_cannot_be(invoke, out):
    assert "choose another --out" in invoke("demo", "-o", out, status=1).stderr


def test_without_matplotlib(invoke, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    assert "pip install 'intake-tcga[plots]'" in invoke("demo", status=1).stderr
