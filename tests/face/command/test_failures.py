"""No traceback reaches a user, and exit code 1 says only that the answer is no."""

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import click
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gnomon.command import root
from gnomon.command.root import run
from gnomon.core.kinds import ContractError
from gnomon.runtime.extras import EXTRA_OF_MODULE

TOP = Path(__file__).parents[3]
#: What code that is not ours may raise.
FAILURES = st.sampled_from(
    [KeyError, ValueError, TypeError, OSError, RecursionError, MemoryError, EOFError, UnicodeError]
)


class Weird(Exception):
    """Fails when it is shown."""

    def __str__(self) -> str:
        return "two\nlines \x1b[31m\ud800"


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "gnomon"


@pytest.fixture
def fails(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Add a command `fails` that raises what its module holds."""
    module = ModuleType("failing_command")

    @click.command()
    @click.option("--api-key")
    def command(api_key: str | None) -> None:
        raise module.error  # type: ignore[attr-defined]

    module.command = command  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "failing_command", module)
    monkeypatch.setitem(root.COMMANDS, "fails", ("failing_command:command", ""))
    return module


def test_a_contract_that_contradicts_itself_is_a_wrong_call(fails, state, capsys):
    fails.error = ContractError("field 'mean radius': a name is letters and digits")
    assert run(["fails"]) == 2
    assert capsys.readouterr().err == f"gnomon: {fails.error}\n"
    assert not state.exists()


@given(kind=FAILURES, message=st.text(st.characters(codec="utf-8"), max_size=400))
@example(kind=Weird, message="")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
def test_an_unexpected_error_is_one_line_a_log_and_exit_code_70(
    kind: type[Exception],
    message: str,
    fails: ModuleType,
    state: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    fails.error = kind(message)  # type: ignore[attr-defined]
    assert run(["fails", "--api-key", "hush-hush"]) == 70
    shown = capsys.readouterr()
    assert shown.out == ""
    (line,) = shown.err.split("\n")[:-1]
    assert line.startswith(f"gnomon: unexpected error, please report it: {kind.__name__}")
    log = Path(re.search(r"the traceback is in (\S+)$", line)[1])  # type: ignore[index]
    assert log.parent == state
    assert log.stat().st_mode & 0o077 == 0
    written = log.read_text(encoding="utf-8")
    assert "Traceback (most recent call last)" in written
    assert "command: gnomon fails\n" in written
    assert "hush-hush" not in written + line


def test_without_any_folder_for_the_log_there_is_still_the_line(
    fails: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path / "file"))
    fails.error = KeyError("a")  # type: ignore[attr-defined]
    assert run(["fails"]) == 70
    assert "KeyError: 'a'; its traceback could not be written\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code"),
    [(click.ClickException("no"), 2), (click.UsageError("no"), 2), (click.Abort(), 130)],
)
def test_no_failure_has_the_exit_code_of_an_answer(
    error: Exception, code: int, fails: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    fails.error = error  # type: ignore[attr-defined]
    assert run(["fails"]) == code
    assert "Traceback" not in capsys.readouterr().err


def test_a_reader_that_has_enough_ends_the_command_quietly() -> None:
    line = [sys.executable, "-c", _FLOOD]
    process = subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ | {"PYTHONPATH": "src"}
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"a line\n"
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    assert process.wait() == 141


_FLOOD = """
import sys, types, click
from gnomon.command import root
module = types.ModuleType("flood")
module.command = click.Command("flood", callback=lambda: [print("a line") for _ in range(10**6)])
sys.modules["flood"] = module
root.COMMANDS["flood"] = ("flood:command", "")
sys.exit(root.run(["flood"]))
"""

#: Calls that need what is not installed with every extra.
NEEDY = (
    (["demo", "--size", "small"], "demo"),
    (["dataset", "fingerprint", "pyproject.toml"], "pipeline"),
    (["hub", "run"], "hub"),
    (["hub", "doctor"], "hub"),
    (["serve", "--packages", "nothing"], "server"),
)

_WITHOUT = """
import sys
blocked = set(sys.argv[1].split(","))
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in blocked:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Finder())
from gnomon.__main__ import main
sys.argv[1:] = sys.argv[2:]
sys.exit(main())
"""


def call_without(extra_modules: Sequence[str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", _WITHOUT, ",".join(extra_modules), *arguments],
        capture_output=True,
        text=True,
        cwd=TOP,
        env=os.environ | {"PYTHONPATH": "src"},
        check=False,
    )


@pytest.mark.parametrize(("call", "extra"), NEEDY)
def test_what_needs_an_extra_that_is_not_installed_says_which(call: list[str], extra: str) -> None:
    missing = [name for name, brings in EXTRA_OF_MODULE.items() if brings not in ("cli", "onnx")]
    done = call_without(missing, *call)
    assert done.returncode == 2, done.stderr
    assert f"pip install 'gnomon[{extra}]'" in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_command_line_itself_needs_an_extra() -> None:
    done = call_without(["click"], "--help")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "gnomon: the command line needs click, which is not installed: pip install 'gnomon[cli]'\n"
    )


def test_every_extra_that_is_named_exists() -> None:
    extras = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(EXTRA_OF_MODULE.values()) <= set(extras)


def test_with_json_the_refusal_is_an_object(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["registry", "show", "eta", "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"] == "configuration"
