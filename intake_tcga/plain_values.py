"""Values as a catalog's YAML can have them: without numpy's own kinds, and nothing that only Python knows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Any

from intake_tcga.errors import OptionError


def without_numpy(value: Any) -> Any:
    """Return a value with Python's own numbers, texts and lists where it has numpy's or pandas'; others stay.

    Examples
    --------
    >>> import numpy as np
    >>> without_numpy({"mpp": np.float64(15), "box_um": np.array([0, 1]), "range": (np.int64(1), None)})
    {'mpp': 15.0, 'box_um': [0, 1], 'range': (1, None)}
    """
    import numpy as np  # catalogs are made without it

    if isinstance(value, np.datetime64):
        return str(value)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {without_numpy(key): without_numpy(item) for key, item in value.items()}
    if type(value) in (list, tuple, set, frozenset):
        return type(value)(without_numpy(item) for item in value)
    return without_numpy(np.asarray(value).tolist()) if hasattr(value, "__array__") else value


def check_savable(value: Any, name: str) -> None:
    """Refuse what no YAML has.

    Parameters
    ----------
    value
        An option's value.
    name : str
        The option, for the message.

    Raises
    ------
    OptionError
        The value is, or holds, a pattern, a function or another thing of Python alone.
    """
    if isinstance(value, Mapping):
        for key, item in value.items():
            check_savable(item, f"{name}[{key!r}]")
    elif isinstance(value, list | tuple):
        for item in value:
            check_savable(item, name)
    elif value is not None and not isinstance(value, str | bool | int | float | date):
        instead = (
            f"its text, {value.pattern!r}"
            if isinstance(value, re.Pattern)
            else "a text, a number, or a list of them"
        )
        raise OptionError(
            f"{name}={value!r} cannot be saved: a catalog has no {type(value).__name__}; give {instead}."
        )
