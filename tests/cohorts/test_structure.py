"""What a file must have to be a cohort, and what is said when it does not; and files damaged at random."""

import random
import warnings

import h5py
import numpy as np
import pytest
from cohort_files import write_mirna, write_rnaseq

from intake_tcga.cohorts.dataset import open_dataset
from intake_tcga.cohorts.structure import read_structure
from intake_tcga.cohorts.tree import open_tree
from intake_tcga.errors import FileFormatError, IntakeTcgaError, UnsupportedVersionError
from intake_tcga.hdf5.file import Hdf5File


def without(path, *names):
    with h5py.File(path, "a") as file:
        for name in names:
            del file[name]
    return path


def put(path, name, value):
    with h5py.File(path, "a") as file:
        if name in file:
            del file[name]
        file[name] = value
    return path


def refused(path, *why, error=FileFormatError):
    for reader in (open_dataset, open_tree):
        with pytest.raises(error) as caught:
            reader(path)
        for words in (*why, str(path)):
            assert words in str(caught.value)


def test_both_schemas_become_one_structure(tmp_path):
    one = read_structure(Hdf5File(write_mirna(tmp_path / "one.h5")))
    two = read_structure(Hdf5File(write_rnaseq(tmp_path / "two.h5")))
    assert (one.version, one.augmentations, one.raw.rows) == ("1.0", None, 14)
    assert (two.version, two.augmentations, two.raw) == ("2.0", ("none", "AE_head"), None)
    assert two.models == ("CVAE1-50", "CVAE1-100", "CVAE1-200")
    assert one.normalizations == two.normalizations == ("raw_norm", "TC", "DESeq")
    assert len(one.synthetic) == 9
    assert len(two.synthetic) == 18


def test_models_are_ordered_by_weight_then_by_name(tmp_path):
    weights = {"b": 1, "a": 1, "z": 0.5}
    path = write_mirna(tmp_path / "a.h5", models=("b", "a", "z", "none"), kl_weights=weights)
    with h5py.File(path, "a") as file:
        for norm in file["synthetic"].values():
            norm["none"].attrs["kl_weight"] = "unknown"
    assert read_structure(Hdf5File(path)).models == ("z", "a", "b", "none")


@pytest.mark.parametrize("group", ["raw", "processed", "synthetic"])
def test_missing_groups(tmp_path, group):
    refused(without(write_mirna(tmp_path / "a.h5"), group), f"no group '/{group}'")


def test_all_problems_are_in_one_message(tmp_path):
    path = without(write_mirna(tmp_path / "a.h5"), "processed/TC/expression", "raw/feature_names")
    put(path, "synthetic/TC/CVAE1_5/groups", ["only one"])
    put(path, "processed/DESeq/expression", np.zeros((2, 2, 2)))
    refused(
        path,
        "'/processed/TC/expression'",
        "'/raw/feature_names'",
        "does not label the 9 rows",
        "matrix of numbers",
    )


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("processed/TC/expression", np.array([["a", "b"]], dtype="S1"), "is not a matrix of numbers"),
        ("processed/TC/expression", np.zeros((3, 2), dtype=[("x", "i4")]), "is not a matrix of numbers"),
        ("processed/TC/feature_names", ["too", "few"], "feature names for them"),
        ("processed/TC/feature_names", np.zeros((2, 2)), "is not a list of names"),
        ("raw/sample_ids", ["too", "few"], "does not label the 14 rows"),
        ("synthetic/TC/CVAE1_5/expression", np.float64(3), "is not a matrix of numbers"),
    ],
)
def test_wrong_types_and_shapes(tmp_path, name, value, why):
    refused(put(write_mirna(tmp_path / "a.h5"), name, value), why, name.rpartition("/")[0])


def test_nothing_in_the_groups(tmp_path):
    path = without(write_mirna(tmp_path / "a.h5"), "processed", "synthetic")
    with h5py.File(path, "a") as file:
        file.create_group("processed")
        file.create_group("synthetic/TC")
    refused(path, "holds no normalization", "holds no run")


def test_other_versions_and_other_files(tmp_path):
    for version in ("3.0", "1", 2):
        path = write_mirna(tmp_path / "a.h5", root={"version": version})
        refused(path, f"'{version}'", "1.0 and 2.0", error=UnsupportedVersionError)
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = 1
    refused(tmp_path / "other.h5", "no attribute 'version'")


def test_references_where_numbers_belong(tmp_path):
    path = write_mirna(tmp_path / "a.h5", n_raw=3)
    with h5py.File(path, "a") as file:
        del file["processed/TC/groups"]
        data = np.array([file.ref] * file["processed/TC/expression"].shape[0], dtype=h5py.ref_dtype)
        file["processed/TC"].create_dataset("groups", data=data)
    refused(path, "does not label")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", range(4))
def test_damage_anywhere_is_our_error_or_harmless(tmp_path, seed):
    write, options = [
        (write_mirna, {}),
        (write_rnaseq, {"compression": None}),
        (write_mirna, {"chunks": None, "compression": None, "string_dtype": "S40", "libver": "latest"}),
        (write_mirna, {"chunks": (3, 4), "shuffle": True, "libver": "latest"}),
    ][seed]
    body = write(tmp_path / "whole.h5", **options).read_bytes()
    dice = random.Random(seed)
    outcomes = set()
    for turn in range(40):
        damaged = bytearray(body[: dice.randrange(len(body))] if turn % 5 == 0 else body)
        for _ in range(dice.choice([1, 2, 20])):
            damaged[dice.randrange(len(damaged) if turn % 2 else min(len(damaged), 6000))] ^= (
                1 << dice.randrange(8)
            )
        path = tmp_path / f"{turn}.h5"
        path.write_bytes(damaged)
        try:
            with warnings.catch_warnings(), open_dataset(path) as ds:
                warnings.simplefilter("ignore")
                ds.compute()
                assert len(ds.sample.values) == ds.sizes["sample"]
            outcomes.add("read")
        except IntakeTcgaError as error:
            outcomes.add("refused" if str(path) in str(error) else "nameless")
    assert "refused" in outcomes
    assert "nameless" not in outcomes
