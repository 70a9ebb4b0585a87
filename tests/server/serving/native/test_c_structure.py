"""The C files keep to their order and their names, and debug builds to their states."""

import re
import subprocess

import pytest

from tests.server.serving.native.test_fuzz import NATIVE, build

ORDER = re.compile(r"^ \*   ([a-z0-9_, ]+):", re.MULTILINE)
INCLUDE = re.compile(r'^#include "([a-z0-9_]+)\.h"', re.MULTILINE)


def ranks() -> dict[str, int]:
    """Return the place of each file in the list at the top of state.h, bottom first."""
    head = (NATIVE / "state.h").read_text().partition("*/")[0]
    files = [name for line in ORDER.findall(head) for name in line.split(", ")]
    return {name: place for place, name in enumerate(files)}


def test_files_include_only_what_is_below_them() -> None:
    rank = ranks()
    assert len(rank) > 20
    for path in sorted(NATIVE.glob("*.[ch]")):
        if path.stem in rank:
            for below in INCLUDE.findall(path.read_text()):
                if below in rank and below != path.stem:
                    assert rank[below] < rank[path.stem], f"{path.name} includes {below}.h"


def test_every_file_of_the_loop_has_its_place() -> None:
    # What requests and answers look like as bytes is no part of the loop.
    apart = {"answer", "message", "refusal", "shadow_calls", "elements", "protobuf"}
    stems = {path.stem for path in NATIVE.glob("*.[ch]")}
    assert stems - apart == set(ranks())


def test_no_c_file_has_the_name_of_another_module() -> None:
    # A .pxd declares the header that it is named after.
    modules = {path.stem for path in NATIVE.glob("*.py")} | {
        path.stem for path in NATIVE.glob("*.pyx")
    }
    assert not modules & {path.stem for path in NATIVE.glob("*.[ch]")}


@pytest.fixture(scope="module")
def passed(tmp_path_factory: pytest.TempPathFactory) -> set[tuple[str, int, int]]:
    """Return the transitions that a debug build lets pass, by kind, state before, state after."""
    folder = tmp_path_factory.mktemp("transitions")
    names = ("bidi_state.c",)
    program = build(folder, "transitions.c", [NATIVE / name for name in names])
    done = subprocess.run([str(program)], capture_output=True, text=True, check=True)
    lines = (line.split() for line in done.stdout.splitlines())
    return {(kind, int(before), int(after)) for kind, before, after in lines}


def test_only_the_transitions_of_the_tables_pass(passed: set[tuple[str, int, int]]) -> None:
    unseen, taken, returned, idle, left, gone = range(6)
    assert passed == {
        ("request", 0, 1),
        ("request", 1, 2),
        ("response", 0, 1),
        ("response", 1, 2),
        ("response", 2, 1),
        ("turn", unseen, taken),
        ("turn", taken, returned),
        ("turn", taken, left),
        ("turn", returned, idle),
        ("turn", returned, left),
        ("turn", idle, taken),
        ("turn", idle, left),
        ("turn", left, gone),
        ("ending", 0, 1),
        ("ending", 1, 2),
    }


def test_no_state_changes_without_the_lock_or_on_another_thread(
    passed: set[tuple[str, int, int]],
) -> None:
    assert not {one for one in passed if one[0] in ("unlocked", "elsewhere")}
