"""How kallisto is found, called and believed; with programs that only pretend to be it."""

import json
import os
import stat
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from intake_tcga.archs4 import kallisto
from intake_tcga.archs4.fastq import Reads
from intake_tcga.archs4.kallisto import FragmentLengths, Kallisto
from intake_tcga.errors import AlignmentError, MissingDependencyError, MissingFileError, OptionError

TABLE = "target_id\tlength\teff_length\test_counts\ttpm\na\t300\t100\t30\t1\nb\t400\t200\t20\t1\n"


def program(path, body):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!{sys.executable}\nimport os, sys, time\n{body}")
    path.chmod(0o755)
    return path


def pretender(path, version="9.9.9"):
    return program(path, f"print('kallisto, version {version}')")


def test_the_one_that_is_given(tmp_path):
    path = pretender(tmp_path / "mine")
    assert kallisto.find_kallisto(path, tmp_path) == Kallisto(path, "9.9.9")
    with pytest.raises(MissingFileError, match="nowhere"):
        kallisto.find_kallisto(tmp_path / "nowhere", tmp_path)


@pytest.mark.parametrize("body", ["sys.exit(3)", "print('hello')"])
def test_what_is_no_kallisto(tmp_path, body):
    with pytest.raises(AlignmentError, match="is not a kallisto that runs here"):
        kallisto.find_kallisto(program(tmp_path / "k", body), tmp_path)


def test_a_binary_for_another_machine(tmp_path):
    path = tmp_path / "k"
    path.write_bytes(b"MZ\x00\x00" * 10)
    path.chmod(0o755)
    with pytest.raises(AlignmentError, match="does not run here"):
        kallisto.find_kallisto(path, tmp_path)


def test_that_of_the_package_comes_first_then_path(tmp_path, monkeypatch):
    on_path = pretender(tmp_path / "bin" / "kallisto", "1.0.0")
    monkeypatch.setenv("PATH", str(on_path.parent))
    package = tmp_path / "site" / "kb_python"
    for folder in ("linux", "darwin/m1", "darwin"):
        pretender(package / "bins" / folder / "kallisto" / "kallisto", "2.0.0")
    (package / "__init__.py").write_text("raise ImportError('never imported')")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "site")])
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    assert kallisto.find_kallisto(None, tmp_path).version == "2.0.0"
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr("platform.machine", lambda: "aarch64")  # there is no such binary
    assert kallisto.find_kallisto(None, tmp_path).version == "1.0.0"
    monkeypatch.setattr(sys, "path", [])
    assert kallisto.find_kallisto(None, tmp_path).path == on_path
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    with pytest.raises(MissingDependencyError, match="pip install --no-deps 'kb-python"):
        kallisto.find_kallisto(None, tmp_path)


def test_one_on_a_relative_path(tmp_path, monkeypatch):
    on_path = pretender(tmp_path / "bin" / "kallisto")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"bin{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(kallisto, "_bundled", lambda: None)
    assert kallisto.find_kallisto(None, tmp_path) == Kallisto(on_path, "9.9.9")


def test_a_binary_that_lost_its_bit_is_copied(tmp_path, monkeypatch):
    path = pretender(tmp_path / "site" / "kallisto")
    path.chmod(0o644)
    monkeypatch.setattr(kallisto, "_bundled", lambda: path)
    for _ in range(2):
        found = kallisto.find_kallisto(None, tmp_path / "tools")
        assert found.path.parent == tmp_path / "tools"
        assert found.version == "9.9.9"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert len(list((tmp_path / "tools").iterdir())) == 1


def test_commands():
    binary, index, out = Kallisto(Path("k"), "0.52.0"), Path("i"), Path("o")
    pairs = Reads("s", (Path("a1"), Path("b1")), (Path("a2"), Path("b2")))
    command = kallisto.quant_arguments(binary, index, pairs, out, threads=3, fragments=FragmentLengths())
    assert command == ["k", "quant", "-i", "i", "-o", "o", "-t", "3", "--verbose", "a1", "a2", "b1", "b2"]
    command = kallisto.index_arguments(binary, [Path("f")], index, kmer=21, threads=2, scratch=Path("t"))
    assert command == ["k", "index", "-i", "i", "-k", "21", "-t", "2", "-T", "t", "f"]


@pytest.mark.parametrize("lengths", [(0, 20), (200, -1), (float("nan"), 20), (float("inf"), 20)])
def test_lengths_that_cannot_be(lengths):
    with pytest.raises(OptionError, match="fragment_length="):
        FragmentLengths(*lengths)


def test_a_talkative_program_does_not_block(tmp_path):
    path = program(tmp_path / "p", "sys.stderr.write('x' * 5_000_000 + '\\nError: the end\\n'); sys.exit(7)")
    assert kallisto.run([str(path)], tmp_path / "log") == 7
    assert kallisto.how_it_ended(7, tmp_path / "log") == "kallisto ended with status 7: Error: the end"


def test_what_happens_meanwhile_kills_the_program(tmp_path):
    path = program(tmp_path / "p", "open('pid', 'w').write(str(os.getpid())); time.sleep(60)")

    def interrupt():
        if (tmp_path / "pid").exists() and (tmp_path / "pid").read_text():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        kallisto.run([str(path)], tmp_path / "log", meanwhile=interrupt)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_a_program_that_is_killed(tmp_path):
    path = program(tmp_path / "p", "os.kill(os.getpid(), 9); time.sleep(9)")
    status = kallisto.run([str(path)], tmp_path / "log")
    assert status == -9
    assert "too little memory" in kallisto.how_it_ended(status, tmp_path / "log")


def test_progress_is_read_off_the_log(tmp_path):
    log = tmp_path / "log"
    assert kallisto.reads_processed(log) is None
    log.write_text(
        "...\n\r[progress] 1M reads processed (99% mapped)   \r[progress] 12M reads processed (99% mapped)"
    )
    assert kallisto.reads_processed(log) == 12_000_000


def outcome(folder, *, status=0, expected=50, table=TABLE, log="[quant] done\n", **summary):
    folder.mkdir(exist_ok=True)
    (folder / "log").write_text(log)
    if table is not None:
        (folder / "abundance.tsv").write_text(table)
    if summary:
        (folder / "run_info.json").write_text(json.dumps(summary))
    return kallisto.read_abundances(folder, sample="S1", status=status, log=folder / "log", expected=expected)


def test_a_good_outcome(tmp_path):
    found = outcome(tmp_path / "o", n_processed=50, n_pseudoaligned=45)
    assert found.transcripts.tolist() == ["a", "b"]
    assert found.counts.tolist() == [30, 20]
    np.testing.assert_allclose(found.tpm, [750_000, 250_000])
    with h5py.File(tmp_path / "o" / "abundance.h5", "w") as file:  # it has every digit
        file["aux/ids"] = np.array([b"a", b"b"])
        file["aux/eff_lengths"], file["est_counts"] = [100.0, 200.0], [1234567.0, 20.25]
    again = outcome(tmp_path / "o", n_processed=50, n_pseudoaligned=45)
    assert again.counts.tolist() == [1234567, 20.25]


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"status": 1, "n_processed": 50, "n_pseudoaligned": 0}, "S1: none of its 50 reads aligned"),
        ({"status": 0, "n_processed": 50, "n_pseudoaligned": 0}, "S1: none of its 50 reads aligned"),
        ({"status": 1, "n_processed": 50, "n_pseudoaligned": 9}, "S1: kallisto ended with status 1"),
        ({"status": 1, "log": "Error: no such file\n\n"}, "status 1: Error: no such file"),
        ({"status": -9}, "killed by signal 9"),
        ({"status": 0}, "no valid run_info.json"),
        ({"n_processed": "50", "n_pseudoaligned": 9}, "no valid run_info.json"),
        ({"n_processed": 49, "n_pseudoaligned": 9}, "read 49 reads where its files have 50"),
        ({"table": None, "n_processed": 50, "n_pseudoaligned": 9}, "cannot be read"),
        ({"table": "a\tb\n1\t2\n", "n_processed": 50, "n_pseudoaligned": 9}, "cannot be read"),
        ({"table": TABLE.replace("20", "nan"), "n_processed": 50, "n_pseudoaligned": 9}, "cannot be"),
        ({"table": TABLE[:-9], "n_processed": 50, "n_pseudoaligned": 9}, "cannot be read"),
        (
            {"table": TABLE.replace("30", "0").replace("20", "0"), "n_processed": 50, "n_pseudoaligned": 9},
            "cannot be",
        ),
    ],
)
def test_what_is_not_believed(tmp_path, how, says):
    with pytest.raises(AlignmentError, match=says):
        outcome(tmp_path / "o", **how)
