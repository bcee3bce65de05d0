"""The arrows that must never exist, read off the imports."""

import ast
from pathlib import Path

import pytest

import intake_tcga

PACKAGE = Path(intake_tcga.__file__).parent
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if "catalogs" not in path.parts)

FLOOR = {
    "arrays",
    "cache",
    "digest",
    "facets",
    "facts",
    "flags",
    "hdf5",
    "name_lists",
    "option_names",
    "plain_values",
    "progress",
    "remote",
    "sampling",
    "tables",
    "transfer",
}
FLOOR_STEPS = ["transfer", "cache", "hdf5"]  # each may use those before it
ROOMS = {"archs4", "cohorts", "slides"}
TOOLS = {
    "columns",
    "comparison",
    "export",
    "genes",
    "h5ad",
    "normalization",
    "plots",
    "streaming",
    "table_files",
    "trimmed_means",
    "zarr_store",
}
ROOF = {"cli", "drivers", "engine", "explorer", "readers"}
HEAVY = {"matplotlib", "anndata", "tifffile", "distributed", "s3fs", "pyarrow", "panel", "bokeh"}


def imports(path, top_level_only=False):
    """Yield the modules that a file imports (not under TYPE_CHECKING)."""
    tree = ast.parse(path.read_text())
    skipped = {
        id(inner)
        for node in ast.walk(tree)
        if (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test))
        or (top_level_only and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} imports relatively"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def part(module):
    """Return the part of the house that a dotted name belongs to, or None for other packages."""
    names = module.split(".")
    return names[1] if names[0] == "intake_tcga" and len(names) > 1 else None


def part_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.fixture(params=MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def module(request):
    return request.param


def test_every_module_has_its_place():
    known = FLOOR | ROOMS | TOOLS | ROOF | {"__init__", "__main__", "_version", "errors"}
    assert {part_of(path) for path in MODULES} == known


def test_arrows(module):
    here = part_of(module)
    for name in imports(module):
        there = part(name)
        if name.split(".")[0] == "intake_tcga":
            assert there is not None, f"{here} imports the package root"
        if there is None or there == here or here == "__init__":
            continue
        assert there != "cli" or here == "__main__", f"{here} → cli"
        if here in FLOOR:
            assert there not in ROOMS | TOOLS | ROOF, f"floor → {there}"
        if here in FLOOR_STEPS and there in FLOOR_STEPS:
            assert FLOOR_STEPS.index(there) < FLOOR_STEPS.index(here), f"{here} → {there}"
        if here in ROOMS:
            assert there not in ROOMS | TOOLS | ROOF, f"room → {there}"
        if here in TOOLS:
            assert there not in ROOMS | ROOF, f"tool → {there}"


def test_hosts_stay_at_the_roof(module):
    here = part_of(module)
    for name in imports(module):
        root = name.split(".")[0]
        if root == "intake":
            assert here in {"drivers", "readers"}
        if name.endswith("BackendEntrypoint"):
            assert here == "engine"
        if root in {"socket", "aiohttp", "requests", "urllib3", "http"}:
            assert here == "transfer"
        if root == "subprocess":
            assert module == PACKAGE / "archs4" / "kallisto.py"
        assert root != "tests"


def test_heavy_packages_are_imported_where_they_are_used(module):
    for name in imports(module, top_level_only=True):
        assert name.split(".")[0] not in HEAVY
