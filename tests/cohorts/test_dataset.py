"""Cohort files → Datasets, against a naive reader."""

import math
import pickle

import h5py
import hypothesis.strategies as st
import naive_cohort
import numpy as np
import pytest
import xarray as xr
from cohort_files import barcodes, write_mirna, write_rnaseq
from hypothesis import HealthCheck, given, settings

from intake_tcga.cohorts.dataset import open_dataset
from intake_tcga.cohorts.sample import catalogs_folder
from intake_tcga.errors import OptionError
from intake_tcga.hdf5 import chunks

SAMPLE = catalogs_folder() / "sample" / "PRAD_sample_type.h5"


def same(array, expected):
    assert array.dtype.kind == expected.dtype.kind
    np.testing.assert_array_equal(array, expected)


def check_against_naive(path):
    """Compare every value of the Dataset with what plain h5py reads."""
    with h5py.File(path) as file, open_dataset(path) as ds:
        for norm, group in file["processed"].items():
            own = naive_cohort.names(group["feature_names"])
            real = ds["real"].sel(normalization=norm)
            same(
                real.isel(feature=[list(ds.feature.values).index(n) for n in own]).values,
                group["expression"][()],
            )
            if "groups" in group and group["groups"].dtype.kind == "O":
                read = ds["group"].values.tolist()
                expected = naive_cohort.names(group["groups"])
                assert [x if isinstance(x, str) else "nan" for x in read] == expected
        for labels, run, features in naive_cohort.runs(file):
            synthetic = ds["synthetic"].sel(labels)
            assert list(synthetic.feature.values) == features
            same(synthetic.values, run["expression"][()])
            if "groups" in run and run["groups"].dtype.kind == "O":
                assert synthetic["synthetic_group"].values.tolist() == naive_cohort.names(run["groups"])
            assert synthetic["kl_weight"].item() == run.attrs["kl_weight"]
            assert synthetic["epochs_trained"].item() == run.attrs["epochs_trained"]
        if "raw" in file:
            same(ds["raw"].values, file["raw/expression"][()])
            assert list(ds.raw_feature.values) == naive_cohort.names(file["raw/feature_names"])
            if "sample_ids" in file["raw"]:
                assert list(ds.raw_sample.values) == naive_cohort.names(file["raw/sample_ids"])


def test_the_real_sample():
    check_against_naive(SAMPLE)


STRINGS = st.sampled_from([
    None, h5py.string_dtype("ascii"), h5py.string_dtype("utf-8", 60), h5py.string_dtype("ascii", 60),
])  # fmt: skip
STORAGE = {
    "chunks": st.one_of(st.just(True), st.just(None), st.tuples(st.integers(1, 9), st.integers(1, 9))),
    "compression": st.sampled_from(["gzip", None, "lzf", 9]),
    "shuffle": st.booleans(),
    "string_dtype": STRINGS,
    "seed": st.integers(0, 99),
}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(options=st.fixed_dictionaries({
    **STORAGE, "n_raw": st.integers(0, 12), "n_samples": st.integers(0, 12), "n_raw_features": st.integers(0, 14),
    "n_features": st.integers(0, 14), "n_synthetic": st.integers(0, 9), "fletcher32": st.booleans(),
    "dtype": st.sampled_from(["f8", "f4", ">f8", "i4", "u2"]), "userblock_size": st.sampled_from([0, 512]),
    "normalizations": st.sampled_from([("raw_norm", "TC", "DESeq"), ("TC",), ("DESeq", "other")]),
    "models": st.sampled_from([("CVAE1_5", "CVAE1_20"), ("GAN_7",), ("CVAE1_5", "mine")]),
    "sample_ids": st.booleans(), "groups": st.booleans(),
    "libver": st.sampled_from([None, "latest"]),
}))  # fmt: skip
def test_any_mirna_file(tmp_path, options):
    if not options["chunks"]:
        options["fletcher32"] = options["shuffle"] = False
        options["compression"] = None
    options["n_samples"] = min(options["n_samples"], options["n_raw"])
    options["n_features"] = min(options["n_features"], options["n_raw_features"])
    check_against_naive(write_mirna(tmp_path / "any.h5", **options))


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(options=st.fixed_dictionaries({
    **STORAGE, "n_samples": st.integers(0, 12), "n_features": st.integers(0, 14), "n_synthetic": st.integers(0, 9),
    "synthetic_groups": st.booleans(), "models": st.sampled_from([("CVAE1-50", "CVAE1-100"), ("VAE1-200",)]),
    "off_augs": st.sampled_from([("none", "AE_head"), ("none",), ("AE_head", "new")]),
}))  # fmt: skip
def test_any_rnaseq_file(tmp_path, options):
    check_against_naive(write_rnaseq(tmp_path / "any.h5", **options))


def test_the_data_model_of_schema_1():
    with open_dataset(SAMPLE) as ds:
        assert ds["real"].dims == ("normalization", "sample", "feature")
        assert ds["synthetic"].dims == ("normalization", "model", "synthetic_sample", "feature")
        assert ds["raw"].dims == ("raw_sample", "raw_feature")
        assert {name: ds[name].dims for name in ("group", "raw_group", "kl_weight", "epochs_trained")} == {
            "group": ("sample",), "raw_group": ("raw_sample",), "kl_weight": ("model",),
            "epochs_trained": ("normalization", "model"),
        }  # fmt: skip
        assert ds["normalization_method"].dims == ds["transform"].dims == ("normalization",)
        assert list(ds.normalization.values) == ["raw_norm", "TC", "DESeq"]
        assert list(ds.model.values) == ["CVAE1_5", "CVAE1_10", "CVAE1_20"]
        assert ds["synthetic"].attrs["random_seed"] == 42


def test_the_data_model_of_schema_2(tmp_path):
    with open_dataset(write_rnaseq(tmp_path / "r.h5")) as ds:
        assert ds["synthetic"].dims == (
            "normalization",
            "augmentation",
            "model",
            "synthetic_sample",
            "feature",
        )
        assert "raw" not in ds
        assert list(ds.augmentation.values) == ["none", "AE_head"]
        assert list(ds.model.values) == ["CVAE1-50", "CVAE1-100", "CVAE1-200"]  # by kl_weight, not by name
        assert ds["split"].dims == ("sample",)
        assert list(ds.sample.values) == barcodes(11, "-")
        assert ds["AE_head_num"].dims == ("augmentation",)
        np.testing.assert_array_equal(ds["AE_head_num"], [math.nan, 2])
        assert ds["real"].dtype == ds["synthetic"].dtype == "f4"


def values_of(ds):
    """Collect everything that a Dataset says, by name."""
    said = {}
    for attrs in [ds.attrs, *(variable.attrs for variable in ds.variables.values())]:
        for name, value in attrs.items():
            said.setdefault(str(name), []).append(value)
    for name, coord in ds.coords.items():
        said.setdefault(str(name), []).extend(np.ravel(coord.values).tolist())
    return said


def found(said, path, name, value):
    """Say whether an attribute is there, under its own name or with its place before it."""
    for known, values in said.items():
        if known == name or known.rstrip("_").endswith((f".{name}", f"_{name}")):
            for v in values:
                if type(v) is type(value) and v == value:
                    return True
                if isinstance(v, float) and isinstance(value, int) and v == value:
                    return True
    return False


def decorate(path):
    """Add attributes and groups wherever somebody could, with colliding names too."""
    with h5py.File(path, "a") as file:
        things = []
        file.visititems(lambda name, thing: things.append(thing))
        for i, thing in enumerate([file, *things]):
            thing.attrs["note"] = f"note {i}"
            thing.attrs["number"] = i
            thing.attrs["real"] = float(i)
            thing.attrs["normalization" if i % 7 else "feature"] = f"label {i}"
            thing.attrs["list"] = np.arange(i % 4)
            thing.attrs["flag"] = bool(i % 2)
        extra = file.create_group("extra/deep")
        extra.attrs["who"] = "me"
        extra.create_dataset("matrix", data=np.arange(6).reshape(2, 3)).attrs["unit"] = "m"
        file["processed/TC"].create_dataset("size_factors", data=np.arange(3.0)).attrs["unit"] = "s"
        file["extra"].create_dataset("compound", data=np.zeros(2, dtype=[("a", "i4")])).attrs["kept"] = "yes"
        file["extra"].create_dataset("nothing", data=h5py.Empty("f8")).attrs["kept_too"] = h5py.Empty("S10")


@pytest.mark.parametrize("write", [write_mirna, write_rnaseq])
@pytest.mark.parametrize("decorated", [False, True])
def test_every_attribute_is_found(tmp_path, write, decorated):
    path = write(tmp_path / "a.h5")
    if decorated:
        decorate(path)
    with open_dataset(path) as ds, h5py.File(path) as file:
        said = values_of(ds)
        for place, name, value in naive_cohort.every_attribute(file):
            expected = (
                "" if isinstance(value, h5py.Empty) else int(value) if isinstance(value, bool) else value
            )
            assert found(said, place, name, expected), f"{place}: {name}={value!r} is lost"


def test_unknown_datasets_become_variables(tmp_path):
    path = write_mirna(tmp_path / "a.h5")
    decorate(path)
    with open_dataset(path) as ds:
        np.testing.assert_array_equal(ds["extra.deep.matrix"], [[0, 1, 2], [3, 4, 5]])
        np.testing.assert_array_equal(ds["processed.TC.size_factors"], [0, 1, 2])
        assert ds.attrs["extra.deep.who"] == "me"


def test_attributes_are_plain_python(tmp_path):
    def check(value):
        assert type(value) in {str, int, float, list}
        for item in value if isinstance(value, list) else ():
            check(item)

    path = write_mirna(tmp_path / "a.h5")
    decorate(path)
    with open_dataset(path) as ds:
        for attrs in [ds.attrs, *(v.attrs for v in ds.variables.values())]:
            for value in attrs.values():
                check(value)


def test_features_are_aligned_by_name(tmp_path):
    path = write_mirna(tmp_path / "a.h5", n_features=4)
    with h5py.File(path, "a") as file:
        names = [name.decode() for name in file["processed/TC/feature_names"]]
        tc = file["processed/TC"]
        shuffled = tc["expression"][:][:, [2, 0, 1]]
        for name, data in {"feature_names": [names[2], names[0], "new"], "expression": shuffled}.items():
            del tc[name]
            tc[name] = data
    with open_dataset(path) as ds:
        assert list(ds.feature.values) == [*names, "new"] or set(ds.feature.values) == {*names, "new"}
        real = ds["real"].sel(normalization="TC")
        np.testing.assert_array_equal(real.sel(feature=[names[2], names[0], "new"]).values, shuffled)
        assert real.sel(feature=[names[1], names[3]]).isnull().all()
        assert ds["real"].sel(normalization="DESeq", feature=names).notnull().all()
        assert ds["real"].sel(normalization="DESeq", feature="new").isnull().all()


def test_samples_with_ids_are_aligned_by_name(tmp_path):
    path = write_rnaseq(tmp_path / "r.h5", n_samples=5)
    with h5py.File(path, "a") as file:
        tc = file["processed/TC"]
        ids = barcodes(5, "-")
        reordered = {
            "sample_ids": [ids[3], "TCGA-NEW", ids[0]],
            "expression": tc["expression"][:][[3, 1, 0]],
            "groups": [tc["groups"][i].decode() for i in (3, 1, 0)],
            "split": ["train", "test", "train"],
        }
        for name, data in reordered.items():
            del tc[name]
            tc[name] = data
    with open_dataset(path) as ds:
        tc = ds["real"].sel(normalization="TC")
        np.testing.assert_array_equal(tc.sel(sample=[ids[3], "TCGA-NEW", ids[0]]), reordered["expression"])
        assert tc.sel(sample=ids[1]).isnull().all()
        assert ds["group"].sel(sample="TCGA-NEW").item() == reordered["groups"][1]
        expression, groups = ds.tcga.real("TC") if hasattr(xr.Dataset, "tcga") else (tc[:3], None)
        assert len(expression) == 3
        assert groups is None or len(groups) == 3


def test_repeated_features_stay_apart(tmp_path):
    path = write_mirna(tmp_path / "a.h5", n_features=4)
    with h5py.File(path, "a") as file:
        for norm in ("raw_norm", "TC", "DESeq"):
            for part in ("processed", "synthetic"):
                file[f"{part}/{norm}/feature_names"][:] = ["a", "b", "a", "c"]
        file["processed/TC/feature_names"][:] = ["a", "a", "b", "c"]
        expected = file["processed/TC/expression"][:][:, [0, 2, 1, 3]]
    with open_dataset(path) as ds:
        real = ds["real"].sel(normalization="TC")
        by_name = {"a": 0, "b": 2}
        assert list(ds.feature.values) in (["a", "b", "a", "c"], ["a", "a", "b", "c"])
        assert by_name
        if list(ds.feature.values) == ["a", "b", "a", "c"]:
            np.testing.assert_array_equal(real, expected)


def test_groups_as_numbers_and_missing(tmp_path):
    path = write_mirna(
        tmp_path / "a.h5", n_raw=4, n_samples=4, groups=[1.0, 0.0, math.nan, 1.0],
        raw_groups=["nan", "1.0", "0.0", "Tumor"],
    )  # fmt: skip
    with open_dataset(path) as ds:
        np.testing.assert_array_equal(ds["group"], [1.0, 0.0, math.nan, 1.0])
        assert ds["raw_group"].values.tolist()[1:] == ["1.0", "0.0", "Tumor"]
        assert math.isnan(ds["raw_group"].values[0])


def test_groups_that_differ_between_normalizations_are_all_kept(tmp_path):
    path = write_mirna(tmp_path / "a.h5")
    with h5py.File(path, "a") as file:
        file["processed/TC/groups"][0] = "Unknown"
    with open_dataset(path) as ds:
        assert ds["group"].dims == ("normalization", "sample")
        assert ds["group"].sel(normalization="TC")[0].item() == "Unknown"


def test_malformed_text_is_readable(tmp_path):
    path = write_mirna(tmp_path / "a.h5", n_raw=3, sample_ids=[b"TCGA-\xff", b"b", "\u00e9\nx".encode()])
    with h5py.File(path, "a") as file:
        file.attrs.create("odd", b"\xfe!", dtype=h5py.string_dtype("utf-8", 2))
    with open_dataset(path) as ds:
        assert list(ds.raw_sample.values) == ["TCGA-\ufffd", "b", "\u00e9\nx"]
        assert ds.attrs["odd"] == "\ufffd!"


def test_a_model_that_only_one_normalization_has(tmp_path):
    path = write_mirna(tmp_path / "a.h5", n_synthetic=4)
    with h5py.File(path, "a") as file:
        file.copy("synthetic/TC/CVAE1_5", "synthetic/TC/extra")
        run = file["synthetic/TC/extra"]
        run.attrs["kl_weight"] = 7
        more = np.vstack([run["expression"][()], run["expression"][()]])
        del run["expression"], run["groups"]
        run["expression"] = more
    with open_dataset(path) as ds:
        assert list(ds.model.values) == ["CVAE1_5", "extra", "CVAE1_10", "CVAE1_20"]
        np.testing.assert_array_equal(ds["synthetic"].sel(normalization="TC", model="extra"), more)
        assert ds["synthetic"].sel(normalization="DESeq", model="extra").isnull().all()
        assert (
            ds["synthetic"]
            .sel(normalization="DESeq", model="CVAE1_5")
            .notnull()
            .sum("synthetic_sample")
            .max()
            == 4
        )


@pytest.fixture
def reads(monkeypatch):
    """Count the stored bytes that are read."""
    seen = []
    original = chunks._Job.place

    def counting(job, pieces, chunk):
        seen.append((job.request.path, job._start(pieces)))
        original(job, pieces, chunk)

    monkeypatch.setattr(chunks._Job, "place", counting)
    return seen


def test_only_what_is_selected_is_read(tmp_path, reads):
    path = write_mirna(tmp_path / "a.h5", n_synthetic=20, n_features=12, chunks=(5, 6))
    with open_dataset(path) as ds:
        assert ds["synthetic"].sel(normalization="TC", model="CVAE1_5").sizes["feature"] == 12
        assert reads == []
        ds["synthetic"].sel(normalization="TC", model="CVAE1_5").isel(synthetic_sample=slice(6, 9)).load()
        assert set(reads) == {
            ("/synthetic/TC/CVAE1_5/expression", (5, 0)),
            ("/synthetic/TC/CVAE1_5/expression", (5, 6)),
        }
        reads.clear()
        ds["real"].sel(normalization=["DESeq"]).isel(sample=0, feature=0).values  # noqa: B018
        assert reads == [("/processed/DESeq/expression", (0, 0))]


def test_dask_chunks_follow_the_file(tmp_path, reads):
    path = write_rnaseq(tmp_path / "r.h5")
    with open_dataset(path, chunks={}) as ds, open_dataset(path) as plain:
        assert ds["synthetic"].chunksizes["model"] == (1, 1, 1)
        assert ds["synthetic"].chunksizes["synthetic_sample"] == (17,)
        assert reads == []
        ds["synthetic"].sel(normalization="TC", model="CVAE1-50", augmentation="none").compute()
        assert {path for path, _ in reads} == {"/synthetic/TC/none/CVAE1-50/expression"}
        xr.testing.assert_identical(ds.compute(), plain.compute())
        assert open_dataset(path, chunks={"synthetic_sample": 5})["synthetic"].chunksizes[
            "synthetic_sample"
        ] == (5, 5, 5, 2)
        assert open_dataset(path, chunks="auto")["real"].chunks is not None
        assert open_dataset(path, chunks={})["real"].data.name == ds["real"].data.name  # deterministic


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_selection(stacked, data):
    lazy, loaded = stacked
    indexers = {}
    for dim, size in loaded.sizes.items():
        kind = data.draw(st.sampled_from(["all", "integer", "slice", "array"]), label=dim)
        if kind == "integer":
            indexers[dim] = data.draw(st.integers(-size, size - 1))
        elif kind == "slice":
            bounds = st.one_of(st.none(), st.integers(-size, size))
            step = data.draw(st.sampled_from([None, 1, 2, 3, -1, -2]))
            indexers[dim] = slice(data.draw(bounds), data.draw(bounds), step)
        elif kind == "array":
            indexers[dim] = data.draw(st.lists(st.integers(-size, size - 1), max_size=7))
    xr.testing.assert_equal(lazy.isel(indexers), loaded.isel(indexers))


@pytest.fixture(scope="module")
def stacked(tmp_path_factory):
    """A stack that is not whole: features differ, and one run is missing."""
    path = write_mirna(tmp_path_factory.mktemp("stack") / "a.h5", n_synthetic=7, n_features=6, chunks=(3, 2))
    with h5py.File(path, "a") as file:
        del file["synthetic/TC/CVAE1_10"]
        names = list(file["synthetic/DESeq/feature_names"])
        file["synthetic/DESeq/feature_names"][:] = [*names[::-1][:5], b"new"]
    ds = open_dataset(path)
    yield ds["synthetic"].variable, open_dataset(path)["synthetic"].load().variable
    ds.close()


def test_narrowing():
    with open_dataset(SAMPLE, normalization="TC", model=["CVAE1_20", "CVAE1_5"]) as ds:
        assert ds["real"].dims == ("sample", "feature")
        assert ds.normalization.item() == "TC"
        assert list(ds.model.values) == ["CVAE1_20", "CVAE1_5"]
    with pytest.raises(
        OptionError, match="normalization='tc'.*raw_norm, TC, DESeq; model='x'.*CVAE1_5"
    ) as caught:
        open_dataset(SAMPLE, normalization="tc", model="x")
    assert "\n" not in str(caught.value)
    with pytest.raises(OptionError, match="leave off_aug out"):
        open_dataset(SAMPLE, off_aug="none")


def test_a_label_given_twice_is_kept_once():
    with open_dataset(SAMPLE, normalization=["TC", "DESeq", "TC"], model=["CVAE1_5"] * 2) as ds:
        assert list(ds.normalization.values) == ["TC", "DESeq"]
        assert list(ds.model.values) == ["CVAE1_5"]
        assert ds.tcga.real("TC")[0].shape == ds.tcga.synth("TC")[0].iloc[:77].shape


@pytest.mark.parametrize("model", [5, 1.5, True, [5], [["CVAE1_5"]], b"CVAE1_5", object(), iter(["CVAE1_5"])])
def test_narrowing_to_what_is_no_label(model):
    with pytest.raises(OptionError, match=r"model=.* is not in this cohort; choose from CVAE1_5, CVAE1_10"):
        open_dataset(SAMPLE, model=model)


def test_narrowing_to_labels_of_another_dataset():
    with open_dataset(SAMPLE) as whole:
        normalization, model = whole.normalization[1], whole.model[1:]
    with open_dataset(SAMPLE, normalization=normalization, model=model) as ds:
        assert ds.normalization.item() == "TC"
        assert list(ds.model.values) == ["CVAE1_10", "CVAE1_20"]


def test_pickled_and_closed(tmp_path):
    path = write_mirna(tmp_path / "a.h5")
    ds = open_dataset(path)
    copy = pickle.loads(pickle.dumps(ds))
    expected = ds.compute()
    ds.close()
    xr.testing.assert_identical(copy.compute(), expected)
    copy.close()
    path.rename(tmp_path / "b.h5")  # on Windows this fails while a handle is open


@pytest.mark.parametrize("write", [write_mirna, write_rnaseq])
@pytest.mark.parametrize("decorated", [False, True])
def test_saved_as_netcdf(tmp_path, write, decorated):
    path = write(tmp_path / "a.h5")
    if decorated:
        decorate(path)
    with open_dataset(path) as ds:
        ds.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
        with xr.open_dataset(tmp_path / "a.nc", engine="h5netcdf") as again:
            assert list(again.sample.values) == list(ds.sample.values)
            np.testing.assert_array_equal(again["synthetic"], ds["synthetic"])
            assert list(again.attrs["group_labels"]) == ds.attrs["group_labels"]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("chunks", [None, {}])
@pytest.mark.parametrize("write", [write_mirna, write_rnaseq])
def test_saved_as_zarr(tmp_path, write, chunks):
    with open_dataset(write(tmp_path / "a.h5"), chunks=chunks) as ds:
        ds.to_zarr(tmp_path / "a.zarr", zarr_format=2)
        with xr.open_zarr(tmp_path / "a.zarr") as again:
            assert list(again.sample.values) == list(ds.sample.values)
            np.testing.assert_array_equal(again["synthetic"], ds["synthetic"])
