"""`intake-tcga archs4 …`, on the sample, on made-up files, and on a server."""

import gzip
import json
import os
import sys
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from archs4_files import write_archs4
from faulty_server import FaultyServer

from intake_tcga.archs4.access import open_archs4
from intake_tcga.normalization import normalize


@pytest.fixture
def file(tmp_path):
    """A file of 30 samples in which symbols repeat, and values differ."""
    path = write_archs4(tmp_path / "made_up.h5", n_samples=30, n_features=12)
    os.utime(path, (1e9, 1e9))  # old enough that columns are kept
    return path


@pytest.fixture
def ds(file):
    with open_archs4(file) as ds:
        yield ds.load()


def rows(result):
    return json.loads(result.stdout)


# -- list, fields ------------------------------------------------------------------------------------------------------


def test_conditions_on_names_that_are_numbers(invoke, tmp_path):
    path = write_archs4(tmp_path / "cells.h5", n_samples=4)
    with h5py.File(path, "r+") as f:
        f["meta/samples/source_name_ch1"][:] = ["liver", "293", "HeLa", "1833"]
        names = f["meta/samples/geo_accession"].asstr()[:].tolist()
    for condition, kept in (
        ("!=293", [0, 2, 3]),
        ("=293", [1]),
        ("!=HELA", [0, 1, 3]),
        ("!=5", [0, 1, 2, 3]),
    ):
        found = rows(invoke("archs4", "search", path, "-w", f"source_name_ch1{condition}", "--json"))
        assert [row["sample"] for row in found] == [names[at] for at in kept]


def test_list(invoke):
    lines = [line.split("\t") for line in invoke("archs4", "list").stdout.splitlines()]
    assert lines[0] == ["file", "samples", "features", "bytes", "ensembl", "cached"]
    published = next(line for line in lines if line[0] == "human_gene_v2.5")
    assert published[1:3] == ["888821", "67186"]
    assert 47e9 < int(published[3]) < 49e9
    assert published[4:] == ["107", ""]
    table = rows(invoke("archs4", "list", "--json"))
    assert table[0]["name"] == "human_gene_v2.5"
    assert table[0]["samples"] == 888_821
    assert table[0]["cached"] is False


def test_list_on_a_terminal(invoke, terminal):
    terminal(100)
    assert "888,821    67,186   48 GB" in invoke("archs4", "list").stdout


def test_refresh_needs_a_network(invoke):
    assert "offline" in invoke("archs4", "list", "--refresh", "--offline", status=1).stderr


def test_fields(invoke, sample_archs4):
    lines = invoke("archs4", "fields", sample_archs4).stdout.splitlines()
    assert lines[0] == "field\ttype"
    assert "title\ttext" in lines
    assert {"field": "singlecellprobability", "type": "float64"} in rows(
        invoke("archs4", "fields", sample_archs4, "--json")
    )


def test_tree(invoke, sample_archs4):
    shown = invoke("archs4", "fields", sample_archs4, "--tree").stdout
    assert "expression" in shown
    assert "--tree is text" in invoke("archs4", "fields", sample_archs4, "--tree", "--json", status=2).stderr


# -- search ------------------------------------------------------------------------------------------------------------


def test_search(invoke, sample_archs4):
    lines = invoke("archs4", "search", sample_archs4, "donor GTEX-11").stdout.splitlines()
    assert lines[0] == "sample\tseries_id\ttitle\tsource_name_ch1"
    assert all("donor GTEX-11" in line for line in lines[1:])
    with h5py.File(sample_archs4) as f:
        titles = f["meta/samples/title"].asstr()[:]
    assert len(lines) - 1 == sum("donor GTEX-11" in title for title in titles)


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ([], {}),
        (["a", "b"], {"terms": ["a", "b"]}),
        (["a", "zzz", "--any"], {"terms": ["a", "zzz"], "match": "any"}),
        (["s.", "-f", "title"], {"terms": ["s."], "fields": ["title"]}),
        (["s.", "-f", "title", "--literal"], {"terms": ["s."], "fields": ["title"], "regex": False}),
        (["--bulk"], {"single_cell": False}),
        (["--single-cell"], {"single_cell": True}),
        (["--bulk", "--threshold", "0.2"], {"single_cell": False, "threshold": 0.2}),
        (["-w", "singlecellprobability=0.2..0.6"], {"singlecellprobability": (0.2, 0.6)}),
        (["-w", "singlecellprobability=0.5.."], {"singlecellprobability": (0.5, None)}),
        (["-w", "singlecellprobability>=0.5"], {"singlecellprobability": (">=", 0.5)}),
        (["-w", "singlecellprobability < 0.5"], {"singlecellprobability": ("<", 0.5)}),
        (["-w", "submission_date=2015..2019"], {"submission_date": (2015, 2019)}),
    ],
)
def test_what_options_mean(invoke, file, ds, words, meant):
    found = [row["sample"] for row in rows(invoke("archs4", "search", file, *words, "--json"))]
    assert found == ds.archs4.search(**meant)["sample"].values.tolist()


@pytest.mark.parametrize(
    ("condition", "test"),
    [
        ("submission_date=2016..2017", lambda year, _: year in (2016, 2017)),
        ("submission_date>=2016", lambda year, _: year >= 2016),
        ("submission_date=2016", lambda year, _: year == 2016),
        ("submission_date!=2016", lambda year, _: year != 2016),
        ("source_name_ch1!=LIVER", lambda _, source: source.lower() != "liver"),
    ],
)
def test_conditions_against_a_loop(invoke, file, ds, condition, test):
    years = [int(text[-4:]) for text in ds["submission_date"].values]
    kept = [test(year, source) for year, source in zip(years, ds["source_name_ch1"].values, strict=True)]
    assert any(kept)
    found = [row["sample"] for row in rows(invoke("archs4", "search", file, "-w", condition, "--json"))]
    assert found == ds["sample"].values[kept].tolist()


def test_values_of_one_field_are_alternatives(invoke, file, ds):
    first, second = ds["geo_accession"].values[:2].tolist()
    words = ["-w", f"geo_accession={first}", "-w", f"geo_accession={second}"]
    assert [row["sample"] for row in rows(invoke("archs4", "search", file, *words, "--json"))] == [
        first,
        second,
    ]


def test_samples_by_name_and_from_a_file(invoke, file, ds, tmp_path):
    names = ds["sample"].values[[4, 0, 7, 2]].tolist()
    (tmp_path / "gsm.txt").write_text(f"# chosen by hand\n{names[2]}\n\n{names[3]}  # a remark\n")
    words = ["--samples", f"{names[0]}, {names[1]}", "--samples", "@gsm.txt"]
    assert [row["sample"] for row in rows(invoke("archs4", "search", file, *words, "--json"))] == names


def test_series_and_draw(invoke, file, ds):
    series = ds["series_id"].values[0].partition(",")[0]
    found = [row["sample"] for row in rows(invoke("archs4", "search", file, "--series", series, "--json"))]
    assert found == ds.archs4.series(series)["sample"].values.tolist()
    drawn = [
        row["sample"] for row in rows(invoke("archs4", "search", file, "--draw", 5, "--seed", 7, "--json"))
    ]
    assert drawn == ds.archs4.draw(5, seed=7)["sample"].values.tolist()


def test_columns(invoke, file):
    shown = invoke("archs4", "search", file, "--draw", 1, "-c", "singlecellprobability", "-c", "title")
    assert shown.stdout.splitlines()[0] == "sample\tsinglecellprobability\ttitle"


def test_on_a_terminal(invoke, file, terminal):
    terminal(70)
    lines = invoke("archs4", "search", file, "-c", "extract_protocol_ch1", "-c", "title").stdout.splitlines()
    assert len(lines) == 31
    assert max(map(len, lines)) <= 70


def test_nothing_found(invoke, file):
    result = invoke("archs4", "search", file, "no such thing at all")
    assert (result.stdout, result.stderr) == ("", "There is nothing to show.\n")
    assert rows(invoke("archs4", "search", file, "no such thing at all", "--json")) == []


# -- counts ------------------------------------------------------------------------------------------------------------


def read(path):
    """Read samples × features as other programs do."""
    name = path.name
    if name.endswith(".h5ad"):
        with h5py.File(path) as f:
            samples, features = (f[place][f[place].attrs["_index"]].asstr()[:] for place in ("obs", "var"))
            if f["X"].attrs["encoding-type"] == "csr_matrix":
                from scipy.sparse import csr_matrix

                parts = tuple(f["X"][part][:] for part in ("data", "indices", "indptr"))
                values = csr_matrix(parts, f["X"].attrs["shape"]).toarray()
            else:
                values = f["X"][:]
        return pd.DataFrame(values, samples, features)
    if name.endswith(".zarr"):
        with xr.open_zarr(path, consolidated=False) as ds:
            return ds["counts"].transpose("sample", "feature").load().to_pandas()
    if name.endswith(".parquet"):
        return pd.read_parquet(path).set_index("sample")
    return pd.read_csv(path, sep="\t" if ".tsv" in name else ",", index_col=0)


@pytest.mark.parametrize("ending", ["h5ad", "zarr", "parquet", "tsv", "csv", "tsv.gz", "csv.gz"])
def test_counts(invoke, file, ds, tmp_path, ending):
    if ending == "zarr":
        pytest.importorskip("zarr")
    out = tmp_path / f"out.{ending}"
    shown = invoke("archs4", "counts", file, "-o", out, "--draw", 4)
    assert shown.stdout == f"{out}: 4 samples × 12 features\n"
    wanted = ds.archs4.draw(4, seed=1)["counts"].to_pandas()
    made = read(out)
    np.testing.assert_array_equal(made.to_numpy(), wanted.to_numpy())
    assert made.index.tolist() == wanted.index.tolist()
    assert made.columns.tolist() == wanted.columns.tolist()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["made_up.h5", out.name]  # and nothing beside
    if ending.endswith("gz"):
        gzip.decompress(out.read_bytes())


def test_counts_of_a_search(invoke, file, ds, tmp_path):
    words = ["--search", "a", "--search", "b", "--any", "--bulk", "-w", "singlecellprobability<=0.4"]
    invoke("archs4", "counts", file, "-o", "out.tsv", *words)
    wanted = ds.archs4.search(["a", "b"], match="any", single_cell=False, singlecellprobability=("<=", 0.4))
    assert 0 < wanted.sizes["sample"] < 30
    assert read(tmp_path / "out.tsv").index.tolist() == wanted["sample"].values.tolist()


def test_genes_by_id_and_symbol(invoke, file, ds, tmp_path):
    ids, symbols = ds["feature"].values.tolist(), ds["symbol"].values.tolist()
    lone = next(at for at in range(11, -1, -1) if symbols.count(symbols[at]) == 1)
    invoke(
        "archs4", "counts", file, "-o", "out.tsv", "--genes", f"{ids[5]},{symbols[lone]},{ids[0]},{ids[5]}"
    )
    made = read(tmp_path / "out.tsv")
    assert made.columns.tolist() == [ids[at] for at in (5, lone, 0) if at != 5 or made.columns[0] == ids[5]]
    np.testing.assert_array_equal(made.to_numpy(), ds["counts"].isel(feature=[5, lone, 0]).values)
    (tmp_path / "genes.txt").write_text(f"{ids[3]}\n{ids[1]}\n")
    invoke("archs4", "counts", file, "-o", "out.tsv", "--genes", "@genes.txt")
    assert read(tmp_path / "out.tsv").columns.tolist() == [ids[3], ids[1]]


def test_by_symbol_filtered_and_normalized(invoke, sample_archs4, tmp_path):
    words = ["--by-symbol", "--min-reads", 50, "--min-samples", 0.5, "--normalize", "log_cpm"]
    invoke("archs4", "counts", sample_archs4, "-o", "out.parquet", *words)
    from intake_tcga.genes import filter_genes

    with open_archs4(sample_archs4) as ds:
        kept = filter_genes(ds.load().archs4.counts_by_symbol(), min_reads=50, min_samples=0.5)
        wanted = normalize(kept, "log_cpm")
    made = read(tmp_path / "out.parquet")
    assert made.columns.tolist() == wanted["feature"].values.tolist()
    assert len(made.columns) < 818
    np.testing.assert_allclose(made.to_numpy(), next(iter(wanted.data_vars.values())).values)


@pytest.mark.parametrize(
    "method", ["cpm", "log_cpm", "quantile", "log_quantile", "tmm", "log_trimmed_mean", "median_of_ratios"]
)
def test_every_normalization(invoke, sample_archs4, tmp_path, method):
    invoke("archs4", "counts", sample_archs4, "-o", "out.tsv", "--draw", 5, "--normalize", method)
    assert np.isfinite(read(tmp_path / "out.tsv").to_numpy()).all()


def test_a_file_is_replaced_when_the_new_one_is_whole(invoke, file, ds, tmp_path, monkeypatch):
    out = tmp_path / "out.h5ad"
    out.write_text("the old one")
    import intake_tcga.h5ad as module

    def failing(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(module, "write_dense", failing)
        broken.setattr(module, "write_sparse", failing)
        said = invoke("archs4", "counts", file, "-o", out, status=1).stderr
    assert f"{out} cannot be written: No space left on device" in said
    assert out.read_text() == "the old one"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["made_up.h5", "out.h5ad"]
    invoke("archs4", "counts", file, "-o", out)
    assert out.stat().st_size > 1000


def test_progress_counts_what_is_written(file, tmp_path):
    from intake_tcga.cli.outputs import Output, _counted
    from intake_tcga.export import write_table
    from intake_tcga.progress import Progress

    class Seen(Progress):
        seen = 0

        def at(self, part, done, total=None):
            self.seen += done

    with open_archs4(file, chunks={"sample": 7}) as ds:
        progress = Seen("out.tsv", show=True)
        counted = _counted(ds, progress)
        assert counted.equals(ds)
        progress.seen = 0
        write_table(counted, tmp_path / "out.tsv")
        assert progress.seen == progress.total == ds["counts"].nbytes
        Output(tmp_path / "shown.tsv", write_table).save(ds, True)
    assert (tmp_path / "shown.tsv").read_bytes() == (tmp_path / "out.tsv").read_bytes()


# -- over HTTP ---------------------------------------------------------------------------------------------------------


def test_a_remote_file_is_read_in_parts(invoke, tmp_path):
    body = write_archs4(tmp_path / "far.h5", n_samples=600, n_features=3000, chunks=(500, 1)).read_bytes()
    with open_archs4(tmp_path / "far.h5") as ds:
        names, values = ds["sample"].values[[500, 3]].tolist(), ds["counts"].isel(sample=[500, 3]).values
    with FaultyServer({"far.h5": body}) as server:
        words = ["--samples", ",".join(names), "-o", "out.tsv", "-q"]
        invoke("archs4", "counts", server.url("far.h5"), *words)
        assert server.sent < len(body) / 2
        server.bodies.clear()
        said = invoke("archs4", "counts", server.url("gone.h5?key=s3cr3t"), *words, status=1).stderr
    np.testing.assert_array_equal(read(tmp_path / "out.tsv").to_numpy(), values)
    assert "gone.h5" in said
    assert "s3cr3t" not in said


def test_download(invoke, file):
    with FaultyServer({"made_up.h5": file.read_bytes()}) as server:
        path = invoke("archs4", "download", server.url("made_up.h5"), "-q").stdout.strip()
        assert Path(path).read_bytes() == file.read_bytes()
        sent = server.sent
        assert invoke("archs4", "download", server.url("made_up.h5")).stdout.strip() == path
        assert server.sent - sent < 100
        invoke("archs4", "download", server.url("made_up.h5"), "--force")
        assert server.sent - sent > len(file.read_bytes())


# -- what goes wrong ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (["search", "FILE", "("], 2, "--literal"),
        (["search", "FILE", "-w", "nofield=3"], 1, "There are: "),
        (["search", "FILE", "-w", "nonsense"], 2, "FIELD=VALUE"),
        (["search", "FILE", "-w", "title>1", "-w", "title=3"], 2, "LOW..HIGH"),
        (["search", "FILE", "a", "-f", "nofield"], 1, "nofield"),
        (["search", "FILE", "-c", "nofield"], 1, "nofield"),
        (["search", "FILE", "--samples", "GSM999999999"], 1, "GSM999999999"),
        (["search", "FILE", "--samples", "@none.txt"], 2, "No such file or directory; give a file"),
        (["search", "FILE", "--samples", "@FILE"], 2, "not text in UTF-8"),
        (["search", "FILE", "--series", "banana"], 2, "GSE64016"),
        (["search", "FILE", "--draw", "1000"], 2, "30"),
        (["search", "nofile.h5", "a"], 1, "does not exist"),
        (["search", "human_gene_v9", "a"], 1, "human_gene_v2.5"),
        (["search", "human_gene_v2.5", "a", "--offline"], 1, "offline"),
        (["search", "bad.h5", "a"], 1, "bad.h5"),
        (["search", "cut.h5", "a"], 1, "cut.h5"),
        (["search", "cohort.h5", "a"], 1, "cohort.h5"),
        (["fields", "FILE", "--storage-options", "{"], 2, "JSON"),
        (["counts", "FILE", "-o", "out.xlsx"], 2, ".h5ad"),
        (["counts", "FILE", "-o", "/nonexistent/out.tsv"], 1, "make it first"),
        (["counts", "FILE", "-o", "/proc/out.tsv"], 1, "cannot be written"),
        (["counts", "FILE", "-o", "folder.tsv"], 1, "it is a folder"),
        (["counts", "FILE", "-o", "there.zarr"], 1, "it exists"),
        (["counts", "FILE", "-o", "out.tsv", "--genes", "TP53x,nope"], 1, "2 of 2 genes"),
        (["counts", "FILE", "-o", "out.tsv", "--min-reads", "1e12"], 1, "nothing was written"),
        (["counts", "FILE", "-o", "out.tsv", "--search", "no such thing"], 1, "nothing was written"),
        (["counts", "FILE", "-o", "out.tsv", "--normalize", "nonsense"], 2, "log_cpm"),
        (["download", "human_gene_v9"], 1, "human_gene_v2.5"),
        (["download", "human_gene_v2.5", "--offline"], 1, "offline"),
        (["align", "reads", "-o", "out.tsv"], 1, "reads"),
    ],
)
def test_errors_are_a_sentence(invoke, file, tmp_path, sample_file, words, status, says):
    (tmp_path / "bad.h5").write_bytes(b"<html>not HDF5" * 100)
    (tmp_path / "cut.h5").write_bytes(file.read_bytes()[:3000])
    (tmp_path / "cohort.h5").symlink_to(sample_file)
    (tmp_path / "folder.tsv").mkdir()
    (tmp_path / "there.zarr").mkdir()
    before = sorted(path.name for path in tmp_path.iterdir())
    said = invoke("archs4", *[word.replace("FILE", str(file)) for word in words], status=status).stderr
    assert says in said
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_the_nearest_gene_is_told(invoke, file, ds):
    symbol = ds["symbol"].values[0]
    said = invoke(
        "archs4", "counts", file, "-o", "out.tsv", "--genes", symbol.lower() + ",q", status=1
    ).stderr
    assert f"{symbol.lower()} (did you mean {symbol}?)" in said


@pytest.mark.parametrize(
    ("words", "package", "extra"),
    [
        (["search", "FILE", "a"], "pyarrow", "intake-tcga[archs4]"),
        (["counts", "FILE", "-o", "out.zarr"], "zarr", "pip install zarr"),
    ],
)
def test_missing_extras(invoke, file, monkeypatch, words, package, extra):
    for name in [name for name in sys.modules if name == package or name.startswith(f"{package}.")]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, package, None)
    said = invoke("archs4", *[word.replace("FILE", str(file)) for word in words], status=1).stderr
    assert extra in said


# -- align -------------------------------------------------------------------------------------------------------------


def test_align(invoke, tmp_path):
    from fastq_files import MadeUp, fastq, write

    from intake_tcga.archs4 import kallisto
    from intake_tcga.errors import MissingDependencyError

    try:
        kallisto.find_kallisto(None, tmp_path / "tools")
    except MissingDependencyError as error:
        pytest.skip(str(error))
    made_up = MadeUp.of(seed=1)
    first, second, truth = made_up.reads(2000, seed=2)
    write(tmp_path / "t.fa.gz", made_up.fasta())
    write(tmp_path / "reads/mine_1.fastq.gz", fastq(first, mate=1))
    write(tmp_path / "reads/mine_2.fastq.gz", fastq(second, mate=2))
    write(tmp_path / "reads/bad.fq", b"@r\nACGT\n")
    words = ["reads", "--transcriptome", "t.fa.gz", "--threads", 1, "-q"]
    said = invoke("archs4", "align", *words, "-o", "out.tsv", status=1).stderr
    assert "bad" in said
    assert not (tmp_path / "out.tsv").exists()
    (tmp_path / "reads/bad.fq").unlink()
    assert invoke("archs4", "align", *words, "-o", "out.tsv").stdout == "out.tsv: 1 samples × 100 features\n"
    made = read(tmp_path / "out.tsv")
    assert made.index.tolist() == ["mine"]
    np.testing.assert_array_equal(made.to_numpy()[0], truth.reshape(-1, 3).sum(1))
    options = [
        "--return-type",
        "tpm",
        "--layout",
        "single",
        "--fragment-length",
        "180",
        "--fragment-sd",
        "30",
    ]
    invoke("archs4", "align", "reads/mine_1.fastq.gz", *words[1:], *options, "-o", "tpm.parquet")
    assert read(tmp_path / "tpm.parquet").to_numpy().sum() == pytest.approx(1e6)
    assert invoke("archs4", "align", *words, "--kallisto", "none", "-o", "o.tsv", status=1).stderr


def test_align_passes_everything_on(invoke, monkeypatch, ds):
    import importlib

    module = importlib.import_module("intake_tcga.archs4.align")
    seen = {}
    monkeypatch.setattr(
        module, "align", lambda sources, **options: seen.update(options, sources=sources) or ds
    )
    words = ["--species", "mouse", "--release", 110, "--threads", 3, "--kallisto", "k", "--skip-failed"]
    invoke("archs4", "align", "a.fq", "b.fq", *words, "--drop-fastq", "-o", "out.tsv", "-q")
    assert seen["sources"] == ["a.fq", "b.fq"]
    assert (seen["species"], seen["release"], seen["threads"], seen["kallisto"]) == ("mouse", 110, 3, "k")
    assert (seen["errors"], seen["keep_fastq"], seen["progress"]) == ("skip", False, False)
    assert seen["transcriptome"] is None
