"""What commands print: tables for people, tab-separated lines for pipes, JSON for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence

import click

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")


def print_rows(rows: Sequence[Mapping[str, object]]) -> None:
    """Print a table on a terminal, tab-separated lines into a pipe."""
    if not rows:
        click.echo("There is nothing to show.", err=True)
        return
    if not is_terminal():
        click.echo(
            "\n".join("\t".join(map(str, line)) for line in [list(rows[0]), *(row.values() for row in rows)])
        )
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for column, value in rows[0].items():
        table.add_column(column, justify="right" if isinstance(value, int) else "left", overflow="fold")
    for row in rows:
        table.add_row(*(str(value).replace("[", r"\[") for value in row.values()))
    Console().print(table)


def is_terminal() -> bool:
    """Tell whether a person reads what is printed."""
    return sys.stdout is not None and sys.stdout.isatty()


def print_json(value: object) -> None:
    """Print JSON; what JSON has no form for, as text."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def shown(value: object) -> str:
    """Return a value as a cell of a table."""
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
