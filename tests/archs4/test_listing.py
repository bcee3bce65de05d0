"""What is in a file, as text."""

import h5py
import numpy as np
import pytest
from archs4_files import write_archs4

from intake_tcga.archs4.listing import tree
from intake_tcga.errors import FileFormatError
from intake_tcga.hdf5.file import Hdf5File


def test_every_group_and_dataset_with_its_shape_and_type(tmp_path):
    path = write_archs4(tmp_path / "a.h5", n_samples=7, n_features=11)
    lines = tree(Hdf5File(path)).splitlines()
    assert lines[0] == "data/"
    assert lines[1].split() == ["expression", "11", "×", "7", "uint32", "chunks", "11", "×", "1"]
    assert ["singlecellprobability", "7", "float64"] in [line.split() for line in lines]
    assert ["author", "one", "value", "text"] in [line.split() for line in lines]
    with h5py.File(path) as file:
        objects = []
        file.visit(objects.append)
    assert [line.split()[0].rstrip("/") for line in lines] == [name.rpartition("/")[2] for name in objects]


def test_what_it_cannot_read_is_listed_too(tmp_path):
    path = write_archs4(tmp_path / "a.h5")
    with h5py.File(path, "a") as file:
        file["odd"] = np.zeros(3, [("a", "i4"), ("b", "f8")])
        file["kind"] = np.dtype("i4")
    listed = tree(Hdf5File(path))
    assert "not readable" in listed
    assert "kind" in listed


def test_groups_within_themselves_end(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name in ("one", "other"):
            file[name] = file["/"]
    with pytest.raises(FileFormatError, match="nested|itself|objects"):
        tree(Hdf5File(tmp_path / "a.h5"))
