"""One path that is no UTF-8 ends any server of grpc.aio; the frontend opens again by itself."""

import time
from pathlib import Path
from typing import Any

import grpc
import pytest

from gnomon.runtime.packages.package import Package
from tests.support import http2_frames as http2
from tests.support.serving import Served, request


def say_bad_path(address: str) -> None:
    block = http2.block(http2.request_headers()).replace(b"ModelInfer", b"ModelInf\xe4r")
    raw = http2.Connection(address)
    raw.send(
        http2.frame(http2.HEADERS, http2.END_HEADERS, 1, block)
        + http2.frame(http2.DATA, http2.END_STREAM, 1, http2.prefixed(b""))
    )
    raw.ends(1)
    raw.close()


def answers_within(served: Any, seconds: float) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            served.stub.ModelInfer(request(), timeout=5, wait_for_ready=True)
            return True
        except grpc.RpcError:
            time.sleep(0.05)
    return False


def test_the_door_opens_again(package: Package, caplog: pytest.LogCaptureFixture) -> None:
    served = Served(package)
    try:
        for _ in range(3):
            say_bad_path(served.address)
            assert answers_within(served, 30)
        assert "reopening the frontend" in caplog.text
    finally:
        served.close()


def test_a_door_that_was_closed_stays_so(package: Package, tmp_path: Path) -> None:
    served = Served(package)
    address = served.address
    served.close()
    with pytest.raises(OSError):
        http2.Connection(address)
