"""What is written into catalogs: entries that reopen the same thing, without credentials."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from intake_tcga.remote import redact, without_credentials

_INTAKES_OWN_METADATA = ("catalog_dir", "cache")  # what intake adds to an entry's metadata when it opens it


def entry_as_dict(
    name: str,
    driver: str,
    arguments: Mapping[str, Any],
    description: str | None,
    metadata: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Return a catalog with one entry, which remakes what these arguments made; without credentials."""
    given = {key: value for key, value in arguments.items() if value not in (None, {}) and key != "metadata"}
    if "urlpath" in given:
        given["urlpath"] = redact(str(given["urlpath"]))
    if "storage_options" in given:
        given["storage_options"] = without_credentials(given["storage_options"])
    kept = {key: value for key, value in (metadata or {}).items() if key not in _INTAKES_OWN_METADATA}
    return {
        "sources": {
            name: {
                "driver": driver,
                "description": description or "",
                "metadata": _plain(kept),
                "args": _plain(given),
            }
        }
    }


def _plain(value: Any) -> Any:
    """Turn tuples, paths and mappings into what any YAML reader takes."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def yaml_text(value: Mapping[str, Any]) -> str:
    """Return a catalog as YAML."""
    text: str = yaml.safe_dump(value, sort_keys=False, allow_unicode=True)
    return text
