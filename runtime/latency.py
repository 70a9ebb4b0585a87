"""How long a model's calls take, by a clock that does not count waiting for the interpreter."""

import time
from collections.abc import Callable

#: A model whose calls usually take longer is slow: it runs on no thread that serves connections.
SLOW_SECONDS = 0.002
#: A slow model is quick again once its calls usually take less than this.
QUICK_SECONDS = 0.001
_SMOOTHING = 0.2
#: One pause of the machine must not make a model slow.
_LONGEST_COUNTED = 4 * SLOW_SECONDS

#: Nanoseconds of a clock; only differences mean something.
Clock = Callable[[], int]


class LatencyEstimate:
    """An exponentially weighted mean of call durations, with hysteresis.

    Threads may share it: an update that another one overwrites is lost, which changes little.
    """

    __slots__ = ("_is_slow", "_seconds")

    def __init__(self) -> None:
        self._seconds: float | None = None
        self._is_slow = False

    @property
    def seconds(self) -> float | None:
        """Return how long a call usually takes, or None before the first observation."""
        return self._seconds

    @property
    def is_slow(self) -> bool:
        """Whether calls usually take long: above `SLOW_SECONDS`, and since then never below
        `QUICK_SECONDS`."""
        return self._is_slow

    @property
    def is_quick(self) -> bool:
        """Whether calls usually take less than `QUICK_SECONDS`; False before the first one."""
        return self._seconds is not None and self._seconds < QUICK_SECONDS

    def observe(self, seconds: float) -> None:
        """Learn from one call; of a long one, at most four times `SLOW_SECONDS` count."""
        took = min(seconds, _LONGEST_COUNTED)
        usual = self._seconds
        self._set(took if usual is None else usual + _SMOOTHING * (took - usual))

    def replace(self, seconds: float) -> None:
        """Forget what was learnt in favour of a new measurement."""
        self._set(seconds)

    def _set(self, seconds: float) -> None:
        self._seconds = seconds
        self._is_slow = seconds >= QUICK_SECONDS if self._is_slow else seconds > SLOW_SECONDS


def clock_of(works_in_caller: bool) -> Clock:
    """Return the clock for calls of an engine.

    An engine that does all its work in the calling thread is timed by that thread's CPU clock,
    which stands still while the thread waits for the interpreter's lock or for a core. Work of
    other threads or processes is only seen by the wall clock.
    """
    return time.thread_time_ns if works_in_caller else time.perf_counter_ns
