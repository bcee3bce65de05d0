"""What is to be fetched: a URL with the size and digest its bytes must have, and the name they get here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from intake_tcga.digest import Digest
from intake_tcga.errors import OptionError

_RESERVED_ON_WINDOWS = re.compile(
    r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE
)  # which reads superscripts as digits
TEMPLATE = re.compile(r"(\w+ )?\{env\([^{}()]*\)\}")
"""An option that is read from the environment when it is used: ``{env(TOKEN)}``, ``Bearer {env(TOKEN)}``."""

_SECRET_OPTION = re.compile(
    "auth|cert|connection_string|cookie|credential|header|identity|key|pass|sas|secret|session|sign|token|user",
    re.IGNORECASE,
)
_CHAIN = re.compile(r"::(?=[\w+.-]+(?:://|::)|/)")  # not the colons of an IPv6 address
_LONGEST_NAME = 200  # leaves room, below the usual 255 bytes, for what a part file's name adds


@dataclass(frozen=True, slots=True, repr=False)
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

    foreign: bool = False
    """On another host than what named it: storage options, which may hold credentials, are not for that host."""

    def __post_init__(self) -> None:
        for part in (*self.collection, self.version, self.name):
            if problem := name_problem(part):
                raise OptionError(f"{part!r} {problem}; give a plain file name.")
        if self.size is not None and self.size < 0:
            raise OptionError(
                f"A file cannot have {self.size} bytes; give its size, or None if it is not known."
            )

    def __repr__(self) -> str:
        shown = {field.name: getattr(self, field.name) for field in fields(self)} | {"url": self.shown_url}
        return f"RemoteFile({', '.join(f'{name}={value!r}' for name, value in shown.items())})"

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
    return "::".join(_redact_one(part) for part in chain_links(url))


def chain_links(url: str) -> list[str]:
    """Take a chained URL apart.

    Examples
    --------
    >>> chain_links("zip://a.h5::https://host/all.zip"), chain_links("http://[::1]/a.h5")
    (['zip://a.h5', 'https://host/all.zip'], ['http://[::1]/a.h5'])
    """
    return _CHAIN.split(url)


def _redact_one(url: str) -> str:
    if "://" not in url:
        return url.partition("?")[0]
    try:
        parts = urlsplit(url)
    except ValueError:  # e.g. an unclosed IPv6 bracket
        return url.partition("://")[0] + "://…"
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def without_credentials(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return storage options fit to be shown and saved: plain values that cannot be secret, at any depth.

    Dropped are texts and numbers under a name that speaks of credentials, and objects of any kind. Templates that
    read the environment are kept, wherever they are.

    Examples
    --------
    >>> without_credentials({"s3": {"anon": False, "key": "A", "secret": "{env(S)}", "endpoint_url": "http://s3.local"}})
    {'s3': {'anon': False, 'secret': '{env(S)}', 'endpoint_url': 'http://s3.local'}}
    """
    return _harmless(options, secret=False) or {}


def _harmless(value: Any, *, secret: bool) -> Any:
    """Return what of a value may be shown, or None."""
    if isinstance(value, Mapping):
        parts = {
            str(name): _harmless(item, secret=secret or bool(_SECRET_OPTION.search(str(name))))
            for name, item in value.items()
        }
        kept = {name: part for name, part in parts.items() if part is not None}
        return kept or (None if value else {})
    if isinstance(value, list | tuple):
        items = [part for item in value if (part := _harmless(item, secret=secret)) is not None]
        return items or (None if value else [])
    if isinstance(value, str):
        return value if TEMPLATE.fullmatch(value) else None if secret else redact(value)
    if isinstance(value, bool):
        return value
    return value if isinstance(value, int | float) and not secret else None
