"""The xarray engine."""

import inspect
import pickle
import subprocess
import sys

import fsspec
import h5py
import pytest
import xarray as xr
from archs4_files import LAYOUTS, naive_matrix, write_archs4
from cohort_files import write_mirna, write_rnaseq

from intake_tcga.cohorts.sample import catalogs_folder
from intake_tcga.engine import TcgaBackendEntrypoint
from intake_tcga.errors import (
    FileFormatError,
    IntakeTcgaError,
    MissingFileError,
    OptionError,
    UnsupportedVersionError,
)

SLIDE = catalogs_folder() / "sample" / "CMU-1-Small-Region.svs"


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
        kinds = {p.kind for p in inspect.signature(getattr(TcgaBackendEntrypoint, name)).parameters.values()}
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


@pytest.mark.parametrize("size", [512, 1024, 8192])
@pytest.mark.parametrize("write", [write_mirna, write_archs4])
def test_files_behind_a_block_of_the_users_own(tmp_path, write, size):
    plain = write(tmp_path / "plain.h5")
    with h5py.File(plain) as one, h5py.File(tmp_path / "shifted.h5", "w", userblock_size=size) as other:
        other.attrs.update(one.attrs)
        for name in one:
            one.copy(name, other)
    assert TcgaBackendEntrypoint().guess_can_open(tmp_path / "shifted.h5")
    with (
        xr.open_dataset(plain, engine="tcga") as expected,
        xr.open_dataset(tmp_path / "shifted.h5", engine="tcga") as ds,
    ):
        assert ds.sizes == expected.sizes
        for name, variable in expected.data_vars.items():
            xr.testing.assert_equal(ds[name].load().variable, variable.load().variable)


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


# -- ARCHS4 files -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("version", "level"), LAYOUTS)
def test_archs4_files_of_every_layout(tmp_path, version, level):
    path = write_archs4(tmp_path / "x.h5", version, level=level)
    with xr.open_dataset(path, engine="tcga") as ds:
        (matrix,) = ds.data_vars.values()
        assert not matrix.variable._in_memory
        assert (matrix.values == naive_matrix(path, version)).all()
        assert ds.archs4.draw(3, seed=1).sizes["sample"] == 3
    assert TcgaBackendEntrypoint().guess_can_open(path)


def test_archs4_over_dask_keeps_its_accessor(tmp_path):
    path = write_archs4(tmp_path / "x.h5", n_samples=20, n_features=30)
    with xr.open_dataset(path, engine="tcga", chunks={}) as ds, xr.open_dataset(path, engine="tcga") as plain:
        assert ds["counts"].chunks is not None
        found, expected = ds.archs4.search("myoblast"), plain.archs4.search("myoblast")
        assert 0 < found.sizes["sample"] < 20
        assert found["sample"].values.tolist() == expected["sample"].values.tolist()
        assert (found["counts"].values == expected["counts"].values).all()
        xr.testing.assert_identical(pickle.loads(pickle.dumps(ds)).compute(), plain.load())


def test_archs4_is_no_tree_and_takes_no_options(tmp_path):
    path = write_archs4(tmp_path / "x.h5")
    for opened in (xr.open_datatree, xr.open_groups):
        with pytest.raises(OptionError, match="no tree; use xr.open_dataset"):
            opened(path, engine="tcga")
    with pytest.raises(OptionError, match=r"an ARCHS4 file, which has no normalization=.*ds\.archs4"):
        xr.open_dataset(path, engine="tcga", normalization="TC")
    with xr.open_dataset(path, engine="tcga", drop_variables=["title", "no such"]) as ds:
        assert "title" not in ds.coords


# -- slides -----------------------------------------------------------------------------------------------------------


def test_slides(tmp_path):
    finest = xr.open_dataset(SLIDE, engine="tcga")
    assert finest["image"].shape == (2967, 2220, 3)
    assert not finest["image"].variable._in_memory
    assert xr.open_dataset(SLIDE, engine="tcga", mpp=15.0, chunks={})["image"].shape == (98, 73, 3)
    assert xr.open_dataset(SLIDE, engine="tcga", associated="label")["image"].ndim == 3
    box = xr.open_dataset(SLIDE, engine="tcga", level=0, box_um=(0, 0, 100, 50))
    assert box.sizes["x"] > box.sizes["y"]
    tree = xr.open_datatree(SLIDE, engine="tcga")
    xr.testing.assert_equal(
        tree["scale0"].to_dataset().isel(x=slice(9), y=slice(9)), finest.isel(x=slice(9), y=slice(9))
    )
    assert set(xr.open_groups(SLIDE, engine="tcga")) == {"/", "/scale0"}
    assert "y" not in xr.open_datatree(SLIDE, engine="tcga", drop_variables="y")["scale0"].coords


def test_slides_are_guessed_by_their_bytes(tmp_path):
    assert isinstance(xr.open_datatree(SLIDE), xr.DataTree)
    (tmp_path / "text.svs").write_text("no slide")
    assert not TcgaBackendEntrypoint().guess_can_open(tmp_path / "text.svs")
    (tmp_path / "slide.tif").symlink_to(SLIDE)
    assert not TcgaBackendEntrypoint().guess_can_open(tmp_path / "slide.tif")  # others open these
    assert xr.open_dataset(tmp_path / "slide.tif", engine="tcga", mpp=15.0)["image"].shape == (98, 73, 3)


def test_options_of_another_kind_are_refused(path):
    with pytest.raises(OptionError, match=r"a slide, which has no model=.*mpp, level"):
        xr.open_dataset(SLIDE, engine="tcga", model="CVAE1_5")
    with pytest.raises(OptionError, match=r"a cohort, which has no mpp=.*normalization, model"):
        xr.open_dataset(path, engine="tcga", mpp=15.0)
    with pytest.raises(OptionError, match=r"a cohort, which has no mpp_base="):
        xr.open_datatree(path, engine="tcga", mpp_base=0.5)
    with pytest.raises(OptionError, match="one of them"):
        xr.open_dataset(SLIDE, engine="tcga", mpp=15.0, level=0)


# -- anything else ----------------------------------------------------------------------------------------------------


def test_what_is_none_of_them_is_said(tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = 1
    (tmp_path / "empty.h5").touch()
    (tmp_path / "text.h5").write_text("name,value")
    for name, match in (
        ("other.h5", "HDF5, but neither a cohort .* nor an ARCHS4 file .* it has x"),
        ("empty.h5", "neither HDF5, .* nor TIFF, .* b''"),
        ("text.h5", "it starts with b'name,val'"),
    ):
        for opened in (xr.open_dataset, xr.open_datatree, xr.open_groups):
            with pytest.raises(FileFormatError, match=match):
                opened(tmp_path / name, engine="tcga")
        assert not TcgaBackendEntrypoint().guess_can_open(tmp_path / name)
