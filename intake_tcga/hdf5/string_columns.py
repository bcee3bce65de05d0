"""One-dimensional HDF5 datasets of text or numbers as Arrow columns, in bulk.

Text becomes valid UTF-8, malformed bytes U+FFFD, whatever the file says it is; texts that repeat become a dictionary,
which takes less memory and is searched once a distinct text. Variable-length strings of files that HDF5 wrote in its
usual way are gathered past HDF5 (:mod:`intake_tcga.hdf5.heap_strings`); anything else goes through h5py, block by
block, with the same result.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeAlias

import h5py
import numpy as np
import numpy.typing as npt

from intake_tcga.errors import FileFormatError, MissingDependencyError
from intake_tcga.hdf5 import chunks
from intake_tcga.hdf5.chunk_pieces import Part, Pieces
from intake_tcga.hdf5.file import Hdf5File
from intake_tcga.hdf5.heap_strings import REFERENCE, ReadRanges, iterate, plan_batches, slices_of
from intake_tcga.hdf5.string_heaps import StringHeaps
from intake_tcga.hdf5.values import decode_all

if TYPE_CHECKING:
    import pyarrow as pa

Rows: TypeAlias = npt.NDArray[np.intp]
_Piece: TypeAlias = tuple[tuple[int, int, int], Part, Part]

_FILTERS = {h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE}

_RUN = 4096  # references that are read together where they are stored in one piece
_BLOCK = 8 * 2**20  # bytes of fixed-length text that are read at a time
_ROWS_AT_ONCE = 2**16  # variable-length strings that go through h5py at a time
_SMALL = 256 * 2**20
_HIGHEST_RATIO = 100
_LONGEST = 2**31 - 1
_WORTH_IT = 0.8  # how much of its size a column may keep as a dictionary to become one
_LOOKED_AT = 4096  # texts that are looked at first, to tell whether they repeat at all
_ALL_DIFFER = 0.95  # how many of them differ where it is not worth numbering them
_LARGEST_COLUMN = 2**31 - 1  # bytes that Arrow's 32-bit offsets reach

Expect: TypeAlias = Callable[[int], AbstractContextManager[None]]
"""Is told how many bytes will be read, roughly, and returns what they are read in."""


def _expect_anything(_size: int) -> AbstractContextManager[None]:
    return nullcontext()


def read_column(
    file: Hdf5File, path: str, rows: Rows | None = None, *, expect: Expect = _expect_anything
) -> pa.Array:
    """Read a one-dimensional dataset, or some rows of it, as one Arrow column.

    Parameters
    ----------
    file : Hdf5File
        The file.
    path : str
        The dataset's path in it.
    rows : numpy.ndarray of int, optional
        Which rows, from 0, in any order; they may repeat. By default all of them.
    expect : callable, optional
        Called with the bytes that will be read, as soon as these are known and before they are read; returns a context
        manager that holds meanwhile.

    Returns
    -------
    pyarrow.Array
        Numbers in the dataset's own type (native byte order), or text: ``string``, ``large_string`` when it is more
        than 2 GiB, or a dictionary of either when texts repeat so often that it is smaller. Nothing is null: HDF5's
        null string is the empty one.

    Raises
    ------
    FileFormatError
        When there is no such dataset of text or numbers along one dimension, or it is damaged, or claims sizes that
        the stored bytes cannot account for.
    MissingDependencyError
        Without pyarrow.

    Notes
    -----
    Of variable-length strings only the heaps that hold the wanted rows are read. Beyond the result, memory stays
    within a few blocks of 16 MB.
    """
    require_arrow()
    import pyarrow as pa

    what = f"{path!r} in {file.path}"
    with file.opened() as h5:
        kind, length = _inspect(h5, path, what, file.remedy)
    if rows is None:
        return _read(file, path, kind, length, None, what, expect)
    distinct, back = np.unique(rows, return_inverse=True)
    if len(distinct) and not 0 <= distinct[0] <= distinct[-1] < length:
        raise IndexError(f"rows {distinct[0]} to {distinct[-1]} of the {length} of {what}")
    column = _read(file, path, kind, length, distinct, what, expect)
    return column if np.array_equal(distinct, rows) else column.take(pa.array(back))


def _read(
    file: Hdf5File, path: str, kind: str, length: int, rows: Rows | None, what: str, expect: Expect
) -> pa.Array:
    """Read a column; of rows that are given, which rise, only these."""
    if kind == "variable" and (stored := _stored_references(file, path)) is not None:
        with file.errors(), _reading(file) as (read, end):
            references = _read_references(read, end, stored, length, rows, what)
            return _from_heaps(read, end, references, what, expect)
    with file.opened() as h5:
        size = int(h5[path].id.get_storage_size())
    with expect(size):
        if kind == "number":
            return _numbers(file, path, length, rows)
        texts = _fixed if kind == "fixed" else _through_h5py
        return _assemble(texts(file, path, length, rows), None)


def require_arrow() -> None:
    """Say how to install pyarrow where it is not.

    Raises
    ------
    MissingDependencyError
    """
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError(
            "Columns of text need pyarrow; install it with: pip install 'intake-tcga[archs4]'"
        ) from error


def _inspect(h5: h5py.File, path: str, what: str, remedy: str) -> tuple[str, int]:
    """Return what a dataset is to us, and its length; refuse what would exhaust whoever reads it."""
    found = h5.get(path)
    if not isinstance(found, h5py.Dataset) or found.shape is None or found.ndim != 1:
        raise FileFormatError(
            f"{what} is not a dataset along one dimension; list the fields that the file has."
        )
    did, plist = found.id, found.id.get_create_plist()
    if plist.get_layout() == h5py.h5d.VIRTUAL or plist.get_external_count():
        raise FileFormatError(f"{what} has its values in other files. {remedy}")
    length, tid = int(found.shape[0]), did.get_type()
    claimed = max(length, found.chunks[0] if found.chunks else 0) * int(tid.get_size())
    stored = did.get_storage_size() if claimed > _SMALL else 0
    if claimed > max(_SMALL, stored * _HIGHEST_RATIO) or length > _LONGEST:
        raise FileFormatError(f"{what} claims {length} values and stores {stored} bytes for them. {remedy}")
    if isinstance(tid, h5py.h5t.TypeStringID):
        return ("variable" if tid.is_variable_str() else "fixed"), length
    if found.dtype.kind in "biuf" and found.dtype.subdtype is None:
        return "number", length
    raise FileFormatError(f"{what} holds neither text nor numbers ({found.dtype}); choose another field.")


def _numbers(file: Hdf5File, path: str, length: int, rows: Rows | None) -> pa.Array:
    import pyarrow as pa

    with file.opened() as h5:
        dtype = h5[path].dtype.newbyteorder("=")
    part: Part = slice(0, length, 1) if rows is None else rows
    count = length if rows is None else len(rows)
    target = np.empty(count, dtype=dtype)
    chunks.read(file, [chunks.Request(path, (part,), target, (slice(0, count, 1),))])
    return pa.array(target)


# ── variable length, past HDF5 ────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Stored:
    """Where the references of a dataset of strings are."""

    step: int
    """References in a chunk, or in a run where the dataset is stored in one piece."""

    places: dict[int, tuple[int, int, int]]
    """For each chunk that was written, by its number: offset, stored bytes, mask of the filters not applied to it."""

    filters: tuple[int, ...]
    """HDF5's filter numbers in the order in which they were applied when writing."""


def _stored_references(file: Hdf5File, path: str) -> _Stored | None:
    """Find the references to the strings; None where they are not stored in HDF5's usual way."""
    with file.opened() as h5:
        did = h5[path].id
        plist = did.get_create_plist()
        filters = tuple(plist.get_filter(i)[0] for i in range(plist.get_nfilters()))
        usual = (
            h5.userblock_size == 0
            and (file.remote is not None or h5.driver == "sec2")
            and h5.id.get_create_plist().get_sizes()[0] == REFERENCE["heap"].itemsize
            and set(filters) <= _FILTERS
        )
        if not usual:
            return None
        if plist.get_layout() == h5py.h5d.CONTIGUOUS:
            return _in_runs(did.get_offset(), did.shape[0])
        if plist.get_layout() != h5py.h5d.CHUNKED:
            return None
        step = int(plist.get_chunk()[0])
        places: dict[int, tuple[int, int, int]] = {}

        def note(chunk: Any) -> None:
            places[chunk.chunk_offset[0] // step] = chunk.byte_offset, chunk.size, chunk.filter_mask

        did.chunk_iter(note)
        return _Stored(step, places, filters)


def _in_runs(offset: int | None, count: int) -> _Stored:
    """Cut references that are stored in one piece into runs, so that a few of them can be read alone."""
    width = REFERENCE.itemsize
    if offset is None:
        return _Stored(_RUN, {}, ())
    starts = range(0, count, _RUN)
    places = {at // _RUN: (offset + at * width, min(_RUN, count - at) * width, 0) for at in starts}
    return _Stored(_RUN, places, ())


def _read_references(
    read: ReadRanges, end: int, stored: _Stored, length: int, rows: Rows | None, what: str
) -> npt.NDArray[Any]:
    """Read the references to the wanted rows; zero where none was written."""
    count = length if rows is None else len(rows)
    references = np.zeros(count, dtype=REFERENCE)
    if not count:
        return references
    wanted: Part = slice(0, length, 1) if rows is None else rows
    pieces = [
        (stored.places[number], source, dest)
        for number, source, dest in Pieces(wanted, slice(0, count, 1), stored.step, length)
        if number in stored.places
    ]
    if any(offset < 0 or size < 0 or offset + size > end for (offset, size, _), _, _ in pieces):
        raise FileFormatError(f"{what} is damaged: its references lie outside the file; fetch it again.")
    for some in _of_about(pieces, _BLOCK):
        buffers = read([place[:2] for place, _, _ in some])
        for buffer, ((offset, _, mask), source, dest) in zip(buffers, some, strict=True):
            references[dest] = _decode_references(buffer, stored, mask, f"{what}, at byte {offset},")[source]
    return references


def _of_about(pieces: list[_Piece], size: int) -> Iterator[list[_Piece]]:
    """Group pieces so that each group has about as many stored bytes."""
    some: list[_Piece] = []
    held = 0
    for piece in pieces:
        some.append(piece)
        held += piece[0][1]
        if held >= size:
            yield some
            some, held = [], 0
    if some:
        yield some


def _decode_references(data: Any, stored: _Stored, mask: int, what: str) -> npt.NDArray[Any]:
    """Undo the filters of one chunk of references."""
    # Without filters nothing can be of another size than it is read, and the last run may be shorter.
    size = stored.step * REFERENCE.itemsize if stored.filters else len(data)
    for position, code in reversed(list(enumerate(stored.filters))):
        if mask >> position & 1:  # this chunk was written without this filter
            continue
        if code == h5py.h5z.FILTER_DEFLATE:
            try:
                data = zlib.decompressobj().decompress(data, size + 1)
            except zlib.error as error:
                raise FileFormatError(f"{what} does not inflate ({error}); fetch the file again.") from error
        elif len(data) == size:
            data = np.frombuffer(data, dtype=np.uint8).reshape(REFERENCE.itemsize, -1).T.tobytes()
    if len(data) != size:
        raise FileFormatError(
            f"{what} has {len(data)} bytes of references instead of {size}; fetch the file again."
        )
    return np.frombuffer(data, dtype=REFERENCE)


def _from_heaps(
    read: ReadRanges, end: int, references: npt.NDArray[Any], what: str, expect: Expect
) -> pa.Array:
    """Gather what the references mean."""
    import pyarrow as pa

    missing = np.flatnonzero(references["heap"] == 0)  # HDF5's null string
    present = np.flatnonzero(references["heap"]) if len(missing) else None
    order, batches = plan_batches(references if present is None else references[present], end, what)
    parts: Iterator[pa.Array] = _decoded(iterate(read, batches, what))
    if present is not None:
        order = np.concatenate([present if order is None else present[order], missing])
        parts = chain(parts, [pa.repeat("", len(missing))])
    with expect(sum(int(batch.expected.sum()) for batch in batches)):
        return _assemble(parts, order)


@contextmanager
def _reading(file: Hdf5File) -> Iterator[tuple[ReadRanges, int]]:
    """Hold the file's bytes: a function that reads ranges of them, from any thread, and their number."""
    if file.remote is not None:
        yield file.remote.read, file.remote.size
        return
    with file.opened() as h5:  # its very descriptor: the path may lead to another file by now
        descriptor = os.dup(h5.id.get_vfd_handle())
    try:

        def read(ranges: Sequence[tuple[int, int]]) -> list[bytes]:
            buffers = [os.pread(descriptor, length, offset) for offset, length in ranges]
            if any(len(buffer) != length for buffer, (_, length) in zip(buffers, ranges, strict=True)):
                raise FileFormatError(f"{file.path} became shorter while it was read. {file.remedy}")
            return buffers

        yield read, os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)


def _decoded(parts: Iterator[pa.BinaryArray]) -> Iterator[pa.Array]:
    """Turn the bytes of variable-length strings into text: they end at a NUL, as HDF5 has them."""
    import pyarrow as pa

    for part in parts:
        if _has_nul(part):
            yield _to_text(pa.array([value.partition(b"\0")[0] for value in part.to_pylist()], pa.binary()))
        else:
            yield _to_text(part)


def _has_nul(values: pa.BinaryArray) -> bool:
    content = values.buffers()[2]
    return content is not None and len(content) > 0 and not np.frombuffer(content, dtype=np.uint8).min()


# ── fixed length, and whatever is unusual, through h5py ───────────────────────────────────────────────────────────


def _fixed(file: Hdf5File, path: str, length: int, rows: Rows | None) -> Iterator[pa.Array]:
    """Read fixed-length strings; NULs at their end, and the blanks they may be padded with, go."""
    import pyarrow.compute as pc

    with file.opened() as h5:
        tid = h5[path].id.get_type()
        width, padded = int(tid.get_size()), tid.get_strpad() == h5py.h5t.STR_SPACEPAD
    for block in _blocks(file, path, length, rows, _BLOCK // width):
        values = np.ascontiguousarray(block, dtype=f"S{width}")
        sizes = np.char.str_len(values).astype(np.int64)
        starts = np.arange(len(values), dtype=np.int64) * width
        text = _to_text(slices_of(values.view(np.uint8), starts, sizes))
        yield pc.utf8_rtrim(text, " ") if padded else text


def _through_h5py(file: Hdf5File, path: str, length: int, rows: Rows | None) -> Iterator[pa.Array]:
    """Read variable-length strings as h5py does."""
    import pyarrow as pa

    with file.opened() as h5:
        StringHeaps(h5, file.path).check_strings(h5[path].id)
    for block in _blocks(file, path, length, rows, _ROWS_AT_ONCE):
        yield pa.array(decode_all([value or b"" for value in block.tolist()]), pa.string())


def _blocks(
    file: Hdf5File, path: str, length: int, rows: Rows | None, about: int
) -> Iterator[npt.NDArray[Any]]:
    """Read rows in blocks of whole chunks; of rows that are given, which rise, the blocks that hold any."""
    with file.opened() as h5:
        stored = h5[path].chunks[0] if h5[path].chunks else 1
    step = max(1, about // stored) * stored
    for start in range(0, length, step):
        some = None
        if rows is not None:
            some = rows[slice(*np.searchsorted(rows, [start, start + step]))] - start
            if not len(some):
                continue
        with file.opened() as h5:
            block = h5[path][start : start + step]
        yield block if some is None else block[some]


# ── text to columns ───────────────────────────────────────────────────────────────────────────────────────────────


def _to_text(values: pa.BinaryArray) -> pa.StringArray:
    import pyarrow as pa

    try:
        return values.cast(pa.string())
    except pa.ArrowInvalid:  # malformed UTF-8 somewhere
        return pa.array([value.decode("utf-8", "replace") for value in values.to_pylist()], pa.string())


def _assemble(parts: Iterable[pa.Array], order: npt.NDArray[np.intp] | None) -> pa.Array:
    """Join parts of text into one column, as a dictionary where that is smaller.

    Parameters
    ----------
    parts
        Text, part by part.
    order
        For each value of the parts, one after another, its row; None when that is their order.
    """
    import pyarrow as pa

    pieces: list[pa.Array] = []
    plain = smaller = 0
    for part in parts:
        encoded = part.dictionary_encode() if _may_repeat(part) else part
        repeats = encoded.nbytes < _WORTH_IT * part.nbytes
        pieces.append(encoded if repeats else part)
        plain, smaller = plain + part.nbytes, smaller + encoded.nbytes
    if smaller < _WORTH_IT * plain:
        return _as_dictionary(pieces, order)
    values = [_plain(piece) for piece in pieces]
    kind = _text_type(values)
    column = pa.chunked_array([value.cast(kind) for value in values], kind)
    whole = column.combine_chunks()
    if order is None:
        return whole
    back = np.empty(len(order), dtype=np.int64)
    back[order] = np.arange(len(order))
    return whole.take(pa.array(back))


def _may_repeat(texts: pa.Array) -> bool:
    """Look at a few runs of texts whether any repeat: to number texts that all differ takes as long as to read them."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if len(texts) <= 2 * _LOOKED_AT:
        return True
    run = _LOOKED_AT // 8
    runs = [texts.slice(at, run) for at in np.linspace(0, len(texts) - run, 8).astype(int).tolist()]
    distinct = pc.count_distinct(pa.chunked_array(runs)).as_py()
    return bool(distinct < _ALL_DIFFER * _LOOKED_AT)


def _as_dictionary(pieces: list[pa.Array], order: npt.NDArray[np.intp] | None) -> pa.DictionaryArray:
    """Join parts, some of them dictionaries already, into one dictionary."""
    import pyarrow as pa

    encoded = [
        piece if isinstance(piece, pa.DictionaryArray) else piece.dictionary_encode() for piece in pieces
    ]
    kind = _text_type([piece.dictionary for piece in encoded])
    known = pa.chunked_array([piece.dictionary.cast(kind) for piece in encoded], kind).dictionary_encode()
    # What each part's own codes are in the dictionary of all of them.
    translations = [chunk.indices.to_numpy() for chunk in known.chunks]
    codes = np.concatenate(
        [
            translation[piece.indices.to_numpy()]
            for translation, piece in zip(translations, encoded, strict=True)
        ]
    )
    if order is not None:
        sorted_codes, codes = codes, np.empty_like(codes)
        codes[order] = sorted_codes
    return pa.DictionaryArray.from_arrays(pa.array(codes), known.chunk(0).dictionary)


def _plain(piece: pa.Array) -> pa.Array:
    import pyarrow as pa

    return piece.dictionary_decode() if isinstance(piece, pa.DictionaryArray) else piece


def _text_type(values: list[pa.Array]) -> pa.DataType:
    """Return the type of a column that holds all of these texts."""
    import pyarrow as pa

    return pa.large_string() if sum(value.nbytes for value in values) > _LARGEST_COLUMN else pa.string()
