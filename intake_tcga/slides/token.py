"""The token for controlled files: where it comes from, and to whom alone it is told."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

from intake_tcga.errors import AccessDeniedError, MissingFileError, OptionError
from intake_tcga.remote import redact

HEADER = "X-Auth-Token"
_LARGEST = 64 * 1024  # bytes of a file that may be a token: the GDC's have less than one thousand
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class Token:
    """Where a GDC token comes from. Its text is read when a request needs it, and shown nowhere.

    Neither a repr, a pickle, a copy, an error nor a log holds the text: only the place it comes from travels.

    Parameters
    ----------
    text : str, optional
        The token itself; it stays in this process.
    file : path, optional
        File that holds it, as the GDC's portal gives it.

    Notes
    -----
    With neither, ``GDC_TOKEN`` (the token) counts, then ``GDC_TOKEN_FILE`` (the path of its file); looked up anew each
    time, so that what is unpickled elsewhere finds what is set there.

    Raises
    ------
    OptionError
        Both are given.

    Examples
    --------
    >>> Token("s3cr3t")
    <Token given as text, never shown>
    >>> Token("s3cr3t").headers("https://api.gdc.cancer.gov/data/1", endpoint="https://api.gdc.cancer.gov").keys()
    KeysView(<header X-Auth-Token of <Token given as text, never shown>>)
    >>> dict(Token("s3cr3t").headers("https://elsewhere.org/1", endpoint="https://api.gdc.cancer.gov"))
    {}
    """

    __slots__ = ("_file", "_lost", "_text")

    def __init__(self, text: str | None = None, *, file: str | os.PathLike[str] | None = None) -> None:
        if text is not None and file is not None:
            raise OptionError("Both a token and a token file are given; give one of them.")
        self._text = text
        self._file = None if file is None else os.fspath(file)
        self._lost = False

    @classmethod
    def of(cls, token: Token | str | None, file: str | os.PathLike[str] | None = None) -> Token:
        """Make a token of what a function was given: a token, its text, its file, or nothing."""
        if isinstance(token, Token):
            return token if file is None else cls("", file=file)  # which refuses both
        return cls(token, file=file)

    @property
    def is_there(self) -> bool:
        """Whether anything says that there is a token; its text is not looked at."""
        return self._place is not None

    @property
    def file(self) -> str | None:
        """The file that was named for it, which may be shown; None where none was."""
        return self._file

    def headers(self, url: str, *, endpoint: str) -> Mapping[str, str]:
        """Return the headers that a request for a URL carries: the token, for the endpoint's own host alone.

        Parameters
        ----------
        url : str
            What will be asked for.
        endpoint : str
            The GDC's address; its scheme, host and port must be the URL's.

        Returns
        -------
        mapping
            Empty without a token, or for another host. The text is read when an item is; a pickle has its place.
        """
        if not self.is_there or _origin(url) != _origin(endpoint):
            return {}
        return _TokenHeaders(self, url)

    def text(self) -> str:
        """Return the token itself, for a request's header.

        Raises
        ------
        AccessDeniedError
            There is none, or it was given as text in another process.
        MissingFileError
            Its file is not there.
        OptionError
            What is there is not a token.
        """
        place = self._place
        if place is None:
            raise AccessDeniedError(
                "There is no token for the GDC; put yours in GDC_TOKEN, or name its file in GDC_TOKEN_FILE."
            )
        text = self._read().strip()
        if not re.fullmatch(r"[!-~]+", text):  # also: nothing that could end a header and begin another
            raise OptionError(f"What is {place} is not a token: it is empty, or has spaces or lines in it.")
        return text

    def _read(self) -> str:
        if self._lost:
            raise AccessDeniedError(
                "The token was given as text in another process, and is not sent from one to another; "
                "set GDC_TOKEN or GDC_TOKEN_FILE where the work is done."
            )
        if self._text is not None:
            return self._text
        if self._file is None and (text := os.environ.get("GDC_TOKEN")):
            return text
        path = Path(self._file or os.environ.get("GDC_TOKEN_FILE") or "").expanduser()
        try:
            with path.open("rb") as file:
                return file.read(_LARGEST).decode("ascii", "replace")
        except OSError as error:
            raise MissingFileError(
                f"The token file {path} cannot be read ({error.strerror or type(error).__name__}); check its path."
            ) from None

    @property
    def _place(self) -> str | None:
        """Where the token comes from, in words that may be shown."""
        if self._lost:
            return "given as text in another process"
        if self._text is not None:
            return "given as text"
        if self._file is not None:
            return f"in the file {self._file}"
        if os.environ.get("GDC_TOKEN"):
            return "in GDC_TOKEN"
        if file := os.environ.get("GDC_TOKEN_FILE"):
            return f"in the file {file} (GDC_TOKEN_FILE)"
        return None

    def __repr__(self) -> str:
        return f"<Token {self._place or 'not set'}, never shown>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Token):
            return NotImplemented
        return (self._text, self._file, self._lost) == (other._text, other._file, other._lost)

    def __hash__(self) -> int:
        return hash((self._file, self._text is None, self._lost))

    def __getstate__(self) -> dict[str, Any]:
        return {"file": self._file, "lost": self._lost or self._text is not None}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self._text, self._file, self._lost = None, state["file"], state["lost"]

    def __copy__(self) -> Token:
        return self  # a copy by way of the state would lose the text

    def __deepcopy__(self, memo: object) -> Token:
        return self


class _TokenHeaders(Mapping[str, str]):
    """The one header that carries the token; read when asked for, so that nothing else holds the text."""

    __slots__ = ("_token", "_url")

    def __init__(self, token: Token, url: str) -> None:
        self._token = token
        self._url = url

    def __getitem__(self, name: str) -> str:
        if name != HEADER:
            raise KeyError(name)
        parts = urlsplit(self._url)
        if parts.scheme != "https" and parts.hostname not in _LOOPBACK:
            raise AccessDeniedError(
                f"The token is not sent to {parts.hostname} over {parts.scheme}, which others can read; use https."
            )
        return self._token.text()

    def __iter__(self) -> Iterator[str]:
        yield HEADER

    def __len__(self) -> int:
        return 1

    def __repr__(self) -> str:
        return f"<header {HEADER} of {self._token!r}>"


def _origin(url: str) -> tuple[str, str | None, int | None]:
    try:
        parts = urlsplit(url)
        return parts.scheme, parts.hostname, parts.port or {"https": 443, "http": 80}.get(parts.scheme)
    except ValueError:
        _no_address(url)


def _no_address(url: str) -> NoReturn:
    raise OptionError(
        f"{redact(url)!r} is not the address of a server; give one such as https://api.gdc.cancer.gov."
    )
