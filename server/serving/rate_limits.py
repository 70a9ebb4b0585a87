"""Limits of calls, at once and over time."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class RateLimits:
    """Limits of one caller on one model, and of everybody together; 0: none.

    `requests_per_second` holds over time, `burst` requests may come at once (0: one second's).
    """

    requests_per_second: float = 0.0
    burst: int = 0
    concurrent_requests: int = 0
    total_requests: int = 0
