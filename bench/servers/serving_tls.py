"""TLS at the native frontend, clear text, and grpcio's TLS: `gnomon bench tls`.

As `gnomon.bench.servers.serving`, with a P-256 certificate and no certificates of clients; and with
one event loop and two, in clear text. All alternate; the figures are the least of the rounds.
h2load keeps its connections, so no handshake is measured.
"""

import math
import tempfile
from itertools import product
from pathlib import Path
from typing import Any

from gnomon.bench.core.contract import CostComparison
from gnomon.bench.servers import h2load
from gnomon.bench.servers.processes import start
from gnomon.bench.servers.serving_package import make_package, make_request
from gnomon.server.hub.access.authority import Authority

__all__ = ["main", "run"]

ROUNDS = 3
#: Connections, and streams of each.
LOADS = ((1, 1), (8, 8))
SECONDS = 2

#: By server: its frontend, and its settings beside the TLS files.
_CLEAR: dict[str, tuple[str, dict[str, Any]]] = {
    "one loop": ("native", {"loops": 1}),
    "two loops": ("native", {"loops": 2}),
}
_TLS = {"native TLS": "native", "grpcio TLS": "grpcio"}
#: What is set beside what.
_PAIRS = (("native TLS", "grpcio TLS"), ("native TLS", "one loop"), ("two loops", "one loop"))


def run(rounds: int = ROUNDS) -> list[CostComparison]:
    """Measure; without h2load (package nghttp2-client) there is nothing."""
    if not h2load.is_installed():
        return []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        package = make_package(folder / "bench-1")
        body = h2load.write_body(folder / "request.bin", make_request())
        best = _least(package.path, body, _write_files(folder), rounds)
    return [
        CostComparison(f"{what}, {load[0]} x {load[1]}: {ours} to {other}", "req", *pair, None)
        for (ours, other), load in product(_PAIRS, LOADS)
        for what, pair in zip(
            ("CPU", "time"), zip(best[ours, load], best[other, load], strict=True), strict=True
        )
    ]


def main() -> None:
    """Print the comparisons."""
    for result in run():
        print(result)


def _write_files(folder: Path) -> dict[str, Any]:
    key, chain = Authority.in_folder(folder).issue_server()
    (folder / "server.key").write_bytes(key)
    (folder / "server.pem").write_bytes(chain)
    return {"key_file": str(folder / "server.key"), "certificate_file": str(folder / "server.pem")}


def _least(
    package: Path, body: Path, files: dict[str, Any], rounds: int
) -> dict[tuple[str, tuple[int, int]], tuple[float, float]]:
    """Return the least ns of (CPU, time) a request by server and load, all in turn."""
    servers = {
        name: start(frontend, package, **given) for name, (frontend, given) in _CLEAR.items()
    }
    servers |= {name: start(frontend, package, loops=1, **files) for name, frontend in _TLS.items()}
    best: dict[tuple[str, tuple[int, int]], tuple[float, float]] = {}
    try:
        for _, load, (name, server) in product(range(rounds), LOADS, servers.items()):
            before = server.cpu_seconds()
            count = h2load.closed_loop(server.address, body, *load, SECONDS, with_tls=name in _TLS)
            cpu = (server.cpu_seconds() - before) / count * 1e9
            old = best.get((name, load), (math.inf, math.inf))
            best[name, load] = (min(old[0], cpu), min(old[1], SECONDS / count * 1e9))
    finally:
        for server in servers.values():
            server.stop()
    return best


if __name__ == "__main__":
    main()
