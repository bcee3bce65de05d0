"""Times when no garbage is collected, so that nobody waits for HDF5's lock while its holder waits for the network.

h5py's objects take HDF5's lock when they are collected, in whichever thread that happens to be (h5py issue 2019). If
that thread holds something that the network's thread needs (or is the network's), and HDF5's lock is held by one that
waits for bytes of a remote file, then all three wait for ever. So whoever reads a remote file through HDF5 first lets
no collection begin, then waits for the one that is under way.
"""

from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_LONGEST_WAIT = 10.0  # seconds; who waits may hold HDF5's lock already, which the collection waits for

# No lock guards these: a collection could begin, and wait, in a thread that holds it.
_pauses: set[object] = set()
_enable_after = [False]
_collector: list[int | None] = [None]


@contextmanager
def no_collection() -> Iterator[None]:
    """Let no collection begin meanwhile, in any thread; one that is asked for by ``gc.collect()`` does."""
    me = object()
    was_enabled = gc.isenabled()
    gc.disable()
    _pauses.add(me)
    if was_enabled:
        _enable_after[0] = True
    try:
        yield
    finally:
        _pauses.discard(me)
        if not _pauses and _enable_after[0]:
            _enable_after[0] = False
            gc.enable()
            if _pauses:  # another pause began between the two
                gc.disable()
                _enable_after[0] = True


@contextmanager
def no_collection_at_all() -> Iterator[None]:
    """Begin the same when no collection is under way; to be entered without HDF5's lock."""
    if _note not in gc.callbacks:
        gc.callbacks.append(_note)
    with no_collection():
        until = time.monotonic() + _LONGEST_WAIT
        while _collector[0] not in {None, threading.get_ident()} and time.monotonic() < until:
            time.sleep(0.001)
        yield


def _note(phase: str, _: dict[str, Any]) -> None:
    _collector[0] = threading.get_ident() if phase == "start" else None


def _after_fork() -> None:
    """Forget the pauses and the collection of threads that the child does not have."""
    _pauses.clear()
    _collector[0] = None
    if _enable_after[0]:
        _enable_after[0] = False
        gc.enable()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
