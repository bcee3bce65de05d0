"""Progress on a terminal or in a notebook, and silence everywhere else."""

from __future__ import annotations

import sys
import threading
import warnings
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tqdm.std import tqdm


class Progress:
    """One bar that counts the bytes of one download, or of several at once.

    Safe to feed from many threads. The bar appears with the first bytes, so what is found in a cache shows none.

    Parameters
    ----------
    label : str
        What is being fetched.
    total : int or None
        Bytes in all, if known; the first answer of a server fills it in otherwise.
    show : bool or None
        None shows the bar on a terminal or in a notebook; True always does, False never.

    Examples
    --------
    >>> with Progress("mini.h5", total=10, show=False) as progress:
    ...     progress.at("mini.h5", 4)
    ...     progress.at("mini.h5", 10)
    """

    def __init__(self, label: str, total: int | None = None, show: bool | None = None) -> None:
        self.label = label
        self.total = total
        self.shown = can_show() if show is None else show
        self._done: dict[str, int] = {}
        self._bar: tqdm[Any] | None = None
        self._lock = threading.Lock()

    def at(self, part: str, done: int, total: int | None = None) -> None:
        """Say that a part (a file) now has ``done`` of its ``total`` bytes; it may also fall back."""
        if not self.shown:
            return
        with self._lock:
            if self._bar is None:
                self._bar = _new_bar(self.label, self.total or total)
            step = done - self._done.get(part, 0)
            self._done[part] = done
            # A negative step (a download that started over) must move the bar back, which update() would not show.
            if step >= 0:
                self._bar.update(step)
            else:
                self._bar.n += step
                self._bar.refresh()

    def say(self, sentence: str) -> None:
        """Print a line where the bar is shown; nothing where it is not."""
        if self.shown:
            print(sentence, file=sys.stderr, flush=True)  # noqa: T201

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()


def can_show() -> bool:
    """Tell whether somebody can see a bar: standard error is a terminal, or this is a notebook's kernel."""
    # A kernel's stderr is no terminal; ipykernel is imported by kernels, hardly by anything else.
    return "ipykernel" in sys.modules or bool(sys.stderr and sys.stderr.isatty())


def _new_bar(label: str, total: int | None) -> tqdm[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tqdm warns in notebooks without ipywidgets, and then shows text
        from tqdm.auto import tqdm

        return tqdm(total=total, desc=label, unit="B", unit_scale=True, unit_divisor=1000, file=sys.stderr)
