"""`docs/agent.md`: the agent's process answers the page's program, run as they stand there."""

import re
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gnomon.edge.standalone.standalone_node import StandaloneNode
from gnomon.runtime.packages.package import Package
from gnomon.server.serving.socket_server import SocketServer
from tests.support.names import ROOT
from tests.support.waiting import wait_for

SECTION = (
    (ROOT / "docs" / "agent.md")
    .read_text(encoding="utf-8")
    .partition("## Other programs on the device")[2]
    .partition("\n## ")[0]
)


def blocks(language: str, text: str = SECTION) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def test_a_program_sends_labels_to_the_agents_process(
    package: Package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (ROOT / "docs" / "labels.md").read_text(encoding="utf-8")
    (program,) = [one for one in blocks("python", page) if "agent.socket" in one]
    given: list[Any] = []
    with StandaloneNode("device", [package.path], None) as node:
        monkeypatch.setattr(node, "label", lambda *parts: given.append(parts))
        server = SocketServer(node, tmp_path / "agent.socket")
        server.open()
        try:
            exec(program.replace("/var/lib/gnomon-agent", str(tmp_path)), {})
        finally:
            server.close(1)
    assert given == [("eta", "order-7", 31.5, None)]


@pytest.mark.slow
def test_a_program_predicts_through_the_agents_process(package: Package, tmp_path: Path) -> None:
    socket = tmp_path / "run" / "agent.socket"

    def here(text: str) -> str:
        text = text.replace("/run/gnomon/agent.socket", str(socket))
        return text.replace("/var/lib/gnomon-agent", str(tmp_path / "data"))

    (command,) = blocks("sh")
    (program,) = blocks("python")
    arguments = [*here(command).split()[1:], "--packages", str(package.path)]
    agent = subprocess.Popen([sys.executable, "-m", "gnomon", *arguments], cwd=tmp_path)
    try:
        wait_for(socket.exists)
        answered: dict[str, Any] = {}
        exec(here(program), answered)
        assert answered["answer"].version == "1"
        assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700
        second = subprocess.run(
            [sys.executable, "-m", "gnomon", *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert second.returncode == 2
        assert f"no agent can answer on unix:{socket}" in second.stderr
        agent.send_signal(signal.SIGTERM)
        assert agent.wait(30) == 0
        assert not socket.exists()
    finally:
        agent.kill()
