"""Cohort files → DataTrees that mirror the file."""

import pickle

import h5py
import naive_cohort
import numpy as np
import pytest
import xarray as xr
from cohort_files import write_mirna, write_rnaseq

from intake_tcga.cohorts.tree import open_groups, open_tree


@pytest.mark.parametrize("write", [write_mirna, write_rnaseq])
def test_every_group_is_a_node_with_its_attributes_and_values(tmp_path, write):
    path = write(tmp_path / "a.h5")
    with h5py.File(path, "a") as file:
        file.create_group("extra/deep").attrs["x"] = 1
        file["extra/table"] = np.arange(4)
    with open_tree(path) as tree, h5py.File(path) as file:
        groups = ["/"]
        file.visititems(
            lambda name, thing: groups.append(f"/{name}") if isinstance(thing, h5py.Group) else None
        )
        assert {node.path for node in tree.subtree} == set(groups)
        for group in groups:
            assert tree[group].attrs == {
                name: int(value) if isinstance(value := naive_cohort.plain(raw), bool) else value
                for name, raw in file[group].attrs.items()
            }
            if "expression" in file[group]:
                np.testing.assert_array_equal(tree[group]["expression"], file[group]["expression"])
            if "groups" in file[group]:
                assert tree[group]["groups"].values.tolist() == naive_cohort.names(file[group]["groups"])
        np.testing.assert_array_equal(tree["extra/table"], np.arange(4))


def test_nothing_is_aligned(tmp_path):
    path = write_mirna(tmp_path / "a.h5", n_features=4)
    with h5py.File(path, "a") as file:
        names = [name.decode() for name in file["processed/TC/feature_names"]]
        file["processed/TC/feature_names"][:] = names[::-1]
    with open_tree(path) as tree:
        assert list(tree["processed/TC"].feature.values) == names[::-1]
        assert list(tree["processed/DESeq"].feature.values) == names
        assert list(tree["synthetic/TC"].feature.values) == names
        assert tree["synthetic/TC/CVAE1_5/expression"].dims == ("synthetic_sample", "feature")


def test_a_run_with_features_of_its_own(tmp_path):
    path = write_mirna(tmp_path / "a.h5", n_features=4)
    with h5py.File(path, "a") as file:
        run = file["synthetic/TC/CVAE1_5"]
        run["feature_names"] = ["x", "y"]
        values = run["expression"][:, :2]
        del run["expression"]
        run["expression"] = values
    with open_tree(path) as tree:
        assert tree["synthetic/TC/CVAE1_5/expression"].feature.values.tolist() == ["x", "y"]
        assert tree["synthetic/TC/CVAE1_10/expression"].sizes["feature"] == 4


def test_a_model_named_like_a_coordinate(tmp_path):
    path = write_mirna(tmp_path / "a.h5", models=("feature", "sample"))
    with open_tree(path) as tree:
        assert "expression" in tree["synthetic/TC/feature"]


def test_dask_pickling_and_groups(tmp_path):
    path = write_rnaseq(tmp_path / "a.h5")
    with open_tree(path, chunks={}) as tree:
        assert tree["processed/TC/expression"].chunks is not None
        assert tree["processed/TC/groups"].chunks is None
        again = pickle.loads(pickle.dumps(tree))
        left, right = again["processed/TC"].to_dataset(), tree["processed/TC"].to_dataset()
        xr.testing.assert_identical(left.compute(), right.compute())
    groups = open_groups(path, drop_variables="expression")
    assert "expression" not in groups["/processed/TC"]
    assert "/synthetic/TC/none/CVAE1-50" in groups
