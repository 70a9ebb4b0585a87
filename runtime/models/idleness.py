"""Which routes are idle: decided from counts and a clock that are passed in."""

from collections.abc import Mapping


class Idleness:
    """Remembers when each route's count of calls last changed."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._seen: dict[str, tuple[int, float]] = {}

    def idle(self, calls: Mapping[str, int], now: float) -> set[str]:
        """Return the routes whose calls have not changed for that time; `now` is monotonic seconds.

        >>> idleness = Idleness(10)
        >>> [idleness.idle({"eta": calls}, now) for calls, now in ((1, 0), (2, 9), (2, 19))]
        [set(), set(), {'eta'}]
        """
        self._seen = {
            route: self._seen[route]
            if self._seen.get(route, (None, 0.0))[0] == count
            else (count, now)
            for route, count in calls.items()
        }
        return {route for route, (_, since) in self._seen.items() if now - since >= self._seconds}
