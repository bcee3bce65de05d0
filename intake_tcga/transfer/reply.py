"""What every source answers, and how an attempt fails."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from intake_tcga.digest import Digest
from intake_tcga.errors import TransferError
from intake_tcga.transfer.parts import Validator

if TYPE_CHECKING:
    from intake_tcga.digest import Hash


class TransientError(Exception):
    """An attempt failed in a way that another one may not."""

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class ChangedError(TransientError):
    """The rest that a server offers does not belong to the bytes that are there: start over."""


class MismatchError(Exception):
    """A server offers or sent bytes that are not the expected ones."""


class NoRangesError(TransferError):
    """A server gives a file only as a whole, which whoever reads by ranges does not wait for."""


class Block(NamedTuple):
    """Bytes on their way."""

    content: bytes
    hashed: Hash | None = None
    """The hash of everything up to their end, where who received them has computed it."""


class Sink(Protocol):
    """Where bytes go."""

    @property
    def offset(self) -> int:
        """Bytes it has."""

    @property
    def validator(self) -> Validator | None:
        """What identifies those bytes."""

    @property
    def digest(self) -> Digest | None:
        """Digest of those bytes."""

    def running_hash(self) -> Hash | None:
        """Return a hash of those bytes that can be gone on with elsewhere; None where none is computed."""

    def write(self, block: Block) -> None:
        """Append."""

    def restart(self) -> None:
        """Forget everything."""

    def identify(self, validator: Validator) -> None:
        """Take note of what identifies the bytes."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a source says before the first byte."""

    start: int = 0
    total: int | None = None
    validator: Validator | None = None
    is_web_page: bool = False

    @property
    def remark(self) -> str:
        """What to add to a complaint."""
        return " (it is a web page: a login, a captive portal?)" if self.is_web_page else ""
