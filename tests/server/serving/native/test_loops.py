"""Several loops behind one frontend: connections are shared out, and all end together."""

import threading
from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from gnomon.proto import inference_pb2_grpc
from gnomon.runtime.packages.package import Package
from gnomon.server.serving.native.frontend import NativeFrontend
from gnomon.server.serving.native.loop import missing_library
from gnomon.server.serving.settings import FrontendSettings
from tests.support import http2_frames as http2
from tests.support.serving import Served, request
from tests.support.waiting import wait_for

pytestmark = pytest.mark.skipif(
    missing_library() is not None, reason="libnghttp2 is not installed (package libnghttp2-14)"
)

LOOPS = 3


class ManyLoops(Served):
    """As `Served`, behind a native frontend of three loops."""

    async def _make(self, settings: Any) -> Any:
        return NativeFrontend(self.handler, settings, limits={"connections": 12})

    def shares(self) -> list[int]:
        """Return how many connections each loop has."""
        return [one["open_connections"] for one in self.frontend.counts_by_loop]


@pytest.fixture
def served(package: Package) -> Iterator[ManyLoops]:
    served = ManyLoops(package, loops=LOOPS)
    yield served
    served.close()


def test_connections_go_to_the_loop_that_has_the_fewest(served: ManyLoops) -> None:
    many = [http2.Http2Connection(served.address) for _ in range(9)]
    for one in many:
        one.send(http2.call(1, request().SerializeToString()))
    for one in many:
        assert one.ends(1).kind == http2.HEADERS
    assert served.shares() == [3, 3, 3]
    for one in many[::LOOPS]:
        one.close()
    wait_for(lambda: sum(served.shares()) == 6)
    more = [http2.Http2Connection(served.address) for _ in range(6)]
    wait_for(lambda: served.shares() == [4, 4, 4])
    # The bound is for all together.
    one_too_many = http2.Http2Connection(served.address)
    assert one_too_many.is_closed()
    assert served.frontend.counts["dropped_connections"] == 1
    for one in (*many, *more, one_too_many):
        one.close()
    wait_for(lambda: sum(served.shares()) == 0)
    served.infer(request())


def test_every_loop_answers_and_all_are_counted_as_one(served: ManyLoops) -> None:
    failures: list[Any] = []

    def ask() -> None:
        # A pool of its own, or channels to one address share a connection.
        with grpc.insecure_channel(
            served.address, [("grpc.use_local_subchannel_pool", 1)]
        ) as channel:
            method = inference_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer
            for number in range(50):
                message = request(wind=[900.0]) if number % 10 == 0 else request()
                try:
                    method(message, timeout=20)
                except grpc.RpcError as error:
                    failures.append(error)

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failures
    assert served.counted() == {"answered": 6 * 50}
    counts = served.frontend.counts
    assert (counts["taken"], counts["declined"]) == (6 * 45, 6 * 5)
    assert all(one["answered"] for one in served.frontend.counts_by_loop)


def test_each_of_many_new_connections_is_answered(served: ManyLoops) -> None:
    message = request().SerializeToString()
    for _ in range(60):
        burst = [http2.Http2Connection(served.address) for _ in range(9)]
        for one in burst:
            one.send(http2.call(1, message))
        for one in burst:
            assert one.ends(1, 5).kind == http2.HEADERS
            one.close()
        wait_for(lambda: sum(served.shares()) == 0)
    assert all(one["answered"] for one in served.frontend.counts_by_loop)


def test_all_loops_end_in_two_steps(package: Package) -> None:
    served = ManyLoops(package, loops=LOOPS)
    many = [http2.Http2Connection(served.address) for _ in range(LOOPS)]
    for one in many:
        one.send(http2.call(1, request().SerializeToString()))
        one.ends(1)
    assert served.shares() == [1, 1, 1]
    closing = threading.Thread(target=served.close)
    closing.start()
    for one in many:
        steps = [int.from_bytes(f.payload[:4]) for f in one.frames() if f.kind == http2.GOAWAY]
        assert steps == [2**31 - 1, 1]
        one.close()
    closing.join(20)
    assert not closing.is_alive()


def test_the_number_of_loops_is_a_setting() -> None:
    with pytest.raises(ValueError, match="loops should be 0 or above, got -1"):
        FrontendSettings(loops=-1)


def test_a_stream_that_comes_while_the_frontend_closes_is_refused(served: ManyLoops) -> None:
    stream = served.channel.stream_stream("/inference.GRPCInferenceService/ModelStreamInfer")
    message = request().SerializeToString()
    assert len(list(stream(iter([message]), timeout=10))) == 1
    served.frontend._calls.close()
    with pytest.raises(grpc.RpcError) as told:
        list(stream(iter([message]), timeout=10))
    assert told.value.code() is grpc.StatusCode.UNAVAILABLE
