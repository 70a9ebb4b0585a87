"""The highest rate that meets an objective, by search: decisions without a clock or a network."""

import math
from dataclasses import dataclass, field
from enum import StrEnum

__all__ = ["RateSearch", "Trial", "TrialResult"]

#: Requests a second below which no rate is tried, and trials of one search.
LOWEST_RATE = 0.1
MOST_TRIALS = 60


class TrialResult(StrEnum):
    """What a trial at a rate has shown."""

    MET = "met"
    MISSED = "missed"
    #: The generator was late: the rate is more than it can send here.
    VOID = "void"


@dataclass(frozen=True)
class Trial:
    """A rate in requests a second, and what was found."""

    rate: float
    result: TrialResult


@dataclass
class RateSearch:
    """Doubles the rate until it is missed, then halves the interval; then confirms what it found.

    A rate is found once `confirmations` trials in a row have met the objective there. If one of
    them misses it, the search goes on below, from the next rate that has met it.
    """

    start: float
    precision: float = 0.05
    confirmations: int = 3
    #: Requests a second below which no rate is tried.
    lowest: float = LOWEST_RATE
    trials: list[Trial] = field(default_factory=list)
    #: The highest rate that has met the objective, and the lowest that has not.
    low: float | None = None
    high: float | None = None
    confirmed: int = 0

    @property
    def found(self) -> float | None:
        """Return the rate that is confirmed, or None."""
        return self.low if self._is_narrow and self.confirmed >= self.confirmations else None

    @property
    def _is_narrow(self) -> bool:
        """Whether the interval is within the precision."""
        if self.low is None or self.high is None:
            return False
        return self.high / self.low <= 1 + self.precision

    @property
    def is_limited_by_generator(self) -> bool:
        """Whether no lower rate was missed than one at which the generator was late."""
        void = [one.rate for one in self.trials if one.result is TrialResult.VOID]
        return bool(void) and self.high == min(void)

    def next_rate(self) -> float | None:
        """Return the rate to try next; None at the end."""
        if self.found is not None or len(self.trials) >= MOST_TRIALS:
            return None
        if self.low is None and self.high is None:
            return self.start
        if self.low is None:
            rate = (self.high or 0) / 2
            return rate if rate >= self.lowest else None
        if self.high is None:
            return self.low * 2
        return self.low if self._is_narrow else math.sqrt(self.low * self.high)

    def add(self, rate: float, result: TrialResult) -> None:
        """Take what a trial at the rate of `next_rate` has shown."""
        is_confirmation = rate == self.low
        self.trials.append(Trial(rate, result))
        if result is TrialResult.MET:
            self.confirmed = self.confirmed + 1 if is_confirmation else 1
            self.low = rate
            return
        self.confirmed = 0
        self.high = rate
        if is_confirmation:
            self.low = self._lower(rate)

    def _lower(self, rate: float) -> float | None:
        """Return the highest rate below that has met the objective, and never missed it."""
        missed = {one.rate for one in self.trials if one.result is not TrialResult.MET}
        met = [
            one.rate
            for one in self.trials
            if one.result is TrialResult.MET and one.rate not in missed and one.rate < rate
        ]
        return max(met, default=None)
