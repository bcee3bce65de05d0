"""A download on its way to its place: part, check, stamp, move."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from intake_tcga.cache.plan import Download, Refuse, Use
from intake_tcga.cache.stamps import Signature, Stamp, StampStore
from intake_tcga.digest import Digest
from intake_tcga.errors import CacheError, IntakeTcgaError, RemoteNotFoundError, TransferError
from intake_tcga.remote import RemoteFile
from intake_tcga.transfer import download
from intake_tcga.transfer.budget import Budget
from intake_tcga.transfer.parts import Part, explain, largest_left_part, set_aside, sweep

_logger = logging.getLogger(__name__)
_WORTH_RESUMING = 2**20
"""Bytes from which on the part of a failed download is kept for the next call."""

_MOST_TURNS = 20
"""How often the place of a file may be taken by others before that is an error."""


def download_verified(
    file: RemoteFile,
    step: Download,
    stamps: StampStore,
    *,
    storage_options: Mapping[str, Any] | None,
    budget: Budget,
    on_bytes: Callable[[int, int | None], None],
    cancelled: Callable[[], bool],
    decide_again: Callable[[], Use | Download | Refuse],
    announce: Callable[[Path], None],
) -> Path:
    """Download a file to where a plan says, and return where it is.

    Parameters
    ----------
    file : RemoteFile
        What to fetch.
    step : Download
        Where to, and what may be replaced there.
    stamps : StampStore
        Remembers the verification.
    storage_options, budget, on_bytes, cancelled
        As for :func:`intake_tcga.transfer.download`.
    decide_again : callable
        The plan anew, for when somebody else has taken the place meanwhile.
    announce : callable
        Told where the file is about to be; must not raise. It is called beside others, while the disk is waited for.

    Raises
    ------
    CacheError
        The folder cannot be used; nothing half-written stays.
    IntegrityError, TransferError, RemoteNotFoundError
        As for :func:`intake_tcga.transfer.download`.
    """
    part = _new_part(file, step)
    try:
        digest = _fill(part, file, storage_options, budget, on_bytes, cancelled)
        part.seal(meanwhile=lambda: announce(step.target))
    except BaseException as error:
        if _worth_resuming(part, file, error):
            part.leave()
        else:
            part.discard()
        raise
    path = _publish(file, part, digest, step, stamps, decide_again)
    if path != step.target:
        announce(path)
    sweep(step.target)
    _logger.info("%s downloaded and verified (%s): %s", file.shown_url, digest, path)
    return path


def _new_part(file: RemoteFile, step: Download) -> Part:
    target = step.target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # Only the very file that was found wrong; another process may have put a right one there since.
        if step.wrong is not None and Signature.of(target) == step.wrong:
            _logger.warning("%s is not what it should be; it is replaced by a new download", target)
            set_aside(target)
    except FileNotFoundError:  # another process has just set it aside
        pass
    except OSError as error:
        raise explain(error, target, file.size) from error
    if target.is_dir():
        raise CacheError(f"{target} is a folder where a file should be; move it away.")
    _clear_place(target)
    return Part(target, file.digest.algorithm if file.digest else "sha256")


def _clear_place(target: Path) -> None:
    """Remove a link that leads nowhere, and refuse what is neither file nor folder: neither can be replaced unseen."""
    if Signature.of(target) is not None or not os.path.lexists(target):
        return
    if not target.is_symlink() or target.exists():
        raise CacheError(f"{target} is no file, and in a file's place; move it away.")
    _logger.warning(
        "%s is a link to %s, which is gone; it is replaced by a new download", target, target.readlink()
    )
    try:
        target.unlink(missing_ok=True)
    except OSError as error:
        raise explain(error, target, None) from error


def _fill(
    part: Part,
    file: RemoteFile,
    storage_options: Mapping[str, Any] | None,
    budget: Budget,
    on_bytes: Callable[[int, int | None], None],
    cancelled: Callable[[], bool],
) -> Digest:
    """Bring all bytes into the part, checked."""
    # Without a digest, nothing could tell that an older part holds the beginning of the same bytes.
    if file.digest and (left := largest_left_part(part.target, file.size)):
        part.adopt(left)
    if file.size is not None:
        _check_space(part, file.size)
    return download(
        file,
        part,
        storage_options=storage_options,
        budget=budget,
        on_bytes=on_bytes,
        on_total=lambda total: _check_space(part, total),
        cancelled=cancelled,
    )


def _worth_resuming(part: Part, file: RemoteFile, error: BaseException) -> bool:
    """Tell whether to keep a part: of a download that was interrupted or failed by the network, not of a wrong one."""
    passing = isinstance(error, (KeyboardInterrupt, TransferError)) and not isinstance(
        error, RemoteNotFoundError
    )
    return passing and file.digest is not None and part.offset >= _WORTH_RESUMING


def _publish(
    file: RemoteFile,
    part: Part,
    digest: Digest,
    step: Download,
    stamps: StampStore,
    decide_again: Callable[[], Use | Download | Refuse],
) -> Path:
    """Move a verified part to its final name, never over another's valid file."""
    signature = Signature.of(part.path)
    if signature is None:
        raise CacheError(f"{part.path} vanished while it was written; find out what cleans its folder.")
    target, replace = step.target, step.replace
    try:
        for _ in range(_MOST_TURNS):
            # Stamped first: killed after the move, the file is known; killed before it, the stamp fits nothing.
            stamps.keep(Stamp.made_now(target, signature, digest, file, downloaded=True))
            if _move(part.path, target, replace=replace):
                return target
            # Somebody was faster. The lock excludes that where locks work.
            now = decide_again()
            if isinstance(now, Use):
                return now.path
            assert isinstance(now, Download)
            target, replace = now.target, now.replace
            target.parent.mkdir(parents=True, exist_ok=True)
        raise CacheError(f"{target} is taken again and again; find out what else writes it.")
    except OSError as error:
        if isinstance(error, IntakeTcgaError):
            raise
        raise explain(error, target, signature.size) from error
    finally:
        part.discard()


def _move(part: Path, target: Path, *, replace: bool) -> bool:
    """Give a part its final name in one step; unless ``replace``, tell False where that name is taken."""
    if replace:
        part.replace(target)
        return True
    try:
        target.hardlink_to(part)  # the one move that never replaces
    except FileExistsError:
        return False
    except OSError:
        if target.exists():
            return False
        part.replace(target)  # a file system without hard links
    # The folder is not synced: a power cut that undoes the move leaves the old state, and nothing wrong.
    return True


def _check_space(part: Part, size: int) -> None:
    target = part.target
    try:
        free = shutil.disk_usage(target.parent).free
    except OSError:
        return  # not told; a full disk is noticed when writing
    if free < size - part.offset:
        raise CacheError(
            f"{target.parent} has {free:,} bytes free, and {target.name} needs {size - part.offset:,} more; free some, "
            "or set INTAKE_TCGA_CACHE_DIR to a folder with room."
        )
