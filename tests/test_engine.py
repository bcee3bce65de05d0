"""The xarray engine."""

import inspect
import pickle
import subprocess
import sys

import fsspec
import h5py
import pytest
import xarray as xr
from cohort_files import write_mirna, write_rnaseq

from intake_tcga.engine import TcgaBackendEntrypoint
from intake_tcga.errors import (
    FileFormatError,
    IntakeTcgaError,
    MissingFileError,
    OptionError,
    UnsupportedVersionError,
)


@pytest.fixture
def path(tmp_path):
    return write_mirna(tmp_path / "cohort.h5")


def test_opens_by_name(path):
    with xr.open_dataset(
        path, engine="tcga", normalization="TC", model="CVAE1_5", drop_variables="raw"
    ) as ds:
        assert ds["synthetic"].dims == ("synthetic_sample", "feature")
        assert "raw" not in ds
        assert ds.tcga.MODELS == ("CVAE1_5",)
    with xr.open_dataset(str(path), engine="tcga", chunks={}) as ds:
        assert ds["real"].chunks is not None
    with xr.open_datatree(path, engine="tcga", chunks={}) as tree:
        assert tree["synthetic/TC/CVAE1_5"].attrs["kl_weight"] == 5
    groups = xr.open_groups(path, engine="tcga")
    assert groups["/processed/TC"]["expression"].dims == ("sample", "feature")
    xr.load_dataset(path, engine="tcga")


def test_every_parameter_is_spelt_out():
    for name in ("open_dataset", "open_datatree", "open_groups_as_dict"):
        kinds = {
            p.kind for p in inspect.signature(getattr(TcgaBackendEntrypoint, name)).parameters.values()
        }
        assert not kinds & {inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL}
    signature = inspect.signature(TcgaBackendEntrypoint.open_dataset)
    assert tuple(signature.parameters)[1:] == TcgaBackendEntrypoint.open_dataset_parameters


def test_xarrays_decoders_change_nothing(path):
    with xr.open_dataset(path, engine="tcga") as plain:
        plain.load()
    for decoders in (
        {"decode_cf": False},
        {"decode_cf": True},
        {"mask_and_scale": False},
        {"decode_times": False, "decode_timedelta": False},
        {"use_cftime": False, "concat_characters": False, "decode_coords": "all"},
        {"decode_times": xr.coders.CFDatetimeCoder(use_cftime=True)},
    ):
        with xr.open_dataset(path, engine="tcga", **decoders) as ds:
            xr.testing.assert_identical(ds.load(), plain)
        with xr.open_datatree(path, engine="tcga", **decoders) as tree:
            assert tree["raw/expression"].dims == ("raw_sample", "raw_feature")
        assert "/raw" in xr.open_groups(path, engine="tcga", **decoders)


@pytest.mark.parametrize("opened", [xr.open_dataset, xr.open_datatree, xr.open_groups])
def test_a_single_group_is_refused_with_the_way_out(path, opened):
    with pytest.raises(OptionError, match="group='raw'") as caught:
        opened(path, engine="tcga", group="raw")
    way_out = str(caught.value).split(" Use ")[1].removesuffix(".")
    assert way_out.endswith("""engine="tcga")['raw']""")
    assert "expression" in eval(way_out, {"xr": xr})


def test_guesses_cohorts_only(tmp_path, path):
    engine = TcgaBackendEntrypoint()
    assert engine.guess_can_open(path)
    assert engine.guess_can_open(str(write_rnaseq(tmp_path / "r.hdf5")))
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = 1
    (tmp_path / "text.h5").write_text("not HDF5")
    for other in (
        tmp_path / "other.h5",
        tmp_path / "text.h5",
        tmp_path / "none.h5",
        "https://x/y.h5",
        b"\x89HDF",
        3,
    ):
        assert not engine.guess_can_open(other)


def test_remote_and_opened_files_are_refused_with_the_way_out(path):
    with fsspec.open(str(path)) as file, pytest.raises(OptionError, match="opens local paths.*open_cohort"):
        xr.open_dataset(file, engine="tcga")
    with pytest.raises(OptionError, match="open_local"):
        xr.open_dataset("https://host/BRCA.h5", engine="tcga")


def test_errors_are_ours(tmp_path, path):
    with pytest.raises(OptionError, match="raw_norm, TC, DESeq"):
        xr.open_dataset(path, engine="tcga", normalization="none")
    (tmp_path / "bad.h5").write_bytes(path.read_bytes()[:3000])
    with pytest.raises(FileFormatError, match="bad.h5"):
        xr.open_dataset(tmp_path / "bad.h5", engine="tcga")
    with pytest.raises(UnsupportedVersionError, match="'9.0'.*1.0 and 2.0"):
        xr.open_dataset(write_mirna(tmp_path / "new.h5", root={"version": "9.0"}), engine="tcga")


def test_pickles(path):
    with xr.open_dataset(path, engine="tcga") as ds:
        xr.testing.assert_identical(pickle.loads(pickle.dumps(ds)).compute(), ds.compute())


def test_importing_the_engine_imports_next_to_nothing():
    code = (
        "import sys, xarray; before = set(sys.modules); import intake_tcga.engine;"
        "print(sorted(m for m in set(sys.modules) - before if not m.startswith('intake_tcga')))"
    )
    added = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert added.strip() == "[]"


@pytest.mark.parametrize("place", ["missing.h5", "."])
def test_a_path_that_is_no_file_is_a_sentence(tmp_path, place):
    with pytest.raises(IntakeTcgaError, match=r"does not exist|Is a directory"):
        xr.open_dataset(str(tmp_path / place), engine="tcga")
    assert issubclass(MissingFileError, FileNotFoundError)
