"""Large reads of remote files: what they take is said before they begin, and shown while they go on."""

from __future__ import annotations

import logging
import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from intake_tcga.progress import Progress
from intake_tcga.tables import human_size

if TYPE_CHECKING:
    from intake_tcga.transfer.ranged import RangedFile

_logger = logging.getLogger(__name__)

_LARGE = 50_000_000  # bytes that are worth a word, of a file of any size
_SMALL = 8_000_000  # bytes that never are, though they be the whole file
_USUAL_RATE = 50e6  # bytes a second, where none were seen

_rates: dict[str, float] = {}
_asked: dict[str, int] = {}
_said: dict[str, object] = {}
_followed_by: dict[str, object] = {}
"""By the identity of a file, in this process: a worker gets another copy of the file with each task."""


@dataclass(frozen=True, slots=True)
class Prospect:
    """What reading from a remote file will take.

    Examples
    --------
    >>> print(Prospect(1_400_000_000, 47_865_298_452))
    1.4 GB of its 48 GB, about 28 s at 50 MB/s
    >>> print(Prospect(47_865_298_452, 47_865_298_452, 8e6))
    48 GB of its 48 GB, about 100 min at the 8.0 MB/s seen so far
    """

    wanted: int
    """Bytes that will be fetched, roughly."""

    size: int
    """Bytes of the file."""

    rate: float | None = None
    """Bytes a second at which the last large read of the file came; None where there was none."""

    piecemeal: bool = False
    """Whether many reads came to this, of which more may follow: those of Dask's tasks."""

    @property
    def most(self) -> bool:
        """Whether it is most of the file."""
        return 2 * self.wanted >= self.size

    @property
    def large(self) -> bool:
        """Whether it is worth a word."""
        return self.wanted >= _LARGE or (self.most and self.wanted >= _SMALL)

    def __str__(self) -> str:
        return f"{human_size(self.wanted)} of its {human_size(self.size)}, {self.time_of(self.wanted)}"

    def time_of(self, size: int) -> str:
        """Say how long so many bytes take, and at which rate."""
        pace = f"at the {human_size(int(self.rate))}/s seen so far" if self.rate else "at 50 MB/s"
        return f"about {_duration(size / (self.rate or _USUAL_RATE))} {pace}"


@contextmanager
def announced(
    file: RangedFile,
    wanted: int,
    sentence: Callable[[Prospect], str],
    *,
    once: bool = False,
    show: bool | None = None,
) -> Iterator[None]:
    """Say what the reads inside take, if that is a lot, in the log and where progress is shown; then show it.

    What the main thread reads, somebody asked for as it is: it is said each time. What other threads and processes
    read, such as Dask's, is part of something larger: it is said once a file and process, when it has come to a lot.

    Parameters
    ----------
    file
        What is read.
    wanted
        Bytes that will be fetched, roughly.
    sentence
        Says it in words.
    once
        Whether it will not be read again, so that it is worth a word whatever thread reads it.
    show
        As for :class:`~intake_tcga.progress.Progress`.
    """
    key = file.identity.key
    if not (once or _asked_for_as_it_is()):
        asked = _asked[key] = _asked.get(key, 0) + wanted
        prospect = Prospect(min(asked, file.size), file.size, _rates.get(key), piecemeal=True)
        if prospect.large and _is_first(_said, key):
            _say(sentence(prospect), show)
        yield
        return
    prospect = Prospect(wanted, file.size, _rates.get(key))
    if not prospect.large:
        yield
        return
    _say(sentence(prospect), show)
    begun, before = time.monotonic(), file.bytes_read
    with _followed(file, wanted, show):
        yield
    if received := file.bytes_read - before:
        _rates[key] = received / max(time.monotonic() - begun, 1e-3)


def _asked_for_as_it_is() -> bool:
    main = threading.current_thread() is threading.main_thread()
    return main and multiprocessing.parent_process() is None


def _is_first(among: dict[str, object], key: str) -> bool:
    """Tell one of several threads that it is the first, without a lock, which a forked child could inherit held."""
    mine = object()
    return among.setdefault(key, mine) is mine


def _say(sentence: str, show: bool | None) -> None:
    _logger.info(sentence)
    with Progress("", show=show) as progress:
        progress.say(sentence)


@contextmanager
def _followed(file: RangedFile, wanted: int, show: bool | None) -> Iterator[None]:
    """Show how many bytes have come; of several reads of one file at once, for one of them."""
    key, name = file.identity.key, file.shown_url.rpartition("/")[2]
    with Progress(name, wanted, show) as progress:
        if not (progress.shown and _is_first(_followed_by, key)):
            yield
            return
        before, over = file.bytes_read, threading.Event()

        def follow() -> None:
            while not over.wait(0.2):
                progress.at(name, min(file.bytes_read - before, wanted))

        thread = threading.Thread(target=follow, name="intake-tcga-progress", daemon=True)
        thread.start()
        try:
            yield
            over.set()
            thread.join()
            progress.at(name, wanted)  # it was a rough number, and it is done
        finally:
            over.set()
            thread.join()
            _followed_by.pop(key)


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
