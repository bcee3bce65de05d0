"""Work on many slides, a few at a time: what fails stops nothing else, and all failures are told together."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from operator import itemgetter
from typing import Any, TypeVar

from intake_tcga.cache.store import VerifiedFileCache
from intake_tcga.errors import IntakeTcgaError, OptionError
from intake_tcga.progress import can_show
from intake_tcga.slides.asking import AT_ONCE
from intake_tcga.slides.scale import is_whole
from intake_tcga.slides.sources import SlideSource
from intake_tcga.slides.tile_codecs import load_codecs, load_pillow

Result = TypeVar("Result")

Failure = tuple[str, Exception]
"""How a slide is called, and why it failed."""


def run_batch(
    sources: Sequence[SlideSource],
    work: Callable[[SlideSource], Result],
    *,
    workers: int,
    label: str,
    progress: bool | None,
) -> tuple[list[Result | None], dict[int, Exception]]:
    """Do something with each slide, several at once.

    Parameters
    ----------
    sources
        The slides.
    work
        What to do with one; it runs in a thread.
    workers
        Slides at a time. Together they ask the GDC for no more at once than a single one does.
    label
        What the bar says.
    progress
        Show a bar that counts slides; None on a terminal or in a notebook.

    Returns
    -------
    results : list
        In the order of the slides; None where one failed.
    failures : dict
        By the slides' places in ``sources``: several may have one name.
    """
    if not is_whole(workers) or workers < 1:
        raise OptionError(f"workers={workers!r} is not possible; give 1 or more slides at a time.")
    workers = int(workers)
    stop = threading.Event()
    shares = [
        replace(
            source, at_once=max(1, AT_ONCE // workers), cache=_silent(source.cache), cancelled=stop.is_set
        )
        for source in sources
    ]
    results: list[Result | None] = [None] * len(sources)
    failures: dict[int, Exception] = {}
    bar = _bar(label, len(sources), progress)
    pool = ThreadPoolExecutor(workers, "intake-tcga-slides")
    try:
        tasks: dict[Future[Result], int] = {pool.submit(work, source): at for at, source in enumerate(shares)}
        waiting = set(tasks)
        while waiting:
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for task in done:
                error = task.exception()
                if isinstance(error, Exception):
                    failures[tasks[task]] = error
                elif error is not None:
                    raise error
                else:
                    results[tasks[task]] = task.result()
                bar.update(1)
    finally:  # also on Ctrl-C: what has not begun never will, and downloads end
        stop.set()
        pool.shutdown(wait=True, cancel_futures=True)
        bar.close()
    return results, failures


def check_installed(method: str) -> None:
    """Refuse a batch of which every slide would fail for want of the same library.

    Raises
    ------
    MissingDependencyError
        imagecodecs or Pillow is not installed.
    """
    load_pillow()
    if method != "tiles":
        load_codecs()


def called(sources: Sequence[SlideSource], failures: Mapping[int, Exception]) -> list[Failure]:
    """Call the slides that failed by their names, those of one name by their places, in the order of the slides."""
    times = Counter(source.name for source in sources)
    names = [source.name if times[source.name] == 1 else source.shown_url for source in sources]
    return [(names[at], failures[at]) for at in sorted(failures)]


def raise_together(failures: Sequence[Failure], total: int, done: str) -> None:
    """Raise one error that names every slide that failed, with its reason; none if none did.

    Parameters
    ----------
    failures
        What failed.
    total
        Slides in all.
    done
        What became of the others, as the end of a sentence.

    Raises
    ------
    IntakeTcgaError
        Of the kind of all failures, if they have one in common; never an OptionError, since what a slide cannot give
        (a resolution, a box) is no wrong option of the whole. The error of an only slide is raised as it is.
    """
    if not failures:
        return
    _, first = failures[0]
    if total == 1 and isinstance(first, IntakeTcgaError):
        raise first
    lines = "\n".join(f"- {_named(name, error)}" for name, error in sorted(failures, key=itemgetter(0)))
    kinds = {type(error) for _, error in failures}
    is_told = len(kinds) == 1 and isinstance(first, IntakeTcgaError) and not isinstance(first, OptionError)
    kind = type(first) if is_told else IntakeTcgaError
    raise kind(f"{len(failures)} of {total} slides failed; {done}:\n{lines}") from first


def _named(name: str, error: Exception) -> str:
    reason = str(error) if isinstance(error, IntakeTcgaError) else f"{type(error).__name__}: {error}"
    return reason if name in reason else f"{name}: {reason}"


def _silent(cache: VerifiedFileCache) -> VerifiedFileCache:
    """Return a cache that shows no bar of its own below that of the batch."""
    return cache.but(progress=False)


def _bar(label: str, total: int, progress: bool | None) -> Any:
    import sys
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tqdm warns in notebooks without ipywidgets, and then shows text
        from tqdm.auto import tqdm

        shown = can_show() if progress is None else progress
        return tqdm(total=total, desc=label, unit="slide", file=sys.stderr, disable=not shown)
