"""Fields decoded once and kept: what is kept is used, and never trusted beyond what it says."""

import copy
import multiprocessing
import os
import pickle
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import archs4_files
import fsspec
import h5py
import numpy as np
import pytest

from intake_tcga.archs4 import metadata as metadata_module
from intake_tcga.archs4.access import open_archs4
from intake_tcga.archs4.layout import read_layout
from intake_tcga.archs4.metadata import sample_metadata
from intake_tcga.cache.store import VerifiedFileCache
from intake_tcga.errors import FileFormatError, MissingDependencyError, NameNotFoundError
from intake_tcga.hdf5.file import Hdf5File
from intake_tcga.transfer.ranged import RangedFile

N = 300


def settled(path):
    """Make a file look older than a moment: of younger ones nothing is kept."""
    then = time.time_ns() - 10_000_000_000
    os.utime(path, ns=(then, then))
    return path


@pytest.fixture
def path(tmp_path):
    return settled(archs4_files.write_archs4(tmp_path / "human_gene_v2.5.h5", n_samples=N))


def opened(path):
    file = Hdf5File(path)
    return sample_metadata(file, read_layout(file))


@pytest.fixture
def reads(monkeypatch):
    """List what is decoded out of the file."""
    seen = []
    read_column = metadata_module.read_column

    def note(file, path, rows=None, **how):
        seen.append((path.rpartition("/")[2], None if rows is None else len(rows)))
        return read_column(file, path, rows, **how)

    monkeypatch.setattr(metadata_module, "read_column", note)
    return seen


def kept(cache_dir):
    return sorted(cache_dir.rglob("*.parquet"))


@pytest.mark.parametrize(("version", "level"), archs4_files.LAYOUTS)
def test_every_field_of_every_layout(tmp_path, version, level):
    path = archs4_files.write_archs4(tmp_path / "file.h5", version, level=level, n_samples=20)
    metadata = opened(path)
    layout = read_layout(Hdf5File(path))
    assert metadata.n_samples == 20
    assert {"geo_accession", "series_id", "title"} <= set(metadata.fields)
    for field in metadata.fields:
        stored = layout.fields[field]
        with h5py.File(path) as file:
            numbers = file[stored].dtype.kind in "iuf"
            expected = file[stored][()].tolist() if numbers else archs4_files.naive_texts(path, stored)
        values = metadata.values(field)
        assert values.tolist() == expected
        assert values.dtype.kind == ("f" if numbers else "O")
        rows = np.array([7, 3, 3, 19])
        assert metadata.values(field, rows).tolist() == [expected[row] for row in rows]


@pytest.mark.parametrize("name", ["human_matrix_v9_sample_100_100_1", "mouse_matrix_v9_sample_100_100_12"])
def test_real_fields(name):
    path = archs4_files.REAL / f"{name}.h5"
    metadata = opened(path)
    frame = metadata.frame()
    assert frame.index.tolist() == archs4_files.naive_texts(path, "meta/samples/geo_accession")
    for field in ("characteristics_ch1", "extract_protocol_ch1", "contact_address", "series_id"):
        assert frame[field].tolist() == archs4_files.naive_texts(path, f"meta/samples/{field}")


def test_a_field_is_decoded_once(path, reads, cache_dir):
    metadata = opened(path)
    assert reads == []
    first = metadata.column("title")
    assert metadata.column("title") is first
    assert opened(path).column("title").equals(first)
    assert opened(path).values("title", np.array([0, 1])).tolist() == first.to_pylist()[:2]
    assert reads == [("title", None)]
    assert len(kept(cache_dir)) == 1
    assert not list(cache_dir.rglob("*.new"))


def test_threads_that_want_a_field_at_once_decode_it_once(path, reads, monkeypatch):
    metadata = opened(path)
    noted = metadata_module.read_column
    monkeypatch.setattr(metadata_module, "read_column", lambda *a, **k: (time.sleep(0.1), noted(*a, **k))[1])
    with ThreadPoolExecutor(4) as pool:
        columns = list(pool.map(metadata.column, ["title", "source_name_ch1"] * 4))
    assert sorted(reads) == [("source_name_ch1", None), ("title", None)]
    assert all(column is columns[0] for column in columns[::2])


def test_a_field_that_failed_can_be_read_again(path, monkeypatch):
    metadata = opened(path)
    with monkeypatch.context() as broken:
        broken.setattr(metadata_module, "read_column", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            metadata.column("title")
    assert len(metadata.column("title")) == N


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_forked_while_a_thread_decodes_a_field_decodes_it_too(path, monkeypatch):
    metadata = opened(path)
    metadata.values("status")
    read_column, begun, go = metadata_module.read_column, threading.Event(), threading.Event()
    monkeypatch.setattr(
        metadata_module, "read_column", lambda *a, **k: (begun.set(), go.wait(60), read_column(*a, **k))[2]
    )
    thread = threading.Thread(target=metadata.column, args=("title",))
    thread.start()
    begun.wait(60)
    child = os.fork()
    if child == 0:
        go.set()
        os._exit(0 if len(metadata.column("title")) == N else 1)
    go.set()
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_few_rows_of_an_unknown_field_do_not_decode_it(path, reads, cache_dir):
    metadata = opened(path)
    metadata.values("title", np.array([5, 2]))
    assert reads == [("title", 2)]
    assert kept(cache_dir) == []
    metadata.values("title", np.arange(N))
    assert reads[1:] == [("title", None)]


def test_what_is_kept_of_a_file_that_changed_is_not_used(path, reads):
    opened(path).column("title")
    with h5py.File(path, "r+") as file:
        file["meta/samples/title"][0] = "another"
    assert opened(path).column("title")[0].as_py() == "another"
    settled(path)
    assert opened(path).column("title")[0].as_py() == "another"
    assert opened(path).column("title")[0].as_py() == "another"
    assert len(reads) == 3  # too young to be kept; then old enough


def test_of_a_file_written_just_now_nothing_is_kept(path, cache_dir):
    soon = time.time() + 60  # however long it takes to get there
    os.utime(path, (soon, soon))
    opened(path).column("title")
    assert kept(cache_dir) == []


@pytest.mark.parametrize("damage", ["empty", "cut", "garbage", "every byte", "other field", "folder"])
def test_damaged_columns_are_decoded_anew(path, cache_dir, damage, reads):
    expected = opened(path).values("title").tolist()
    [place] = kept(cache_dir)
    content = place.read_bytes()
    if damage == "other field":
        opened(path).column("source_name_ch1")
        [other] = [one for one in kept(cache_dir) if one != place]
        other.replace(place)
    elif damage == "folder":
        place.unlink()
        place.mkdir()
    elif damage == "every byte":
        for at in range(0, len(content), 97):
            place.write_bytes(content[:at] + bytes([content[at] ^ 0x55]) + content[at + 1 :])
            assert opened(path).values("title").tolist() == expected
            if not place.exists():
                break
        return
    else:
        place.write_bytes(
            {"empty": b"", "cut": content[: len(content) // 2], "garbage": b"PAR1" * 99}[damage]
        )
    assert opened(path).values("title").tolist() == expected
    if damage != "folder":
        assert reads.count(("title", None)) == 2
        assert opened(path).values("title").tolist() == expected
        assert reads.count(("title", None)) == 2  # healed


def test_a_cache_that_cannot_be_written_is_no_error(path, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("INTAKE_TCGA_CACHE_DIR", str(tmp_path / "file"))
    assert len(opened(path).column("title")) == N


def test_what_killed_processes_left_behind_is_cleared(path, cache_dir):
    opened(path).column("title")
    [place] = kept(cache_dir)
    left, fresh = place.with_name("left.new"), place.with_name("fresh.new")
    left.write_bytes(b"half")
    fresh.write_bytes(b"half")
    os.utime(left, (0, 0))
    opened(path).column("source_name_ch1")
    assert not left.exists()
    assert fresh.exists()


def _read_in_another_process(path):
    return opened(path).values("characteristics_ch1").tolist()


def test_several_processes_at_once(path):
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        one, *others = pool.map(_read_in_another_process, [path] * 4)
    assert all(other == one for other in others)
    assert one == archs4_files.naive_texts(path, "meta/samples/characteristics_ch1")


def test_columns_of_a_remote_file_are_kept_under_its_identity(path, tmp_path, reads):
    def remote():
        file = Hdf5File(RangedFile("memory://metadata.h5"), state=tmp_path / "state")
        return sample_metadata(file, read_layout(file))

    def publish():
        with fsspec.open("memory://metadata.h5", "wb") as copy_:
            copy_.write(path.read_bytes())

    publish()
    first = remote()
    expected = first.values("title").tolist()
    again = remote()
    before = again.file.remote.bytes_read
    assert again.values("title").tolist() == expected
    assert again.file.remote.bytes_read == before
    assert reads == [("title", None)]
    with h5py.File(path, "r+") as file:
        file["meta/samples/title"][0] = "another title"
    publish()
    assert remote().values("title")[0] == "another title"


@pytest.mark.parametrize("remote", [False, True])
def test_columns_are_kept_in_the_cache_that_was_given(path, tmp_path, cache_dir, remote):
    if remote:
        with fsspec.open("memory://given.h5", "wb") as copy_:
            copy_.write(path.read_bytes())
    cache = VerifiedFileCache(tmp_path / "other", progress=False)
    with open_archs4("memory://given.h5" if remote else path, cache=cache) as ds:
        expected = ds["title"].values.tolist()
        again = pickle.loads(pickle.dumps(ds))
    assert len(kept(cache.root)) == 1
    assert again["title"].values.tolist() == expected
    assert not cache_dir.exists()
    assert sorted(path.parent.iterdir()) == sorted([path, cache.root])


def test_columns_of_a_file_in_a_cache_are_kept_there_whichever_is_given(path, tmp_path):
    place = tmp_path / "one" / "archs4" / "a.h5"
    place.parent.mkdir(parents=True)
    (tmp_path / "one" / ".intake-tcga").mkdir()
    settled(path.replace(place))
    with open_archs4(place, cache=VerifiedFileCache(tmp_path / "other", progress=False)) as ds:
        _ = ds["title"].values
    assert len(kept(tmp_path / "one")) == 1
    assert kept(tmp_path / "other") == []


def test_pickles_without_what_was_read(path):
    metadata = opened(path)
    metadata.column("title")
    data = pickle.dumps(metadata)
    assert len(data) < 5000
    assert pickle.loads(data).values("title").tolist() == metadata.values("title").tolist()
    assert copy.deepcopy(metadata) is metadata


def test_columns_in_memory_are_bounded(path, monkeypatch, reads):
    monkeypatch.setattr(metadata_module, "_IN_MEMORY", 1000)
    metadata = opened(path)
    for _ in range(2):
        assert len(metadata.column("title")) == N
    assert sum(column.nbytes for column in metadata._columns.values()) <= 1000
    assert reads == [("title", None)]  # the second time from disk


def test_unknown_fields_are_named_with_the_nearest(path):
    metadata = opened(path)
    with pytest.raises(
        NameNotFoundError, match=r"no field 'titel'\. Did you mean title\? There are: .*geo_accession"
    ):
        metadata.column("titel")
    with pytest.raises(NameNotFoundError):
        metadata.frame(["title", "titel"])


def test_without_pyarrow_the_message_installs_it(path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'intake-tcga\[archs4\]'"):
        opened(path).column("title")


def test_a_damaged_field_is_an_error(path):
    metadata = opened(path)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"GCOL", b"GCOX"))
    with pytest.raises(FileFormatError):
        metadata.column("title")
