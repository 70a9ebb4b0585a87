"""`gnomon stream` as a process: files, pipes, signals, and kills at any moment."""

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.support import killed_consumers as scenes
from tests.support.records import BAD, GOOD, lines

COUNT = 1_000


def whole_lines(path: Path) -> list[bytes]:
    """Return the lines of a file that have an end."""
    data = path.read_bytes() if path.exists() else b""
    return data[: data.rfind(b"\n") + 1].splitlines()


@pytest.mark.slow
def test_killed_consumers_lose_nothing(start: scenes.Start, tmp_path: Path) -> None:
    source, sink = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_bytes(lines(*scenes.rows(COUNT)))
    duplicates = scenes.kill_again_and_again(
        start, lambda: whole_lines(sink), COUNT, 3, source=source, sink=sink, follow="true"
    )
    # Each kill costs the micro-batch under way at most.
    assert duplicates <= 3 * 20


def test_a_pipe_is_answered_row_by_row_until_it_ends(start: scenes.Start) -> None:
    process = start(subprocess.PIPE)
    assert process.stdin
    assert process.stdout
    process.stdin.write(lines(GOOD, BAD))
    process.stdin.flush()
    assert json.loads(process.stdout.readline())["id"] == "pipe:1"
    assert json.loads(process.stdout.readline())["error"] == "invalid_input"
    process.stdin.write(json.dumps(GOOD).encode())
    process.stdin.close()
    assert json.loads(process.stdout.readline())["outputs"]
    assert process.wait(20) == 0
    assert process.stderr
    assert json.loads(process.stderr.read().splitlines()[-1]) == {
        "answered": 2,
        "refused": 1,
        "batches": 2,
    }


@pytest.mark.slow
def test_a_named_pipe_outlives_those_who_write_into_it(start: scenes.Start, tmp_path: Path) -> None:
    source, sink, refused = (tmp_path / name for name in ("pipe", "out", "refused"))
    os.mkfifo(source)
    process = start(source=source, sink=sink, refused=refused)
    for count in (1, 2):
        source.write_bytes(lines(GOOD, BAD))
        scenes.wait_for(lambda least=count: len(whole_lines(refused)) >= least, process)  # type: ignore[misc]
    assert len(whole_lines(sink)) == 2
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0


@pytest.mark.slow
def test_what_is_wrong_is_reported_by_its_exit_code(start: scenes.Start, tmp_path: Path) -> None:
    codes = []
    for settings in (
        {"source": tmp_path / "nothing"},
        {"source": "nats://127.0.0.1:1/x"},
        {"model": "other", "source": "redis://here"},
        {"max_rows": 0},
    ):
        process = start(**settings)
        codes.append(process.wait(60))
        assert process.stderr
        assert b"Traceback" not in process.stderr.read()
    assert codes == [5, 2, 2, 2]
