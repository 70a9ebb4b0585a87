"""How many connections a REST port has at once, and which of them makes room for a new one.

A connection whose request has not come yet costs its client nothing. So above the limit the oldest
of those is closed, and clients that ask are answered however many others say nothing. If all are
being answered, only health is, with a reserve of connections: a probe must not take a busy server
for a dead one.
"""

import asyncio
import weakref
from typing import Any, Protocol

#: Most connections at once.
CONNECTIONS = 1_024
#: Further ones, which may only ask for health.
RESERVED = 64
#: What they may ask for: of the server, and of the hub.
RESERVED_PATHS = frozenset(("/", "/v2/health/live", "/v2/health/ready", "/healthz"))


class Closable(Protocol):
    """A connection."""

    def close_now(self) -> None:
        """Close it, whatever it is at."""


class ConnectionLimit:
    """The connections of one port; on the thread of its event loop."""

    def __init__(self) -> None:
        self._count = 0
        # In the order in which they came: those without a whole head, and without a whole body.
        self._without_head: dict[Closable, None] = {}
        self._without_body: dict[Closable, None] = {}

    def open(self, connection: Closable) -> None:
        """Count a new connection, and make room for it."""
        self._count += 1
        self._without_head[connection] = None
        if self._count <= CONNECTIONS:
            return
        for waiting in (self._without_head, self._without_body):
            oldest = next(iter(waiting)) if waiting else connection
            if oldest is not connection:
                self._forget(oldest)
                oldest.close_now()
                return
        if self._count > CONNECTIONS + RESERVED:
            connection.close_now()

    def close(self, connection: Closable) -> None:
        """Count a connection that was closed no more."""
        self._count -= 1
        self._forget(connection)

    def has_head(self, connection: Closable) -> None:
        """Note that the head of a request has come."""
        self._forget(connection)
        self._without_body[connection] = None

    def has_all(self, connection: Closable) -> None:
        """Note that a whole request has come."""
        self._forget(connection)

    def takes(self, path: str) -> bool:
        """Whether a request for a path is to be answered now."""
        return self._count <= CONNECTIONS or path in RESERVED_PATHS

    def _forget(self, connection: Closable) -> None:
        self._without_head.pop(connection, None)
        self._without_body.pop(connection, None)


_LIMITS: weakref.WeakKeyDictionary[Any, ConnectionLimit] = weakref.WeakKeyDictionary()


def limit_of(port: Any) -> ConnectionLimit:
    """Return the limit that all connections of a port share."""
    return _LIMITS.setdefault(port, ConnectionLimit())


class DrainingTransport:
    """A transport that is closed only once a request that was answered early has come whole.

    To close with unread bytes resets the connection, and the client, or a proxy, loses the answer.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        #: Whether more of a request is to come.
        self.is_receiving = False
        #: Whether the connection is to be closed then.
        self.is_ending = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def close(self) -> None:
        """Close, once the request has come; a second call does not wait for that."""
        if self.is_receiving and not self.is_ending:
            self.is_ending = True
        else:
            self._transport.close()
