"""h2load (nghttp2), the load generator of the serving benchmarks: requests of one row."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["OpenLoopResult", "closed_loop", "is_installed", "open_loop", "write_body"]

_METHOD = "inference.GRPCInferenceService/ModelInfer"
_HEADERS = ("-H", "content-type: application/grpc", "-H", "te: trailers")


class OpenLoopResult(NamedTuple):
    """What came of an open loop: seconds from when each request was due, and how many failed."""

    seconds: NDArray[np.float64]
    failed: int


def is_installed() -> bool:
    """Whether there is an h2load here (Debian's package nghttp2-client)."""
    return shutil.which("h2load") is not None


def write_body(path: Path, message: bytes) -> Path:
    """Write a message as gRPC frames it, and return the file."""
    path.write_bytes(b"\0" + len(message).to_bytes(4, "big") + message)
    return path


def closed_loop(
    address: str,
    body: Path,
    connections: int,
    streams: int,
    seconds: int,
    *more: str,
    with_tls: bool = False,
) -> int:
    """Send the next request when an answer comes; return how many were answered.

    Args:
        address: `host:port` of the server.
        body: file with the request's body.
        connections: number of connections.
        streams: requests at the same time on each connection.
        seconds: how long.
        more: further options of h2load.
        with_tls: whether to connect by TLS, without verifying the certificate.

    Raises:
        RuntimeError: no request was answered, or one failed.
    """
    url = f"{'https' if with_tls else 'http'}://{address}"
    succeeded, failed = _run(url, body, connections, streams, seconds, *more)
    if not succeeded or failed:
        raise RuntimeError(f"h2load: {succeeded} succeeded, {failed} failed")
    return succeeded


def open_loop(
    address: str, body: Path, connections: int, per_second: int, seconds: int, log: Path
) -> OpenLoopResult:
    """Send requests at a fixed rate, whether answers come or not.

    Args:
        address: `host:port` of the server.
        body: file with the request's body.
        connections: number of connections.
        per_second: requests a second over all connections.
        seconds: how long.
        log: overwritten with h2load's record of every request.
    """
    share = max(1, round(per_second / connections))
    log.unlink(missing_ok=True)
    _, failed = _run(
        f"http://{address}", body, connections, 64, seconds, f"--rps={share}", f"--log-file={log}"
    )
    # A line each: microseconds since 1970 when it was sent, HTTP's status, microseconds it took.
    lines = np.loadtxt(log, dtype=np.int64, ndmin=2)
    good = lines[lines[:, 1] == 200]
    return OpenLoopResult(good[:, 2] / 1e6, failed + len(lines) - len(good))


def _run(
    url: str, body: Path, connections: int, streams: int, seconds: int, *more: str
) -> tuple[int, int]:
    done = subprocess.run(
        [
            *("h2load", "-D", str(seconds), "-c", str(connections), "-m", str(streams)),
            *("-d", str(body), *_HEADERS, *more, f"{url}/{_METHOD}"),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=seconds + 60,
    )
    succeeded, failed = (
        int(re.findall(rf"(\d+) {word}", done.stdout)[0]) for word in ("succeeded", "failed")
    )
    return succeeded, failed
