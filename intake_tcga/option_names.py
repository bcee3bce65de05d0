"""Names of options: one that does not exist is an error that names the nearest, and those that do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from intake_tcga.errors import OptionError


def check_option_names(given: Iterable[str], known: Sequence[str], whose: str = "") -> None:
    """Refuse options that do not exist.

    Parameters
    ----------
    given
        The names that were given.
    known
        Those that exist.
    whose
        What has these options, for the error.

    Raises
    ------
    OptionError
        One does not exist.

    Examples
    --------
    >>> check_option_names(["ofline"], ["offline", "verify"], "It")
    Traceback (most recent call last):
    ...
    intake_tcga.errors.OptionError: It has no option 'ofline'; did you mean 'offline'? There are: offline, verify.
    """
    if unknown := [name for name in given if name not in known]:
        import difflib

        near = difflib.get_close_matches(unknown[0], known, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        subject = f"{whose} has" if whose else "There is"
        raise OptionError(f"{subject} no option {unknown[0]!r}{hint} There are: {', '.join(known)}.")
