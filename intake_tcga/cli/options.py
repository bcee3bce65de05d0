"""Options that commands of several sources share."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

_Command = TypeVar("_Command", bound=Callable[..., Any])


def wrapped(
    command: _Command, wrapper: Callable[..., Any], *options: Callable[..., Any], last: bool = False
) -> _Command:
    """Return a command with more options, which the wrapper turns into what the command takes.

    Help shows them before the command's other options, or ``last``.
    """
    others = getattr(command, "__click_params__", [])
    wrapper.__name__ = command.__name__
    wrapper.__doc__ = command.__doc__
    wrapper.__click_params__ = []  # type: ignore[attr-defined]
    for option in reversed(options):
        wrapper = option(wrapper)
    ours = wrapper.__click_params__  # type: ignore[attr-defined]
    # click shows the last of this list first.
    wrapper.__click_params__ = ours + others if last else others + ours  # type: ignore[attr-defined]
    return wrapper  # type: ignore[return-value]


def json_object(_context: click.Context, _parameter: click.Parameter, text: str) -> Mapping[str, Any]:
    """Return an option's JSON object; the callback of such options."""
    try:
        value = json.loads(text)
    except ValueError as error:
        raise click.BadParameter(f"this is not JSON ({error}).") from error
    if not isinstance(value, dict):
        raise click.BadParameter('give a JSON object, e.g. \'{"headers": {"Authorization": "…"}}\'.')
    return value


cache_dir_option = click.option("--cache-dir", metavar="DIR", help="The cache's folder.")
offline_option = click.option("--offline", is_flag=True, help="Never open a socket.")
quiet_option = click.option("-q", "--quiet", is_flag=True, help="No progress bars.")
storage_options_option = click.option(
    "--storage-options",
    metavar="JSON",
    default="{}",
    callback=json_object,
    help="Options of fsspec for the URL, as a JSON object.",
)
