"""HDF5 files are walked safely, described in plain Python, and reopened wherever they are needed."""

import concurrent.futures
import multiprocessing
import os
import pickle
import struct
import threading

import h5py
import numpy as np
import pytest

from intake_tcga.errors import FileFormatError
from intake_tcga.hdf5.file import Hdf5File
from intake_tcga.hdf5.values import decode_all


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "file.h5"
    with h5py.File(path, "w") as file:
        file["group/numbers"] = np.arange(6).reshape(2, 3)
        file["group/names"] = ["a", "\u00e9"]
    return path


def changed(path, change):
    with h5py.File(path, "a") as file:
        change(file)
    return path


def refused(path, why):
    with pytest.raises(FileFormatError) as caught:
        Hdf5File(path).describe()
    assert str(path) in str(caught.value)
    assert why in str(caught.value)


def test_describes_groups_datasets_and_attributes(path):
    info = Hdf5File(path).describe()
    group = info.groups["group"]
    assert (group.path, group.name, info.below("group")) == ("/group", "group", group)
    assert info.below("group/none/deeper") is None
    numbers, names = group.arrays["numbers"], group.arrays["names"]
    assert (numbers.shape, numbers.dtype, numbers.kind, numbers.chunks) == (
        (2, 3),
        np.dtype("i8"),
        "number",
        None,
    )
    assert (names.kind, names.name) == ("text", "names")


def test_one_thing_at_a_time_is_what_the_whole_walk_tells(path):
    def link(file):
        file["alias"] = h5py.SoftLink("/group/numbers")
        file["group/relative"] = h5py.SoftLink("./names")
        file["group"].attrs["kind"] = "any"
        file.create_dataset("group/cut", data=np.zeros((9, 9)), chunks=(3, 3), compression="gzip")

    file = Hdf5File(changed(path, link))
    whole = file.describe()
    group = whole.groups["group"]
    assert file.members() == ("alias", "group")
    assert set(file.members("/group")) == set(group.arrays)
    for name, array in group.arrays.items():
        assert file.array_info(f"/group/{name}") == array
    assert file.array_info("/alias") == whole.arrays["alias"]
    assert file.attributes("/group") == {"kind": "any"}
    assert [file.kind(name) for name in ("/", "/group", "/alias", "/none", "/alias/deeper")] == [
        "group", "group", "array", None, None,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("ask", "why"),
    [
        (lambda file: file.array_info("/group"), "no dataset '/group'"),
        (lambda file: file.array_info("/group/nothing"), "/group holds names, numbers"),
        (lambda file: file.members("/other/deep"), "/ holds group"),
        (lambda file: file.members("/group/numbers"), "no group '/group/numbers'"),
        (lambda file: file.attributes("/none"), "no object '/none'"),
    ],
)
def test_what_is_not_there_is_named_with_what_is(path, ask, why):
    with pytest.raises(FileFormatError, match=why):
        ask(Hdf5File(path))


def test_one_thing_at_a_time_is_judged_as_the_whole_is(path):
    other = path.parent / "secret.h5"
    with h5py.File(other, "w") as file:
        file["x"] = 1

    def change(file):
        file["out"] = h5py.ExternalLink(str(other), "/x")
        file["round"] = h5py.SoftLink("/round")
        layout = h5py.VirtualLayout((3,), "i8")
        layout[:] = h5py.VirtualSource(str(other), "x", (3,))
        file.create_virtual_dataset("virtual", layout)
        file.create_dataset("raw", (8,), "f8", external=[(str(path.parent / "raw.bin"), 0, 64)])
        file.create_dataset("bomb", (2**20, 2**20), "f8", chunks=(64, 64), compression="gzip")
        file.create_dataset("chunk", (2, 2), "f8", maxshape=(None, None), chunks=(2**14, 2**14))

    file = Hdf5File(changed(path, change))
    assert set(file.members()) == {"bomb", "chunk", "group", "out", "raw", "round", "virtual"}
    for name, why in {
        "out": "another file", "round": "in a circle", "virtual": "virtual dataset", "raw": "external storage",
        "bomb": "claims the shape", "chunk": "in chunks of",
    }.items():  # fmt: skip
        with pytest.raises(FileFormatError, match=why):
            file.array_info(f"/{name}")


def test_attributes_become_plain_python(path):
    values = {
        "text": ("x", "x"),
        "bytes": (np.bytes_(b"fixed"), "fixed"),
        "int": (np.uint8(3), 3),
        "big": (np.uint64(2**64 - 1), 2**64 - 1),
        "float": (np.float32(0.5), 0.5),
        "bool": (np.True_, 1),
        "list": (np.arange(3), [0, 1, 2]),
        "texts": (np.array(["a", "b"], dtype=h5py.string_dtype()), ["a", "b"]),
        "table": (np.eye(2), [[1.0, 0.0], [0.0, 1.0]]),
        "nothing": (h5py.Empty("f4"), []),
        "no_text": (h5py.Empty("S3"), ""),
        "none": (np.zeros(0), []),
        "complex": (1 + 2j, "(1+2j)"),
        "opaque": (np.void(b"\x01\x02"), "<2 bytes that HDF5 does not explain>"),
        "compound": (np.array((1, 2.5), dtype=[("a", "i4"), ("b", "f8")])[()], '{"a": 1, "b": 2.5}'),
        "ragged": (np.array([1, 2], dtype="i4"), [1, 2]),
    }
    with h5py.File(path, "a") as file:
        for name, (value, _) in values.items():
            file.attrs[name] = value
        file.attrs.create("malformed", b"\xff", dtype=h5py.string_dtype("utf-8", 1))
        file.attrs.create("enum", 1, dtype=h5py.enum_dtype({"red": 0, "green": 1}))
        file.attrs["reference"] = file["group"].ref
        file.attrs["region"] = file["group/numbers"].regionref[0]
        file.attrs.create("references", [file["group"].ref], dtype=h5py.ref_dtype)
    attrs = Hdf5File(path).describe().attrs
    for name, (_, expected) in values.items():
        assert attrs[name] == expected, name
        assert type(attrs[name]) is type(expected), name
    assert attrs["malformed"] == "\ufffd"
    assert attrs["enum"] == "green"
    assert (attrs["reference"], attrs["references"]) == ("/group", ["/group"])
    assert isinstance(attrs["region"], str)


def test_strings_of_every_kind(path):
    kinds = {
        "fixed": h5py.string_dtype("ascii", 8), "fixed_utf8": h5py.string_dtype("utf-8", 8),
        "variable": h5py.string_dtype("ascii"), "variable_utf8": h5py.string_dtype(),
    }  # fmt: skip
    with h5py.File(path, "a") as file:
        for name, dtype in kinds.items():
            values = np.array([b"one", b"\xfftwo", b""], dtype=dtype)
            file.create_dataset(name, data=values, dtype=dtype)
        space = h5py.h5t.C_S1.copy()
        space.set_size(5)
        space.set_strpad(h5py.h5t.STR_SPACEPAD)
        padded = h5py.h5d.create(file.id, b"padded", space, h5py.h5s.create_simple((2,)))
        padded.write(h5py.h5s.ALL, h5py.h5s.ALL, np.array([b"ab   ", b"cd   "], dtype="S5"), mtype=space)
    file = Hdf5File(path)
    arrays = file.describe().arrays
    for name in kinds:
        assert file.text(arrays[name]).tolist() == ["one", "\ufffdtwo", ""]
    assert file.text(arrays["padded"]).tolist() == ["ab", "cd"]


def test_decoding_many_at_once_is_the_same_as_one_by_one():
    for values in (
        [],
        [b""],
        [b"a"],
        [b"", b""],
        [b"a\n", b"b"],
        [b"\xff", b"x"],
        [b"\xe2\x82", b"\xac"],
        ["s", b"t"],
    ):
        expected = [v if isinstance(v, str) else v.decode("utf-8", "replace") for v in values]
        assert decode_all(values) == expected


def test_soft_links_inside_the_file_are_followed(path):
    def link(file):
        file["alias"] = h5py.SoftLink("/group/numbers")
        file["group/relative"] = h5py.SoftLink("./names")
        file["chain"] = h5py.SoftLink("alias")

    arrays = Hdf5File(changed(path, link)).describe()
    assert arrays.arrays["alias"].shape == arrays.arrays["chain"].shape == (2, 3)
    assert arrays.groups["group"].arrays["relative"].kind == "text"


def hostile(path, name, value):
    def change(file):
        file[name] = value

    return changed(path, change)


def test_external_links_are_refused(path):
    other = path.parent / "secret.h5"
    with h5py.File(other, "w") as file:
        file["x"] = 1
    refused(hostile(path, "out", h5py.ExternalLink(str(other), "/x")), "'/out' is a link to another file")


def test_soft_links_through_external_ones_are_refused(path):
    hostile(path, "group/zz", h5py.ExternalLink("/etc/passwd", "/x"))
    refused(hostile(path, "a", h5py.SoftLink("/group/zz/x")), "is a link to another file")


def test_soft_links_in_a_circle_or_to_nothing_are_refused(path):
    hostile(path, "x", h5py.SoftLink("/y"))
    refused(hostile(path, "y", h5py.SoftLink("/x")), "in a circle")


def test_dangling_soft_links_are_refused(path):
    refused(hostile(path, "x", h5py.SoftLink("/nowhere/y")), "leads nowhere")


def test_external_storage_is_refused(path):
    (path.parent / "raw.bin").write_bytes(bytes(64))

    def change(file):
        file.create_dataset("out", (8,), "f8", external=[(str(path.parent / "raw.bin"), 0, 64)])

    refused(changed(path, change), "external storage")


def test_virtual_datasets_are_refused(path):
    def change(file):
        layout = h5py.VirtualLayout((3,), "i8")
        layout[:] = h5py.VirtualSource("/etc/passwd", "x", (3,))
        file.create_virtual_dataset("out", layout)

    refused(changed(path, change), "virtual dataset")


def test_cycles_are_refused(path):
    def change(file):
        file["group/self"] = file["group"]

    refused(changed(path, change), "contains itself")


def test_deep_nesting_is_refused(path):
    refused(changed(path, lambda file: file.create_group("/".join("x" * 60))), "nested deeper")


def test_groups_that_double_at_each_level_are_refused(path):
    def change(file):
        below = file.create_group("bomb")
        for _ in range(25):
            next_one = file.create_group(None)
            next_one["a"] = next_one["b"] = below
            below = next_one
        file["top"] = below

    refused(changed(path, change), "more than")


@pytest.mark.parametrize("shape", [(2**20, 2**20), (2**40,), (1, 2**50)])
def test_absurd_shapes_are_refused(path, shape):
    def change(file):
        file.create_dataset("bomb", shape, "f8", chunks=tuple(min(n, 64) for n in shape), compression="gzip")

    refused(changed(path, change), "claims the shape")


def test_absurd_chunks_are_refused(path):
    def change(file):
        file.create_dataset(
            "bomb", (2, 2), "f8", maxshape=(None, None), chunks=(2**14, 2**14), compression="gzip"
        )

    refused(changed(path, change), "in chunks of")


def test_what_is_not_hdf5_is_refused(tmp_path):
    for body in (b"", b"<html>", b"\x89HDF\r\n\x1a\n", b"\x89HDF\r\n\x1a\n" + bytes(4000)):
        path = tmp_path / "bad.h5"
        path.write_bytes(body)
        refused(path, "is damaged or not an HDF5 file")


def test_a_missing_file_is_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        Hdf5File(tmp_path / "none.h5").describe()


def test_pickled_files_reopen_and_closed_ones_too(path):
    file = Hdf5File(path)
    names = file.describe().groups["group"].arrays["names"]
    copy = pickle.loads(pickle.dumps(file))
    file.close()
    assert copy.text(names).tolist() == file.text(names).tolist() == ["a", "\u00e9"]


def test_a_file_that_others_opened_with_other_locks(path):
    for locking in (True, False, None, "best-effort"):
        with h5py.File(path, locking=locking):
            assert "group" in Hdf5File(path).describe().groups


def test_many_threads_share_a_file(path):
    file = Hdf5File(path)
    names = file.describe().groups["group"].arrays["names"]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: file.text(names).tolist(), range(200)))
    assert results == [["a", "\u00e9"]] * 200


def _read_in_child(file, names, queue):
    queue.put(file.text(names).tolist())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_reads_while_the_parent_held_the_lock(path):
    file = Hdf5File(path)
    names = file.describe().groups["group"].arrays["names"]
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    held, release = threading.Event(), threading.Event()

    def hold():
        with file.opened():
            held.set()
            release.wait(30)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(30)
    child = context.Process(target=_read_in_child, args=(file, names, queue))
    child.start()
    release.set()
    child.join(30)
    assert child.exitcode == 0
    assert queue.get() == ["a", "\u00e9"]
    holder.join()
    assert file.text(names).tolist() == ["a", "\u00e9"]


def test_a_string_heap_that_hdf5_would_never_return_from(path):
    body = bytearray(path.read_bytes())
    heap = body.index(b"GCOL")
    at = heap + 16
    while int.from_bytes(body[at : at + 2], "little"):  # the objects before the free block
        at += 16 + (int.from_bytes(body[at + 8 : at + 16], "little") + 7) // 8 * 8
    body[at + 8 : at + 16] = bytes(8)
    path.write_bytes(body)
    refused(path, "free block")


@pytest.mark.parametrize(
    "storage", [{}, {"chunks": (7,)}, {"chunks": (7,), "compression": "gzip", "shuffle": True}]
)
def test_a_heap_that_hdf5_never_returns_from_is_refused_wherever_it_lies(tmp_path, storage):
    path = tmp_path / "file.h5"
    with h5py.File(path, "w") as file:
        file["before"] = np.zeros(60_000)
        texts = [f"text number {i}" for i in range(50)]
        file.create_dataset("texts", data=texts, dtype=h5py.string_dtype(), **storage)
        file["after"] = np.zeros(60_000)
    file = Hdf5File(path)
    assert file.text(file.array_info("/texts")).tolist() == texts
    file.close()
    content = path.read_bytes()
    at = content.find(b"GCOL") + 16
    while (number := struct.unpack_from("<H", content, at)[0]) != 0:
        at += 16 + (struct.unpack_from("<Q", content, at + 8)[0] + 7) // 8 * 8
    assert number == 0
    path.write_bytes(content[: at + 8] + struct.pack("<Q", 0) + content[at + 16 :])
    with pytest.raises(FileFormatError, match="free block of 0 bytes"):
        file.text(file.array_info("/texts"))
