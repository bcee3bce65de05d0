"""What the pages say is so: their code compiles, their YAML opens, their commands exist, their lists are whole."""

import ast
import re
import shlex
from pathlib import Path

import click
import intake
import pytest
import yaml
from intake.readers.entry import Catalog as CatalogV2

import intake_tcga
from intake_tcga import errors
from intake_tcga.cli import main
from intake_tcga.cohorts.manifest import parse_manifest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted(p for p in (ROOT / "docs").rglob("*.md") if "_build" not in p.parts)]


def blocks(*languages):
    """Return (page:line, text) of every fenced block of a language."""
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in re.finditer(r"^```([^\n]*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
            line = text.count("\n", 0, match.start()) + 1
            if match[1] in languages:
                found.append(pytest.param(match[2], id=f"{page.relative_to(ROOT)}:{line}"))
    return found


def page(name):
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("text", blocks("python"))
def test_python_compiles(text):
    ast.parse(text)


@pytest.mark.parametrize("text", blocks("yaml"))
def test_catalogs_open(text, tmp_path, monkeypatch):
    for name in re.findall(r"env\((\w+)\)", text):
        monkeypatch.setenv(name, "a-value")
    catalog = tmp_path / "catalog.yaml"
    catalog.write_text(text)
    if yaml.safe_load(text).get("version") == 2:
        opened = CatalogV2.from_yaml_file(str(catalog))
        assert [repr(opened[name]) for name in opened]
        return
    opened = intake.open_catalog(str(catalog))
    drivers = {name: entry["driver"] for name, entry in yaml.safe_load(text)["sources"].items()}
    for name in opened:
        if drivers[name].startswith("tcga"):  # others need packages that are not ours
            assert opened[name].name  # made with all its arguments, which nothing has fetched


@pytest.mark.parametrize("text", blocks("json"))
def test_manifests_are_valid(text):
    assert parse_manifest(text.encode(), "https://data.example.org/manifest.json").cohorts


COMMANDS = [
    pytest.param(line.partition(" #")[0], id=f"{block.id} {line[:40]}")
    for block in blocks("sh")
    for line in block.values[0].splitlines()
    if re.match(r"(\w+=\S+ )?intake-tcga ", line)
]


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_parse(line):
    words = shlex.split(line)
    words = words[words.index("intake-tcga") + 1 :]
    command = main.get_command(click.Context(main), words[0])
    assert command is not None, f"there is no command {words[0]}"
    command.make_context(words[0], words[1:])


def test_lists_are_whole():
    assert [n for n in intake_tcga.__all__ if n != "__version__" and n not in page("reference/api.md")] == []
    family = [n for n, item in vars(errors).items() if isinstance(item, type)]
    assert [n for n in family if f"errors.{n}`" not in page("reference/errors.md")] == []
    listed = re.search(r":commands: (\S+)", page("reference/cli.md"))[1]
    assert set(listed.split(",")) == set(main.commands)
    variables = set()
    for path in (ROOT / "intake_tcga").rglob("*.py"):
        variables |= set(re.findall(r"environ\S*\(\s*\"(\w+_\w+)\"", path.read_text(encoding="utf-8")))
    assert variables
    assert [v for v in variables if f"`{v}`" not in page("reference/environment.md")] == []


@pytest.mark.parametrize("name", ["syng-bts", "archs4py"])
def test_old_calls_have_new_ones(name):
    from intake_tcga.archs4.accessor import Archs4Accessor
    from intake_tcga.cohorts.accessor import CohortAccessor

    accessors = {"ds.tcga": CohortAccessor, "ds.archs4": Archs4Accessor}
    rows = re.findall(r"^\| `.*?\| (.*) \|$", page(f"how-to/{name}.md"), re.MULTILINE)
    assert len(rows) > 15
    for new in (code for row in rows for code in re.findall(r"`(.*?)`", row)):
        for node in ast.walk(ast.parse(new)):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "intake_tcga":
                assert node.attr in intake_tcga.__all__
            if isinstance(node, ast.Attribute) and (accessor := accessors.get(ast.unparse(node.value))):
                assert hasattr(accessor, node.attr)


def test_links_between_pages_lead_somewhere():
    for path in PAGES:
        for target in re.findall(r"\]\(([^)#:]+\.md)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")):
            assert (path.parent / target).is_file(), f"{path.name} → {target}"
