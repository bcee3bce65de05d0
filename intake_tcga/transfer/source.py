"""A filesystem of fsspec and a path in it, and the bytes of any but HTTP."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from intake_tcga.errors import (
    AccessDeniedError,
    IntakeTcgaError,
    MissingDependencyError,
    OptionError,
    RemoteNotFoundError,
    TransferError,
)
from intake_tcga.remote import chain_links, redact
from intake_tcga.transfer.budget import Budget
from intake_tcga.transfer.options import OF_ONE_HOST, option_names, protocols, split_options, wrong_options
from intake_tcga.transfer.parts import Validator
from intake_tcga.transfer.reply import Block, Reply, Sink, TransientError

if TYPE_CHECKING:
    from intake_tcga.transfer.http import HttpAnswer

_BLOCK = 2**20  # bytes read in one step
_REMOTE_BLOCK = 16 * _BLOCK  # of a store that is asked anew for each
_OF_OPTIONS = (TypeError, ValueError, AttributeError)
"""What clients raise for arguments that they do not know or cannot use."""


@dataclass(frozen=True)
class Source:
    """A filesystem of fsspec and a path in it. Made anew for each download: none outlives a fork."""

    fs: Any
    path: str
    shown_url: str
    given: tuple[str, ...] = ()
    """Names of the options that the user gave."""

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Of each HTTP request, beside the filesystem's own."""

    @classmethod
    def of(
        cls,
        url: str,
        storage_options: Mapping[str, Any] | None,
        *,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> Source:
        """Make the filesystem of a URL, chained or not; in fsspec's loop, unless another is given."""
        options = split_options(url, storage_options)
        for given in options.values():
            given.pop(
                "asynchronous", None
            )  # how its giver calls the filesystem; here it is called in its own loop
        names = option_names(options)
        for protocol in {"http", "https"} & set(protocols(url)):
            # As curl and pip do, and aiohttp does only when told: go through the proxies of the environment.
            given = options.setdefault(protocol, {})
            if isinstance(of_client := given.get("client_kwargs", {}), dict):
                given["client_kwargs"] = {"trust_env": True, **of_client}
        headers = _taken_out(options) if protocols(url) in (["http"], ["https"]) else {}
        import fsspec

        try:
            for protocol in protocols(url):
                fsspec.get_filesystem_class(protocol)
        except ImportError as error:
            raise MissingDependencyError(
                f"{redact(url)} needs a package that is not installed ({error}); for S3: pip install 'intake-tcga[s3]'."
            ) from None
        except ValueError as error:
            raise OptionError(f"{redact(url)} cannot be opened by fsspec: {_plain(error, url)}.") from None
        try:
            fs, path = _filesystem(url, options if loop is None else _in_loop(options, url, loop))
        except IntakeTcgaError:
            raise
        except _OF_OPTIONS as error:
            if names:
                raise wrong_options(redact(url), names, error) from None
            raise OptionError(f"{redact(url)} cannot be opened by fsspec: {_plain(error, url)}.") from None
        except Exception as error:  # noqa: BLE001 - whatever a filesystem's client raises
            reason = failure(error, url)
            if isinstance(reason, IntakeTcgaError):
                raise reason from None
            raise TransferError(f"{redact(url)} cannot be opened: {reason}. Try again.") from None
        return cls(fs, path, redact(url), names, headers)

    def ask(self, sink: Sink, budget: Budget, *, fresh: bool, whole: bool = False) -> HttpAnswer | FileAnswer:
        """Ask for the bytes that a sink has not yet; ``fresh`` past all proxies, ``whole`` never to be gone on with."""
        from fsspec.implementations.http import HTTPFileSystem

        if isinstance(self.fs, HTTPFileSystem):
            from intake_tcga.transfer.http import HttpAnswer

            return HttpAnswer(
                self.fs,
                self.path,
                self.shown_url,
                sink,
                budget,
                fresh=fresh,
                given=self.given,
                headers=self.headers,
            )
        return FileAnswer(self, sink, whole=whole)


class FileAnswer:
    """Bytes of any filesystem but HTTP: files, memory, S3, archives."""

    def __init__(self, source: Source, sink: Sink, *, whole: bool) -> None:
        self._source = source
        self._whole = whole
        self._sink = sink
        self._file: Any = None

    def __enter__(self) -> FileAnswer:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def reply(self, alive: Callable[[], None]) -> Reply:
        """Open the file, at the place to go on from if it still is the same; ``alive`` may raise."""
        alive()
        fs, path = self._source.fs, self._source.path
        with self._explained(opening=True):
            # Filesystems of caches list the whole folder to describe a file, which many a server does not allow: what
            # is read as a whole needs no description.
            info = {} if self._whole else fs.info(path)
            if info.get("type") == "directory":
                raise IsADirectoryError(path)
            # The store's own client retries and times out; whole blocks without read-ahead suit a straight copy.
            how = (
                {"block_size": _REMOTE_BLOCK, "cache_type": "none"}
                if getattr(fs, "async_impl", False)
                else {}
            )
            self._file = fs.open(path, "rb", **how)
        if self._whole:
            size = getattr(self._file, "size", None)
            return Reply(0, size if isinstance(size, int) else None)
        etag = info.get("ETag")
        date = next((info[key] for key in ("LastModified", "mtime", "created") if key in info), None)
        validator = Validator(self._source.shown_url, etag, str(date) if date is not None else None)
        start = self._sink.offset if self._sink.validator == validator else 0
        if start:
            with self._explained():
                self._file.seek(start)
        return Reply(start, info.get("size"), validator)

    def blocks(self, alive: Callable[[], None]) -> Iterator[Block]:
        """Iterate over the file's bytes."""
        size = _REMOTE_BLOCK if getattr(self._source.fs, "async_impl", False) else _BLOCK
        while True:
            alive()
            with self._explained():
                content = self._file.read(size)
            if not content:
                return
            yield Block(content)

    @contextmanager
    def _explained(self, *, opening: bool = False) -> Iterator[None]:
        try:
            yield
        except IntakeTcgaError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a filesystem's client raises
            if (
                opening and self._source.given and isinstance(error, _OF_OPTIONS)
            ):  # clients are made when first used
                raise wrong_options(self._source.shown_url, self._source.given, error) from None
            raise failure(error, self._source.shown_url) from None


def _taken_out(options: Mapping[str, dict[str, Any]]) -> dict[str, str]:
    """Take a token out of the options of HTTP: fsspec keeps filesystems, with all that they were made with."""
    taken: dict[str, str] = {}
    for given in options.values():
        if isinstance(headers := given.get("headers"), dict):
            taken |= {name: headers.pop(name) for name in list(headers) if str(name).lower() in OF_ONE_HOST}
    return taken


def _in_loop(
    options: Mapping[str, Any], url: str, loop: asyncio.AbstractEventLoop
) -> dict[str, dict[str, Any]]:
    """Return options that make those filesystems anew in a loop that have one."""
    import fsspec
    from fsspec.asyn import AsyncFileSystem

    extra = {"loop": loop, "skip_instance_cache": True}
    own = [each for each in protocols(url) if issubclass(fsspec.get_filesystem_class(each), AsyncFileSystem)]
    return {**options, **{each: {**options.get(each, {}), **extra} for each in own}}


def _filesystem(url: str, options: Mapping[str, Any]) -> tuple[Any, str]:
    import fsspec
    from fsspec.core import url_to_fs

    if len(chain_links(url)) == 1 and "::" in url:  # fsspec takes http://[::1]/ for a chain
        (protocol,) = protocols(url)
        kind = fsspec.get_filesystem_class(protocol)
        return fsspec.filesystem(protocol, **options.get(protocol, {})), kind._strip_protocol(url)
    fs, path = url_to_fs(url, **options)
    return fs, path


def failure(error: Exception, url: str) -> Exception:
    """Say what went wrong in our words: a client's may hold the URL with its credentials."""
    shown = redact(url)
    if isinstance(error, FileNotFoundError):
        return RemoteNotFoundError(f"{shown} does not exist; check its name.")
    if isinstance(error, ImportError):
        return MissingDependencyError(f"{shown} needs a package that is not installed: {_plain(error, url)}.")
    if isinstance(error, PermissionError) or "Credentials" in type(error).__name__:
        return AccessDeniedError(
            f"{shown} may not be read: its server refused the credentials, or wants some; check storage_options."
        )
    if (status := getattr(error, "status", None)) in {401, 403}:  # of HTTP under another filesystem
        return AccessDeniedError(
            f"{shown} may not be read: the server refused the credentials, or wants some (HTTP {status}); "
            "check storage_options."
        )
    if isinstance(error, (IsADirectoryError, NotADirectoryError, KeyError, ValueError, TypeError)):
        return TransferError(f"{shown} cannot be read: {_plain(error, url)}.")
    reason = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
    return TransientError(f"reading failed ({reason})")


def _plain(error: Exception, url: str) -> str:
    """Return what an error says, with no URL in it but the shown one."""
    text = str(error).replace(url, redact(url)).rstrip(".")
    return re.sub(r"\w+://\S+", lambda found: redact(found.group()), text) or type(error).__name__
