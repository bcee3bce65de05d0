"""Samples by series, by accession and by chance, against plain loops."""

import random
import re

import archs4_files
import numpy as np
import pytest
import xarray as xr

from intake_tcga.archs4.dataset import open_dataset
from intake_tcga.archs4.samples import Samples
from intake_tcga.archs4.selection import drawn, of_series, single_cells, with_accessions
from intake_tcga.errors import NameNotFoundError, OptionError
from intake_tcga.hdf5.file import Hdf5File

N = 40


@pytest.fixture
def samples(tmp_path):
    path = archs4_files.write_archs4(tmp_path / "file.h5", n_samples=N)
    with open_dataset(Hdf5File(path)) as ds:
        yield Samples(ds)


@pytest.mark.parametrize("version", archs4_files.VERSIONS)
def test_series_whatever_stands_between_them(tmp_path, version):
    path = archs4_files.write_archs4(tmp_path / "file.h5", version, n_samples=N)
    with open_dataset(Hdf5File(path)) as ds:
        texts = ds["series_id"].values.tolist()
        for wanted in (["GSE901"], ["GSE200"], ["GSE201", "GSE213"], ["GSE20"], ["GSE999999"]):
            expected = [
                row for row, text in enumerate(texts) if set(wanted) & set(re.findall(r"GSE\d+", text))
            ]
            assert of_series(Samples(ds), wanted).tolist() == expected
        assert of_series(Samples(ds), "GSE901").tolist() == of_series(Samples(ds), ["GSE901"]).tolist() != []


@pytest.mark.parametrize(
    "wrong", ["64016", "gse64016", "GSE", "GSE64016,GSE1", "GSM1", 64016, None, ["GSE1", "x"], []]
)
def test_what_is_no_series(samples, wrong):
    with pytest.raises(OptionError, match="GSE64016"):
        of_series(samples, wrong)


def test_samples_in_the_callers_order(samples):
    names = samples.accessions().to_pylist()
    rng = random.Random(0)
    wanted = rng.choices(names, k=100)
    assert with_accessions(samples, wanted).tolist() == [names.index(name) for name in wanted]
    assert with_accessions(samples, names[3]).tolist() == [3]
    assert with_accessions(samples, np.array(names[:2], dtype=object)).tolist() == [0, 1]
    assert with_accessions(samples, []).tolist() == []


def test_of_several_samples_with_one_accession_the_first_is_meant(samples):
    names = samples.accessions().to_pylist()
    doubled = Samples(samples._dataset.isel(sample=[5, 2, 5, 2]))
    assert with_accessions(doubled, [names[2], names[5], names[2]]).tolist() == [1, 0, 1]


def test_unknown_samples_are_named(samples):
    known = samples.accessions()[0].as_py()
    with pytest.raises(
        NameNotFoundError, match=r"2 of 3 samples are not here: GSM1, GSM2\. .*missing='ignore'"
    ):
        with_accessions(samples, ["GSM1", known, "GSM2", "GSM1"])
    with pytest.warns(UserWarning, match="GSM1, GSM2"):
        assert with_accessions(samples, ["GSM1", known, "GSM2"], "ignore").tolist() == [0]
    with pytest.raises(NameNotFoundError, match="and 90 more"):
        with_accessions(samples, [f"GSM{i}" for i in range(100)])
    with pytest.raises(OptionError, match="raise, ignore"):
        with_accessions(samples, ["GSM1"], "drop")


@pytest.mark.parametrize(
    ("wrong", "hint"), [("GSE64016", "series"), ("1158284", "GSM1158284"), (5, "GSM1158284"), ("", "GSM")]
)
def test_what_is_no_sample(samples, wrong, hint):
    with pytest.raises(OptionError, match=hint):
        with_accessions(samples, [wrong])


def test_all_that_are_no_samples_are_named(samples):
    known = samples.accessions()[0].as_py()
    with pytest.raises(
        OptionError, match=r"'GSE64016', '1158284' are not samples; .*GSM1158284.*series\("
    ) as caught:
        with_accessions(samples, ["GSE64016", known, "1158284", "GSM1"])
    assert "GSM1 " not in str(caught.value)
    for missing in ("raise", "ignore"):
        with pytest.raises(OptionError, match=r"5, None are not samples"):
            with_accessions(samples, [5, known, None], missing)
    with pytest.raises(OptionError, match="and 90 more are not samples"):
        with_accessions(samples, [f"SRR{i}" for i in range(100)])


def test_what_is_no_sample_is_left_out_where_that_is_asked_for(samples):
    known = samples.accessions()[0].as_py()
    with pytest.warns(
        UserWarning, match=r"3 of 4 samples are not here: GSE64016, , GSM1\. They are left out"
    ):
        assert with_accessions(samples, ["GSE64016", known, "", "GSM1"], "ignore").tolist() == [0]


def test_names_of_another_form_that_exist_are_found():
    ds = xr.Dataset(coords={"sample": ["mine", "yours"]})
    assert with_accessions(Samples(ds), ["yours"]).tolist() == [1]


def test_draws_depend_on_seed_and_names_alone(samples):
    names = samples.accessions().to_pylist()
    first = [names[at] for at in drawn(samples, 10, seed=1)]
    assert len(set(first)) == 10
    assert [names[at] for at in drawn(samples, 4, seed=1)] == first[:4]
    assert [names[at] for at in drawn(samples, 10, seed=2)] != first
    turned = Samples(samples._dataset.isel(sample=slice(None, None, -1)))
    assert [names[::-1][at] for at in drawn(turned, 10, seed=1)] == first
    state = np.random.get_state()[1].tolist(), random.getstate()
    drawn(samples, 5, seed=3)
    assert (np.random.get_state()[1].tolist(), random.getstate()) == state


def test_draws_among_single_cells_or_not(samples):
    probability = np.asarray(samples.column("singlecellprobability"))
    n = int((probability < 0.3).sum())
    assert (probability[drawn(samples, n, seed=1, single_cell=False, threshold=0.3)] < 0.3).all()
    assert (probability[drawn(samples, N - n, seed=1, single_cell=True, threshold=0.3)] >= 0.3).all()
    with pytest.raises(OptionError, match=f"n={n + 1}"):
        drawn(samples, n + 1, seed=1, single_cell=False, threshold=0.3)
    for wrong in ("false", 1):
        with pytest.raises(OptionError, match="single_cell="):
            drawn(samples, 1, seed=1, single_cell=wrong)


def test_single_cells_where_probabilities_are_missing():
    probabilities = np.array([0.2, None, 0.7, "", "0.1"], dtype=object)
    ds = xr.Dataset(coords={"sample": list("abcde"), "singlecellprobability": ("sample", probabilities)})
    assert np.flatnonzero(single_cells(Samples(ds), False, 0.5)).tolist() == [0, 4]
    assert np.flatnonzero(single_cells(Samples(ds), True, 0.5)).tolist() == [1, 2, 3]


def test_files_that_do_not_know_single_cells_say_so(tmp_path):
    path = archs4_files.write_archs4(tmp_path / "file.h5", "1.8")
    with open_dataset(Hdf5File(path)) as ds, pytest.raises(NameNotFoundError, match="singlecellprobability"):
        drawn(Samples(ds), 1, seed=1, single_cell=False)


def test_a_dataset_without_samples():
    with pytest.raises(OptionError, match="no dimension 'sample'"):
        Samples(xr.Dataset({"x": ("y", [1])}))
