"""What a command line says of things to be found: ``field=value``, ``field>number``, names with commas between."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from intake_tcga.facets import COMPARISONS


def pattern_of(text: str) -> re.Pattern[str]:
    """Return a text as a regular expression that does not mind case."""
    try:
        return re.compile(text, re.IGNORECASE)
    except re.error as error:
        raise click.UsageError(f"{text!r} is not a regular expression: {error}.") from error


def facets_of(texts: Sequence[str]) -> dict[str, Any]:
    """Turn ``field=value`` texts into facets: several values of a field are alternatives."""
    facets: dict[str, Any] = {}
    for text in texts:
        match = re.fullmatch(r"(\w+)\s*(<=|>=|=|<|>)\s*(.*)", text, re.DOTALL)
        if match is None:
            raise click.UsageError(
                f"--where {text!r} is not FIELD=VALUE, e.g. cancer_type=BRCA or 'n_samples>500'."
            )
        name, operator, value = match.groups()
        if operator == "=":
            facets.setdefault(name, []).append(_value(value))
        else:
            facets[name] = _both(facets.get(name), _comparison(operator, value))
    return facets


def _value(text: str) -> bool | int | str:
    if text.lower() in {"yes", "true", "no", "false"}:
        return text.lower() in {"yes", "true"}
    return int(text) if re.fullmatch(r"-?\d+", text) else text


def _comparison(operator: str, text: str) -> Callable[[Any], bool]:
    try:
        bound = float(text)
    except ValueError as error:
        raise click.UsageError(f"{operator}{text} compares with a number, and {text!r} is none.") from error
    return lambda value: value is not None and bool(COMPARISONS[operator](value, bound))


def _both(first: Callable[[Any], bool] | None, second: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """Combine two comparisons of one field: 100 < n and n < 500."""
    return second if first is None else lambda value: first(value) and second(value)


def conditions_of(texts: Sequence[str]) -> dict[str, Any]:
    """Turn ``field=value`` texts into conditions on samples: values, comparisons, and ranges ``field=low..high``."""
    conditions: dict[str, Any] = {}
    for text in texts:
        match = re.fullmatch(r"(\w+)\s*(<=|>=|!=|==?|<|>)\s*(.*)", text, re.DOTALL)
        if match is None:
            raise click.UsageError(
                f"--where {text!r} is not FIELD=VALUE, e.g. platform_id=GPL11154 or 'aligned_reads>=1e6'."
            )
        name, operator, value = match.groups()
        if operator in ("=", "=="):
            alternatives = conditions.setdefault(name, [])
            if isinstance(alternatives, list):
                alternatives.append(_number_or_text(value))
                continue
        elif name not in conditions:
            conditions[name] = (operator, _number_or_text(value))
            continue
        raise click.UsageError(f"{name} has two conditions; give a range, {name}=LOW..HIGH.")
    return conditions


def _number_or_text(text: str) -> float | int | str:
    try:
        number = float(text)
    except ValueError:
        return text
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
