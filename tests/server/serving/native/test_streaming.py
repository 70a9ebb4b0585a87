"""Calls of many messages through the native loop, with a method that echoes."""

import contextlib
import gc
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest

from gnomon.server.serving.native.loop import Call, EventLoop, Queue, missing_library
from gnomon.server.serving.native.route_table import NativeRouteTable
from tests.support import http2_frames as http2
from tests.support.waiting import wait_for

pytestmark = pytest.mark.skipif(
    missing_library() is not None, reason="libnghttp2 is not installed (package libnghttp2-14)"
)

ECHO = "/test.Echo/Echo"
LIMITS = {
    "message_bytes": 4 << 20,
    "header_bytes": 16 << 10,
    "connection_bytes": 48 << 20,
    "total_bytes": 64 << 20,
    "concurrent_streams": 100,
    "connections": 50,
    "header_seconds": 1.0,
    "idle_seconds": 2.0,
    "keepalive_seconds": 0.0,
    "connection_age_seconds": 0.0,
}


class Echo:
    """A loop whose one method answers each message `times` times; two threads serve all calls."""

    def __init__(self) -> None:
        self.queue = Queue(64)
        listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{listener.getsockname()[1]}"
        self.loop = EventLoop(
            listener, NativeRouteTable(1.0), self.queue, LIMITS, ("/test.Other/Other", ECHO), ()
        )
        self.behave: Callable[[Call], None] = self.echo
        self.threads = [threading.Thread(target=self.loop.run)]
        self.threads += [threading.Thread(target=self._answer) for _ in range(2)]
        for thread in self.threads:
            thread.start()
        self.channel = grpc.insecure_channel(
            self.address, [("grpc.max_receive_message_length", 64 << 20)]
        )
        self.method = self.channel.stream_stream(ECHO)

    def _answer(self) -> None:
        while (call := self.queue.take()) is not None:
            self.behave(call)

    @staticmethod
    def echo(call: Call) -> None:
        if call.message is None:
            call.finish()
            return
        call.send(call.message)
        call.give_turn()

    def is_well(self) -> bool:
        return list(self.method(iter([b"a", b"b"]), timeout=10)) == [b"a", b"b"]

    def close(self, grace_seconds: float = 1.0) -> None:
        self.channel.close()
        self.loop.drain(grace_seconds)
        for thread in self.threads:
            thread.join(20)
            assert not thread.is_alive()


@pytest.fixture
def echo() -> Iterator[Echo]:
    echo = Echo()
    yield echo
    echo.close()
    assert echo.loop.counts["held_bytes"] == 0


def status_of(call: Any) -> Any:
    """Read a call to its end; return its status."""
    with contextlib.suppress(grpc.RpcError):
        for _ in call:
            pass
    return call.code()


def test_messages_come_back_one_by_one_and_in_order(echo: Echo) -> None:
    asked = threading.Semaphore(0)

    def messages() -> Iterator[bytes]:
        for number in range(20):
            asked.acquire(timeout=10)
            yield str(number).encode()

    answers = echo.method(messages(), timeout=20)
    for number in range(20):
        asked.release()
        # Each answer is there before the next question is asked.
        assert next(answers) == str(number).encode()
    assert status_of(answers) is grpc.StatusCode.OK


def test_many_messages_of_many_sizes_go_both_ways(echo: Echo) -> None:
    sizes = [0, 1, 5, 1_000, 100_000, 3_000_000, 0, 70_000] * 3 + [40] * 1_000
    sent = [bytes([number % 251]) * size for number, size in enumerate(sizes)]
    calls = [echo.method(iter(sent), timeout=60) for _ in range(4)]
    for call in calls:
        assert list(call) == sent
    assert echo.is_well()


def test_messages_that_arrive_in_one_piece_or_byte_by_byte_are_the_same(echo: Echo) -> None:
    raw = http2.Http2Connection(echo.address)
    body = b"".join(http2.prefixed(text) for text in (b"one", b"", b"three"))
    for stream, size in ((1, len(body)), (3, 1)):
        raw.send(http2.frame(http2.HEADERS, 4, stream, http2.block(http2.request_headers(ECHO))))
        for at in range(0, len(body), size):
            raw.send(http2.frame(http2.DATA, 0, stream, body[at : at + size]))
        raw.send(http2.frame(http2.DATA, http2.END_STREAM, stream))
        back = b""
        for one in raw.frames():
            if one.stream == stream and one.kind == http2.DATA:
                back += one.payload
            if one.stream == stream and one.flags & http2.END_STREAM:
                break
        assert back == body
    raw.close()


@pytest.mark.slow
def test_idle_streams_take_up_no_thread_and_are_not_cut(echo: Echo) -> None:
    release = threading.Event()

    def messages() -> Iterator[bytes]:
        yield b"first"
        release.wait(20)
        yield b"last"

    idle = [echo.method(messages(), timeout=30) for _ in range(20)]
    for call in idle:
        assert next(call) == b"first"
    until = time.monotonic() + 3.0  # longer than `idle_seconds` and `header_seconds`
    while time.monotonic() < until:
        assert echo.is_well()
        time.sleep(0.1)
    release.set()
    for call in idle:
        assert list(call) == [b"last"]
        assert call.code() is grpc.StatusCode.OK


def test_python_may_send_at_any_time_and_end_when_it_likes(echo: Echo) -> None:
    kept: list[Call] = []

    def keep(call: Call) -> None:
        if call.message is not None:
            kept.append(call)
        call.give_turn()

    echo.behave = keep
    answers = echo.method(iter([b"watch"]), timeout=20)
    wait_for(lambda: kept)
    for number in range(3):
        assert kept[0].send(b"%d" % number)
        assert next(answers) == b"%d" % number
    kept[0].send(b"last")
    kept[0].refuse([(b"grpc-status", b"5"), (b"grpc-message", b"gone"), (b"more", b"text")])
    assert next(answers) == b"last"
    assert status_of(answers) is grpc.StatusCode.NOT_FOUND
    assert (answers.details(), answers.trailing_metadata()) == ("gone", (("more", "text"),))
    with pytest.raises(RuntimeError, match="answered already"):
        kept[0].send(b"too late")


def test_what_headers_said_is_not_said_again_by_trailers(echo: Echo) -> None:
    release = threading.Event()
    shown: list[Any] = []
    held: list[int] = []

    def hold(call: Call) -> None:
        held.append(1)
        release.wait(20)
        shown.append((call.path, call.authorization))
        call.refuse([(b"grpc-status", b"3")])

    echo.behave = hold
    # Nobody is free to look at the call before its trailers are here.
    busy = [echo.method(iter([b"busy"]), timeout=20) for _ in echo.threads[1:]]
    wait_for(lambda: held == [1] * len(busy))
    wire = http2.Http2Connection(echo.address)
    said = http2.block(http2.request_headers(ECHO, authorization="Bearer first"))
    again = http2.block([("authorization", "Bearer " + "x" * 4_000)])
    wire.send(http2.frame(http2.HEADERS, http2.END_HEADERS, 1, said))
    wire.send(http2.frame(http2.DATA, 0, 1, http2.prefixed(b"one")))
    wire.send(http2.frame(http2.HEADERS, http2.END_HEADERS | http2.END_STREAM, 1, again))
    wire.send(http2.frame(http2.PING, 0, 0, b"12345678"))
    assert any(one.kind == http2.PING and one.flags & http2.ACK for one in wire.frames())
    release.set()
    wait_for(lambda: len(shown) == len(busy) + 1)
    assert (ECHO, b"Bearer first") in shown
    wire.socket.close()
    for call in busy:
        status_of(call)


def test_a_refusal_without_a_message_is_only_trailers(echo: Echo) -> None:
    echo.behave = lambda call: call.refuse([(b"grpc-status", b"3"), (b"grpc-message", b"no")])
    answers = echo.method(iter([b"x"] * 10), timeout=20)
    assert status_of(answers) is grpc.StatusCode.INVALID_ARGUMENT
    assert answers.details() == "no"


def test_a_streaming_call_is_not_answered_as_another(echo: Echo) -> None:
    raised: list[str] = []

    def answer(call: Call) -> None:
        try:
            call.answer(b"x")
        except RuntimeError as error:
            raised.append(str(error))
        call.finish()

    echo.behave = answer
    assert status_of(echo.method(iter([b"x"]), timeout=20)) is grpc.StatusCode.OK
    assert raised == ["a streaming call is answered with `send`"]


@pytest.mark.slow
def test_a_client_that_leaves_is_noticed_and_forgotten(echo: Echo) -> None:
    kept: list[Call] = []
    echo.behave = lambda call: (kept.append(call), call.give_turn())[1]
    held = threading.Event()

    def messages() -> Iterator[bytes]:
        yield b"x"
        held.wait(20)

    calls = [echo.method(messages()) for _ in range(5)]
    wait_for(lambda: len(kept) == 5)
    for call in calls:
        call.cancel()
    held.set()

    def is_gone(call: Call) -> bool:
        try:
            return not call.send(b"is anyone there?")
        except RuntimeError:
            return True

    wait_for(lambda: all(is_gone(call) for call in kept))
    echo.behave = echo.echo
    assert echo.is_well()
    kept.clear()
    gc.collect()


def test_a_turn_that_python_drops_ends_its_call(echo: Echo) -> None:
    turns = []

    def fall(call: Call) -> None:
        turns.append(call.message)
        call.refuse([(b"grpc-status", b"13")])

    echo.behave = fall
    assert status_of(echo.method(iter([b"x"]), timeout=20)) is grpc.StatusCode.INTERNAL
    assert turns == [b"x"]


def test_deadlines_end_streaming_calls(echo: Echo) -> None:
    echo.behave = lambda call: call.give_turn()
    raw = http2.Http2Connection(echo.address)
    headers = http2.request_headers(ECHO, grpc_timeout="100m")
    raw.send(http2.frame(http2.HEADERS, 4, 1, http2.block(headers)))
    raw.send(http2.frame(http2.DATA, 0, 1, http2.prefixed(b"x")))
    end = raw.ends(1, 10)
    assert (end.kind, b"Deadline Exceeded" in end.payload) == (http2.HEADERS, False)
    raw.close()
    echo.behave = echo.echo
    assert echo.is_well()


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"\0\0\0", {}, "3"),
        (http2.prefixed(b"abc")[:-1], {}, "3"),
        (http2.prefixed(b"abc", 2), {}, "3"),
        (http2.prefixed(b"abc", 1), {}, "13"),
        (http2.prefixed(b"abc", 1), {"grpc_encoding": "snappy"}, "12"),
        (b"\0" + struct.pack(">I", 1 << 30), {}, "8"),
        (http2.prefixed(b"good") + b"\0" + struct.pack(">I", 1 << 30), {}, "8"),
        (b"", {"content_type": "text/html"}, None),
        (b"", {"padding": "x" * 20_000}, "8"),
    ],
)
def test_what_is_no_good_stream_is_refused(
    echo: Echo, body: bytes, headers: dict[str, str], status: str | None
) -> None:
    raw = http2.Http2Connection(echo.address)
    block = http2.block(http2.request_headers(ECHO, **headers))
    first = http2.frame(http2.HEADERS, 0 if len(block) > 16_000 else 4, 1, block[:16_000])
    if len(block) > 16_000:
        first += http2.frame(http2.CONTINUATION, http2.END_HEADERS, 1, block[16_000:])
    raw.send(first + http2.frame(http2.DATA, http2.END_STREAM, 1, body))
    end = raw.ends(1)
    assert end.kind == http2.HEADERS
    # Numbers of 10 and above are sent in Huffman's code.
    if status is not None and len(status) == 1:
        assert status.encode() in end.payload
    raw.close()
    assert echo.is_well()


def test_a_message_that_stalls_is_cut_off(echo: Echo) -> None:
    raw = http2.Http2Connection(echo.address)
    raw.send(http2.frame(http2.HEADERS, 4, 1, http2.block(http2.request_headers(ECHO))))
    raw.send(http2.frame(http2.DATA, 0, 1, http2.prefixed(b"x" * 100)[:50]))
    assert raw.is_closed(10)
    raw.close()


def test_a_client_that_does_not_read_is_shown_no_more(echo: Echo) -> None:
    turns = 0

    def fill(call: Call) -> None:
        nonlocal turns
        if call.message is None:
            call.finish()
            return
        turns += 1
        call.send(bytes(100_000))
        call.give_turn()

    echo.behave = fill
    raw = http2.Http2Connection(echo.address)
    raw.send(http2.frame(http2.HEADERS, 4, 1, http2.block(http2.request_headers(ECHO))))
    # One window of what the client may send, far more than it may be answered unread.
    raw.send(http2.frame(http2.DATA, 0, 1, http2.prefixed(b"?") * 2_000))
    wait_for(lambda: turns)
    seen = -1
    while seen != turns:
        seen = turns
        time.sleep(0.3)
    assert turns < 20
    assert echo.loop.counts["held_bytes"] < 4 << 20
    echo.behave = echo.echo
    assert echo.is_well()
    raw.close()


def test_a_window_is_opened_only_as_messages_are_taken(echo: Echo) -> None:
    released = threading.Event()

    def stall(call: Call) -> None:
        released.wait(20)
        echo.echo(call)

    echo.behave = stall
    produced = 0

    def messages() -> Iterator[bytes]:
        nonlocal produced
        for _ in range(200):
            produced += 1
            yield bytes(100_000)

    answers = echo.method(messages(), timeout=60)
    seen = -1
    while seen != produced or seen == 0:
        seen = produced
        time.sleep(0.3)
    assert produced < 100
    assert echo.loop.counts["held_bytes"] < 4 << 20
    released.set()
    assert sum(len(one) for one in answers) == 200 * 100_000


def test_a_flood_that_no_one_reads_ends(echo: Echo) -> None:
    sent = 0
    ended = threading.Event()

    def flood(call: Call) -> None:
        nonlocal sent
        try:
            while call.send(bytes(1 << 20)):
                sent += 1
        except BufferError:
            pass
        ended.set()
        call.refuse([(b"grpc-status", b"8")])

    echo.behave = flood
    raw = http2.Http2Connection(echo.address)
    raw.send(http2.frame(http2.HEADERS, 4, 1, http2.block(http2.request_headers(ECHO))))
    raw.send(http2.frame(http2.DATA, 0, 1, http2.prefixed(b"?")))
    assert ended.wait(20)
    assert sent <= 49
    raw.close()
    wait_for(lambda: echo.loop.counts["held_bytes"] == 0)
    echo.behave = echo.echo
    assert echo.is_well()


def test_the_end_lets_streams_end_and_cuts_what_stays(echo: Echo) -> None:
    held = threading.Event()

    def messages() -> Iterator[bytes]:
        yield b"x"
        held.wait(20)

    stays = echo.method(messages())
    assert next(stays) == b"x"
    started = time.monotonic()
    echo.loop.drain(0.5)
    for thread in echo.threads:
        thread.join(20)
    assert time.monotonic() - started < 10
    held.set()
    assert status_of(stays) is grpc.StatusCode.UNAVAILABLE


def test_who_calls_what_is_not_here_does_not_wait_for_their_own_end(echo: Echo) -> None:
    held = threading.Event()

    def messages() -> Iterator[bytes]:
        yield b"x"
        held.wait(20)

    unknown = echo.channel.stream_stream("/test.Echo/Nothing")(messages(), timeout=15)
    assert status_of(unknown) is grpc.StatusCode.UNIMPLEMENTED
    assert unknown.details() == "Method not found!"
    held.set()
    with pytest.raises(grpc.RpcError) as caught:
        echo.channel.unary_unary("/test.Echo/Nothing")(bytes(1 << 20), timeout=15)
    error: Any = caught.value
    assert error.code() is grpc.StatusCode.UNIMPLEMENTED
    assert echo.is_well()
