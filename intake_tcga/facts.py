"""What is known of one thing, as people see it: names and values, in a notebook and on a terminal."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from intake_tcga.arrays.grouping import is_missing
from intake_tcga.tables import human_size


def html_facts(head: str, facts: Mapping[str, Any]) -> str:
    """Return names and values for a notebook, what is not known left out; all text escaped.

    Examples
    --------
    >>> "<b>BRCA</b>" in html_facts("BRCA", {"samples": 1218})
    True
    """
    rows = "".join(
        f"<tr><td style='text-align:left;vertical-align:top;white-space:nowrap'>{escape(name)}</td>"
        f"<td style='text-align:left;overflow-wrap:anywhere'>{escape(said)}</td></tr>"
        for name, said in said_facts(facts).items()
    )
    table = f"<table><tbody>{rows}</tbody></table>" if rows else ""
    return f"<div style='overflow-x:auto;max-width:100%'><b>{escape(head)}</b>{table}</div>"


def text_facts(head: str, facts: Mapping[str, Any], *, width: int | None = None) -> str:
    """Return names and values for a terminal, in lines of ``width`` characters (the terminal's own by default).

    Examples
    --------
    >>> print(text_facts("<tcga: PRAD>", {"real(normalization)": ["TC", "DESeq"], "metadata()": ""}, width=60))
    <tcga: PRAD>
      real(normalization)  TC, DESeq
      metadata()
    """
    width = width or shutil.get_terminal_size().columns
    left = max(map(len, facts), default=0)
    lines = [head]
    for name, value in facts.items():
        wrapped = textwrap.wrap(said(value), max(24, width - left - 4)) or [""]
        first, *more = wrapped
        lines += [f"  {name.ljust(left)}  {first}".rstrip(), *(f"{' ' * (left + 4)}{line}" for line in more)]
    return "\n".join(lines)


def said_facts(facts: Mapping[str, Any]) -> dict[str, str]:
    """Return names and values as people read them; what is not known is left out.

    Examples
    --------
    >>> said_facts({"n_samples": 1218, "bytes": 34_000_000, "version": None, "cached": True})
    {'n samples': '1,218', 'size': '34 MB', 'cached': 'yes'}
    """
    shown = {}
    for name, value in facts.items():
        plain = value.item() if isinstance(value, np.generic) else value
        size = name in {"bytes", "size"} and isinstance(plain, int)
        if size:  # no longer bytes, as people read it
            shown["size"] = human_size(plain)
            continue
        words = (
            str(name).replace("_", " ") if str(name).isidentifier() else str(name)
        )  # what is called, as it is called
        shown[words] = said(plain)
    return {name: value for name, value in shown.items() if value}


def file_facts(place: str) -> dict[str, Any]:
    """Return what is seen of a local file, a path or URL, without opening it; nothing of one that is elsewhere.

    Examples
    --------
    >>> file_facts(sample_slide)
    {'on disk': True, 'size': 1938955}
    >>> file_facts("/no/such/slide.svs"), file_facts("https://host/slide.svs")
    ({'on disk': False}, {})
    """
    from fsspec.implementations.local import LocalFileSystem

    if "::" in place or ("://" in place and not place.startswith(("file:", "local:"))):
        return {}
    path = Path(LocalFileSystem._strip_protocol(place))
    return {"on disk": True, "size": path.stat().st_size} if path.is_file() else {"on disk": False}


def said(value: Any) -> str:
    """Return one value as people read it: nothing for what is missing, thousands apart, lists with commas."""
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    if is_missing(value):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else str(value)
