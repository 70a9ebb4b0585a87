"""How much one caller may ask of one model, and how much all may ask at once.

What is above a limit is refused at once and told when to come back, so that no queue grows. The
counts are `rate_limiter`'s, which the native frontend asks without Python: one truth for all
frontends.
"""

import time
from collections.abc import Callable

from gnomon.runtime.errors import Overloaded
from gnomon.server.serving.admission.rate_limiter import RateLimiter
from gnomon.server.serving.rate_limits import RateLimits

#: More pairs of caller and model than this are never let in at once; those that are idle are none.
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
        """Count a call out that was let in."""
        self.limiter.let_out(caller, model)


def _refusal(limit: str, value: float, model: str, retry_after_seconds: float) -> Overloaded:
    seconds = round(retry_after_seconds, 3)
    return Overloaded(
        f"model {model[:80]!r} takes no more for now: {limit} is {value:g}; "
        f"try again in {seconds:.10g} s",
        details=[{"limit": limit, "value": value, "retry_after_seconds": seconds}],
    )
