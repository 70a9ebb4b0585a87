"""Limits of one caller on one model, and of all callers together.

A call above a limit is rejected at once, with the time to retry, so that no queue grows. All
frontends share the counts of `rate_limiter`, which the native loops use without Python.
"""

import time
from collections.abc import Callable

from gnomon.runtime.errors import Overloaded
from gnomon.server.serving.admission.rate_limiter import RateLimiter
from gnomon.server.serving.rate_limits import RateLimits

#: Most pairs of caller and model that are admitted at once; idle pairs do not count.
PAIRS = 100_000


class Throttle:
    """Counts calls in and out. Threads may share it."""

    def __init__(
        self,
        limits: RateLimits,
        clock: Callable[[], float] = time.monotonic,
        *,
        pairs: int = PAIRS,
    ) -> None:
        self._limits = limits
        self._clock = clock
        self.limiter = RateLimiter(
            limits.requests_per_second,
            limits.burst,
            limits.concurrent_requests,
            limits.total_requests,
            pairs,
        )

    @property
    def under_way(self) -> int:
        """Return how many calls are under way."""
        return self.limiter.under_way

    def enter(self, caller: str, model: str) -> None:
        """Let a call in; `leave` must follow.

        Raises:
            Overloaded: a limit is reached; `details` has `limit` and `retry_after_seconds`.
        """
        reached = self.limiter.let_in(caller, model, self._clock())
        if reached is not None:
            limit, wait = reached
            raise _refusal(limit, getattr(self._limits, limit), model, wait)

    def leave(self, caller: str, model: str) -> None:
        """Count the end of an admitted call."""
        self.limiter.let_out(caller, model)


def _refusal(limit: str, value: float, model: str, retry_after_seconds: float) -> Overloaded:
    seconds = round(retry_after_seconds, 3)
    return Overloaded(
        f"model {model[:80]!r} takes no more for now: {limit} is {value:g}; "
        f"try again in {seconds:.10g} s",
        details=[{"limit": limit, "value": value, "retry_after_seconds": seconds}],
    )
