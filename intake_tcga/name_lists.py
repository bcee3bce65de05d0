"""Options that list names of entries: one alone needs no list around it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from intake_tcga.errors import OptionError


def names_in(option: str, names: str | Sequence[str] | None, what: str) -> tuple[str, ...] | None:
    """Return the names that were given, each once.

    Parameters
    ----------
    option
        The option's own name, for the error.
    names
        What was given: one name, several, or None.
    what
        What it takes, for the error.

    Raises
    ------
    OptionError
        They are no names.

    Examples
    --------
    >>> names_in("cohorts", "BRCA", "codes of cohorts"), names_in("cohorts", None, "codes of cohorts")
    (('BRCA',), None)
    >>> names_in("cohorts", [5], "codes of cohorts")
    Traceback (most recent call last):
    ...
    intake_tcga.errors.OptionError: cohorts=[5] is no list of names; give codes of cohorts.
    """
    if names is None:
        return None
    several = [names] if isinstance(names, str) else names
    listed = isinstance(several, Iterable) and not isinstance(several, Mapping)
    if not listed or not all(isinstance(name, str) for name in several):
        raise OptionError(f"{option}={names!r} is no list of names; give {what}.")
    return tuple(dict.fromkeys(several))
