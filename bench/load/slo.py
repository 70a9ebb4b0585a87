"""The highest rate at which a server keeps a percentile under a bound: runs by a search."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from gnomon.bench.load.machine import MachineWatch, machine_facts
from gnomon.bench.load.measure import LoadTest
from gnomon.bench.load.rate_search import RateSearch, TrialResult
from gnomon.bench.load.report import run_figures
from gnomon.bench.load.results import RunResult, merge_runs
from gnomon.bench.load.run import run_once
from gnomon.bench.load.settings import LoadSettings
from gnomon.bench.load.verdict import Verdict, void_reason
from gnomon.runtime.errors import ConfigurationError

__all__ = ["SloResult", "assess_run", "find_rate", "slo_report"]

#: Runs that are tried at a rate, as long as they are void.
VOID_RUNS = 3
#: Requests that a run must have: of fewer no percentile is known.
FEWEST_REQUESTS = 10


@dataclass
class SloResult:
    """A search with its runs, by the rate of each in requests a second."""

    test: LoadTest
    settings: LoadSettings
    search: RateSearch
    runs: list[tuple[float, RunResult]] = field(default_factory=list)
    has_ended_early: bool = False
    machine: dict[str, Any] = field(default_factory=dict)

    def verdict(self, at_least: float | None = None) -> Verdict:
        """Return how the search ended; `at_least` is a rate that was promised."""
        if self.has_ended_early:
            return Verdict.UNREACHABLE
        found = self.search.found
        if found is not None and found >= (at_least or 0):
            return Verdict.MET
        return Verdict.VOID if self.search.is_limited_by_generator else Verdict.MISSED

    @property
    def confirming(self) -> RunResult | None:
        """Return the runs at the rate that was found, as one; None if none was."""
        runs = [run for rate, run in self.runs if rate == self.search.found]
        return merge_runs(runs, at_once=False) if runs else None


def assess_run(run: RunResult, settings: LoadSettings) -> TrialResult:
    """Return what a run shows: void, or whether percentile and errors keep their bounds."""
    if void_reason(run, settings) is not None:
        return TrialResult.VOID
    reported = run.latency.percentile(settings.percentile) / 1e6
    # A percentile of no answers is NaN, which is below no bound.
    is_met = reported <= (settings.bound_ms or 0) and run.error_share <= settings.most_errors
    return TrialResult.MET if is_met else TrialResult.MISSED


def find_rate(
    test: LoadTest,
    settings: LoadSettings,
    search: RateSearch,
    show: Callable[[float, RunResult, TrialResult], None],
) -> SloResult:
    """Try rates until one is confirmed; call `show` after each run.

    Args:
        test: the prepared test.
        settings: of each run; its rate is replaced, and it has a bound.
        search: that chooses the rates.
        show: called with the rate, the run, and what it shows.

    Raises:
        ConfigurationError: there is no bound.
        TargetUnavailable: no connection could be made for a run.
    """
    if settings.bound_ms is None:
        raise ConfigurationError("a search needs a bound in ms")
    search.lowest = max(search.lowest, FEWEST_REQUESTS / settings.seconds)
    result = SloResult(test, settings, search)
    watch = MachineWatch.start()
    while (rate := search.next_rate()) is not None and not result.has_ended_early:
        shown = TrialResult.VOID
        for _ in range(VOID_RUNS):
            at_rate = dataclasses.replace(settings, rate=rate)
            seed = settings.seed + len(result.runs)
            run = run_once(test.target, test.model, test.rows, at_rate, seed)
            shown = assess_run(run, at_rate)
            result.has_ended_early |= run.has_ended_early
            show(rate, run, shown)
            if shown is not TrialResult.VOID:
                result.runs.append((rate, run))
                break
        search.add(rate, shown)
    result.machine = {
        **machine_facts(),
        "busy_before": round(watch.before, 3),
        "busy_during_by_others": round(watch.during(), 3),
        "is_marked": watch.is_marked,
    }
    return result


def goodput(run: RunResult, bound_ms: float) -> float:
    """Return the good answers a second that came within the bound."""
    return run.latency.share_within(bound_ms * 1e6) * run.per_second if run.answered else 0.0


def slo_report(result: SloResult, at_least: float | None = None) -> dict[str, Any]:
    """Return all of a search as data: the rate, its figures, every trial, the machine."""
    bound = result.settings.bound_ms or 0.0
    search, run = result.search, result.confirming
    return {
        "target": result.test.target.address,
        "model": result.test.model,
        "objective": {
            "percentile": result.settings.percentile,
            "bound_ms": bound,
            "most_errors": result.settings.most_errors,
            "at_least_per_second": at_least,
        },
        "verdict": result.verdict(at_least).value,
        "highest_rate_per_second": search.found,
        "lowest_rate_missed_per_second": search.high,
        "confirmations": search.confirmed,
        "precision": search.precision,
        "is_limited_by_generator": search.is_limited_by_generator,
        "goodput_per_second": None if run is None else round(goodput(run, bound), 3),
        "figures": None if run is None else run_figures(run),
        "trials": [{"rate": one.rate, "result": one.result.value} for one in search.trials],
        "runs": [
            {
                "rate": rate,
                "goodput_per_second": round(goodput(one, bound), 3),
                **run_figures(one),
            }
            for rate, one in result.runs
        ],
        "machine": result.machine,
        "is_marked": bool(result.machine.get("is_marked")),
    }
