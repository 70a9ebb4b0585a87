"""The doors for gRPC beside each other: `python -m gnomon.bench.serving`.

Whole servers in processes of their own, with contract and window on, asked for one row of ten
fields by h2load in a closed loop: so many connections with one stream each, or one connection with
so many streams. The native door (`ours`) and grpcio's (`peer`) take turns round by round, so that a
noisy machine hits both; the figures are the least of the rounds. "CPU" is the CPU time of the
server's threads, "time" the wall clock's, both for a request that was answered.
"""

import json
import math
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any

from gnomon.bench.contract import Result
from gnomon.bench.serving_package import make_package, make_request
from gnomon.runtime.package import Package
from gnomon.runtime.routes import single
from gnomon.runtime.runtime import Runtime
from gnomon.server.serving.native.eligible import native_lanes
from gnomon.server.serving.native.lane import Table

__all__ = ["main", "run"]

ROUNDS = 5
#: Connections, and streams of each.
LOADS = ((1, 1), (8, 1), (64, 1), (1, 8), (8, 8))
#: Those that are measured beside a busy thread too.
BUSY_LOADS = ((1, 1), (8, 8))
CALLS = 10_000
STAGE_ROUNDS = 20
#: Server CPU in µs a request that is promised, by concurrency.
PROMISED_US = {1: 14.0, 64: 9.0}
#: Seconds of each measurement.
SECONDS = 2

Loads = tuple[tuple[int, int], ...]
Stages = Mapping[str, float]
#: By door, connections and streams: ns of CPU and of time a request.
Figures = dict[tuple[str, int, int], tuple[float, float]]

BURNER = "while True: sum(range(1000))"
SERVER = """
import json, sys, threading
from pathlib import Path
from gnomon.edge.settings import NodeSettings
from gnomon.server.serving.process import serve
from gnomon.server.serving.settings import ServeSettings

def burn():
    while True:
        sum(range(1000))

given = json.loads(sys.argv[1])
if given["busy"]:
    threading.Thread(target=burn, daemon=True).start()
serve(ServeSettings(port=0, rest_port=-1, door=given["door"]),
      NodeSettings(packages=(Path(given["package"]),)),
      lambda addresses: print(addresses.grpc, flush=True))
"""


class _Nowhere:
    """A sink that keeps nothing."""

    def put(self, record: Any) -> None:
        """Forget the record."""


class Server:
    """A server in a process of its own, with a busy thread "inside" it, "outside" or nowhere ("").

    Both take a core away; that inside takes the interpreter's lock as well.
    """

    def __init__(self, package: Path, door: str, busy: str = "") -> None:
        given = json.dumps({"package": str(package), "door": door, "busy": busy == "inside"})
        self._burner = None
        if busy == "outside":
            self._burner = subprocess.Popen([sys.executable, "-c", BURNER])
        self._process = subprocess.Popen(
            [sys.executable, "-c", SERVER, given], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout  # noqa: S101
        self.address = self._process.stdout.readline().strip()

    def cpu_seconds(self) -> float:
        """Return the CPU time of all its threads so far, ended ones too."""
        # How Linux names the CPU clock of another process: clock_getcpuclockid(3).
        return time.clock_gettime((~self._process.pid << 3) | 2)

    def stop(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait(timeout=20)
        if self._burner is not None:
            self._burner.kill()
            self._burner.wait(timeout=20)


def run(rounds: int = ROUNDS) -> list[Result]:
    """Measure; without h2load (package nghttp2-client) there are only the stages in process."""
    with tempfile.TemporaryDirectory() as folder:
        package = make_package(Path(folder) / "bench-1")
        request = make_request()
        results = _stages(package, request)
        if shutil.which("h2load") is None:
            return results
        body = Path(folder) / "request.bin"
        body.write_bytes(b"\0" + len(request).to_bytes(4, "big") + request)
        idle = _least(package.path, body, rounds, LOADS)
        outside = _least(package.path, body, rounds, BUSY_LOADS, "outside")
        inside = _least(package.path, body, rounds, BUSY_LOADS, "inside")
    return [*results, *_compare(idle), *_compare_busy(outside, inside)]


def main() -> None:
    """Print the comparisons."""
    for result in run():
        print(result)


def _load(address: str, body: Path, clients: int, streams: int) -> tuple[int, float]:
    """Return how many requests were answered with gRPC's 0 within the time, and the seconds."""
    done = subprocess.run(
        [
            *("h2load", "-D", str(SECONDS), "-c", str(clients), "-m", str(streams)),
            *("-d", str(body), "-H", "content-type: application/grpc", "-H", "te: trailers"),
            f"http://{address}/inference.GRPCInferenceService/ModelInfer",
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    succeeded, failed = (
        int(re.findall(rf"(\d+) {word}", done.stdout)[0]) for word in ("succeeded", "failed")
    )
    if not succeeded or failed:
        raise RuntimeError(f"h2load: {succeeded} succeeded, {failed} failed")
    return succeeded, SECONDS


def _least(package: Path, body: Path, rounds: int, loads: Loads, busy: str = "") -> Figures:
    """Return the least ns of (CPU, time) a request by door and load, all in turn."""
    servers = {door: Server(package, door, busy) for door in ("native", "grpcio")}
    best: Figures = {}
    try:
        for _ in range(rounds):
            for (clients, streams), (door, server) in product(loads, servers.items()):
                before = server.cpu_seconds()
                count, seconds = _load(server.address, body, clients, streams)
                cpu = (server.cpu_seconds() - before) / count
                old = best.get((door, clients, streams), (math.inf, math.inf))
                new = (cpu * 1e9, seconds / count * 1e9)
                best[door, clients, streams] = (min(old[0], new[0]), min(old[1], new[1]))
    finally:
        for server in servers.values():
            server.stop()
    return best


def _compare(best: Figures) -> list[Result]:
    results = []
    for clients, streams in LOADS:
        ours, peer = best["native", clients, streams], best["grpcio", clients, streams]
        load = f"{clients} connections x {streams} streams"
        results.append(Result(f"CPU, {load}", "req", ours[0], peer[0], 1 / 20))
        promised = PROMISED_US.get(clients * streams)
        if promised is not None:
            what = f"CPU, {load}, of {promised:g} us promised"
            results.append(Result(what, "req", ours[0], promised * 1e3, 1.0))
        results.append(Result(f"time, {load}", "req", ours[1], peer[1], 1 / 12))
    return results


def _compare_busy(outside: Figures, inside: Figures) -> list[Result]:
    """Compare the time a request takes with a busy thread inside the server to one outside it."""
    return [
        Result(
            f"time, busy thread in {door} to busy elsewhere, {clients} connections x {streams}",
            "req",
            inside[door, clients, streams][1],
            outside[door, clients, streams][1],
            1.25 if door == "native" else None,
        )
        for (clients, streams), door in product(BUSY_LOADS, ("native", "grpcio"))
    ]


def _stages(package: Package, request: bytes) -> list[Result]:
    """Compare the contract's and the window's share to all that a request costs in C, HTTP/2 apart.

    One request of 61 is timed stage by stage; reading the clock is in the figures.
    """
    runtime = Runtime(_Nowhere())
    try:
        runtime.load(package)
        runtime.apply([single("bench", package.digest)])
        best: Stages = {}
        for _ in range(STAGE_ROUNDS):
            stages = _stage_round(runtime, request)
            if not best or sum(stages.values()) < sum(best.values()):
                best = stages
    finally:
        runtime.close()
    whole = sum(best.values())
    checks = best["check inputs"] + best["check outputs"] + best["count"]
    parts = [Result(f"stage: {name}, of all stages", "req", ns, whole) for name, ns in best.items()]
    return [*parts, Result("contract and window, of all stages", "req", checks, whole)]


def _stage_round(runtime: Runtime, request: bytes) -> Stages:
    table = Table(1.0)
    runtime.watch(follow := lambda served: table.publish(native_lanes(served)))
    for _ in range(CALLS):
        if table.try_message(request) is None:
            raise RuntimeError("the request went to Python")
    runtime.unwatch(follow)
    return table.stages


if __name__ == "__main__":
    main()
