"""How much a download may cost: attempts, seconds and bytes, and how they are spent."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field

_NET_PROGRESS = 64 * 1024
"""Bytes beyond the furthest point so far that make an attempt count as progress: no server can drip-feed for ever."""


@dataclass(frozen=True, slots=True)
class Budget:
    """Limits of one download. Every wait ends; the defaults suit slow and flaky networks.

    Examples
    --------
    >>> Budget(attempts=2, stall_timeout=5).stall_timeout
    5
    """

    attempts: int = 5
    """Attempts in a row that may fail without net progress (64 KiB more than ever before)."""

    connect_timeout: float = 20.0
    """Seconds to find the host and connect to it."""

    stall_timeout: float = 30.0
    """Seconds without a single byte after which an attempt is given up."""

    min_rate: float = 1024.0
    """Bytes a second below which, over a window, an attempt is given up."""

    min_rate_window: float = 30.0
    """Seconds of that window."""

    deadline: float | None = None
    """Seconds that a whole download may take, retries included; None sets no such limit."""

    max_redirects: int = 10
    """Redirects followed in one attempt."""

    max_bytes_unknown_size: int = 16 * 2**30
    """Bytes of a body at most, where neither the caller nor the server tells its size."""

    backoff: float = 0.5
    """Seconds before the second attempt; doubled with each further one."""

    longest_wait: float = 60.0
    """Seconds between two attempts at most, also where a server's Retry-After asks for more."""

    lock_patience: float = 120.0
    """Seconds without a sign of life of another process's download, after which this one no longer waits for it."""


@dataclass(slots=True)
class Patience:
    """What is left of a :class:`Budget` while a download is under way."""

    budget: Budget
    furthest: int = 0
    failures: int = 0
    started: float = field(default_factory=time.monotonic)

    def after_failure(self, offset: int, retry_after: float | None = None) -> float | None:
        """Count a failed attempt that got to ``offset``; return the seconds to wait, or None to give up."""
        if offset >= self.furthest + _NET_PROGRESS:
            self.failures = 0
        self.furthest = max(self.furthest, offset)
        self.failures += 1
        if self.failures >= self.budget.attempts:
            return None
        wait = self.budget.backoff * 2 ** (self.failures - 1) * random.uniform(0.5, 1)
        wait = min(max(wait, retry_after or 0), self.budget.longest_wait)
        left = self.seconds_left()
        return None if left is not None and left <= wait else wait

    def seconds_left(self) -> float | None:
        """Return the seconds to the deadline, or None where there is no deadline."""
        if self.budget.deadline is None:
            return None
        return self.started + self.budget.deadline - time.monotonic()
