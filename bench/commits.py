"""Two commits against each other, each built in a checkout of its own: `gnomon bench commits`.

Give the folder of the older checkout. `core` and `predict` run the command of that name of both in
turn; a figure is the least of its rounds. `serving` starts `gnomon serve` with the native frontend
of both and lets h2load ask them in turn. `hub` starts `gnomon hub run` of both, and a node of this
checkout calls them in turn. A ratio above 1 says that this checkout is slower.
"""

import argparse
import json
import math
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import product
from pathlib import Path
from typing import NamedTuple

from gnomon.bench.hub import node_calls
from gnomon.bench.servers import h2load
from gnomon.bench.servers.processes import READY_SECONDS, Server
from gnomon.bench.servers.serving_package import make_package, make_request

__all__ = ["CommitFigure", "compare", "main"]

#: What may be compared, in the order in which it is.
BENCHES = ("core", "predict", "serving", "hub")
ROUNDS = 5
#: Connections, and streams of each.
LOADS = ((1, 1), (8, 1), (64, 1), (8, 8))
#: Seconds of each measurement with h2load.
SECONDS = 2

#: By what was measured: the least nanoseconds.
Figures = dict[str, float]


class CommitFigure(NamedTuple):
    """One figure of both commits, in nanoseconds of CPU time."""

    what: str
    after: float
    before: float

    @property
    def ratio(self) -> float:
        """The newer commit's cost in the older one's."""
        return self.after / self.before

    def __str__(self) -> str:
        return f"{self.what:70} {self.after:12,.1f} {self.before:12,.1f} ns  x {self.ratio:.3f}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the comparisons and their geometric mean, bench by bench."""
    parser = argparse.ArgumentParser(prog="gnomon bench commits", description=__doc__)
    parser.add_argument("before", type=Path, help="folder of the older checkout, built")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--only", choices=BENCHES, action="append", help="default: all")
    given = parser.parse_args(arguments)
    after = Path(__file__).resolve().parent.parent
    for name in given.only or BENCHES:
        found = compare(name, after, given.before.resolve(), given.rounds)
        for one in found:
            print(one, flush=True)
        mean = math.exp(sum(math.log(one.ratio) for one in found) / len(found))
        print(f"{name}: geometric mean of {len(found)} ratios x {mean:.3f}", flush=True)


def compare(name: str, after: Path, before: Path, rounds: int) -> list[CommitFigure]:
    """Return what both checkouts measured under the same name, least of all rounds.

    Args:
        name: one of `BENCHES`.
        after: folder of the newer checkout, built.
        before: folder of the older checkout, built.
        rounds: how often both take their turn, at least once.

    Raises:
        RuntimeError: a checkout could not be measured, or they have no figure in common.
    """
    checkouts = {"after": after, "before": before}
    for checkout in checkouts.values():
        # Without it, Python would measure whatever Gnomon is installed.
        if not (checkout / "src" / "gnomon" / "__init__.py").is_file():
            raise RuntimeError(f"{checkout} is no checkout of Gnomon: it has no src/gnomon")
    measure = _ROUNDS.get(name, _command_rounds)
    best: dict[str, Figures] = {one: {} for one in checkouts}
    for one, figures in measure(name, checkouts, rounds):
        for what, ns in figures.items():
            # A peer that is not installed has no figure.
            if math.isfinite(ns):
                best[one][what] = min(best[one].get(what, math.inf), ns)
    common = [what for what in best["after"] if what in best["before"]]
    if not common:
        raise RuntimeError(f"{name}: the two checkouts have no figure in common")
    return [CommitFigure(what, best["after"][what], best["before"][what]) for what in common]


def _command_rounds(
    name: str, checkouts: Mapping[str, Path], rounds: int
) -> Iterator[tuple[str, Figures]]:
    for _, (one, checkout) in product(range(rounds), checkouts.items()):
        command = [sys.executable, "-m", "gnomon", "bench", name, "--json"]
        done = subprocess.run(command, env=_environment(checkout), capture_output=True, text=True)
        # Exit code 1 says that a peer was not beaten by what is promised.
        if done.returncode not in (0, 1) or not done.stdout:
            raise RuntimeError(f"{checkout}: {done.stderr[-2_000:]}")
        yield (
            one,
            {f"{row['what']} [{row['per']}]": row["ours_ns"] for row in json.loads(done.stdout)},
        )


def _serve_rounds(
    name: str, checkouts: Mapping[str, Path], rounds: int
) -> Iterator[tuple[str, Figures]]:
    if not h2load.is_installed():
        raise RuntimeError("h2load is not installed: Debian's package is nghttp2-client")
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        package = make_package(folder / "bench-1").path
        body = h2load.write_body(folder / "request.bin", make_request())
        with _servers(package, checkouts) as servers:
            for _, (clients, streams), one in product(range(rounds), LOADS, servers):
                server = servers[one]
                started = server.cpu_seconds()
                count = h2load.closed_loop(server.address, body, clients, streams, SECONDS)
                ns = (server.cpu_seconds() - started) / count * 1e9
                yield one, {f"{name}, {clients} connections x {streams} streams [req]": ns}


def _hub_rounds(
    name: str, checkouts: Mapping[str, Path], rounds: int
) -> Iterator[tuple[str, Figures]]:
    with ExitStack() as opened:
        hubs = {
            one: opened.enter_context(node_calls.running(checkout))
            for one, checkout in checkouts.items()
        }
        for _, (one, hub) in product(range(rounds), hubs.items()):
            yield one, {f"{name}, {what} [call]": ns for what, ns in hub.measure().items()}


#: What is measured otherwise than by the command of its name.
_ROUNDS = {"serving": _serve_rounds, "hub": _hub_rounds}


@contextmanager
def _servers(package: Path, checkouts: Mapping[str, Path]) -> Iterator[dict[str, Server]]:
    servers: dict[str, Server] = {}
    try:
        for one, checkout in checkouts.items():
            servers[one] = _serve(package, checkout)
        yield servers
    finally:
        for server in servers.values():
            server.stop()


def _serve(package: Path, checkout: Path) -> Server:
    """Start the server of a checkout by its own command, and wait until it answers."""
    port = _free_port()
    options = ["--port", str(port), "--rest-port", "-1"]
    command = [sys.executable, "-m", "gnomon", "serve", str(package), *options]
    server = Server(
        ["env", f"PYTHONPATH={checkout / 'src'}", *command], address=f"127.0.0.1:{port}"
    )
    _wait(lambda: _is_open(port))
    return server


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _is_open(port: int) -> bool:
    with socket.socket() as caller:
        return caller.connect_ex(("127.0.0.1", port)) == 0


def _wait(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + READY_SECONDS
    while not condition():
        if time.monotonic() > until:
            raise RuntimeError(f"a server did not open its port within {READY_SECONDS:g} s")
        time.sleep(0.05)


def _environment(checkout: Path) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(checkout / "src")}
