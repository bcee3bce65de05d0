"""Slides as rows: a table of them, and the search through it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, get_args

from intake_tcga.errors import OptionError
from intake_tcga.facets import check_facets, matcher
from intake_tcga.slides.slide import Kind, Slide
from intake_tcga.tables import html_table, human_size, text_table

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    "barcode",
    "project",
    "kind",
    "sample_type",
    "primary_site",
    "disease_type",
    "case",
    "size",
    "file_name",
    "file_id",
    "md5",
    "access",
    "state",
    "data_release",
)
_SHOWN = ("slide", "project", "kind", "sample", "site", "size")
_RIGHT = {"size"}
_MOST_LINES = 20


def describe(slide: Slide) -> dict[str, Any]:
    """Return all that is known of a slide, in plain values that YAML and JSON take."""
    return {name: getattr(slide, name) for name in COLUMNS}


def one_line(slide: Slide) -> str:
    """Return what a slide is, in a line for catalogs."""
    known = ", ".join(filter(None, (slide.project, slide.kind, slide.sample_type)))
    return f"Whole-slide image: {known}" if known else "Whole-slide image"


def slide_table(slides: Iterable[Slide]) -> pd.DataFrame:
    """Return one row a slide: texts (None where nothing is known), and ``size`` in bytes as int64."""
    import pandas as pd

    slides = tuple(slides)
    columns = {name: [getattr(slide, name) for slide in slides] for name in COLUMNS}
    return pd.DataFrame(columns).astype({"size": "int64"})


def search_slides(
    slides: Iterable[Slide], text: str | re.Pattern[str] | None = None, **facets: Any
) -> tuple[Slide, ...]:
    """Return the slides that have a text in any field, and match every facet.

    Parameters
    ----------
    slides
        Where to look; their order is kept.
    text
        Part of any field but size and digest, whatever its case, or a compiled regular expression.
    **facets
        A field (``project``, ``kind``, ``sample_type``, ``primary_site``, ``disease_type``, ``case``, ``barcode``,
        ``size``, …) with what it must be: a value (texts in any case), a list of values (any of them), a compiled
        regular expression (found anywhere in it), a comparison (``"< 1e9"``, ``("<", 1e9)``), a range (``(1e8, 1e9)``,
        ``"1e8..1e9"``), or a function of the field's value. None is matched by slides of which the field is not known.

    Raises
    ------
    OptionError
        A facet that no slide has, a kind that does not exist, a text that is neither text nor pattern, a function that
        failed, numbers compared with a field of texts.
    """
    check_facets(facets, COLUMNS)
    _check_kind(facets.get("kind"))
    matches = matcher(text, facets)
    # Where no text is searched for, a slide's other fields need not be looked at.
    names = COLUMNS if text is not None else tuple(facets)
    return tuple(slide for slide in slides if matches({name: getattr(slide, name) for name in names}))


def _check_kind(wanted: object) -> None:
    kinds = get_args(Kind)
    for one in wanted if isinstance(wanted, list | tuple | set) else [wanted]:
        if isinstance(one, str) and one not in {"==", "!="} and one.strip("=! ").casefold() not in kinds:
            raise OptionError(f"There is no kind of slide {one!r}; use {' or '.join(map(repr, kinds))}.")


def html(slides: Sequence[Slide]) -> str:
    """Return the first slides as a table for a notebook, all text escaped."""
    if not slides:
        return "<p>No slides.</p>"
    table = html_table(
        _SHOWN, _lines(slides), right=_RIGHT, hints=[slide.file_name for slide in slides[:_MOST_LINES]]
    )
    return table + (f"<p>{rest}</p>" if (rest := _rest(slides)) else "")


def text(slides: Sequence[Slide], *, width: int | None = None) -> str:
    """Return the first slides as a table for a terminal of ``width`` characters."""
    if not slides:
        return "no slides"
    table = text_table(_SHOWN, _lines(slides), right=_RIGHT, width=width)
    return "\n".join([table, rest] if (rest := _rest(slides)) else [table])


def total_size(slides: Iterable[Slide]) -> str:
    """Return the bytes of all slides together, as people read them."""
    return human_size(sum(slide.size for slide in slides))


def _lines(slides: Sequence[Slide]) -> list[list[str]]:
    return [
        [
            slide.barcode,
            slide.project or "",
            slide.kind or "",
            slide.sample_type or "",
            slide.primary_site or "",
            human_size(slide.size),
        ]
        for slide in slides[:_MOST_LINES]
    ]


def _rest(slides: Sequence[Slide]) -> str:
    more = len(slides) - _MOST_LINES
    return f"… and {more:,} more" if more > 0 else ""
