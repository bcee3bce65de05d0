"""Ranges of local files, of S3 and of every other filesystem of fsspec but HTTP."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from intake_tcga.errors import IntakeTcgaError, MissingFileError, TransferError
from intake_tcga.transfer.budget import Budget
from intake_tcga.transfer.byte_ranges import Range
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

    def __init__(
        self,
        source: Source,
        budget: Budget,
        at_once: int,
        tally: Tally,
        *,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        from fsspec.asyn import get_loop

        self._source = source
        self._tally = tally
        self._asynchronous = bool(getattr(source.fs, "async_impl", False))
        loop = source.fs.loop if self._asynchronous else loop or get_loop()
        host = str(getattr(source.fs, "endpoint_url", None) or source.fs.protocol)
        self._crew = Crew(loop, host, at_once if self._asynchronous else 1, budget)

    def fetch(self, ranges: Sequence[Range], pin: Pin, *, clip: bool = False) -> list[memoryview]:
        """Read each range, all of them of the pinned bytes; ``clip`` lets the file end earlier."""
        must_be_outside(self._crew.loop, pin.shown_url)
        pieces = [Piece(offset, length, clip) for offset, length in ranges]
        if self._tells_tags:
            return self._crew.run(pieces, self._attempt_s3, pin)
        if pin.identity is None:
            self._crew.run([Piece(0, 0)], self._describe, pin)
        views = self._crew.run(pieces, self._attempt, pin)
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
        assert pin.size is not None
        if not piece.cut_at(pin.size):
            raise pin.beyond(piece.offset, piece.length)
        if not piece.length:
            return
        stop = piece.offset + piece.length
        self._tally.add(1, 0)
        self._fill(
            piece, await self._of_store(pin, "cat_file", self._source.path, start=piece.offset, end=stop), pin
        )

    async def _attempt_s3(self, piece: Piece, pin: Pin) -> None:
        """Ask for a range of the pinned object; s3fs's own ``_cat_file`` does not show whose bytes came."""
        fs = self._source.fs
        bucket, key, version = fs.split_path(self._source.path)
        asked = {
            "Bucket": bucket,
            "Key": key,
            "Range": f"bytes={piece.offset}-{piece.offset + piece.length - 1}",
            **({"VersionId": version} if version else {}),
            **({"IfMatch": pin.validator} if pin.validator else {}),
        }
        self._tally.add(1, 0)
        try:
            reply = await fs._call_s3("get_object", **asked)
            async with reply["Body"] as stream:
                pin.check(_total(reply.get("ContentRange")), reply.get("ETag"))
                assert pin.size is not None
                if not piece.cut_at(pin.size):
                    raise pin.beyond(piece.offset, piece.length)
                body = await stream.read() if reply.get("ContentRange") or self._is_all(piece, pin) else None
        except (IntakeTcgaError, TransientError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever botocore and its client raise
            return await self._refused_s3(piece, error, pin)
        if body is None:
            raise TransferError(
                f"{pin.shown_url} cannot be read in part: its store sends all {pin.size:,} bytes where "
                f"{piece.length:,} were asked for; download the file."
            )
        self._fill(piece, body, pin)

    @staticmethod
    def _is_all(piece: Piece, pin: Pin) -> bool:
        return piece.offset == 0 and piece.length == pin.size

    async def _refused_s3(self, piece: Piece, error: Exception, pin: Pin) -> None:
        status = _status(error)
        if status == 412:
            raise pin.changed("the store no longer has it")
        if status != 416:
            raise failure(error, pin.shown_url) from None
        await self._describe(
            piece, pin
        )  # the range is not in it: so how long is it, and is it still the same?
        assert pin.size is not None
        if not piece.cut_at(pin.size):
            raise pin.beyond(piece.offset, piece.length)
        if piece.length:
            raise TransientError("the store says that it has no such range")

    def _fill(self, piece: Piece, body: bytes, pin: Pin) -> None:
        self._tally.add(0, len(body))
        piece.have = 0
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


def _total(content_range: str | None) -> int | None:
    _, _, total = (content_range or "").rpartition("/")
    return int(total) if total.isascii() and total.isdigit() else None


def _status(error: BaseException | None) -> int | None:
    """Return the HTTP status in a reply of botocore's, which s3fs wraps in errors of its own."""
    while error is not None:
        reply = getattr(error, "response", None)
        if isinstance(reply, dict):
            status = reply.get("ResponseMetadata", {}).get("HTTPStatusCode")
            return status if isinstance(status, int) else None
        error = error.__cause__
    return None
