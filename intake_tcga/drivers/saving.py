"""What is written into catalogs: entries that reopen the same thing, without credentials."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from intake_tcga.plain_values import check_savable, without_numpy
from intake_tcga.remote import redact, without_credentials

_PLACES = ("urlpath", "source", "slide", "manifest", "endpoint")
"""Arguments that may be paths, or URLs with credentials in them."""

_TEMPLATE = re.compile(r"{[{%#]")
_INTAKES_OWN_METADATA = ("catalog_dir", "cache")  # what intake adds to an entry's metadata when it opens it


def entry_as_dict(
    name: str,
    driver: str,
    arguments: Mapping[str, Any],
    description: str | None,
    metadata: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Return a catalog with one entry, which remakes what these arguments made; without credentials.

    Raises
    ------
    OptionError
        An argument is nothing that YAML has, such as a compiled pattern.
    """
    kept = {key: value for key, value in (metadata or {}).items() if key not in _INTAKES_OWN_METADATA}
    saved = saved_arguments(arguments)
    for option, value in saved.items():
        check_savable(value, option)
    return {
        "sources": {
            redact(name) if "://" in name else name: {
                "driver": driver,
                "description": description or "",
                "metadata": _plain(without_numpy(kept)),
                "args": saved,
            }
        }
    }


def saved_arguments(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return those arguments that were given, as a catalog may have them: plain, and without credentials."""
    given = {name: without_numpy(value) for name, value in arguments.items() if name != "metadata"}
    return {name: _saved(name, value) for name, value in given.items() if value is not None and value != {}}


def _saved(name: str, value: Any) -> Any:
    """Return an argument as a catalog may have it: plain, absolute, and without credentials."""
    if name == "storage_options":
        value = without_credentials(value)
    elif name in _PLACES:
        value = _absolute(redact(str(value)))
    return _without_templates(_plain(value))


def _absolute(place: str) -> str:
    """Return a file's whole path, since its catalog may be opened from any folder; URLs and names stay."""
    if "://" in place or "::" in place or not Path(place).expanduser().is_file():
        return place
    return str(Path(place).expanduser().absolute())


def _plain(value: Any) -> Any:
    """Turn tuples, sets, paths and mappings into what any YAML reader takes."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (set, frozenset)):
        return sorted(map(_plain, value), key=str)
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def _without_templates(value: Any) -> Any:
    """Keep intake from filling in braces, which names that came from elsewhere may hold."""
    if isinstance(value, str):
        return _TEMPLATE.sub(r"{{ '\g<0>' }}", value)
    if isinstance(value, Mapping):
        return {key: _without_templates(item) for key, item in value.items()}
    return [_without_templates(item) for item in value] if isinstance(value, list) else value


def yaml_text(value: Mapping[str, Any]) -> str:
    """Return a catalog as YAML."""
    text: str = yaml.safe_dump(value, sort_keys=False, allow_unicode=True)
    return text
