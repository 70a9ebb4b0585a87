"""Request counts by client name.

The first `LIMIT` client names get their own metric label; names in the file of keys come first. All
other clients share one label, so that no caller can make the metrics grow.
"""

import threading
from collections.abc import Container, Iterator
from typing import NamedTuple

from gnomon.server.serving.admission.client_counts import LIMIT, OUTCOME_NAMES, ClientCounts

#: The label of clients without a label of their own.
OTHERS = "other"
#: What became of a request, by the numbers of `OUTCOME_NAMES`.
ANSWERED, REFUSED, FAILED, REJECTED = range(len(OUTCOME_NAMES))


class ClientCount(NamedTuple):
    """Requests of a client with one outcome; `digest` is empty if no version answered."""

    client: str
    route: str
    digest: str
    outcome: str
    requests: int


class Clients:
    """Counts the requests of clients. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._places: dict[str, int] = {OTHERS: 0}
        self._counts: dict[tuple[str, str], ClientCounts] = {}

    def place(self, name: str) -> int:
        """Return the index of a client's label; 0: the shared one."""
        place = self._places.get(name)
        if place is None:
            with self._lock:
                if len(self._places) >= LIMIT:
                    return 0
                place = self._places.setdefault(name, len(self._places))
        return place

    def counts(self, route: str, digest: str) -> ClientCounts:
        """Return the counts of requests on a route that one package answered."""
        found = self._counts.get((route, digest))
        if found is None:
            with self._lock:
                found = self._counts.setdefault((route, digest), ClientCounts())
        return found

    def count(self, name: str, route: str, digest: str, outcome: int) -> None:
        """Count one request of a client.

        Args:
            name: the client's; beyond the first names, all share one count.
            route: the route's name.
            digest: of the package that answered; empty: none.
            outcome: index in `OUTCOME_NAMES`.
        """
        self.counts(route, digest).add(self.place(name), outcome)

    def read(self) -> Iterator[ClientCount]:
        """Yield all counts that are not 0."""
        with self._lock:
            names, counts = tuple(self._places), dict(self._counts)
        for (route, digest), one in sorted(counts.items()):
            for place, outcome, count in one.read():
                # An index assigned meanwhile is reported the next time.
                if place < len(names):
                    yield ClientCount(names[place], route, digest, OUTCOME_NAMES[outcome], count)

    def digests(self) -> set[str]:
        """Return the packages for which anything may have been counted."""
        with self._lock:
            return {digest for _, digest in self._counts if digest}

    def retire(self, digests: Container[str]) -> None:
        """Forget the counts of packages that have left."""
        with self._lock:
            self._counts = {key: one for key, one in self._counts.items() if key[1] not in digests}
