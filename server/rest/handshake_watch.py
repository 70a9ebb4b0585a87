"""Handshakes that fail at a port of grpcio, which neither counts nor names them.

grpcio asks for the port's certificate at each handshake, and each call tells which connection it
came by. A connection without a call has failed its handshake, or never finished it.
"""

import threading
import time
from collections import deque
from collections.abc import Callable

from gnomon.server.rest.certificates import HandshakeLog

#: How long after its handshake a connection may make its first call. Clients of gRPC connect only
#: to call.
GRACE_SECONDS = 30.0
#: Connections that are remembered; the oldest pending ones count as failed if there are more, and
#: all others are forgotten.
_KEPT = 16_384

_REASON = (
    f"no call came within {GRACE_SECONDS:.0f} s: the handshake failed or was not finished, such as "
    "of a client without a valid certificate or without TLS"
)


class HandshakeWatch:
    """Counts the connections of one port that make no call. Threads may share it."""

    def __init__(self, log: HandshakeLog, clock: Callable[[], float] = time.monotonic) -> None:
        """Report to a log, which writes one line at most in its time."""
        self._log = log
        self._clock = clock
        self._lock = threading.Lock()
        self._begun: deque[float] = deque()
        self._known: set[str] = set()
        self._due = 0.0

    @property
    def pending(self) -> int:
        """Return how many connections have made no call yet, and may still do."""
        return len(self._begun)

    def begin(self) -> None:
        """Count a handshake that begins."""
        with self._lock:
            self._begun.append(self._clock())
        self._look()

    def note_call(self, peer: str) -> None:
        """Note that a call has come by the connection of a peer."""
        if peer not in self._known:
            with self._lock:
                if len(self._known) >= _KEPT:
                    self._known.clear()
                self._known.add(peer)
                if self._begun:
                    self._begun.pop()  # the newest one: a call follows soon
        if self._clock() >= self._due:
            self._look()

    def _look(self) -> None:
        """Count what is pending for too long, and let the log write its line."""
        now = self._clock()
        with self._lock:
            self._due = now + 1.0
            failed = 0
            while self._begun and (
                self._begun[0] <= now - GRACE_SECONDS or len(self._begun) > _KEPT
            ):
                self._begun.popleft()
                failed += 1
        self._log.add(failed, _REASON)
        self._log.report()
