"""The whole way with the real kallisto, on reads whose origin is known."""

import errno
import gzip
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from fastq_files import PER_GENE, MadeUp, ena_report, ensembl_bodies, fastq, gene_id, transcript_id, write
from faulty_server import FaultyServer

from intake_tcga.archs4 import kallisto, kallisto_index, quantification
from intake_tcga.archs4.align import align
from intake_tcga.archs4.reference import Wanted
from intake_tcga.cache.store import VerifiedFileCache
from intake_tcga.digest import Digest
from intake_tcga.errors import (
    AlignmentError,
    CacheError,
    FileFormatError,
    IntakeTcgaError,
    IntegrityError,
    MissingDependencyError,
    MissingFileError,
    NameNotFoundError,
    OfflineError,
    OptionError,
)

MADE_UP = MadeUp.of(seed=1)
FIRST, SECOND, TRUTH = MADE_UP.reads(20_000, seed=2)
GENES = TRUTH.reshape(-1, PER_GENE).sum(1)


@pytest.fixture(scope="module", autouse=True)
def _kallisto(tmp_path_factory):
    try:
        kallisto.find_kallisto(None, tmp_path_factory.mktemp("tools"))
    except MissingDependencyError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A transcriptome, with its index in a cache, and files of a paired and a single sample."""
    folder = tmp_path_factory.mktemp("shared")
    write(folder / "t.fa.gz", MADE_UP.fasta())
    write(folder / "few.fa.gz", MADE_UP.fasta(slice(30)))
    write(folder / "few.fq", fastq(FIRST[:2000]))
    for lane, part in ((1, slice(12_000)), (2, slice(12_000, None))):
        write(folder / f"reads/pair/P_S1_L00{lane}_R1_001.fastq.gz", fastq(FIRST[part], mate=1))
        write(folder / f"reads/pair/P_S1_L00{lane}_R2_001.fastq.gz", fastq(SECOND[part], mate=2))
    write(folder / "reads/single.fq", fastq(FIRST))
    return folder


@pytest.fixture
def run(shared):
    def run(sources, **options):
        return align(sources, **{"transcriptome": shared / "t.fa.gz", "cache": shared / "cache"} | options)

    return run


def r(one, two):
    return np.corrcoef(one, two)[0, 1]


def test_genes(run, shared):
    ds = run(shared / "reads")
    assert ds["sample"].values.tolist() == ["P_S1", "single"]
    assert ds["layout"].values.tolist() == ["paired", "single"]
    assert ds["feature"].values.tolist() == [gene_id(i) for i in range(100)]
    assert ds["symbol"].values[:2].tolist() == [gene_id(0), "SYM1"]
    assert set(ds["biotype"].values) == {"protein_coding", "lncRNA"}
    assert ds["counts"].dims == ("sample", "feature")
    assert ds["counts"].dtype == np.uint32
    assert r(ds["counts"][0], GENES) >= 0.9999
    assert r(ds["counts"][1], GENES) >= 0.999
    np.testing.assert_array_equal(ds["counts"][0], GENES)  # genes share nothing, and pairs tell their lengths
    assert ds["n_processed"].values.tolist() == [20_000, 20_000]
    np.testing.assert_allclose(ds["p_pseudoaligned"], 100 * ds["n_pseudoaligned"] / 20_000)
    assert ds.attrs["intake_tcga:fragment_length"] == 200
    assert ds.attrs["intake_tcga:index_digest"].startswith("sha256:")


def test_the_sum_is_rounded_not_each_part(run, shared):
    transcripts = run(shared / "reads/single.fq", return_type="transcript")
    genes = run(shared / "reads/single.fq")
    assert transcripts["feature"].values.tolist() == [transcript_id(i) for i in range(300)]
    assert transcripts["counts"].dtype == np.uint32
    assert transcripts["ensembl_gene"].values[:4].tolist() == [gene_id(i) for i in (0, 0, 0, 1)]
    sums = transcripts["counts"].values.astype(int).reshape(-1, PER_GENE).sum(1)
    assert 0 < abs(sums - genes["counts"].values[0].astype(int)).max() <= 2
    assert abs(int(genes["counts"].sum()) - genes["n_pseudoaligned"].item()) <= 50


def test_tpm(run, shared):
    ds = run(shared / "reads/single.fq", return_type="tpm")
    assert ds["tpm"].dtype == np.float64
    np.testing.assert_allclose(ds["tpm"].sum("feature"), 1e6)
    rate = TRUTH / [len(sequence) - 199 for sequence in MADE_UP.sequences]
    assert r(ds["tpm"][0].values.reshape(-1, PER_GENE).sum(1), rate.reshape(-1, PER_GENE).sum(1)) > 0.99


def test_a_mapping_names_samples(run, shared):
    ds = run({"mine": sorted((shared / "reads/pair").iterdir()), "other": [shared / "reads/single.fq"]})
    assert ds["sample"].values.tolist() == ["mine", "other"]
    assert ds["layout"].values.tolist() == ["paired", "single"]


def test_the_result_is_written_and_read(run, shared, tmp_path):
    ds = run(shared / "reads/single.fq")
    ds.to_netcdf(tmp_path / "ds.nc", engine="h5netcdf")
    xr.testing.assert_equal(xr.open_dataset(tmp_path / "ds.nc", engine="h5netcdf").load(), ds)


def truncated(folder):
    write(folder / "bad.fastq", fastq(FIRST)[:-30])
    return FileFormatError, "middle of a record"


def cut_gzip(folder):
    (folder / "bad.fastq.gz").write_bytes(gzip.compress(fastq(FIRST))[:-2000])
    return FileFormatError, "cut off"


def empty(folder):
    write(folder / "bad.fastq.gz", b"")
    return FileFormatError, "no reads"


def another_species(folder):
    write(folder / "bad.fastq", fastq(MadeUp.of(seed=99).reads(1000, seed=0)[0]))
    return AlignmentError, "none of its 1,000 reads aligned"


def too_short(folder):
    write(folder / "bad.fastq", fastq(FIRST[:500, :20]))
    return AlignmentError, "none of its 500 reads aligned"


def unequal_mates(folder):
    write(folder / "bad_1.fastq", fastq(FIRST, mate=1))
    write(folder / "bad_2.fastq", fastq(SECOND[:-5], mate=2))
    return FileFormatError, "20,000 reads.*19,995"


def damaged_within(folder):
    body = fastq(FIRST)
    at = body.index(b"@READ.300")
    write(
        folder / "bad.fastq", body[: at - 40] + body[at:]
    )  # a line ends too early: the four-line rhythm still holds
    return IntakeTcgaError, "bad"


@pytest.mark.parametrize(
    "fault", [truncated, cut_gzip, empty, another_species, too_short, unequal_mates, damaged_within]
)
def test_failures(run, shared, tmp_path, fault):
    kind, says = fault(tmp_path)
    with pytest.raises(kind, match=says):
        run(tmp_path)
    good = write(tmp_path / "good.fastq", fastq(FIRST[:5000]))
    with pytest.raises(
        AlignmentError, match=rf"1 of 2 samples could not be aligned(?s:.)*- .*bad(?s:.)*{says}"
    ):
        run(tmp_path)
    with pytest.warns(UserWarning, match=says):
        ds = run(tmp_path, errors="skip")
    assert ds["sample"].values.tolist() == ["good"]
    xr.testing.assert_identical(ds, run(good))


def test_all_failures_are_told_together(run, tmp_path):
    write(tmp_path / "one.fq", fastq(FIRST)[:-30])
    write(tmp_path / "two.fq", b"@x\n")
    for errors in ("raise", "skip"):
        # What is seen at a glance is told before anything is aligned; with "skip", all is tried first.
        says = (
            "1 of 2(?s:.)*nothing was aligned(?s:.)*two"
            if errors == "raise"
            else "2 of 2(?s:.)*two(?s:.)*one"
        )
        with pytest.raises(AlignmentError, match=says):
            run(tmp_path, errors=errors)


def test_a_full_disk_fails_one_sample_and_leaves_what_is_finished(run, tmp_path, monkeypatch):
    good, bad = (write(tmp_path / name, fastq(FIRST[:5000])) for name in ("good.fq", "late.fq"))
    real = quantification.run

    def on_a_full_disk(command, *args, **options):
        if str(bad) in command:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(command, *args, **options)

    monkeypatch.setattr(quantification, "run", on_a_full_disk)
    with pytest.warns(UserWarning, match="1 of 2 samples are left out(?s:.)*late: .*No space left.*TMPDIR"):
        ds = run([good, bad], errors="skip")
    assert ds["sample"].values.tolist() == ["good"]
    with pytest.raises(AlignmentError, match="late: .*No space left") as caught:
        run(bad)
    assert caught.value.__cause__.errno == errno.ENOSPC


def test_a_file_that_goes_away_fails_its_sample_alone(run, tmp_path, monkeypatch):
    good, bad = (write(tmp_path / name, fastq(FIRST[:5000])) for name in ("good.fq", "late.fq"))
    obtain = Wanted.obtain

    def and_meanwhile(*args, **options):
        bad.unlink()
        return obtain(*args, **options)

    monkeypatch.setattr(Wanted, "obtain", and_meanwhile)
    with pytest.warns(UserWarning, match=r"late\.fq cannot be read"):
        ds = run([good, bad], errors="skip")
    assert ds["sample"].values.tolist() == ["good"]


@pytest.mark.parametrize(
    ("options", "kind", "says"),
    [
        ({"return_type": "genes"}, OptionError, "'gene', 'transcript', 'tpm'"),
        ({"errors": "ignore"}, OptionError, "errors='ignore'"),
        ({"layout": "x"}, OptionError, "layout='x'"),
        ({"threads": 0}, OptionError, "threads=0"),
        ({"kmer": 30}, OptionError, "kmer=30"),
        ({"transcriptome": "nowhere.fa"}, MissingFileError, "nowhere.fa"),
        ({"transcriptome": []}, OptionError, "names no file"),
        ({"transcriptome": None, "species": "xx"}, OptionError, "human, mouse"),
        ({"transcriptome": None, "release": "latest"}, OptionError, "107"),
        ({"sources": []}, OptionError, "nothing to align"),
        ({"sources": {}}, OptionError, "nothing to align"),
        ({"sources": "GSE64016"}, MissingFileError, "SRR14457464"),
        ({"sources": ["nowhere.fastq"]}, MissingFileError, "nowhere.fastq"),
        ({"sources": [__file__]}, FileFormatError, "rename or convert"),
    ],
)
def test_wrong_options(run, shared, options, kind, says):
    with pytest.raises(kind, match=says):
        run(**{"sources": shared / "reads/single.fq"} | options)


def test_two_samples_of_one_name(run, tmp_path):
    paths = [write(tmp_path / folder / "a.fq", fastq(FIRST[:100])) for folder in ("x", "y")]
    with pytest.raises(OptionError, match="name them yourself"):
        run(paths)


@pytest.fixture
def server():
    runs = {
        "SRR000001": {
            "SRR000001_1.fastq.gz": fastq(FIRST, mate=1),
            "SRR000001_2.fastq.gz": fastq(SECOND, mate=2),
        },
        "SRR000002": {"SRR000002.fastq.gz": fastq(FIRST[:5000])},
    }
    runs = {
        run: {name: gzip.compress(body, 1) for name, body in files.items()} for run, files in runs.items()
    }
    with FaultyServer(ensembl_bodies(MADE_UP)) as server:
        server.bodies |= {
            f"{run}/{name}": body for run, files in runs.items() for name, body in files.items()
        }
        server.bodies["filereport"] = ena_report(runs, server.url())
        yield server


def test_runs_and_ensembl(server, tmp_path):
    options = {"cache": tmp_path, "ensembl_url": server.url(), "ena_url": server.url()}
    ds = align("SRP000001", **options)
    assert ds["sample"].values.tolist() == ["SRR000001", "SRR000002"]
    np.testing.assert_array_equal(ds["counts"][0], GENES)
    assert ds.attrs["intake_tcga:species"] == "homo_sapiens"
    assert ds.attrs["intake_tcga:ensembl_release"] == 107
    kept = tmp_path / "archs4/fastq"
    assert sorted(path.name for path in kept.rglob("*.gz")) == [
        "SRR000001_1.fastq.gz",
        "SRR000001_2.fastq.gz",
        "SRR000002.fastq.gz",
    ]
    again = align(kept, **options, offline=True)  # all that a second call needs is there
    xr.testing.assert_identical(again, ds)
    align("SRP000001", **options, keep_fastq=False)
    assert not list(kept.rglob("*.gz"))
    with pytest.raises(OfflineError):
        align("SRP000001", **options, offline=True)


def test_a_damaged_copy_of_ensembls_files_is_fetched_again(server, tmp_path):
    options = {"cache": tmp_path, "ensembl_url": server.url(), "ena_url": server.url()}
    name = next(name for name in server.bodies if name.endswith(".cdna.all.fa.gz"))
    right = server.bodies[name]
    server.bodies[name] = right[:-8] + bytes([right[-8] ^ 1]) + right[-7:]
    with pytest.raises(IntegrityError, match="is not the file that Ensembl lists"):
        align("SRP000001", **options)
    server.bodies[name] = right
    assert align("SRP000001", **options).sizes["sample"] == 2


def test_pairs_of_files_are_given_as_a_mapping(shared, tmp_path):
    mates = tuple(sorted((shared / "reads/pair").glob("*L001*")))
    with pytest.raises(OptionError, match=r"mates are told by their names.*a mapping"):
        align([mates], transcriptome=shared / "t.fa.gz", cache=tmp_path)


def test_a_mapping_names_runs(server, tmp_path):
    runs = {
        "SRR000001": {"SRR000001.fastq.gz": FIRST[:3000]},
        "SRR000002": {"SRR000002.fastq.gz": FIRST[3000:5000]},
    }
    reports = {}
    for run, files in runs.items():
        bodies = {name: gzip.compress(fastq(reads), 1) for name, reads in files.items()}
        server.bodies |= {f"{run}/{name}": body for name, body in bodies.items()}
        reports[run] = bodies
    server.bodies["filereport"] = ena_report(reports, server.url())
    options = {"cache": tmp_path / "cache", "ensembl_url": server.url(), "ena_url": server.url()}
    local = write(tmp_path / "local.fq", fastq(FIRST[:5000]))
    ds = align({"treated": ["SRP000001"], "control": [local]}, **options, keep_fastq=False)
    assert ds["sample"].values.tolist() == ["treated", "control"]
    assert ds["n_processed"].values.tolist() == [5000, 5000]
    np.testing.assert_array_equal(ds["counts"][0], ds["counts"][1])
    assert not list((tmp_path / "cache/archs4/fastq").rglob("*.gz"))
    with pytest.raises(OptionError, match="both: SRP000001 is of the archive and local.fq a file"):
        align({"both": ["SRP000001", local]}, **options)
    with pytest.raises(OptionError, match="layout='x'"):
        align({"treated": "SRP000001"}, **options, layout="x")
    server.bodies["filereport"] = server.bodies["filereport"].replace(b"Homo sapiens", b"Mus musculus")
    with pytest.raises(OptionError, match="SRR000001 is of Mus musculus"):
        align({"treated": "SRP000001"}, **options)


def test_a_run_of_pairs_whose_mates_the_archive_does_not_tell_apart(server, tmp_path):
    server.bodies["filereport"] = server.bodies["filereport"].replace(b"SINGLE", b"PAIRED")
    options = {"cache": tmp_path, "ensembl_url": server.url(), "ena_url": server.url()}
    says = r"SRR000002 is of pairs.*\(SRR000002.fastq.gz\).*layout='single'"
    with pytest.warns(UserWarning, match=says):
        ds = align("SRP000001", **options, errors="skip")
    assert ds["sample"].values.tolist() == ["SRR000001"]
    assert not any("SRR000002" in request.name for request in server.requests)
    server.bodies["filereport"] = b"".join(
        line for line in server.bodies["filereport"].splitlines(keepends=True) if b"SRR000001" not in line
    )
    for layout in ("auto", "paired"):
        with pytest.raises(OptionError, match=says):
            align("SRR000002", **options, layout=layout)
    ds = align("SRR000002", **options, layout="single")
    assert ds["layout"].values.tolist() == ["single"]


def test_a_download_that_cannot_be_removed_costs_nothing(server, tmp_path, monkeypatch):
    def refuse(self, **which):
        raise CacheError(f"{which['name']} cannot be removed (Permission denied); allow it and try again.")

    monkeypatch.setattr(VerifiedFileCache, "clear", refuse)
    with pytest.warns(
        UserWarning, match="SRR00000[12] is aligned, and its files stay: .*cannot be removed"
    ) as warned:
        ds = align(
            "SRP000001", cache=tmp_path, ensembl_url=server.url(), ena_url=server.url(), keep_fastq=False
        )
    assert ds["sample"].values.tolist() == ["SRR000001", "SRR000002"]
    assert {warning.filename for warning in warned} == {__file__}


def test_a_run_of_another_species(server, tmp_path):
    report = server.bodies["filereport"].replace(b"Homo sapiens", b"Mus musculus")
    server.bodies["filereport"] = b"".join(report.splitlines(keepends=True)[:2])
    with pytest.raises(
        OptionError, match="is of Mus musculus, not of homo_sapiens; pass species='mus_musculus'"
    ):
        align("SRR000001", cache=tmp_path, ensembl_url=server.url(), ena_url=server.url())


def test_one_run_of_another_species_among_others(server, tmp_path):
    lines = server.bodies["filereport"].splitlines(keepends=True)
    lines[1] = lines[1].replace(b"Homo sapiens", b"Mus musculus")
    server.bodies["filereport"] = b"".join(lines)
    options = {"cache": tmp_path, "ensembl_url": server.url(), "ena_url": server.url()}
    with pytest.raises(
        AlignmentError, match="1 of 2 samples could not be aligned; nothing was aligned(?s:.)*Mus"
    ):
        align("SRP000001", **options)
    with pytest.warns(UserWarning, match="SRR000001 is of Mus musculus"):
        ds = align("SRP000001", **options, errors="skip")
    assert ds["sample"].values.tolist() == ["SRR000002"]


def test_runs_that_are_not_there_are_told_before_anything_is_done(server, tmp_path):
    server.bodies["filereport"] = ena_report({}, "")
    with pytest.raises(NameNotFoundError, match="no runs of SRR000009"):
        align("SRR000009", cache=tmp_path, ensembl_url=server.url(), ena_url=server.url())
    assert {request.name for request in server.requests} == {"filereport"}


# The index, of a few transcripts.


@pytest.fixture
def build(run, shared):
    return partial(run, transcriptome=shared / "few.fa.gz")


def indexes(cache):
    return sorted(path for path in (cache / "archs4/kallisto").rglob("*") if path.is_file())


def test_an_index_is_built_once_and_known_to_the_cache(build, shared, tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    first = build(shared / "few.fq", cache=cache)
    (index,) = indexes(cache)
    (listed,) = [file for file in VerifiedFileCache(cache).info() if file.name == index.name]
    assert str(listed.digest) == first.attrs["intake_tcga:index_digest"] == str(Digest.of(index))
    monkeypatch.setattr(kallisto_index, "_build", None)  # not called again
    build(shared / "few.fq", cache=cache)
    elsewhere = VerifiedFileCache(tmp_path / "mine", read_only=[cache])
    build(shared / "few.fq", cache=elsewhere)
    assert VerifiedFileCache(cache).clear(name=index.name) == [index]


def test_another_version_or_kmer_is_another_index(build, shared, tmp_path):
    digests = [Digest("md5", "0" * 32)]
    path = Path("k")
    one, two, three = (
        kallisto_index.index_file(kallisto.Kallisto(path, version), digests, kmer=kmer)
        for version, kmer in (("0.52.0", 31), ("0.48.0", 31), ("0.52.0", 21))
    )
    assert len({one.folder, two.folder, three.folder}) == 3
    build(shared / "few.fq", cache=tmp_path, kmer=21)
    build(shared / "few.fq", cache=tmp_path, kmer=31)
    assert len(indexes(tmp_path)) == 2


def test_a_damaged_index_is_built_anew(build, shared, tmp_path):
    good = build(shared / "few.fq", cache=tmp_path)
    (index,) = indexes(tmp_path)
    index.write_bytes(index.read_bytes()[:10_000])
    xr.testing.assert_equal(build(shared / "few.fq", cache=tmp_path), good)


def test_an_index_that_cannot_be_built(build, shared, tmp_path):
    fake = tmp_path / "kallisto"
    fake.write_text(
        "#!/bin/sh\n[ $1 = version ] && echo kallisto, version 1.0.0 && exit\necho 'Error: no' >&2; exit 1\n"
    )
    fake.chmod(0o755)
    with pytest.raises(AlignmentError, match="could not be built: kallisto ended with status 1: Error: no"):
        build(shared / "few.fq", cache=tmp_path / "cache", kallisto=fake)
    fake.write_text(
        fake.read_text().replace("echo 'Error: no' >&2; exit 1", "[ $1 = inspect ] && exit 1; : > $3")
    )
    with pytest.raises(AlignmentError, match="is damaged"):
        build(shared / "few.fq", cache=tmp_path / "cache", kallisto=fake)
    assert not indexes(tmp_path / "cache")


CODE = """
import sys
from intake_tcga.archs4.align import align
align(sys.argv[1], transcriptome=sys.argv[2], cache=sys.argv[3], kallisto=sys.argv[4])
"""


def test_a_kill_while_building_leaves_no_index(build, shared, tmp_path):
    cache = tmp_path / "cache"
    slow = tmp_path / "kallisto"
    slow.write_text("#!/bin/sh\n[ $1 = index ] && : > $3 && exec sleep 20\necho kallisto, version 0.52.0\n")
    slow.chmod(0o755)
    command = [sys.executable, "-c", CODE, shared / "few.fq", shared / "few.fa.gz", cache, slow]
    child = subprocess.Popen(command)
    until = time.monotonic() + 60
    while not list(cache.glob("archs4/kallisto/*/.building-*/*.idx")) and time.monotonic() < until:
        time.sleep(0.005)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert not list(cache.glob("archs4/kallisto/*/*.idx"))
    (left,) = cache.glob("archs4/kallisto/*/.building-*")
    os.utime(left, (0, 0))
    assert build(shared / "few.fq", cache=cache).sizes["feature"] == 10
    assert not left.exists()


def test_two_processes_build_one_index(shared, tmp_path):
    log = tmp_path / "builds"
    real = kallisto.find_kallisto(None, tmp_path).path
    counted = tmp_path / "kallisto"
    counted.write_text(f'#!/bin/sh\n[ $1 = index ] && echo built >> {log}\nexec {real} "$@"\n')
    counted.chmod(0o755)
    command = [
        sys.executable,
        "-c",
        CODE,
        shared / "few.fq",
        shared / "few.fa.gz",
        tmp_path / "c",
        counted,
    ]
    children = [subprocess.Popen(command) for _ in range(3)]
    assert [child.wait() for child in children] == [0, 0, 0]
    assert log.read_text() == "built\n"
    assert len(indexes(tmp_path / "c")) == 1


def test_sources_are_found_before_an_index_is_built(build, tmp_path):
    write(tmp_path / "a.fq", b"")
    with pytest.raises(FileFormatError, match="no reads"):
        build(tmp_path / "a.fq", cache=tmp_path / "cache")
    assert not indexes(tmp_path / "cache")
