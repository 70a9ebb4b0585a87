"""Which parts of a package import which, read from the import lines of its sources."""

import ast
import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]

#: The folders at the top of the repository, imported as `gnomon.<folder>`.
FOLDERS = ("core", "proto", "runtime", "edge", "server", "pipeline", "bench")

_CYTHON_IMPORT = re.compile(
    r"^[ \t]*(?:from +(gnomon[\w.]*) +c?import +(\([^)]*\)|[^\n]*)|c?import +(gnomon[\w.]*))", re.M
)

_CLASS = re.compile(r"^(?:cdef +)?class +([A-Za-z]\w*)", re.M)


@cache
def sources() -> Mapping[str, tuple[Path, ...]]:
    """Return the files of each module: `.py`, or `.pyx` with its `.pxd`."""
    found: dict[str, list[Path]] = {}
    for top in (*FOLDERS, "src/gnomon"):
        for path in sorted((ROOT / top).rglob("*")):
            is_stub = path.name.endswith(("_pb2.py", "_pb2_grpc.py"))
            if path.suffix in {".py", ".pyx", ".pxd"} and not is_stub:
                parts = path.relative_to(ROOT).with_suffix("").parts
                parts = parts[2:] if parts[0] == "src" else parts
                name = ".".join(("gnomon", *parts)).removesuffix(".__init__")
                found.setdefault(name, []).append(path)
    return {name: tuple(paths) for name, paths in found.items()}


@cache
def imports() -> Mapping[str, frozenset[str]]:
    """Return the modules of gnomon that each module imports, itself left out."""
    return {
        name: frozenset().union(*map(imported_by, paths)) - {name}
        for name, paths in sources().items()
    }


def imported_by(path: Path) -> frozenset[str]:
    """Return the modules of gnomon that one file imports."""
    text = path.read_text(encoding="utf-8")
    named: set[str] = set()
    if path.suffix == ".py":
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                named |= {f"{node.module}.{alias.name}" for alias in node.names}
            elif isinstance(node, ast.Import):
                named |= {alias.name for alias in node.names}
    else:
        for package, names, module in _CYTHON_IMPORT.findall(text):
            named |= {f"{package}.{name}" for name in re.findall(r"\w+", names)} | {
                module or package
            }
    ours = (name for name in named if name.split(".")[0] == "gnomon")
    return frozenset(
        name if name in sources() else name.rpartition(".")[0] or name for name in ours
    )


def public_classes() -> Mapping[str, list[str]]:
    """Return the modules that define each public class, by the class's name."""
    found: dict[str, list[str]] = {}
    for module, paths in sources().items():
        for path in paths:
            if path.suffix != ".pxd":
                for name in _CLASS.findall(path.read_text(encoding="utf-8")):
                    found.setdefault(name, []).append(module)
    return found


def packages() -> list[str]:
    """Return every package of gnomon that has modules or packages inside."""
    inner = {name.rpartition(".")[0] for name in sources()}
    return sorted(name for name in inner if name)


def parts_imported(package: str) -> dict[str, dict[str, str]]:
    """Return for each part of a package the parts that it imports, with one line that does.

    A part is a module or a sub-package; the package's own `__init__` is none.
    """
    edges: dict[str, dict[str, str]] = {}
    for name, imported in imports().items():
        part = part_of(name, package)
        if part:
            for other in sorted(imported):
                target = part_of(other, package)
                if target and target != part:
                    edges.setdefault(part, {}).setdefault(target, f"{name} imports {other}")
    return edges


def part_of(name: str, package: str) -> str:
    """Return the part of a package that a module belongs to, or an empty text."""
    return name[len(package) + 1 :].split(".")[0] if name.startswith(f"{package}.") else ""


def cycles(edges: Mapping[str, Iterable[str]]) -> set[frozenset[str]]:
    """Return the groups of parts that import each other, directly or through others (Tarjan)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    groups: set[frozenset[str]] = set()

    def visit(part: str) -> None:
        index[part] = low[part] = len(index)
        stack.append(part)
        for other in edges.get(part, ()):
            if other not in index:
                visit(other)
            if other in stack:
                low[part] = min(low[part], low[other])
        if low[part] == index[part]:
            group = frozenset(stack[stack.index(part) :])
            del stack[stack.index(part) :]
            if len(group) > 1:
                groups.add(group)

    for part in edges:
        if part not in index:
            visit(part)
    return groups
