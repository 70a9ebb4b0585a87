"""`docs/security.md` names for each attack a test that tries it, and the test is there."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINES = (ROOT / "docs" / "security.md").read_text(encoding="utf-8").splitlines()
TEST = re.compile(r"`(test_\w+)`")
FOLDER = re.compile(r"`(tests/[\w/]*?)/?`")
SECURITY = "tests/security"


def attacks() -> list[list[str]]:
    """Return the rows of all tables of attacks."""
    found, is_of_attacks = [], False
    for before, line in zip(["", *LINES], LINES, strict=False):
        if line.startswith("|") and not before.startswith("|"):
            is_of_attacks = line.startswith("| attack")
        elif line.startswith("| ") and is_of_attacks:
            found.append([cell.strip() for cell in line.strip("|").split("|")])
    return found


def defined_in(folder: str) -> set[str]:
    """Return the names of the tests in a folder and below it."""
    found = set()
    for path in (ROOT / folder).rglob("test_*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        found |= {one.name for one in ast.walk(tree) if isinstance(one, ast.FunctionDef)}
    return found


@pytest.fixture(scope="module")
def known() -> dict[str, set[str]]:
    """The tests by the folders that the page names."""
    folders = {SECURITY, *(one for line in LINES for one in FOLDER.findall(line))}
    return {folder: defined_in(folder) for folder in folders}


def test_every_test_that_is_named_is_where_the_page_says(known: dict[str, set[str]]) -> None:
    missing, named = [], 0
    for line in LINES:
        allowed = {SECURITY, *FOLDER.findall(line)}
        for name in TEST.findall(line):
            named += 1
            if not any(name in known[folder] for folder in allowed):
                missing.append(f"{name} is not in {', '.join(sorted(allowed))}")
    assert not missing
    assert named > 80


def test_every_attack_that_fails_names_a_test() -> None:
    """What stays possible says so."""
    bare = [
        attack
        for attack, *results, tests in attacks()
        if not TEST.search(tests) and not any("possible" in result for result in results)
    ]
    assert bare == []
    assert len(attacks()) > 50
