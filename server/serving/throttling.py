"""How much one caller may ask of one model, and how much all may ask at once.

Rate and burst follow the generic cell rate algorithm (ITU-T I.371): one number a pair of caller and
model, exact, without a timer. What is above a limit is refused at once and told when to come back,
so that no queue grows.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from gnomon.runtime.errors import Overloaded

#: From so many pairs on, those that are idle are forgotten.
_PAIRS = 10_000
#: What is said where only other calls' ends can make room.
_SOON_SECONDS = 0.1

Pair = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits of one caller on one model, and of everybody together; 0: none.

    `requests_per_second` holds over time, `burst` requests may come at once (0: one second's).
    """

    requests_per_second: float = 0.0
    burst: int = 0
    concurrent_requests: int = 0
    total_requests: int = 0


class Throttle:
    """Counts calls in and out. Threads may share it."""

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._clock = clock
        self._lock = threading.Lock()
        self._total = 0
        self._under_way: dict[Pair, int] = {}
        # The theoretical arrival time of each pair's next request, were it to keep its rate.
        self._due: dict[Pair, float] = {}

    @property
    def under_way(self) -> int:
        """Return how many calls are under way."""
        return self._total

    def enter(self, caller: str, model: str) -> None:
        """Let a call in; `leave` must follow.

        Raises:
            Overloaded: a limit is reached; `details` has `limit` and `retry_after_seconds`.
        """
        limits, pair = self._limits, (caller, model)
        with self._lock:
            if 0 < limits.total_requests <= self._total:
                raise _refusal("total_requests", limits.total_requests, model, _SOON_SECONDS)
            if 0 < limits.concurrent_requests <= self._under_way.get(pair, 0):
                raise _refusal(
                    "concurrent_requests", limits.concurrent_requests, model, _SOON_SECONDS
                )
            if limits.requests_per_second > 0:
                self._take(pair, limits)
            if limits.concurrent_requests:
                self._under_way[pair] = self._under_way.get(pair, 0) + 1
            self._total += 1

    def leave(self, caller: str, model: str) -> None:
        """Count a call out that was let in."""
        pair = (caller, model)
        with self._lock:
            self._total -= 1
            if self._limits.concurrent_requests:
                self._under_way[pair] -= 1
                if not self._under_way[pair]:
                    del self._under_way[pair]

    def _take(self, pair: Pair, limits: Limits) -> None:
        now = self._clock()
        interval = 1 / limits.requests_per_second
        burst = limits.burst or max(1, int(limits.requests_per_second))
        due = max(self._due.get(pair, now), now)
        early = due - (burst - 1) * interval - now
        # Sums of intervals are rounded; a request that is due by less is due.
        if early > interval * 1e-6:
            raise _refusal("requests_per_second", limits.requests_per_second, pair[1], early)
        if len(self._due) >= _PAIRS:
            self._due = {one: then for one, then in self._due.items() if then > now}
        self._due[pair] = due + interval


def _refusal(limit: str, value: float, model: str, retry_after_seconds: float) -> Overloaded:
    seconds = round(retry_after_seconds, 3)
    return Overloaded(
        f"model {model[:80]!r} takes no more for now: {limit} is {value:g}; "
        f"try again in {seconds:g} s",
        details=[{"limit": limit, "value": value, "retry_after_seconds": seconds}],
    )
