"""`gnomon agent status|logs|doctor` and what systemd is told, with and without a running agent."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from gnomon.command.agent.log_file import log_to_file, read_log
from gnomon.command.agent.monitor import DaemonMonitor
from gnomon.command.agent.run import _wait_ready
from gnomon.command.agent.systemd import notify, watchdog_seconds
from gnomon.command.root import EXIT_CODES, run
from gnomon.edge.status import NodeStatus
from gnomon.edge.status_file import read_status_file, write_status_file
from gnomon.edge.trust_state import TrustStatus
from gnomon.runtime.errors import GnomonError, NotAllowed, NotReady
from tests.support.packages import make_package
from tests.support.waiting import wait_for


class Manager:
    """Takes what a process tells systemd."""

    def __init__(self, path: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(path)
        self._socket.settimeout(30)

    def next(self) -> dict[str, str]:
        message = self._socket.recv(10_000).decode()
        return dict(line.split("=", 1) for line in message.splitlines())

    def next_with(self, name: str) -> dict[str, str]:
        while name not in (message := self.next()):
            pass
        return message

    def is_silent(self) -> bool:
        self._socket.settimeout(0)
        try:
            self._socket.recv(1)
        except BlockingIOError:
            return True
        return False

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Manager]:
    path = tmp_path / "notify"
    manager = Manager(str(path))
    monkeypatch.setenv("NOTIFY_SOCKET", str(path))
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    monkeypatch.setenv("WATCHDOG_USEC", "3000000")
    yield manager
    manager.close()


class Node:
    """What the monitor asks of a node."""

    def __init__(self) -> None:
        self.stalls: tuple[str, ...] = ()

    def status(self) -> NodeStatus:
        return STATUS

    def stalled(self) -> tuple[str, ...]:
        return self.stalls

    def refusal(self) -> GnomonError | None:
        return None


STATUS = NodeStatus(
    name="device-1",
    step="idle",
    generation=7,
    refused_generation=7,
    reason="WARM: eta@2: golden samples differ",
    models={"eta": ("eta@1",)},
    is_enrolled=True,
    is_hub_reachable=False,
    last_error="the hub cannot be reached",
    spool=None,
    last_error_at=1_772_366_400.0,
    clock_offset_seconds=7_200.0,
    certificate_expires_at=1_772_366_400.0,
    warnings=("this machine's clock is 7200 s behind the hub's",),
    refused={"eta@2": "WARM: eta@2: golden samples differ"},
)


def test_systemd_gets_signs_of_life_only_while_all_threads_work(
    manager: Manager, tmp_path: Path
) -> None:
    node: Any = Node()
    monitor = DaemonMonitor(node, tmp_path / "data", "unix:/run/agent.socket")
    assert monitor.pause_seconds == 1.0
    monitor.tick()
    first = manager.next()
    assert first["READY"] == "1"
    assert first["STATUS"] == "serves eta@1; the hub cannot be reached"
    assert manager.next() == {"WATCHDOG": "1"}
    monitor.tick()
    assert manager.next() == {"WATCHDOG": "1"}
    node.stalls = ("node-sync",)
    monitor.tick()
    assert "stopped to work: node-sync" in manager.next()["STATUS"]
    assert manager.is_silent()
    status = read_status_file(tmp_path / "data")
    assert status is not None
    assert status["stalled"] == ["node-sync"]
    assert status["socket"] == "unix:/run/agent.socket"


def test_an_agent_that_waits_for_a_model_says_so_now_and_then(
    manager: Manager, tmp_path: Path
) -> None:
    node: Any = Node()
    node.ready = lambda _seconds: False
    monitor = DaemonMonitor(node, tmp_path, "")
    with pytest.raises(NotReady, match=r"after 0\.5 s: WARM"):
        _wait_ready(node, 0.5, threading.Event(), monitor)
    assert manager.next()["READY"] == "1"
    assert manager.next() == {"WATCHDOG": "1"}
    assert manager.is_silent()  # not at each look


def test_an_agent_whose_enrolment_is_refused_waits_no_longer(tmp_path: Path) -> None:
    node: Any = Node()
    node.ready = lambda _seconds: False
    node.refusal = lambda: NotAllowed("the token is not known here")
    monitor = DaemonMonitor(node, tmp_path, "")
    with pytest.raises(NotAllowed, match="the token is not known here") as caught:
        _wait_ready(node, 3_600.0, threading.Event(), monitor)
    assert EXIT_CODES[caught.value.fault] == 2


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "2000000"}, 2.0),
        ({"WATCHDOG_USEC": "2000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "x"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
    ],
)
def test_the_watchdogs_time_is_that_of_this_process(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], expected: float | None
) -> None:
    for name in ("WATCHDOG_USEC", "WATCHDOG_PID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert watchdog_seconds() == expected


def test_an_abstract_socket_is_found_and_a_missing_one_stops_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    name = f"gnomon-test-{os.getpid()}"
    manager = Manager(f"\0{name}")
    monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")
    notify(READY=1)
    assert manager.next() == {"READY": "1"}
    manager.close()
    notify(READY=1)
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "none"))
    notify(READY=1)


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code = run(["agent", *arguments])
    return code, capsys.readouterr().out


def test_a_stopped_agent_is_told_from_what_it_left(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    tmp_path.chmod(0o700)
    at = f"--data-folder={tmp_path}"
    code, text = told(capsys, "status", at)
    assert (code, "has left no status" in text) == (1, True)
    assert told(capsys, "doctor", at) == (0, "nothing is wrong\n")
    about = {"pid": 999_999_999, "socket": "", "stalled": [], "written_at": time.time() - 7_200}
    write_status_file(tmp_path, asdict(STATUS) | about)
    code, text = told(capsys, "status", at)
    assert code == 1
    for part in ("does not run", "eta@1", "refused eta@2", "golden", "+7200 s", "2026-03-01T12:00"):
        assert part in text
    code, text = told(capsys, "status", at, "--json")
    assert json.loads(text)["status"]["last_error"] == "the hub cannot be reached"
    code, text = told(capsys, "doctor", at, "--json")
    found = {one["where"]: one for one in json.loads(text)["problems"]}
    assert code == 1
    assert {"eta@2", "hub"} <= found.keys()
    code, text = told(capsys, "doctor", at)
    assert "what to do: mend the package" in text


def test_status_and_doctor_say_what_is_wrong_with_trust(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    finding = "the hub's audit chain was rewritten"
    trust = TrustStatus("simple", {}, None, "the snapshot is older", ("eta@1",), None, (finding,))
    status = replace(STATUS, trust=trust, warnings=(*STATUS.warnings, finding))
    about = {"pid": 999_999_999, "socket": "", "stalled": [], "written_at": time.time()}
    write_status_file(tmp_path, asdict(status) | about)
    at = f"--data-folder={tmp_path}"
    text = " ".join(told(capsys, "status", at)[1].replace("│", " ").split())
    for part in ("signed metadata the snapshot is older", "signed by no trusted key eta@1"):
        assert part in text
    assert text.count(finding) == 1
    text = " ".join(told(capsys, "doctor", at)[1].split())
    assert f"{finding} what to do: ask who runs the hub whether it was restored" in text


def test_the_folder_comes_from_flag_environment_or_file(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GNOMON_NODE_DATA_FOLDER", raising=False)

    def folder(*arguments: str) -> str:
        return str(json.loads(told(capsys, "status", "--json", *arguments)[1])["data_folder"])

    assert folder() == "node-data"
    (tmp_path / "gnomon.toml").write_text('[node]\ndata_folder = "from-file"\n')
    assert folder() == "from-file"
    monkeypatch.setenv("GNOMON_NODE_DATA_FOLDER", "from-environment")
    assert folder() == "from-environment"
    assert folder("--data-folder=from-flag") == "from-flag"


@pytest.mark.slow
def test_a_running_agent_answers_status_doctor_logs_and_systemd(
    capsys: pytest.CaptureFixture[str], manager: Manager, tmp_path: Path
) -> None:
    package = make_package(tmp_path / "eta-1", None).path
    data = tmp_path / "data"
    arguments = ["--packages", str(package), "--data-folder", str(data)]
    agent = subprocess.Popen([sys.executable, "-m", "gnomon", "agent", *arguments])
    try:
        assert manager.next_with("READY")["STATUS"] == "serves eta@1"
        assert manager.next_with("WATCHDOG")["WATCHDOG"] == "1"
        at = f"--data-folder={data}"
        code, text = told(capsys, "status", at, "--json")
        known = json.loads(text)
        assert (code, known["is_running"], known["is_current"]) == (0, True, True)
        assert known["status"]["models"] == {"eta": ["eta@1"]}
        assert known["status"]["pid"] == agent.pid
        assert told(capsys, "doctor", at)[0] == 0
        assert "gRPC is served by" in told(capsys, "logs", at)[1]
        agent.terminate()
        assert manager.next_with("STOPPING")
        assert agent.wait(30) == 0
        assert told(capsys, "status", at)[0] == 1
    finally:
        agent.kill()


def test_the_log_is_small_for_its_owner_only_and_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import logging

    root = logging.getLogger()
    before = list(root.handlers)
    monkeypatch.setattr("gnomon.command.agent.log_file._FILE_BYTES", 2_000)
    try:
        log_to_file(tmp_path)
        for number in range(100):
            root.error("line %d of the log of an agent", number)
        assert (tmp_path / "agent.log").stat().st_mode & 0o777 == 0o600
        assert sum(path.stat().st_size for path in tmp_path.glob("agent.log*")) <= 4_000
        assert read_log(tmp_path, 2)[-1].endswith("line 99 of the log of an agent")
        log_to_file(tmp_path / "missing")
        root.error("this reaches the first file")
    finally:
        for handler in [one for one in root.handlers if one not in before]:
            root.removeHandler(handler)
            handler.close()
    assert read_log(tmp_path, 1)[0].endswith("this reaches the first file")
    assert wait_for(lambda: read_log(tmp_path / "missing", 5) == [])
