"""A page to browse catalogs, see what an entry is, and look at its data: in a browser, or in a notebook's cell."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from intake_tcga.errors import MissingDependencyError


def explore(data: Any = None, *, offline: bool | str | None = None) -> Any:
    """Return a page to browse catalogs and look at their data, for a notebook's cell.

    The same page is served by ``intake-tcga explore``. Nothing is downloaded before a button that says how much was
    clicked; the offline sample is there at once.

    Parameters
    ----------
    data : optional
        What to browse: an intake catalog of cohorts, ARCHS4 files or slides, or one of such catalogs; a collection
        (:class:`~intake_tcga.CohortCollection`, …); a Dataset or DataTree. None: everything there is.
    offline : bool or str, optional
        Never open a socket for data. None follows ``INTAKE_TCGA_OFFLINE``. A catalog has its own.

    Returns
    -------
    panel.Column
        Displays itself as the last value of a cell.

    Raises
    ------
    OptionError
        ``data`` is nothing that can be browsed.
    MissingDependencyError
        panel is not installed.

    Examples
    --------
    >>> page = explore(offline=True)
    >>> type(page).__name__
    'Column'
    """
    from intake_tcga.explorer.shelves import shelves_of

    require_panel()
    shelves = shelves_of(data, offline=offline)
    import panel as pn

    from intake_tcga.explorer.page import Page

    pn.extension(inline=True)  # its scripts from this machine: notebooks may have no way to the internet
    return Page(shelves).layout


def require_panel() -> None:
    """Raise the error that tells how to install panel and matplotlib, if one is not there."""
    for name in ("panel", "matplotlib.pyplot"):
        try:
            import_module(name)
        except ImportError as error:
            raise MissingDependencyError(
                "The page needs panel and matplotlib; install them with: pip install 'intake-tcga[explore]'"
            ) from error
