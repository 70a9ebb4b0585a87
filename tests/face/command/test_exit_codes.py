"""The table of exit codes in docs/commands.md is the whole truth, and completion works."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from gnomon.command import root
from gnomon.command.root import EXIT_CODES, run
from gnomon.runtime import errors
from gnomon.runtime.errors import Fault, GnomonError
from tests.support.names import ROOT

PAGE = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
TABLE = {
    int(code): meaning
    for code, meaning in re.findall(r"^\| (\d+) \| (.+?) \|$", PAGE, flags=re.MULTILINE)
}


def raising(error: BaseException) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


#: Exit code → what a command does that ends with it.
ENDS: dict[int, Callable[[], object]] = {
    0: lambda: None,
    1: lambda: 1,
    2: raising(errors.ConfigurationError("port should be a number")),
    3: raising(errors.PackageError("no model")),
    4: raising(errors.HubUnavailable("no hub")),
    5: raising(errors.StorageError("no disk")),
    6: lambda: 6,
    70: raising(KeyError("a bug")),
    130: raising(KeyboardInterrupt()),
    141: raising(BrokenPipeError()),
}


def test_each_code_of_the_table_is_tried_and_no_other_is_used() -> None:
    assert set(TABLE) == set(ENDS)
    assert set(EXIT_CODES.values()) <= set(TABLE)
    assert set(EXIT_CODES) == set(Fault)


@pytest.mark.parametrize("code", ENDS)
def test_a_command_ends_with_the_code_of_the_table(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    module = type(sys)("ending_command")
    module.command = click.Command("ends", callback=ENDS[code])  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "ending_command", module)
    monkeypatch.setitem(root.COMMANDS, "ends", ("ending_command:command", ""))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    if code == 141:  # what ends a pipe closes the process's own output
        monkeypatch.setattr("os.dup2", lambda *_: None)
    assert run(["ends"]) == code
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize("kind", vars(errors).values())
def test_each_error_has_a_code_of_the_table(kind: object) -> None:
    if isinstance(kind, type) and issubclass(kind, GnomonError):
        assert EXIT_CODES[kind.fault] in TABLE


def complete(*words: str) -> list[str]:
    environment = {
        "PYTHONPATH": str(ROOT / "src"),
        "_GNOMON_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(["gnomon", *words]),
        "COMP_CWORD": str(len(words)),
    }
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; from gnomon.command.root import run; run(sys.argv[1:])",
        ],
        env=os.environ | environment,
        capture_output=True,
        text=True,
    )
    assert done.stderr == ""
    return [line.partition(",")[2] for line in done.stdout.splitlines()]


def test_shells_complete_commands_and_options() -> None:
    assert complete("p") == ["package", "pipeline", "predict"]
    assert complete("hub", "nod") == ["nodes"]
    assert "--promote-untested" in complete("hub", "run", "--pro")


@pytest.mark.parametrize("shell", re.findall(r"_GNOMON_COMPLETE=(\w+)_source", PAGE))
def test_the_lines_of_the_page_set_completion_up(shell: str) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; from gnomon.command.root import run; run(sys.argv[1:])",
        ],
        env=os.environ | {"PYTHONPATH": str(ROOT / "src"), "_GNOMON_COMPLETE": f"{shell}_source"},
        capture_output=True,
        text=True,
    )
    assert "_GNOMON_COMPLETE" in done.stdout, done.stderr
