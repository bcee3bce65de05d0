"""Options that are yes or no, also in the words of a shell, a YAML file or an environment variable."""

from __future__ import annotations

from intake_tcga.errors import OptionError

_YES = ("1", "true", "yes", "y", "on")
_NO = ("0", "false", "no", "n", "off", "")


def flag(value: bool | str, name: str) -> bool:
    """Return whether an option is on.

    A word that says neither is an error, since text alone is true to Python: ``"false"`` would mean yes.

    Parameters
    ----------
    value
        What was given.
    name
        What the option is called, for the error.

    Raises
    ------
    OptionError
        It says neither yes nor no.

    Examples
    --------
    >>> flag(True, "offline"), flag("False", "offline"), flag("yes", "offline")
    (True, False, True)
    """
    word = str(value).strip().lower()
    if word not in {*_YES, *_NO}:
        given = value if name.isupper() else repr(value)
        yes, no = ", ".join(_YES), ", ".join(filter(None, _NO))
        raise OptionError(f"{name}={given} says neither yes nor no; use one of {yes}, or of {no}.")
    return word in _YES
