"""What the GDC's files API says of slides: pure questions and answers, and the pages between them."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from intake_tcga.errors import IntegrityError, ManifestError, OptionError
from intake_tcga.slides.slide import KINDS, Slide
from intake_tcga.transfer import post_json, read_small

if TYPE_CHECKING:
    from intake_tcga.transfer.budget import Budget

FIELDS = (
    "file_id",
    "file_name",
    "file_size",
    "md5sum",
    "state",
    "access",
    "experimental_strategy",
    "cases.submitter_id",
    "cases.primary_site",
    "cases.disease_type",
    "cases.project.project_id",
    "cases.samples.sample_type",
)
"""What is asked of each file; there is more, and none of it tells a resolution."""

PAGE = 2000
_AT_ONCE = 4  # pages asked for at a time: the GDC states no limit, and asks to be treated gently
_MOST_SLIDES = 1_000_000
_LARGEST_PAGE = 64 * 2**20  # bytes; a page of real slides has one to two million
_LARGEST_STATUS = 2**16
_LONGEST_TEXT = 300
_MOST_PROBLEMS_SHOWN = 10

Filters = dict[str, Any]


def is_in(field: str, *values: str) -> Filters:
    """Return the filter for files whose field has one of some values.

    Examples
    --------
    >>> is_in("access", "open")
    {'op': 'in', 'content': {'field': 'access', 'value': ['open']}}
    """
    return {"op": "in", "content": {"field": field, "value": list(values)}}


def every(*filters: Filters) -> Filters:
    """Return the filter for files that pass all of some filters."""
    return {"op": "and", "content": list(filters)}


def either(*filters: Filters) -> Filters:
    """Return the filter for files that pass one of some filters."""
    return {"op": "or", "content": list(filters)}


TCGA_SLIDES = every(
    is_in("cases.project.program.name", "TCGA"),
    is_in("data_type", "Slide Image"),
    is_in("data_format", "SVS"),
)
"""Every slide of TCGA, open or controlled, diagnostic or frozen."""


def page_query(filters: Filters, *, start: int, size: int = PAGE) -> dict[str, Any]:
    """Return the question for one page of files.

    It is sorted: without a sort the GDC's order differs from one request to the next, and pages overlap.
    """
    return {
        "filters": filters,
        "fields": ",".join(FIELDS),
        "sort": "file_id:asc",
        "from": start,
        "size": size,
        "format": "json",
    }


def ask_release(endpoint: str, *, offline: bool = False, budget: Budget | None = None) -> str:
    """Ask which data release the GDC serves now, e.g. ``Data Release 43.0 - May 07, 2025``.

    Raises
    ------
    ManifestError
        The answer does not say.
    OfflineError, TransferError
        The GDC cannot be asked.
    """
    url = f"{endpoint}/status"
    document = _document(read_small(url, limit=_LARGEST_STATUS, offline=offline, budget=budget), url)
    release = document.get("data_release")
    if not isinstance(release, str) or _text_problem(release):
        raise ManifestError(
            f"{url} does not say which data release it serves ({str(release)[:60]!r}); is it a GDC's address?"
        )
    return release


def ask_slides(
    endpoint: str,
    release: str,
    *,
    filters: Filters = TCGA_SLIDES,
    offline: bool = False,
    budget: Budget | None = None,
) -> tuple[Slide, ...]:
    """Ask for all slides that pass some filters, page by page, a few pages at a time.

    Parameters
    ----------
    endpoint : str
        The GDC's address.
    release : str
        The data release it serves; each slide keeps it.
    filters : dict
        Which files.
    offline : bool
        Refuse.
    budget : Budget, optional
        Limits of each request.

    Returns
    -------
    tuple of Slide
        In the order of their ids.

    Raises
    ------
    ManifestError
        The answers are not what the GDC answers; the message lists what is wrong.
    IntegrityError
        The pages do not make up the whole, twice.
    OfflineError, TransferError
        The GDC cannot be asked.
    """
    url = f"{endpoint}/files"

    def ask(start: int) -> _Page:
        body = post_json(
            url, page_query(filters, start=start), limit=_LARGEST_PAGE, offline=offline, budget=budget
        )
        return _Page.of(_document(body, url), url)

    try:
        hits = _all_hits(ask, url)
    except IntegrityError:  # a release that goes live between two pages moves what they hold
        hits = _all_hits(ask, url)
    return parse_hits(hits, release, url)


@dataclass(frozen=True, slots=True)
class _Page:
    """One page of an answer."""

    hits: Sequence[Any]
    total: int

    @classmethod
    def of(cls, document: Mapping[str, Any], url: str) -> _Page:
        data = document.get("data")
        hits = data.get("hits") if isinstance(data, dict) else None
        pagination = data.get("pagination") if isinstance(data, dict) else None
        total = pagination.get("total") if isinstance(pagination, dict) else None
        if not isinstance(hits, list) or isinstance(total, bool) or not isinstance(total, int) or total < 0:
            raise ManifestError(f"{url} does not answer with a page of files; is it a GDC's address?")
        if total > _MOST_SLIDES:
            raise ManifestError(f"{url} announces {total:,} slides; {_MOST_SLIDES:,} at most are taken.")
        if told := document.get("warnings"):
            warnings.warn(f"{url} warns: {json.dumps(told)[:_LONGEST_TEXT]}", stacklevel=2)
        return cls(hits, total)


def _all_hits(ask: Callable[[int], _Page], url: str) -> list[Any]:
    """Ask for the first page, which tells how many there are, then for the others."""
    first = ask(0)
    total, step = first.total, len(first.hits)
    if step > total or (step == 0 and total):
        raise IntegrityError(f"{url} announces {total:,} slides, and gives {step:,} in its first page.")
    hits = list(first.hits)
    # A service may give fewer than asked for: the first page tells how many make a page.
    starts = range(step, total, step) if step else range(0)
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="gdc") as pool:
        tasks = [pool.submit(ask, start) for start in starts]
        try:
            for start, task in zip(starts, tasks, strict=True):
                page = task.result()
                if page.total != total or len(page.hits[:step]) != min(step, total - start):
                    raise IntegrityError(
                        f"{url} announces {total:,} slides, then {page.total:,}, with {len(page.hits):,} from "
                        f"{start:,} on: its answers do not belong together. Try again in a while."
                    )
                hits += page.hits[:step]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    if len({_id_of(hit) for hit in hits}) != total:
        raise IntegrityError(f"{url} gives some slides twice, and others not at all. Try again in a while.")
    return hits


def _id_of(hit: Any) -> str:
    return str(hit.get("file_id")) if isinstance(hit, dict) else repr(hit)


def parse_hits(hits: Sequence[Any], release: str, url: str) -> tuple[Slide, ...]:
    """Return the slides that the files of an answer describe, in the order of their ids.

    Raises
    ------
    ManifestError
        Some are not slides' files: an id that is none, a name that leaves its folder, …; the message lists them.
    """
    slides, problems = [], []
    for number, hit in enumerate(hits):
        try:
            slides.append(parse_hit(hit, release))
        except (OptionError, _WrongHitError) as error:
            problems.append(f"file {number}: {error}")
    if problems:
        shown = problems[:_MOST_PROBLEMS_SHOWN]
        if more := len(problems) - len(shown):
            shown.append(f"… and {more:,} more")
        raise ManifestError(
            f"What {url} says of {len(problems):,} of {len(hits):,} slides cannot be used; is it a GDC's address?\n"
            + "\n".join(f"  - {line}" for line in shown)
        )
    return tuple(sorted(slides, key=lambda slide: slide.file_id))


class _WrongHitError(Exception):
    """One field of a file is not what it should be."""


def parse_hit(hit: Any, release: str) -> Slide:
    """Return the slide that one file of an answer describes."""
    if not isinstance(hit, dict):
        raise _WrongHitError(f"it is a {type(hit).__name__}, not an object")
    size = hit.get("file_size")
    if isinstance(size, bool) or not isinstance(size, int):
        raise _WrongHitError(f"its file_size {str(size)[:40]!r} is not a number of bytes")
    strategy = _text(hit, "experimental_strategy")
    slide = Slide(
        file_id=_needed(hit, "file_id"),
        file_name=_needed(hit, "file_name"),
        size=size,
        md5=_needed(hit, "md5sum"),
        project=_text(hit, "cases.project.project_id"),
        case=_text(hit, "cases.submitter_id"),
        primary_site=_text(hit, "cases.primary_site"),
        disease_type=_text(hit, "cases.disease_type"),
        sample_type=_text(hit, "cases.samples.sample_type"),
        kind=KINDS.get(strategy or ""),
        data_release=release,
        state=_text(hit, "state"),
        access=_text(hit, "access"),
    )
    if slide.project is not None and not re.fullmatch(r"[\w.-]{1,64}", slide.project):
        raise _WrongHitError(f"its project {slide.project[:60]!r} is not the name of one")
    return slide


def _needed(hit: Mapping[str, Any], name: str) -> str:
    text = _text(hit, name)
    if text is None:
        raise _WrongHitError(f"it has no {name}")
    return text


def _text(hit: Mapping[str, Any], path: str) -> str | None:
    """Return the first text under a dotted name, through lists; None where there is none."""
    value = next(_values(hit, path.split(".")), None)
    if value is None:
        return None
    if not isinstance(value, str):
        raise _WrongHitError(f"its {path} is a {type(value).__name__}, not a text")
    if problem := _text_problem(value):
        raise _WrongHitError(f"its {path} {value[:60]!r} {problem}")
    return value


def _values(node: Any, names: Sequence[str]) -> Iterator[Any]:
    if isinstance(node, list):
        for item in node:
            yield from _values(item, names)
    elif not names:
        yield node
    elif isinstance(node, dict) and names[0] in node:
        yield from _values(node[names[0]], names[1:])


def _text_problem(text: str) -> str | None:
    """Say why a text cannot be shown on a terminal and in a table, or None."""
    if len(text) > _LONGEST_TEXT:
        return f"is longer than {_LONGEST_TEXT} characters"
    return None if text.isprintable() else "has characters that cannot be printed"


def _document(body: bytes, url: str) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        start = body[:60].decode("utf-8", "replace")
        raise ManifestError(f"{url} does not answer in JSON ({start!r}…); is it a GDC's address?")
    return document
