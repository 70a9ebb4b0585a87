"""How long calls of each route take, learnt while they are answered."""

from collections.abc import Callable
from typing import TypeVar

from gnomon.runtime.latency import LatencyEstimate, clock_of

Answer = TypeVar("Answer")


class CallTimer:
    """One estimate for each route. Threads may share it.

    `works_in_caller` tells whether the calling thread alone answers a route's calls. If so, its CPU
    clock times them, so that a busy interpreter makes no route slow.
    """

    def __init__(self, works_in_caller: Callable[[str], bool]) -> None:
        self._works_in_caller = works_in_caller
        self._estimates: dict[str, LatencyEstimate] = {}

    def is_quick(self, route: str) -> bool:
        """Whether calls usually take less than `QUICK_SECONDS`; False before the first one."""
        estimate = self._estimates.get(route)
        return estimate is not None and estimate.is_quick

    def is_slow(self, route: str) -> bool:
        """Whether calls usually take long; see `LatencyEstimate.is_slow`."""
        estimate = self._estimates.get(route)
        return estimate is not None and estimate.is_slow

    def timed(self, route: str, call: Callable[[], Answer]) -> Answer:
        """Make a call and return its result; update the estimate unless it raises."""
        clock = clock_of(self._works_in_caller(route))
        started = clock()
        answer = call()
        took = clock() - started
        self._estimates.setdefault(route, LatencyEstimate()).observe(took / 1e9)
        return answer
