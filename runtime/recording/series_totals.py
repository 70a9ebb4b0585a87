"""What a series counted since it began, for metrics: read from its windows, never counted again."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gnomon.core.cells import latency
from gnomon.core.window import Window
from gnomon.core.window.reading import OUTCOMES

#: What a latency counts for, in nanoseconds, by its bucket.
MIDDLES_NS = np.array([latency.middle_of(bucket) for bucket in range(latency.BUCKETS)], np.float64)


def latency_ns(latency_counts: NDArray[np.int64]) -> int:
    """Return the sum of latencies in ns, within 1/32, from int64 counts by bucket, shape (608,)."""
    return round(float(MIDDLES_NS @ latency_counts))


@dataclass(slots=True)
class SeriesTotals:
    """Calls and rows by outcome, violations by rule code, answers by latency bucket.

    `model`, `version` and `rule_names` are those of the package, so that a reader of the totals
    needs no second look at what is loaded, which may have changed by then.
    """

    rule_names: tuple[str, ...]
    model: str = ""
    version: str = ""
    calls: dict[str, int] = field(default_factory=lambda: dict.fromkeys(OUTCOMES, 0))
    rows: dict[str, int] = field(default_factory=lambda: dict.fromkeys(OUTCOMES, 0))
    violations: NDArray[np.int64] = field(init=False)
    latency_counts: NDArray[np.int64] = field(
        default_factory=lambda: np.zeros(latency.BUCKETS, np.int64)
    )

    def __post_init__(self) -> None:
        self.violations = np.zeros(len(self.rule_names), np.int64)

    def add(self, window: Window) -> None:
        """Add what a window counted."""
        for name, count in window.outcomes.items():
            self.calls[name] += count
        for name, count in window.outcome_rows.items():
            self.rows[name] += count
        self.violations += window.violations
        self.latency_counts += window.latency_counts

    @property
    def latency_ns(self) -> int:
        """Return how long the answered calls took together, within 1/32."""
        return latency_ns(self.latency_counts)

    def copy(self) -> "SeriesTotals":
        """Return totals with the same counts."""
        other = SeriesTotals(
            self.rule_names, self.model, self.version, dict(self.calls), dict(self.rows)
        )
        other.violations += self.violations
        other.latency_counts += self.latency_counts
        return other
