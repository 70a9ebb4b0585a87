"""Connections of the native frontend as time goes by: keepalive, pings of clients, and age."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest

from gnomon.runtime.packages.package import Package
from gnomon.server.serving.native.frontend import NativeFrontend
from gnomon.server.serving.native.loop import missing_library
from tests.support import http2_frames as http2
from tests.support.serving import Served, request

pytestmark = pytest.mark.skipif(
    missing_library() is not None, reason="libnghttp2 is not installed (package libnghttp2-14)"
)


@pytest.fixture
def serve(package: Package) -> Iterator[Callable[..., Any]]:
    """Serve with some of the loop's limits changed."""
    made: list[Any] = []

    def serve(**limits: float) -> Any:
        class Opened(Served):
            async def _make(self, settings: Any) -> Any:
                return NativeFrontend(
                    self.handler, settings, limits={"header_seconds": 1.0, **limits}
                )

        made.append(Opened(package))
        return made[-1]

    yield serve
    for one in made:
        one.close()


def settled(address: str) -> http2.Http2Connection:
    """Return a connection that has had an answer."""
    raw = http2.Http2Connection(address)
    raw.send(http2.call(1, request().SerializeToString()))
    assert raw.ends(1).kind == http2.HEADERS
    return raw


@pytest.mark.slow
def test_who_says_nothing_is_asked_and_cut_if_there_is_no_answer(
    serve: Callable[..., Any],
) -> None:
    served = serve(keepalive_seconds=0.3)
    silent, alive = settled(served.address), settled(served.address)
    pings = 0
    started = time.monotonic()
    for one in alive.frames(3):
        if one.kind == http2.PING and not one.flags & http2.ACK:
            pings += 1
            alive.send(http2.frame(http2.PING, http2.ACK, 0, one.payload))
    assert time.monotonic() - started > 2.5
    assert pings >= 2
    assert any(one.kind == http2.PING for one in silent.frames(0.1))
    assert silent.is_closed(5)
    alive.send(http2.call(3, request().SerializeToString()))
    assert alive.ends(3).kind == http2.HEADERS
    # A client of gRPC answers by itself.
    served.infer(request())
    time.sleep(2)
    opened = served.frontend.counts["connections"]
    served.infer(request())
    assert served.frontend.counts["connections"] == opened
    for raw in (silent, alive):
        raw.close()


def test_without_keepalive_no_one_is_asked(serve: Callable[..., Any]) -> None:
    raw = settled(serve(keepalive_seconds=0.0).address)
    assert not [one for one in raw.frames(1) if one.kind == http2.PING]
    raw.close()


def test_a_client_that_only_pings_gets_enhance_your_calm(serve: Callable[..., Any]) -> None:
    served = serve()
    raw = settled(served.address)
    raw.send(http2.frame(http2.PING, 0, 0, b"whatever") * 40)
    ends = [one.payload for one in raw.frames() if one.kind == http2.GOAWAY]
    assert int.from_bytes(ends[0][4:8]) == 11
    assert ends[0][8:] == b"too_many_pings"
    assert raw.is_closed()
    raw.close()
    # Pings between calls, as clients send them to measure the way, harm nobody.
    busy = settled(served.address)
    for stream in range(3, 203, 2):
        busy.send(http2.frame(http2.PING, 0, 0, b"whatever"))
        busy.send(http2.call(stream, request().SerializeToString()))
        assert busy.ends(stream).kind == http2.HEADERS
    assert not [one for one in busy.frames(0.5) if one.kind == http2.GOAWAY]
    busy.close()


@pytest.mark.slow
def test_a_connection_of_age_ends_in_two_steps_and_no_call_with_it(
    serve: Callable[..., Any],
) -> None:
    served = serve(connection_age_seconds=0.5)
    raw = settled(served.address)
    steps = [int.from_bytes(one.payload[:4]) for one in raw.frames() if one.kind == http2.GOAWAY]
    assert steps == [2**31 - 1, 1]
    assert raw.is_closed()
    raw.close()
    failures: list[Any] = []
    until = time.monotonic() + 2.5
    asked = 0
    while time.monotonic() < until:
        try:
            served.infer(request())
            asked += 1
        except grpc.RpcError as error:
            failures.append(error)
    assert not failures
    assert asked
    assert served.frontend.counts["connections"] >= 3
