"""What never ends is cut off before anybody is asked for a key, and others are answered."""

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import psutil
import pytest

from gnomon.server.rest import bounded_http, connection_limit

PREDICT = "/v1/models/eta:predict"
BODY = {"instances": [{"distance": 800.0, "wind": 10.0, "carrier": "UA"}]}
HEAD = b"POST /v1/models/eta:predict HTTP/1.1\r\nHost: 127.0.0.1\r\n"


def connect(rest: httpx.Client) -> socket.socket:
    return socket.create_connection((rest.base_url.host, rest.base_url.port or 0), timeout=10)


def cut_after(rest: httpx.Client, pieces: Iterator[bytes], limit: int) -> tuple[int, bytes]:
    """Send pieces until the server closes; return how many bytes it took and what it said."""
    sent = 0
    with connect(rest) as wire:
        try:
            for piece in pieces:
                wire.sendall(piece)
                sent += len(piece)
                assert sent < limit, "the server takes whatever comes"
        except (ConnectionError, BrokenPipeError):
            pass
        try:
            return sent, wire.recv(1_000)
        except ConnectionError:
            return sent, b""


def endless(first: bytes, again: bytes) -> Iterator[bytes]:
    yield first
    while True:
        yield again


@pytest.mark.parametrize(
    ("first", "again"),
    [
        (HEAD + b"X-Long: ", b"x" * 65_536),
        (HEAD, b"X-Many: y\r\n" * 5_000),
        (b"POST /", b"x" * 65_536),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n" * 10_000),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X-Late: y\r\n" * 5_000),
    ],
    ids=["one-header", "many-headers", "path", "tiny-chunks", "trailers"],
)
def test_heads_without_end(rest: httpx.Client, first: bytes, again: bytes) -> None:
    before = psutil.Process().memory_info().rss
    sent, _ = cut_after(rest, endless(first, again), 64 << 20)
    # What the kernel's buffers hold was sent too.
    assert sent < 32 << 20
    assert psutil.Process().memory_info().rss - before < 32 << 20
    assert rest.post(PREDICT, json=BODY).status_code == 200


def test_a_long_head_gets_its_status(rest: httpx.Client) -> None:
    with connect(rest) as wire:
        wire.sendall(HEAD + b"X-Long: " + b"x" * (bounded_http.HEAD_BYTES + 1))
        assert b" 431 " in wire.recv(1_000)
        assert wire.recv(1_000) == b""


def test_long_bodies_are_no_heads(rest: httpx.Client) -> None:
    content = b'{"instances": [' + b" " * (2 << 20) + b"]}"
    for body in (content, iter([content[:1_000_000], content[1_000_000:]])):
        answer = rest.post(PREDICT, content=body)
        assert answer.status_code == 422
        assert "no rows" in answer.text


def test_many_requests_on_one_connection_are_no_long_head(rest: httpx.Client) -> None:
    request = HEAD + b"Content-Length: 0\r\nX-Fill: " + b"x" * 30_000 + b"\r\n\r\n"
    with connect(rest) as wire:
        for _ in range(6):
            wire.sendall(request)
            answer = b""
            while b'"status":422' not in answer:
                answer += wire.recv(65_536)


@pytest.mark.parametrize("data", [b"", b"POST", HEAD, HEAD + b"Content-Length: 9\r\n\r\n{"])
def test_requests_that_never_come_are_let_go(
    rest: httpx.Client, monkeypatch: pytest.MonkeyPatch, data: bytes
) -> None:
    monkeypatch.setattr(bounded_http, "REQUEST_SECONDS", 0.2)
    with connect(rest) as wire:
        wire.sendall(data)
        assert wire.recv(1_000) in (b"", b"\r\n") or not wire.recv(1_000)
    assert rest.post(PREDICT, json=BODY).status_code == 200


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_limit, "CONNECTIONS", 20)
    monkeypatch.setattr(connection_limit, "RESERVED", 10)


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("slow", [b"", b"POST /", HEAD, HEAD + b"Content-Length: 9\r\n\r\n{"])
def test_connections_that_ask_for_nothing_make_room(rest: httpx.Client, slow: bytes) -> None:
    wires = []
    for _ in range(30):
        wires.append(connect(rest))
        wires[-1].sendall(slow)
    for _ in range(2):
        assert httpx.get(f"{rest.base_url}/v2/health/live", trust_env=False).status_code == 200
        url = f"{rest.base_url}{PREDICT}"
        assert httpx.post(url, json=BODY, trust_env=False).status_code == 200
    for wire in wires:
        wire.close()


@pytest.mark.usefixtures("few")
def test_health_has_a_reserve_if_all_connections_are_busy(
    served: Any, rest: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    goes_on = threading.Event()
    models = served.handler.model_metadata
    monkeypatch.setattr(
        served.handler, "model_metadata", lambda request: goes_on.wait(20) and models(request)
    )
    wires = [connect(rest) for _ in range(20)]
    for wire in wires:
        wire.sendall(b"GET /v2/models/eta HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    live, busy = f"{rest.base_url}/v2/health/live", f"{rest.base_url}/v1/models"
    until = time.monotonic() + 10
    while (answer := httpx.get(busy, trust_env=False)).status_code == 200:
        assert time.monotonic() < until
    assert answer.json()["code"] == "not_ready"
    assert httpx.get(live, trust_env=False).status_code == 200
    held = [connect(rest) for _ in range(20)]
    goes_on.set()
    for wire in wires:
        assert b" 200 " in wire.recv(1_000)
        wire.close()
    for wire in held:
        wire.close()
    assert httpx.get(busy, trust_env=False).status_code == 200


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
@pytest.mark.parametrize("size", [100, 8 << 20])
def test_an_early_refusal_arrives_though_the_body_is_still_sent(
    rest: httpx.Client, version: bytes, size: int
) -> None:
    """As nginx sends it by default: HTTP/1.0, and the whole body before it reads the answer."""
    head = (
        b"POST /v1/models/eta:predict HTTP/%s\r\nHost: evil.example\r\nContent-Length: %d\r\n\r\n"
    )
    with connect(rest) as wire:
        wire.sendall(head % (version, size))
        time.sleep(0.1)
        for at in range(0, size, 65_536):
            wire.sendall(b"x" * min(size - at, 65_536))
        assert b" 403 " in wire.recv(1_000)


def test_what_is_read_of_a_refused_body_is_bounded(
    rest: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded_http, "DRAINED_BYTES", 1 << 20)
    head = b"POST / HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 9000000000\r\n\r\n"
    sent, _ = cut_after(rest, endless(head, b"x" * 65_536), 64 << 20)
    assert sent < 32 << 20
    # The bound is that of one request.
    head = b"POST / HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 600000\r\n\r\n"
    with connect(rest) as wire:
        for _ in range(4):
            wire.sendall(head)
            answer = b""
            while not answer.endswith(b"}"):
                answer += wire.recv(1_000)
            wire.sendall(b"x" * 600_000)
            assert b" 403 " in answer
