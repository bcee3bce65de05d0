"""The directive ``house``: the modules of the package as they are today, read off the source when the docs are built.

A table tells every module of one storey with the first sentence of its docstring and what it imports from the
package. Storeys are those of ``tests/test_architecture.py``, which checks the arrows between them, so that a page
and a test cannot disagree.
"""

from __future__ import annotations

import ast
from pathlib import Path

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "intake_tcga"
RULES = ROOT / "tests" / "test_architecture.py"


def storeys() -> dict[str, set[str]]:
    """Return the names of each storey, as the test of the architecture has them."""
    tree = ast.parse(RULES.read_text(encoding="utf-8"))
    return {
        node.targets[0].id.lower(): set(ast.literal_eval(node.value))
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
        if node.targets[0].id in {"FLOOR", "ROOMS", "TOOLS", "ROOF"}
    }


def modules(names: set[str]) -> list[Path]:
    """Return the files of modules and folders, sorted by their dotted name."""
    files = [path for name in names for path in (PACKAGE / name).rglob("*.py")]
    files += [PACKAGE / f"{name}.py" for name in names if (PACKAGE / f"{name}.py").is_file()]
    return sorted(files, key=dotted)


def dotted(path: Path) -> str:
    """Return a module's name below the package: ``cohorts.manifest``."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def summary(path: Path) -> str:
    """Return the first sentence of a module's docstring, on one line."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return " ".join(text.split("\n\n")[0].split()).replace("``", "")


def arrows(path: Path) -> list[str]:
    """Return the modules of the package that one imports, also inside functions; not for types alone."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    found = {
        node.module.removeprefix("intake_tcga.")
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and id(node) not in for_types
        if (node.module or "").startswith("intake_tcga.")
    }
    return sorted(found - {"_version", "errors"})


class House(SphinxDirective):
    """``{house} floor``: the table of one storey."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Make the table."""
        paths = modules(storeys()[self.arguments[0]])
        for path in (*paths, RULES):
            self.env.note_dependency(str(path))
        table = nodes.table(classes=["house"])
        group = nodes.tgroup(cols=3)
        group += [nodes.colspec(colwidth=width) for width in (20, 50, 30)]
        head, body = nodes.thead(), nodes.tbody()
        head += _row([nodes.Text("module")], [nodes.Text("is")], [nodes.Text("imports")])
        for path in paths:
            links = [node for name in arrows(path) for node in (nodes.literal(text=name), nodes.Text(" "))]
            body += _row([nodes.literal(text=dotted(path))], [nodes.Text(summary(path))], links)
        group += [head, body]
        table += group
        return [table]


def _row(*cells: list[nodes.Node]) -> nodes.row:
    row = nodes.row()
    for cell in cells:
        entry = nodes.entry()
        paragraph = nodes.paragraph()
        paragraph += cell
        entry += paragraph
        row += entry
    return row


def setup(app):
    """Register the directive."""
    app.add_directive("house", House)
    return {"parallel_read_safe": True}
