"""What a URL and its storage options say, before anything is opened."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from intake_tcga.remote import chain_links

_LOCAL_PROTOCOLS = {"file", "local", "memory", "data"}


def is_local(url: str) -> bool:
    """Tell whether a URL, chained or not, can be read without a socket.

    Examples
    --------
    >>> is_local("/data/BRCA.h5"), is_local("simplecache::file:///data/BRCA.h5"), is_local("zip://a::https://host/z")
    (True, True, False)
    """
    return protocols(url)[-1] in _LOCAL_PROTOCOLS


def split_options(url: str, storage_options: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return a copy of storage options keyed by protocol, with those protocols alone that occur in the URL.

    Parameters
    ----------
    url : str
        The URL, chained or not.
    storage_options : mapping, optional
        Flat options, which belong to the URL's own (last) protocol, and options keyed by protocol, also mixed.

    Examples
    --------
    >>> split_options("filecache::https://host/f", {"headers": {"a": "b"}, "filecache": {"expiry_time": 0}, "s3": {}})
    {'https': {'headers': {'a': 'b'}}, 'filecache': {'expiry_time': 0}}
    """
    from fsspec.registry import available_protocols

    links = protocols(url)
    known = {*available_protocols(), "tcgacache"}
    keyed: dict[str, Any] = {}
    for key, value in _copied(storage_options or {}).items():
        if key in known and isinstance(value, dict):
            if key in links:  # fsspec would take any other for an option of the first protocol
                keyed.setdefault(key, {}).update(value)
        else:
            keyed.setdefault(links[-1], {})[key] = value
    return keyed


def protocols(url: str) -> list[str]:
    """Return the protocol of each link of a chain; a bare word is one anywhere but at the end (``filecache::…``)."""
    *links, last = chain_links(url)
    return [*(link.partition("://")[0] for link in links), _protocol(last)]


def _protocol(url: str) -> str:
    protocol, found, _ = url.partition("://")
    if found and len(protocol) > 1:  # C://… is a drive
        return protocol
    return "data" if url.startswith("data:") else "file"


def _copied(value: Any) -> Any:
    """Copy dicts and lists all the way down, and share what else is in them (SSL contexts cannot be copied)."""
    if isinstance(value, Mapping):
        return {key: _copied(inner) for key, inner in value.items()}
    return [_copied(inner) for inner in value] if isinstance(value, list) else value
