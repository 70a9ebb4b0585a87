"""Which routes Python answers because their models are slow, decided again while they serve.

A call on a loop's thread blocks all others of that loop, so only models that take less than
`SLOW_SECONDS` run there. One measurement may happen under unusual conditions. So each route that
was found too slow is tried again, after pauses that grow while it remains slow.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from gnomon.runtime.latency import SLOW_SECONDS
from gnomon.runtime.models.model import Model
from gnomon.runtime.predicting.served_routes import ServedRoute
from gnomon.server.serving.route_path import RoutePath

#: Seconds from the decision against a route to its first trial, and the longest pause.
FIRST_PAUSE_SECONDS = 5.0
LONGEST_PAUSE_SECONDS = 300.0
#: A route that stays on the loops for this many pauses starts with a short pause again.
_PAUSES_TO_TRUST = 10


class _Candidate:
    """A route with the models of its targets; `detail` is why Python answers, or "".

    `until` is the time of the next trial, or when the next pause starts short again.
    """

    def __init__(self, models: Sequence[Model]) -> None:
        self.models = models
        self.pause = FIRST_PAUSE_SECONDS
        self.until = 0.0
        self.detail = ""

    def hold(self, detail: str, now: float) -> None:
        """Let Python answer until a trial, the later the more trials have failed."""
        if now >= self.until and not self.detail:
            self.pause = FIRST_PAUSE_SECONDS
        self.detail, self.until = detail, now + self.pause
        self.pause = min(2 * self.pause, LONGEST_PAUSE_SECONDS)

    def release(self, now: float) -> None:
        """Let the loops answer."""
        self.detail, self.until = "", now + _PAUSES_TO_TRUST * self.pause

    def slow_model(self) -> str:
        """Return which model takes too long for a row, in words; "" if none does."""
        for model in self.models:
            seconds = model.row_latency.seconds
            if model.row_latency.is_slow and seconds is not None:
                return f"the engine takes {seconds * 1e3:.1f} ms for a row of {model.reference}"
        return ""


class PathSelector:
    """Follows the routes in service. For one thread at a time."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._candidates: dict[str, _Candidate] = {}

    def follow(self, served: Mapping[str, ServedRoute]) -> None:
        """Take over the routes in service; a route with other models starts fresh."""
        now = self._clock()
        candidates: dict[str, _Candidate] = {}
        for name, one in served.items():
            models = [target.model for target in one.targets.values()]
            known = self._candidates.get(name)
            if known is None or known.models != models:
                known = _Candidate(models)
                if detail := known.slow_model():
                    known.hold(detail, now)
            candidates[name] = known
        self._candidates = candidates

    @property
    def held(self) -> dict[str, RoutePath]:
        """Return the routes that Python answers because they are slow."""
        return {
            name: RoutePath(False, "slow", one.detail)
            for name, one in self._candidates.items()
            if one.detail
        }

    def due(self) -> list[Model]:
        """Return the models to measure again before the next `review`."""
        now = self._clock()
        due = [one for one in self._candidates.values() if one.detail and now >= one.until]
        return [model for one in due for model in one.models]

    def review(self, usual_seconds: Mapping[str, float], measured: Iterable[Model]) -> bool:
        """Move routes to the path that fits their speed; return whether any has moved.

        `usual_seconds` is how long calls of a route usually take on the loops; `measured` are the
        models whose `row_latency` was measured since `due`.
        """
        now = self._clock()
        before = self.held.keys()
        fresh = set(map(id, measured))
        for name, one in self._candidates.items():
            usual = usual_seconds.get(name, 0.0)
            if not one.detail and usual > SLOW_SECONDS:
                one.hold(f"its calls usually take {usual * 1e3:.1f} ms", now)
            elif one.detail and now >= one.until and fresh.issuperset(map(id, one.models)):
                if detail := one.slow_model():
                    one.hold(detail, now)
                else:
                    one.release(now)
        return self.held.keys() != before
