"""A process writes only lines of the chosen format, at the chosen level, and no secrets."""

import json
import logging
import os
import re
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
from hypothesis import example, given
from hypothesis import strategies as st

from gnomon.command.root import run
from gnomon.logs.deferred import DeferredLogHandler, install_handler
from gnomon.logs.redaction import redact_text
from gnomon.logs.settings import FORMATS, LogSettings
from gnomon.logs.setup import set_up_logging
from tests.support.hub import local_key_of

pytestmark = pytest.mark.slow

TEXT_LINE = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z (debug|info|warning|error|critical) [\w.]+: .*"
)
TOP = Path(__file__).parents[2]
SECONDS = 60


def check_line(line: str, format: str) -> str:
    """Return the level of a line, which must be of the format."""
    if format == "text":
        found = TEXT_LINE.fullmatch(line)
        assert found, line
        return found[1]
    event = json.loads(line)
    assert list(event)[:4] == ["timestamp", "level", "logger", "event"]
    return str(event["level"])


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    hooks, variable = (threading.excepthook, sys.unraisablehook), os.environ.get("GRPC_VERBOSITY")
    # Commands of other tests, in this process, may have captured warnings for good.
    logging.captureWarnings(False)
    yield
    threading.excepthook, sys.unraisablehook = hooks
    logging.captureWarnings(False)
    structlog.reset_defaults()
    if variable is None:
        os.environ.pop("GRPC_VERBOSITY", None)


VALUES = st.one_of(st.text(), st.integers(), st.none(), st.lists(st.text(), max_size=2))


@given(format=st.sampled_from(FORMATS), text=st.text(), value=VALUES)
@example(format="text", text="two\nlines \x1b[2J", value='a=b "c" \ud800')
@example(format="json", text="\u2028", value=float("nan"))
def test_an_event_of_anybody_is_one_line(format: str, text: str, value: Any) -> None:
    with pytest.MonkeyPatch.context() as patched:
        (written := _Lines()).install(patched)
        set_up_logging(LogSettings(format=format))
        logging.getLogger("library").warning("%s", text)
        structlog.get_logger("gnomon.part").error(text or "event", value=value)
        try:
            raise KeyError(text)
        except KeyError:
            logging.getLogger("library").exception("failed")
        levels = [check_line(line, format) for line in written.lines()]
    assert levels == ["warning", "error", "error"]


class _Lines:
    """Stands for standard error."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> None:
        self.text += text

    def flush(self) -> None:
        pass

    def install(self, patched: pytest.MonkeyPatch) -> None:
        patched.setattr(sys, "stderr", self)
        # Those of pytest, which are no part of a process.
        patched.setattr(logging.getLogger(), "handlers", [])

    def lines(self) -> list[str]:
        *lines, last = self.text.split("\n")
        assert last == ""
        return lines


class _Records(logging.Handler):
    """A handler of the program that this package is part of."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


@pytest.mark.parametrize("comes_first", [False, True])
def test_other_handlers_see_the_first_record_once(
    comes_first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    (written := _Lines()).install(monkeypatch)
    root, other = logging.getLogger(), _Records()
    install_handler(DeferredLogHandler(set_up_logging), logging.INFO)
    root.handlers.insert(0 if comes_first else 1, other)
    for message in ("first", "second"):
        logging.getLogger("library").warning(message)
    assert other.messages == ["first", "second"]
    assert [line.split()[-1] for line in written.lines()] == ["first", "second"]


def test_what_python_would_print_is_logged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (written := _Lines()).install(monkeypatch)
    set_up_logging(LogSettings(format="json"))

    class Bad:
        def __del__(self) -> None:
            raise ValueError("in a finalizer")

    thread = threading.Thread(target=lambda: [][0], name="worker")
    thread.start()
    thread.join()
    Bad()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old", DeprecationWarning, stacklevel=1)
    logging.getLogger("library").error("%d", "no number")
    events = [json.loads(line) for line in written.lines()]
    shown = " ".join(str(event["event"]) for event in events)
    assert all(part in shown for part in ("thread worker failed", "Bad.__del__", "old", "rendered"))
    (of_thread,) = (one for one in events if "thread worker failed" in str(one["event"]))
    assert "IndexError" in of_thread["exception"]


@pytest.mark.parametrize(
    "secret",
    [
        "gnomon_" + "A" * 43,
        "gnomon_0a1b2c3d_" + "-" * 43,
        "Bearer abcdefgh.ijkl",
        "postgresql://me:hush@db/hub",
        "-----BEGIN PRIVATE KEY-----\nMIGH\n-----END PRIVATE KEY-----",
    ],
)
def test_a_secret_within_a_text_is_redacted(secret: str) -> None:
    shown = redact_text(f"it was {secret} here")
    assert "(redacted)" in shown
    assert shown.startswith("it was ")
    assert shown.endswith(" here")
    assert not any(part in shown for part in ("AAAA", "----" + "-" * 20, "ijkl", "hush", "MIGH"))


def test_the_value_of_a_secret_name_is_redacted(monkeypatch: pytest.MonkeyPatch) -> None:
    (written := _Lines()).install(monkeypatch)
    set_up_logging(LogSettings())
    structlog.get_logger().info("made", api_key="short", model="eta", spans=["a"])
    (line,) = written.lines()
    assert line.endswith("made api_key=(redacted) model=eta spans=\"['a']\"")


def test_a_wrong_setting_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["--log-level", "loud", "config", "log"]) == 2
    assert "level 'loud' should be one of auto, debug, info" in capsys.readouterr().err
    monkeypatch.setenv("GNOMON_LOG_FORMAT", "yaml")
    assert run(["config", "log"]) == 2
    monkeypatch.setenv("GNOMON_LOG_FORMAT", "json")
    assert run(["config", "log"]) == 0
    assert "environment" in capsys.readouterr().out


class Process:
    """A command that runs until it is told to stop; what it writes goes to files."""

    def __init__(self, folder: Path, *arguments: str, **environment: str) -> None:
        self.out, self.err = folder / "out", folder / "err"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "gnomon", *arguments, "--json"],
            stdout=self.out.open("wb"),
            stderr=self.err.open("wb"),
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(TOP / "src")} | environment,
        )

    def ready(self) -> Any:
        """Return what it prints once it is ready."""
        for _ in range(SECONDS * 10):
            if text := self.out.read_text():
                return json.loads(text)
            assert self._process.poll() is None, self.err.read_text()
            threading.Event().wait(0.1)
        raise AssertionError(f"not ready: {self.err.read_text()}")

    def stop(self) -> list[str]:
        """End it; return the lines of its log."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        assert self._process.wait(SECONDS) == 0
        return self.err.read_text().splitlines()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    started: list[Process] = []

    def start(name: str, *arguments: str, **environment: str) -> Process:
        folder = tmp_path / name
        folder.mkdir(parents=True)
        started.append(Process(folder, *arguments, **environment))
        return started[-1]

    yield start
    for process in started:
        process.stop()


def start_hub(start: Callable[..., Process], name: str, *arguments: str) -> Process:
    ports = [f"--{port}-port=0" for port in ("rest", "enrolment", "sync")]
    return start(name, "hub", "run", "--data-folder", "data", *ports, *arguments)


@pytest.mark.parametrize("format", FORMATS)
def test_hub_server_and_agent_log_in_one_format(
    start: Callable[..., Process], format: str, tmp_path: Path
) -> None:
    flags = ["--log-format", format, "--log-level", "debug"]
    hub = start_hub(start, "hub", *flags)
    addresses = hub.ready()
    caller = httpx.Client(
        base_url=f"{addresses['rest']}/api/v1", headers=local_key_of(addresses["rest"])
    )
    tokens = [
        caller.post("tokens", json={"role": "node", "name": name}).json()
        for name in ("server", "device")
    ]
    node = [
        *("--hub", addresses["sync"], "--enrolment", addresses["enrolment"]),
        *("--authority-fingerprint", addresses["fingerprint"], "--data-folder", "data"),
    ]
    token = tokens[0]["token"]
    ports = ["--port=0", "--rest-port=0"]
    server = start("serve", "serve", "--name=server", "--token", token, *ports, *node, *flags)
    httpx.get(f"{server.ready()['rest']}/v2/health/live")
    settings = {"GNOMON_LOG_FORMAT": format, "GNOMON_LOG_LEVEL": "debug"}
    token = tokens[1]["token"]
    agent = start("agent", "agent", "--name=device", "--token", token, *node, **settings)
    for _ in range(SECONDS * 10):
        if len(caller.get("nodes").json()) == 2:
            break
        threading.Event().wait(0.1)
    # No model is in service yet: an agent that waits for one ends when it is told to, too.
    written = {"serve": server.stop(), "agent": agent.stop(), "hub": hub.stop()}
    for name, expected in (
        ("hub", ("alembic", "uvicorn", "gnomon.server")),
        ("serve", ("uvicorn", "gnomon.runtime", "gnomon.server")),
        ("agent", ("gnomon.runtime",)),
    ):
        lines = written[name]
        for line in lines:
            assert not any(one["token"] in line for one in tokens)
            check_line(line, format)
        for logger in expected:
            assert any(logger in line for line in lines), (name, logger, lines)


def test_the_level_holds_for_every_library(start: Callable[..., Process]) -> None:
    hub = start_hub(start, "hub", "--log-level", "error")
    hub.ready()
    assert hub.stop() == []


def test_a_command_that_logs_has_the_format_of_the_settings(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    assert run(["--log-format", "json", "registry", "show", "eta"]) == 2
    capsys.readouterr()
    logging.getLogger("library").info("below the level")
    logging.getLogger("library").warning("said by a library")
    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line)["event"] == "said by a library"


@pytest.mark.parametrize("level", ["debug", "info"])
def test_no_log_holds_the_path_of_a_url(level: str, capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging(LogSettings(level=level))
    answer = httpx.MockTransport(lambda _: httpx.Response(204))
    with httpx.Client(transport=answer) as http:
        http.post("https://board.example/hooks/hidden")
    assert "hidden" not in capsys.readouterr().err
