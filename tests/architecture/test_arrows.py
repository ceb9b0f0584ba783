"""Who imports whom, held as a table and compared with the real graph: a new arrow is a visible decision."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import NamedTuple

import pytest

PACKAGE = Path(__file__).parents[2] / "src" / "recurra"

FLOORS = {
    16: {"__main__"},
    15: {"cli", "sklearn"},
    14: {"api"},
    13: {"lab", "demos"},
    12: {"comparison", "certification", "serving", "bench", "hub", "doctor"},
    11: {"workflow"},
    10: {"training", "report", "export"},
    9: {"explanation"},
    8: {"run", "catalogue"},
    7: {"tasks"},
    6: {"streaming", "configuration"},
    5: {"models", "data", "baselines", "losses", "metrics", "text_metrics", "statistics", "laws"},
    4: {"nn"},
    3: {"engines"},
    2: {"cells", "state_file"},
    1: {"state", "sequence", "randomness", "files", "memory", "optional", "settings"},
    0: {"errors", "html", "standing"},
}
FLOOR = {room: floor for floor, rooms in FLOORS.items() for room in rooms}
PUBLIC = "recurra"  # the package's own __init__: anyone may read its version, and it binds names at first use only

Arrow = tuple[str, str]
EXCEPTIONS: dict[Arrow, str] = {}
"""Arrows that the floors forbid and that are allowed all the same, each with its reason."""


class Import(NamedTuple):
    """One import of a module of the package, or any import inside a function."""

    file: str
    line: int
    room: str
    target: str  # dotted, whole
    function: str | None  # where it is inside one
    type_checking: bool


def room_of(module: str) -> str:
    """`recurra.data.readers` → `data`."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else PUBLIC


def imports_of(path: Path, root: Path) -> list[Import]:
    """Every import statement of a file, with the function it stands in."""
    relative = path.relative_to(root)
    module = ".".join(("recurra", *relative.with_suffix("").parts)).removesuffix(".__init__")
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    found: list[Import] = []

    def visit(node: ast.AST, function: str | None, type_checking: bool) -> None:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            function = function or node.name
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            type_checking = True
        for target in targets(node, package):
            found.append(Import(str(relative), node.lineno, room_of(module), target, function, type_checking))  # type: ignore[attr-defined]
        for child in ast.iter_child_nodes(node):
            visit(child, function, type_checking)

    visit(ast.parse(path.read_text()), None, False)
    return found


def targets(node: ast.AST, package: str) -> list[str]:
    """The dotted names that a statement imports; `from recurra import api` imports `recurra.api`."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    base = node.module or ""
    if node.level:
        above = package.split(".")[: len(package.split(".")) - node.level + 1]
        base = ".".join([*above, *([node.module] if node.module else [])])
    if base == "recurra":
        return [f"recurra.{alias.name}" if alias.name in FLOOR else "recurra" for alias in node.names]
    return [base]


def faults(root: Path) -> list[str]:
    """Everything in a package folder that breaks the rules, a sentence each."""
    found: list[str] = []
    graph: dict[str, set[str]] = {}
    for path in sorted(root.rglob("*.py")):
        relative = path.relative_to(root)
        room = relative.parts[0].removesuffix(".py")
        if room != "__init__" and room not in FLOOR:
            found.append(f"{relative} belongs to no room; give it one in FLOORS")
            continue
        for imported in imports_of(path, root):
            where = f"{imported.file}:{imported.line}"
            if imported.function is not None and not may_import_late(imported):
                found.append(f"{where} imports {imported.target} inside {imported.function}; move it to the top")
            if imported.target.split(".")[0] == "recurra" and not imported.type_checking:
                found += [f"{where} {fault}" for fault in arrow_faults(imported)]
                graph.setdefault(imported.room, set()).add(room_of(imported.target))
    return found + [f"rooms import each other in a circle: {' → '.join(circle)}" for circle in circles(graph)]


def may_import_late(imported: Import) -> bool:
    """In the body of a command (so that help is quick), and in `require`, where a library may be missing."""
    return imported.room == "cli" or imported.function == "require"


def arrow_faults(imported: Import) -> list[str]:
    """Why an arrow between two rooms is forbidden."""
    here, there = imported.room, room_of(imported.target)
    if here == there or there == PUBLIC or (here, there) in EXCEPTIONS:
        return []
    if there not in FLOOR:
        return [f"imports {imported.target}, which belongs to no room"]
    if here == PUBLIC:
        return [f"imports {imported.target} when the package is imported; bind it at first use"]
    if FLOOR[there] > FLOOR[here]:
        return [f"{here} imports {there}, which lies above it"]
    if FLOOR[there] == FLOOR[here]:
        return [f"{here} imports {there}, its neighbour"]
    return []


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Each circle of rooms that a depth-first walk meets."""
    found: list[list[str]] = []
    finished: set[str] = set()

    def walk(room: str, way: list[str]) -> None:
        if room in way:
            found.append([*way[way.index(room) :], room])
            return
        if room in finished:
            return
        for following in sorted(graph.get(room, set()) - {room, PUBLIC}):
            walk(following, [*way, room])
        finished.add(room)

    for room in sorted(graph):
        walk(room, [])
    return found


def test_every_arrow_between_rooms_points_down() -> None:
    assert faults(PACKAGE) == []


def test_every_exception_is_still_needed() -> None:
    arrows = {(i.room, room_of(i.target)) for path in PACKAGE.rglob("*.py") for i in imports_of(path, PACKAGE)}
    assert set(EXCEPTIONS) <= arrows


def test_no_room_stands_on_two_floors() -> None:
    assert len(FLOOR) == sum(len(rooms) for rooms in FLOORS.values())


@pytest.mark.parametrize(
    ("file", "source", "fault"),
    [
        ("nn/a.py", "from recurra.models import x", "nn imports models, which lies above it"),
        ("nn/a.py", "import recurra.api.deep", "nn imports api, which lies above it"),
        ("data/a.py", "from recurra.losses import x", "data imports losses, its neighbour"),
        ("data/a.py", "from recurra import losses", "data imports losses, its neighbour"),
        ("data/a.py", "from ..losses import x", "data imports losses, its neighbour"),
        ("data/readers/a.py", "from ...models import x", "data imports models, its neighbour"),
        ("data/a.py", "def f():\n    import json", "a.py:2 imports json inside f; move it to the top"),
        ("data/a.py", "class C:\n  def f(self):\n    import json", "a.py:3 imports json inside f"),
        ("helpers.py", "", "helpers.py belongs to no room"),
        ("cli/a.py", "from recurra.helpers import x", "imports recurra.helpers, which belongs to no room"),
        ("__init__.py", "from recurra.api import train", "imports recurra.api when the package is imported"),
    ],
)
def test_a_forbidden_import_is_named(tmp_path: Path, file: str, source: str, fault: str) -> None:
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text(source)
    assert any(fault in found for found in faults(tmp_path)), faults(tmp_path)


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("cli/a.py", "from recurra.errors import x\ndef f():\n    from recurra import api"),
        ("optional.py", "def require(name):\n    import importlib"),
        ("doctor.py", "from recurra import __version__"),
        ("data/readers/a.py", "from ..table import x\nfrom recurra.files import y"),
        ("__init__.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from recurra.api import Run"),
    ],
)
def test_an_allowed_import_is_not(tmp_path: Path, file: str, source: str) -> None:
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text(source)
    assert faults(tmp_path) == []


def test_a_circle_of_rooms_is_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": set()}) == [["a", "b", "c", "a"]]
    assert circles({"a": {"b", "c"}, "b": {"c"}}) == []
