"""Where the GDC is: its own address, or that of a mirror."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

from intake_tcga.errors import OptionError
from intake_tcga.remote import redact

GDC = "https://api.gdc.cancer.gov"
"""The Genomic Data Commons of the National Cancer Institute."""


def gdc_endpoint(endpoint: str | None = None) -> str:
    """Return the address of the GDC's API: as given, as ``INTAKE_TCGA_GDC_URL`` says, or the GDC's own.

    Parameters
    ----------
    endpoint : str, optional
        Address of a mirror that speaks the same API; credentials belong in a token.

    Raises
    ------
    OptionError
        It is not an http address, or it has a user, a query or a fragment.

    Examples
    --------
    >>> gdc_endpoint("http://127.0.0.1:8080/v0/")
    'http://127.0.0.1:8080/v0'
    """
    given = endpoint or os.environ.get("INTAKE_TCGA_GDC_URL") or GDC
    try:
        parts = urlsplit(given)
        plain = not (parts.query or parts.fragment or parts.username or parts.password)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and plain and parts.port != 0
    except ValueError:  # a port that is no number, an unclosed IPv6 bracket
        usable = False
    if not usable:
        raise OptionError(
            f"{redact(given)!r} cannot be the GDC's address: give a plain one such as {GDC}, "
            "without user, query or fragment."
        )
    return given.rstrip("/")
