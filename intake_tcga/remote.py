"""What is to be fetched: a URL with the size and digest its bytes must have, and the name they get here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit, urlunsplit

from intake_tcga.digest import Digest
from intake_tcga.errors import OptionError

_RESERVED_ON_WINDOWS = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)
_LONGEST_NAME = 200  # leaves room, below the usual 255 bytes, for what a part file's name adds


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One file somewhere else, and where its verified copy belongs in a cache.

    Every name in it has passed :func:`name_problem`, so joining ``folder`` and ``name`` to a cache's root can
    never leave that root.
    """

    url: str
    """Any URL that fsspec opens; it may carry credentials, so show :attr:`shown_url` only."""

    name: str
    """Plain file name of the local copy."""

    collection: tuple[str, ...] = ("files",)
    """Folders that group the versions of one thing, e.g. ``("tcga", "mirna")``."""

    version: str = "unversioned"
    """Folder of one version; files of different versions never touch."""

    size: int | None = None
    """Bytes that the file must have, if known."""

    digest: Digest | None = None
    """Digest that the bytes must have, if known."""

    def __post_init__(self) -> None:
        for part in (*self.collection, self.version, self.name):
            if problem := name_problem(part):
                raise OptionError(f"{part!r} {problem}; give a plain file name.")
        if self.size is not None and self.size < 0:
            raise OptionError(f"A file cannot have {self.size} bytes; give its size, or None if it is not known.")

    @property
    def folder(self) -> str:
        """Folder of the local copy, relative to a cache's root, with ``/`` between its parts."""
        return "/".join((*self.collection, self.version))

    @property
    def shown_url(self) -> str:
        """The URL without credentials."""
        return redact(self.url)


def name_problem(name: str) -> str | None:
    """Say why a text is not a plain file name on every common system, or None when it is one.

    Examples
    --------
    >>> name_problem("BRCA.h5")
    >>> name_problem("..%2Fetc")
    'has a path separator'
    """
    plain = unquote(unquote(name))  # %252F: a server may decode once more than we do
    if not name.strip():
        return "is empty"
    if plain in {".", ".."}:
        return "names a folder"
    if re.search(r"[/\\]", plain):
        return "has a path separator"
    if re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]", plain):
        return "has a control character"
    if re.search(r'[:<>"|?*]', plain):
        return "has a character that a URL, a drive or a file system reads otherwise"
    if name.startswith(("~", ".")) or name != name.strip() or name.endswith("."):
        return "starts or ends as no portable file name does"
    if _RESERVED_ON_WINDOWS.fullmatch(plain):
        return "is a reserved device name"
    if len(name.encode("utf-8", "surrogatepass")) > _LONGEST_NAME:
        return f"is longer than {_LONGEST_NAME} bytes"
    if re.search(r"[\ud800-\udfff]", name):
        return "is not valid Unicode"
    return None


def redact(url: str) -> str:
    """Return a URL fit to be shown: without user, password, query and fragment, whatever it is chained with.

    Examples
    --------
    >>> redact("https://me:secret@host/folder/manifest.json?sig=abc")
    'https://host/folder/manifest.json'
    """
    return "::".join(_redact_one(part) for part in url.split("::"))


def _redact_one(url: str) -> str:
    if "://" not in url:
        return url
    try:
        parts = urlsplit(url)
    except ValueError:  # e.g. an unclosed IPv6 bracket
        return url.partition("://")[0] + "://…"
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
