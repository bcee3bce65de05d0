"""Locks that save work and decide nothing: one download where many want a file, however they are broken."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def hold(
    lock_file: Path,
    *,
    patience: float,
    signs_of_life: Callable[[], object] = lambda: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Iterator[bool]:
    """Hold a lock while the block runs; go on without it when waiting makes no sense.

    Locks do nothing on some network file systems, and a holder may be stopped for good: whoever uses this must be
    right without it.

    Parameters
    ----------
    lock_file : Path
        The file that stands for the lock.
    patience : float
        Seconds without a change in ``signs_of_life`` after which the wait ends.
    signs_of_life : callable
        Returns something that changes while the holder gets on.
    cancelled : callable
        True ends the wait.

    Yields
    ------
    bool
        Whether the lock is held.
    """
    from filelock import FileLock, Timeout

    seen, since, pause = signs_of_life(), time.monotonic(), 0.02
    lock = None
    while not cancelled():
        try:
            lock_file.parent.mkdir(parents=True, exist_ok=True)
            lock = lock or FileLock(str(lock_file))
            lock.acquire(timeout=0)
            break
        except Timeout:
            pass
        except (OSError, NotImplementedError, RuntimeError):  # read-only, no locks here, …
            lock = None
            break
        now_seen = signs_of_life()
        if now_seen != seen:
            seen, since = now_seen, time.monotonic()
        if time.monotonic() - since >= patience:
            lock = None
            break
        time.sleep(pause)
        pause = min(pause * 1.5, 0.25)
    else:
        lock = None
    try:
        yield lock is not None
    finally:
        if lock is not None:
            with suppress(OSError):
                lock.release()
