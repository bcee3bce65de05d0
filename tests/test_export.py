"""Exports, read back by the tools they are for."""

import os
import sys
import tracemalloc

import dask
import dask.array as da
import h5py
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from archs4_files import naive_matrix, write_archs4
from faulty_server import FaultyServer

from intake_tcga.archs4.access import download_archs4, open_archs4
from intake_tcga.archs4.dataset import open_dataset
from intake_tcga.cache.store import VerifiedFileCache
from intake_tcga.cohorts.access import open_sample
from intake_tcga.errors import MissingDependencyError, OptionError
from intake_tcga.export import to_anndata, write_h5ad, write_zarr
from intake_tcga.hdf5.file import Hdf5File
from intake_tcga.normalization import normalize
from intake_tcga.table_files import write_table


@pytest.fixture
def ds():
    counts = np.array([[0, 0, 5, 0], [7, 0, 0, 0], [0, 2**32 - 1, 0, 1]], dtype="uint32")
    return xr.Dataset(
        {
            "counts": (("sample", "feature"), counts, {"units": "reads"}),
            "cpm": (("sample", "feature"), counts / 3),
        },
        {
            "sample": ["GSM1", "GSM2", "GSM3"],
            "feature": ["ENSG1", "ENSG2", "ENSG3", "ENSG4"],
            "symbol": ("feature", np.array(["TP53", "MYC", None, "été"], dtype=object)),
            "series/id": ("sample", np.array(["GSE1", "GSE1,GSE2", ""], dtype=object)),
            "probability": ("sample", [0.1, np.nan, 0.9]),
            "depth": ("sample", [5, 7, 9]),
            "single": ("sample", [True, False, True]),
            "date": ("sample", np.array(["2017-06-08", "NaT", "2018-01-01"], "M8[ns]")),
            "normalization": "TC",
        },
        {
            "title": "t",
            "none": None,
            "list": ["a", "b"],
            "nested": {"n": 1},
            "mixed": [1, "x"],
            "numbers": [1, 2],
        },
    )


def lazily(ds):
    return ds.chunk(sample=2, feature=3)


def check_anndata(adata, ds):
    obs, var, uns = adata.obs, adata.var, adata.uns
    assert adata.obs_names.tolist() == ["GSM1", "GSM2", "GSM3"]
    assert adata.var_names.tolist() == ["ENSG1", "ENSG2", "ENSG3", "ENSG4"]
    assert set(obs.columns) in (
        {"series/id", *(rest := ("probability", "depth", "single", "date"))},
        {"series_id", *rest},
    )
    np.testing.assert_array_equal(obs["probability"], ds["probability"])
    assert obs["depth"].tolist() == [5, 7, 9]
    assert obs["single"].tolist() == [True, False, True]
    assert obs["date"].astype(object).str[:10].fillna("").tolist() == ["2017-06-08", "", "2018-01-01"]
    assert var["symbol"].astype(object).fillna("nothing").tolist() == ["TP53", "MYC", "nothing", "été"]
    assert uns["title"] == "t"
    assert uns["normalization"] == "TC"
    assert list(uns["list"]) == ["a", "b"]
    assert uns["nested"]["n"] == 1
    assert uns["mixed"] == '[1, "x"]'
    assert list(uns["numbers"]) == [1, 2]
    assert uns["variables"]["counts"]["units"] == "reads"


def dense(matrix):
    matrix = matrix.compute() if hasattr(matrix, "compute") else matrix
    return matrix.toarray() if hasattr(matrix, "toarray") else np.asarray(matrix)


@pytest.mark.parametrize("sparse", [None, True, False])
@pytest.mark.parametrize("prepare", [lambda ds: ds, lazily], ids=["in memory", "lazily"])
def test_anndata(ds, prepare, sparse):
    pytest.importorskip("anndata")
    adata = to_anndata(prepare(ds), variable="counts", sparse=sparse)
    check_anndata(adata, ds)
    assert [name for name in adata.layers if name is not None] == ["cpm"]  # since 0.13, layers[None] is X
    assert adata.X.dtype == np.uint32
    assert hasattr(adata.X, "toarray") == (sparse is True or (sparse is None and prepare is not lazily))
    np.testing.assert_array_equal(dense(adata.X), ds["counts"])
    np.testing.assert_array_equal(dense(adata.layers["cpm"]), ds["cpm"])


def test_anndata_of_what_is_not_read_yet_is_in_memory(tmp_path, monkeypatch):
    pytest.importorskip("anndata")
    with open_dataset(Hdf5File(write_archs4(tmp_path / "a.h5", n_samples=4, n_features=6))) as ds:
        adata = to_anndata(ds, sparse=False)
        assert isinstance(adata.X, np.ndarray)
        np.testing.assert_array_equal(adata.X, naive_matrix(tmp_path / "a.h5"))
        monkeypatch.setattr("intake_tcga.arrays.memory._memory", lambda: 10)
        with pytest.raises(OptionError, match="sample: 4, feature: 6 take 96 B.*select some samples"):
            to_anndata(ds)


@pytest.mark.parametrize("sparse", [None, True, False])
@pytest.mark.parametrize("prepare", [lambda ds: ds, lazily], ids=["in memory", "lazily"])
def test_h5ad_is_read_by_anndata(ds, prepare, sparse, tmp_path):
    anndata = pytest.importorskip("anndata")
    path = write_h5ad(prepare(ds), tmp_path / "x.h5ad", variable="counts", sparse=sparse)
    adata = anndata.read_h5ad(path)
    check_anndata(adata, ds)
    assert adata.X.dtype == np.uint32
    np.testing.assert_array_equal(dense(adata.X), ds["counts"])
    np.testing.assert_array_equal(dense(adata.layers["cpm"]), ds["cpm"])
    backed = anndata.read_h5ad(path, backed="r")
    np.testing.assert_array_equal(dense(backed[1:3].to_memory().X), ds["counts"][1:3])
    adata.write_h5ad(tmp_path / "again.h5ad")
    check_anndata(anndata.read_h5ad(tmp_path / "again.h5ad"), ds)


@pytest.mark.parametrize("prepare", [lambda ds: ds, lazily], ids=["in memory", "lazily"])
def test_h5ad_follows_the_format(ds, prepare, tmp_path):
    path = write_h5ad(prepare(ds), tmp_path / "x.h5ad", variable="counts", layers=[])
    with h5py.File(path) as file:
        assert file.attrs["encoding-type"] == "anndata"
        x, counts = file["X"], np.zeros((3, 4), "uint32")
        assert x.attrs["encoding-type"] == "csr_matrix"
        for row in range(3):
            for at in range(x["indptr"][row], x["indptr"][row + 1]):
                counts[row, x["indices"][at]] = x["data"][at]
        np.testing.assert_array_equal(counts, ds["counts"])
        symbols = file["var/symbol"]
        assert [symbols["categories"].asstr()[c] if c >= 0 else None for c in symbols["codes"]] == [
            "TP53",
            "MYC",
            None,
            "été",
        ]
        assert file["obs/_index"].asstr()[:].tolist() == ["GSM1", "GSM2", "GSM3"]
        assert list(file["layers"]) == []


def test_h5ad_of_a_cohort(tmp_path):
    one = open_sample(normalization="TC", model="CVAE1_5", chunks={})
    path = write_h5ad(one, tmp_path / "real.h5ad", variable="real")
    with h5py.File(path) as file:
        np.testing.assert_array_equal(file["X"], one["real"].values)
        assert file["uns/normalization"].asstr()[()] == "TC"
        assert "group" in file["obs"]
    with pytest.raises(OptionError, match="real, synthetic, raw"):
        write_h5ad(one, tmp_path / "x.h5ad")


def test_h5ad_is_written_block_by_block(tmp_path):
    alive = []

    def block(block_info=None):
        alive.append(block_info[None]["chunk-location"][0])
        return np.ones((5, 100))

    values = da.map_blocks(block, chunks=((5,) * 8, (100,)), dtype=float, meta=np.empty((0, 0)))
    seen = []
    from intake_tcga import h5ad

    def watched(parent, name, blocks, shape, dtype):
        for part in blocks:
            seen.append((len(part), len(alive)))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(h5ad, "write_dense", watched)
        write_h5ad(xr.Dataset({"x": (("sample", "feature"), values)}), tmp_path / "x.h5ad", sparse=False)
    assert seen == [(5, number) for number in range(1, 9)]


@pytest.fixture
def made(monkeypatch):
    """List the blocks of `counted` counts as they are made, none of which is kept from pass to pass."""
    monkeypatch.setattr("intake_tcga.arrays.sample_blocks._KEPT", 0)
    return []


@pytest.fixture
def counted(made):
    def block(block_info=None):
        made.append(block_info[None]["chunk-location"][0])
        return np.random.default_rng(made[-1]).poisson(9, (5, 30))

    counts = da.map_blocks(block, chunks=((5,) * 12, (30,)), dtype=int, meta=np.empty((0, 0), int))
    return xr.Dataset({"counts": (("sample", "feature"), counts)})


@pytest.mark.filterwarnings("ignore:The .float_precision. argument")  # the default of pandas 4
@pytest.mark.parametrize("name", ["x.h5ad", "x.zarr", "x.parquet", "x.csv"])
def test_factors_of_all_samples_are_computed_once(name, counted, made, tmp_path):
    lazy = normalize(counted, "tmm")
    expected = lazy["tmm"].values
    made.clear()
    path = {"x.h5ad": write_h5ad, "x.zarr": write_zarr}.get(name, write_table)(lazy, tmp_path / name)
    assert len(made) == 5 * 12  # the passes of tmm; not so many for each block
    assert [file.name for file in tmp_path.iterdir()] == [name]
    if name == "x.zarr":
        np.testing.assert_array_equal(xr.open_zarr(path, consolidated=False)["tmm"], expected)
        return
    if name == "x.h5ad":
        with h5py.File(path) as file:
            np.testing.assert_array_equal(file["X"], expected)
    else:
        frame = (
            pd.read_parquet(path) if name == "x.parquet" else pd.read_csv(path, float_precision="round_trip")
        )
        np.testing.assert_array_equal(frame.drop(columns="sample"), expected)


@pytest.mark.parametrize("write", [write_h5ad, write_zarr])
@pytest.mark.parametrize(("method", "passes"), [("cpm", 1), ("tmm", 5), ("median_of_ratios", 3)])
def test_factors_are_those_of_the_pass_that_writes(method, passes, write, counted, made, tmp_path):
    lazy = normalize(counted, method)
    expected = lazy.compute()
    made.clear()
    path = write(lazy, tmp_path / "x")
    assert len(made) == passes * 12
    with h5py.File(path) if write is write_h5ad else xr.open_zarr(path, consolidated=False) as back:
        np.testing.assert_array_equal(back["X" if write is write_h5ad else method][:], expected[method])
        for factor in expected.coords:
            known = back["obs"] if write is write_h5ad else back
            np.testing.assert_array_equal(known[factor][:], expected[factor])


@pytest.mark.parametrize("write", [write_h5ad, write_zarr])
def test_factors_of_a_layer_are_written_beside_the_counts(write, counted, made, tmp_path):
    lazy = counted.assign(normalize(counted, "tmm").data_vars)
    expected = lazy.compute()
    made.clear()
    path = write(lazy, tmp_path / "x", variable="counts")
    assert len(made) == 5 * 12
    with h5py.File(path) if write is write_h5ad else xr.open_zarr(path, consolidated=False) as back:
        layer, factors = ("layers/tmm", "obs/norm_factor") if write is write_h5ad else ("tmm", "norm_factor")
        np.testing.assert_array_equal(back[layer][:], expected["tmm"])
        np.testing.assert_array_equal(back[factors][:], expected["norm_factor"])


def test_nothing_is_left_when_writing_fails(tmp_path):
    def explode(block):
        raise ValueError("damaged")

    values = da.zeros((4, 4), chunks=2).map_blocks(explode, dtype=float, meta=np.empty((0, 0)))
    broken = xr.Dataset({"x": (("sample", "feature"), values)})
    (tmp_path / "x.h5ad").write_text("the one before")
    for name, write in (("x.h5ad", write_h5ad), ("x.tsv", write_table), ("x.zarr", write_zarr)):
        with pytest.raises(ValueError, match="damaged"):
            write(broken, tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["x.h5ad"]
    assert (tmp_path / "x.h5ad").read_text() == "the one before"


def test_layers_fit_the_matrix(ds, tmp_path):
    with pytest.raises(OptionError, match="those that can: cpm"):
        write_h5ad(ds, tmp_path / "x.h5ad", variable="counts", layers=["tpm"])


def test_without_anndata(ds, monkeypatch):
    monkeypatch.setitem(sys.modules, "anndata", None)
    with pytest.raises(MissingDependencyError, match=r"intake-tcga\[anndata\]"):
        to_anndata(ds, variable="counts")


# -- zarr -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prepare", [lambda ds: ds, lazily], ids=["in memory", "lazily"])
@pytest.mark.parametrize("by", ["feature", "sample"])
def test_zarr(ds, prepare, by, tmp_path):
    path = write_zarr(prepare(ds), tmp_path / "x.zarr", variable="counts", by=by)
    back = xr.open_zarr(path, consolidated=False)
    expected = ds.rename({"series/id": "series_id"}).drop_vars("symbol")
    xr.testing.assert_equal(back.drop_vars("symbol"), expected)
    assert back["counts"].dtype == np.uint32
    assert back["symbol"].values.tolist() == ["TP53", "MYC", "", "été"]
    assert back.attrs["title"] == "t"
    with pytest.raises(OptionError, match="exists"):
        write_zarr(ds, path, variable="counts")


def test_zarr_chunks_are_long_along_what_is_read_together(tmp_path):
    wide = xr.Dataset(
        {"counts": (("sample", "feature"), da.ones((3000, 2000), chunks=(100, -1), dtype="uint32"))}
    )
    import zarr

    write_zarr(wide, tmp_path / "genes.zarr", memory=8_000_000)
    assert zarr.open(tmp_path / "genes.zarr")["counts"].chunks == (1000, 262)
    write_zarr(wide, tmp_path / "samples.zarr", by="sample")
    assert zarr.open(tmp_path / "samples.zarr")["counts"].chunks == (131, 2000)
    assert bool((xr.open_zarr(tmp_path / "genes.zarr", consolidated=False)["counts"] == 1).all())


@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize("by", ["feature", "sample"])
def test_zarr_holds_no_more_in_memory_than_asked_for_however_many_threads_compute(workers, by, tmp_path):
    def block(block_info=None):
        return (
            np.random.default_rng(block_info[None]["chunk-location"][0]).poisson(3, (100, 2500)).astype("u4")
        )

    counts = da.map_blocks(block, chunks=((100,) * 64, (2500,)), dtype="u4", meta=np.empty((0, 0), "u4"))
    wide = xr.Dataset({"counts": (("sample", "feature"), counts)})  # 64 MB, in blocks of 1 MB
    write_zarr(wide.isel(sample=slice(100)), tmp_path / "first.zarr")  # what is imported stays
    tracemalloc.start()
    try:
        with dask.config.set(scheduler="threads", num_workers=workers):
            path = write_zarr(wide, tmp_path / "x.zarr", by=by, memory=16_000_000)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 28_000_000  # and a block that is computed, and the chunks that are compressed
    np.testing.assert_array_equal(xr.open_zarr(path, consolidated=False)["counts"], counts)


# -- tables -----------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:The .float_precision. argument")  # the default of pandas 4
@pytest.mark.parametrize("ending", [".tsv", ".csv", ".tsv.gz", ".csv.gz", ".parquet"])
@pytest.mark.parametrize("prepare", [lambda ds: ds, lazily], ids=["in memory", "lazily"])
@pytest.mark.parametrize("rows", ["sample", "feature"])
def test_tables_are_read_by_pandas(ds, ending, prepare, rows, tmp_path):
    coords = ["depth", "series/id"] if rows == "sample" else ["symbol"]
    path = write_table(prepare(ds), tmp_path / f"x{ending}", variable="cpm", rows=rows, coords=coords)
    if ending == ".parquet":
        frame = pd.read_parquet(path).set_index(rows)
    else:
        frame = pd.read_csv(
            path, sep="\t" if "tsv" in ending else ",", index_col=0, float_precision="round_trip"
        )
    expected = ds["cpm"].transpose(rows, ...).to_pandas()
    assert frame.index.name == rows
    values = frame.drop(columns=coords)
    assert values.columns.tolist() == expected.columns.tolist()
    assert values.index.tolist() == expected.index.tolist()
    np.testing.assert_array_equal(values, expected)  # to the last bit
    if rows == "sample":
        assert frame["depth"].tolist() == [5, 7, 9]
    else:
        assert frame["symbol"].fillna("nothing").tolist() == ["TP53", "MYC", "nothing", "été"]


def test_parquet_keeps_types_and_what_is_missing(ds, tmp_path):
    pq = pytest.importorskip("pyarrow.parquet")
    table = pq.read_table(write_table(ds, tmp_path / "x.parquet", variable="counts"))
    assert str(table.schema.field("ENSG1").type) == "uint32"
    gaps = ds[["cpm"]].where(ds["cpm"] > 0)
    assert pq.read_table(write_table(gaps, tmp_path / "y.parquet"))["ENSG1"].null_count == 2


def test_wrong_tables_are_told_with_the_next_step(ds, tmp_path):
    with pytest.raises(OptionError, match=r"\.parquet, \.tsv"):
        write_table(ds, tmp_path / "x.xlsx", variable="cpm")
    with pytest.raises(OptionError, match="not a coordinate along sample"):
        write_table(ds, tmp_path / "x.tsv", variable="cpm", coords=["symbol"])
    with pytest.raises(OptionError, match="'a'"):
        write_table(ds["cpm"].assign_coords(feature=["a", "a", "b", "c"]), tmp_path / "x.tsv")
    with pytest.raises(OptionError, match="rows='gene'"):
        write_table(ds, tmp_path / "x.tsv", variable="cpm", rows="gene")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("write", [write_h5ad, write_table, write_zarr])
def test_places_where_nothing_can_be_written(ds, tmp_path, write):
    with pytest.raises(OptionError, match="there is no folder .*missing"):
        write(ds, tmp_path / "missing" / "x.csv")
    with pytest.raises(OptionError, match="https://host/x.csv is a URL"):
        write(ds, "https://me:secret@host/x.csv")


@pytest.mark.parametrize("write", [write_h5ad, write_table])
def test_a_folder_is_refused_before_anything_is_read(write, tmp_path):
    (tmp_path / "x.csv").mkdir()
    values = da.zeros((4, 4), chunks=2).map_blocks(lambda _: pytest.fail("read"), meta=np.empty((0, 0)))
    with pytest.raises(OptionError, match=r"x\.csv cannot be written: it is a folder; choose another"):
        write(xr.Dataset({"x": (("sample", "feature"), values)}), tmp_path / "x.csv")


@pytest.mark.parametrize("write", [write_h5ad, write_table, write_zarr])
def test_a_folder_that_is_not_writable_is_told(ds, write, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write anywhere
    with pytest.raises(OptionError, match=r"x\.csv cannot be written: .* is not writable; choose another"):
        write(ds, tmp_path / "x.csv")


@pytest.mark.parametrize("spelt", [str, lambda path: path.parent / "." / "link.h5"])
def test_the_file_that_is_read_is_not_replaced(tmp_path, spelt):
    path = write_archs4(tmp_path / "file.h5", n_samples=5, n_features=6)
    (tmp_path / "link.h5").symlink_to(path)
    before = path.read_bytes()
    with open_archs4(path) as ds, pytest.raises(OptionError, match="data are read from"):
        write_h5ad(ds.archs4.draw(2), spelt(path))
    assert path.read_bytes() == before


def test_a_downloaded_copy_is_not_replaced(tmp_path):
    path = write_archs4(tmp_path / "file.h5", n_samples=5, n_features=6)
    cache = VerifiedFileCache(tmp_path / "cache", progress=False)
    with FaultyServer({"file.h5": path.read_bytes()}) as server:
        copy = download_archs4(server.url("file.h5"), cache=cache)
        with (
            open_archs4(server.url("file.h5"), cache=cache) as ds,
            pytest.raises(OptionError, match="data are read from"),
        ):
            write_h5ad(ds.archs4.draw(2), copy)
