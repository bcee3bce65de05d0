"""What the GDC says when it refuses a slide, and what can be done then."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from intake_tcga.errors import TransferError
from intake_tcga.transfer.byte_ranges import Range
from intake_tcga.transfer.ranged import RangedFile


@contextmanager
def explained(name: str, *, with_token: bool) -> Iterator[None]:
    """Let a refusal name the slide, the GDC's own reason and the next step; other errors pass as they are.

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
    """A slide's file at the GDC, whose refusals are explained wherever it is read."""

    name = ""
    with_token = False

    def read(
        self, ranges: Sequence[Range], *, gap: int = 32 * 1024, largest: int = 8 * 2**20
    ) -> list[bytes | memoryview]:
        """Read many ranges at once; see :meth:`RangedFile.read`."""
        with explained(self.name, with_token=self.with_token):
            return super().read(ranges, gap=gap, largest=largest)

    def head(self, length: int) -> memoryview:
        """Read the first bytes; see :meth:`RangedFile.head`."""
        with explained(self.name, with_token=self.with_token):
            return super().head(length)
