"""What may be written as ``chunks``."""

import numpy as np
import pytest
from cohort_files import write_mirna

from intake_tcga.cohorts.dataset import open_dataset
from intake_tcga.cohorts.tree import open_tree
from intake_tcga.errors import OptionError


@pytest.fixture
def path(tmp_path):
    return write_mirna(tmp_path / "a.h5")


@pytest.mark.parametrize("opened", [open_dataset, open_tree])
@pytest.mark.parametrize(
    ("chunks", "said"),
    [
        (
            "foo",
            r"chunks='foo' is not possible: give None .*\{\} .*-1 .*\"auto\".*mapping.*sample, .*feature",
        ),
        (0, "chunks=0 is not possible"),
        (-5, "chunks=-5 is not possible"),
        (True, "chunks=True is not possible"),
        (2.5, r"chunks=2\.5 is not possible"),
        ([3], r"chunks=\[3\] is not possible"),
        ({"sample": -5}, "-5 is not possible for the dimension 'sample' of length .*-1 .the whole"),
        ({"sample": "foo"}, "'foo' is not possible for the dimension 'sample'"),
        ({"sample": (1, 1)}, r"\(1, 1\) is not possible .*add up"),
        ({"nodim": 3}, "no dimension 'nodim'; choose from .*sample"),
        ({"nodim": 3, "sample": -5}, "'nodim'.*; -5 is not possible"),
    ],
)
def test_impossible_chunks_are_a_sentence(path, opened, chunks, said):
    with pytest.raises(OptionError, match=said):
        opened(path, chunks=chunks)


@pytest.mark.parametrize(
    "chunks",
    [
        {},
        3,
        -1,
        "auto",
        "1KiB",
        np.int64(3),
        {"feature": 3},
        {"feature": -1},
        {"feature": "auto"},
        {"feature": None},
    ],
)
def test_possible_chunks_change_no_value(path, chunks):
    with open_dataset(path) as plain, open_dataset(path, chunks=chunks) as ds:
        assert ds["real"].chunks is not None
        np.testing.assert_array_equal(ds["real"], plain["real"])
        np.testing.assert_array_equal(ds["raw"], plain["raw"])
    with open_tree(path, chunks=chunks) as tree:
        assert tree["processed/TC/expression"].chunks is not None
        tree.compute()


def test_sizes_are_as_asked(path):
    with open_dataset(path, chunks={"feature": -1, "sample": 4}) as ds:
        real = ds["real"]
        assert real.chunksizes["feature"] == (ds.sizes["feature"],)
        assert set(real.chunksizes["sample"][:-1]) == {4}
    with open_dataset(path, chunks=-1) as ds:
        assert ds["real"].data.npartitions == 1
    sizes = (ds.sizes["sample"] - 1, 1)
    with open_dataset(path, chunks={"sample": sizes}) as ds:
        assert ds["real"].chunksizes["sample"] == sizes


def test_dimensions_that_narrowing_drops_may_be_named(path):
    with open_dataset(
        path, chunks={"normalization": 1, "model": -1}, normalization="TC", model="CVAE1_5"
    ) as ds:
        assert ds["synthetic"].dims == ("synthetic_sample", "feature")
        assert ds["synthetic"].chunks is not None
