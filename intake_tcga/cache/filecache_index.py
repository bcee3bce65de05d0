"""Our files in the index of fsspec's ``filecache``, which then opens them without a request."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from intake_tcga.cache.locks import hold
from intake_tcga.cache.stamps import url_key
from intake_tcga.remote import redact

_NEVER_EXPIRES = 4_102_444_800.0
"""The time (in 2100) that is noted for a file with a digest: its bytes cannot go out of date."""


def register(root: Path, path: Path, url: str, *, pinned: bool) -> None:
    """Note that the file at ``path`` (below ``root``) is, or is about to be, what ``url`` has, and no other URL.

    A URL with credentials or a query is not noted, since the index is plain text. Failing to write it is no error:
    ``filecache`` then downloads for itself.

    Parameters
    ----------
    root : Path
        The ``cache_storage`` that ``filecache`` would be given.
    path : Path
        The verified file.
    url : str
        Where it comes from.
    pinned : bool
        Whether a digest was known beforehand, so that it never expires.
    """
    if redact(url) != url or "::" in url:
        unregister(root, [path])
        return
    try:
        key, uid = _key_and_uid(url)
        name = path.relative_to(root).as_posix()
        entry = {
            "original": key,
            "fn": name,
            "blocks": True,
            "time": _NEVER_EXPIRES if pinned else time.time(),
            "uid": uid,
        }

        def replace(index: dict[str, Any]) -> None:
            # An entry of an earlier download that was killed before its file was there would open this one.
            _forget(index, {name})
            index[key] = entry

        _change(root, replace)
    except Exception:  # noqa: BLE001 - a convenience for others must never cost a verified download
        pass


def unregister(root: Path, paths: Iterable[Path]) -> None:
    """Take files out of the index."""
    gone = {path.relative_to(root).as_posix() for path in paths}

    try:
        if gone and (root / "cache").exists():
            _change(root, lambda index: _forget(index, gone))
    except Exception:  # noqa: BLE001 - an entry whose file is gone is ignored by fsspec
        pass


def _forget(index: dict[str, Any], names: set[str]) -> None:
    for key in [key for key, entry in index.items() if entry.get("fn") in names]:
        del index[key]


def _key_and_uid(url: str) -> tuple[str, str]:
    from fsspec.core import split_protocol
    from fsspec.registry import get_filesystem_class

    protocol = split_protocol(url)[0] or "file"
    kind = get_filesystem_class(protocol)
    # Only HTTP's id of a file can be told without a request; others compare it with check_files=True alone.
    uid = kind().ukey(url) if protocol in {"http", "https"} else url_key(url)
    return kind._strip_protocol(url), uid


def _change(root: Path, change: Callable[[dict[str, Any]], object]) -> None:
    index_file = root / "cache"
    with hold(root / ".intake-tcga" / "locks" / "filecache-index.lock", patience=5):
        index = json.loads(index_file.read_text()) if index_file.exists() else {}
        change(index)
        fresh = root / ".intake-tcga" / f"{secrets.token_hex(6)}.new"
        fresh.write_text(json.dumps(index))
        fresh.replace(index_file)
