"""A node says how it is in its data folder: when it has changed, else now and then."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gnomon.command.root import run
from gnomon.edge.agent import Agent
from gnomon.edge.standalone.standalone_node import StandaloneNode
from gnomon.edge.status_file import read_status_file
from gnomon.edge.status_writer import StatusWriter
from tests.support.packages import make_package
from tests.support.waiting import wait_for


@pytest.fixture
def node(tmp_path: Path) -> Iterator[StandaloneNode]:
    package = make_package(tmp_path / "eta-1", None)
    with StandaloneNode("device", [package.path], None) as node:
        yield node


def test_a_status_is_written_if_it_is_new_or_old(
    node: StandaloneNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1_000.0
    writer = StatusWriter(node, tmp_path / "data", {}, lambda: now)

    def written_at() -> float:
        found = read_status_file(tmp_path / "data")
        assert found is not None
        return float(found["written_at"])

    assert writer.tick() is not None
    now = 1_019.0
    assert writer.tick() is None
    assert written_at() == 1_000.0
    now = 1_020.0
    assert writer.tick() is not None
    assert written_at() == 1_020.0
    now = 1_021.0
    monkeypatch.setattr(node, "stalled", lambda: ("node-sync",))
    assert writer.tick() is not None
    assert written_at() == 1_021.0
    now = 1_000.0  # the clock was set back
    assert writer.tick() is not None
    writer.stop()
    found = read_status_file(tmp_path / "data")
    assert found is not None
    assert found["stopped_at"] == 1_000.0


def test_a_disk_that_cannot_be_written_stops_nothing_and_is_logged_once(
    node: StandaloneNode, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "data").write_text("no folder")
    now = 0.0
    writer = StatusWriter(node, tmp_path / "data", {}, lambda: now)
    for now in (100.0, 200.0, 300.0):  # noqa: B007 - read by the clock
        writer.tick()
    writer.stop()
    assert [record.getMessage()[:29] for record in caplog.records] == [
        "the status cannot be written "
    ]


def test_a_program_that_embeds_the_agent_is_seen_from_outside(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    status = ["agent", "status", f"--data-folder={data}"]
    agent = Agent(name="device-1", data=data, hub="127.0.0.1:9", token="t", stop_seconds=0.1)
    agent.start()
    try:
        wait_for(lambda: "authority_fingerprint" in str(read_status_file(data)))
        assert run(status) == 0
        assert "agent device-1 runs" in capsys.readouterr().out
    finally:
        agent.stop()
    assert run(status) == 1
    assert "agent device-1 does not run" in capsys.readouterr().out


def test_an_agent_that_was_never_started_can_be_stopped(tmp_path: Path) -> None:
    Agent(name="device-1", data=tmp_path / "data", hub="127.0.0.1:9", token="t").stop()
