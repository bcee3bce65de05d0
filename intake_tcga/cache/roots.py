"""Which folders a cache uses, and whether it may use the network: arguments first, then the environment."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from intake_tcga.errors import OptionError
from intake_tcga.flags import flag


def writable_root(root: str | os.PathLike[str] | None = None) -> Path:
    """Return the folder that downloads go to: ``root``, ``INTAKE_TCGA_CACHE_DIR``, or the platform's cache folder."""
    chosen = root or os.environ.get("INTAKE_TCGA_CACHE_DIR")
    if chosen:
        return _absolute(chosen)
    from platformdirs import user_cache_path

    return user_cache_path("intake-tcga", appauthor=False)


def read_only_roots(roots: Sequence[str | os.PathLike[str]] | None, writable: Path) -> tuple[Path, ...]:
    """Return the folders that are used first and never written.

    Those given; or else those of ``INTAKE_TCGA_READ_ONLY_ROOTS`` and SyNG-BTS's own cache, whose layout is ours.
    """
    if roots is None:
        listed = os.environ.get("INTAKE_TCGA_READ_ONLY_ROOTS", "").split(os.pathsep)
        found = [_absolute(root) for root in listed if root]
        syng_bts = _absolute(os.environ.get("SYNG_BTS_CACHE_DIR") or "~/.cache/syng-bts")
        if syng_bts.is_dir():
            found.append(syng_bts)
    else:
        found = [_absolute(root) for root in ([roots] if isinstance(roots, str | os.PathLike) else roots)]
    return tuple(dict.fromkeys(root for root in found if root != writable))


def state_folder(path: str | os.PathLike[str], otherwise: Path | None = None) -> Path:
    """Return where a cache remembers things of a file: in the cache that the file is in, else where told to.

    Told nothing, in the user's.
    """
    states = (folder / ".intake-tcga" for folder in _absolute(path).parents)
    found = next((state for state in states if state.is_dir() and _is_writable(state)), None)
    return found or otherwise or writable_root() / ".intake-tcga"


def _is_writable(folder: Path) -> bool:
    """Tell whether a folder may be written: also root leaves one alone that is marked read-only for all."""
    return bool(folder.stat().st_mode & 0o222) and os.access(folder, os.W_OK)


def is_offline(offline: bool | str | None) -> bool:
    """Return whether sockets are forbidden: as told, or as ``INTAKE_TCGA_OFFLINE`` says.

    Words count as in a shell or a YAML template; one that says neither is an OptionError, since to guess wrong would
    open a socket where none may be.

    Examples
    --------
    >>> is_offline(True), is_offline("False"), is_offline("yes")
    (True, False, True)
    """
    if offline is None:
        return flag(os.environ.get("INTAKE_TCGA_OFFLINE", ""), "INTAKE_TCGA_OFFLINE")
    return flag(offline, "offline")


def _absolute(path: str | os.PathLike[str]) -> Path:
    try:
        return Path(os.path.abspath(Path(path).expanduser()))  # noqa: PTH100 - resolve() would follow links
    except RuntimeError:
        raise OptionError(
            f"{path} names a user that this machine does not know; give the folder's whole path."
        ) from None
