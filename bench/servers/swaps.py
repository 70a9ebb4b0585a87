"""Hot swaps under load: `python -m gnomon.bench.servers.swaps`.

A server swaps between two versions, a thousand times, while h2load sends requests to the native
frontend in an open loop. Reported are latencies during swaps and without, calls that failed, and
memory before and after. `--inside` runs without server and load: threads call a runtime in this
process, to test that nothing leaks. With `--leak` each swap keeps an engine that should have been
released, and the run must find that out.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from gnomon.bench.servers import h2load
from gnomon.bench.servers.serving_package import LAYERS, make_package, make_request
from gnomon.runtime.errors import ConfigurationError, GnomonError
from gnomon.runtime.models.model import Model
from gnomon.runtime.packages.package import Package
from gnomon.runtime.recording.sink import NullSink
from gnomon.runtime.routing.routes import single
from gnomon.runtime.runtime import Runtime

__all__ = ["Swapper", "inside", "main", "through_frontend"]

#: How much more memory after all swaps than after the first of them keeps the promise.
MUST_GROWTH = 0.10
#: Of all swaps, those after which memory is taken to be what it is.
WARM_UP_SHARE = 0.25
ROUTE = "bench"
_THREADS = 2
#: Between calls of a thread; without it the swaps wait for the interpreter more than they work.
_PAUSE_SECONDS = 0.001
_CONNECTIONS = 16
_SETTLE_SECONDS = 2


class Swapper:
    """A runtime that serves one of two versions, and swaps them as a node does."""

    def __init__(self, folder: Path, leak: bool = False) -> None:
        self._packages = [make_package(folder / version, version) for version in ("1", "2")]
        self._turn = 0
        self._leak = leak
        self._kept: list[Model] = []
        self.runtime = Runtime(NullSink(), checkpoint_seconds=1)
        self._serve(self._packages[0])

    def swap(self) -> None:
        """Load the other version, route to it, give the old one up."""
        old = self._packages[self._turn % 2]
        self._turn += 1
        self._serve(self._packages[self._turn % 2])
        self.runtime.unload(old.digest)
        if self._leak:
            self._kept.append(Model(old))

    def swap_often(self, swaps: int) -> dict[str, float]:
        """Swap so often; return MiB of memory after the warm-up and at the end, and the growth."""
        warm = max(1, round(swaps * WARM_UP_SHARE))
        for _ in range(warm):
            self.swap()
        before = _resident_mib()
        for _ in range(swaps - warm):
            self.swap()
        after = _resident_mib()
        growth = after / before - 1
        return {"before_mib": before, "after_mib": after, "growth": round(growth, 4)}

    def counts(self) -> dict[str, int]:
        """Return how many calls became what."""
        total: Counter[str] = Counter()
        for tally in self.runtime.series_totals().values():
            total.update(tally.calls)
        return dict(total)

    def _serve(self, package: Package) -> None:
        self.runtime.load(package, check_golden=True)
        self.runtime.apply([single(ROUTE, package.digest)])


def inside(swaps: int, leak: bool = False) -> dict[str, Any]:
    """Swap while threads predict; return memory, calls and failures."""
    row = {f"x{number}": 0.5 for number in range(LAYERS[0])}
    stop = threading.Event()
    failures: list[str] = []
    asked = Counter[str]()

    def ask(runtime: Runtime, name: str) -> None:
        while not stop.is_set():
            try:
                runtime.predict(ROUTE, row)
                asked[name] += 1
            except GnomonError as error:
                failures.append(str(error))
            stop.wait(_PAUSE_SECONDS)

    with tempfile.TemporaryDirectory() as folder:
        swapper = Swapper(Path(folder), leak)
        threads = [
            threading.Thread(target=ask, args=(swapper.runtime, str(number)))
            for number in range(_THREADS)
        ]
        for thread in threads:
            thread.start()
        try:
            found: dict[str, Any] = swapper.swap_often(swaps)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        counts = swapper.counts()
        swapper.runtime.close()
    lost = sum(asked.values()) - counts["answered"]
    return (
        {"swaps": swaps, "answered": sum(asked.values()), "lost_counts": lost}
        | found
        | {
            "failed": len(failures),
            "failure": failures[0] if failures else "",
        }
    )


def through_frontend(swaps: int, seconds: int, per_second: int) -> dict[str, Any]:
    """Swap in a server under load; return what clients and server saw."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        body = h2load.write_body(folder / "request.bin", make_request())
        server = subprocess.Popen(
            [sys.executable, "-m", "gnomon.bench.servers.swaps_server", str(folder / "packages")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            tell, ask = _pipes(server)
            address = ask()
            log = folder / "log"

            def load() -> h2load.OpenLoopResult:
                return h2load.open_loop(address, body, _CONNECTIONS, per_second, seconds, log)

            outside = load()
            tell(f"{swaps} {seconds - _SETTLE_SECONDS}")
            during = load()
            found = json.loads(ask())
        finally:
            server.kill()
            server.wait(timeout=20)
    calls = found["calls"]
    return {
        "swaps": swaps,
        "asked_per_second": per_second,
        "outside": _percentiles(outside),
        "during": _percentiles(during),
        "failed": outside.failed + during.failed + calls["failed"] + calls["refused"],
        **found,
    }


def _pipes(server: "subprocess.Popen[str]") -> tuple[Callable[[str], None], Callable[[], str]]:
    """Return how a line is written to a process, and how one is read."""
    assert server.stdin and server.stdout  # noqa: S101
    stdin, stdout = server.stdin, server.stdout

    def tell(line: str) -> None:
        stdin.write(f"{line}\n")
        stdin.flush()

    return tell, lambda: stdout.readline().strip()


def _percentiles(answers: h2load.OpenLoopResult) -> dict[str, float]:
    """Return milliseconds by percentile."""
    values = np.percentile(answers.seconds, [50, 99, 99.9]) * 1e3
    return dict(zip(("p50_ms", "p99_ms", "p999_ms"), np.round(values, 3).tolist(), strict=True))


def _resident_mib() -> float:
    return round(float(psutil.Process().memory_info().rss) / (1 << 20), 2)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what was found as JSON; return 1 if a call failed or memory grew."""
    parser = argparse.ArgumentParser(prog="gnomon.bench.servers.swaps", description=__doc__)
    parser.add_argument("--swaps", type=int, default=1_000)
    parser.add_argument("--seconds", type=int, default=30, help="of each load")
    parser.add_argument("--per-second", type=int, default=2_000)
    parser.add_argument("--inside", action="store_true", help="no server, no load from outside")
    parser.add_argument("--leak", action="store_true", help="with --inside: plant a leak")
    given = parser.parse_args(arguments)
    if given.inside:
        found = inside(given.swaps, given.leak)
    elif not h2load.is_installed():
        raise ConfigurationError("h2load is missing; install nghttp2-client")
    else:
        found = through_frontend(given.swaps, given.seconds, given.per_second)
    print(json.dumps(found))
    return int(found["failed"] != 0 or found["growth"] > MUST_GROWTH)


if __name__ == "__main__":
    raise SystemExit(main())
