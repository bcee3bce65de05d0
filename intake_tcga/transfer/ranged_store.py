"""Ranges of local files, of S3 and of every other filesystem of fsspec but HTTP."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from intake_tcga.budget import Budget
from intake_tcga.byte_ranges import Range
from intake_tcga.errors import IntakeTcgaError, MissingFileError, TransferError
from intake_tcga.transfer.pieces import Crew, Piece, Pin, Tally
from intake_tcga.transfer.reply import TransientError
from intake_tcga.transfer.request import must_be_outside
from intake_tcga.transfer.source import Source, failure


class LocalRanges:
    """Reads ranges of a file on this machine, in the caller's thread."""

    def __init__(self, path: Path, tally: Tally) -> None:
        self._path = path
        self._tally = tally
        try:
            # Closed with this object; reads do not move its position, so that threads and forks may share it.
            self._file = path.open("rb", buffering=0)
        except FileNotFoundError:
            raise MissingFileError(f"There is no file {path}; check its name.") from None
        except OSError as error:
            raise TransferError(f"{path} cannot be read ({error.strerror}).") from None

    def fetch(self, ranges: Sequence[Range], pin: Pin, *, clip: bool = False) -> list[memoryview]:
        """Read each range, all of them of the pinned bytes; ``clip`` lets the file end earlier."""
        self._check(pin)
        assert pin.size is not None
        views = []
        for offset, length in ranges:
            piece = Piece(offset, length, clip)
            if not piece.cut_at(pin.size):
                raise pin.beyond(offset, length)
            views.append(self._read(piece, pin))
        self._check(pin)  # also written to while it was read
        return views

    def _check(self, pin: Pin) -> None:
        now = os.fstat(self._file.fileno())
        pin.check(now.st_size, f"{now.st_mtime_ns}-{now.st_ino}")

    def _read(self, piece: Piece, pin: Pin) -> memoryview:
        try:
            body = _read_at(self._file, piece.length, piece.offset)
        except OSError as error:
            raise TransferError(f"{pin.shown_url} cannot be read ({error.strerror}).") from None
        self._tally.add(1, len(body))
        if len(body) != piece.length:
            raise pin.changed(f"it ends after {piece.offset + len(body):,} bytes")
        return memoryview(body)

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            self._file.close()


def _read_at(file: Any, length: int, offset: int) -> bytes:
    if not hasattr(os, "pread"):  # Windows
        with Path(file.name).open("rb", buffering=0) as own:
            own.seek(offset)
            return own.read(length) or b""
    parts = []
    while length and (part := os.pread(file.fileno(), length, offset)):  # 2 GiB at once at most
        parts.append(part)
        length -= len(part)
        offset += len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


class StoreRanges:
    """Reads ranges through a filesystem of fsspec; at once where it is asynchronous."""

    def __init__(self, source: Source, budget: Budget, at_once: int, tally: Tally) -> None:
        from fsspec.asyn import get_loop

        self._source = source
        self._tally = tally
        self._asynchronous = bool(getattr(source.fs, "async_impl", False))
        loop = source.fs.loop if self._asynchronous else get_loop()
        host = str(getattr(source.fs, "endpoint_url", None) or source.fs.protocol)
        self._crew = Crew(loop, host, at_once if self._asynchronous else 1, budget)

    def fetch(self, ranges: Sequence[Range], pin: Pin, *, clip: bool = False) -> list[memoryview]:
        """Read each range, all of them of the pinned bytes; ``clip`` lets the file end earlier."""
        must_be_outside(self._crew.loop, pin.shown_url)
        if pin.identity is None:
            self._crew.run([Piece(0, 0)], self._describe, pin)
        assert pin.size is not None
        pieces = [Piece(offset, length, clip) for offset, length in ranges]
        for piece in pieces:
            if not piece.cut_at(pin.size):
                raise pin.beyond(piece.offset, piece.length)
        views = self._crew.run(pieces, self._attempt, pin)
        if not self._tells_tags:
            self._crew.run([Piece(0, 0)], self._describe, pin)  # also changed while it was read
        return views

    @property
    def _tells_tags(self) -> bool:
        """Whether each answer comes with the tag of its file: those of S3 do."""
        return hasattr(self._source.fs, "_call_s3")

    async def _describe(self, _: Piece, pin: Pin) -> None:
        fs, path = self._source.fs, self._source.path
        if getattr(fs, "dircache", None) is not None:
            fs.invalidate_cache(fs._parent(path))
        self._tally.add(1, 0)
        info = await self._of_store(pin, "info", path)
        if info.get("type") == "directory":
            raise TransferError(f"{pin.shown_url} is a folder; give a file in it.")
        validator = next(
            (info[key] for key in ("ETag", "etag", "LastModified", "mtime", "created") if info.get(key)), None
        )
        pin.check(info.get("size"), None if validator is None else str(validator))

    async def _attempt(self, piece: Piece, pin: Pin) -> None:
        piece.have = 0
        if not piece.length:
            return
        self._tally.add(1, 0)
        stop = piece.offset + piece.length
        if self._tells_tags:
            body = await self._of_s3(piece.offset, stop, pin)
        else:
            body = await self._of_store(pin, "cat_file", self._source.path, start=piece.offset, end=stop)
        self._tally.add(0, len(body))
        if len(body) > piece.length:
            raise TransferError(
                f"{pin.shown_url} cannot be read in part: {len(body):,} bytes came where {piece.length:,} were "
                "asked for; download the file."
            )
        piece.take(body)
        if piece.have < piece.length:
            raise TransientError(f"the answer ended after {piece.have:,} of {piece.length:,} bytes")

    async def _of_store(self, pin: Pin, method: str, *args: Any, **kwargs: Any) -> Any:
        fs = self._source.fs
        try:
            if self._asynchronous:
                return await getattr(fs, f"_{method}")(*args, **kwargs)
            return await asyncio.to_thread(getattr(fs, method), *args, **kwargs)
        except IntakeTcgaError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a filesystem's client raises
            raise failure(error, pin.shown_url) from None

    async def _of_s3(self, start: int, stop: int, pin: Pin) -> bytes:
        """Ask for a range of the pinned object; s3fs's own ``_cat_file`` does not show whose bytes came."""
        fs = self._source.fs
        bucket, key, version = fs.split_path(self._source.path)
        asked = {"Bucket": bucket, "Key": key, "Range": f"bytes={start}-{stop - 1}"}
        if version:
            asked["VersionId"] = version
        try:
            reply = await fs._call_s3("get_object", **asked)
            async with reply["Body"] as stream:
                pin.check(_total(reply.get("ContentRange")), reply.get("ETag"))
                body: bytes = await stream.read()
        except IntakeTcgaError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever botocore and its client raise
            raise failure(error, pin.shown_url) from None
        return body


def _total(content_range: str | None) -> int | None:
    _, _, total = (content_range or "").rpartition("/")
    return int(total) if total.isascii() and total.isdigit() else None
