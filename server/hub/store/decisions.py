"""How far decisions have come, without a query each time.

Every decision commits together with its audit record. So what follows from decisions holds while
the audit chain does not grow. This process knows at once what it decided itself, and after a second
at most what another hub of the same database did.
"""

import threading
import time

from gnomon.server.hub.store import counters
from gnomon.server.hub.store.database import Database

#: How old the known length of the chain may be.
AGE_SECONDS = 1.0


class Decisions:
    """The length of the audit chain. Threads may share it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._known = (-1, -1, 0.0)  # length, own decisions before it was read, when

    def read(self) -> int:
        """Return the length, with all that this process has decided."""
        length, own, at = self._known
        now = time.monotonic()
        if own == self._database.decisions and now - at < AGE_SECONDS:
            return length
        with self._lock:
            own = self._database.decisions
            with self._database.read() as connection:
                length = counters.read(connection, counters.AUDIT)
            self._known = (length, own, now)
        return length
