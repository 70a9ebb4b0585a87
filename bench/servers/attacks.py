"""What attacks do to other clients: `python -m gnomon.bench.servers.attacks`.

A server in a process of its own answers good clients (h2load, an open loop of 200 requests a second
over ten connections) while one attack after the other runs. Reported are the good clients' 99th
percentile in milliseconds, how many of their requests failed, by how much the server's memory grew
at most, and whether a call of the attack ended with the status UNKNOWN. Attacker, server and good
clients share the machine's cores: the attacker's own load affects the figures, so `nothing` is
measured too.
"""

import argparse
import contextlib
import json
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from gnomon.bench.servers import h2load
from gnomon.bench.servers.attack_kinds import ATTACKS, Attack
from gnomon.bench.servers.processes import OURS, Server, start
from gnomon.bench.servers.serving_package import make_package, make_request
from gnomon.runtime.errors import ConfigurationError

__all__ = ["Memory", "main", "measure"]

CONNECTIONS, PER_SECOND = 10, 200
#: What is promised: milliseconds at the 99th percentile, and MiB.
MUST_P99_MS, MUST_MIB = 10.0, 50.0
_MIB = 1 << 20


class Memory(threading.Thread):
    """Watches a process' resident memory."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._process = psutil.Process(pid)
        self.before = self.most = self._process.memory_info().rss
        self._ended = threading.Event()

    def run(self) -> None:
        """Look every 50 ms."""
        while not self._ended.wait(0.05) and self._process.is_running():
            self.most = max(self.most, self._process.memory_info().rss)

    def stop(self) -> float:
        """Return how many MiB came on top at most."""
        self._ended.set()
        self.join()
        return float(self.most - self.before) / _MIB


def _nothing(_address: str, until: float) -> Counter[str]:
    time.sleep(max(until - time.monotonic(), 0))
    return Counter()


def measure(server: Server, attack: Attack, body: Path, log: Path, seconds: int) -> dict[str, Any]:
    """Return what an attack does to good clients and to the server.

    Args:
        server: under attack.
        attack: runs until a time of `time.monotonic`.
        body: a good request, as h2load takes it.
        log: overwritten with h2load's record of every request.
        seconds: how long the attack lasts.
    """
    found: list[h2load.OpenLoopResult] = []

    def ask() -> None:
        # If no request is answered at all, h2load fails, or writes down nothing.
        with contextlib.suppress(subprocess.SubprocessError, OSError, LookupError, ValueError):
            found.append(
                h2load.open_loop(server.address, body, CONNECTIONS, PER_SECOND, seconds, log)
            )

    good = threading.Thread(target=ask)
    memory = Memory(server.pid)
    memory.start()
    good.start()
    done = attack(server.address, time.monotonic() + seconds)
    good.join()
    grown = memory.stop()
    alive = psutil.pid_exists(server.pid) and psutil.Process(server.pid).status() != "zombie"
    answers = found[0] if found else h2load.OpenLoopResult(np.array([np.nan]), PER_SECOND * seconds)
    return {
        "p50_ms": round(float(np.percentile(answers.seconds, 50)) * 1e3, 2),
        "p99_ms": round(float(np.percentile(answers.seconds, 99)) * 1e3, 2),
        "failed": answers.failed,
        "grown_mib": round(grown, 1),
        "is_alive": alive,
        "unknown": done.pop("UNKNOWN", 0),
        "done": dict(done),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a line for each frontend and attack; return 1 if the native one fails its limits."""
    parser = argparse.ArgumentParser(prog="gnomon.bench.servers.attacks", description=__doc__)
    parser.add_argument("--seconds", type=int, default=10, help="of each attack")
    parser.add_argument("--frontends", "--doors", nargs="+", choices=OURS, default=OURS)
    parser.add_argument("--attacks", nargs="+", choices=list(ATTACKS), default=list(ATTACKS))
    given = parser.parse_args(arguments)
    if not h2load.is_installed():
        raise ConfigurationError("h2load is missing; install nghttp2-client")
    broken = 0
    chosen = {"nothing": _nothing} | {name: ATTACKS[name] for name in given.attacks}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        package = make_package(folder / "bench-1").path
        body = h2load.write_body(folder / "request.bin", make_request())
        for frontend in given.frontends:
            server = start(frontend, package)
            try:
                h2load.closed_loop(server.address, body, CONNECTIONS, 1, 1)
                for title, attack in chosen.items():
                    line = measure(server, attack, body, folder / "log", given.seconds)
                    print(json.dumps({"frontend": frontend, "attack": title, **line}), flush=True)
                    broken += frontend == "native" and not _is_kept(line)
            finally:
                server.stop()
    return int(broken > 0)


def _is_kept(line: dict[str, Any]) -> bool:
    return bool(
        line["p99_ms"] <= MUST_P99_MS
        and line["grown_mib"] <= MUST_MIB
        and line["is_alive"]
        and not line["unknown"]
        and not line["failed"]
    )


if __name__ == "__main__":
    raise SystemExit(main())
