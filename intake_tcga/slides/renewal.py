"""Slides that a manifest names, as a later data release lists them: their ids change, their file names do not."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from intake_tcga.slides.slide import Slide

if TYPE_CHECKING:
    from intake_tcga.slides.listing import Listing

_MOST_SHOWN = 5


def renewed(lines: Sequence[Slide], listing: Listing) -> tuple[Slide, ...]:
    """Return a manifest's slides as a release lists them, in the manifest's order.

    Parameters
    ----------
    lines
        What the manifest names.
    listing
        What the GDC lists now.

    Returns
    -------
    tuple of Slide
        Of a line whose id is listed: what the release says of it, with the manifest's own size and digest, so that
        other bytes are noticed. Of a line whose id is gone: the slide of the same file name, with a warning. Of any
        other: the line itself, with a warning; it may be no slide of TCGA.
    """
    by_id = {slide.file_id: slide for slide in listing.slides}
    by_name = {slide.file_name: slide for slide in listing.slides}
    slides: list[Slide] = []
    moved: list[str] = []
    changed: list[str] = []
    unknown: list[str] = []
    for line in lines:
        if listed := by_id.get(line.file_id):
            slides.append(replace(listed, file_name=line.file_name, size=line.size, md5=line.md5))
        elif listed := by_name.get(line.file_name):
            slides.append(listed)
            (moved if listed.md5 == line.md5 else changed).append(line.file_name)
        else:
            slides.append(line)
            unknown.append(line.file_name)
    _tell(moved, f"have other ids in {listing.release}, which are used: the files are the same")
    _tell(changed, f"have other ids and other bytes in {listing.release}, which are used")
    _tell(
        unknown, f"are not among TCGA's slides in {listing.release}, and are taken as the manifest has them"
    )
    return tuple(slides)


def _tell(names: Sequence[str], what: str) -> None:
    if names:
        more = ", …" if len(names) > _MOST_SHOWN else ""
        listed = ", ".join(names[:_MOST_SHOWN])
        warnings.warn(f"{len(names):,} of the manifest's files {what}: {listed}{more}.", stacklevel=4)
