"""Commands as a user types them, on a small bundle."""

import pytest
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
def invoke(tmp_path, monkeypatch):
    """Return a function that runs a command line, in a folder of its own, and checks its exit status."""
    monkeypatch.chdir(tmp_path)

    def invoke(*words, status=0, **options):
        result = CliRunner().invoke(main, list(map(str, words)), **options)
        assert result.exit_code == status, result.output
        assert result.exception is None or isinstance(result.exception, SystemExit)
        assert "Traceback" not in result.output
        return result

    return invoke


@pytest.fixture
def run(invoke, manifest):
    """Return a function that runs a command on the bundle."""

    def run(*words, status=0):
        return invoke(*words, *([] if "-m" in words else ["-m", manifest.as_uri()]), status=status)

    return run


@pytest.fixture
def terminal(monkeypatch):
    """Return a function that makes the output a terminal of some columns."""
    from intake_tcga.cli import printing

    def terminal(columns):
        monkeypatch.setattr(printing, "is_terminal", lambda: True)
        monkeypatch.setenv("COLUMNS", str(columns))

    return terminal
