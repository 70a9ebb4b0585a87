"""Times that commands show: UTC or local by flag, environment or file; JSON never changes."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnomon.command.root import run
from gnomon.command.shared.times import show_time

UTC = "2026-03-01T12:00:00Z"
LOCAL = "2026-03-01T17:30:00+05:30"
SECONDS = 1772366400


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine in a zone of its own, with a file of one API key."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("time.time", lambda: float(SECONDS))
    assert run(["key", "create", "ada"]) == 0
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("flags", "environment", "file", "shown"),
    [
        ([], "", "", UTC),
        (["--utc"], "", "", UTC),
        (["--local"], "", "", LOCAL),
        ([], "local", "", LOCAL),
        ([], "", "local", LOCAL),
        ([], "utc", "local", UTC),
        (["--utc"], "local", "local", UTC),
        (["--local"], "utc", "utc", LOCAL),
    ],
)
def test_the_zone_is_that_of_flag_environment_or_file(
    flags: list[str],
    environment: str,
    file: str,
    shown: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if environment:
        monkeypatch.setenv("GNOMON_COMMAND_TIMES", environment)
    if file:
        Path("gnomon.toml").write_text(f'[command]\ntimes = "{file}"\n')
    capsys.readouterr()
    assert run([*flags, "key", "list"]) == 0
    assert shown in capsys.readouterr().out
    assert run([*flags, "key", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["created_at"] == "2026-03-01T12:00:00+00:00"


def test_another_zone_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GNOMON_COMMAND_TIMES", "mars")
    assert run(["key", "list"]) == 2
    assert "times 'mars' should be one of utc, local" in capsys.readouterr().err


@given(st.integers())
def test_no_number_fails(milliseconds: int) -> None:
    shown = show_time(milliseconds)
    assert shown is None or shown.endswith("Z")
