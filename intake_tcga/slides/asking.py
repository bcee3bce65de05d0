"""How the GDC is asked for slides: a few requests at a time, and what it refuses is explained."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from intake_tcga.errors import TransferError
from intake_tcga.transfer.byte_ranges import Range
from intake_tcga.transfer.ranged import RangedFile

AT_ONCE = 4
"""Requests under way at once, as the GDC asks of its users."""

_turns = threading.BoundedSemaphore(AT_ONCE)  # of all slides of this process: one service serves them all


@contextmanager
def asking(name: str, *, with_token: bool) -> Iterator[None]:
    """Wait for a turn, and let a refusal name the slide, the GDC's reason and the next step; other errors pass.

    A turn is that of one request, or of one slide's requests where it alone is read.

    Parameters
    ----------
    name : str
        The slide's file name.
    with_token : bool
        Whether the request carries a token.

    Raises
    ------
    AccessDeniedError, TransferError
        Of the kind that was raised.
    """
    try:
        with _turns:
            yield
    except TransferError as error:
        if not error.answer:
            raise
        step = (
            "check the token that is given (GDC_TOKEN, GDC_TOKEN_FILE, token=), and whether it allows this file"
            if with_token
            else "a controlled slide needs a token, in GDC_TOKEN; an open one may be refused for days after a release"
        )
        raise type(error)(f"The GDC does not give {name} ({error.answer}); {step}.") from None


class GdcFile(RangedFile):
    """A slide's file at the GDC, of a known size, which is asked for so wherever it is read."""

    name = ""
    with_token = False

    def read(
        self, ranges: Sequence[Range], *, gap: int = 32 * 1024, largest: int = 8 * 2**20
    ) -> list[bytes | memoryview]:
        """Read many ranges at once; see :meth:`RangedFile.read`."""
        with asking(self.name, with_token=self.with_token):
            return super().read(ranges, gap=gap, largest=largest)

    def head(self, length: int) -> memoryview:
        """Read the first bytes; see :meth:`RangedFile.head`."""
        with asking(self.name, with_token=self.with_token):
            return super().head(length)
