"""HTTP/2 frames written by hand, for attacks and tests."""

import socket
import struct
import time
from collections.abc import Iterator
from typing import NamedTuple

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, CONTINUATION = 0, 1, 3, 4, 6, 7, 9
END_STREAM, END_HEADERS, ACK = 1, 4, 1
INFER = "/inference.GRPCInferenceService/ModelInfer"


class Http2Frame(NamedTuple):
    """One frame as it came."""

    kind: int
    flags: int
    stream: int
    payload: bytes


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Return a frame's bytes: its head (RFC 9113, 4.1) and the payload.

    Args:
        kind: type of the frame.
        flags: its flags.
        stream: identifier of the stream, 0 for the connection.
        payload: bytes after the head.
    """
    return (
        struct.pack(">I", len(payload))[1:]
        + bytes([kind, flags])
        + struct.pack(">I", stream)
        + payload
    )


def block(headers: list[tuple[str, str]]) -> bytes:
    """Return headers as literals that are never indexed, without Huffman's code."""
    parts = []
    for text in (text for pair in headers for text in pair):
        size = len(text)
        long = bytes([127]) + varint(size - 127) if size >= 127 else bytes([size])
        parts.append(long + text.encode())
    return b"".join(b"\x10" + parts[at] + parts[at + 1] for at in range(0, len(parts), 2))


def varint(value: int) -> bytes:
    """Return the rest of HPACK's number."""
    made = []
    while value >= 128:
        made.append(value & 127 | 128)
        value >>= 7
    return bytes([*made, value])


def request_headers(
    path: str = INFER,
    method: str = "POST",
    content_type: str = "application/grpc",
    **extra: str,
) -> list[tuple[str, str]]:
    """Return the headers of a good call; `extra` have `_` for `-`."""
    return [
        (":method", method),
        (":scheme", "http"),
        (":path", path),
        (":authority", "localhost"),
        ("te", "trailers"),
        ("content-type", content_type),
        *((name.replace("_", "-"), value) for name, value in extra.items()),
    ]


def prefixed(message: bytes, compressed: int = 0) -> bytes:
    """Return a message behind gRPC's prefix."""
    return bytes([compressed]) + struct.pack(">I", len(message)) + message


def call(stream: int, message: bytes, **extra: str) -> bytes:
    """Return all frames of a good call."""
    return frame(HEADERS, END_HEADERS, stream, block(request_headers(**extra))) + frame(
        DATA, END_STREAM, stream, prefixed(message)
    )


class Http2Connection:
    """A connection that sends whatever frames it is given."""

    def __init__(self, address: str, *, greets: bool = True) -> None:
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=10)
        self._rest = b""
        if greets:
            self.send(PREFACE + frame(SETTINGS, 0, 0))

    def send(self, data: bytes) -> None:
        """Send bytes."""
        self.socket.sendall(data)

    def frames(self, seconds: float = 10) -> Iterator[Http2Frame]:
        """Yield what comes, until the other side closes or the time is over."""
        until = time.monotonic() + seconds
        while True:
            while len(self._rest) >= 9:
                size = int.from_bytes(self._rest[:3])
                if len(self._rest) < 9 + size:
                    break
                kind, flags, stream = struct.unpack(">BBI", self._rest[3:9])
                payload, self._rest = self._rest[9 : 9 + size], self._rest[9 + size :]
                yield Http2Frame(kind, flags, stream, payload)
            self.socket.settimeout(max(until - time.monotonic(), 0.001))
            try:
                data = self.socket.recv(1 << 16)
            except (TimeoutError, ConnectionError):
                return
            if not data:
                return
            self._rest += data

    def is_closed(self, seconds: float = 10) -> bool:
        """Whether the other side closes within the time."""
        until = time.monotonic() + seconds
        for _ in self.frames(seconds):
            pass
        return time.monotonic() < until

    def ends(self, stream: int, seconds: float = 10) -> Http2Frame:
        """Return the frame that ends a stream."""
        for one in self.frames(seconds):
            last = one.kind == RST_STREAM or (
                one.kind in (HEADERS, DATA) and one.flags & END_STREAM
            )
            if one.stream == stream and last:
                return one
        raise AssertionError(f"stream {stream} did not end")

    def close(self) -> None:
        """Leave."""
        self.socket.close()
