"""The attacks run, at either door, and leave a server that good clients are answered by."""

import time
from pathlib import Path

import grpc
import pytest

from gnomon.bench.servers import attacks, h2load
from gnomon.bench.servers.attack_kinds import ATTACKS
from gnomon.bench.servers.http2_frames import INFER
from gnomon.bench.servers.processes import OURS, start
from gnomon.bench.servers.serving_package import make_package, make_request

pytestmark = pytest.mark.skipif(
    not h2load.is_installed(), reason="h2load is not installed (package nghttp2-client)"
)


def is_answered(address: str) -> bool:
    """Whether a good client is answered, once the server has done with what it was sent."""
    until = time.monotonic() + 60
    with grpc.insecure_channel(address) as channel:
        while time.monotonic() < until:
            try:
                return bool(channel.unary_unary(INFER)(make_request(), timeout=20))
            except grpc.RpcError:
                time.sleep(0.2)
    return False


@pytest.mark.parametrize("door", OURS)
def test_every_attack_leaves_a_server_that_answers(door: str, tmp_path: Path) -> None:
    package = make_package(tmp_path / "bench-1").path
    body = h2load.write_body(tmp_path / "request.bin", make_request())
    server = start(door, package)
    try:
        for attack in ATTACKS.values():
            line = attacks.measure(server, attack, body, tmp_path / "log", 1)
            assert line["is_alive"]
            assert line["unknown"] == 0
            assert sum(line["done"].values()) > 0
        assert is_answered(server.address)
    finally:
        server.stop()
