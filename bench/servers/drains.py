"""Servers that are replaced while clients send requests: `python -m gnomon.bench.servers.drains`.

A client sends requests to one address at a fixed rate. Repeatedly a new server opens on the same
port beside the old one (`share_port`), and the old one is ended with SIGTERM. Every request must be
answered, with the retries of `gnomon.AsyncClient`; retries are counted, since a client without
retries would have lost these requests.
"""

import argparse
import asyncio
import json
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gnomon.bench.servers.processes import start
from gnomon.bench.servers.serving_package import LAYERS, make_package
from gnomon.client.inference.asynchronous import AsyncClient

__all__ = ["drain_often", "main"]

ROW = {f"x{number}": 0.5 for number in range(LAYERS[0])}
STOP_SECONDS = 30.0


class LoadGenerator:
    """Asks on time until it is stopped; counts answers, failures and retries."""

    def __init__(self, client: AsyncClient, per_second: float) -> None:
        self._client = client
        self._interval = 1 / per_second
        self._calls: set[asyncio.Task[None]] = set()
        self.counts: Counter[str] = Counter()
        self.failures: list[str] = []
        self.slowest_seconds = 0.0

    async def run(self, stopped: asyncio.Event) -> None:
        """Ask until `stopped`, then wait for the last answers."""
        due = time.monotonic()
        while not stopped.is_set():
            self._ask(due)
            due += self._interval
            await asyncio.sleep(max(0.0, due - time.monotonic()))
        await asyncio.gather(*self._calls)

    def _ask(self, due: float) -> None:
        call = asyncio.create_task(self._call(due))
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)

    async def _call(self, due: float) -> None:
        try:
            await self._client.predict("bench", ROW)
        except Exception as error:
            self.counts["failed"] += 1
            self.failures.append(f"{type(error).__name__}: {error}"[:200])
        else:
            self.counts["answered"] += 1
            self.slowest_seconds = max(self.slowest_seconds, time.monotonic() - due)


async def drain_often(
    package: Path, frontend: str, *, drains: int, per_second: float, notice_seconds: float = 0.2
) -> dict[str, Any]:
    """Return what became of the questions while `drains` servers left one after the other.

    Args:
        package: folder of the package that is served.
        frontend: "native" or "grpcio".
        drains: how many servers leave, one after the other.
        per_second: requests a second.
        notice_seconds: how long before its end a server says that it leaves.
    """
    settings: dict[str, Any] = {"share_port": True, "notice_seconds": notice_seconds}
    server = await asyncio.to_thread(start, frontend, package, **settings)
    port = int(server.address.rpartition(":")[2])
    stopped = asyncio.Event()
    try:
        async with AsyncClient(server.address, retries=1_000) as client:
            asker = LoadGenerator(client, per_second)
            asking = asyncio.create_task(asker.run(stopped))
            for _ in range(drains):
                follower = await asyncio.to_thread(start, frontend, package, port=port, **settings)
                await asyncio.to_thread(server.terminate, STOP_SECONDS)
                server = follower
            stopped.set()
            await asking
            retried = client.retried
    finally:
        server.stop()
    return {
        "frontend": frontend,
        "drains": drains,
        **asker.counts,
        "failed": asker.counts["failed"],
        "failures": asker.failures[:3],
        "retried": retried,
        "slowest_ms": round(asker.slowest_seconds * 1e3, 1),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Print one JSON line for each frontend; return 1 if a request was lost."""
    parser = argparse.ArgumentParser(prog="gnomon.bench.servers.drains", description=__doc__)
    parser.add_argument("--drains", type=int, default=50)
    parser.add_argument("--per-second", type=float, default=200.0)
    parser.add_argument("--frontends", "--doors", default="native,grpcio")
    given = parser.parse_args(arguments)
    lost = 0
    with tempfile.TemporaryDirectory() as folder:
        package = make_package(Path(folder) / "bench-1").path
        for frontend in given.frontends.split(","):
            found = asyncio.run(
                drain_often(package, frontend, drains=given.drains, per_second=given.per_second)
            )
            print(json.dumps(found), flush=True)
            lost += found["failed"]
    return int(lost > 0)


if __name__ == "__main__":
    raise SystemExit(main())
