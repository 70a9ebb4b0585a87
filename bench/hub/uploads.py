"""How many windows a hub takes in a second: `python -m gnomon.bench.hub.uploads`.

A hub runs in a process of its own, on SQLite or PostgreSQL, and nodes of this process upload
windows of ten fields over TLS, each node one call after the other. Shown is what was acknowledged,
by time and by the hub's CPU time. Load and hub share the machine.
"""

import argparse
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gnomon.bench.hub import postgres
from gnomon.bench.hub.node_calls import NodeCalls, running_nodes

__all__ = ["UploadRate", "main", "measure"]

_NO_QUOTAS = (
    "--quota-calls-per-minute=0",
    "--quota-telemetry-bytes-per-day=0",
    "--quota-windows-per-day=0",
)


@dataclass(frozen=True)
class UploadRate:
    """What was acknowledged in a time, and what it cost."""

    nodes: int
    windows_per_upload: int
    windows: int
    seconds: float
    cpu_seconds: float

    def __str__(self) -> str:
        return (
            f"{self.nodes:6,} nodes, {self.windows_per_upload:4,} windows an upload: "
            f"{self.windows / self.seconds:8,.0f} windows a second, "
            f"{self.cpu_seconds / self.windows * 1e6:7,.0f} us of the hub's CPU time a window"
        )


def measure(nodes: Sequence[NodeCalls], windows_per_upload: int, seconds: float) -> UploadRate:
    """Let nodes upload at the same time for some seconds.

    Raises:
        GnomonError: an upload failed.
    """
    counted = [0] * len(nodes)
    failures: list[Exception] = []
    started = time.monotonic()

    def run(number: int) -> None:
        try:
            while time.monotonic() - started < seconds:
                nodes[number].upload(windows_per_upload)
                counted[number] += windows_per_upload
        except Exception as error:
            failures.append(error)

    before = nodes[0].cpu_seconds()
    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(nodes))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return UploadRate(
        len(nodes),
        windows_per_upload,
        sum(counted),
        time.monotonic() - started,
        nodes[0].cpu_seconds() - before,
    )


@contextmanager
def _database(kind: str) -> Iterator[list[str]]:
    """Yield the options of a hub that name its database."""
    if kind == "sqlite":
        yield []
        return
    with postgres.running() as server:
        yield [f"--database-url={server.create_database('hub')}"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the figures of this checkout, or of another one that is built."""
    parser = argparse.ArgumentParser(prog="gnomon bench uploads", description=__doc__)
    parser.add_argument("--checkout", type=Path, default=Path(__file__).resolve().parents[2])
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--nodes", type=int, default=32)
    parser.add_argument("--windows", type=int, nargs="+", default=[1, 10, 50])
    parser.add_argument("--seconds", type=float, default=5.0)
    given = parser.parse_args(arguments)
    with _database(given.database) as options:
        running = running_nodes(given.checkout, given.nodes, [*_NO_QUOTAS, *options])
        with running as nodes:
            for windows in given.windows:
                measure(nodes, windows, 0.5)  # caches are filled
                print(given.database, measure(nodes, windows, given.seconds), flush=True)


if __name__ == "__main__":
    main()
