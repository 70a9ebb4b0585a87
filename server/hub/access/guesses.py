"""Limits how often an address may show credentials that are not known.

A credential that was accepted before is exempt, so that an unknown client behind the same proxy
cannot lock out those who have a key.
"""

import threading
import time
from collections import OrderedDict

import structlog

from gnomon.runtime.errors import Overloaded
from gnomon.server.hub.access.enrolment_tokens import hash_secret

_log = structlog.get_logger(__name__)

#: How many guesses an address has, and in which time they come back.
GUESSES = 20
PERIOD_SECONDS = 60.0

_ADDRESSES = 4_096
_KNOWN = 4_096


class Guesses:
    """Counts the failures of each address. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failures: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._known: OrderedDict[str, None] = OrderedDict()

    def check(self, address: str, credential: str) -> None:
        """Check that an address may show a credential.

        Raises:
            Overloaded: it has had its guesses; the error says when to come again.
        """
        with self._lock:
            count = self._count(address, time.monotonic())
            if count <= GUESSES - 1 or hash_secret(credential) in self._known:
                return
        wait = PERIOD_SECONDS / GUESSES
        raise Overloaded(
            "too many credentials from here were not known",
            details=[{"retry_after_seconds": wait}],
        )

    def accepted(self, credential: str) -> None:
        """Note a credential that is known."""
        with self._lock:
            self._known[hash_secret(credential)] = None
            self._known.move_to_end(hash_secret(credential))
            if len(self._known) > _KNOWN:
                self._known.popitem(last=False)

    def failed(self, address: str, credential: str) -> None:
        """Count a credential that is not known, or no longer."""
        now = time.monotonic()
        with self._lock:
            self._known.pop(hash_secret(credential), None)
            count = self._count(address, now) + 1
            self._failures[address] = (count, now)
            self._failures.move_to_end(address)
            if len(self._failures) > _ADDRESSES:
                self._failures.popitem(last=False)
        _log.warning("credential_unknown", address=address, recent=round(count))

    def _count(self, address: str, now: float) -> float:
        count, at = self._failures.get(address, (0.0, now))
        return max(0.0, count - (now - at) * GUESSES / PERIOD_SECONDS)
