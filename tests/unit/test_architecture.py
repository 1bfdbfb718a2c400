"""The house stays in order: who may import whom, no rings, small folders, and a table of contents in every package."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from pathlib import Path

import grimp
import pytest

PROJECT = Path(__file__).resolve().parents[2]
LAYERS = ("conf", "batch", "streaming", "ui")
"""Each may import itself and those before it."""
PACKAGES = (*LAYERS, "local")
MOST_FILES = 12
FOLDERS = sorted(file.parent for package in PACKAGES for file in (PROJECT / package).rglob("__init__.py"))
NAMES_OF_A_KIND = {
    "NAME": "of a command, before its messages",
    "PROJECT": "the project's folder, found from different modules",
    "QUERY_NAME": "of a streaming query",
    "SCHEDULER_POOL": "of a streaming query",
}
"""Constants that several modules have, each its own: {name: what all of them are}."""
SCRIPT_FOLDERS = sorted({file.parent for file in (PROJECT / "ui" / "static").rglob("*.js")})

Edges = set[tuple[str, str]]


def folder_name(folder: Path) -> str:
    return str(folder.relative_to(PROJECT))


@pytest.fixture(scope="module")
def imports() -> Edges:
    """(importing module, imported module), imports in functions included; of other packages the top level."""
    graph = grimp.build_graph(*PACKAGES, include_external_packages=True, cache_dir=None)
    return {(module, other) for module in graph.modules for other in graph.find_modules_directly_imported_by(module)}


def top(module: str) -> str:
    return module.partition(".")[0]


def room(module: str) -> str:
    """The sub-package of a module; a module that lies directly in its package is its own room.

    A sub-package's `routes` is of the room of all routes, which know the services of the player.
    """
    if module.startswith("ui.") and module.endswith(".routes"):
        return "ui.routes"
    return ".".join(module.split(".")[:2])


def rings(edges: Iterable[tuple[str, str]]) -> list[list[str]]:
    """Groups of nodes of which each leads to every other one."""
    targets: dict[str, set[str]] = {}
    for source, target in edges:
        if source != target:
            targets.setdefault(source, set()).add(target)

    def reachable(start: str) -> set[str]:
        seen: set[str] = set()
        waiting = [start]
        while waiting:
            new = targets.get(waiting.pop(), set()) - seen
            seen |= new
            waiting += new
        return seen

    reach = {node: reachable(node) for node in targets}
    groups = {frozenset(other for other in reach[node] if node in reach.get(other, ())) for node in targets}
    return sorted(sorted(group) for group in groups if group)


def test_rings_are_found() -> None:
    edges = [("a", "b"), ("b", "c"), ("c", "a"), ("c", "d"), ("e", "a"), ("f", "f"), ("g", "h"), ("h", "g")]
    assert rings(edges) == [["a", "b", "c"], ["g", "h"]]


def test_imports_lead_from_ui_to_streaming_to_batch_to_conf(imports: Edges) -> None:
    allowed = {layer: set(LAYERS[: number + 1]) for number, layer in enumerate(LAYERS)} | {"local": set(PACKAGES)}
    ours = {(module, other) for module, other in imports if top(module) in PACKAGES and top(other) in PACKAGES}
    assert ours, "there are imports"
    assert {(module, other) for module, other in ours if top(other) not in allowed[top(module)]} == set()


def test_nothing_that_runs_imports_benchmarks_or_tests(imports: Edges) -> None:
    assert {(module, other) for module, other in imports if top(other) in ("bench", "tests")} == set()


def test_no_modules_import_each_other_in_a_ring(imports: Edges) -> None:
    assert rings(imports) == []


def test_no_packages_import_each_other_in_a_ring(imports: Edges) -> None:
    assert rings((room(module), room(other)) for module, other in imports) == []


@pytest.mark.parametrize("folder", FOLDERS, ids=folder_name)
def test_a_package_is_small_and_names_its_modules(folder: Path) -> None:
    modules = {file.stem for file in folder.glob("*.py")} - {"__init__"}
    packages = {file.parent.name for file in folder.glob("*/__init__.py")}
    assert len(modules) <= MOST_FILES
    docstring = ast.get_docstring(ast.parse((folder / "__init__.py").read_text())) or ""
    words = set(re.findall(r"\w+", docstring))
    assert (modules | packages) - words == set(), "in no line of the package's docstring"


@pytest.mark.parametrize("folder", SCRIPT_FOLDERS, ids=folder_name)
def test_a_folder_of_scripts_is_small(folder: Path) -> None:
    assert len(list(folder.glob("*.js"))) <= MOST_FILES


def constants(source: str) -> dict[str, str]:
    """{name: value as source text} of the upper-case names that a module assigns, those in tuples included."""
    values: dict[str, str] = {}

    def add(target: ast.expr, value: ast.expr) -> None:
        if isinstance(target, ast.Tuple):
            parts = value.elts if isinstance(value, ast.Tuple) else [value] * len(target.elts)
            for name, part in zip(target.elts, parts, strict=True):
                add(name, part)
        elif isinstance(target, ast.Name) and target.id.isupper() and not target.id.startswith("_"):
            values[target.id] = ast.unparse(value)

    for statement in ast.parse(source).body:
        if isinstance(statement, ast.Assign):
            for target in statement.targets:
                add(target, statement.value)
        elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
            add(statement.target, statement.value)
    return values


def test_constants_are_found() -> None:
    source = "A = 1\nB: int = 2 * A\nC, D = 3, 4\n_E = 5\nf = 6\nG: int\ndef h():\n    I = 7\n"
    assert constants(source) == {"A": "1", "B": "2 * A", "C": "3", "D": "4"}


def test_a_constants_name_has_one_meaning() -> None:
    modules_by_value: dict[str, dict[str, list[str]]] = {}
    for file in sorted(file for package in PACKAGES for file in (PROJECT / package).rglob("*.py")):
        for name, value in constants(file.read_text()).items():
            modules_by_value.setdefault(name, {}).setdefault(value, []).append(str(file.relative_to(PROJECT)))
    several = {name: modules for name, modules in modules_by_value.items() if len(modules) > 1}
    assert {name: modules for name, modules in several.items() if name not in NAMES_OF_A_KIND} == {}
    assert set(NAMES_OF_A_KIND) - set(several) == set(), "no longer needed in NAMES_OF_A_KIND"
