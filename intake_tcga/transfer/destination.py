"""A folder that files are put into, on any filesystem that fsspec writes to: whole files or none."""

from __future__ import annotations

import contextlib
import io
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fsspec.callbacks import Callback

from intake_tcga.digest import Digest, new_hash
from intake_tcga.errors import (
    AccessDeniedError,
    IntakeTcgaError,
    IntegrityError,
    OfflineError,
    OptionError,
    RemoteNotFoundError,
    TransferError,
)
from intake_tcga.remote import chain_links, redact
from intake_tcga.transfer.options import is_local, protocols
from intake_tcga.transfer.source import Source, failure

_BLOCK = 4 * 2**20  # bytes read or written in one step
_WHOLE_OBJECTS = frozenset(
    {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oci", "ocilake", "oss", "obs", "r2", "tos"}
)
"""Stores in which an object is there when all of it is: what was cut is never seen."""

_READ_ONLY = frozenset(
    {"http", "https", "data", "zip", "tar", "libarchive", "reference", "github", "tcgacache"}
)


@dataclass(frozen=True)
class Destination:
    """A folder of a filesystem of fsspec, which is made when the first file is put into it.

    A name is a path below the folder, with ``/`` between its parts. Whatever dies, a name has the whole new file, the
    whole old one, or none: object stores show an object when it is complete; elsewhere a file is written under a
    hidden name beside its place, and then moved.

    Examples
    --------
    >>> folder = Destination.of("memory://mirror")
    >>> folder.write(b"hello", "greetings/first.txt")
    >>> folder.read("greetings/first.txt", limit=100), folder.size("greetings/second.txt")
    (b'hello', None)
    """

    fs: Any
    path: str
    """As the filesystem knows it; no slash at its end."""

    url: str
    """Without a slash at its end; may carry credentials, so show :attr:`shown_url` only."""

    shown_url: str
    """Without credentials."""

    @classmethod
    def of(
        cls,
        url: str | os.PathLike[str],
        storage_options: Mapping[str, Any] | None = None,
        *,
        offline: bool = False,
    ) -> Destination:
        """Make the filesystem of a folder's URL; nothing is written yet.

        Parameters
        ----------
        url : str or path
            The folder.
        storage_options : mapping, optional
            Options of fsspec, flat for the URL's own protocol or keyed by protocol. Never changed.
        offline : bool
            Refuse whatever needs a socket.

        Raises
        ------
        OptionError
            Nothing can be written there: a web server, an archive, a chain of URLs.
        OfflineError
            ``offline``, and the folder is elsewhere.
        MissingDependencyError
            The package for its protocol is not installed.
        """
        text = os.fspath(url)
        text = text.rstrip("/") or text
        shown = redact(text)
        if not text.strip():
            raise OptionError(
                "The destination is empty; give a folder, as a path or as a URL (s3://bucket/folder)."
            )
        protocol = protocols(text)[-1]
        if len(chain_links(text)) > 1 or protocol in _READ_ONLY:
            raise OptionError(
                f"{shown} cannot be written to; give the folder or bucket itself, such as /srv/tcga or "
                "s3://bucket/tcga."
            )
        if offline and not is_local(text):
            raise OfflineError(f"{shown} is not on this machine, and offline mode forbids to write to it.")
        if protocol == "file" and "://" not in text:
            text = os.path.abspath(Path(text).expanduser())  # noqa: PTH100 (Path.absolute keeps "..")
        source = Source.of(text, storage_options)
        return cls(source.fs, source.path.rstrip("/"), text, shown)

    def size(self, name: str) -> int | None:
        """Return the bytes of a file, or None where there is none of that name."""
        try:
            with self._explained(name, "read"):
                self.fs.invalidate_cache()  # whoever else writes there is seen
                found = self.fs.info(self._at(name))
        except RemoteNotFoundError:
            return None
        if found.get("type") == "directory":
            raise TransferError(
                f"{self._shown(name)} is a folder where a file should be; move it away, or choose another destination."
            )
        return int(found["size"])

    def digest(self, name: str, algorithm: str, alive: Callable[[], None] = lambda: None) -> Digest:
        """Hash a file, by reading all of it; ``alive`` may raise to stop that."""
        hashing = new_hash(algorithm)
        with self._explained(name, "read"), self.fs.open(self._at(name), "rb", **self._plain_reads()) as file:
            while block := file.read(_BLOCK):
                alive()
                hashing.update(block)
        return Digest(algorithm, hashing.hexdigest())

    def read(self, name: str, *, limit: int) -> bytes | None:
        """Return a small file's bytes, or None where there is none of that name."""
        size = self.size(name)
        if size is None:
            return None
        if size > limit:
            raise IntegrityError(
                f"{self._shown(name)} has {size:,} bytes, more than the {limit:,} it may have."
            )
        with self._explained(name, "read"), self.fs.open(self._at(name), "rb", **self._plain_reads()) as file:
            body: bytes = file.read()
        return body

    def put(self, path: Path, name: str, on_bytes: Callable[[int], None] = lambda _: None) -> None:
        """Copy a local file to a name, replacing what is there once the copy is whole.

        Parameters
        ----------
        path : Path
            The file.
        name : str
            Where to.
        on_bytes : callable
            Gets the bytes that are done, again and again; what it raises stops the copy.

        Raises
        ------
        AccessDeniedError, RemoteNotFoundError, TransferError
            It cannot be written there.
        IntegrityError
            The filesystem has another number of bytes afterwards.
        """
        size = path.stat().st_size
        target = self._at(name)
        with self._explained(name, "written"):
            if self._keeps_whole_objects:
                self.fs.put_file(str(path), target, callback=_Counting(on_bytes))
            else:
                self._put_beside_and_move(path, target, on_bytes)
        if (there := self.size(name)) != size:
            raise IntegrityError(
                f"{self._shown(name)} has {there} bytes after {size:,} were written; try again, or find out what else "
                "writes there."
            )

    def write(self, body: bytes, name: str) -> None:
        """Write a small file whole, as :meth:`put` does."""
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "body")
            path.write_bytes(body)
            self.put(path, name)

    def _put_beside_and_move(self, path: Path, target: str, on_bytes: Callable[[int], None]) -> None:
        folder, slash, name = target.rpartition("/")
        part = f"{folder}{slash}.{name}.{secrets.token_hex(4)}.part"
        self.fs.makedirs(folder or "/", exist_ok=True)
        try:
            with path.open("rb") as source, self.fs.open(part, "wb") as file:
                while block := source.read(_BLOCK):
                    file.write(block)
                    on_bytes(source.tell())
                file.flush()
                # On this machine: a power cut leaves no hole, and quotas and NFS say here that there is no room.
                with contextlib.suppress(AttributeError, io.UnsupportedOperation):
                    os.fsync(file.fileno())
            self._move(part, target)
        except BaseException:
            with contextlib.suppress(Exception):
                self.fs.rm_file(part)
            raise

    def _move(self, part: str, target: str) -> None:
        from fsspec.implementations.local import LocalFileSystem

        if isinstance(self.fs, LocalFileSystem):
            Path(part).replace(target)
        else:
            self.fs.mv(part, target)

    @property
    def _keeps_whole_objects(self) -> bool:
        return protocols(self.url)[-1] in _WHOLE_OBJECTS

    def _plain_reads(self) -> dict[str, Any]:
        """Return how a file is opened to be read once, from its beginning to its end."""
        asynchronous = getattr(self.fs, "async_impl", False)
        return {"block_size": _BLOCK, "cache_type": "readahead"} if asynchronous else {}

    def _at(self, name: str) -> str:
        return f"{self.path}/{name}"

    def _shown(self, name: str) -> str:
        return f"{self.shown_url}/{name}"

    @contextmanager
    def _explained(self, name: str, verb: str) -> Iterator[None]:
        """Say what went wrong in our words: a client's may hold credentials."""
        shown = self._shown(name)
        try:
            yield
        except IntakeTcgaError:
            raise
        except FileNotFoundError:
            missing = f"{shown} does not exist" if verb == "read" else f"{self.shown_url} does not exist"
            raise RemoteNotFoundError(f"{missing}; check its name, or make it first.") from None
        except NotImplementedError:
            raise OptionError(
                f"{self.shown_url} cannot be written to; give a folder or bucket that can."
            ) from None
        except PermissionError as error:
            reason = error.strerror or "the credentials do not allow it"
            raise AccessDeniedError(
                f"{shown} cannot be {verb} ({reason}); allow it, or choose another destination."
            ) from None
        except Exception as error:  # noqa: BLE001 - whatever a filesystem's client raises
            told = failure(error, shown)
            if isinstance(told, IntakeTcgaError):
                raise type(told)(str(told).replace("cannot be read", f"cannot be {verb}")) from None
            raise TransferError(f"{shown} cannot be {verb}: {told}; try again.") from None


class _Counting(Callback):  # type: ignore[misc]
    """What fsspec tells of an upload, as a number of bytes."""

    def __init__(self, on_bytes: Callable[[int], None]) -> None:
        super().__init__()
        self._on_bytes = on_bytes

    def call(self, *_: Any, **__: Any) -> None:
        self._on_bytes(self.value)
