"""The load generator beside h2load and a pacer in Python: `gnomon bench generator`.

All send to the honest server, which answers at once, in turn in one run. CPU is the client's, for
one answered request in a closed loop; ours also keeps histograms and compares each answer. Pacing
is the 99th percentile of how late a request, or a wake-up of the pacer, was. The figures are the
least of the rounds, so that other load on the machine counts little. h2load is left out if it is
not installed (Debian's package nghttp2-client).
"""

import math
import resource
import tempfile
import time
from pathlib import Path

import numpy as np

from gnomon.bench.core.contract import CostComparison
from gnomon.bench.honest.answers import MODEL
from gnomon.bench.honest.law import ServiceLaw
from gnomon.bench.honest.server import HonestServer
from gnomon.bench.honest.truth import true_percentiles
from gnomon.bench.load.measure import LoadTest, prepare
from gnomon.bench.load.run import run_once
from gnomon.bench.load.settings import LoadSettings
from gnomon.bench.load.target import parse_target
from gnomon.bench.servers import h2load

__all__ = ["run"]

ROUNDS = 5
SECONDS = 2
#: Connections, and streams of each.
LOADS = ((1, 1), (8, 1), (8, 8))
#: Requests a second of the comparison of pacing.
RATES = (1_000, 10_000)
#: The server that stalls: 1 s in every 5, at 100 requests a second.
STALLING = ServiceLaw(scale=0.0, stall=1.0, period=5.0)
STALL_SECONDS, STALL_RATE = 20, 100.0
#: By how much the percentile of the stalling server may differ from the truth.
STALL_ERROR = 0.02


def run(rounds: int = ROUNDS) -> list[CostComparison]:
    """Measure CPU, pacing, and the error of a percentile that is known."""
    with HonestServer(ServiceLaw(scale=0.0)) as server:
        test = prepare(parse_target(f"grpc://{server.address}"), MODEL)
        results = _compare_pacing(test, rounds)
        if h2load.is_installed():
            results += _compare_cpu(test, server.address, rounds)
    return [*results, _stall_error()]


def _compare_cpu(test: LoadTest, address: str, rounds: int) -> list[CostComparison]:
    results = []
    with tempfile.TemporaryDirectory() as folder:
        body = Path(folder) / "request.bin"
        body.write_bytes(test.rows[0][0])
        for connections, streams in LOADS:
            ours = peer = math.inf
            for _ in range(rounds):
                ours = min(ours, _our_cpu(test, connections, streams))
                peer = min(peer, _h2load_cpu(address, body, connections, streams))
            what = f"client CPU, {connections} connections x {streams} streams, to h2load"
            results.append(CostComparison(what, "req", ours, peer, 1.0))
    return results


def _our_cpu(test: LoadTest, connections: int, streams: int) -> float:
    """Return ns of CPU for one request."""
    settings = LoadSettings(connections=connections, streams=streams, seconds=SECONDS, warm_up=0)
    found = run_once(test.target, test.model, test.rows, settings, 1)
    return found.cpu_seconds * 1e9 / found.answered


def _h2load_cpu(address: str, body: Path, connections: int, streams: int) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    count = h2load.closed_loop(address, body, connections, streams, SECONDS)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return spent * 1e9 / count


def _compare_pacing(test: LoadTest, rounds: int) -> list[CostComparison]:
    results = []
    for rate in RATES:
        ours = peer = math.inf
        for _ in range(rounds):
            settings = LoadSettings(rate=rate, connections=4, seconds=SECONDS, warm_up=0)
            found = run_once(test.target, test.model, test.rows, settings, 1)
            ours = min(ours, found.lateness.percentile(99))
            peer = min(peer, _python_lateness(rate))
        what = f"p99 of lateness, {rate} requests a second, to a pacer in Python"
        results.append(CostComparison(what, "req", ours, peer, 0.5))
    return results


def _python_lateness(rate: float) -> float:
    """Return the 99th percentile, in ns, of how late a loop in Python wakes up.

    Python sleeps by clock_nanosleep(), which is as exact as a timerfd.
    """
    start = time.monotonic_ns()
    late = []
    for number in range(round(rate * SECONDS)):
        due = start + round(number * 1e9 / rate)
        while (left := due - time.monotonic_ns()) > 0:
            time.sleep(left / 1e9)
        late.append(time.monotonic_ns() - due)
    return float(np.percentile(late, 99))


def _stall_error() -> CostComparison:
    """Compare p99 of a server that stalls with the truth; both in ns."""
    (truth,) = true_percentiles(STALLING, (99,), STALL_RATE)
    with HonestServer(STALLING) as server:
        test = prepare(parse_target(f"grpc://{server.address}"), MODEL)
        settings = LoadSettings(rate=STALL_RATE, seconds=STALL_SECONDS, warm_up=0)
        found = run_once(test.target, test.model, test.rows, settings, 1).latency.percentile(99)
    what = f"error of p99 of a server that stalls, of {STALL_ERROR:.0%} of its {truth * 1e3:.0f} ms"
    error = abs(found - truth * 1e9)
    return CostComparison(what, "p99", error, STALL_ERROR * truth * 1e9, 1.0)
