"""Tables as people see them: in a notebook, on a terminal, and as the distinct values of a column."""

from __future__ import annotations

import shutil
from collections.abc import Container, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from intake_tcga.errors import OptionError
from intake_tcga.facets import no_such

if TYPE_CHECKING:
    import pandas as pd

Lines = Sequence[Sequence[str]]
"""The cells of each line, as text."""


def html_table(
    head: Sequence[str], lines: Lines, *, right: Container[str] = (), hints: Sequence[str] | None = None
) -> str:
    """Return a table for a notebook: scrolling sideways on a small screen, all text escaped.

    Parameters
    ----------
    head
        Names of the columns.
    lines
        The cells.
    right
        Columns whose cells stand to the right.
    hints
        For each line what its first cell says when the mouse is over it; every other cell says itself.
    """
    styles = [f"text-align:{'right' if name in right else 'left'}" for name in head]
    top = "".join(
        f"<th style='{style}'>{escape(name)}</th>" for name, style in zip(head, styles, strict=True)
    )
    body = "".join(
        "<tr>"
        + "".join(
            f"<td style='{style}' title='{escape(hint, quote=True)}'>{escape(cell)}</td>"
            for style, cell, hint in zip(styles, cells, [first, *cells[1:]], strict=True)
        )
        + "</tr>"
        for cells, first in zip(lines, hints or [line[0] for line in lines], strict=True)
    )
    return (
        "<div style='overflow-x:auto;max-width:100%'><table style='white-space:nowrap'>"
        f"<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def text_table(
    head: Sequence[str], lines: Lines, *, right: Container[str] = (), width: int | None = None
) -> str:
    """Return a table for a terminal, in lines of ``width`` characters at most (the terminal's own by default).

    Examples
    --------
    >>> print(text_table(["name", "size"], [["BRCA", "34 MB"], ["OV", "9 MB"]], right={"size"}, width=40))
    name   size
    BRCA  34 MB
    OV     9 MB
    """
    widths = _fitted([head, *lines], width or shutil.get_terminal_size().columns)
    return "\n".join(
        "  ".join(
            _cut(cell, size).rjust(size) if name in right else _cut(cell, size).ljust(size)
            for name, cell, size in zip(head, line, widths, strict=True)
        ).rstrip()
        for line in [head, *lines]
    )


def human_size(size: int) -> str:
    """Return a number of bytes as people read it.

    Examples
    --------
    >>> human_size(812), human_size(34_000_000), human_size(550_000_000_000)
    ('812 B', '34 MB', '550 GB')
    """
    number, units = float(size), ["B", "kB", "MB", "GB", "TB"]
    while number >= 999.5 and len(units) > 1:
        number /= 1000
        del units[0]
    decimals = 1 if number < 9.95 and units[0] != "B" else 0
    return f"{number:.{decimals}f} {units[0]}"


def unique_values(table: pd.DataFrame, column: str | None = None) -> Any:
    """Return the distinct values of a column, sorted; of a column of lists, their distinct items.

    Parameters
    ----------
    table
        Any table, e.g. of :func:`~intake_tcga.cohorts.table.cohort_table`.
    column
        Its name; None gives a dict of all columns.

    Raises
    ------
    OptionError
        There is no such column; the message lists those there are.
    """
    if column is None:
        return {name: _distinct(table[name]) for name in table.columns}
    if not isinstance(column, str) or column not in table.columns:
        raise OptionError(no_such("column", column, list(table.columns)))
    return _distinct(table[column])


def _distinct(column: pd.Series[Any]) -> list[Any]:
    import pandas as pd

    values = column.tolist()  # Python's own numbers, not numpy's
    items = [item for value in values for item in (value if isinstance(value, list) else [value])]
    present = [item for item in items if isinstance(item, dict | list) or not pd.isna(item)]
    # By their text: fields that only somebody's manifest has may be unhashable, or of mixed types.
    distinct = list({repr(item): item for item in present}.values())
    try:
        return sorted(distinct)
    except TypeError:
        return sorted(distinct, key=repr)


def _fitted(lines: Lines, width: int) -> list[int]:
    """Narrow the widest column, again and again, until a line fits or nothing readable would be left."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    room = width - 2 * (len(widths) - 1)
    while sum(widths) > room and max(widths) > 8:
        widest = widths.index(max(widths))
        widths[widest] = max(8, widths[widest] - (sum(widths) - room), sorted(widths)[-2])
        if widths[widest] == sorted(widths)[-2] and sum(widths) > room:
            widths[widest] -= 1
    return widths


def _cut(cell: str, size: int) -> str:
    return cell if len(cell) <= size else cell[: size - 1] + "…"
