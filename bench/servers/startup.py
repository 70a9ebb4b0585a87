"""How long `gnomon serve MODEL` takes to answer: `python -m gnomon.bench.servers.startup`.

From the start of the process to the first answer over gRPC and over REST, and to the log line
"serving", for a bare ONNX file. The figures are the least of the rounds, since other load can only
make them longer. The process's CPU time is what an idle machine would take.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path

import grpc

from gnomon.bench.core.dense_network import dense_network
from gnomon.bench.servers.http2_frames import INFER
from gnomon.proto import inference_pb2 as oip

__all__ = ["main", "measure"]

#: Seconds to the first answer over gRPC that keep the promise.
MUST_SECONDS = 1.0
_FIELDS = 10


def measure(model: Path) -> dict[str, float]:
    """Return seconds of one start."""
    command = [sys.executable, "-m", "gnomon", "serve", str(model), "--json"]
    command += ["--port", "0", "--rest-port", "0", "--notice-seconds", "0"]
    started = time.perf_counter()
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        try:
            assert server.stdout  # noqa: S101
            addresses = json.loads(server.stdout.readline())
            said = time.perf_counter() - started
            _ask_grpc(addresses["grpc"])
            answered = time.perf_counter() - started
            cpu = time.clock_gettime((~server.pid << 3) | 2)
            _ask_rest(addresses["rest"])
            rest = time.perf_counter() - started
        finally:
            server.terminate()
    return {"serving_s": said, "grpc_s": answered, "grpc_cpu_s": cpu, "rest_s": rest}


def _ask_grpc(address: str) -> None:
    message = oip.ModelInferRequest(model_name="model")
    for number in range(_FIELDS):
        tensor = message.inputs.add(name=f"features_{number}", datatype="FP32", shape=[1, 1])
        tensor.contents.fp32_contents.append(0.5)
    with grpc.insecure_channel(address) as channel:
        channel.unary_unary(INFER)(message.SerializeToString(), timeout=30)


def _ask_rest(url: str) -> None:
    with urllib.request.urlopen(f"{url}/v2/health/ready", timeout=30) as answer:  # noqa: S310
        answer.read()


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the least of the rounds as JSON; return 1 if gRPC took longer than promised."""
    parser = argparse.ArgumentParser(prog="gnomon.bench.servers.startup", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model.onnx"
        model.write_bytes(dense_network((_FIELDS, 32, 16, 1), "score"))
        found = [measure(model) for _ in range(given.rounds)]
    least = {name: round(min(one[name] for one in found), 3) for name in found[0]}
    print(json.dumps({**least, "must_s": MUST_SECONDS}))
    return int(least["grpc_s"] > MUST_SECONDS)


if __name__ == "__main__":
    raise SystemExit(main())
