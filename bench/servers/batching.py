"""Dynamic batching, with and without: `python -m gnomon.bench.servers.batching`.

Single rows of 64 callers at once (h2load, 64 connections in a closed loop) are answered one by one,
or gathered into shared runs: by gradient boosting of 100 trees, which hardly gains from it, and by
a network so wide that a single row waits for its weights to come from memory. By default Gnomon
leaves batching off if it does not pay; here it is always on, so that both can be seen. "Alone" is
the native frontend's own path: on its event loop or, for a slow model, on threads.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gnomon.bench.core.dense_network import dense_network
from gnomon.bench.servers import h2load
from gnomon.proto import inference_pb2 as oip
from gnomon.runtime.errors import ConfigurationError
from gnomon.runtime.packages.package import Package
from gnomon.runtime.raw_models.raw_model import write_raw_model

__all__ = ["main", "run"]

CALLERS = 64
FIELDS = 10
TREES = 100
WIDE = (FIELDS, 2048, 2048, 1)

_SERVER = """
import asyncio, sys
from pathlib import Path
from gnomon.runtime.models import batching_benefit
from gnomon.runtime.packages.manifest import Batching, Deployment
from gnomon.runtime.packages.package import Package
from gnomon.runtime.recording.sink import NullSink
from gnomon.runtime.routing.routes import single
from gnomon.runtime.runtime import Runtime
from gnomon.server.serving.handler import Handler
from gnomon.server.serving.native.frontend import NativeFrontend
from gnomon.server.serving.settings import FrontendSettings

async def main():
    batching_benefit.GATHERING_NS = -1e12
    runtime = Runtime(NullSink())
    package = Package.open(Path(sys.argv[1]), None)
    gathered = Deployment(batching=Batching(max_rows=64, max_delay_seconds=0.001))
    runtime.load(package, deployment=gathered if sys.argv[2] == "gathered" else None)
    runtime.apply([single("model", package.digest)])
    settings = FrontendSettings(port=0, threads=64, total_requests=0)
    frontend = NativeFrontend(Handler(runtime), settings)
    print(await frontend.open(), flush=True)
    await asyncio.sleep(3600)

asyncio.run(main())
"""


def run(rounds: int, seconds: int) -> list[dict[str, Any]]:
    """Measure all, in turn; the figures are the best of the rounds."""
    best: dict[tuple[str, str], dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        packages = {"100 trees": _trees(folder), "wide network": _wide(folder)}
        bodies = {model: _request(folder, package) for model, package in packages.items()}
        for _ in range(rounds):
            for model, package in packages.items():
                for way in ("alone", "gathered"):
                    found = _measure(package, way, bodies[model], seconds)
                    old = best.get((model, way))
                    if old is None or found["per_second"] > old["per_second"]:
                        best[model, way] = {"model": model, "way": way, **found}
    return list(best.values())


def _measure(package: Package, way: str, body: Path, seconds: int) -> dict[str, Any]:
    server = subprocess.Popen(
        [sys.executable, "-c", _SERVER, str(package.path), way], stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout  # noqa: S101
        address = server.stdout.readline().strip()
        h2load.closed_loop(address, body, CALLERS, 1, 1)
        clock = (~server.pid << 3) | 2
        before = time.clock_gettime(clock)
        answered = h2load.closed_loop(address, body, CALLERS, 1, seconds)
        cpu = time.clock_gettime(clock) - before
    finally:
        server.kill()
        server.wait(timeout=20)
    return {
        "per_second": round(answered / seconds),
        "cpu_us": round(cpu / answered * 1e6, 1),
    }


def _trees(folder: Path) -> Package:
    """Return gradient boosting of a hundred trees as a bare package."""
    from skl2onnx import to_onnx
    from sklearn.ensemble import GradientBoostingRegressor

    rng = np.random.default_rng(0)
    rows = rng.normal(size=(2_000, FIELDS)).astype(np.float32)
    labels = rows[:, 0] * rows[:, 1] + np.abs(rows[:, 2])
    trees = GradientBoostingRegressor(n_estimators=TREES, random_state=0).fit(rows, labels)
    content = to_onnx(trees, rows[:1], target_opset=17).SerializeToString()
    return _bare(folder, "trees", content)


def _wide(folder: Path) -> Package:
    return _bare(folder, "wide", dense_network(WIDE, "score"))


def _bare(folder: Path, name: str, content: bytes) -> Package:
    (folder / f"{name}.onnx").write_bytes(content)
    return write_raw_model(folder / f"{name}.onnx", folder / name, name, "1")


def _request(folder: Path, package: Package) -> Path:
    """Return a file with a request of one row for a package."""
    message = oip.ModelInferRequest(model_name="model")
    for field in package.profile.inputs:
        tensor = message.inputs.add(name=field.name, datatype="FP32", shape=[1, 1])
        tensor.contents.fp32_contents.append(0.5)
    encoded: bytes = message.SerializeToString()
    return h2load.write_body(folder / f"{package.manifest.name}.bin", encoded)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print one JSON line a model and way."""
    parser = argparse.ArgumentParser(prog="gnomon.bench.servers.batching", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=4)
    given = parser.parse_args(arguments)
    if not h2load.is_installed():
        raise ConfigurationError("h2load is missing; install nghttp2-client")
    for found in run(given.rounds, given.seconds):
        print(json.dumps(found))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
