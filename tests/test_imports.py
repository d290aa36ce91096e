"""The direction of imports: a module uses only what lies below it, and no circle is possible."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.conftest import ROOT

PACKAGE = ROOT / "emulator" / "healthimaging_emulator"

LAYERS = (
    ("errors", "identifiers", "monotonic"),
    ("messages", "credentials"),
    ("settings",),
    ("clock", "documents", "objects", "webhook"),
    ("aws",),
    ("healthimaging",),
    ("journal",),
    ("faults",),
    ("seeds",),
    ("interfaces", "handles"),
    ("accounts",),
    ("pipeline",),
    ("transports",),
    ("console", "control"),
    ("server",),
    ("emulator",),
    ("cli", "pytest_plugin"),
    ("__init__", "__main__"),
)
"""From the bottom to the top. Modules of one layer do not import each other, but those of one folder may."""

RANKS = {name: rank for rank, names in enumerate(LAYERS) for name in names}


@cache
def modules() -> dict[str, Path]:
    return {
        ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__"): path
        for path in PACKAGE.rglob("*.py")
    }


def imports_of(name: str, path: Path) -> Iterator[str]:
    """Yield the modules that one imports, also inside a function, but not those for type checkers."""
    tree = ast.parse(path.read_text())
    for_types = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for statement in block.body
        for node in ast.walk(statement)
    }
    package = name.split(".") if path.name == "__init__.py" and name else name.split(".")[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level and id(node) not in for_types:
            base = package[: len(package) - node.level + 1] + (node.module or "").split(".") * bool(node.module)
            for alias in node.names:
                whole = ".".join([*base, alias.name])
                yield whole if whole in modules() else ".".join(base)


def test_every_import_leads_down() -> None:
    wrong = []
    for name, path in modules().items():
        here = name.split(".")[0] or "__init__"
        for imported in imports_of(name, path):
            there = imported.split(".")[0] or "__init__"
            if here != there and RANKS[there] >= RANKS[here]:
                wrong.append(f"{name} imports {imported}")
    assert not wrong


def test_no_module_reaches_itself() -> None:
    graph = {name: {each for each in imports_of(name, path) if each != name} for name, path in modules().items()}

    def reachable(start: str) -> set[str]:
        seen: set[str] = set()
        ahead = [*graph[start]]
        while ahead:
            each = ahead.pop()
            if each not in seen:
                seen.add(each)
                ahead += graph.get(each, ())
        return seen

    circles = [name for name in graph if name in reachable(name)]
    assert not circles


def test_the_table_of_layers_is_whole() -> None:
    found = {name.split(".")[0] or "__init__" for name in modules()}
    assert found == set(RANKS)
