"""What the native frontend bears: bad frames, bad bytes, clients that stall, and its own end."""

import asyncio
import random
import shutil
import struct
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import numpy as np
import pytest

from gnomon.proto import inference_pb2 as oip
from gnomon.proto import inference_pb2_grpc
from gnomon.runtime.errors import ConfigurationError
from gnomon.runtime.packages.package import Package
from gnomon.runtime.routing.routes import single
from gnomon.server.serving.admission.clients import Clients
from gnomon.server.serving.grpcio.frontend import GrpcFrontend
from gnomon.server.serving.native import frontend as native_frontend
from gnomon.server.serving.native.eligible import native_routes
from gnomon.server.serving.native.frontend import NativeFrontend
from gnomon.server.serving.native.loop import missing_library
from gnomon.server.serving.native.route_table import NativeRouteTable
from gnomon.server.serving.select_frontend import make_frontend
from gnomon.server.serving.settings import FrontendSettings
from tests.support import http2_frames as http2
from tests.support.packages import make_package
from tests.support.serving import Served, request

pytestmark = pytest.mark.skipif(
    missing_library() is not None, reason="libnghttp2 is not installed (package libnghttp2-14)"
)

LIMITS = {"header_seconds": 1.0, "idle_seconds": 30.0, "connections": 40}


class Bounded(Served):
    """As `Served`, behind a native frontend with short limits."""

    async def _make(self, settings: Any) -> Any:
        return NativeFrontend(self.handler, settings, limits=LIMITS)


@pytest.fixture
def served(package: Package) -> Iterator[Bounded]:
    served = Bounded(package, message_bytes=4 << 20)
    yield served
    served.close()


@pytest.fixture
def connect(served: Bounded) -> Iterator[Callable[..., http2.Http2Connection]]:
    made: list[http2.Http2Connection] = []

    def connect(**options: Any) -> http2.Http2Connection:
        made.append(http2.Http2Connection(served.address, **options))
        return made[-1]

    yield connect
    for one in made:
        one.close()


def is_well(served: Bounded) -> bool:
    """Whether a good client is answered."""
    answer = served.infer(request())
    return list(answer.outputs[0].contents.fp32_contents) == pytest.approx([111.0])


@pytest.mark.slow
def test_large_tensors_go_both_ways(served: Bounded) -> None:
    rows = 100_000
    message = oip.ModelInferRequest(model_name="eta")
    for name, value in (("distance", 800.0), ("wind", 10.0)):
        message.inputs.add(name=name, datatype="FP64", shape=[rows])
        message.raw_input_contents.append(np.full(rows, value).tobytes())
    message.inputs.add(name="carrier", datatype="BYTES", shape=[rows])
    message.raw_input_contents.append(b"\2\0\0\0UA" * rows)
    answers = [served.stub.ModelInfer.future(message, timeout=20) for _ in range(4)]
    for answer in answers:
        values = np.frombuffer(answer.result().raw_output_contents[0], np.float32)
        assert values == pytest.approx(np.full(rows, 111.0))
    assert served.counted() == {"answered": 4 * rows}
    assert served.frontend.counts["held_bytes"] == 0


def test_compressed_requests_are_answered(served: Bounded) -> None:
    for compression in (grpc.Compression.Gzip, grpc.Compression.Deflate):
        answer = served.stub.ModelInfer(request(40), timeout=10, compression=compression)
        assert len(answer.outputs[0].contents.fp32_contents) == 40


def test_a_message_that_is_too_large_is_refused_before_it_is_read(
    served: Bounded, connect: Callable[..., http2.Http2Connection]
) -> None:
    message = request()
    message.parameters["key"].string_param = "x" * (5 << 20)
    with pytest.raises(grpc.RpcError) as caught:
        served.infer(message)
    error: Any = caught.value
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    raw = connect()
    raw.send(http2.frame(http2.HEADERS, 4, 1, http2.block(http2.request_headers())))
    raw.send(http2.frame(http2.DATA, 0, 1, b"\0" + struct.pack(">I", 1 << 30)))
    assert raw.ends(1).kind == http2.HEADERS
    assert is_well(served)


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"", {}),
        (b"\0\0\0", {}),
        (http2.prefixed(b"abc")[:-1], {}),
        (http2.prefixed(b"abc") + b"more", {}),
        (http2.prefixed(b"abc", 2), {}),
        (http2.prefixed(b"abc", 1), {}),
        (http2.prefixed(b"abc", 1), {"grpc_encoding": "gzip"}),
        (http2.prefixed(b"abc", 1), {"grpc_encoding": "snappy"}),
        (http2.prefixed(b""), {"path": "/other/Method"}),
        (http2.prefixed(b""), {"path": "/" + "x" * 500}),
        (http2.prefixed(b""), {"grpc_timeout": "0n"}),
        (http2.prefixed(b""), {"grpc_timeout": "nonsense"}),
        (http2.prefixed(b""), {"padding": "x" * 20_000}),
        (http2.prefixed(b""), {"method": "PUT"}),
        (http2.prefixed(b""), {"content_type": "application/grpc-web"}),
    ],
)
def test_what_is_no_good_call_ends_at_once(
    served: Bounded,
    connect: Callable[..., http2.Http2Connection],
    body: bytes,
    headers: dict[str, str],
) -> None:
    raw = connect()
    block = http2.block(http2.request_headers(**headers))
    first = http2.frame(http2.HEADERS, 0 if len(block) > 16_000 else 4, 1, block[:16_000])
    if len(block) > 16_000:
        first += http2.frame(http2.CONTINUATION, http2.END_HEADERS, 1, block[16_000:])
    raw.send(first + http2.frame(http2.DATA, http2.END_STREAM, 1, body))
    assert raw.ends(1).kind == http2.HEADERS
    raw.send(http2.call(3, request().SerializeToString()))
    assert raw.ends(3).kind == http2.HEADERS
    assert is_well(served)


def test_who_greets_with_nonsense_is_left(connect: Callable[..., http2.Http2Connection]) -> None:
    raw = connect(greets=False)
    raw.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert raw.is_closed()


def test_headers_that_never_end_are_cut_off(
    served: Bounded, connect: Callable[..., http2.Http2Connection]
) -> None:
    drip, flood = connect(), connect()
    start = http2.frame(http2.HEADERS, 0, 1, http2.block(http2.request_headers()))
    drip.send(start)
    flood.send(start)
    try:
        for _ in range(100_000):
            flood.send(http2.frame(http2.CONTINUATION, 0, 1) * 100)
    except OSError:
        pass
    else:
        raise AssertionError("the flood was borne")
    assert drip.is_closed(5)
    assert is_well(served)


def test_a_request_that_stalls_is_cut_off(
    served: Bounded, connect: Callable[..., http2.Http2Connection]
) -> None:
    raw = connect()
    raw.send(http2.call(1, request().SerializeToString()))
    assert raw.ends(1).kind == http2.HEADERS
    raw.send(http2.frame(http2.HEADERS, 4, 3, http2.block(http2.request_headers())))
    raw.send(http2.frame(http2.DATA, 0, 3, b"\0\0\0\1\0" + b"x" * 100))
    assert raw.is_closed(5)
    assert served.frontend.counts["held_bytes"] == 0


def test_h2load_is_answered(served: Bounded) -> None:
    if shutil.which("h2load") is None:
        pytest.skip("h2load is not installed (package nghttp2-client)")
    with tempfile.NamedTemporaryFile() as body:
        body.write(http2.prefixed(request().SerializeToString()))
        body.flush()
        done = subprocess.run(
            [
                *("h2load", "-n", "4000", "-c", "8", "-m", "16", "-d", body.name),
                *("-H", "content-type: application/grpc", "-H", "te: trailers"),
                f"http://{served.address}{http2.INFER}",
            ],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
    assert "4000 succeeded, 0 failed, 0 errored" in done.stdout
    assert served.counted() == {"answered": 4_000}
    assert served.frontend.counts["taken"] == 4_000


def test_rapid_resets_end_the_connection_that_sends_them(
    served: Bounded, connect: Callable[..., http2.Http2Connection]
) -> None:
    raw = connect()
    block = http2.block(http2.request_headers())
    sent = 0
    with pytest.raises(OSError):
        for stream in range(1, 400_000, 2):
            raw.send(
                http2.frame(http2.HEADERS, 4, stream, block)
                + http2.frame(http2.RST_STREAM, 0, stream, b"\0\0\0\x08")
            )
            sent += 1
    assert sent > 100
    assert is_well(served)


def test_a_client_that_does_not_read_holds_up_no_one(
    served: Bounded, connect: Callable[..., http2.Http2Connection]
) -> None:
    raw = connect()
    body = request(1_000).SerializeToString()
    for stream in range(1, 60, 2):
        raw.send(http2.frame(http2.HEADERS, 4, stream, http2.block(http2.request_headers())))
        framed = http2.prefixed(body)
        for at in range(0, len(framed), 16_000):
            last = http2.END_STREAM if at + 16_000 >= len(framed) else 0
            raw.send(http2.frame(http2.DATA, last, stream, framed[at : at + 16_000]))
    for _ in range(20):
        assert is_well(served)
    assert served.frontend.counts["held_bytes"] < 8 << 20


def test_too_many_connections_are_not_borne(served: Bounded) -> None:
    assert is_well(served)
    many = [http2.Http2Connection(served.address, greets=False) for _ in range(45)]
    assert is_well(served)
    deadline = time.monotonic() + 5
    while served.frontend.counts["dropped_connections"] == 0 and time.monotonic() < deadline:
        time.sleep(0.01)
    counts = served.frontend.counts
    assert counts["dropped_connections"] >= 5
    assert counts["open_connections"] <= 40
    # Those that never asked for anything are closed after their time.
    while served.frontend.counts["open_connections"] > 1 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert served.frontend.counts["open_connections"] == 1
    for one in many:
        one.close()


def test_a_deadline_ends_a_call_that_python_still_works_on(
    served: Bounded, connect: Callable[..., http2.Http2Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    released = threading.Event()
    infer = served.handler.infer

    def wait(message: Any) -> Any:
        released.wait(10)
        return infer(message)

    monkeypatch.setattr(served.handler, "infer", wait)
    raw = connect()
    slow = request(wind=[900.0]).SerializeToString()
    raw.send(http2.call(1, slow, grpc_timeout="100m") + http2.call(3, slow))
    started = time.monotonic()
    assert raw.ends(1, 5).kind == http2.HEADERS
    assert time.monotonic() - started < 4
    raw.send(http2.frame(http2.RST_STREAM, 0, 3, b"\0\0\0\x08"))
    assert is_well(served)
    released.set()
    assert served.counted().get("answered", 0) >= 1
    assert is_well(served)


def test_pings_are_answered(connect: Callable[..., http2.Http2Connection]) -> None:
    raw = connect()
    raw.send(http2.frame(http2.PING, 0, 0, b"whatever"))
    (answer,) = [one for one in raw.frames(1) if one.kind == http2.PING]
    assert (answer.flags, answer.payload) == (http2.ACK, b"whatever")


def test_the_end_comes_in_two_steps(package: Package) -> None:
    served = Bounded(package)
    raw = http2.Http2Connection(served.address)
    raw.send(http2.call(1, request().SerializeToString()))
    raw.ends(1)
    closing = threading.Thread(target=served.close)
    closing.start()
    steps = [int.from_bytes(one.payload[:4]) for one in raw.frames() if one.kind == http2.GOAWAY]
    closing.join(20)
    raw.close()
    assert steps == [2**31 - 1, 1]


def mutate(data: bytes, chance: random.Random) -> bytes:
    """Return bytes with a few places changed, taken out, doubled or cut off."""
    made = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(made) + 1)
        match chance.randrange(5):
            case 0 if at < len(made):
                made[at] ^= 1 << chance.randrange(8)
            case 1 if at < len(made):
                made[at] = chance.choice((0, 1, 0x7F, 0x80, 0xFF))
            case 2:
                del made[at : at + chance.randint(1, 8)]
            case 3:
                made[at:at] = made[at : at + chance.randint(1, 16)]
            case _:
                del made[chance.randrange(len(made) + 1) :]
        if not made:
            return b""
    return bytes(made)


def test_changed_messages_are_read_as_protobuf_reads_them_or_not_at_all(served: Bounded) -> None:
    table = NativeRouteTable(1.0)
    served.runtime.watch(lambda routes: table.publish(native_routes(routes, Clients())))
    raw = oip.ModelInferRequest(model_name="eta", id="r1")
    for name, data in (("distance", 800.0), ("wind", 10.0)):
        raw.inputs.add(name=name, datatype="FP64", shape=[1])
        raw.raw_input_contents.append(struct.pack("<d", data))
    raw.inputs.add(name="carrier", datatype="BYTES", shape=[1])
    raw.raw_input_contents.append(b"\2\0\0\0UA")
    wholes = request(2)
    for tensor in list(wholes.inputs)[:2]:
        tensor.datatype = "INT16"
        tensor.contents.int_contents.extend(int(one) for one in tensor.contents.fp64_contents)
        tensor.contents.ClearField("fp64_contents")
    keyed = request()
    keyed.parameters["key"].string_param = "Ωmega"
    seeds = [one.SerializeToString() for one in (request(), request(3), raw, wholes, keyed)]
    for seed in seeds:
        assert table.try_message(seed)
    chance = random.Random(20131)
    answered = 0
    for _ in range(20_000):
        data = mutate(chance.choice(seeds), chance)
        answer = table.try_message(data)
        if answer is None:
            continue
        answered += 1
        message = oip.ModelInferRequest.FromString(data)
        expected = served.handler.infer(message)
        got = oip.ModelInferResponse.FromString(answer)
        if not message.id:
            expected.id = got.id
        assert got == expected, data
    assert answered > 200


def test_changed_frames_harm_no_one(served: Bounded) -> None:
    good = http2.PREFACE + http2.frame(http2.SETTINGS, 0, 0)
    good += b"".join(http2.call(stream, request().SerializeToString()) for stream in (1, 3, 5))
    good += http2.frame(http2.PING, 0, 0, b"whatever") + http2.frame(8, 0, 0, b"\0\0\1\0")
    chance = random.Random(1998)
    for turn in range(300):
        raw = http2.Http2Connection(served.address, greets=False)
        try:
            raw.send(mutate(good, chance))
            if turn % 10 == 0:
                list(raw.frames(0.01))
        except OSError:
            pass
        raw.close()
    assert is_well(served)
    deadline = time.monotonic() + 5
    while served.frontend.counts["open_connections"] > 1 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert served.frontend.counts["open_connections"] == 1
    assert served.frontend.counts["held_bytes"] == 0


@pytest.mark.slow
def test_swaps_under_load_fail_no_call_and_lose_no_count(
    served: Bounded, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("swaps")
    other = make_package(folder / "eta-2", None, version="2")
    packages = [next(iter(served.runtime.models.values())).package, other]
    stop = threading.Event()
    failures: list[Any] = []
    versions: list[str] = []

    def ask() -> None:
        with grpc.insecure_channel(served.address) as channel:
            method = inference_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer
            while not stop.is_set():
                try:
                    versions.append(method(request(), timeout=10).model_version)
                except grpc.RpcError as error:
                    failures.append(error)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for turn in range(50):
        old, new = packages[turn % 2], packages[(turn + 1) % 2]
        served.runtime.load(new)
        served.runtime.apply([single("eta", new.digest)])
        served.runtime.unload(old.digest)
        time.sleep(0.01)
    stop.set()
    for thread in threads:
        thread.join(20)
    assert not failures
    assert set(versions) == {"1", "2"}
    assert served.counted() == {"answered": len(versions)}
    counts = served.frontend.counts
    assert counts["taken"] > 0.9 * len(versions)


def test_frontends_are_chosen_by_what_they_can_do(
    served: Bounded, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def choose(choice: str, **settings: Any) -> Any:
        return type(make_frontend(choice, served.handler, FrontendSettings(port=0, **settings)))

    def chosen(choice: str, **settings: Any) -> Any:
        return asyncio.run(choose(choice, **settings))

    assert chosen("auto") is NativeFrontend
    assert chosen("native") is NativeFrontend
    assert chosen("grpcio") is GrpcFrontend
    assert chosen("auto", requests_per_second=5.0, host="0.0.0.0") is NativeFrontend
    monkeypatch.setattr(native_frontend, "missing_library", lambda: "libnghttp2 is gone")
    with pytest.raises(ConfigurationError, match="libnghttp2 is gone"):
        chosen("native")
    with caplog.at_level("INFO"):
        assert chosen("auto") is GrpcFrontend
    assert "libnghttp2 is gone" in caplog.text
