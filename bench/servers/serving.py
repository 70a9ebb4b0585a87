"""The native frontend against other gRPC servers: `python -m gnomon.bench.servers.serving`.

Whole servers in processes of their own answer requests of one row of ten fields from h2load in a
closed loop, over given numbers of connections and streams. Gnomon's has contract and window on; the
others (plain grpc.aio, C++ gRPC with callbacks and with a completion queue) only run the model. All
alternate round by round, so that other load on the machine affects all; the figures are the least
of the rounds. "CPU" is the CPU time of the server's threads, "time" the wall time, both for one
answered request. Without gRPC's C++ library those servers are left out
(`gnomon.bench.peers.cpp.NEEDS`).
"""

import argparse
import math
import tempfile
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from gnomon.bench.core.contract import CostComparison
from gnomon.bench.peers import cpp
from gnomon.bench.servers import h2load
from gnomon.bench.servers.processes import OURS, Server, start
from gnomon.bench.servers.serving_package import make_package, make_request
from gnomon.runtime.packages.package import Package
from gnomon.runtime.recording.sink import NullSink
from gnomon.runtime.routing.routes import single
from gnomon.runtime.runtime import Runtime
from gnomon.server.serving.admission.clients import Clients
from gnomon.server.serving.native.eligible import native_routes
from gnomon.server.serving.native.route_table import NativeRouteTable

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
#: By peer: the greatest ratio of CPU and of time that keeps the promise.
MUST: Mapping[str, tuple[float | None, float | None]] = {
    "aio": (1 / 20, 1 / 12),
    "cpp-queue": (1 / 1.8, None),
    "cpp-callback": (1 / 1.8, None),
}
CPP_PEERS = ("cpp-callback", "cpp-queue")
#: Seconds of each measurement.
SECONDS = 2

Loads = tuple[tuple[int, int], ...]
Stages = Mapping[str, float]
#: By server, connections and streams: ns of CPU and of time a request.
Figures = dict[tuple[str, int, int], tuple[float, float]]


def run(rounds: int = ROUNDS) -> list[CostComparison]:
    """Measure; without h2load (package nghttp2-client) there are only the stages in process."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        package = make_package(folder / "bench-1")
        request = make_request()
        results = _stages(package, request)
        if not h2load.is_installed():
            return results
        body = h2load.write_body(folder / "request.bin", request)
        program = cpp.build(folder)
        peers = CPP_PEERS if program else ()
        kinds = ("native", "grpcio", "aio", *peers)
        idle = _least(package.path, body, rounds, LOADS, kinds, program=program)
        busy = {
            where: _least(package.path, body, rounds, BUSY_LOADS, OURS, busy=where)
            for where in ("outside", "inside")
        }
    return [
        *results,
        *_compare(idle, peers),
        *_compare_busy(busy["outside"], busy["inside"]),
        *run_loading(rounds),
    ]


def run_loading(rounds: int = ROUNDS) -> list[CostComparison]:
    """Compare a model loaded beside a busy thread, which has ended since, to one loaded in peace.

    Both servers answer in turn. The ratio of times a request is that of requests a second.
    """
    with tempfile.TemporaryDirectory() as name:
        package = make_package(Path(name) / "bench-1")
        body = h2load.write_body(Path(name) / "request.bin", make_request())
        servers = {busy: start("native", package.path, busy=busy) for busy in ("loading", "")}
        best = _measure(body, rounds, BUSY_LOADS, servers)
    return [
        CostComparison(
            f"time, loaded beside a busy thread to in peace, {clients} connections x {streams}",
            "req",
            best["loading", clients, streams][1],
            best["", clients, streams][1],
            1.25,
        )
        for clients, streams in BUSY_LOADS
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the comparisons."""
    parser = argparse.ArgumentParser(prog="gnomon.bench.servers.serving", description=__doc__)
    parser.add_argument("--only-loading", action="store_true", help="only what loading changes")
    for result in run_loading() if parser.parse_args(arguments).only_loading else run():
        print(result)


def _least(
    package: Path, body: Path, rounds: int, loads: Loads, kinds: Sequence[str], **given: Any
) -> Figures:
    """Return the least ns of (CPU, time) a request by server and load, all in turn."""
    return _measure(body, rounds, loads, {kind: start(kind, package, **given) for kind in kinds})


def _measure(body: Path, rounds: int, loads: Loads, servers: Mapping[str, Server]) -> Figures:
    """Return the least ns of (CPU, time) a request by server and load, all in turn; stop them."""
    best: Figures = {}
    try:
        for _ in range(rounds):
            for (clients, streams), (kind, server) in product(loads, servers.items()):
                before = server.cpu_seconds()
                count = h2load.closed_loop(server.address, body, clients, streams, SECONDS)
                cpu = (server.cpu_seconds() - before) / count
                old = best.get((kind, clients, streams), (math.inf, math.inf))
                new = (cpu * 1e9, SECONDS / count * 1e9)
                best[kind, clients, streams] = (min(old[0], new[0]), min(old[1], new[1]))
    finally:
        for server in servers.values():
            server.stop()
    return best


def _compare(best: Figures, peers: Sequence[str]) -> list[CostComparison]:
    results = []
    for clients, streams in LOADS:
        load = f"{clients} connections x {streams} streams"
        ours = best["native", clients, streams]
        promised = PROMISED_US.get(clients * streams)
        if promised is not None:
            what = f"CPU, {load}, of {promised:g} us promised"
            results.append(CostComparison(what, "req", ours[0], promised * 1e3, 1.0))
        for kind in ("grpcio", "aio", *peers):
            peer = best[kind, clients, streams]
            times, faster = MUST.get(kind, (None, None))
            results.append(
                CostComparison(f"CPU, {load}, to {kind}", "req", ours[0], peer[0], times)
            )
            results.append(
                CostComparison(f"time, {load}, to {kind}", "req", ours[1], peer[1], faster)
            )
    return results


def _compare_busy(outside: Figures, inside: Figures) -> list[CostComparison]:
    """Compare the time a request takes with a busy thread inside the server to one outside it."""
    return [
        CostComparison(
            f"time, busy thread in {frontend} to busy elsewhere, {clients} connections x {streams}",
            "req",
            inside[frontend, clients, streams][1],
            outside[frontend, clients, streams][1],
            1.25 if frontend == "native" else None,
        )
        for (clients, streams), frontend in product(BUSY_LOADS, ("native", "grpcio"))
    ]


def _stages(package: Package, request: bytes) -> list[CostComparison]:
    """Compare the contract's and the window's share to all that a request costs in C, HTTP/2 apart.

    One request of 61 is timed stage by stage; reading the clock is in the figures.
    """
    runtime = Runtime(NullSink())
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
    parts = [
        CostComparison(f"stage: {name}, of all stages", "req", ns, whole)
        for name, ns in best.items()
    ]
    return [*parts, CostComparison("contract and window, of all stages", "req", checks, whole)]


def _stage_round(runtime: Runtime, request: bytes) -> Stages:
    table = NativeRouteTable(1.0)
    runtime.watch(follow := lambda served: table.publish(native_routes(served, Clients())))
    for _ in range(CALLS):
        if table.try_message(request) is None:
            raise RuntimeError("the request went to Python")
    runtime.unwatch(follow)
    return table.stages


if __name__ == "__main__":
    main()
