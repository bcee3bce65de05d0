"""The directive ``fields``: the fields of a dataclass with their defaults and the strings under them, as a table."""

from __future__ import annotations

import ast
import dataclasses
import inspect
from importlib import import_module
from itertools import pairwise

from docutils import nodes
from sphinx.util.docutils import SphinxDirective


class Fields(SphinxDirective):
    """``{fields} package.module:Class``: one row a field."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Make the table."""
        module, _, name = self.arguments[0].partition(":")
        cls = getattr(import_module(module), name)
        self.env.note_dependency(inspect.getfile(cls))
        said = strings_under_fields(cls)
        table = nodes.table()
        group = nodes.tgroup(cols=3)
        group += [nodes.colspec(colwidth=width) for width in (22, 14, 64)]
        head, body = nodes.thead(), nodes.tbody()
        head += _row(nodes.Text("field"), nodes.Text("default"), nodes.Text("is"))
        for field in dataclasses.fields(cls):
            text = " ".join(said.get(field.name, "").split())
            body += _row(
                nodes.literal(text=field.name), nodes.literal(text=_shown(field.default)), nodes.Text(text)
            )
        group += [head, body]
        table += group
        return [table]


def strings_under_fields(cls: type) -> dict[str, str]:
    """Return the string that follows each field in the source."""
    body = ast.parse(inspect.cleandoc(inspect.getsource(cls))).body[0].body
    return {
        field.target.id: text.value.value
        for field, text in pairwise(body)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)
    }


def _shown(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _row(*cells: nodes.Node) -> nodes.row:
    row = nodes.row()
    for cell in cells:
        row += nodes.entry("", nodes.paragraph("", "", cell))
    return row


def setup(app):
    """Register the directive."""
    app.add_directive("fields", Fields)
    return {"parallel_read_safe": True}
