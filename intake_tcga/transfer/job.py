"""A download: attempts until the bytes are right, or the budget is spent."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from intake_tcga.digest import Digest
from intake_tcga.errors import IntegrityError, OfflineError, OptionError, TransferError
from intake_tcga.remote import RemoteFile, redact
from intake_tcga.transfer.budget import Budget, Patience
from intake_tcga.transfer.options import is_local, protocols
from intake_tcga.transfer.parts import Part, Validator
from intake_tcga.transfer.reply import Block, ChangedError, MismatchError, Reply, Sink, TransientError
from intake_tcga.transfer.source import Source

if TYPE_CHECKING:
    from intake_tcga.transfer.http import HttpAnswer


def download(
    file: RemoteFile,
    part: Part,
    *,
    storage_options: Mapping[str, Any] | None = None,
    budget: Budget | None = None,
    on_bytes: Callable[[int, int | None], None] | None = None,
    on_total: Callable[[int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Digest:
    """Write the bytes of a remote file into its part, checked against the size and digest it must have.

    Goes on from what the part already has where the server can prove that it still has the same bytes. After bytes
    of a wrong size or digest the whole is asked for once more, past all proxies.

    Parameters
    ----------
    file : RemoteFile
        What to fetch. Without a digest, its size or the server's Content-Length must say when it is complete.
    part : Part
        Where to write; left open, complete and not yet on disk for certain (see :meth:`Part.seal`).
    storage_options : mapping, optional
        Options of fsspec: flat for the URL's own protocol, or keyed by protocol. Never changed.
    budget : Budget, optional
        Limits.
    on_bytes : callable, optional
        Told the bytes written so far and the total, if known.
    on_total : callable, optional
        Told the total as soon as it is known; may raise, e.g. when there is no room for it.
    cancelled : callable, optional
        Asked about twice a second; True ends the download.

    Returns
    -------
    Digest
        What was computed: of the file's algorithm, or sha256.

    Raises
    ------
    IntegrityError
        The server's bytes are not the expected ones, twice.
    RemoteNotFoundError
        The server has no such file.
    AccessDeniedError
        The server refuses the credentials, or wants some.
    OptionError
        Its client cannot be made with these ``storage_options``.
    TransferError
        Anything else that retries did not cure.
    """
    source = Source.of(file.url, storage_options)
    job = _Job(
        source=source,
        sink=part,
        wanted=_Wanted(file.shown_url, file.name, file.size, file.digest),
        budget=budget or Budget(),
        on_bytes=on_bytes or (lambda done, total: None),
        on_total=on_total or (lambda total: None),
        cancelled=cancelled or (lambda: False),
    )
    job.run()
    return part.digest


def read_small(
    url: str,
    *,
    limit: int,
    storage_options: Mapping[str, Any] | None = None,
    offline: bool = False,
    budget: Budget | None = None,
) -> bytes:
    """Read a whole small body (a manifest) into memory, with the retries of a download.

    Parameters
    ----------
    url : str
        Any URL that fsspec opens.
    limit : int
        Bytes that the body may have at most.
    storage_options : mapping, optional
        Options of fsspec: flat for the URL's own protocol, or keyed by protocol. Never changed.
    offline : bool
        Refuse whatever needs a socket.
    budget : Budget, optional
        Limits.

    Raises
    ------
    OfflineError
        ``offline`` and the URL is not local.
    IntegrityError
        The body is longer than ``limit``.
    OptionError, AccessDeniedError, RemoteNotFoundError, TransferError
        As for :func:`download`.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile() as file:
    ...     _ = file.write(b"{}"), file.flush()
    ...     read_small(file.name, limit=100, offline=True)
    b'{}'
    """
    if offline and not is_local(url):
        raise OfflineError(
            f"{redact(url)} cannot be read in offline mode; pass offline=False or unset INTAKE_TCGA_OFFLINE."
        )
    body = _Memory()
    job = _Job(
        source=Source.of(url, storage_options),
        sink=body,
        wanted=_Wanted(redact(url), redact(url), None, None, limit=limit, length_needed=False),
        budget=budget or Budget(),
        fresh_retries=0,
        whole=True,
    )
    job.run()
    return bytes(body.content)


def post_json(
    url: str,
    document: Any,
    *,
    limit: int,
    storage_options: Mapping[str, Any] | None = None,
    offline: bool = False,
    budget: Budget | None = None,
) -> bytes:
    """Send a JSON document to a service and read its answer into memory, with the retries of a download.

    For questions alone, which may be asked twice; an answer that leads elsewhere is not followed.

    Parameters
    ----------
    url : str
        An http or https URL.
    document
        Anything that JSON holds.
    limit : int
        Bytes that the answer may have at most.
    storage_options : mapping, optional
        Options of fsspec's HTTP filesystem, e.g. ``headers``. Never changed.
    offline : bool
        Refuse.
    budget : Budget, optional
        Limits.

    Raises
    ------
    OfflineError
        ``offline``.
    IntegrityError
        The answer is longer than ``limit``.
    OptionError, AccessDeniedError, RemoteNotFoundError, TransferError
        As for :func:`download`; OptionError also for a URL of another kind.
    """
    if offline:
        raise OfflineError(
            f"{redact(url)} cannot be asked in offline mode; pass offline=False or unset INTAKE_TCGA_OFFLINE."
        )
    if protocols(url) not in (["http"], ["https"]):
        raise OptionError(f"{redact(url)} is not the address of a service; give an http or https URL.")
    body = _Memory()
    job = _Job(
        source=_Question(Source.of(url, storage_options), json.dumps(document).encode()),
        sink=body,
        wanted=_Wanted(redact(url), redact(url), None, None, limit=limit, length_needed=False),
        budget=budget or Budget(),
        fresh_retries=0,
        whole=True,
    )
    job.run()
    return bytes(body.content)


@dataclass(frozen=True, slots=True)
class _Question:
    """A source that answers a question: something is sent to it first."""

    source: Source
    document: bytes

    def ask(self, sink: Sink, budget: Budget, *, fresh: bool, whole: bool = False) -> HttpAnswer:
        from intake_tcga.transfer.http import HttpAnswer

        source = self.source
        return HttpAnswer(
            source.fs,
            source.path,
            source.shown_url,
            sink,
            budget,
            fresh=fresh,
            given=source.given,
            headers=source.headers,
            question=self.document,
        )


class _Memory:
    """A small body; it is never resumed, so it keeps no validator."""

    digest: Digest | None = None
    validator: Validator | None = None

    def __init__(self) -> None:
        self.content = bytearray()

    @property
    def offset(self) -> int:
        return len(self.content)

    def running_hash(self) -> None:
        return None

    def write(self, block: Block) -> None:
        self.content += block.content

    def restart(self) -> None:
        self.content.clear()

    def identify(self, validator: Validator) -> None:
        pass


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What the bytes must be, and how to say that they are not."""

    shown_url: str
    name: str
    size: int | None
    digest: Digest | None
    limit: int | None = None
    length_needed: bool = True

    def check_offer(self, reply: Reply) -> None:
        """Refuse, before its first byte, a body that cannot be the right one."""
        if self.size is not None and reply.total not in {None, self.size}:
            raise MismatchError(
                f"{self.shown_url} offers {reply.total:,} bytes where {self.size:,} are expected{reply.remark}"
            )
        if self.limit is not None and (reply.total or 0) > self.limit:
            raise MismatchError(
                f"{self.shown_url} has {reply.total:,} bytes where {self.limit:,} at most are expected{reply.remark}"
            )
        if self.length_needed and self.digest is None:
            if self.size is None and reply.total is None:
                raise TransferError(
                    f"Nobody says how many bytes {self.shown_url} has, so nothing could tell a whole download from a "
                    "cut one; give its size or its digest."
                )
            if reply.is_web_page and not self.name.lower().endswith((".html", ".htm")):
                raise TransferError(
                    f"{self.shown_url} answers with a web page instead of {self.name}{reply.remark}."
                )

    def most_bytes(self, reply: Reply, budget: Budget) -> int:
        for most in (self.size, self.limit, reply.total):
            if most is not None:
                return most
        return budget.max_bytes_unknown_size

    def check_whole(self, sink: Sink, reply: Reply) -> None:
        """Check everything that is known of the bytes, after the last one."""
        complete = self.size if self.size is not None else reply.total
        if complete is not None and sink.offset < complete:
            raise TransientError(f"the connection ended after {sink.offset:,} of {complete:,} bytes")
        if self.digest is not None and sink.digest != self.digest:
            raise MismatchError(
                f"{self.shown_url} gave bytes with digest {sink.digest} where {self.digest} is expected{reply.remark}"
            )


@dataclass
class _Job:
    """One download: attempts until the bytes are right, or the budget is spent."""

    source: Source | _Question
    sink: Sink
    wanted: _Wanted
    budget: Budget
    on_bytes: Callable[[int, int | None], None] = lambda done, total: None
    on_total: Callable[[int], None] = lambda total: None
    cancelled: Callable[[], bool] = lambda: False
    fresh_retries: int = 1
    whole: bool = False

    def run(self) -> None:
        patience = Patience(self.budget, furthest=self.sink.offset)
        fresh_retries = self.fresh_retries
        fresh = False
        while True:
            try:
                return self._attempt(patience, fresh=fresh)
            except MismatchError as mismatch:
                if fresh_retries == 0:
                    raise IntegrityError(
                        f"{mismatch}. Nothing was kept; if a second try later fails too, tell who publishes it."
                    ) from None
                fresh_retries -= 1
                fresh = True
                self.sink.restart()
                patience.furthest = 0
            except TransientError as failure:
                if isinstance(failure, ChangedError):
                    self.sink.restart()
                wait = patience.after_failure(self.sink.offset, failure.retry_after)
                if wait is None:
                    raise TransferError(
                        f"{self.wanted.shown_url} could not be fetched: {failure}, and {patience.failures} "
                        f"attempts in a row got no further. Check the network and try again."
                    ) from None
                self._sleep(wait)

    def _attempt(self, patience: Patience, *, fresh: bool) -> None:
        """Ask for what is missing, write it, check the whole."""
        sink = self.sink
        if sink.offset and (sink.validator is None or not self._may_resume()):
            sink.restart()
        with self.source.ask(sink, self.budget, fresh=fresh, whole=self.whole) as answer:
            reply = answer.reply(self._alive(patience))
            self.wanted.check_offer(reply)
            if reply.start != sink.offset:  # a server without ranges, or one whose bytes have changed
                sink.restart()
            blocks = answer.blocks(self._alive(patience))
            if reply.validator:
                sink.identify(reply.validator)
            if reply.total is not None:
                self.on_total(reply.total)
            most = self.wanted.most_bytes(reply, self.budget)
            total = self.wanted.size if self.wanted.size is not None else reply.total
            self.on_bytes(sink.offset, total)
            for block in blocks:
                if sink.offset + len(block.content) > most:
                    raise MismatchError(
                        f"{self.wanted.shown_url} sends more than {most:,} bytes{reply.remark}"
                    )
                sink.write(block)
                self.on_bytes(sink.offset, total)
        self.wanted.check_whole(sink, reply)

    def _may_resume(self) -> bool:
        # Bytes of one attempt may only be joined to those of another where a digest of the whole will tell, or
        # where a strong tag promises that they are the same: a date has but seconds.
        assert self.sink.validator is not None
        return self.wanted.digest is not None or self.sink.validator.etag is not None

    def _alive(self, patience: Patience) -> Callable[[], None]:
        def check() -> None:
            if self.cancelled():
                raise TransferError(f"The download of {self.wanted.shown_url} was cancelled.")
            left = patience.seconds_left()
            if left is not None and left <= 0:
                raise TransferError(
                    f"{self.wanted.shown_url} is not complete after {self.budget.deadline:g} s; "
                    "give a longer Budget(deadline=…)."
                )

        return check

    def _sleep(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not self.cancelled():
            time.sleep(min(left, 0.5))
