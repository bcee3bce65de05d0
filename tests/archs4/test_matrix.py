"""Samples × features out of either orientation, as plain h5py and numpy have it."""

import pickle
from dataclasses import replace
from functools import cache

import h5py
import numpy as np
import pytest
import xarray as xr
from archs4_files import FLAT, LAYOUTS, naive_matrix, write_archs4
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from intake_tcga.archs4.dataset import open_dataset
from intake_tcga.archs4.layout import read_layout
from intake_tcga.archs4.matrix import SampleMatrix
from intake_tcga.errors import FileFormatError
from intake_tcga.hdf5.file import Hdf5File

SAMPLES, FEATURES = 13, 29
GRIDS = {"1.8": (5, 7), "2.5": (10, 1), "2.2": (6, 4)}


def matrix_of(path):
    file = Hdf5File(path)
    layout = read_layout(file)
    return SampleMatrix(file, layout.matrix, layout.samples_axis)


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """Return the lazy matrix and the naive one, by version and level."""
    folder = tmp_path_factory.mktemp("matrices")

    @cache
    def made(version, level):
        path = write_archs4(
            folder / f"{version}{level}.h5", version, level=level, n_samples=SAMPLES, n_features=FEATURES,
            chunks=GRIDS.get(version),
        )  # fmt: skip
        return matrix_of(path).variable({}), naive_matrix(path, version)

    return lambda version, level="gene": made(version, level)


@pytest.mark.parametrize(("version", "level"), LAYOUTS)
def test_the_whole_matrix_in_its_own_number_type(opened, version, level):
    lazy, naive = opened(version, level)
    assert lazy.dtype == naive.dtype
    assert lazy.dims == ("sample", "feature")
    np.testing.assert_array_equal(lazy.values, naive)


def indexers(length):
    # not before the beginning: xarray takes slice(-30, None, -1) of 29 for all of it
    ends = st.none() | st.integers(-length, length + 2)
    steps = st.none() | st.integers(-5, 5).filter(bool)
    return st.one_of(
        st.integers(-length, length - 1),
        st.builds(slice, ends, ends, steps),
        st.lists(st.integers(-length, length - 1), max_size=length + 5).map(
            lambda at: np.array(at, dtype=int)
        ),
        st.lists(st.booleans(), min_size=length, max_size=length).map(np.array),
    )


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.sampled_from(sorted(GRIDS)), indexers(SAMPLES), indexers(FEATURES), indexers(SAMPLES))
def test_any_selection_is_what_numpy_selects(opened, version, samples, features, again):
    lazy, naive = opened(version)
    expected = naive[samples][..., features]
    got = lazy.isel(sample=samples).isel(feature=features)
    np.testing.assert_array_equal(got.values, expected)
    np.testing.assert_array_equal(lazy.isel(sample=samples, feature=features).values, expected)
    if got.ndim == 2 and len(expected) == SAMPLES:  # a selection of a selection
        np.testing.assert_array_equal(got.isel(sample=again).values, expected[again])


def test_pointwise_selection_and_transposing(opened):
    lazy, naive = opened("2.5")
    rows, columns = xr.Variable("point", [3, 0, 3]), xr.Variable("point", [28, 5, 5])
    np.testing.assert_array_equal(
        lazy.isel(sample=rows, feature=columns).values, naive[[3, 0, 3], [28, 5, 5]]
    )
    np.testing.assert_array_equal(lazy.transpose("feature", "sample").values, naive.T)


def test_it_never_asks_h5py_for_values(opened, monkeypatch):
    lazy, naive = opened("2.5")
    monkeypatch.setattr(h5py.Dataset, "__getitem__", lambda *_: pytest.fail("h5py was asked"))
    np.testing.assert_array_equal(
        lazy.isel(sample=[5, 2, 2], feature=[1, 20]).values, naive[[5, 2, 2]][:, [1, 20]]
    )


def test_it_pickles_small(opened):
    lazy, naive = opened("1.8")
    data = pickle.dumps(lazy)
    assert len(data) < 3000
    np.testing.assert_array_equal(pickle.loads(data).values, naive)


@pytest.mark.parametrize(
    ("version", "shape", "grid", "samples"),
    [
        ("2.5", (888_821, 67_186), (2000, 1), 499),
        ("2.5", (3000, 10), (10, 1), 3000),
        ("1.8", (20_000, 32_544), (200, 200), 1000),
        ("2.2", (4000, 67_186), (2000, 600), 600),
        ("2.2", (4000, 67_186), (2000, 4000), 499),
    ],
)
def test_dask_chunks_hold_about_128_mib_in_whole_stored_chunks(tmp_path, version, shape, grid, samples):
    path = write_archs4(tmp_path / "a.h5", version, n_samples=4, n_features=5)
    matrix = matrix_of(path)  # of a small file: only what is said of it is large
    array = replace(
        matrix._array, shape=shape if version in FLAT else shape[::-1], chunks=grid, dtype=np.dtype("u4")
    )
    large = SampleMatrix(matrix._file, array, 0 if version in FLAT else 1)
    assert large.preferred_chunks == {"sample": samples, "feature": shape[1]}


@pytest.mark.parametrize("n_samples", [0, 1])
def test_no_sample_at_all(tmp_path, n_samples):
    path = write_archs4(tmp_path / "a.h5", n_samples=n_samples, n_features=5)
    np.testing.assert_array_equal(matrix_of(path).variable({}).values, naive_matrix(path))


def test_a_damaged_chunk_is_an_error_and_never_zeros(tmp_path):
    path = write_archs4(tmp_path / "a.h5", n_samples=3, n_features=50)
    with h5py.File(path) as file:
        where = file["data/expression"].id.get_chunk_info_by_coord((0, 1))
    body = bytearray(path.read_bytes())
    body[where.byte_offset + 4 : where.byte_offset + where.size - 4] = bytes(where.size - 8)
    path.write_bytes(body)
    lazy = matrix_of(path).variable({})
    assert lazy.isel(sample=[0, 2]).values.any()
    with pytest.raises(FileFormatError, match="data/expression"):
        _ = lazy.isel(sample=[0, 1]).values
    with open_dataset(Hdf5File(path)) as ds:
        damaged = ds["sample"].values[1]
        with pytest.raises(FileFormatError, match=rf"get again\. It is of sample {damaged}\.$"):
            ds["counts"].load()


def test_a_damaged_chunk_of_many_samples_names_the_first(tmp_path):
    path = write_archs4(tmp_path / "a.h5", "1.8", n_samples=9, n_features=50, chunks=(9, 50))
    with h5py.File(path) as file:
        where = file["data/expression"].id.get_chunk_info(0)
    body = bytearray(path.read_bytes())
    body[where.byte_offset + 4 : where.byte_offset + where.size - 4] = bytes(where.size - 8)
    path.write_bytes(body)
    with open_dataset(Hdf5File(path)) as ds:
        first = ", ".join(ds["sample"].values[:5])
        with pytest.raises(FileFormatError, match=rf"It is of samples {first} and 4 more\.$"):
            ds["counts"][8:].load()
