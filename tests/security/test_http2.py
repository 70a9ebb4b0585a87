"""Frames that nothing asked for, and credentials that are not one, at the frontends for gRPC."""

import struct
import time
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import httpx
import pytest

from gnomon.proto import inference_pb2 as oip
from gnomon.runtime.packages.package import Package
from gnomon.server.serving.admission.key_file import create_key
from gnomon.server.serving.native.frontend import NativeFrontend
from gnomon.server.serving.native.loop import missing_library
from tests.server.serving.conformance.house import GRPC_FRONTENDS, House
from tests.support import http2_frames as http2
from tests.support.packages import make_package
from tests.support.serving import PREDICT, Served, request

needs_native = pytest.mark.skipif(
    missing_library() is not None, reason="libnghttp2 is not installed (package libnghttp2-14)"
)
PROTOCOL_ERROR, STREAM_CLOSED, FRAME_SIZE_ERROR, ENHANCE_YOUR_CALM = 1, 5, 6, 11
PRIORITY, WINDOW_UPDATE = 2, 8


class Native(Served):
    """A handler behind the native frontend."""

    async def _make(self, settings: Any) -> Any:
        # Floods are to end by their frames, not by the time that an unfinished request has.
        return NativeFrontend(self.handler, settings, limits={"header_seconds": 60.0})


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    return make_package(tmp_path_factory.mktemp("packages") / "eta-1", None)


@pytest.fixture(scope="module")
def served(package: Package) -> Iterator[Native]:
    served = Native(package)
    yield served
    served.close()


@pytest.fixture
def connect(served: Native) -> Iterator[Callable[[], http2.Http2Connection]]:
    made: list[http2.Http2Connection] = []

    def connect() -> http2.Http2Connection:
        made.append(http2.Http2Connection(served.address))
        return made[-1]

    yield connect
    for one in made:
        one.close()


def headers_frame(stream: int, flags: int = 4, **changes: str) -> bytes:
    return http2.frame(http2.HEADERS, flags, stream, http2.block(http2.request_headers(**changes)))


@needs_native
@pytest.mark.parametrize("end", ["answered", "reset"])
@pytest.mark.parametrize("frame", ["data", "headers"])
@pytest.mark.parametrize("piece", [1, 1 << 20])
def test_a_frame_on_a_closed_stream_is_an_error_of_that_stream(
    connect: Callable[[], http2.Http2Connection], end: str, frame: str, piece: int
) -> None:
    raw = connect()
    if end == "answered":
        raw.send(http2.call(1, request().SerializeToString()))
        raw.ends(1)
    else:
        raw.send(headers_frame(1) + http2.frame(http2.RST_STREAM, 0, 1, struct.pack(">I", 8)))
    late = headers_frame(1) if frame == "headers" else http2.frame(http2.DATA, 0, 1, b"x")
    late += http2.call(3, request().SerializeToString())
    for at in range(0, len(late), piece):
        raw.send(late[at : at + piece])
    codes = []
    for one in raw.frames():
        if one.kind == http2.RST_STREAM and one.stream == 1:
            codes.append(int.from_bytes(one.payload))
        if one.stream == 3 and one.flags & http2.END_STREAM and one.kind == http2.HEADERS:
            break
    assert codes == [STREAM_CLOSED]


@needs_native
def test_priority_of_no_stream_is_an_error(connect: Callable[[], http2.Http2Connection]) -> None:
    raw = connect()
    raw.send(http2.frame(PRIORITY, 0, 0, bytes(5)))
    (goaway,) = [one for one in raw.frames() if one.kind == http2.GOAWAY]
    assert int.from_bytes(goaway.payload[4:8]) == PROTOCOL_ERROR


@needs_native
def test_priority_of_any_stream_is_taken(connect: Callable[[], http2.Http2Connection]) -> None:
    """Before a stream is opened, and after it was answered; nothing follows from it."""
    raw = connect()
    weight = struct.pack(">IB", 0, 15)
    raw.send(http2.frame(PRIORITY, 0, 1, weight) + http2.frame(PRIORITY, 0, 9, weight))
    raw.send(http2.call(1, request().SerializeToString()))
    raw.ends(1)
    raw.send(http2.frame(PRIORITY, 0, 1, weight))
    raw.send(http2.call(3, request().SerializeToString()))
    raw.ends(3)


@needs_native
@pytest.mark.parametrize("piece", [1, 1 << 20])
@pytest.mark.parametrize("exclusive", [0, 1 << 31])
def test_a_stream_that_depends_on_itself_is_an_error_of_that_stream(
    connect: Callable[[], http2.Http2Connection], exclusive: int, piece: int
) -> None:
    raw = connect()
    circular = http2.frame(PRIORITY, 0, 1, struct.pack(">IB", exclusive | 1, 15))
    bytes_sent = headers_frame(1) + circular + http2.call(3, request().SerializeToString())
    for at in range(0, len(bytes_sent), piece):
        raw.send(bytes_sent[at : at + piece])
    codes = []
    for one in raw.frames():
        if one.kind == http2.RST_STREAM and one.stream == 1:
            codes.append(int.from_bytes(one.payload))
        if one.stream == 3 and one.flags & http2.END_STREAM and one.kind == http2.HEADERS:
            break
    assert codes == [PROTOCOL_ERROR]


@needs_native
@pytest.mark.parametrize("kind", [http2.HEADERS, PRIORITY], ids=["HEADERS", "PRIORITY"])
def test_an_unopened_stream_that_depends_on_itself_ends_the_connection(
    connect: Callable[[], http2.Http2Connection], kind: int
) -> None:
    """No stream may be reset that was not opened yet; nghttp2 refuses such headers so, too."""
    raw = connect()
    itself = struct.pack(">IB", 5, 15)
    block = http2.block(http2.request_headers()) if kind == http2.HEADERS else b""
    flags = http2.END_HEADERS | 0x20 if block else 0
    raw.send(http2.frame(kind, flags, 5, itself + block))
    assert first_error(raw) == PROTOCOL_ERROR


@needs_native
def test_a_priority_that_is_too_short_is_an_error(
    connect: Callable[[], http2.Http2Connection],
) -> None:
    raw = connect()
    raw.send(headers_frame(1) + http2.frame(PRIORITY, 0, 1, bytes(4)))
    assert first_error(raw) == FRAME_SIZE_ERROR


@needs_native
@pytest.mark.parametrize(
    ("kind", "payload"),
    [(http2.DATA, b"x"), (http2.RST_STREAM, bytes(4)), (WINDOW_UPDATE, struct.pack(">I", 1))],
    ids=["DATA", "RST_STREAM", "WINDOW_UPDATE"],
)
def test_a_frame_on_a_stream_that_was_never_opened_ends_the_connection(
    connect: Callable[[], http2.Http2Connection], kind: int, payload: bytes
) -> None:
    raw = connect()
    raw.send(http2.frame(kind, 0, 5, payload))
    assert first_error(raw) == PROTOCOL_ERROR


def first_error(raw: http2.Http2Connection) -> int:
    """Return the code of the first RST_STREAM or GOAWAY."""
    for one in raw.frames():
        if one.kind == http2.RST_STREAM:
            return int.from_bytes(one.payload)
        if one.kind == http2.GOAWAY:
            return int.from_bytes(one.payload[4:8])
    raise AssertionError("the connection ended without an error")


@needs_native
@pytest.mark.parametrize("padding", [b"", b"\3\0\0\0"])
def test_a_flood_of_data_frames_without_data_ends(
    served: Native, connect: Callable[[], http2.Http2Connection], padding: bytes
) -> None:
    raw = connect()
    raw.send(headers_frame(1))
    flood = http2.frame(http2.DATA, 8 if padding else 0, 1, padding) * 1_000
    until = time.monotonic() + 20
    with pytest.raises(OSError, match=r"(?i)broken pipe|reset"):
        while time.monotonic() < until:
            raw.send(flood)
    assert served.infer(request()).model_version == "1"


@needs_native
def test_a_wrong_method_gets_the_right_one(
    connect: Callable[[], http2.Http2Connection],
) -> None:
    raw = connect()
    raw.send(headers_frame(1, 5, method="PUT"))
    answer = raw.ends(1)
    # "allow" is the name 22 of HPACK's static table.
    assert b"\x56" in answer.payload


@pytest.fixture(scope="module")
def house(package: Package, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """All frontends, which ask for a key; gives them and a good key."""
    keys = tmp_path_factory.mktemp("keys") / "keys.json"
    secret = create_key(keys, "pilot")
    house = House([package], keys_file=keys)
    yield house, secret
    house.close()


@pytest.mark.parametrize("frontend", [*GRPC_FRONTENDS, "rest"])
@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("other", ["Bearer wrong", "", "Bearer {}"])
def test_two_credentials_are_none(house: Any, frontend: str, place: int, other: str) -> None:
    found, secret = house
    address = found.address(frontend)
    good = [("authorization", f"Bearer {secret}")]
    both = list(good)
    both.insert(place, ("authorization", other.format(secret)))
    if frontend == "rest":
        body = {"instances": [{"distance": 800.0, "wind": 10.0, "carrier": "UA"}]}
        for headers, status in ((good, 200), (both, 401), (good, 200)):
            answer = httpx.post(
                f"http://{address}{PREDICT}", json=body, headers=headers, trust_env=False
            )
            assert answer.status_code == status
        return
    with grpc.insecure_channel(address) as channel:
        infer = channel.unary_unary(http2.INFER)
        message = request().SerializeToString()
        # The second time the good credential is known without Python.
        for _ in range(2):
            assert oip.ModelInferResponse.FromString(infer(message, metadata=good)).model_version
            with pytest.raises(grpc.RpcError) as caught:
                infer(message, metadata=both)
            error: Any = caught.value
            assert error.code() is grpc.StatusCode.UNAUTHENTICATED
