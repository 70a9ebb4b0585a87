"""A cache of what follows from decisions, valid until the audit chain grows.

Every decision commits together with its audit record, so what follows from decisions cannot change
while the chain does not grow. So no change has to name what it invalidates.
"""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from sqlalchemy import Connection

from gnomon.server.hub.store import counters

#: Entries that are kept; the cache is cleared when it has more.
_KEPT = 256

Key = TypeVar("Key")
Value = TypeVar("Value")


class AuditedCache(Generic[Key, Value]):
    """Values by key. Safe to share between threads."""

    def __init__(self, build: Callable[[Connection, Key], Value]) -> None:
        """Keep what `build` makes of a connection and a key."""
        self._build = build
        self._lock = threading.Lock()
        self._decided = -1  # the audit chain's length of which the kept values are
        self._kept: dict[Key, Value] = {}

    def find(self, connection: Connection, key: Key) -> Value:
        """Return the value of a key, by what was decided until the connection's transaction."""
        decided = counters.read(connection, counters.AUDIT)
        with self._lock:
            if decided == self._decided and key in self._kept:
                return self._kept[key]
        value = self._build(connection, key)
        with self._lock:
            if decided != self._decided or len(self._kept) >= _KEPT:
                self._decided, self._kept = decided, {}
            self._kept[key] = value
        return value
