"""Which slide a name means: a barcode, a file name or a file id."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from intake_tcga.errors import AmbiguousNameError, IntakeTcgaError, NameNotFoundError, OfflineError
from intake_tcga.slides.listing import load_listing
from intake_tcga.slides.query import Filters, either, is_in
from intake_tcga.slides.slide import Slide

if TYPE_CHECKING:
    from intake_tcga.cache.store import VerifiedFileCache

Index = Mapping[str, tuple[Slide, ...]]
"""The slides that each name may mean, by its lower-case text."""

MOST_ASKED_BY_NAME = 1000
"""Of more slides than these, the whole listing costs less than asking for each."""

_MOST_SHOWN = 10
_CASE = re.compile(r"TCGA-\w{2}-\w{4}", re.IGNORECASE)


def index(slides: Iterable[Slide]) -> Index:
    """Return the slides that each barcode, file name and file id means."""
    found: dict[str, tuple[Slide, ...]] = {}
    for slide in slides:
        for name in {slide.barcode.lower(), slide.file_name.lower(), slide.file_id}:
            found[name] = (*found.get(name, ()), slide)
    return found


def listed(slides: Sequence[Slide]) -> list[str]:
    """Name each slide by its barcode, by its file name where several have one barcode."""
    times = Counter(slide.barcode for slide in slides)
    return [slide.barcode if times[slide.barcode] == 1 else slide.file_name for slide in slides]


def find(name: str, names: Index, place: str) -> Slide:
    """Return the slide that a name means, whatever its case.

    Parameters
    ----------
    name
        Barcode, file name or file id.
    names
        Of :func:`index`.
    place
        What is searched, for the error.

    Raises
    ------
    NameNotFoundError
        There is none; the message names the nearest.
    AmbiguousNameError
        A barcode that several files have; the message lists them.
    """
    text = str(name).strip()
    slides = names.get(text.lower(), ())
    if len(slides) == 1:
        return slides[0]
    if slides:
        listed = ", ".join(slide.file_name for slide in slides[:_MOST_SHOWN])
        raise AmbiguousNameError(f"{len(slides)} slides are called {text!r}; give a file name: {listed}.")
    raise NameNotFoundError(f"There is no slide {text[:100]!r} in {place}.{_nearest(text, names)}")


def find_slide(name: str, endpoint: str, cache: VerifiedFileCache) -> Slide:
    """Return the slide of TCGA that a name means, asking the GDC for no more than it needs to tell.

    Parameters
    ----------
    name
        Barcode, file name or file id.
    endpoint
        The GDC's address.
    cache
        Whose kept listing is used where there is one of the present release.

    Raises
    ------
    NameNotFoundError, AmbiguousNameError
        As for :func:`find`.
    ManifestError, IntegrityError, OfflineError, TransferError
        As for :func:`~intake_tcga.slides.listing.load_listing`.
    """
    (slide,) = find_slides([name], endpoint, cache)
    return slide


def find_slides(wanted: Sequence[str], endpoint: str, cache: VerifiedFileCache) -> tuple[Slide, ...]:
    """Return the slides of TCGA that some names mean, in their order; as :func:`find_slide` for each."""
    found = []
    for slide in find_each(wanted, endpoint, cache):
        if isinstance(slide, IntakeTcgaError):
            raise slide
        found.append(slide)
    return tuple(found)


def find_each(
    wanted: Sequence[str], endpoint: str, cache: VerifiedFileCache
) -> list[Slide | IntakeTcgaError]:
    """Return the slide of TCGA that each name means, or why it means none; the GDC is asked once for all of them."""
    if not wanted:
        return []
    try:
        listing = load_listing(endpoint, cache, only=_asked_for(wanted))
    except OfflineError as error:
        copies = index(_downloaded(endpoint, cache))
        return [
            _found(name, copies, "the cache") if name.strip().lower() in copies else error for name in wanted
        ]
    except IntakeTcgaError as error:
        return [error] * len(wanted)
    known, place = index(listing.slides), f"TCGA's slides at the GDC ({listing.release})"
    return [_found(name, known, place) for name in wanted]


def _found(name: str, names: Index, place: str) -> Slide | IntakeTcgaError:
    try:
        return find(name, names, place)
    except NameNotFoundError as error:
        return error


def _downloaded(endpoint: str, cache: VerifiedFileCache) -> Iterator[Slide]:
    """Yield the slides whose whole files are in the cache, with what their files alone tell."""
    place = f"{endpoint.rstrip('/')}/data/"
    for copy in cache.info():
        if copy.url.startswith(place) and copy.verified_at is not None and copy.digest.algorithm == "md5":
            yield Slide(copy.url.removeprefix(place), copy.name, copy.size, copy.digest.hex)


def _asked_for(wanted: Sequence[str]) -> Filters | None:
    """Return the filter for the slides that some names may mean; None where the whole listing costs less."""
    if len(wanted) > MOST_ASKED_BY_NAME:
        return None
    plain = [name.strip() for name in wanted]
    cases = {case[0].upper() for name in plain if (case := _CASE.match(name))}
    others = [name for name in plain if not _CASE.match(name)]
    parts = [is_in("cases.submitter_id", *sorted(cases))] if cases else []
    if others:
        parts += [is_in("file_id", *map(str.lower, others)), is_in("file_name", *others)]
    return either(*parts)


def _nearest(text: str, names: Index) -> str:
    """Name what is near: slides of the same patient, else what is spelled alike."""
    shown = {name: slides[0].barcode for name, slides in names.items() if name == slides[0].barcode.lower()}
    wanted = text.partition(".")[0].lower()
    near = [name for name in shown if name.startswith(wanted[:12])] if len(wanted) >= 12 else []
    near = near or difflib.get_close_matches(wanted, shown, n=3)
    return f" The nearest: {', '.join(shown[name] for name in near[:_MOST_SHOWN])}." if near else ""
