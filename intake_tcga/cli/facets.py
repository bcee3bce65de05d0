"""What a command line says of things to be found: ``field=value``, ``field>number``, names with commas between."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click


def pattern_of(text: str) -> re.Pattern[str]:
    """Return a text as a regular expression that does not mind case."""
    try:
        return re.compile(text, re.IGNORECASE)
    except re.error as error:
        raise click.UsageError(f"{text!r} is not a regular expression: {error}.") from error


def conditions_of(texts: Sequence[str]) -> dict[str, Any]:
    """Turn ``field=value`` texts into conditions: values, any of several, ranges ``field=low..high``, comparisons."""
    conditions: dict[str, Any] = {}
    for text in texts:
        match = re.fullmatch(r"(\w+)\s*(<=|>=|!=|==?|<|>)\s*(.*)", text, re.DOTALL)
        if match is None:
            raise click.UsageError(
                f"--where {text!r} is neither FIELD=VALUE nor a comparison such as 'FIELD>=1e6'."
            )
        name, operator, value = match.groups()
        if operator in ("=", "=="):
            alternatives = conditions.setdefault(name, [])
            if isinstance(alternatives, list):
                alternatives.append(_number_or_text(value))
                continue
        elif name not in conditions:
            conditions[name] = f"{operator} {value}"
            continue
        raise click.UsageError(f"{name} has two conditions; give a range, {name}=LOW..HIGH.")
    return conditions


def _number_or_text(text: str) -> float | int | str:
    try:
        number = float(text)
    except ValueError:
        return text
    if math.isnan(number):
        return text  # as a number it would be equal to nothing
    return int(text) if re.fullmatch(r"-?\d+", text) else number


def names_of(text: str) -> list[str]:
    """Return names that are given with commas between them, or as ``@file``: one a line, ``#`` before a remark."""
    if not text.startswith("@"):
        return [name.strip() for name in text.split(",") if name.strip()]
    try:
        lines = Path(text[1:]).expanduser().read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or "it is not text in UTF-8"
        raise click.UsageError(
            f"{text[1:]} cannot be read: {reason}; give a file with a name on each line."
        ) from error
    names = [name for line in lines if (name := line.partition("#")[0].strip())]
    if not names:
        raise click.UsageError(f"{text[1:]} has no names in it; give a file with a name on each line.")
    return names
