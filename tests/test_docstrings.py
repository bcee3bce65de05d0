"""The examples in the docstrings run and print what they show."""

import doctest
import importlib
import pkgutil

import pytest

import intake_tcga

MODULES = sorted(m.name for m in pkgutil.walk_packages(intake_tcga.__path__, "intake_tcga."))


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name, sample_manifest, sample_file, sample_archs4, sample_slide, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    results = doctest.testmod(
        importlib.import_module(name),
        extraglobs={
            "sample_manifest": sample_manifest,
            "sample_file": sample_file,
            "sample_archs4": sample_archs4,
            "sample_slide": sample_slide,
        },
        optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS,
    )
    assert results.failed == 0


def test_every_public_name_is_documented():
    undocumented = [name for name in intake_tcga.__all__ if not getattr(intake_tcga, name).__doc__]
    assert undocumented == []
