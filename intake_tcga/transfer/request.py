"""One request through the session of fsspec's HTTP filesystem, and what its status, headers and failures mean."""

from __future__ import annotations

import asyncio
import base64
import email.utils
import json
import os
import re
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import aiohttp

from intake_tcga.errors import (
    AccessDeniedError,
    IntakeTcgaError,
    OptionError,
    RemoteNotFoundError,
    TransferError,
)
from intake_tcga.remote import redact
from intake_tcga.transfer.budget import Budget
from intake_tcga.transfer.options import OF_ONE_HOST, wrong_options
from intake_tcga.transfer.reply import TransientError

READ_SIZE = 2**20  # bytes that may wait in a connection's buffer before the sender is held back
_WORTH_RETRYING = {408, 425, 429}
_WITH_REASON = {400, 401, 403}
_LARGEST_REASON = 64 * 1024  # bytes of an answer that says why
_LONGEST_REASON = 200  # characters of it that are shown
_SECRET = {*OF_ONE_HOST, "authorization", "cookie", "proxy-authorization"}


def must_be_outside(loop: asyncio.AbstractEventLoop, shown_url: str) -> None:
    """Raise where waiting would wait for itself: in fsspec's own thread."""
    with suppress(RuntimeError):
        if asyncio.get_running_loop() is loop:
            raise TransferError(
                f"{shown_url} is asked for in fsspec's own thread, which would wait for itself."
            )


async def get(fs: Any, url: str, headers: Mapping[str, str], budget: Budget) -> aiohttp.ClientResponse:
    """Ask for a URL with all options of a filesystem; ``headers`` win over its own."""
    return await _ask("GET", fs, url, headers, budget)


async def post(
    fs: Any, url: str, headers: Mapping[str, str], budget: Budget, body: bytes
) -> aiohttp.ClientResponse:
    """Send a question to a URL, to no other place; otherwise as :func:`get`."""
    return await _ask("POST", fs, url, headers, budget, data=body)


async def _ask(
    method: str, fs: Any, url: str, headers: Mapping[str, str], budget: Budget, **more: Any
) -> aiohttp.ClientResponse:
    session = await fs.set_session()
    options = {key: value for key, value in fs.kwargs.items() if key not in {"allow_redirects", "timeout"}}
    headers = {**options.pop("headers", {}), **headers}
    # aiohttp follows redirects to http and https alone, and takes the credentials that it knows to no other origin;
    # those that it does not know it would take anywhere, and a POST it would make a GET.
    stays = method == "POST" or any(name.lower() in OF_ONE_HOST for name in headers)
    response: aiohttp.ClientResponse = await session.request(
        method,
        fs.encode_url(url),
        headers=headers,
        allow_redirects=not stays,
        max_redirects=budget.max_redirects,
        read_bufsize=READ_SIZE,
        timeout=aiohttp.ClientTimeout(
            total=None, connect=budget.connect_timeout, sock_read=budget.stall_timeout
        ),
        **options,
        **more,
    )
    return response


def read_more_at_once(response: aiohttp.ClientResponse) -> None:
    """Let each read of a long body take more: a fast connection is held up by the number of reads."""
    # asyncio's own transports read 256 KiB at most; an attribute of theirs, and harmless on others.
    if response.connection is not None and response.connection.transport is not None:
        with suppress(AttributeError):
            response.connection.transport.max_size = READ_SIZE  # type: ignore[attr-defined]


async def paced(content: Any, budget: Budget) -> AsyncIterator[bytes]:
    """Iterate over a body's chunks, and give up when it trickles."""
    clock = asyncio.get_running_loop().time
    in_window, began = 0, clock()
    while chunk := await content.readany():
        came = clock()
        in_window += len(chunk)
        if came - began >= budget.min_rate_window:
            if in_window < budget.min_rate * (came - began):
                raise TransientError(
                    f"the server sends less than {budget.min_rate:g} bytes a second "
                    f"({in_window:,} bytes in {came - began:.0f} s)"
                )
            in_window, began = 0, came
        yield chunk
        began += clock() - came  # time spent waiting for the disk is not the server's


@dataclass(frozen=True, slots=True)
class Head:
    """Status and headers of a response."""

    status: int
    headers: Mapping[str, str]
    downgraded: bool
    reason: str = ""
    """Of a refusal, why, in the server's words."""

    @classmethod
    async def of(cls, response: aiohttp.ClientResponse, budget: Budget) -> Head:
        """Take note of a response's head, and of the message that a refusal has as its body."""
        hops = [earlier.url.scheme for earlier in response.history]
        downgraded = "https" in hops and response.url.scheme != "https"
        reason = await _reason(response, budget) if response.status in _WITH_REASON else ""
        return cls(response.status, response.headers, downgraded, reason)

    def check(self, shown_url: str) -> None:
        """Raise unless a body follows: what kind of error tells whether another attempt may help."""
        if self.downgraded:
            raise TransferError(
                f"{shown_url} redirects from https to http; that is refused. Use another URL."
            )
        status = self.status
        if status in {200, 206}:
            return
        if status in {404, 410}:
            raise RemoteNotFoundError(f"{shown_url} does not exist (HTTP {status}); check its name.")
        if status in _WORTH_RETRYING or status >= 500:
            retry_after = _seconds(self.headers.get("Retry-After"))
            raise TransientError(f"the server answers HTTP {status}", retry_after)
        if status in {401, 403}:
            raise self._refused(
                AccessDeniedError(
                    f"{shown_url} may not be read: the server refused the credentials, or wants some "
                    f"(HTTP {status}); check storage_options."
                )
            )
        if status == 407:
            raise TransferError(
                f"{shown_url} may not be read: the proxy wants credentials (HTTP 407); check the proxy's settings."
            )
        if 300 <= status < 400:
            raise TransferError(
                f"{shown_url} redirects elsewhere (HTTP {status}), where its token or question is not taken; "
                "give the address that it leads to, if you trust it."
            )
        refusal = TransferError(
            f"{shown_url} cannot be read: the server answers HTTP {status}. Check the URL."
        )
        raise self._refused(refusal) if status in _WITH_REASON else refusal

    def _refused(self, error: TransferError) -> TransferError:
        error.answer = f"HTTP {self.status}" + (f": {self.reason}" if self.reason else "")
        return error

    @property
    def strong_etag(self) -> str | None:
        """The entity tag, unless it is a weak one, which promises no equal bytes."""
        etag = self.headers.get("ETag")
        return etag if etag and not etag.startswith("W/") else None

    @property
    def md5(self) -> str | None:
        """The MD5 that a server says, in hexadecimal: in base64, as HTTP has it, or in hexadecimal, as the GDC."""
        said = self.headers.get("Content-MD5", "").strip()
        if re.fullmatch(r"[0-9a-fA-F]{32}", said):
            return said.lower()
        return base64.b64decode(said).hex() if re.fullmatch(r"[0-9A-Za-z+/]{22}==", said) else None

    @property
    def length(self) -> int | None:
        """Bytes of the body, where they are the file's own and not decoded on the way in."""
        return None if self.encoded else _number(self.headers.get("Content-Length"))

    @property
    def encoded(self) -> bool:
        """Whether the body is packed in a way that the client undoes."""
        return "Content-Encoding" in self.headers

    @property
    def content_range(self) -> tuple[int, int, int | None] | None:
        """First byte, last byte and total of a ranged answer, or None where it does not say."""
        found = re.fullmatch(
            r"bytes (\d{1,18})-(\d{1,18})/(\d+|\*)", self.headers.get("Content-Range", "").strip()
        )
        return (int(found[1]), int(found[2]), _number(found[3])) if found else None

    @property
    def total_beyond(self) -> int | None:
        """The file's size, as an answer says it that has no such range (416)."""
        found = re.fullmatch(r"bytes \*/(\d+)", self.headers.get("Content-Range", "").strip())
        return _number(found[1]) if found else None


async def _reason(response: aiohttp.ClientResponse, budget: Budget) -> str:
    """Read why a server refuses, where it says so as ``{"message": …}``; shortened, without what was sent in secret."""
    body = bytearray()
    try:
        async with asyncio.timeout(budget.stall_timeout):
            while (chunk := await response.content.readany()) and len(body) <= _LARGEST_REASON:
                body += chunk
        message = json.loads(body)["message"]
    except (TimeoutError, OSError, aiohttp.ClientError, ValueError, LookupError, TypeError, RecursionError):
        return ""
    if not isinstance(message, str):
        return ""
    for name, value in response.request_info.headers.items():
        if name.lower() in _SECRET and value:
            message = message.replace(value, "…")
    message = re.sub(r"\w+://\S+", lambda found: redact(found.group()), message)
    shown = " ".join("".join(sign if sign.isprintable() else " " for sign in message).split()).rstrip(".")
    return shown if len(shown) <= _LONGEST_REASON else shown[:_LONGEST_REASON] + "…"


def failure(error: Exception, shown_url: str, budget: Budget, given: Sequence[str] = ()) -> Exception:
    """Say what went wrong in our words: aiohttp's may hold the URL with its credentials."""
    ours = isinstance(error, (TypeError, AttributeError)) or (
        isinstance(error, ValueError)
        and not isinstance(error, aiohttp.InvalidURL)
        and not _is_redirect(error)
    )
    if ours and given:  # what aiohttp is called with is ours but for the options
        return wrong_options(shown_url, given, error)
    if isinstance(error, (TransientError, IntakeTcgaError)):
        return error
    if isinstance(error, aiohttp.TooManyRedirects):
        return TransferError(
            f"{shown_url} redirects more than {budget.max_redirects} times; use another URL."
        )
    if isinstance(error, aiohttp.InvalidURL) and not isinstance(error, _redirect_errors()):
        return OptionError(f"{shown_url} is not a URL that can be asked for; check it.")
    if isinstance(error, (*_redirect_errors(), ValueError)):
        return TransferError(
            f"{shown_url} redirects to something that is not http or https; that is refused."
        )
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return TransferError(
            f"The certificate of {shown_url} is not trusted; check the URL and this machine's clock."
        )
    if isinstance(error, asyncio.TimeoutError):
        return TransientError(f"nothing came for {budget.stall_timeout:g} s")
    if isinstance(error, aiohttp.ClientConnectorError):
        code = error.os_error.errno  # negative for a name that no server knows
        reason = os.strerror(code) if code and code > 0 else "no such host"
        return TransientError(f"{error.host} cannot be reached ({reason})")
    if isinstance(error, (aiohttp.ClientPayloadError, aiohttp.ServerDisconnectedError, ConnectionError)):
        return TransientError("the connection was cut")
    return TransientError(f"the connection failed ({type(error).__name__})")


def _is_redirect(error: Exception) -> bool:
    # Before aiohttp 3.10 a plain ValueError, which its words alone tell from others.
    return isinstance(error, _redirect_errors()) or "redirect" in str(error)


def _redirect_errors() -> tuple[type[Exception], ...]:
    found = getattr(aiohttp, "RedirectClientError", None)  # since aiohttp 3.10; a ValueError before
    return (found,) if found else ()


def _number(text: str | None) -> int | None:
    return int(text) if text and re.fullmatch(r"\d{1,18}", text) else None


def _seconds(retry_after: str | None) -> float | None:
    """Read a Retry-After header: seconds, or a date."""
    if retry_after is None:
        return None
    if (seconds := _number(retry_after.strip())) is not None:
        return float(seconds)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(retry_after).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None
