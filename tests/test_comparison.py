"""Comparisons of synthetic with real samples, against scipy and plain loops."""

import math
import sys

import numpy as np
import pytest
import xarray as xr
from cohort_files import write_rnaseq

from intake_tcga.cohorts.access import open_sample
from intake_tcga.cohorts.dataset import open_dataset
from intake_tcga.comparison import compare, correlation_distance, kolmogorov_smirnov
from intake_tcga.errors import MissingDependencyError, OptionError

stats = pytest.importorskip("scipy.stats")  # scikit-learn depends on it


def pair(real, synthetic):
    return xr.Dataset(
        {"real": (("sample", "feature"), real), "synthetic": (("synthetic_sample", "feature"), synthetic)},
        {"feature": [f"f{number}" for number in range(np.shape(real)[1])]},
    )


@pytest.fixture
def random():
    return np.random.default_rng(0)


@pytest.fixture(scope="module")
def scores():
    return compare(open_sample(), model=["CVAE1_5", "CVAE1_10"])


def test_all_pairs_at_once(scores):
    ds = open_sample(model=["CVAE1_5", "CVAE1_10"])
    assert scores["ks"].dims == ("normalization", "model", "feature")
    assert scores["neighbour_score"].shape == (ds.sizes["normalization"], ds.sizes["model"])
    assert scores["kl_weight"].dims == ("model",)
    frame = scores.drop_dims("feature").to_dataframe()
    assert len(frame) == ds.sizes["normalization"] * ds.sizes["model"]
    assert (scores["n_real"] == ds.sizes["sample"]).all()


def test_one_pair_has_the_scores_that_it_has_among_all(scores):
    one = compare(open_sample(chunks={}), "TC", "CVAE1_5")
    xr.testing.assert_allclose(one, scores.sel(normalization="TC", model="CVAE1_5"))
    xr.testing.assert_identical(one, compare(open_sample(normalization="TC", model="CVAE1_5")))


def test_per_feature_as_scipy(scores):
    ds = open_sample(normalization="TC", model="CVAE1_10")
    x, y = ds["real"].values.astype(float), ds["synthetic"].values.astype(float)
    one = scores.sel(normalization="TC", model="CVAE1_10")
    expected = [stats.ks_2samp(x[:, j], y[:, j], method="asymp").statistic for j in range(x.shape[1])]
    np.testing.assert_allclose(one["ks"], expected, rtol=1e-12)
    means = [sum(y[:, j]) / len(y) / (sum(x[:, j]) / len(x)) for j in range(x.shape[1])]
    np.testing.assert_allclose(one["mean_ratio"], means, rtol=1e-9)
    np.testing.assert_allclose(one["variance_ratio"], stats.tvar(y) / stats.tvar(x), rtol=1e-9)


def test_ks_with_ties(random):
    x, y = random.integers(0, 3, (9, 20)).astype(float), random.integers(0, 4, (7, 20)).astype(float)
    for j, statistic in enumerate(kolmogorov_smirnov(x, y)):
        naive = max(abs((x[:, j] <= t).mean() - (y[:, j] <= t).mean()) for t in range(5))
        assert statistic == pytest.approx(naive, abs=1e-12)


@pytest.mark.parametrize("step", [1, 3, 100])
def test_correlation_distance_as_plain_loops(random, step):
    x, y = random.normal(size=(9, 7)), random.normal(size=(12, 7))
    squares = [
        (stats.pearsonr(x[:, i], x[:, j]).statistic - stats.pearsonr(y[:, i], y[:, j]).statistic) ** 2
        for i in range(7)
        for j in range(i)
    ]
    expected = math.sqrt(sum(squares) / len(squares))
    assert correlation_distance(x, y, step=step) == pytest.approx(expected, rel=1e-9)
    x = np.column_stack([x, np.ones(9)])
    y = np.column_stack([y, random.normal(size=12)])
    assert correlation_distance(x, y, step=step) == pytest.approx(expected, rel=1e-9)


def test_neighbours_as_plain_loops(random):
    x, y = random.normal(size=(8, 3)), random.normal(1, 2, size=(8, 3))
    every = (np.concatenate([x, y]) - x.mean(axis=0)) / x.std(axis=0, ddof=1)
    kinds = [0] * 8 + [1] * 8
    same = 0
    for i in range(16):
        others = sorted((math.dist(every[i], every[j]), j) for j in range(16) if j != i)[:5]
        same += sum(kinds[j] == kinds[i] for _, j in others)
    assert compare(pair(x, y))["neighbour_score"].item() == pytest.approx(same / 80)


def test_scores_tell_the_same_from_others_and_copies(random):
    x = random.normal(size=(300, 10))
    same = compare(pair(x, random.normal(size=(400, 10))))
    assert same["neighbour_score"] == pytest.approx(0.5, abs=0.04)
    assert same["classifier_score"] == pytest.approx(0.5, abs=0.08)
    apart = compare(pair(x, random.normal(9, 1, size=(300, 10))))
    assert apart["neighbour_score"].item() == 1
    assert apart["classifier_score"].item() == 1
    copies = compare(pair(x, x + 1e-6))
    assert copies["neighbour_score"] < 0.48
    assert copies["correlation_distance"].item() == pytest.approx(0, abs=1e-6)


def test_seeds_repeat(random):
    ds = pair(random.normal(size=(30, 4)), random.normal(0.3, 1, size=(50, 4)))
    xr.testing.assert_identical(compare(ds, seed=3), compare(ds, seed=3))
    assert compare(ds, seed=3)["classifier_score"] != compare(ds, seed=4)["classifier_score"]
    state = np.random.get_state()[1].tolist()
    compare(ds)
    assert np.random.get_state()[1].tolist() == state


def test_what_is_missing_is_left_out(random):
    x, y = random.normal(size=(20, 4)), random.normal(size=(20, 4))
    whole = compare(pair(x, y))
    gaps, rows = x.copy(), np.vstack([x, np.full((1, 4), np.nan)])
    gaps[3, 0] = np.nan
    without = compare(pair(gaps, y))
    assert without["n_features"].item() == 3
    assert np.isnan(without["ks"][0])
    np.testing.assert_array_equal(without["ks"][1:], whole["ks"][1:])
    xr.testing.assert_identical(compare(pair(rows, y)), whole)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("shape", [(0, 3), (1, 3), (5, 3), (20, 1), (20, 0)])
def test_too_little_to_compare(random, shape):
    scores = compare(pair(random.normal(size=shape), random.normal(size=(9, shape[1]))))
    assert np.isnan(scores["correlation_distance"]) == (min(shape) < 2)
    assert np.isnan(scores["neighbour_score"]) == (shape[0] < 6 or not shape[1])


@pytest.mark.filterwarnings("error")
def test_constant_features(random):
    scores = compare(pair(np.full((9, 2), 0.1), random.normal(size=(9, 2))))
    assert np.isnan(scores["variance_ratio"]).all()
    assert np.isnan(scores["correlation_distance"])
    assert np.isnan(scores["neighbour_score"])


def test_rnaseq_cohorts(tmp_path):
    ds = open_dataset(write_rnaseq(tmp_path / "LAML_x.h5"))
    ds = ds.isel(normalization=[0], model=[0])
    assert compare(ds)["neighbour_score"].dims == ("normalization", "augmentation", "model")


def test_wrong_options_say_what_is_right(monkeypatch):
    ds = open_sample()
    with pytest.raises(OptionError, match="TC"):
        compare(ds, "TMMM")
    with pytest.raises(OptionError, match="CVAE1_5, CVAE1_10"):
        compare(ds, model=["CVAE1_5", "GAN"])
    with pytest.raises(OptionError, match="seed"):
        compare(ds, seed=0.5)
    with pytest.raises(OptionError, match="no synthetic"):
        compare(ds.drop_vars("synthetic"))
    monkeypatch.setitem(sys.modules, "sklearn.neighbors", None)
    with pytest.raises(MissingDependencyError, match=r"intake-tcga\[compare\]"):
        compare(ds)
