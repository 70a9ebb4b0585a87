"""Decisions about runs of a load test: void, stable, bound met. No clock, no network."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from gnomon.bench.load.results import RunResult
from gnomon.bench.load.settings import LoadSettings

__all__ = [
    "EXIT_CODES",
    "Interval",
    "Verdict",
    "agree",
    "interval_of",
    "student_quantile",
    "void_reason",
]

#: The share of the reported percentile by which requests may be sent late.
LATE_SHARE = 0.01


class Verdict(StrEnum):
    """How a load test ended, the gravest first."""

    UNREACHABLE = "unreachable"
    WRONG = "wrong answers"
    ERRORS = "errors"
    VOID = "void"
    UNSTABLE = "unstable"
    MISSED = "bound missed"
    MET = "met"


#: The exit code of each verdict.
EXIT_CODES = {
    Verdict.UNREACHABLE: 4,
    Verdict.WRONG: 1,
    Verdict.ERRORS: 1,
    Verdict.VOID: 6,
    Verdict.UNSTABLE: 6,
    Verdict.MISSED: 1,
    Verdict.MET: 0,
}

#: Two-sided 95 % quantiles of Student's t by degrees of freedom from 1.
_STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)


@dataclass(frozen=True)
class Interval:
    """The mean of a figure over runs, and a 95 % confidence interval; NaN ends for one run."""

    mean: float
    low: float
    high: float


def interval_of(values: Sequence[float]) -> Interval:
    """Return mean and interval of one figure by run, by Student's t (wide for few runs)."""
    mean = statistics.fmean(values)
    if len(values) < 2:
        return Interval(mean, math.nan, math.nan)
    quantile = student_quantile(len(values) - 1)
    half = quantile * statistics.stdev(values) / math.sqrt(len(values))
    return Interval(mean, mean - half, mean + half)


def student_quantile(degrees: int) -> float:
    """Return the two-sided 95 % quantile of Student's t; above 10 degrees that of 10."""
    return _STUDENT[min(degrees, len(_STUDENT)) - 1]


def void_reason(run: RunResult, settings: LoadSettings) -> str | None:
    """Return why a run's figures say more of the generator than of the server, or None.

    In an open loop the generator must not be later than a hundredth of the reported percentile,
    or than the floor. A closed loop sends when answers come, so that it cannot be late.
    """
    if not run.requests:
        return "no request was due in the measured time"
    if not settings.is_open:
        return None
    lateness = run.lateness.percentile(99)
    reported = run.latency.percentile(settings.percentile)
    most = max(LATE_SHARE * reported, settings.lateness_floor_us * 1e3)
    # No request of its own at all, or none answered, leaves nothing to hold it against.
    if math.isnan(lateness) or math.isnan(reported) or lateness <= most:
        return None
    return (
        f"requests were sent up to {lateness / 1e3:,.0f} µs late (p99); at most {most / 1e3:,.0f} "
        f"µs keep p{settings.percentile:g} of {reported / 1e6:,.3f} ms believable"
    )


def agree(runs: Sequence[RunResult], settings: LoadSettings) -> bool:
    """Whether runs are near their median, in answers a second and in the reported percentile."""
    for values in (
        [one.per_second for one in runs],
        [one.latency.percentile(settings.percentile) for one in runs],
    ):
        median = statistics.median(values)
        # NaN, of a run without answers, is near nothing.
        if not all(abs(one - median) <= settings.stability * median for one in values):
            return False
    return True
