"""Small results that cost a look into a whole file, kept so that the next opening has them at once.

They lie in a cache's own folder, and hold as long as the file keeps its size, time and inode. They are a convenience:
whatever is damaged, unwritable or gone is made anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from intake_tcga.cache.kept import note_use, note_written
from intake_tcga.cache.roots import state_folder
from intake_tcga.cache.stamps import Signature


def recall(path: str | os.PathLike[str], what: str) -> Any:
    """Return what was kept of a file, or None where nothing was, or the file has changed since.

    Parameters
    ----------
    path
        The file.
    what
        Names the result, its version included.
    """
    signature = Signature.of(Path(path))
    try:
        kept = json.loads((place := _place(Path(path), what)).read_bytes())
        if signature is None or kept["signature"] != _listed(signature):
            return None
        note_use(place)
        return kept["value"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def keep(path: str | os.PathLike[str], what: str, value: Any, signature: Signature | None) -> None:
    """Keep a result of a file.

    Parameters
    ----------
    path, what
        As for :func:`recall`.
    value
        Anything that JSON holds.
    signature
        Of the file before the result was made: of a file that changed meanwhile, or was written a moment ago,
        nothing is kept.
    """
    if signature is None or signature != Signature.of(Path(path)) or too_fresh(signature):
        return
    place = _place(Path(path), what)
    fresh = place.with_name(f"{secrets.token_hex(6)}.new")
    with suppress(OSError):
        place.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_text(text := json.dumps({"signature": _listed(signature), "value": value}))
        fresh.replace(place)
        note_written(place, len(text))


def forget(path: str | os.PathLike[str]) -> None:
    """Remove whatever was kept of a file.

    Parameters
    ----------
    path
        The file; it may be gone.
    """
    folder, key = _folder_and_key(Path(path))
    with suppress(OSError):
        for place in folder.glob(f"{key}-*.json"):
            place.unlink(missing_ok=True)


def too_fresh(signature: Signature) -> bool:
    """Tell whether a file was written so lately that another write might not change its time."""
    whole_seconds = signature.mtime_ns % 1_000_000_000 == 0  # file systems that keep no finer times
    return time.time_ns() - signature.mtime_ns < (2_500_000_000 if whole_seconds else 50_000_000)


def _place(path: Path, what: str) -> Path:
    folder, key = _folder_and_key(path)
    return folder / f"{key}-{_key(what)}.json"


def _folder_and_key(path: Path) -> tuple[Path, str]:
    """Return where a file's results are kept, in the cache that it is in, else in the user's, and how they begin."""
    path = path.absolute()
    return state_folder(path) / "derived", _key(str(path))


def _key(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:24]


def _listed(signature: Signature) -> list[int]:
    return [signature.size, signature.mtime_ns, signature.inode]
