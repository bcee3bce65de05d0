"""``ds.tcga``: the pairs and the metadata of SyNG-BTS."""

import h5py
import numpy as np
import pytest
import xarray as xr
from cohort_files import barcodes, write_mirna, write_rnaseq

import intake_tcga.cohorts.accessor  # noqa: F401
from intake_tcga.cohorts.dataset import open_dataset
from intake_tcga.errors import OptionError


@pytest.fixture
def mirna(tmp_path):
    path = write_mirna(tmp_path / "m.h5")
    with open_dataset(path) as ds, h5py.File(path) as file:
        yield ds, file


@pytest.fixture
def rnaseq(tmp_path):
    path = write_rnaseq(tmp_path / "r.h5", models=("CVAE1-100", "CVAE1-50"))
    with open_dataset(path) as ds, h5py.File(path) as file:
        yield ds, file


def text(dataset):
    return [value.decode() for value in dataset]


@pytest.mark.parametrize("normalization", ["raw_norm", "TC", "DESeq"])
def test_real(mirna, normalization):
    ds, file = mirna
    expression, groups = ds.tcga.real(normalization)
    group = file[f"processed/{normalization}"]
    np.testing.assert_array_equal(expression, group["expression"])
    assert list(expression.columns) == text(group["feature_names"])
    assert set(expression.index) <= set(barcodes(14))
    assert groups.tolist() == text(group["groups"])
    assert groups.index.equals(expression.index)


def test_defaults(mirna, rnaseq):
    ds, file = mirna
    np.testing.assert_array_equal(ds.tcga.real()[0], file["processed/DESeq/expression"])
    expression, groups = ds.tcga.synth()
    np.testing.assert_array_equal(expression, file["synthetic/DESeq/CVAE1_5/expression"])
    assert groups.tolist() == text(file["synthetic/DESeq/CVAE1_5/groups"])
    ds, file = rnaseq
    np.testing.assert_array_equal(ds.tcga.synth()[0], file["synthetic/DESeq/none/CVAE1-50/expression"])
    expression, _ = ds.tcga.synth("TC", "CVAE1-100", off_aug="AE_head")
    np.testing.assert_array_equal(expression, file["synthetic/TC/AE_head/CVAE1-100/expression"])


def test_no_groups_for_a_vae(tmp_path):
    with open_dataset(write_rnaseq(tmp_path / "r.h5", synthetic_groups=False, models=("VAE1-50",))) as ds:
        assert ds.tcga.synth()[1] is None
        assert ds.tcga.real()[1] is not None


def test_constants_and_repr(rnaseq):
    ds, _ = rnaseq
    assert ds.tcga.NORMALIZATIONS == ("raw_norm", "TC", "DESeq")
    assert ds.tcga.MODELS == ("CVAE1-50", "CVAE1-100")
    assert ds.tcga.AUGMENTATIONS == ("none", "AE_head")
    for word in ("TEST", "real(", "synth(", "off_aug", "CVAE1-50", "DESeq", "AE_head"):
        assert word in repr(ds.tcga)
    assert "synth" not in repr(ds.drop_vars("synthetic").tcga)


def test_on_a_narrowed_dataset(mirna):
    ds, file = mirna
    narrowed = ds.sel(normalization="TC", model="CVAE1_20").load()
    np.testing.assert_array_equal(narrowed.tcga.real("TC")[0], file["processed/TC/expression"])
    np.testing.assert_array_equal(
        narrowed.tcga.synth("TC", "CVAE1_20")[0], file["synthetic/TC/CVAE1_20/expression"]
    )
    with pytest.raises(OptionError, match="choose from TC"):
        narrowed.tcga.real("DESeq")


def test_defaults_are_among_what_a_narrowed_dataset_has(mirna, rnaseq):
    ds, file = mirna
    one = ds.sel(normalization="TC", model="CVAE1_20")
    np.testing.assert_array_equal(one.tcga.real()[0], file["processed/TC/expression"])
    np.testing.assert_array_equal(one.tcga.synth()[0], file["synthetic/TC/CVAE1_20/expression"])
    some = ds.sel(normalization=["TC", "raw_norm"], model=["CVAE1_20", "CVAE1_10"])
    np.testing.assert_array_equal(some.tcga.real()[0], file["processed/TC/expression"])
    np.testing.assert_array_equal(some.tcga.synth()[0], file["synthetic/TC/CVAE1_10/expression"])
    bare = ds.sel(normalization="TC", model="CVAE1_20", drop=True)
    np.testing.assert_array_equal(bare.tcga.synth()[0], file["synthetic/TC/CVAE1_20/expression"])
    ds, file = rnaseq
    one = ds.sel(normalization="TC", model="CVAE1-100", augmentation="AE_head")
    np.testing.assert_array_equal(one.tcga.synth()[0], file["synthetic/TC/AE_head/CVAE1-100/expression"])


def test_wrong_options_list_the_right_ones(mirna):
    ds, _ = mirna
    with pytest.raises(OptionError, match="raw_norm, TC, DESeq"):
        ds.tcga.real("tpm")
    with pytest.raises(OptionError, match="CVAE1_5, CVAE1_10, CVAE1_20"):
        ds.tcga.synth(model="CVAE1-50")
    with pytest.raises(OptionError, match="leave off_aug out"):
        ds.tcga.synth(off_aug="AE_head")
    with pytest.raises(OptionError, match="one name"):
        ds.tcga.real(["TC"])
    with pytest.raises(OptionError, match="no variable 'real'"):
        ds.drop_vars("real").tcga.real()


def inherited(file, *path):
    """Merge the attributes of nested groups; own ones win."""
    merged = dict(file.attrs)
    for depth in range(1, len(path) + 1):
        merged |= dict(file["/".join(path[:depth])].attrs)
    return {k: v.tolist() if hasattr(v, "tolist") else v for k, v in merged.items()}


def test_metadata_is_inherited(mirna, rnaseq):
    ds, file = mirna
    assert ds.tcga.metadata() == inherited(file)
    assert ds.tcga.metadata("TC") == {**inherited(file, "processed", "TC"), "normalization": "TC"}
    assert ds.tcga.metadata("TC", "CVAE1_10") == inherited(file, "synthetic", "TC", "CVAE1_10")
    ds, file = rnaseq
    expected = inherited(file, "synthetic", "TC", "AE_head", "CVAE1-50")
    assert ds.tcga.metadata("TC", "CVAE1-50", "AE_head") == expected
    assert ds.tcga.metadata("TC", "CVAE1-50")["off_aug"] == "none"
    assert ds.tcga.metadata("TC")["n_train"] == file["processed/TC"].attrs["n_train"]


def test_metadata_over_dask_arrays(mirna, tmp_path):
    ds, file = mirna
    ds.to_netcdf(tmp_path / "saved.nc")
    chunked = xr.open_dataset(tmp_path / "saved.nc", chunks={})
    assert chunked["kl_weight"].chunks is not None
    found = chunked.tcga.metadata("TC", "CVAE1_10")
    assert found["kl_weight"] == file["synthetic/TC/CVAE1_10"].attrs["kl_weight"]
    assert set(found) == set(ds.tcga.metadata("TC", "CVAE1_10"))
    np.testing.assert_array_equal(chunked.tcga.synth()[0], file["synthetic/DESeq/CVAE1_5/expression"])
    chunked.close()
