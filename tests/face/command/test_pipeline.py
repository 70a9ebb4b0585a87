"""`gnomon pipeline`: a build that is killed goes on; what fails ends nothing but itself."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from gnomon.delivery.pipeline_watch import PipelineWatch
from gnomon.delivery.run_sender import PipelineSettings
from tests.support.builds import BUILD, STEPS, write_build

pytestmark = pytest.mark.slow

SECONDS = 120


def start(folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "gnomon", "pipeline", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(folder: Path, *arguments: str, code: int = 0) -> Any:
    process = start(folder, *arguments, "--json")
    output, errors = process.communicate(timeout=SECONDS)
    assert process.returncode == code, errors
    return json.loads(output)


def test_a_build_that_is_killed_continues_after_its_last_step(tmp_path: Path) -> None:
    waiting = STEPS.replace(
        "    assert model.read_bytes()\n",
        "    import time\n"
        "    Path('reached').touch()\n"
        "    while Path('wait').exists():\n"
        "        time.sleep(0.05)\n",
    )
    write_build(tmp_path, steps=waiting)
    (tmp_path / "wait").touch()
    killed = start(tmp_path, "run", "build.toml")
    deadline = time.monotonic() + SECONDS
    while not (tmp_path / "reached").exists() and time.monotonic() < deadline:
        assert killed.poll() is None, killed.communicate()
        time.sleep(0.05)
    killed.send_signal(signal.SIGKILL)
    killed.communicate(timeout=SECONDS)
    (tmp_path / "wait").unlink()

    done = run(tmp_path, "run", "build.toml")
    states = {step["name"]: step["state"] for step in done["steps"]}
    assert states == {
        "rows": "cached",
        "test-rows": "cached",
        "model": "cached",
        "metrics": "done",
        "package": "done",
    }
    (path,) = done["paths"]
    assert (tmp_path / path / "manifest.json").is_file()
    newest, first = run(tmp_path, "runs")
    assert (newest["id"], newest["state"]) == (done["id"], "succeeded")
    assert first["state"] == "interrupted"
    assert [step["name"] for step in first["steps"]] == ["rows", "test-rows", "model"]


def test_what_fails_says_why_and_is_listed(tmp_path: Path) -> None:
    write_build(tmp_path, steps=STEPS.replace("assert model.read_bytes()", "model.nothing()"))
    failed = run(tmp_path, "run", "build.toml", code=1)
    assert failed["state"] == "failed"
    assert "has no attribute 'nothing'" in failed["error"]
    shown = run(tmp_path, "runs", failed["id"])
    assert shown["log"] == failed["log"] != ""


def test_a_schedule_survives_a_run_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
    when = '[when]\ncron = "* * * * *"\n[parameters]'
    steps = STEPS.replace("assert model.read_bytes()", "import os; os.abort()")
    path = write_build(tmp_path, BUILD.replace("[parameters]", when), steps)
    settings = PipelineSettings(state_folder=tmp_path / "state")
    # As if it had been off since yesterday: whatever passed meanwhile makes one run.
    settings.state_folder.mkdir()
    seen = {str(path): {"at": time.time() - 86_400}}
    (settings.state_folder / "triggers.json").write_text(json.dumps(seen))
    config = tmp_path / "settings.toml"
    config.write_text("[pipeline]\npoll_seconds = 5\n")
    said: list[str] = []
    watch = PipelineWatch([path], settings, [], said.append, str(config))
    assert watch.check() == 1
    assert "schedule" in said[0]
    assert "ended with -6" in said[1]
    assert 0 <= watch.pause_seconds() <= 60
    seen = json.loads((tmp_path / "state" / "triggers.json").read_text())
    assert seen[str(path)]["at"] == pytest.approx(time.time(), abs=SECONDS)
    (record,) = run(tmp_path, "runs", "--state-folder", "state")
    assert record["state"] == "running"
