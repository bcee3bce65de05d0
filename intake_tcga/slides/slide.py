"""One slide as the GDC describes it: a frozen value, every name in it safe to be used as a file's."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote

from intake_tcga.digest import Digest
from intake_tcga.errors import AccessDeniedError, OptionError
from intake_tcga.remote import RemoteFile, name_problem

Kind = Literal["diagnostic", "tissue"]

KINDS: dict[str, Kind] = {"Diagnostic Slide": "diagnostic", "Tissue Slide": "tissue"}
"""What the GDC's ``experimental_strategy`` means: fixed in formalin for diagnosis, or frozen beside the sample."""

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_BARCODE = re.compile(r"(TCGA-\w{2}-\w{4})-(\d{2})[A-Z]-\w{2}-(DX|TS|BS|MS)[0-9A-Z]+")
# What nearly all slides have: told apart at once, since a listing has thirty thousand.
_USUAL_NAME = re.compile(r"TCGA-[A-Za-z0-9-]{1,60}\.[A-Za-z0-9-]{1,60}\.svs")
_MD5 = re.compile(r"[0-9a-f]{32}")
_SAMPLE_TYPES = {
    "01": "Primary Tumor",
    "02": "Recurrent Tumor",
    "05": "Additional - New Primary",
    "06": "Metastatic",
    "07": "Additional Metastatic",
    "11": "Solid Tissue Normal",
}


@dataclass(frozen=True, slots=True)
class Slide:
    """One slide's file at the GDC, and what is known of its patient and sample.

    Examples
    --------
    >>> slide = Slide(
    ...     file_id="3b6a3f5e-8a4c-4c53-9a52-0a2b3c4d5e6f",
    ...     file_name="TCGA-EY-A1H0-01Z-00-DX1.BDA2E1F5.svs",
    ...     size=74_480_157,
    ...     md5="d41d8cd98f00b204e9800998ecf8427e",
    ... )
    >>> slide.barcode, slide.case, slide.kind
    ('TCGA-EY-A1H0-01Z-00-DX1', 'TCGA-EY-A1H0', 'diagnostic')

    Raises
    ------
    OptionError
        The id, the name, the size or the digest is not one.
    """

    file_id: str
    """The GDC's id (a UUID); it changes when a data release renews the file."""

    file_name: str
    """Name of the file: barcode, a UUID of the scan, ``.svs``. It outlives the id."""

    size: int
    """Bytes."""

    md5: str
    """Digest of the file, 32 lower-case hexadecimal digits."""

    project: str | None = None
    """``TCGA-LUAD``, …; None where only a manifest names the file."""

    case: str | None = None
    """Barcode of the patient, ``TCGA-EY-A1H0``."""

    primary_site: str | None = None
    disease_type: str | None = None
    sample_type: str | None = None
    """``Primary Tumor``, ``Solid Tissue Normal``, …"""

    kind: Kind | None = None
    """``diagnostic`` (fixed in formalin) or ``tissue`` (frozen)."""

    data_release: str | None = None
    """The GDC's data release that lists the slide so; None where only a manifest names the file."""

    state: str | None = None
    """``released`` for what can be read."""

    access: str | None = None
    """``open``, or ``controlled``: readable with a token alone."""

    def __post_init__(self) -> None:
        if not _UUID.fullmatch(self.file_id):
            raise OptionError(f"{self.file_id!r} is not the id of a file at the GDC; give a UUID.")
        if not _USUAL_NAME.fullmatch(self.file_name) and (problem := name_problem(self.file_name)):
            raise OptionError(f"{self.file_name!r} {problem}; give a plain file name.")
        if self.size < 0:
            raise OptionError(f"A slide cannot have {self.size} bytes; give the size of its file.")
        if not _MD5.fullmatch(self.md5):
            Digest("md5", self.md5)  # which says what is wrong
        if None not in (self.case, self.sample_type, self.kind):
            return
        if found := _BARCODE.fullmatch(self.barcode):
            self._fill("case", found[1])
            self._fill("sample_type", _SAMPLE_TYPES.get(found[2]))
            self._fill("kind", "diagnostic" if found[3] == "DX" else "tissue")

    def _fill(self, name: str, value: str | None) -> None:
        """Set what the barcode tells, where nobody else did."""
        if getattr(self, name) is None:
            object.__setattr__(self, name, value)

    @property
    def barcode(self) -> str:
        """The slide's barcode, ``TCGA-EY-A1H0-01Z-00-DX1``: the file name up to the first full stop."""
        return self.file_name.partition(".")[0]

    def data_url(self, endpoint: str) -> str:
        """Return the URL of the slide's bytes at a GDC endpoint."""
        return f"{endpoint.rstrip('/')}/data/{quote(self.file_id)}"

    def remote_file(self, endpoint: str) -> RemoteFile:
        """Tell where the slide's file is, its size and digest, and its place in a cache.

        The place is by file name alone: a file whose id was renewed is not fetched again, and what was downloaded
        from a manifest is found by a search, and the other way round.
        """
        return RemoteFile(
            self.data_url(endpoint),
            self.file_name,
            collection=("gdc",),
            version="slides",
            size=self.size,
            digest=Digest("md5", self.md5),
        )

    def check_readable(self, *, with_token: bool) -> None:
        """Refuse a slide that the GDC would refuse, before it is asked.

        Raises
        ------
        AccessDeniedError
            The slide is controlled and there is no token, or a release lists it as not released.
        """
        if self.access == "controlled" and not with_token:
            raise AccessDeniedError(
                f"{self.file_name} is controlled: it can be read with a token alone; "
                "put yours in GDC_TOKEN, or name its file in GDC_TOKEN_FILE or token_file=."
            )
        # A manifest's own words for the state are not a release's: they were others in earlier years.
        if self.data_release is not None and self.state not in {None, "released"}:
            raise AccessDeniedError(
                f"{self.file_name} cannot be read: the GDC lists it as {self.state!r}, not as released; "
                "choose another slide, or wait for its release."
            )
