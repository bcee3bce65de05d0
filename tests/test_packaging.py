"""What an installation has: entry points, catalogs in the wheel, types, and imports that cost nothing."""

import subprocess
import sys
import zipfile
from importlib.metadata import entry_points
from pathlib import Path

import fsspec
import intake
import pytest
import xarray as xr

import intake_tcga

PROJECT = Path(__file__).parents[1]


def modules_after(code):
    """Return the modules that a new interpreter has after running some code."""
    listing = f"{code}\nimport sys; print('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", listing], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_import_is_light():
    heavy = {"numpy", "pandas", "xarray", "h5py", "intake", "fsspec", "aiohttp", "pydantic", "dask"}
    assert not heavy & modules_after("import intake_tcga")


def test_import_intake_stays_light():
    heavy = {"numpy", "pandas", "xarray", "h5py", "aiohttp", "pydantic", "dask.array"}
    with_ours = modules_after("import intake")
    assert "intake_tcga.readers" in with_ours
    assert not heavy & with_ours


def test_the_engine_is_light():
    before = modules_after("import xarray")
    extra = modules_after("import xarray, intake_tcga.engine") - before
    assert not {"h5py", "aiohttp", "pydantic", "intake", "deflate"} & extra


@pytest.mark.parametrize(
    ("group", "name"),
    [
        ("intake.drivers", "tcga"),
        ("intake.drivers", "tcga_cohort"),
        ("intake.drivers", "tcga_archs4"),
        ("intake.drivers", "tcga_archs4_file"),
        ("intake.drivers", "tcga_slides"),
        ("intake.drivers", "tcga_slide"),
        ("intake.catalogs", "tcga"),
        ("intake.imports", "tcga"),
        ("xarray.backends", "tcga"),
        ("fsspec.specs", "tcgacache"),
        ("console_scripts", "intake-tcga"),
    ],
)
def test_entry_points_load(group, name):
    (found,) = entry_points(group=group, name=name)
    assert found.value.startswith("intake_tcga.")
    found.load()


def test_hosts_know_us():
    assert "tcga" in xr.backends.list_engines()
    assert fsspec.get_filesystem_class("tcgacache").__module__ == "intake_tcga.cache.filesystem"
    assert callable(intake.open_tcga)


def test_public_names_exist():
    for name in intake_tcga.__all__:
        assert getattr(intake_tcga, name) is not None
    assert set(intake_tcga.__all__) <= set(dir(intake_tcga))
    with pytest.raises(AttributeError, match="open_cohort"):
        intake_tcga.open_kohort  # noqa: B018


def test_no_public_name_shadows_a_module():
    modules = {path.stem for path in Path(intake_tcga.__file__).parent.iterdir()}
    assert not modules & set(intake_tcga.__all__)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    target = tmp_path_factory.mktemp("wheel")
    code = "import sys, hatchling.build as b, os; os.chdir(sys.argv[1]); print(b.build_wheel(sys.argv[2]))"
    done = subprocess.run(
        [sys.executable, "-c", code, str(PROJECT), str(target)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return target / done.stdout.split()[-1]


def test_the_wheel_carries_the_catalogs_and_the_sample(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {
        "intake_tcga/catalogs/tcga.yaml",
        "intake_tcga/catalogs/sample.yaml",
        "intake_tcga/catalogs/sample/manifest.json",
        "intake_tcga/catalogs/sample/PRAD_sample_type.h5",
        "intake_tcga/py.typed",
    } <= names
    assert not [name for name in names if name.startswith(("tests", "docs"))]


def test_the_sample_opens_from_the_wheel(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path / 'site')!r})\n"
        "import intake_tcga; from intake_tcga.cohorts.sample import catalogs_folder\n"
        "print(catalogs_folder(), dict(intake_tcga.open_sample().sizes)['sample'])"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.stdout.split() == [str(tmp_path / "site/intake_tcga/catalogs"), "77"], done.stderr
