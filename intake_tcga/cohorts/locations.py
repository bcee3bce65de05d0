"""Where a manifest's files are: arithmetic on any URL or path that fsspec opens, opening nothing."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qsl, quote, unquote, urlencode, urljoin, urlsplit, urlunsplit

from intake_tcga.remote import redact

_WEB = {"http", "https"}
_ON_THIS_MACHINE = {"file", "local", "memory"}
_DEFAULT_PORTS = {"http": 80, "https": 443}
_WINDOWS_PATH = re.compile(r"([A-Za-z]:[\\/]|\\\\)")
_CHAIN_LINK = re.compile(r"::(?![^\[\]]*\])")  # not the :: of an IPv6 address in its brackets

# Query fields that grant access and say nothing of what is asked for: they change while the content does not.
_CREDENTIAL_FIELDS = re.compile(
    r"(sig|signature|token|access_?token|api_?key|auth|authorization|expires|policy|key-pair-id"
    r"|awsaccesskeyid|googleaccessid|x-amz-.*|x-goog-.*)",
    re.IGNORECASE,
)
_AZURE_SAS_FIELDS = re.compile(r"(s[evprstio]|srt|spr|sip|sdd|sk[evst]|skoid|sktid|saoid|suoid|scid|ses)")


class _Chain(NamedTuple):
    """An fsspec URL chain, cut around the link that names the file."""

    before: str
    target: str
    after: str


def absolute_url(url: str | os.PathLike[str]) -> str:
    """Return a URL as it is, and a path on this machine as an absolute one, so that it outlives ``chdir``.

    Examples
    --------
    >>> absolute_url("https://host/manifest.json")
    'https://host/manifest.json'
    >>> absolute_url("/data//mirror/manifest.json")
    '/data/mirror/manifest.json'
    """
    before, target, after = _split(os.fspath(url))
    if _scheme(target) in {"file", "local"}:
        target = _as_fsspec_reads_it(target)
    elif _scheme(target) == "" and not _WINDOWS_PATH.match(target):
        target = os.path.abspath(Path(target).expanduser())  # noqa: PTH100 (Path.absolute keeps "..")
    return before + target + after


def beside(manifest_url: str, file: str) -> str:
    """Return the URL of a file that lies in the same folder as its manifest.

    A web URL keeps its query, which may be the token that opens the whole folder.

    Examples
    --------
    >>> beside("https://host/v1/manifest.json?sig=abc", "BRCA 1.h5")
    'https://host/v1/BRCA%201.h5?sig=abc'
    >>> beside("simplecache::s3://bucket/v1/manifest.json", "BRCA 1.h5")
    'simplecache::s3://bucket/v1/BRCA 1.h5'
    """
    before, target, after = _split(manifest_url)
    return before + _in_folder_of(target, file, quoted=quote(file, safe="")) + after


def resolve(manifest_url: str, url: str) -> str:
    """Return an entry's own ``url``, absolute or relative to its manifest, as an absolute URL.

    Raises
    ------
    ValueError
        It is not usable at all, whatever is allowed; the message says why.
    """
    if not url.strip() or re.search(r"[\s\\\x00-\x1f\x7f]", url):
        raise ValueError("is empty, or has spaces, backslashes or control characters in it")
    if "::" in url and _CHAIN_LINK.search(url):
        raise ValueError("is a chain of URLs; a manifest may only name plain ones")
    before, target, after = _split(manifest_url)
    scheme = _scheme(target)
    try:
        # Before joining, which would resolve it: what is left of "../x" looks like any other place of the host.
        climbs = not _scheme(url) and _has_dots(urlsplit(url).path)
        if scheme in _WEB:
            joined = urljoin(target, url)
            if not _scheme(url) and not urlsplit(url).netloc and not urlsplit(url).query:
                joined = urlunsplit((*urlsplit(joined)[:3], urlsplit(target).query, ""))
        elif _scheme(url) or url.startswith("/"):
            joined = url
        else:
            joined = _in_folder_of(target, url, quoted=url)
        _origin(joined)
    except ValueError as error:
        raise ValueError(f"is not a URL ({error})") from None
    if climbs or (scheme not in _WEB and ".." in joined.split("/")):
        raise ValueError("climbs out of its folder with '..'")
    if scheme not in _ON_THIS_MACHINE | {""} and _scheme(joined) in _ON_THIS_MACHINE | {""}:
        raise ValueError("points into this machine, which a manifest from elsewhere never may")
    return before + joined + after if same_origin(manifest_url, joined) else joined


def is_data_file(url: object) -> bool:
    """Tell whether a path or URL is, by its ending, that of a data file.

    Examples
    --------
    >>> is_data_file("PRAD.h5"), is_data_file("https://host/PRAD.HDF5?sig=1"), is_data_file("PRAD")
    (True, True, False)
    """
    is_place = isinstance(url, str | os.PathLike)
    return is_place and redact(str(url)).lower().endswith((".h5", ".hdf5"))


def how_to_open(url: object) -> str:
    """Return the sentence that says how a data file is opened without a manifest.

    Examples
    --------
    >>> print(how_to_open("PRAD.h5"))
    Open a file by itself: xarray.open_dataset('PRAD.h5', engine="tcga").
    >>> print(how_to_open("https://host/PRAD.h5"))
    Open a file by itself: xarray.open_dataset(fsspec.open_local('tcgacache::https://host/PRAD.h5'), engine="tcga").
    """
    place = str(url)
    path = f"fsspec.open_local({'tcgacache::' + redact(place)!r})" if _scheme(place) else repr(place)
    return f'Open a file by itself: xarray.open_dataset({path}, engine="tcga").'


def same_origin(one: str, other: str) -> bool:
    """Tell whether two URLs name the same scheme, host and port, whatever they are chained with.

    Examples
    --------
    >>> same_origin("https://host/a", "simplecache::https://HOST:443/b")
    True
    >>> same_origin("https://host/a", "http://host/a")
    False
    """
    try:
        return _origin(_split(one).target) == _origin(_split(other).target)
    except ValueError:  # an unclosed bracket, a port that is no number
        return False


def copy_key(url: str) -> str:
    """Return the name under which copies of what a URL gives are kept: a hash of it without its credentials.

    Tokens are left out, so a copy is found again when they were renewed; other query fields count, for they
    may say which manifest is meant.

    Examples
    --------
    >>> copy_key("https://host/m.json?sig=old") == copy_key("https://me:secret@host/m.json?sig=new")
    True
    >>> copy_key("https://host/m.json?id=1") == copy_key("https://host/m.json?id=2")
    False
    """
    return hashlib.sha256(_without_credentials(url).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _as_fsspec_reads_it(url: str) -> str:
    """Undo the percent-encoding of ``Path.as_uri()``: fsspec takes what follows ``file://`` literally."""
    path = url.partition("://")[2]
    return unquote(url) if "%" in path and not Path(path).exists() and Path(unquote(path)).exists() else url


def _without_credentials(url: str) -> str:
    before, target, after = _split(url)
    if _scheme(target) not in _WEB:
        return url
    try:
        parts = urlsplit(target)
    except ValueError:
        return url
    fields = parse_qsl(parts.query, keep_blank_values=True)
    signed = any(name == "sig" for name, _ in fields)
    kept = [
        (name, value)
        for name, value in fields
        if not _CREDENTIAL_FIELDS.fullmatch(name) and not (signed and _AZURE_SAS_FIELDS.fullmatch(name))
    ]
    path = re.sub("/{2,}", "/", parts.path)  # intake's CATALOG_DIR ends in a slash, or not
    host = parts.netloc.rpartition("@")[2].lower()
    return before + urlunsplit((parts.scheme, host, path, urlencode(kept), "")) + after


def _split(url: str) -> _Chain:
    links = _CHAIN_LINK.split(url)
    # fsspec's own rule: letters alone are a protocol (simplecache::…), anything else names something.
    index = next((i for i, link in enumerate(links) if not re.fullmatch("[a-z]+", link)), len(links) - 1)
    before = "".join(f"{link}::" for link in links[:index])
    after = "".join(f"::{link}" for link in links[index + 1 :])
    return _Chain(before, links[index], after)


def _scheme(url: str) -> str:
    scheme, found, _ = url.partition("://")
    return scheme.lower() if found and re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*", scheme) else ""


def _origin(url: str) -> tuple[str, str, int | None]:
    scheme = _scheme(url)
    if scheme in _ON_THIS_MACHINE | {""}:
        # //host/share is a folder on another machine, on Windows, which asks for the user's password.
        share = re.match(r"(?:(?:file|local):)?[\\/]{2}(?:[\\/]{2})?([^\\/]+)[\\/]", url)
        return (
            ("memory", "", None) if scheme == "memory" else ("file", share[1].lower() if share else "", None)
        )
    parts = urlsplit(url)
    return scheme, (parts.hostname or "").lower(), parts.port or _DEFAULT_PORTS.get(scheme)


def _has_dots(path: str) -> bool:
    return ".." in re.split(
        r"[/\\]", unquote(unquote(path))
    )  # twice: a server may decode once more than we do


def _in_folder_of(target: str, file: str, *, quoted: str) -> str:
    scheme = _scheme(target)
    if scheme in _WEB:
        parts = urlsplit(target)
        folder = parts.path.rpartition("/")[0]
        return urlunsplit((parts.scheme, parts.netloc, f"{folder}/{quoted}", parts.query, ""))
    # Elsewhere the text after :// is taken literally by fsspec: nothing to unquote, so nothing is quoted.
    start = len(scheme) + 3 if scheme else 0
    path = target[start:]
    if scheme not in _ON_THIS_MACHINE | {""}:
        path = path.partition("?")[0]  # s3://…?versionId= is the manifest's own
    separators = r"[\\/]" if _WINDOWS_PATH.match(path) or os.sep == "\\" else "/"
    ends = [match.end() for match in re.finditer(separators, path)]
    return target[:start] + path[: ends[-1] if ends else 0] + file
