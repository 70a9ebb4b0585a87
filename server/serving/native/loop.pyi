"""The loop that serves gRPC, as Python's threads see it."""

import socket
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gnomon.server.serving.native.route_table import NativeRouteTable

def missing_library() -> str | None:
    """Return what keeps the loop from running here, or None."""

def missing_tls() -> str | None:
    """Return what keeps a loop from TLS here, or None."""

class Call:
    """One request with a Python thread, to be answered once; or a streaming call's turn.

    A streaming call comes from `Queue.take` again and again, the same object each time, with one
    message after the other, and a last time with None: the client sends no more. Each turn ends
    with `give_turn`, `finish` or `refuse`. Between turns it takes up no thread; `send`, `finish`
    and `refuse` may be called then too, from any thread. No turn is given while much of what was
    sent waits for the client.
    """

    path: str
    encoding: str
    message: bytes | None
    authorization: bytes | None
    #: The first common name of the verified client certificate, in UTF-8.
    certificate_name: bytes | None
    #: Its traffic bucket on its route, 0 to 999; None if none was chosen.
    position: int | None
    is_streaming: bool
    #: For whoever answers a streaming call to keep what they like.
    state: Any
    @property
    def is_over(self) -> bool:
        """Whether it was answered, or its client has left; such a call does not come again."""
    @property
    def waited_ns(self) -> int:
        """How long ago it, or its present message, was put into the queue for Python's threads."""
    def answer(self, message: bytes) -> None:
        """Answer with a message; raises `RuntimeError` if that was done already."""
    def refuse(self, trailers: Sequence[tuple[bytes, bytes]]) -> None:
        """End with trailers, gRPC's status among them; raises as `answer`."""
    def send(self, message: bytes) -> bool:
        """Send a message of a streaming call; say whether anyone is there to take it.

        Raises `RuntimeError` once it was finished, `BufferError` if far too much waits for the
        client already.
        """
    def give_turn(self) -> None:
        """Let the streaming call come again with the client's next message."""
    def finish(self) -> None:
        """End a streaming call well, once all is sent; raises as `send`."""

class Queue:
    """Calls of all loops that wait for Python's threads; at most `waiting_calls`."""

    def __init__(self, waiting_calls: int) -> None: ...
    def take(self) -> Call | None:
        """Wait for a call that Python is to answer; None once all loops have ended."""

class Tls:
    """Certificate, key and clients' authority (all PEM), as they are in the files now.

    `ciphers` is what TLS 1.2 may agree on, as OpenSSL writes it. With an authority, clients must
    show a certificate of it. Raises `OSError` if OpenSSL is missing, `ValueError` if a file cannot
    be used.
    """

    def __init__(
        self,
        ciphers: str,
        certificate_file: Path,
        key_file: Path,
        client_authority_file: Path | None = None,
    ) -> None: ...

class EventLoop:
    """Serves a listening socket, which it takes over; requests go to the table first.

    Without a listener it serves what a loop that it joins hands over. All loops of a ring have one
    queue; each runs in a thread of its own, with a table of its own. `streaming` are the paths of
    streaming methods, `unary` of the others; without these, any other path may be one. Raises
    `OSError` if libnghttp2 is missing.
    """

    def __init__(
        self,
        listener: socket.socket | None,
        table: NativeRouteTable,
        queue: Queue,
        settings: Mapping[str, float],
        streaming: Iterable[str] = (),
        unary: Iterable[str] | None = None,
    ) -> None: ...
    def join(self, other: EventLoop) -> None:
        """Take a share of the other's connections; before either runs."""
    def use_tls(self, context: Tls) -> None:
        """Serve connections to come with TLS; those that are open stay as they are."""
    def run(self) -> None:
        """Serve until drained."""
    def drain(self, grace_seconds: float) -> None:
        """End in two steps: tell clients, then let what is under way end within the grace."""
    @property
    def tls_fault(self) -> str:
        """Return why a handshake failed last; empty if none did."""
    @property
    def counts(self) -> Mapping[str, int]:
        """Return what has been counted so far, by name."""
