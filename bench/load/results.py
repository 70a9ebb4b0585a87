"""What a run of a load test has counted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from gnomon.bench.generator.histogram import Histogram

__all__ = ["Outcome", "RunResult", "Slot", "merge_runs"]


class Outcome(IntEnum):
    """What became of a request, by the numbers of `load_state.h`."""

    GOOD = 0
    REFUSED = 1
    DIFFERENT = 2
    LOST = 3
    LATE = 4
    UNSENT = 5


@dataclass(frozen=True, eq=False)
class Slot:
    """A slot of time: what became of the requests that were due in it, and their latency."""

    outcomes: NDArray[np.uint64]
    latency: Histogram


@dataclass(frozen=True, eq=False)
class RunResult:
    """One run, or several merged; times in seconds.

    `latency` counts from when a request was due, `service` from when it was sent; `lateness` is
    the time between both, if a stream was free. `kept` are answers that were not the expected
    bytes, by row.
    """

    seconds: float
    latency: Histogram
    service: Histogram
    lateness: Histogram
    outcomes: NDArray[np.uint64]
    statuses: Mapping[int, int]
    slots: Sequence[Slot]
    slot_seconds: float
    cpu_seconds: float
    waited: int
    reconnects: int
    has_ended_early: bool
    kept: Sequence[tuple[int, bytes]]

    @property
    def requests(self) -> int:
        """Return how many requests were due, or sent in a closed loop."""
        return int(self.outcomes.sum())

    @property
    def answered(self) -> int:
        """Return how many answers came in time with a good status."""
        return int(self.outcomes[Outcome.GOOD] + self.outcomes[Outcome.DIFFERENT])

    @property
    def error_share(self) -> float:
        """Return the share of the requests without a good answer; 1 of none."""
        return 1 - self.answered / self.requests if self.requests else 1.0

    @property
    def per_second(self) -> float:
        """Return good answers a second."""
        return self.answered / self.seconds if self.seconds else 0.0


def merge_runs(runs: Sequence[RunResult], *, at_once: bool) -> RunResult:
    """Return the sum of runs that followed each other, or ran at once in several threads."""
    first = runs[0]
    latency, service, lateness = (Histogram.empty() for _ in range(3))
    statuses: dict[int, int] = {}
    for one in runs:
        latency, service = latency + one.latency, service + one.service
        lateness = lateness + one.lateness
        for status, count in one.statuses.items():
            statuses[status] = statuses.get(status, 0) + count
    return RunResult(
        seconds=max(one.seconds for one in runs) if at_once else sum(one.seconds for one in runs),
        latency=latency,
        service=service,
        lateness=lateness,
        outcomes=np.sum([one.outcomes for one in runs], axis=0, dtype=np.uint64),
        statuses=statuses,
        slots=_merge_slots([one.slots for one in runs])
        if at_once
        else [slot for one in runs for slot in one.slots],
        slot_seconds=first.slot_seconds,
        cpu_seconds=sum(one.cpu_seconds for one in runs),
        waited=sum(one.waited for one in runs),
        reconnects=sum(one.reconnects for one in runs),
        has_ended_early=any(one.has_ended_early for one in runs),
        kept=[kept for one in runs for kept in one.kept],
    )


def _merge_slots(slots: Sequence[Sequence[Slot]]) -> list[Slot]:
    return [
        Slot(
            np.sum([one.outcomes for one in same], axis=0, dtype=np.uint64),
            sum((one.latency for one in same), Histogram.empty()),
        )
        for same in zip(*slots, strict=True)
    ]
