"""Pictures: what is drawn equals what naive code computes, and wrong input is a sentence."""

import sys
import warnings

import matplotlib
import numpy as np
import pytest
import xarray as xr
from cohort_files import write_rnaseq
from matplotlib import pyplot as plt

from intake_tcga import plots
from intake_tcga.archs4.access import open_archs4
from intake_tcga.cohorts.access import open_sample
from intake_tcga.cohorts.dataset import open_dataset
from intake_tcga.comparison import compare
from intake_tcga.errors import MissingDependencyError, NameNotFoundError, OptionError
from intake_tcga.plots.canvas import colours, log_ticks
from intake_tcga.slides.opening import open_slide

matplotlib.use("agg")
matplotlib.rcParams["figure.dpi"] = 40  # what is drawn is checked, not its pixels


@pytest.fixture(autouse=True)
def _drawn_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
        for number in plt.get_fignums():
            plt.figure(number).canvas.draw()
    plt.close("all")


@pytest.fixture
def sample():
    return open_sample(normalization="TC", model="CVAE1_5")


@pytest.fixture
def counts(sample_archs4):
    with open_archs4(sample_archs4) as ds:
        yield ds


def made_up(n_samples, n_features, **coords):
    """Return a Dataset of one matrix of normal numbers."""
    values = np.random.default_rng(0).normal(size=(n_samples, n_features)) * np.arange(1, n_features + 1)
    features = [f"f{n}" for n in range(n_features)]
    return xr.Dataset({"level": (("sample", "feature"), values)}, {"feature": features, **coords})


def offsets(ax, word):
    return np.concatenate([np.asarray(c.get_offsets()) for c in ax.collections if word in c.get_label()])


@pytest.mark.parametrize(
    "draw", ["plot_pca", "plot_mean_variance", "plot_correlations", "plot_heatmap", "plot_feature"]
)
def test_coordinates_over_dask(draw):
    """As a Zarr store is opened, or a Dataset chunked whole: what was selected is over dask, too."""
    ds = open_sample().chunk().sel(normalization="TC", model="CVAE1_5")
    assert ds["transform"].chunks is not None
    getattr(plots, draw)(ds, *(["hsa.let.7a.1"] if draw == "plot_feature" else []))


class TestPca:
    def test_every_sample_is_a_point(self, sample):
        ax = plots.plot_pca(sample)
        assert len(offsets(ax, "real")) == sample.sizes["sample"]
        assert len(offsets(ax, "synthetic")) == sample.sizes["synthetic_sample"]

    def test_points_are_the_first_two_principal_components(self, sample):
        real = sample["real"].to_numpy()
        centred = real - real.mean(axis=0)
        eigenvalues = np.sort(np.linalg.eigvalsh(centred.T @ centred))[::-1]
        ax = plots.plot_pca(sample)
        np.testing.assert_allclose((offsets(ax, "real") ** 2).sum(axis=0), eigenvalues[:2])
        assert f"{100 * eigenvalues[0] / eigenvalues.sum():.0f} %" in ax.get_xlabel()

    def test_more_features_than_samples(self):
        ds = made_up(7, 40)
        centred = ds["level"].to_numpy() - ds["level"].to_numpy().mean(axis=0)
        u, s, _ = np.linalg.svd(centred)
        drawn = offsets(plots.plot_pca(ds), "samples")
        np.testing.assert_allclose(np.abs(drawn), np.abs(u[:, :2] * s[:2]))

    def test_only_the_most_variable_features(self):
        ds = made_up(50, 9)
        most = ds.isel(feature=slice(4, None))
        np.testing.assert_allclose(
            offsets(plots.plot_pca(ds, features=5), "samples"), offsets(plots.plot_pca(most), "samples")
        )

    def test_dask_draws_the_same(self, sample):
        lazy = open_sample(normalization="TC", model="CVAE1_5", chunks={"sample": 10, "synthetic_sample": 9})
        np.testing.assert_allclose(offsets(plots.plot_pca(sample), "e"), offsets(plots.plot_pca(lazy), "e"))

    def test_counts_are_made_comparable(self, counts):
        values = counts["counts"].to_numpy().astype(float)
        values = np.log2(1 + values / values.sum(axis=1, keepdims=True) * 1e6)
        _, s, _ = np.linalg.svd(values - values.mean(axis=0))
        drawn = offsets(plots.plot_pca(counts), "samples")
        np.testing.assert_allclose((drawn**2).sum(axis=0), s[:2] ** 2)

    def test_samples_of_which_nothing_is_known(self, sample):
        real = sample["real"].copy(data=sample["real"].to_numpy())
        real[3] = np.nan
        kept = np.delete(np.arange(77), 3)
        ax = plots.plot_pca(sample.assign(real=real))
        bx = plots.plot_pca(sample.isel(sample=kept))
        np.testing.assert_allclose(offsets(ax, "synthetic"), offsets(bx, "synthetic"))

    def test_coloured_by_a_coordinate(self):
        ds = made_up(6, 3, tissue=("sample", ["lung", "lung", "liver", None, "liver", "lung"]))
        ax = plots.plot_pca(ds, color="tissue")
        assert [c.get_label() for c in ax.collections] == ["liver (2)", "lung (3)", "unknown (1)"]
        with pytest.raises(OptionError, match="tissue"):
            plots.plot_pca(ds, color="organ")

    def test_several_models_are_refused(self):
        with pytest.raises(OptionError, match="model"):
            plots.plot_pca(open_sample(normalization="TC"))

    def test_synthetic_samples_without_groups(self, tmp_path):
        path = write_rnaseq(tmp_path / "LAML_x.h5", synthetic_groups=False)
        with open_dataset(path) as ds:
            ax = plots.plot_pca(ds.isel(normalization=0, augmentation=0, model=0))
        assert any(c.get_label().startswith("synthetic (") for c in ax.collections)

    def test_too_few_samples(self, sample):
        with pytest.raises(OptionError, match="2 samples"):
            plots.plot_pca(sample.isel(sample=[0]))

    def test_more_than_memory_should_hold(self):
        import dask.array as da

        values = da.zeros((2_000_000, 100), chunks=(500_000, 100), dtype="f4")
        ds = xr.Dataset({"level": (("sample", "feature"), values)})
        with pytest.raises(OptionError, match="choose fewer"):
            plots.plot_pca(ds)


class TestMeanVariance:
    def test_each_feature_is_a_point(self, sample):
        left, right = plots.plot_mean_variance(sample).axes
        real, synthetic = sample["real"].to_numpy(), sample["synthetic"].to_numpy()
        np.testing.assert_allclose(
            left.collections[0].get_offsets(), np.stack([real.mean(axis=0), synthetic.mean(axis=0)], axis=1)
        )
        np.testing.assert_allclose(
            right.collections[0].get_offsets(),
            np.stack([real.var(axis=0, ddof=1), synthetic.var(axis=0, ddof=1)], axis=1),
        )
        assert (right.get_xscale(), right.get_yscale()) == ("log", "log")

    def test_constant_features_are_counted(self, sample):
        real = sample["real"].copy(data=sample["real"].to_numpy())
        real[:, :2] = 0.1
        _, right = plots.plot_mean_variance(sample.assign(real=real)).axes
        assert len(right.collections[0].get_offsets()) == 118
        assert right.get_title("right") == "118 features, 2 constant ones left out"

    def test_dask_and_a_given_figure(self):
        ds = open_sample(normalization="TC", model="CVAE1_5", chunks={"sample": 20})
        figure = plt.figure()
        assert plots.plot_mean_variance(ds, figure=figure) is figure
        np.testing.assert_allclose(
            figure.axes[0].collections[0].get_offsets()[:, 0], ds["real"].to_numpy().mean(axis=0)
        )

    def test_nothing_known(self, sample):
        with pytest.raises(OptionError, match="No feature"):
            plots.plot_mean_variance(sample.assign(real=sample["real"] * np.nan))

    def test_without_synthetic_samples(self, sample):
        with pytest.raises(OptionError, match="no synthetic"):
            plots.plot_mean_variance(sample.drop_vars("synthetic"))


class TestCorrelations:
    @pytest.mark.parametrize("at_once", [256, 7])
    def test_each_pair_is_counted_once(self, sample, monkeypatch, at_once):
        monkeypatch.setattr("intake_tcga.plots.correlations._AT_ONCE", at_once)
        ax = plots.plot_correlations(sample)
        upper = np.triu_indices(120, 1)
        x, y = (np.corrcoef(sample[name].to_numpy().T)[upper] for name in ("real", "synthetic"))
        naive = np.histogram2d(x, y, bins=80, range=((-1, 1), (-1, 1)))[0]
        drawn = np.ma.filled(ax.collections[0].get_array(), 0).reshape(80, 80).T
        assert drawn.sum() == 120 * 119 / 2
        assert np.abs(drawn - naive).sum() <= 4  # a rounding at the edge of a bin
        assert f"r = {np.corrcoef(x, y)[0, 1]:.2f}" in ax.get_title("left")

    def test_constant_features_are_left_out(self, sample):
        real = sample["real"].copy(data=sample["real"].to_numpy())
        real[:, 0] = 5
        assert "over 7,021 pairs" in plots.plot_correlations(sample.assign(real=real)).get_title("left")

    def test_too_few(self, sample):
        with pytest.raises(OptionError, match="3 samples"):
            plots.plot_correlations(sample.isel(sample=[0, 1]))


class TestGroups:
    def test_shares(self):
        ds = open_sample()
        ax = plots.plot_groups(ds)
        tumor = (ds["group"].to_numpy() == "Tumor").mean()
        bars = {container.get_label(): [bar.get_width() for bar in container] for container in ax.containers}
        assert bars["Tumor"][1] == pytest.approx(100 * tumor)
        assert np.sum(list(bars.values()), axis=0) == pytest.approx([100, 100, 100])

    def test_runs_that_differ_get_a_bar_each(self):
        labels = xr.DataArray(
            [["A", "B"], ["A", "A"]], dims=("model", "synthetic_sample"), coords={"model": ["m1", "m2"]}
        )
        ds = xr.Dataset(coords={"synthetic_group": labels})
        names = [label.get_text() for label in plots.plot_groups(ds).get_yticklabels()]
        assert names == ["synthetic m1 (2)", "synthetic m2 (2)"]

    def test_without_groups(self):
        with pytest.raises(OptionError, match="no groups"):
            plots.plot_groups(made_up(3, 3))

    def test_many_groups_have_colours(self):
        assert len(set(colours(f"g{n}" for n in range(9)).values())) == 7


class TestHeatmap:
    def test_values_are_z_scores_of_the_most_variable(self, sample):
        figure = plots.plot_heatmap(sample, features=10)
        drawn = np.asarray(figure.axes[0].images[0].get_array())
        real = sample["real"].to_numpy()
        variance = real.var(axis=0, ddof=1)
        names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
        assert set(names) == set(sample["feature"].to_numpy()[np.argsort(-variance)[:10]])
        at = sample["feature"].to_numpy().tolist().index(names[0])
        z = (real[:, at] - real[:, at].mean()) / real[:, at].std(ddof=1)
        np.testing.assert_allclose(np.sort(drawn[0]), np.sort(z))

    def test_groups_are_together_and_named(self, sample):
        figure = plots.plot_heatmap(sample)
        assert [text.get_text() for text in figure.axes[-1].texts] == ["Normal", "Tumor"]
        strip = np.asarray(figure.axes[-1].images[0].get_array())[0]
        assert (np.abs(np.diff(strip, axis=0)).sum(axis=1) > 0).sum() == 1

    def test_counts_over_dask_by_symbol(self, counts):
        figure = plots.plot_heatmap(counts.chunk({"sample": 7}), features=5)
        names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
        assert set(names) <= set(counts["symbol"].to_numpy())

    def test_other_variables(self, sample):
        figure = plots.plot_heatmap(sample, variable="raw", features=5)
        assert figure.axes[0].images[0].get_array().shape == (5, 80)
        assert plots.plot_heatmap(sample["real"], features=3).axes

    def test_nothing_varies(self):
        with pytest.raises(OptionError, match="varies"):
            plots.plot_heatmap(made_up(5, 3) * 0)


class TestLibrarySizes:
    def test_a_bar_is_a_sum(self, counts):
        ax = plots.plot_library_sizes(counts.chunk({"sample": 4, "feature": 100}))
        sums = np.sort(counts["counts"].to_numpy().sum(axis=1))[::-1] / 1e3
        np.testing.assert_allclose([bar.get_height() for bar in ax.patches], sums)
        assert ax.get_ylabel() == "library size [thousand reads]"

    def test_cohorts_have_raw_counts_with_groups(self, sample):
        labels = [text.get_text() for text in plots.plot_library_sizes(sample).get_legend().get_texts()]
        assert labels == ["Normal (20)", "Tumor (60)"]

    def test_many_samples_are_a_histogram(self):
        values = np.random.default_rng(0).integers(0, 9, (500, 4)).astype("u4")
        values[:3] = 0
        ax = plots.plot_library_sizes(xr.Dataset({"counts": (("sample", "feature"), values)}))
        assert sum(bar.get_height() for bar in ax.patches) == (values.sum(axis=1) > 0).sum()
        assert ax.texts

    def test_what_is_no_counts(self, sample):
        with pytest.raises(OptionError, match="no counts"):
            plots.plot_library_sizes(sample, variable="real")


class TestMetadata:
    def test_values_are_counted(self):
        ds = xr.Dataset(coords={"tissue": ("sample", ["a", "b", "a", "", "c", "a", "b"])})
        ax = plots.plot_metadata(ds, "tissue", top=2)
        assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b", "2 other values"]
        assert [bar.get_width() for bar in ax.patches] == [3, 2, 2]

    def test_numbers_are_a_histogram(self):
        depth = np.append(np.arange(100.0), np.nan)
        ax = plots.plot_metadata(xr.Dataset(coords={"depth": ("sample", depth)}), "depth")
        assert sum(bar.get_height() for bar in ax.patches) == 100
        assert "1 samples have none" in ax.get_xlabel()

    def test_dates(self):
        days = np.array(["2020-01-01", "2020-01-01", "NaT"], dtype="M8[ns]")
        assert plots.plot_metadata(xr.Dataset(coords={"day": ("sample", days)}), "day").patches

    def test_no_such_field(self, counts):
        with pytest.raises(NameNotFoundError, match="source_name_ch1"):
            plots.plot_metadata(counts, "tissue")


class TestFeature:
    def test_boxes_have_the_medians(self, sample):
        ax = plots.plot_feature(sample, "hsa.mir.21")
        naive = [
            np.median(sample[name].sel(feature="hsa.mir.21").to_numpy()[sample[group].to_numpy() == label])
            for label in ("Normal", "Tumor")
            for name, group in (("real", "group"), ("synthetic", "synthetic_group"))
        ]
        drawn = [line.get_ydata()[0] for line in ax.lines if line.get_linewidth() == 1.8]
        np.testing.assert_allclose(drawn, naive)
        ticks = [label.get_text() for label in ax.get_xticklabels()]
        assert ticks[1] == "Normal\nsynthetic\nn = 26"

    def test_by_symbol(self, counts):
        assert plots.plot_feature(counts, "PFKL").get_ylabel() == "PFKL [log2(counts per million + 1)]"

    def test_no_such_feature(self, sample):
        with pytest.raises(NameNotFoundError, match=r"did you mean hsa\.mir\.21\b"):
            plots.plot_feature(sample, "hsa-mir-21")


def scores(**choices):
    """Return what a comparison might have found, for the choices and two features."""
    sizes = tuple(len(names) for names in choices.values())
    random = np.random.default_rng(0)
    variables = {
        name: (tuple(choices), random.uniform(0, 1, sizes))
        for name in ("correlation_distance", "neighbour_score", "classifier_score", "n_real")
    }
    variables |= {
        name: ((*choices, "feature"), random.uniform(0.1, 3, (*sizes, 2)))
        for name in ("ks", "mean_ratio", "variance_ratio")
    }
    return xr.Dataset(variables, {name: list(names) for name, names in choices.items()})


class TestComparison:
    COLUMNS = ("ks", "mean_ratio", "variance_ratio")
    OTHERS = ("correlation_distance", "neighbour_score", "classifier_score")

    def test_numbers_are_the_scores(self):
        found = scores(normalization=["TC", "raw"], model=["A", "B", "C"])
        ax = plots.plot_comparison(found.transpose("model", "feature", "normalization")).axes[0]
        names = [label.get_text() for label in ax.get_yticklabels()]
        assert names == ["TC · A", "TC · B", "TC · C", "raw · A", "raw · B", "raw · C"]
        said = np.array([text.get_text() for text in ax.texts]).reshape(6, 6)
        for row, name in enumerate(names):
            one = found.sel(dict(zip(("normalization", "model"), name.split(" · "), strict=True)))
            expected = [np.median(one[column]) for column in self.COLUMNS] + [
                float(one[column]) for column in self.OTHERS
            ]
            assert said[row].tolist() == [f"{value:.2f}" for value in expected]

    def test_colours_are_distances_from_the_best(self):
        found = scores(model=["A", "B", "C"])
        ax = plots.plot_comparison(found).axes[0]
        ks, mean, variance, correlation, neighbours, classifier = np.asarray(ax.images[0].get_array()).T
        np.testing.assert_allclose(ks, found["ks"].median("feature"))
        np.testing.assert_allclose(2 * mean, np.abs(np.log2(found["mean_ratio"].median("feature"))))
        np.testing.assert_allclose(2 * variance, np.abs(np.log2(found["variance_ratio"].median("feature"))))
        np.testing.assert_allclose(correlation, found["correlation_distance"])
        np.testing.assert_allclose(neighbours / 2, np.abs(found["neighbour_score"] - 0.5))
        np.testing.assert_allclose(classifier / 2, np.abs(found["classifier_score"] - 0.5))

    def test_the_nearest_is_framed(self):
        found = scores(model=["A", "B", "C"])[["ks", "classifier_score"]]
        found["ks"][:] = [[0.1, 0.1], [0.0, 0.0], [0.5, 0.5]]
        found["classifier_score"][:] = [0.9, 0.2, 0.75]
        ax = plots.plot_comparison(found).axes[0]
        framed = [frame.get_center().round(6).tolist() for frame in ax.patches]
        assert framed == [[0, 1], [1, 2]]
        headings = [label.get_text().split("\n")[-1] for label in ax.get_xticklabels()]
        assert headings == ["best 0", "best 0.5"]

    def test_missing_scores_have_a_dash(self):
        found = scores(model=["A", "B"])
        found["neighbour_score"][:] = np.nan
        ax = plots.plot_comparison(found).axes[0]
        assert [text.get_text() for text in ax.texts].count("–") == 2
        assert len(ax.patches) == 5

    def test_a_single_pair_is_in_the_title(self):
        found = scores(normalization=["TC"], model=["A"]).assign_attrs(dataset_name="PRAD")
        ax = plots.plot_comparison(found).axes[0]
        assert ax.get_title("left") == "PRAD · TC · A"
        assert len(ax.texts) == 6
        assert not ax.patches

    def test_of_the_sample(self):
        found = compare(open_sample(), "TC", ["CVAE1_5", "CVAE1_20"])
        ax = plots.plot_comparison(found).axes[0]
        assert [label.get_text() for label in ax.get_yticklabels()] == ["CVAE1_5", "CVAE1_20"]
        assert ax.texts[5].get_text() == f"{float(found['classifier_score'][0]):.2f}"

    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            (xr.Dataset(), "compare"),
            (scores(cohort=["A", "B"]), "cohort"),
            (scores(model=[f"m{n}" for n in range(61)]), "61 pairs"),
            (scores(model=["A"]).isel(model=[]), "0 pairs"),
        ],
    )
    def test_what_is_no_table_of_scores(self, wrong, said):
        with pytest.raises(OptionError, match=said):
            plots.plot_comparison(wrong)


class TestSlide:
    def test_an_image_with_its_bar(self, sample_slide):
        image = open_slide(sample_slide, mpp=8)
        ax = plots.plot_slide(image)
        np.testing.assert_array_equal(ax.images[0].get_array(), image["image"].to_numpy())
        assert ax.images[0].get_extent() == pytest.approx([0, 8 * image.sizes["x"], 8 * image.sizes["y"], 0])
        bar = ax.patches[1]
        assert (bar.get_width(), ax.texts[0].get_text()) == (200, "200 µm")

    def test_a_tree_over_dask(self, sample_slide):
        tree = open_slide(sample_slide, chunks={})
        assert plots.plot_slide(tree).get_title("left") == "CMU-1-Small-Region.svs"
        assert plots.plot_slide(tree["scale0"]["image"], title="here").get_title("left") == "here"

    def test_pixels_have_no_bar(self, sample_slide):
        assert not plots.plot_slide(open_slide(sample_slide, associated="thumbnail")).texts

    def test_too_large(self):
        import dask.array as da

        image = xr.DataArray(da.zeros((9000, 9000, 3), dtype="u1"), dims=("y", "x", "c"))
        with pytest.raises(OptionError, match="mpp="):
            plots.plot_slide(image)

    @pytest.mark.parametrize("wrong", [xr.Dataset(), xr.DataArray([1]), xr.DataTree()])
    def test_no_image(self, wrong):
        with pytest.raises(OptionError, match="open_slide"):
            plots.plot_slide(wrong)


@pytest.mark.parametrize("name", plots.__all__)
def test_without_matplotlib(sample, monkeypatch, name):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    arguments = {"plot_feature": ["hsa.mir.21"], "plot_metadata": ["group"]}.get(name, [])
    with pytest.raises(MissingDependencyError, match="pip install"):
        getattr(plots, name)(sample, *arguments)


@pytest.mark.parametrize("name", plots.__all__)
def test_axes_that_are_given_are_drawn_on(sample, sample_slide, name):
    figure = plt.figure(layout="constrained")
    arguments = {"plot_feature": ["hsa.mir.21"], "plot_metadata": ["group"]}.get(name, [])
    data = {"plot_slide": open_slide(sample_slide, mpp=8), "plot_comparison": scores(model=["A"])}.get(
        name, sample
    )
    if name in {"plot_mean_variance", "plot_heatmap", "plot_comparison"}:
        assert getattr(plots, name)(data, *arguments, figure=figure) is figure
    else:
        ax = figure.add_subplot()
        assert getattr(plots, name)(data, *arguments, ax=ax) is ax
    assert plt.get_fignums() == [figure.number]


class TestManyGroups:
    @pytest.fixture
    def many(self):
        groups = [f"stage {at % 12}" for at in range(60)] + ["stage 3"] * 5
        return made_up(65, 8, group=("sample", groups))

    def test_the_rest_is_one_entry(self, many):
        for ax in (plots.plot_groups(many), plots.plot_pca(many)):
            names = [text.get_text().partition(" (")[0] for text in ax.get_legend().get_texts()]
            assert len(names) == 7
            assert "stage 3" in names  # the largest
            assert names[-1] == "others"

    def test_labels_do_not_overlap(self, many):
        ax = plots.plot_feature(
            many.assign_coords(group=("sample", ["a group of a very long name"] * 65)), "f1"
        )
        assert ax.get_xticklabels()[0].get_text() == "a group of a\nvery long name\nn = 65"

    def test_long_names_that_begin_alike_stay_apart(self):
        name = "a" * 40
        ds = made_up(4, 3, group=("sample", [f"{name}1", f"{name}1", f"{name}2", f"{name}2"]))
        assert len(plots.plot_pca(ds).get_legend().get_texts()) == 2


@pytest.mark.parametrize(("low", "high", "labels"), [(3, 7, {"4"}), (1, 40, {"2", "5", "10"})])
def test_logarithmic_axes_have_few_plain_numbers(low, high, labels):
    ax = plt.figure().add_subplot()
    ax.set(xscale="log", xlim=(low, high))
    log_ticks(ax.xaxis)
    ax.figure.canvas.draw()
    shown = [text.get_text() for text in ax.get_xticklabels() if low <= text.get_position()[0] <= high]
    assert labels <= set(shown)
    assert len(shown) <= 7
    assert not any(text.get_text() for text in ax.get_xticklabels(minor=True))


def test_the_unit_of_the_second_schema(tmp_path):
    path = tmp_path / "x.h5"
    write_rnaseq(path)
    with open_dataset(path) as ds:
        one = ds.isel(normalization=0, model=0, augmentation=0)
        assert plots.plot_mean_variance(one).axes[0].get_xlabel() == "mean, real [log2]"


def test_scores_over_dask():
    scores = xr.Dataset({"ks": (("model", "feature"), np.array([[0.1, 0.3, 0.2], [0.5, 0.4, 0.6]]))}).chunk()
    ax = plots.plot_comparison(scores.chunk({"feature": 1})).axes[0]
    assert [text.get_text() for text in ax.texts] == ["0.20", "0.50"]


def test_all_that_are_shown_nearest_are_framed():
    def frames(scores):
        ax = plots.plot_comparison(xr.Dataset({"classifier_score": ("model", scores)})).axes[0]
        return len(ax.patches), ax.get_xlabel()

    assert frames([0.71, 0.712, 0.9])[0] == 2
    assert frames([1.0, 1.0, 0.999]) == (0, "darker: farther from the real samples")
    assert frames([0.7])[0] == 0
