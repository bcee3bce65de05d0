"""What the header of a slide says of it in words: Aperio's ``key = value`` texts, and µm/px wherever it is told."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from intake_tcga.errors import FileFormatError, OptionError
from intake_tcga.slides.scale import Pair, is_number

MppFrom = Literal["magnification", "pixels"]

_MPP_AT_ONE = 10.0
"""µm/px times magnification: 0.25 at 40×, 0.5 at 20×, as scanners commonly are."""

_PLAUSIBLE = (
    0.005,
    200.0,
)  # µm/px of a slide's finest level; 72 dpi, which programs write by default, are 353
_CENTIMETRE, _INCH = 3, 2


@dataclass(frozen=True, slots=True)
class Resolution:
    """µm/px of the finest level, and where that comes from."""

    mpp: Pair | None
    """Along x and y; None where lengths are counted in pixels instead."""

    source: str
    """``header``, ``resolution tags``, ``given``, ``magnification``, ``pixels``."""


@dataclass(frozen=True, slots=True)
class Header:
    """What the finest level's header says of the slide."""

    description: str
    """Its ``ImageDescription``, whole."""

    vendor: str
    """``aperio``, or ``tiff`` for any other."""

    mpp: Pair | None
    """µm/px of the finest level, along x and y; None where it does not tell."""

    mpp_source: str
    """Where that is told: ``header`` or ``resolution tags``."""

    magnification: float | None
    """The objective's."""

    @classmethod
    def of(cls, description: str, tagged: Pair | None) -> Header:
        """Read a description; the resolution tags count where it is none of Aperio's."""
        if not description.startswith("Aperio"):
            return cls(description, "tiff", tagged, "resolution tags", None)
        properties = aperio_properties(description)
        mpp = stated_mpp(properties)
        return cls(
            description, "aperio", None if mpp is None else (mpp, mpp), "header", magnification(properties)
        )


def aperio_properties(description: str) -> dict[str, str]:
    r"""Take Aperio's description apart; of keys that come twice, the last counts.

    Examples
    --------
    >>> aperio_properties("Aperio Image Library v11\r\n46000x32914 Q=30|AppMag = 20|MPP = 0.4990")
    {'AppMag': '20', 'MPP': '0.4990'}
    """
    fields = (field.partition("=") for field in description.split("|")[1:])
    return {key.strip(): value.strip() for key, found, value in fields if found}


def associated_name(description: str, *, is_second: bool) -> str | None:
    r"""Return the name of an image beside the pyramid: the second page is the thumbnail, others say what they are.

    Examples
    --------
    >>> associated_name("Aperio Image Library v11.2.1 \nlabel 387x463", is_second=False)
    'label'
    """
    if is_second:
        return "thumbnail"
    found = re.match(r"Aperio[^\n]*\n\s*([A-Za-z]\w*)", description)
    return found[1].lower() if found else None


def stated_mpp(properties: Mapping[str, str]) -> float | None:
    """Return the µm/px that Aperio's header states, or None."""
    return _plausible(_number(properties.get("MPP")))


def magnification(properties: Mapping[str, str]) -> float | None:
    """Return the objective's magnification that Aperio's header states, or None."""
    found = _number(properties.get("AppMag"))
    return found if found is not None and 1 <= found <= 200 else None


def mpp_of_tags(x: float | None, y: float | None, unit: int) -> Pair | None:
    """Return the µm/px that TIFF's resolution tags tell, or None: also where they tell what no slide has."""
    length = {_CENTIMETRE: 10_000.0, _INCH: 25_400.0}.get(unit)
    if length is None or not x or not y:
        return None
    mpp = _plausible(length / x), _plausible(length / y)
    return None if mpp[0] is None or mpp[1] is None else (mpp[0], mpp[1])


def checked_base(mpp_base: float | None, mpp_from: MppFrom | None) -> float | None:
    """Return the finest level's µm/px that a user gave, if any, as a float.

    Raises
    ------
    OptionError
        It is no resolution, or ``mpp_from`` no way to another one.
    """
    if mpp_from not in (None, "magnification", "pixels"):
        raise OptionError(f"mpp_from={mpp_from!r} is not an option; use 'magnification', 'pixels' or None.")
    base = _plausible(mpp_base)
    if base is None and mpp_base is not None:
        raise OptionError(
            f"mpp_base={mpp_base!r} is no resolution of a slide; give its finest level's µm/px, such as 0.25."
        )
    return base


def resolution(
    name: str,
    header: Header | None,
    *,
    mpp_base: float | None = None,
    mpp_from: MppFrom | None = None,
) -> Resolution:
    """Decide the µm/px of the finest level: the user's word, else the header's, else what is allowed as a way out.

    Raises
    ------
    FileFormatError
        The header does not tell, and no way out is allowed; the message names them.
    OptionError
        ``mpp_base`` is no resolution, or ``mpp_from`` no way.

    Examples
    --------
    >>> resolution("a.svs", Header.of("Aperio|AppMag = 40", None), mpp_from="magnification")
    Resolution(mpp=(0.25, 0.25), source='magnification')
    """
    base = checked_base(mpp_base, mpp_from)
    if base is not None:
        return Resolution((base, base), "given")
    if header is not None and header.mpp is not None:
        return Resolution(header.mpp, header.mpp_source)
    if mpp_from == "pixels":
        return Resolution(None, "pixels")
    magnified = None if header is None else header.magnification
    if mpp_from == "magnification":
        if magnified is None:
            raise FileFormatError(
                f"{name} tells neither its µm/px nor its magnification; give its finest level's µm/px as mpp_base=."
            )
        return Resolution((_MPP_AT_ONE / magnified,) * 2, "magnification")
    estimate = (
        "take the estimate of its magnification with mpp_from='magnification' "
        f"({_MPP_AT_ONE / magnified:g} at {magnified:g}×), or " if magnified else ""
    )  # fmt: skip
    raise FileFormatError(
        f"{name} does not tell its µm/px: give its finest level's as mpp_base=, {estimate}open its levels in pixels "
        "with mpp_from='pixels'."
    )


def _number(text: str | None) -> float | None:
    try:
        return float((text or "").replace(",", "."))
    except ValueError:
        return None


def _plausible(mpp: float | None) -> float | None:
    if mpp is None or not is_number(mpp) or not math.isfinite(mpp):
        return None
    return float(mpp) if _PLAUSIBLE[0] <= mpp <= _PLAUSIBLE[1] else None
