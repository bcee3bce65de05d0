"""Pictures: what is drawn, and that wrong input is a sentence."""

import sys

import matplotlib
import numpy as np
import pytest
from cohort_files import write_rnaseq

from intake_tcga.cohorts.access import open_sample
from intake_tcga.cohorts.dataset import open_dataset
from intake_tcga.errors import MissingDependencyError, OptionError
from intake_tcga.plots import plot_pca

matplotlib.use("agg")


@pytest.fixture
def sample():
    return open_sample(normalization="TC", model="CVAE1_5")


def test_every_sample_is_a_point(sample):
    ax = plot_pca(sample)
    points = {collection.get_label(): len(collection.get_offsets()) for collection in ax.collections}
    assert sum(n for label, n in points.items() if "real" in label) == sample.sizes["sample"]
    assert sum(n for label, n in points.items() if "synthetic" in label) == sample.sizes["synthetic_sample"]


def test_points_are_the_first_two_principal_components(sample):
    real = sample["real"].to_numpy()
    centred = real - real.mean(axis=0)
    eigenvalues = np.sort(np.linalg.eigvalsh(centred.T @ centred))[::-1]
    drawn = np.concatenate([c.get_offsets() for c in plot_pca(sample).collections if "real" in c.get_label()])
    np.testing.assert_allclose((np.asarray(drawn) ** 2).sum(axis=0), eigenvalues[:2])


def test_dask_draws_the_same(sample):
    eager = plot_pca(sample).collections[0].get_offsets()
    lazy = plot_pca(open_sample(normalization="TC", model="CVAE1_5", chunks={})).collections[0].get_offsets()
    np.testing.assert_array_equal(eager, lazy)


def test_several_models_are_refused():
    with pytest.raises(OptionError, match="model"):
        plot_pca(open_sample(normalization="TC"))


def test_synthetic_samples_without_groups(tmp_path):
    path = write_rnaseq(tmp_path / "LAML_x.h5", synthetic_groups=False)
    ds = open_dataset(path).isel(normalization=0, augmentation=0, model=0)
    assert any(c.get_label().startswith("synthetic (") for c in plot_pca(ds).collections)


def test_too_few_samples(sample):
    with pytest.raises(OptionError, match="2 samples"):
        plot_pca(sample.isel(sample=[0]))


def test_without_matplotlib(sample, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(MissingDependencyError, match="pip install"):
        plot_pca(sample)
