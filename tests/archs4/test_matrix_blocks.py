"""Samples that are found in a Dataset over Dask are read alone, in blocks of their own."""

import pickle

import numpy as np
import pytest
from archs4_files import naive_matrix, write_archs4
from hypothesis import given
from hypothesis import strategies as st

from intake_tcga.archs4.collection import Archs4Collection
from intake_tcga.archs4.dataset import open_dataset
from intake_tcga.archs4.matrix import SampleMatrix
from intake_tcga.archs4.matrix_blocks import _sizes, narrowed
from intake_tcga.archs4.narrowing import Narrowing
from intake_tcga.hdf5.file import Hdf5File

SAMPLES = 900
ACCESSIONS = np.array([f"GSM{1_000_000 + (i ^ 5)}" for i in range(SAMPLES)], dtype=object)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_archs4(tmp_path_factory.mktemp("files") / "a.h5", n_samples=SAMPLES, n_features=50)


@pytest.fixture
def ds(path):
    with open_dataset(Hdf5File(path), chunks={"sample": 100}) as ds:
        yield ds


@pytest.fixture
def blocks(monkeypatch):
    """List the shapes that are read."""
    seen = []
    get = SampleMatrix._get

    def note(self, key):
        result = get(self, key)
        seen.append(result.shape)
        return result

    monkeypatch.setattr(SampleMatrix, "_get", note)
    return seen


@pytest.fixture
def rows():
    return np.random.default_rng(3).permutation(SAMPLES)[:60]


def test_scattered_samples_are_one_task_and_one_read(ds, path, rows, blocks):
    few = ds.archs4.samples(ACCESSIONS[rows].tolist())
    assert few["counts"].chunks == ((60,), (50,))
    assert len(few["counts"].__dask_graph__()) <= 2
    np.testing.assert_array_equal(few["counts"].compute().values, naive_matrix(path)[rows])
    assert blocks == [(60, 50)]
    assert few["counts"].attrs == ds["counts"].attrs
    assert list(few.coords) == list(ds.coords)
    assert few.attrs == ds.attrs


def test_attributes_that_were_given_stay(ds):
    ds["counts"].attrs |= {"units": "fragments", "mine": 1}
    for few in (ds.archs4.draw(3, seed=1), ds.archs4.search("liver")):
        assert few["counts"].attrs == ds["counts"].attrs


def test_selections_of_selections(ds, path, blocks):
    liver = ds.archs4.search("liver", fields="source_name_ch1")
    drawn = liver.archs4.draw(120, seed=3).archs4.draw(70, seed=4)
    assert liver["counts"].chunks[0] == (100, 100, 25)
    assert drawn["counts"].chunks[0] == (70,)
    of = {name: row for row, name in enumerate(ACCESSIONS)}
    for one in (liver, drawn, liver.isel(sample=slice(3, 200, 7)).archs4.search("liver")):
        expected = naive_matrix(path)[[of[name] for name in one["sample"].values]]
        np.testing.assert_array_equal(one["counts"].values, expected)
    assert sum(samples for samples, _ in blocks) == 225 + 70 + len(range(3, 200, 7))


def test_none_and_all(ds, path):
    none = ds.archs4.search("no such thing")
    assert none["counts"].chunks == ((0,), (50,))
    assert none["counts"].compute().shape == (0, 50)
    assert none.archs4.search("liver").sizes["sample"] == 0
    every = ds.archs4.search("RNA", fields="molecule_ch1")
    assert every["counts"].chunks == ds["counts"].chunks
    np.testing.assert_array_equal(every["counts"].values, naive_matrix(path))


@pytest.mark.parametrize(
    "change",
    [
        lambda ds: ds.assign(counts=ds["counts"] * 2),
        lambda ds: ds.isel(feature=[3, 1]),
        lambda ds: ds.assign(counts=ds["counts"].rename(None)[::-1].variable),
        lambda ds: ds.assign(counts=ds["counts"].variable.chunk({"feature": 7})),
        lambda ds: ds.assign(counts=ds["counts"].variable.compute()),
        lambda ds: ds.rename(counts="reads"),
        lambda ds: ds.assign(other=ds["counts"] + 1).drop_vars("counts"),
        lambda ds: ds.drop_vars(
            [name for name in ds.coords if name not in {"sample", "geo_accession"}]
        ).compute(),
        lambda ds: pickle.loads(pickle.dumps(ds)),
    ],
)
def test_whatever_was_done_to_the_blocks_stays_done(ds, rows, change):
    changed = change(ds)
    few = changed.archs4.samples(ACCESSIONS[rows].tolist())
    assert few.compute().identical(changed.compute().isel(sample=rows))


def test_of_two_variables_only_the_files_own_is_remade(ds, rows, blocks):
    both = ds.assign(log=np.log1p(ds["counts"]))
    few = both.archs4.samples(ACCESSIONS[rows].tolist())
    assert few["counts"].chunks[0] == (60,)
    np.testing.assert_array_equal(few["log"].values, np.log1p(few["counts"].values))


def test_without_dask_nothing_is_chunked(path, rows):
    with open_dataset(Hdf5File(path)) as ds:
        assert narrowed(ds, rows)["counts"].chunks is None


def test_samples_that_a_catalog_entry_shows(path, blocks):
    narrowing = Narrowing(search="liver", fields="source_name_ch1", draw=20)
    with Archs4Collection().open(path, chunks={}, narrowing=narrowing) as ds:
        assert ds["counts"].chunks[0] == (20,)
        _ = ds["counts"].values
    assert blocks == [(20, 50)]


def test_other_samples_and_other_blocks_have_other_names(ds, path, rows):
    names = [
        ds["counts"].data.name,
        narrowed(ds, rows)["counts"].data.name,
        narrowed(ds, rows[::-1])["counts"].data.name,
        narrowed(ds, rows[:-1])["counts"].data.name,
    ]
    with open_dataset(Hdf5File(path), chunks={"sample": 50}) as other:
        names += [other["counts"].data.name, narrowed(other, rows)["counts"].data.name]
    assert len(set(names)) == 6
    with open_dataset(Hdf5File(path), chunks={"sample": 100}) as again:
        assert narrowed(again, rows)["counts"].data.name == names[1]


@given(
    st.lists(st.integers(0, 300), max_size=200, unique=True),
    st.integers(1, 40),
    st.integers(1, 50),
    st.booleans(),
)
def test_blocks_cut_no_stored_chunk_where_they_need_not(rows, most, stored, in_order):
    rows = np.array(sorted(rows) if in_order else rows, dtype=np.intp)
    sizes = _sizes(rows, most, stored)
    assert sum(sizes) == len(rows)
    assert all(0 < size <= most for size in sizes) or sizes == (0,)
    ends = np.cumsum(sizes)[:-1]
    if in_order and stored <= most:
        assert all(rows[end - 1] // stored != rows[end] // stored for end in ends)
    if stored == 1:
        assert len(sizes) == max(1, -(-len(rows) // most))
