"""The compiled generator sends what is due, and counts what came of it."""

import socket
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from gnomon.bench.generator.arrivals import Arrivals, due_times
from gnomon.bench.generator.histogram import Histogram
from gnomon.bench.generator.loops import CELLS, LoadLoop, cell_of, missing_library
from gnomon.bench.honest.answers import MODEL, answers
from gnomon.bench.honest.law import ServiceLaw
from gnomon.bench.honest.server import HonestServer
from gnomon.bench.load.target import LoadTarget, Protocol, parse_target
from tests.support.waiting import wait_for

pytestmark = pytest.mark.skipif(missing_library() is not None, reason=str(missing_library()))

SECOND = 10**9
RECORD = np.dtype(
    [("due", "u8"), ("sent", "u8"), ("done", "u8"), ("row", "u4"), ("status", "i2"), ("end", "u2")]
)
GRPC = (
    (b":method", b"POST"),
    (b":scheme", b"http"),
    (b":path", b"/inference.GRPCInferenceService/ModelInfer"),
    (b":authority", b"test"),
    (b"content-type", b"application/grpc"),
    (b"te", b"trailers"),
)
REST = (*GRPC[:2], (b":path", f"/v2/models/{MODEL}/infer".encode()), GRPC[3])
HTTP1 = b"POST /v2/models/honest/infer HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}"
REQUESTS = {Protocol.GRPC: b"\0\0\0\0\0", Protocol.HTTP1: HTTP1, Protocol.HTTP2: b"{}"}
EXPECTED = {one[0]: one[1] for one in answers()}
PATHS = {Protocol.GRPC: GRPC[2][1], Protocol.HTTP1: REST[2][1], Protocol.HTTP2: REST[2][1]}


def loop(
    target: LoadTarget, dues: Any = None, expected: bytes | None = None, **more: int
) -> LoadLoop:
    protocol = target.protocol
    settings: dict[str, Any] = {
        "address": target.socket_address,
        "protocol": int(protocol),
        "connections": 2,
        "streams": 1 if protocol is Protocol.HTTP1 else 4,
        "warm_up": 0,
        "measured": SECOND // 5,
        "timeout": 20 * SECOND,
        "patience": 5 * SECOND,
        "spin": 0,
        "slot": SECOND // 10,
        "slot_count": 2,
        "log_room": 100_000,
    }
    headers = {Protocol.GRPC: GRPC, Protocol.HTTP1: (), Protocol.HTTP2: REST}[protocol]
    return LoadLoop(settings | more, headers, [(REQUESTS[protocol], expected)], dues)


@pytest.fixture(scope="module")
def server() -> Iterator[HonestServer]:
    with HonestServer(ServiceLaw(scale=0.001)) as running:
        yield running


def targets(address: str) -> Sequence[LoadTarget]:
    return [parse_target(f"{scheme}://{address}") for scheme in ("grpc", "http", "h2c")]


def test_each_request_that_is_due_is_sent_once_and_counted_from_then(server: HonestServer) -> None:
    dues = due_times(Arrivals.POISSON, 2_000, 0.2, np.random.default_rng(1))
    for target in targets(server.address):
        found = loop(target, dues, EXPECTED[PATHS[target.protocol]])
        found.run()
        assert found.outcomes == [len(dues), 0, 0, 0, 0, 0]
        log = np.frombuffer(found.log, RECORD)
        assert np.array_equal(np.sort(log["due"]), dues)
        assert (log["sent"] >= log["due"]).all()
        # A millisecond of service.
        assert (log["done"] - log["due"] >= SECOND // 1000).all()
        for name, values in (
            ("latency", log["done"] - log["due"]),
            ("service", log["done"] - log["sent"]),
        ):
            cells = np.bincount([cell_of(int(one)) for one in values], minlength=CELLS)
            assert np.array_equal(Histogram.from_bytes(found.histogram(name)).counts, cells)
        sent = Histogram.from_bytes(found.histogram("lateness")).total
        assert sent + found.counts["waited"] == len(dues)


def test_the_warm_up_is_not_counted(server: HonestServer) -> None:
    dues = due_times(Arrivals.CONSTANT, 1_000, 0.2, np.random.default_rng(1))
    half = SECOND // 10
    found = loop(targets(server.address)[0], dues, warm_up=half, measured=half)
    found.run()
    assert found.outcomes[0] == np.count_nonzero(dues >= half)


def test_a_closed_loop_keeps_each_stream_busy(server: HonestServer) -> None:
    for target in targets(server.address):
        found = loop(target, connections=3)
        found.run()
        log = np.frombuffer(found.log, RECORD)
        assert found.outcomes[0] == len(log) > 0
        assert sum(found.outcomes[1:]) == 0
        # At no time more requests than streams: each one's end frees its stream.
        streams = 3 if target.protocol is Protocol.HTTP1 else 12
        changes = [(int(one), 1) for one in log["due"]] + [(int(one), -1) for one in log["done"]]
        assert max(np.cumsum([step for _, step in sorted(changes)])) <= streams


def test_answers_that_differ_are_counted_and_kept(server: HonestServer) -> None:
    dues = due_times(Arrivals.CONSTANT, 500, 0.2, np.random.default_rng(1))
    for target in targets(server.address):
        found = loop(target, dues, b"something else")
        found.run()
        assert found.outcomes == [0, 0, len(dues), 0, 0, 0]
        assert len(found.kept) == min(64, len(dues))
        assert set(found.kept) == {(0, EXPECTED[PATHS[target.protocol]])}


def test_what_is_not_answered_in_time_counts_with_the_time_limit() -> None:
    dues = due_times(Arrivals.CONSTANT, 50, 0.2, np.random.default_rng(1))
    with HonestServer(ServiceLaw(scale=60.0)) as slow:
        for target in targets(slow.address):
            found = loop(target, dues, timeout=SECOND // 10)
            found.run()
            assert found.outcomes[4] + found.outcomes[5] == len(dues)
            latency = Histogram.from_bytes(found.histogram("latency"))
            assert latency.total == len(dues)
            assert latency.percentile(1) >= 0.99 * SECOND / 10


def test_a_server_that_leaves_ends_the_run_and_what_was_counted_stays() -> None:
    dues = due_times(Arrivals.CONSTANT, 200, 60, np.random.default_rng(1))
    with HonestServer(ServiceLaw(scale=0.001)) as running:
        target = parse_target(f"grpc://{running.address}")
        found = loop(target, dues, measured=60 * SECOND, patience=2 * SECOND)
        thread = threading.Thread(target=found.run)
        thread.start()
        wait_for(lambda: found.outcomes[0] >= 20)
    thread.join(60)
    assert not thread.is_alive()
    assert found.counts["ended_early"]
    assert found.outcomes[0] >= 20


def test_no_server_at_all_ends_the_run() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    found = loop(parse_target(f"grpc://127.0.0.1:{port}"), patience=SECOND // 20)
    found.run()
    assert found.counts["ended_early"]
    assert found.counts["error"] > 0
    assert sum(found.outcomes) == 0
