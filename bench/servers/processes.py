"""The servers that are measured: Gnomon's with each gRPC frontend, and plain ones of other makes.

Each is a process of its own on loopback with the same model; only Gnomon's check, count and refuse.
All print their address once they serve.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

from gnomon.runtime.engines.onnx import find_library

__all__ = ["OURS", "Server", "start"]

#: Front ends of ours, as `gnomon serve --frontend` calls them.
OURS = ("native", "grpcio")
READY_SECONDS = 30.0

_BURNER = "while True: sum(range(1000))"
_OURS = """
import json, os, sys, threading
from pathlib import Path
import structlog
from gnomon.edge.settings import NodeSettings
from gnomon.server.serving.process import serve
from gnomon.server.serving.settings import ServeSettings

is_ready = threading.Event()

def burn():
    while given["busy"] == "inside" or not is_ready.is_set():
        sum(range(1000))

def ready(addresses):
    is_ready.set()
    print(addresses.grpc, flush=True)

# Our standard output is not read once the address is out: a full pipe would hold the server up.
structlog.configure(logger_factory=structlog.PrintLoggerFactory(open(os.devnull, "w")))
given = json.loads(sys.argv[1])
if given["busy"]:
    threading.Thread(target=burn, daemon=True).start()
settings = given["settings"]
settings |= {name: Path(settings[name]) for name in settings if name.endswith("_file")}
serve(ServeSettings(frontend=given["frontend"], **settings),
      NodeSettings(packages=(Path(given["package"]),)),
      ready)
"""


class Server:
    """A running server, with a busy process beside it on request.

    Its first line is its address, unless the address is given; then its output goes nowhere.
    """

    def __init__(
        self, command: list[str], *, busy_beside: bool = False, address: str | None = None
    ) -> None:
        self._burner = subprocess.Popen([sys.executable, "-c", _BURNER]) if busy_beside else None
        if address is None:
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        else:
            quiet = subprocess.DEVNULL
            self._process = subprocess.Popen(command, stdout=quiet, stderr=quiet, text=True)
        self.address = address or self._first_line()

    def _first_line(self) -> str:
        assert self._process.stdout  # noqa: S101
        return self._process.stdout.readline().strip()

    @property
    def pid(self) -> int:
        """The process that serves."""
        return self._process.pid

    def cpu_seconds(self) -> float:
        """Return the CPU time of all its threads so far, ended ones too."""
        # How Linux names the CPU clock of another process: clock_getcpuclockid(3).
        return time.clock_gettime((~self._process.pid << 3) | 2)

    def terminate(self, seconds: float) -> None:
        """Tell it to stop, and wait until it has.

        Raises:
            subprocess.TimeoutExpired: it has not ended in time.
        """
        self._process.terminate()
        self._process.wait(timeout=seconds)

    def stop(self) -> None:
        """End it."""
        for process in (self._process, self._burner):
            if process is not None:
                process.kill()
                process.wait(timeout=20)


def start(
    kind: str, package: Path, *, busy: str = "", program: Path | None = None, **settings: object
) -> Server:
    """Start a server: `native` or `grpcio` (ours), `aio`, `cpp-callback` or `cpp-queue` (peers).

    Args:
        kind: which.
        package: the package's folder; peers take its model file.
        busy: a busy thread "inside" ours, a busy process "outside", or "" for neither. Both take
            a core away; that inside takes the interpreter's lock as well. "loading": a busy thread
            inside, until the server is ready.
        program: the C++ peer, as `gnomon.bench.peers.cpp.build` made it.
        settings: more of `ServeSettings`, for ours.
    """
    beside = busy == "outside"
    model = str(package / "model.onnx")
    if kind in OURS:
        given = {
            "package": str(package),
            "frontend": kind,
            "busy": busy if busy in ("inside", "loading") else "",
            "settings": {"port": 0, "rest_port": -1, **settings},
        }
        return Server([sys.executable, "-c", _OURS, json.dumps(given)], busy_beside=beside)
    if kind == "aio":
        module = "gnomon.bench.peers.aio_server"
        return Server([sys.executable, "-m", module, model], busy_beside=beside)
    way = kind.removeprefix("cpp-")
    return Server([str(program), way, str(find_library()), model], busy_beside=beside)
