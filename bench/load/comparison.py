"""Two saved reports of load tests, compared: ratios with intervals over runs. No clock."""

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gnomon.bench.load.report import PERCENTS
from gnomon.bench.load.verdict import student_quantile
from gnomon.runtime.errors import ConfigurationError

__all__ = ["FigureRatio", "compare_reports", "read_report"]

#: What two loads must have in common to be compared.
LOAD_MEMBERS = ("loop", "rate_per_second", "arrivals", "burstiness", "connections", "streams")


@dataclass(frozen=True)
class FigureRatio:
    """A figure's mean over runs before and after, and the ratio with its 95 % interval.

    The ratio is of geometric means; the ends of its interval are NaN if a side has one run.
    """

    name: str
    before: float
    after: float
    ratio: float
    low: float
    high: float

    def is_worse(self, most: float) -> bool:
        """Whether a latency is surely more than `most` (a share) above that of before."""
        return self.low > 1 + most


def read_report(path: Path) -> Mapping[str, Any]:
    """Read what `gnomon bench load --json` has printed.

    Raises:
        ConfigurationError: the file cannot be read, or is no such report.
    """
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(report["runs"], list) and isinstance(report["load"], dict):
            return dict(report)
    except (OSError, ValueError, RecursionError, KeyError, TypeError) as error:
        raise ConfigurationError(f"{path} is no report of `gnomon bench load`: {error}") from error
    raise ConfigurationError(f"{path} is no report of `gnomon bench load`")


def compare_reports(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[FigureRatio]:
    """Return the ratio of answers a second, and of each percentile that both have.

    Raises:
        ConfigurationError: the loads differ, so that the figures cannot be compared.
    """
    for member in LOAD_MEMBERS:
        one, other = before["load"].get(member), after["load"].get(member)
        if one != other:
            raise ConfigurationError(f"the loads differ: {member} was {one}, and is {other}")
    names = ("answered_per_second", *(f"p{percent:g}_ms" for percent in PERCENTS))
    pairs = ((name, _values(before, name), _values(after, name)) for name in names)
    return [_ratio(name, one, other) for name, one, other in pairs if one and other]


def _values(report: Mapping[str, Any], name: str) -> list[float]:
    """Return a figure by run, of the runs that have it above 0."""
    values = (run.get(name) for run in report["runs"] if isinstance(run, dict))
    return [float(one) for one in values if isinstance(one, int | float) and 0 < one < math.inf]


def _ratio(name: str, before: Sequence[float], after: Sequence[float]) -> FigureRatio:
    logs = [[math.log(one) for one in side] for side in (before, after)]
    centre = statistics.fmean(logs[1]) - statistics.fmean(logs[0])
    half = math.nan
    fewest = min(map(len, logs))
    if fewest > 1:
        # Welch's error, with the fewest degrees of freedom that it can have.
        error = math.sqrt(sum(statistics.variance(side) / len(side) for side in logs))
        half = student_quantile(fewest - 1) * error
    return FigureRatio(
        name,
        before=statistics.fmean(before),
        after=statistics.fmean(after),
        ratio=math.exp(centre),
        low=math.exp(centre - half),
        high=math.exp(centre + half),
    )
