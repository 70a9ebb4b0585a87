"""The cost of admission, splits and shadows: `python -m gnomon.bench.servers.admission`.

First a request within C, without HTTP/2, with admission (`ours`) and without (`peer`). Then whole
servers under h2load with a key and all limits on: the native frontend (`ours`) and grpcio's
(`peer`), which alternate; and the native frontend when all requests exceed a limit. The figures are
the least of the rounds.
"""

import math
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gnomon.bench.core.contract import CostComparison
from gnomon.bench.servers import h2load
from gnomon.bench.servers.admission_server import start
from gnomon.bench.servers.serving_package import make_package, make_request
from gnomon.proto import inference_pb2 as oip
from gnomon.runtime.packages.package import Package
from gnomon.runtime.recording.sink import MemorySink
from gnomon.runtime.routing.routes import Route, Target, single
from gnomon.runtime.runtime import Runtime
from gnomon.server.serving.admission.admission import make_admission
from gnomon.server.serving.admission.key_file import create_key
from gnomon.server.serving.handler import Handler
from gnomon.server.serving.native.native_routes import NativeRoutes
from gnomon.server.serving.native.route_table import NativeRouteTable
from gnomon.server.serving.settings import FrontendSettings

__all__ = ["main", "run"]

ROUNDS = 15
CALLS = 5_000
SERVER_ROUNDS = 3
SECONDS = 2
LOADS = ((1, 1), (8, 8))
LIMITS = {"requests_per_second": 1e9, "concurrent_requests": 1_000}


def run() -> list[CostComparison]:
    """Measure; without h2load (package nghttp2-client) only what is within C."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        packages = [make_package(folder / f"bench-{one}", one) for one in ("1", "2")]
        results = _within(folder, packages)
        if h2load.is_installed():
            results += _servers(folder, packages[0])
    return results


def main() -> None:
    """Print the comparisons."""
    for result in run():
        print(result)


def _within(folder: Path, packages: list[Package]) -> list[CostComparison]:
    key = create_key(folder / "keys.json", "bench")
    plain = make_request()
    keyed = oip.ModelInferRequest.FromString(plain)
    keyed.parameters["key"].string_param = "customer-4711"
    one, two = (package.digest for package in packages)
    halves = (Target(one, 500), Target(two, 500))
    shown = f"Bearer {key}".encode()
    keys = {"keys_file": folder / "keys.json"}
    shadow = Route("bench", (Target(one, 1_000),), shadows=(Target(two, 100),))
    cases: dict[str, tuple[dict[str, Any], Route, bytes, bytes]] = {
        "nothing": ({"total_requests": 0}, single("bench", one), plain, b""),
        "total_requests, as by default": ({}, single("bench", one), plain, b""),
        "a key": (keys, single("bench", one), plain, shown),
        "a key and all limits": (keys | LIMITS, single("bench", one), plain, shown),
        "two targets, by chance": ({}, Route("bench", halves), plain, b""),
        "two targets, by key": ({}, Route("bench", halves), keyed.SerializeToString(), b""),
        "a shadow of one in ten": ({}, shadow, plain, b""),
    }
    best = dict.fromkeys(cases, math.inf)
    # One after the other in each round, so that a noisy machine hits all.
    for _ in range(ROUNDS):
        for name, (settings, route, message, header) in cases.items():
            with _table(packages, route, settings, header) as table:
                best[name] = min(best[name], _least(table, message, header))
    return [
        CostComparison(f"within C: {name}", "req", ns, best["nothing"]) for name, ns in best.items()
    ]


@contextmanager
def _table(
    packages: list[Package], route: Route, settings: dict[str, Any], header: bytes
) -> Iterator[NativeRouteTable]:
    runtime = Runtime(MemorySink())
    for package in packages:
        runtime.load(package)
    runtime.apply([route])
    handler = Handler(runtime)
    admission = make_admission(FrontendSettings(**settings), handler)
    admission.identify(header.decode() or None)
    routes = NativeRoutes(handler, admission)
    table = routes.new_table()
    routes.open()
    try:
        yield table
    finally:
        routes.close()
        runtime.close()


def _least(table: NativeRouteTable, message: bytes, header: bytes) -> float:
    """Return ns a call; raises `RuntimeError` if a call is left to Python."""
    took = []
    for _ in range(5):
        started = time.thread_time_ns()
        for _ in range(CALLS // 5):
            table.try_exchange(message, header)
        took.append((time.thread_time_ns() - started) / (CALLS // 5))
    # A pause of the machine may make a model look slow for a while.
    if table.reasons["taken"] < 0.99 * CALLS:
        raise RuntimeError(f"requests went to Python: {table.reasons}")
    return min(took)


def _servers(folder: Path, package: Package) -> list[CostComparison]:
    key = create_key(folder / "server-keys.json", "bench")
    body = h2load.write_body(folder / "request.bin", make_request())
    header = f"authorization: Bearer {key}"
    given = {"keys_file": str(folder / "server-keys.json"), "concurrent_requests": 1_000}
    kinds: dict[str, dict[str, Any]] = {
        "native": {"frontend": "native", **given, "requests_per_second": 1e9},
        "grpcio": {"frontend": "grpcio", **given, "requests_per_second": 1e9},
        "above a limit": {"frontend": "native", **given, "requests_per_second": 0.001},
    }
    servers = {kind: start(package.path, settings) for kind, settings in kinds.items()}
    best: dict[tuple[str, int, int], float] = {}
    try:
        for _ in range(SERVER_ROUNDS):
            for clients, streams in LOADS:
                for kind, server in servers.items():
                    before = server.cpu_seconds()
                    count = h2load.closed_loop(
                        server.address, body, clients, streams, SECONDS, "-H", header
                    )
                    cpu = (server.cpu_seconds() - before) / count * 1e9
                    place = (kind, clients, streams)
                    best[place] = min(best.get(place, math.inf), cpu)
    finally:
        for server in servers.values():
            server.stop()
    results = []
    for clients, streams in LOADS:
        native, grpcio, above = (best[kind, clients, streams] for kind in kinds)
        load = f"{clients} connections x {streams} streams"
        results.append(
            CostComparison(f"CPU, key and limits, {load}, to grpcio", "req", native, grpcio)
        )
        results.append(
            CostComparison(f"CPU, above a limit, {load}, to an answer", "req", above, native)
        )
    return results


if __name__ == "__main__":
    main()
