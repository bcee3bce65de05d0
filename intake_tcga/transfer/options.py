"""What a URL and its storage options say, before anything is opened."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from intake_tcga.errors import OptionError
from intake_tcga.remote import chain_links

OF_ONE_HOST = {"x-auth-token"}
"""Headers with credentials that are for the host alone that is asked (the GDC's token)."""

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


def option_names(keyed: Mapping[str, Any]) -> tuple[str, ...]:
    """Name all options, without their values, which may be secrets.

    Examples
    --------
    >>> option_names({"https": {"headers": {"Authorization": "Bearer …"}, "client_kwargs": {"trust_env": True}}})
    ('headers', 'client_kwargs.trust_env')
    """
    names: list[str] = []
    for options in keyed.values():
        for name, value in options.items():
            inner = isinstance(value, Mapping) and name.endswith("_kwargs") and value
            names.extend([f"{name}.{key}" for key in value] if inner else [str(name)])
    return tuple(dict.fromkeys(names))


def wrong_options(shown_url: str, given: Sequence[str], error: Exception) -> OptionError:
    """Return the error for options that a client cannot be made with, or asked with; never their values."""
    unexpected = re.search(r"unexpected keyword argument '(\w+)'", str(error))
    reason = f"there is no {unexpected[1]!r}" if unexpected else f"a {type(error).__name__}"
    return OptionError(
        f"{shown_url} cannot be opened with the storage_options that were given ({', '.join(given)}): {reason}. "
        "Check their names and kinds, and that they are keyed by the right protocol."
    )


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
