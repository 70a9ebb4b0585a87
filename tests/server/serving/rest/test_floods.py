"""What never ends is cut off before anybody is asked for a key, and others are answered."""

import socket
from collections.abc import Iterator

import httpx
import psutil
import pytest

from gnomon.server.rest import bounded_http

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


def test_a_long_head_is_told_so(rest: httpx.Client) -> None:
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
