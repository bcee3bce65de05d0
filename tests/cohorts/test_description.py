"""Descriptions that are kept: the same Dataset without a walk, and never of a file that changed."""

import os
import time

import pytest
import xarray as xr
from cohort_files import write_mirna, write_rnaseq

from intake_tcga.cohorts import description
from intake_tcga.cohorts.dataset import open_dataset
from intake_tcga.hdf5.file import Hdf5File


@pytest.fixture
def walks(monkeypatch):
    """Return the paths of the files that were walked."""
    walked = []
    describe = Hdf5File.describe
    monkeypatch.setattr(Hdf5File, "describe", lambda file: walked.append(file.path) or describe(file))
    return walked


def aged(path):
    """Return a path whose file was last written a while ago."""
    earlier = time.time_ns() - 10_000_000_123
    os.utime(path, ns=(earlier, earlier))
    return path


@pytest.mark.parametrize("write", [write_mirna, write_rnaseq])
def test_the_second_opening_gives_the_same_without_a_walk(tmp_path, walks, write):
    path = aged(write(tmp_path / "a.h5"))
    with open_dataset(path) as first, open_dataset(path) as second:
        assert len(walks) == 1
        xr.testing.assert_identical(first.load(), second.load())
        for name in first.variables:
            assert first[name].encoding == second[name].encoding
            assert first[name].attrs == second[name].attrs


def test_everything_is_kept_as_it_was(tmp_path):
    path = aged(write_mirna(tmp_path / "a.h5"))
    file = Hdf5File(path)
    open_dataset(path).close()
    root, names = description.recall(file.path)
    assert root == file.describe()
    assert all(labels.tolist() == file.names(_array(root, place)).tolist() for place, labels in names.items())


def _array(root, place):
    group, _, name = place.strip("/").rpartition("/")
    return root.below(group).arrays[name]


def test_a_file_that_changed_is_walked_again(tmp_path, walks):
    path = aged(write_mirna(tmp_path / "a.h5"))
    open_dataset(path).close()
    aged(write_mirna(tmp_path / "a.h5", seed=9))
    open_dataset(path).close()
    assert len(walks) == 2


def test_a_file_of_this_moment_is_not_kept(tmp_path, walks):
    path = write_mirna(tmp_path / "a.h5")
    soon = time.time() + 60  # however long it takes to get there
    os.utime(path, (soon, soon))
    open_dataset(path).close()
    open_dataset(path).close()
    assert len(walks) == 2


def test_what_is_damaged_is_made_anew(tmp_path, walks, cache_dir):
    path = aged(write_mirna(tmp_path / "a.h5"))
    open_dataset(path).close()
    for kept in (cache_dir / ".intake-tcga/derived").iterdir():
        kept.write_text(kept.read_text().replace('"root"', '"roof"'))
    open_dataset(path).close()
    assert len(walks) == 2
