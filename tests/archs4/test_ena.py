import hashlib

import pytest
from fastq_files import ena_report
from faulty_server import FaultyServer, drop, status

from intake_tcga.archs4.ena import find_runs
from intake_tcga.cache.store import VerifiedFileCache
from intake_tcga.errors import (
    FileFormatError,
    IntegrityError,
    NameNotFoundError,
    OfflineError,
    OptionError,
    TransferError,
)
from intake_tcga.transfer.budget import Budget

FILES = {"SRR000001_1.fastq.gz": b"one" * 700_000, "SRR000001_2.fastq.gz": b"two"}
QUICK = Budget(attempts=3, backoff=0.01)


@pytest.fixture
def server():
    with FaultyServer() as server:
        runs = {"SRR000001": FILES}
        server.bodies = {f"{run}/{name}": body for run, files in runs.items() for name, body in files.items()}
        server.bodies["filereport"] = ena_report(runs, server.url())
        yield server


def cache_in(tmp_path):
    return VerifiedFileCache(tmp_path / "cache", read_only=[], budget=QUICK, progress=False)


def test_a_run_is_a_folder_of_verified_files(server, tmp_path):
    (run,) = find_runs("SRR000001", url=server.url())
    server.fail("SRR000001/SRR000001_1.fastq.gz", drop(0.8))
    paths = run.fetch(cache_in(tmp_path))
    assert [path.relative_to(tmp_path).as_posix() for path in paths] == [
        f"cache/archs4/fastq/SRR000001/{name}" for name in FILES
    ]
    assert [path.read_bytes() for path in paths] == list(FILES.values())
    assert 206 in server.statuses  # it went on where it was cut
    assert run.size == sum(map(len, FILES.values()))


def test_wrong_bytes_are_refused(server, tmp_path):
    (run,) = find_runs("SRR000001", url=server.url())
    server.bodies["SRR000001/SRR000001_2.fastq.gz"] = b"owt"
    with pytest.raises(TransferError, match="SRR000001_2.fastq.gz.*md5") as caught:
        run.fetch(cache_in(tmp_path))
    assert isinstance(caught.value.__cause__, IntegrityError)


@pytest.mark.parametrize(
    "accession", ["SRR1", "GSE64016", "GSM1158284", "SRR000001;", "srr000001", "../x", ""]
)
def test_what_is_no_accession(accession):
    with pytest.raises(OptionError, match="SRR, ERR or DRR"):
        find_runs(accession, url="http://127.0.0.1:9")


@pytest.mark.parametrize("answer", ["header", "empty", 204, 400])
def test_a_run_that_the_archive_does_not_know(server, answer):
    if isinstance(answer, int):
        server.fail("filereport", status(answer), times=None)
    else:
        server.bodies["filereport"] = ena_report({}, "") if answer == "header" else b""
    with pytest.raises(NameNotFoundError, match="no runs of SRR999999"):
        find_runs("SRR999999", url=server.url())


def test_a_run_without_files(server, tmp_path):
    server.bodies["filereport"] = ena_report({"SRR000002": {}}, "")
    (run,) = find_runs("SRR000002", url=server.url())
    with pytest.raises(NameNotFoundError, match="no FASTQ files of SRR000002.*fasterq-dump"):
        run.fetch(cache_in(tmp_path))


def test_a_study_has_many_runs(server):
    server.bodies["filereport"] = ena_report(
        {"SRR000001": FILES, "SRR000002": {"x.fastq.gz": b"x"}}, server.url()
    )
    assert [run.accession for run in find_runs("SRP000001", url=server.url())] == ["SRR000001", "SRR000002"]


def test_links_without_a_scheme_are_https(server):
    server.bodies["filereport"] = ena_report({"SRR000001": FILES}, "ftp.sra.ebi.ac.uk/vol1/fastq/")
    (run,) = find_runs("SRR000001", url=server.url())
    file = run.files[0]
    assert file.url == "https://ftp.sra.ebi.ac.uk/vol1/fastq/SRR000001/SRR000001_1.fastq.gz"
    assert file.foreign
    assert str(file.digest) == "md5:" + hashlib.md5(FILES["SRR000001_1.fastq.gz"]).hexdigest()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda text: text.replace(b"fastq_md5", b"md5"), "has no fastq_md5"),
        (lambda text: b"<html>log in</html>", "try again later"),
        (lambda text: text.replace(b";", b"", 1), "names 1 files, 2 digests"),
        (lambda text: text.replace(b"http:", b"file:"), "cannot be fetched"),
        (lambda text: text.replace(b"_1.fastq.gz", b"_1.fastq.gz/.."), "plain file name"),
        (lambda text: text.replace(b"\tSRR000001", b"\t../../x"), "try again later"),
    ],
)
def test_hostile_answers(server, change, says):
    server.bodies["filereport"] = change(server.bodies["filereport"])
    with pytest.raises(FileFormatError, match=says):
        find_runs("SRR000001", url=server.url())


def test_the_archive_cannot_be_reached(server):
    with pytest.raises(OfflineError):
        find_runs("SRR000001", url=server.url(), offline=True)
    server.fail("filereport", status(503), times=None)
    with pytest.raises(TransferError, match="503"):
        find_runs("SRR000001", url=server.url(), budget=QUICK)
