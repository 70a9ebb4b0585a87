"""Tail latency under an open load: `python -m gnomon.bench.servers.open_loop`.

A hundred connections send half of the greatest rate that the server can answer (measured first, in
a closed loop), each by its own clock, whether answers come or not. The figure is the ratio of the
99.9th percentile to the median. Server and client share the machine's cores. Other servers
alternate with Gnomon's, at half of their own greatest rate.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gnomon.bench.peers import cpp
from gnomon.bench.servers import h2load
from gnomon.bench.servers.processes import Server, start
from gnomon.bench.servers.serving_package import make_package, make_request
from gnomon.runtime.errors import ConfigurationError

__all__ = ["main", "measure"]

CONNECTIONS = 100
#: The greatest 99.9th percentile to the median, and failures, that keep the promise.
MUST_RATIO, MUST_FAILED = 10.0, 0


def measure(
    server: Server, body: Path, log: Path, *, seconds: int, warm_up_seconds: int = 3
) -> dict[str, Any]:
    """Return rate, percentiles in milliseconds, their ratio, and how many requests failed.

    Args:
        server: that answers.
        body: file with the request's body.
        log: overwritten with h2load's record of every request.
        seconds: how long to measure.
        warm_up_seconds: how long to send as fast as possible before, to find the rate.
    """
    most = h2load.closed_loop(server.address, body, CONNECTIONS, 1, warm_up_seconds)
    rate = round(most / warm_up_seconds / 2)
    answers = h2load.open_loop(server.address, body, CONNECTIONS, rate, seconds, log)
    median, high, highest = np.percentile(answers.seconds, [50, 99, 99.9]) * 1e3
    return {
        "asked_per_second": rate,
        "answered": len(answers.seconds),
        "failed": answers.failed,
        "p50_ms": round(float(median), 3),
        "p99_ms": round(float(high), 3),
        "p999_ms": round(float(highest), 3),
        "ratio": round(float(highest / median), 2),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Print one JSON line a server and round; return 1 if ours breaks the promise."""
    parser = argparse.ArgumentParser(prog="gnomon.bench.servers.open_loop", description=__doc__)
    parser.add_argument("--seconds", type=int, default=20, help="of each open loop")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args(arguments)
    if not h2load.is_installed():
        raise ConfigurationError("h2load is missing; install nghttp2-client")
    ratios, failed = [], 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        package = make_package(folder / "bench-1").path
        body = h2load.write_body(folder / "request.bin", make_request())
        program = cpp.build(folder)
        kinds = ("native", "grpcio", *(("cpp-callback", "cpp-queue") if program else ()))
        servers = {kind: start(kind, package, program=program) for kind in kinds}
        try:
            for _ in range(given.rounds):
                for kind, server in servers.items():
                    found = measure(server, body, folder / "log", seconds=given.seconds)
                    print(json.dumps({"server": kind, **found}), flush=True)
                    if kind == "native":
                        ratios.append(found["ratio"])
                        failed += found["failed"]
        finally:
            for server in servers.values():
                server.stop()
    ratio = float(np.median(ratios))
    print(json.dumps({"ratio": ratio, "must": MUST_RATIO, "failed": failed}))
    return int(ratio > MUST_RATIO or failed > MUST_FAILED)


if __name__ == "__main__":
    raise SystemExit(main())
