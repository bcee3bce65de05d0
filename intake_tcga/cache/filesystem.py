"""The verified cache as a filesystem of fsspec: ``tcgacache::https://…/BRCA.h5``, alone or in any chain."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from numbers import Integral
from pathlib import Path
from typing import Any, BinaryIO, ClassVar
from urllib.parse import unquote, urlsplit

from fsspec.implementations.chained import ChainedFileSystem
from fsspec.registry import available_protocols

from intake_tcga.cache.plan import Verify
from intake_tcga.cache.stamps import url_key
from intake_tcga.cache.store import VerifiedFileCache
from intake_tcga.digest import Digest
from intake_tcga.errors import OfflineError, OptionError
from intake_tcga.remote import RemoteFile, name_problem, redact
from intake_tcga.transfer import is_local

_OPTIONS = ("digest", "size", "name", "version", "cache_storage", "verify", "offline", "progress")
_OPTIONS_OF_FSSPEC = {
    "add_aliases",
    "add_docs",
    "asynchronous",
    "batch_size",
    "callback",
    "listings_expiry_time",
    "loop",
    "max_paths",
    "remote_options",
    "remote_protocol",
    "skip_instance_cache",
    "use_listings_cache",
}
"""What fsspec's base classes take, and its chains hand to every link."""


class VerifiedCacheFileSystem(ChainedFileSystem):  # type: ignore[misc]
    """Opens verified local copies of remote files; read-only.

    A thin layer: it keeps its options and asks a :class:`~intake_tcga.cache.store.VerifiedFileCache` for the rest, so
    it can be pickled, and used after a fork.

    Parameters
    ----------
    target_protocol, target_options, fo
        The filesystem under this one, as fsspec fills them in from a chained URL.
    digest : str, optional
        ``"sha256:…"`` (or sha1, md5) that the file must have.
    size : int, optional
        Bytes that the file must have.
    name, version : str, optional
        Name and version folder of the local copy; made from the URL and the digest otherwise.
    cache_storage : str or list of str, optional
        The cache's folder, or read-only folders followed by the writable one. None: as the environment says.
    verify : {"stamp", "always"}
        Hash a cached file when it changed since it was verified, or at every opening.
    offline : bool or str, optional
        Never use a socket.
    progress : bool, optional
        Show a bar while downloading; None shows it on a terminal or in a notebook.
    **kwargs
        Options of fsspec's own base classes, and options keyed by another protocol.

    Raises
    ------
    OptionError
        No option has that name; the message lists those there are. A misspelt ``digest`` must not go unnoticed.

    Examples
    --------
    >>> import fsspec, hashlib, pathlib, tempfile
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> _ = (folder / "greeting.txt").write_text("hello")
    >>> path = fsspec.open_local(
    ...     f"tcgacache::{(folder / 'greeting.txt').as_uri()}",
    ...     tcgacache={"digest": "md5:5d41402abc4b2a76b9719d911017c592", "cache_storage": str(folder / "cache")},
    ... )
    >>> pathlib.Path(path).read_text()
    'hello'
    """

    protocol: ClassVar[str] = "tcgacache"
    local_file = True
    _strip_tokenize_options = ("fo",)

    def __init__(
        self,
        target_protocol: str | None = None,
        target_options: Mapping[str, Any] | None = None,
        fo: str | None = None,
        *,
        digest: str | None = None,
        size: int | None = None,
        name: str | None = None,
        version: str | None = None,
        cache_storage: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None = None,
        verify: Verify = "stamp",
        offline: bool | str | None = None,
        progress: bool | None = None,
        **kwargs: Any,
    ) -> None:
        _check_names(kwargs)
        _check_values(size, digest=digest, name=name, version=version)
        super().__init__(**kwargs)
        if target_protocol is None:
            raise OptionError(
                "tcgacache needs a URL to cache: chain it, as in 'tcgacache::https://…/file.h5'."
            )
        self._target_protocol = target_protocol
        self._target_options = dict(target_options or {})
        self._digest = Digest.parse(digest) if digest else None
        self._size = size
        self._name = name
        self._version = version
        self._cache = VerifiedFileCache.at(cache_storage, verify=verify, offline=offline, progress=progress)

    @classmethod
    def _strip_protocol(cls, path: str | list[str]) -> str | list[str]:
        if isinstance(path, list):
            return [str(cls._strip_protocol(one)) for one in path]
        return str(path).removeprefix("tcgacache://").removeprefix("tcgacache::")

    def local_copy(self, path: str) -> Path | None:
        """Return where a copy of a file is, or None: unverified, without network."""
        return self._cache.find(self._remote_file(path)[0])

    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> list[Any]:
        """List a folder of the filesystem underneath."""
        found: list[Any] = self._underneath(path).ls(path, detail=detail, **kwargs)
        return found

    def info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        """Describe a file: from its local copy or from what is known of it, else from the filesystem underneath."""
        path = str(self._strip_protocol(path))
        copy = self.local_copy(path)
        size = copy.stat().st_size if copy else self._size
        if size is not None:
            return {"name": path, "size": size, "type": "file"}
        found: dict[str, Any] = self._underneath(path).info(path, **kwargs)
        # Nothing that the local copy will not have, too: who compares would take it for another file.
        return {"name": path, "size": found.get("size"), "type": found.get("type", "file")}

    def exists(self, path: str, **kwargs: Any) -> bool:
        """Tell whether there is a copy of a file, or else the file itself; offline, whether there is a copy."""
        path = str(self._strip_protocol(path))
        if self.local_copy(path) is not None:
            return True
        with suppress(OfflineError):
            return bool(self._underneath(path).exists(path, **kwargs))
        return False

    def ukey(self, path: str) -> str:
        """Return what identifies a file's content: its digest, or its URL where no digest is known."""
        return str(self._digest or url_key(self._target(path)[0]))

    def _open(self, path: str, mode: str = "rb", **kwargs: Any) -> BinaryIO:
        if mode != "rb":
            raise OptionError(f"tcgacache opens files for reading alone, not with mode {mode!r}.")
        return self.fetch(path).open("rb")

    def fetch(self, path: str, *, force: bool = False) -> Path:
        """Return the verified local copy of a file, downloading it if there is none; ``force`` anew."""
        file, options = self._remote_file(path)
        return self._cache.fetch(file, storage_options=options, force=force)

    def _remote_file(self, path: str) -> tuple[RemoteFile, dict[str, Any]]:
        url, options = self._target(path)
        last = urlsplit(url.split("::")[0])
        version = self._version or (self._digest.hex if self._digest else url_key(url))[:12]
        file = RemoteFile(
            url,
            self._name or _file_name(last.path.rpartition("/")[2] or last.netloc),
            collection=(
                "files",
                _file_name(urlsplit(url.split("::")[-1]).netloc.rpartition("@")[2] or "local"),
            ),
            version=version,
            size=self._size,
            digest=self._digest,
        )
        return file, options

    def _underneath(self, path: str) -> Any:
        """Return the filesystem that is cached."""
        target, options = self._target(path)
        if self._cache.offline and not is_local(target):
            raise OfflineError(
                f"{redact(target)} is not in the cache, and cannot be asked for in offline mode; pass offline=False or "
                "unset INTAKE_TCGA_OFFLINE."
            )
        return _filesystem(target, options)

    def _target(self, path: str) -> tuple[str, dict[str, Any]]:
        """Return the URL of a path, and its storage options keyed by protocol: the chain that fsspec took apart."""
        links, keyed = [], {}
        protocol, options, link = (
            self._target_protocol,
            dict(self._target_options),
            str(self._strip_protocol(path)),
        )
        while True:
            # An inner cache hands down the URL it caches, and has no path of its own.
            own = not link or "target_protocol" not in options or link != options.get("fo")
            links.append(_with_protocol(protocol, link) if own else protocol)
            inner, inner_options, inner_link = (
                options.pop("target_protocol", None),
                options.pop("target_options", None),
                options.pop("fo", None),
            )
            keyed[protocol] = options
            if inner is None:
                return "::".join(links), keyed
            protocol, options, link = inner, dict(inner_options or {}), inner_link or link


def _check_names(options: Mapping[str, Any]) -> None:
    """Refuse options that nobody reads."""
    for name, value in options.items():
        # fsspec hands options keyed by protocols that are not in the chain to its first link.
        if name in _OPTIONS_OF_FSSPEC or (isinstance(value, Mapping) and name in available_protocols()):
            continue
        near = difflib.get_close_matches(name, _OPTIONS, n=1)
        raise OptionError(
            f"tcgacache has no option {name!r}{f'; did you mean {near[0]!r}?' if near else '.'} "
            f"Its options are {', '.join(_OPTIONS)}; those of the protocol underneath are keyed by its name."
        )


def _check_values(size: object, **texts: object) -> None:
    """Refuse values of another type, which YAML makes of what is not quoted."""
    if size is not None and (isinstance(size, bool) or not isinstance(size, Integral)):
        raise OptionError(f"size={size!r} is no number of bytes; give a whole number, or leave it out.")
    for name, value in texts.items():
        if value is not None and not isinstance(value, str):
            raise OptionError(f"{name}={value!r} is not a text; quote it, as in {name}='…', or leave it out.")


def _with_protocol(protocol: str, path: str) -> str:
    return path if "://" in path else f"{protocol}://{path}"


def _filesystem(url: str, options: dict[str, Any]) -> Any:
    from fsspec.core import url_to_fs

    return url_to_fs(url, **options)[0]


def _file_name(text: str) -> str:
    """Make a plain file name of part of a URL."""
    name = re.sub(r"[^\w.+-]", "_", unquote(text), flags=re.ASCII).strip(".")[-150:]
    return name if not name_problem(name) else "file"
