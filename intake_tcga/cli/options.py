"""Options that commands of several sources share."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import click


def _json_object(_context: click.Context, _parameter: click.Parameter, text: str) -> Mapping[str, Any]:
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
    callback=_json_object,
    help="Options of fsspec for the URL, as a JSON object.",
)
