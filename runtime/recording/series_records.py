"""What goes into a series, outcomes of calls, and what comes out of it, records."""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gnomon.core.contract.violations import Violations
from gnomon.core.window import Window


@dataclass(frozen=True, slots=True)
class SeriesKey:
    """Who is counted: a package on a route, answering or as a shadow."""

    digest: str
    route: str
    shadow: bool = False


@dataclass(slots=True)
class ClosedWindow:
    """A window and the start of its interval, in epoch seconds."""

    key: SeriesKey
    started_at: int
    window: Window


@dataclass(slots=True)
class Samples:
    """Sampled predictions: parallel lists of request, epoch seconds and first output."""

    request_ids: list[str] = field(default_factory=list)
    timestamps: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)


@dataclass(slots=True)
class Example:
    """One broken rule of a refused or corrected row, with texts that a record can hold."""

    request_id: str
    timestamp: float
    field: str
    rule: str
    value: str
    expected: str


@dataclass(slots=True)
class PendingRecords:
    """Records drained from a series."""

    windows: list[ClosedWindow] = field(default_factory=list)
    samples: list[Samples] = field(default_factory=list)
    examples: list[Example] = field(default_factory=list)
    dropped_samples: int = 0

    def any(self) -> bool:
        """Whether there is anything."""
        return bool(self.windows or self.samples or self.examples)


class BrokenRules(NamedTuple):
    """Rules that were broken, and their codes in a window."""

    violations: Violations
    codes: NDArray[np.int64]


class CallOutcome(NamedTuple):
    """The outcome of a call: its code in a window, nanoseconds, epoch seconds, request id."""

    code: int
    latency_ns: int
    timestamp: float
    request_id: str
