"""The loop that serves gRPC, as Python's threads see it."""

import socket
from collections.abc import Mapping, Sequence

from gnomon.server.serving.native.table import Table

def missing_library() -> str | None:
    """Return what keeps the loop from running here, or None."""

class Call:
    """One request with a Python thread, to be answered once."""

    path: str
    encoding: str
    message: bytes
    authorization: bytes | None
    #: Where chance has put it on its route, in [0, 1000), if it has.
    position: int | None
    def answer(self, message: bytes) -> None:
        """Answer with a message; raises `RuntimeError` where that was done already."""
    def refuse(self, trailers: Sequence[tuple[bytes, bytes]]) -> None:
        """End with trailers, gRPC's status among them; raises as `answer`."""

class Loop:
    """Serves a listening socket, which it takes over; requests go to the table first.

    Raises `OSError` where libnghttp2 is missing.
    """

    def __init__(
        self, listener: socket.socket, table: Table, settings: Mapping[str, float]
    ) -> None: ...
    def run(self) -> None:
        """Serve until drained."""
    def drain(self, grace_seconds: float) -> None:
        """End in two steps: tell clients, then let what is under way end within the grace."""
    def take(self) -> Call | None:
        """Wait for a call that Python is to answer; None once the loop has ended."""
    @property
    def counts(self) -> Mapping[str, int]:
        """Return what has been counted so far, by name."""
