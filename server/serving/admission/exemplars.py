"""Traces of recent requests, which the latency histogram points to (OpenMetrics' exemplars)."""

import threading
from collections import deque
from typing import NamedTuple

#: Kept for each model and version, and models at most.
_KEPT = 64
_MODELS = 1_024


class TracedCall(NamedTuple):
    """One answered request: its seconds, its trace's id in hex, and when it ended (epoch s)."""

    seconds: float
    trace_id: str
    ended_at: float


class Exemplars:
    """The newest traced requests of each route and version. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: dict[tuple[str, str], deque[TracedCall]] = {}

    def add(self, route: str, version: str, call: TracedCall) -> None:
        """Keep a request; forget the oldest of its model."""
        with self._lock:
            calls = self._calls.get((route, version))
            if calls is None and len(self._calls) < _MODELS:
                calls = self._calls[route, version] = deque(maxlen=_KEPT)
            if calls is not None:
                calls.append(call)

    def of(self, route: str, version: str) -> list[TracedCall]:
        """Return the requests that are kept, the newest last."""
        with self._lock:
            return list(self._calls.get((route, version), ()))
