"""The page on a server of this machine alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from intake_tcga.errors import OptionError
from intake_tcga.explorer import look, require_panel
from intake_tcga.explorer.shelves import Shelf

_ADDRESS = "127.0.0.1"


def serve(
    shelves: Sequence[Shelf],
    *,
    port: int = 0,
    browser: bool = True,
    ready: Callable[[str], object] | None = None,
) -> None:
    """Serve the page on 127.0.0.1 until the process is interrupted (Ctrl-C).

    Parameters
    ----------
    shelves
        What can be browsed.
    port
        Where to listen; 0 for any that is free.
    browser
        Open the page in a browser.
    ready
        Called with the page's URL once it answers.

    Raises
    ------
    OptionError
        Another program has the port.
    MissingDependencyError
        panel is not installed.
    """
    require_panel()
    from panel.io.server import get_server

    free = _free_port(port)
    server = get_server(
        {"/": lambda: _document(shelves)},
        port=free,
        address=_ADDRESS,
        # Pages of other places must not talk to it, whatever their names resolve to.
        websocket_origin=[f"{_ADDRESS}:{free}", f"localhost:{free}"],
        title="intake-tcga",
        show=browser,
        start=False,
        verbose=False,
    )
    server.start()
    try:
        if ready is not None:
            ready(f"http://{_ADDRESS}:{free}/")
        server.io_loop.start()  # until SIGINT, which panel answers by stopping it
    finally:
        server.stop()


def _document(shelves: Sequence[Shelf]) -> Any:
    """Return one visitor's page."""
    import panel as pn

    from intake_tcga.explorer.page import Page

    template = pn.Template(look.DOCUMENT)
    template.add_panel("page", Page(shelves).layout)
    return template


def _free_port(port: int) -> int:
    """Return the port, or one that is free for 0; the server needs it before it listens, to name its own pages."""
    from tornado.netutil import bind_sockets

    try:
        sockets = bind_sockets(port, _ADDRESS)
    except OSError as error:
        raise OptionError(
            f"Port {port} cannot be had ({error.strerror or error}); choose another, or 0 for any."
        ) from error
    for one in sockets:
        found = int(one.getsockname()[1])
        one.close()
    return found
