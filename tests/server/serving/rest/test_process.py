"""A whole server by command: both frontends, its log, and a drain that is told before it begins."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from gnomon import Client
from gnomon.runtime.packages.package import Package
from tests.support.packages import linear_onnx

GOOD = {"distance": 800.0, "wind": 10.0, "carrier": "UA"}


@pytest.mark.slow
def test_one_command_opens_both_frontends(package: Package) -> None:
    command = [sys.executable, "-m", "gnomon", "serve", "--json", "--packages", str(package.path)]
    command += ["--port", "0", "--rest-port", "0", "--notice-seconds", "1", "--log-format", "json"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout
            addresses = json.loads(process.stdout.readline())
            log = ask(addresses, process)
        finally:
            process.kill()
    events = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    (refused,) = [event for event in events if event["event"] == "call_refused"]
    assert (refused["frontend"], refused["request_id"], refused["code"]) == (
        "rest",
        "bad-1",
        "invalid_input",
    )
    assert "4711" not in log


def ask(addresses: dict[str, str], process: "subprocess.Popen[str]") -> str:
    """Ask both frontends, drain the server, and return its log."""
    with httpx.Client(base_url=addresses["rest"], trust_env=False, timeout=10) as http:
        rows: dict[str, Any] = {"instances": [GOOD]}
        answer = http.post("/v1/models/eta:predict", json=rows)
        assert answer.json()["predictions"][0]["air_time"] == 111.0
        rows = {"instances": [GOOD | {"distance": -4711}], "id": "bad-1"}
        assert http.post("/v1/models/eta:predict", json=rows).status_code == 422
        with Client(addresses["grpc"]) as client:
            assert client.predict("eta", GOOD)[0].outputs == {"air_time": 111.0}
        assert 'outcome="answered"' in http.get("/metrics").text
        process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + 10
        while http.get("/v2/health/ready").status_code == 200:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        rows = {"instances": [GOOD]}
        assert http.post("/v1/models/eta:predict", json=rows).status_code == 200
    _, log = process.communicate(timeout=20)
    assert process.returncode == 0, log
    return log


@pytest.mark.slow
def test_a_bare_file_is_served_by_one_command_and_swapped_on_a_signal(tmp_path: Path) -> None:
    file = tmp_path / "linear.onnx"
    file.write_bytes(linear_onnx([1.0, 2.0], 0.0))
    command = [sys.executable, "-m", "gnomon", "serve", str(file), "--json", "--port", "0"]
    command += ["--rest-port", "0", "--notice-seconds", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout
            addresses = json.loads(process.stdout.readline())
            row = {"features_0": 1.0, "features_1": 1.0}
            with Client(addresses["grpc"]) as client:
                assert client.predict("linear", row)[0].outputs == {"air_time": 3.0}
                url = f"{addresses['rest']}/v1/models/linear:predict"
                answer = httpx.post(url, json={"instances": [row]}, trust_env=False, timeout=30)
                assert answer.json()["predictions"] == [{"air_time": 3.0}]
                file.write_bytes(linear_onnx([1.0, 6.0], 0.0))
                process.send_signal(signal.SIGHUP)
                deadline = time.monotonic() + 30
                while client.predict("linear", row)[0].outputs != {"air_time": 7.0}:
                    assert time.monotonic() < deadline
            process.send_signal(signal.SIGTERM)
            _, log = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 0, log
    assert log.count("linear@1 is the bare file") == 2
    assert "(features_0 FP32, features_1 FP32), without ranges, categories" in log
