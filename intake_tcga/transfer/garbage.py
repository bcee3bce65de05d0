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
from typing import Any, TypeAlias

_LONGEST_WAIT = 10.0  # seconds; who waits may hold HDF5's lock already, which the collection waits for

_Pause: TypeAlias = tuple[int, object]
"""One pause: the thread that it is in, and itself."""

# No lock guards these: a collection could begin, and wait, in a thread that holds it.
_pauses: set[_Pause] = set()
_ending: set[_Pause] = set()
"""Pauses that are over, and may be about to enable collection."""

_enable_after = [False]
"""Whether the last pause has to."""

_collector: list[int | None] = [None]


@contextmanager
def no_collection() -> Iterator[None]:
    """Let no collection begin meanwhile, in any thread; one that is asked for by ``gc.collect()`` does."""
    me = (threading.get_ident(), object())
    try:
        _begin(me)
        yield
    finally:
        _end(me)


# Between any two of these steps other threads may take any number of theirs: their order is the protocol.


def _begin(me: _Pause) -> None:
    _pauses.add(me)  # first, so that whoever enables collection from now on sees it
    if gc.isenabled():
        _enable_after[0] = True
    gc.disable()
    _wait_for_enders(me)  # they may not have seen it, and enable once more before they do


def _wait_for_enders(me: _Pause) -> None:
    enders = {pause for pause in tuple(_ending) if pause[0] != me[0]}
    until = time.monotonic() + _LONGEST_WAIT
    while enders & _ending and time.monotonic() < until:
        time.sleep(0.001)


def _end(me: _Pause) -> None:
    _pauses.discard(me)
    if _pauses or not _enable_after[0]:
        return
    _ending.add(me)
    try:
        while not _pauses and _enable_after[0]:
            _enable_after[0] = False
            gc.enable()
            if _pauses or not gc.isenabled():  # another pause began meanwhile, or even ended
                gc.disable()
                _enable_after[0] = True  # last: if the other one has ended without it, the loop sees that
    finally:
        _ending.discard(me)


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
    wanted = _enable_after[0] or _ending  # one that is ending may have taken the note already
    _pauses.clear()
    _ending.clear()
    _collector[0] = None
    if wanted:
        _enable_after[0] = False
        gc.enable()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
