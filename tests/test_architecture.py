"""Imports run down only, and every name that a module promises is there."""

import ast
import importlib
import pkgutil
from pathlib import Path

import pytest

import gnomon

ROOT = Path(__file__).parent.parent

#: Folder → the rooms that it may import from, besides itself.
ALLOWED = {
    "core": set(),
    "proto": set(),
    "runtime": {"core", "proto"},
    "edge": {"core", "proto", "runtime"},
    "server": {"core", "proto", "runtime", "edge"},
    "pipeline": {"core", "proto", "runtime"},
    # What is measured as users meet it is asked through the clients that users have.
    "bench": {
        *("core", "proto", "runtime", "edge", "server", "pipeline"),
        *("client", "hub_client", "registry_client", "logs"),
    },
}

SOURCES = [
    (folder, path)
    for folder in ALLOWED
    for path in sorted((ROOT / folder).rglob("*.py*"))
    if path.suffix in {".py", ".pyx", ".pxd"}
]


def imported_rooms(path: Path) -> set[str]:
    """Return the rooms of gnomon that one file imports, by its import lines."""
    rooms = set()
    if path.suffix == ".py":
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            else:
                continue
            rooms |= {name.split(".")[1] for name in names if name.startswith("gnomon.")}
        return rooms
    for line in path.read_text(encoding="utf-8").splitlines():
        words = line.split()
        if words[:1] in (["from"], ["import"], ["cimport"]) and words[1].startswith("gnomon."):
            rooms.add(words[1].split(".")[1])
    return rooms


@pytest.mark.parametrize("folder", ALLOWED)
def test_imports_run_down_only(folder: str) -> None:
    for room, path in SOURCES:
        if room == folder and not path.name.endswith(("_pb2.py", "_pb2_grpc.py")):
            upward = imported_rooms(path) - ALLOWED[folder] - {folder}
            assert not upward, f"{path.relative_to(ROOT)} imports {upward}"


def test_core_needs_numpy_only() -> None:
    standard_and_numpy = {"numpy", "numba", "gnomon"}
    import sys

    for room, path in SOURCES:
        if room != "core" or path.suffix != ".py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
                top = node.module.split(".")[0]
            elif isinstance(node, ast.Import):
                top = node.names[0].name.split(".")[0]
            else:
                continue
            assert top in standard_and_numpy | sys.stdlib_module_names, f"{path.name}: {top}"


def modules() -> list[str]:
    return [
        info.name
        for info in pkgutil.walk_packages(gnomon.__path__, "gnomon.")
        if not info.name.startswith("gnomon.proto.") and not info.name.endswith("__main__")
    ]


def test_every_promised_name_is_there() -> None:
    # tritonclient registers the protocol's messages under the same names as our stubs do.
    needs_a_process_of_its_own = {"gnomon.demo.caller"}
    for name in modules():
        if "migrations" in name or name.startswith("gnomon.bench"):
            continue
        if name in needs_a_process_of_its_own:
            continue
        module = importlib.import_module(name)
        for promised in getattr(module, "__all__", []):
            assert hasattr(module, promised), f"{name}.{promised}"
