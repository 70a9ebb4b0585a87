"""Serve a package on grpcio, send three paths that are not UTF-8, and answer after each.

Run as a process of its own by `test_bad_paths.py`: its exit code is 0 if the frontend answered
after each path, and its standard error is the log.
"""

import logging
import sys
import time
from pathlib import Path

import grpc

from gnomon.runtime.packages.package import Package
from tests.support import http2_frames as http2
from tests.support.serving import Served, request


def send_bad_path(address: str) -> None:
    block = http2.block(http2.request_headers()).replace(b"ModelInfer", b"ModelInf\xe4r")
    raw = http2.Http2Connection(address)
    raw.send(
        http2.frame(http2.HEADERS, http2.END_HEADERS, 1, block)
        + http2.frame(http2.DATA, http2.END_STREAM, 1, http2.prefixed(b""))
    )
    raw.ends(1)
    raw.close()


def answers_within(served: Served, seconds: float) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            served.stub.ModelInfer(request(), timeout=5, wait_for_ready=True)
            return True
        except grpc.RpcError:
            time.sleep(0.05)
    return False


def main(folder: str) -> int:
    logging.basicConfig(level=logging.INFO)
    served = Served(Package.open(Path(folder), None))
    for _ in range(3):
        send_bad_path(served.address)
        if not answers_within(served, 30):
            return 1
    served.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
