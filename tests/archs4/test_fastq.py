import gzip
from pathlib import Path

import numpy as np
import pytest
from fastq_files import MadeUp, fastq, write
from hypothesis import given
from hypothesis import strategies as st

from intake_tcga.archs4.fastq import Reads, by_sample, count_records, is_fastq, merge, pair
from intake_tcga.errors import FileFormatError, MissingFileError, OptionError

FIRST, SECOND, _ = MadeUp.of().reads(20, seed=3)


def group(files, layout="auto"):
    return [
        reads
        for (_, sample), members in by_sample(files, layout=layout).items()
        for reads in pair(sample, members, layout=layout)
    ]


def files(folder, **bodies):
    return [write(folder / name, body) for name, body in bodies.items()]


def mates(**how):
    return fastq(FIRST, mate=1, **how), fastq(SECOND, mate=2, **how)


@pytest.mark.parametrize(
    ("names", "sample"),
    [
        (("a_1.fastq.gz", "a_2.fastq.gz"), "a"),
        (("a.1.fq", "a.2.fq"), "a"),
        (("a_R1.fastq", "a_R2.fastq"), "a"),
        (("a-r1.fq.gz", "a-r2.fq.gz"), "a"),
        (("a_S1_L001_R1_001.fastq.gz", "a_S1_L001_R2_001.fastq.gz"), "a_S1"),
        (("SRR1.2_1.fastq", "SRR1.2_2.fastq"), "SRR1.2"),
    ],
)
@pytest.mark.parametrize("ending", ["/{}", " {}:N:0:ACGT", ".{}", " 1/{}", ""])
def test_mates_are_told_by_names_and_reads(tmp_path, names, sample, ending):
    one, two = mates(ending=ending)
    paths = [write(tmp_path / names[0], one), write(tmp_path / names[1], two)]
    assert group(paths) == group(paths[::-1]) == [Reads(sample, (paths[0],), (paths[1],))]


def test_lanes_of_a_sample_are_one(tmp_path):
    one, two = mates()
    names = [f"s_S1_L00{lane}_R{mate}_001.fastq.gz" for mate in (2, 1) for lane in (2, 1)]
    paths = [write(tmp_path / name, one if "R1" in name else two) for name in names]
    (reads,) = group(paths)
    assert [path.name[5:12] for path in reads.files] == ["L001_R1", "L001_R2", "L002_R1", "L002_R2"]
    assert reads.sample == "s_S1"


def test_a_pair_and_what_lost_its_mate(tmp_path, caplog):
    one, two = mates()
    paths = files(tmp_path, **{"S.fastq": fastq(FIRST), "S_1.fastq": one, "S_2.fastq": two})
    assert group(paths) == [Reads("S", (paths[1],), (paths[2],))]
    assert "S.fastq" in caplog.text


def test_replicates_are_no_mates(tmp_path):
    bodies = {f"rep_{n}.fastq": fastq(FIRST, name=f"RUN{n}", ending=" {}:N:0:A", mate=1) for n in (1, 2, 3)}
    found = group(files(tmp_path, **bodies))
    assert sorted(reads.sample for reads in found) == ["rep_1", "rep_2", "rep_3"]
    assert not any(reads.paired for reads in found)


def test_names_and_reads_that_disagree_are_for_the_user_to_settle(tmp_path):
    paths = files(tmp_path, **{"a_R1.fq": fastq(FIRST, mate=1), "a_R2.fq": fastq(SECOND, name="X", mate=2)})
    with pytest.raises(OptionError, match=r"READ.1/1, @X.1/2.*layout='single'"):
        group(paths)
    assert [reads.paired for reads in group(paths, "paired")] == [True]
    assert [reads.sample for reads in group(paths, "single")] == ["a_R1", "a_R2"]
    unmarked = files(tmp_path, **{"b_1.fq": fastq(FIRST), "b_2.fq": fastq(SECOND, name="X")})
    with pytest.raises(OptionError, match="layout="):
        group(unmarked)


@pytest.mark.parametrize(
    ("names", "layout"),
    [
        (["a_R2.fq"], "auto"),
        (["a_1.fq"], "paired"),
        (["a_L001_R1.fq", "a_L002_R1.fq", "a_L001_R2.fq"], "auto"),
        (["a.fq"], "paired"),
    ],
)
def test_a_missing_mate(tmp_path, names, layout):
    paths = files(tmp_path, **{name: fastq(FIRST) for name in names})
    with pytest.raises(OptionError, match="not pairs"):
        group(paths, layout)


def test_single_reads(tmp_path):
    paths = files(tmp_path, **{name: fastq(FIRST) for name in ("a.fq", "b_1.fq", "c_R1.fq", "d_2.fq")})
    assert [reads.sample for reads in group(paths)] == ["a", "b_1", "c", "d_2"]


def test_the_same_file_twice_over(tmp_path):
    paths = files(tmp_path, **{"a.fq": fastq(FIRST), "a.fastq": fastq(FIRST)})
    with pytest.raises(OptionError, match="leave one"):
        group(paths)
    assert len(group([paths[0], paths[0]])) == 1


def test_interleaved_mates_are_not_taken_for_single_reads(tmp_path):
    both = np.repeat(FIRST, 2, axis=0)
    lines = fastq(both).split(b"\n")
    lines[0], lines[4] = b"@A/1", b"@A/2"
    with pytest.raises(FileFormatError, match="both mates"):
        group(files(tmp_path, **{"a.fq": b"\n".join(lines)}))


def test_merge_wants_one_kind(tmp_path):
    one, two = Reads("a", (tmp_path / "a",)), Reads("b", (tmp_path / "b",), (tmp_path / "c",))
    assert merge("s", [one, one]).first == (tmp_path / "a",) * 2
    with pytest.raises(OptionError, match="align them apart"):
        merge("s", [one, two])
    with pytest.raises(OptionError, match="no files"):
        merge("s", [])


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "no reads"),
        (gzip.compress(b"", mtime=0), "no reads"),
        (b"\n\n", "no reads"),
        (b">a\nACGT\n", "not FASTQ"),
        (b"@a\nAC\nGT\n+\nII\nII\n", "not FASTQ"),
        (b"BZh91AY&SY", "bzip2"),
        (b"\x28\xb5\x2f\xfd0000", "zstandard"),
        (b"NCBI.sra....", "SRA"),
    ],
)
def test_what_is_no_fastq(tmp_path, body, says):
    path = tmp_path / "a.fastq"
    path.write_bytes(body)
    with pytest.raises(FileFormatError, match=says):
        group([path])


def test_what_is_not_there(tmp_path):
    with pytest.raises(MissingFileError):
        group([tmp_path / "a.fastq"])
    with pytest.raises(OptionError, match="layout='both'"):
        group([], "both")


@given(st.integers(0, 40), st.booleans(), st.booleans(), st.integers(0, 3), st.booleans())
def test_counting(tmp_path_factory, number, packed, windows, blank, last_newline):
    body = fastq(np.repeat(FIRST, 2, axis=0)[:number])
    body = (body if last_newline else body[:-1]) + b"\n" * (blank if last_newline else 0)
    body = body.replace(b"\n", b"\r\n") if windows else body
    path = write(tmp_path_factory.mktemp("f") / ("a.fastq.gz" if packed else "a.fastq"), body)
    assert count_records(path) == number


EMPTY = b"@E\n\n+\n\n"  # a read of which trimming left nothing


@pytest.mark.parametrize("windows", [False, True])
@pytest.mark.parametrize("blank", [0, 1, 3, 4, 5])
@pytest.mark.parametrize("empty_at", ["first", "last", "last two", "alone"])
def test_empty_reads_are_reads(tmp_path, empty_at, blank, windows):
    whole = fastq(FIRST)
    bodies = {"first": EMPTY + whole, "last": whole + EMPTY, "last two": whole + 2 * EMPTY, "alone": EMPTY}
    body = bodies[empty_at] + b"\n" * blank
    path = write(tmp_path / "a.fastq", body.replace(b"\n", b"\r\n") if windows else body)
    assert count_records(path) == bodies[empty_at].count(b"@")
    if not blank and not windows:
        write(path, body[:-1])  # kallisto, too, takes the last newline as said
        assert count_records(path) == bodies[empty_at].count(b"@")
        with pytest.raises(FileFormatError, match="middle of a record"):
            count_records(write(path, bodies[empty_at] + b"@E\n\n"))


@given(st.data())
def test_a_cut_file_is_never_counted_as_whole(tmp_path_factory, data):
    body = fastq(FIRST)
    at = data.draw(st.integers(1, len(body) - 2))
    path = write(tmp_path_factory.mktemp("f") / "a.fastq", body[:at])
    lines = body[:at].rstrip(b"\n").split(b"\n")
    if len(lines) % 4 == 0 and len(lines[-1]) == len(lines[-3]):
        assert count_records(path) == len(lines) // 4
    else:
        with pytest.raises(FileFormatError, match="middle of a record"):
            count_records(path)


def test_records_across_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr("intake_tcga.archs4.fastq._BLOCK", 200)
    body = fastq(FIRST)
    assert count_records(write(tmp_path / "a.fastq.gz", body)) == len(FIRST)
    assert count_records(write(tmp_path / "a.fastq.gz", body + EMPTY)) == len(FIRST) + 1
    with pytest.raises(FileFormatError):
        count_records(write(tmp_path / "b.fastq.gz", body[:-20]))
    for blank in (
        399,
        400,
        401,
        402,
    ):  # more than is remembered of the end: no number of records may come of it
        with pytest.raises(FileFormatError):
            count_records(write(tmp_path / "c.fastq.gz", body + b"\n" * blank))


def test_gzip_that_is_cut_or_damaged(tmp_path):
    packed = gzip.compress(fastq(FIRST))
    (tmp_path / "cut.fastq.gz").write_bytes(packed[:-9])
    with pytest.raises(FileFormatError, match="cut off"):
        count_records(tmp_path / "cut.fastq.gz")
    damaged = bytearray(packed)
    damaged[-6] ^= 1
    (tmp_path / "bad.fastq.gz").write_bytes(bytes(damaged))
    with pytest.raises(FileFormatError, match="damaged"):
        count_records(tmp_path / "bad.fastq.gz")


def test_hidden_files_are_none():
    assert not is_fastq(Path(".a.fastq"))
    assert is_fastq(Path("a.FASTQ.GZ"))
