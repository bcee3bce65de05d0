"""What commands print: tables for people, tab-separated lines for pipes, JSON for programs."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal

import click

from intake_tcga.tables import human_size

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")

Rows = Sequence[Mapping[str, object]]
_MOST_LINES = 200  # on a terminal; a million samples are for a pipe
_NARROWEST = 10  # letters that a cell is cut to at least
_GAP = 2  # between columns
_NUMBER = re.compile(r"-?[\d,]*\.?\d+(e[+-]?\d+)?( [kMGT]?B)?")


def print_rows(rows: Rows, *, whole: Collection[str] = ()) -> None:
    """Print a table on a terminal, tab-separated lines into a pipe.

    Numbers of bytes, samples and features are written for people on a terminal, and plainly in a pipe, where they are
    sorted and added up.

    Parameters
    ----------
    rows
        Each line's cells by column; all have the same columns.
    whole
        Columns that are never cut on a terminal, but folded: paths, sentences. The first column is one. In a pipe
        nothing is cut.
    """
    if not rows:
        click.echo("There is nothing to show.", err=True)
    elif is_terminal():
        _print_table(rows[:_MOST_LINES], {next(iter(rows[0])), *whole})
        if (more := len(rows) - _MOST_LINES) > 0:
            click.echo(f"… and {more:,} more; for all of them, pipe this, or give --json.", err=True)
    else:
        lines = [list(rows[0]), *(map(shown, row.values()) for row in rows)]
        click.echo("\n".join("\t".join(map(_on_one_line, line)) for line in lines))


def is_terminal() -> bool:
    """Tell whether a person reads what is printed."""
    return sys.stdout is not None and sys.stdout.isatty()


def print_json(value: object) -> None:
    """Print JSON; what JSON has no form for, as text."""
    click.echo(json.dumps(_plain(value), indent=2, ensure_ascii=False, allow_nan=False))


def shown(value: object) -> str:
    """Return a value as a cell of a table."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _for_people(column: str, value: object) -> str:
    """Return a value as a cell of a terminal's table."""
    if isinstance(value, int) and column in {"bytes", "size"}:
        return human_size(value)
    return f"{value:,}" if isinstance(value, int) and column in {"samples", "features"} else shown(value)


def _print_table(rows: Rows, whole: Collection[str]) -> None:
    from rich.cells import cell_len, set_cell_size
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    columns = {name: [_visible(_for_people(name, row[name])) for row in rows] for name in rows[0]}
    widths = {name: max(map(cell_len, [name, *cells])) for name, cells in columns.items()}
    left_out = _left_out(widths, whole, console.width)
    for name in left_out:
        del columns[name], widths[name]
    most = _widest(widths, whole, console.width - _GAP * (len(columns) - 1))
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, _GAP, 0, 0))
    for name, cells in columns.items():
        numbers = all(not cell or _NUMBER.fullmatch(cell) for cell in cells)
        lines = [
            line if name in whole or cell_len(line) <= most else set_cell_size(line, most - 1) + "…"
            for line in [name, *cells]
        ]
        columns[name] = lines[1:]
        justify: Literal["left", "right"] = "right" if numbers else "left"
        table.add_column(Text(lines[0]), justify=justify, overflow="fold", no_wrap=name not in whole)
    for line in zip(*columns.values(), strict=True):
        table.add_row(*map(Text, line))
    console.print(table)
    if left_out:
        click.echo(f"Without {', '.join(left_out)}: a wider terminal, a pipe or --json has them.", err=True)


def _left_out(widths: Mapping[str, int], whole: Collection[str], room: int) -> list[str]:
    """Return the last columns for which there is no room, however much the others are cut."""
    least = {name: width if name in whole else min(width, _NARROWEST) for name, width in widths.items()}
    left_out: list[str] = []
    for name in reversed(least):
        if sum(least.values()) + _GAP * (len(least) - len(left_out) - 1) <= room:
            break
        if name not in whole:
            least[name] = 0
            left_out.insert(0, name)
    return left_out


def _widest(widths: Mapping[str, int], whole: Collection[str], room: int) -> int:
    """Return the width that cells are cut to, so that a line fits: short columns keep theirs."""
    room -= sum(width for name, width in widths.items() if name in whole)
    cut = sorted(width for name, width in widths.items() if name not in whole)
    for at, width in enumerate(cut):
        share = room // (len(cut) - at)
        if width > share:
            return max(_NARROWEST, share)
        room -= width
    return max([_NARROWEST, *cut])


def _on_one_line(text: str) -> str:
    """Return a text without what would end its cell or its line."""
    return re.sub(r"[\t\r\n\v\f\x1c-\x1e\x85\u2028\u2029]+", " ", text)


def _visible(text: str) -> str:
    """Return a text on one line, and without what a terminal takes for an order."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f]", "\ufffd", _on_one_line(text))


def _plain(value: Any) -> Any:
    """Return a value as JSON has it: numpy's numbers as numbers, what is missing as null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(item) for item in value]
    if hasattr(value, "item") and not isinstance(value, str | bytes):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
