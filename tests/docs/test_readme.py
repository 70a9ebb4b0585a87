"""Every code block of the README does what it says, on what the demo left."""

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.demo import Played

README = Path(__file__).parents[2] / "README.md"
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)
PYTHON = [text for language, text in BLOCKS if language == "python"]
SHELL = [text for language, text in BLOCKS if language == "sh"]
PORT = "8500"


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def run_python(text: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", text], cwd=folder, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_two_commands_are_verbs_of_the_makefile() -> None:
    makefile = (README.parent / "Makefile").read_text(encoding="utf-8")
    for line in SHELL[0].splitlines():
        command, verb = line.split("#")[0].split()
        assert command == "make"
        assert re.search(rf"^{verb}:", makefile, flags=re.MULTILINE)


def test_the_embedded_agent_predicts_and_refuses(played: Played) -> None:
    minutes, refusal = run_python(PYTHON[0], played.folder).splitlines()
    assert 200 < float(minutes.split()[0]) < 500
    assert "distance" in refusal
    assert "-2565" in refusal


def test_the_server_answers_the_client(played: Played) -> None:
    port = free_port()
    command = SHELL[1].strip().replace(".venv/bin/gnomon", f"{sys.executable} -m gnomon").split()
    server = subprocess.Popen(
        command,
        cwd=played.folder,
        env=os.environ | {"GNOMON_SERVE_PORT": str(port), "GNOMON_SERVE_REST_PORT": "0"},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout is not None
        assert str(port) in server.stdout.readline()
        assert f"localhost:{PORT}" in PYTHON[1]
        answer = run_python(PYTHON[1].replace(PORT, str(port)), played.folder)
        assert 200 < float(answer.strip("[] minutes\n")) < 500
    finally:
        server.send_signal(signal.SIGTERM)
        assert server.wait(30) == 0


def test_no_block_is_left_out() -> None:
    assert len(PYTHON) == 2
    assert len(SHELL) == 2
    assert {language for language, _ in BLOCKS} == {"python", "sh"}


@pytest.mark.parametrize("path", re.findall(r"\]\((\S+?)\)", README.read_text(encoding="utf-8")))
def test_links_lead_somewhere(path: str) -> None:
    assert (README.parent / path).exists()
