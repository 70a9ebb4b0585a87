"""How long runs of an engine take: measured when a model is loaded, and again while it serves."""

import time
from collections.abc import Callable

from gnomon.runtime.latency import clock_of

_RUNS = 5
_LIMIT_NS = 200_000_000


def quickest_ns(run: Callable[[], object], works_in_caller: bool, runs: int = _RUNS) -> int:
    """Return the least nanoseconds of some runs: no more of them than 0.2 s allow, at least one.

    What `run` raises is raised.
    """
    clock = clock_of(works_in_caller)
    until = time.perf_counter_ns() + _LIMIT_NS
    quickest = 0
    for number in range(runs):
        before = clock()
        run()
        took = clock() - before
        quickest = min(quickest, took) if number else took
        if time.perf_counter_ns() > until:
            break
    return quickest
