"""Docstrings name things by the module they live in, pages by their public name: links find one by the other."""

from __future__ import annotations

from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx

import intake_tcga

PUBLIC = {f"intake_tcga.{home}.{name}": f"intake_tcga.{name}" for name, home in intake_tcga._HOMES.items()}


def public_name(target: str) -> str | None:
    """Return the public name of what a docstring names, of a method too; None where it has none."""
    for home, public in PUBLIC.items():
        if target == home or target.startswith(f"{home}."):
            return public + target.removeprefix(home)
    return None


def find_by_public_name(app: Sphinx, env, node: pending_xref, content):
    """Look a name up again that was not found."""
    public = public_name(node.get("reftarget", "")) if node.get("refdomain") == "py" else None
    if public is None:
        return None
    kind, page = node["reftype"], node.get("refdoc", "")
    return env.get_domain("py").resolve_xref(env, page, app.builder, kind, public, node, content)


def setup(app: Sphinx):
    """Register the handler."""
    app.connect("missing-reference", find_by_public_name)
    return {"parallel_read_safe": True}
