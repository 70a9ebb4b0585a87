"""Whether and when to retry. Decisions only; time comes from the caller.

A call is retried only if the server cannot be reached or shuts down (UNAVAILABLE, or CANCELLED by
the server). Pauses have full jitter and end with the call's deadline. All calls of a client share a
budget of retries, so that an overloaded server does not get ten times as many calls.
"""

import random
import threading

from gnomon.runtime.errors import GnomonError, NotReady

_FIRST_SECONDS = 0.02
_LONGEST_SECONDS = 1.0
#: Answers that pay for one retry.
_ANSWERS_A_RETRY = 10


class RetryBudget:
    """A number of retries in a row, and one more for every ten answers. Threads may share it."""

    def __init__(self, retries: int = 10) -> None:
        self._size = retries * _ANSWERS_A_RETRY
        self._left = self._size
        #: How many retries were spent so far.
        self.spent = 0
        self._lock = threading.Lock()

    def refund(self) -> None:
        """Count an answer."""
        with self._lock:
            self._left = min(self._size, self._left + 1)

    def spend(self) -> bool:
        """Return whether there is a retry left, and spend it."""
        with self._lock:
            if self._left < _ANSWERS_A_RETRY:
                return False
            self._left -= _ANSWERS_A_RETRY
            self.spent += 1
            return True


class Attempts:
    """One call's attempts, from `started` for `timeout_seconds`; both by one clock."""

    def __init__(self, budget: RetryBudget, started: float, timeout_seconds: float) -> None:
        self._budget = budget
        self._deadline = started + timeout_seconds
        self._failures = 0

    def seconds_left(self, now: float) -> float:
        """Return how many seconds the next attempt may take."""
        return max(self._deadline - now, 0.001)

    def next_pause(self, error: GnomonError, *, is_unavailable: bool, now: float) -> float | None:
        """Return the seconds to wait before the next attempt; None: do not retry."""
        if not (is_unavailable and isinstance(error, NotReady)):
            return None
        longest = min(_FIRST_SECONDS * 2**self._failures, _LONGEST_SECONDS)
        self._failures += 1
        seconds = random.uniform(0, longest)  # noqa: S311
        if now + seconds >= self._deadline or not self._budget.spend():
            return None
        return seconds
