"""Pauses after failed calls, with full jitter, so that a fleet does not call at the same time."""

import random


class Backoff:
    """Pauses between 0 and a bound that doubles with each failure.

    Source: M. Brooker, "Exponential Backoff And Jitter" (2015).
    """

    def __init__(self, first_seconds: float, longest_seconds: float) -> None:
        self._first_seconds = first_seconds
        self._longest_seconds = longest_seconds
        self._failures = 0

    def failed(self) -> float:
        """Count a failure; return the seconds to wait."""
        bound = self._first_seconds * 2 ** min(self._failures, 30)
        self._failures += 1
        return random.uniform(0, min(bound, self._longest_seconds))  # noqa: S311

    def succeeded(self) -> None:
        """Reset the pauses after a success."""
        self._failures = 0
