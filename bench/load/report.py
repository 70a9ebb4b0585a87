"""The report of a load test: as data for JSON, and as lines of CSV."""

import csv
import io
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from gnomon.bench.generator.histogram import RELATIVE_ERROR, Histogram
from gnomon.bench.load.measure import Measured, different
from gnomon.bench.load.results import Outcome, RunResult
from gnomon.bench.load.verdict import Interval, interval_of

__all__ = ["PERCENTS", "csv_text", "report_of", "run_figures", "time_series"]

PERCENTS = (50.0, 90.0, 95.0, 99.0, 99.9, 99.99)
CLOSED = (
    "closed loop: the next request is sent when an answer comes, so that a server that stalls is "
    "sent less, and its stalls are hidden; a rate (--rate) shows them"
)
OPEN = (
    "open loop: latency counts from the moment a request was due, whether it could be sent or not"
)


def number(value: float, digits: int = 4) -> float | None:
    """Return a figure rounded to significant digits; None if it is NaN, which JSON lacks."""
    return None if math.isnan(value) else float(f"{value:.{digits}g}")


def run_figures(run: RunResult) -> dict[str, Any]:
    """Return the figures of one run, or of several merged; each name ends with its unit."""
    return {
        "seconds": number(run.seconds, 6),
        "requests": run.requests,
        "answered": run.answered,
        "answered_per_second": number(run.per_second),
        "error_share": number(run.error_share),
        **{f"p{one:g}_ms": number(run.latency.percentile(one) / 1e6) for one in PERCENTS},
        "mean_ms": number(run.latency.mean / 1e6),
        "max_ms": number(run.latency.maximum / 1e6),
        "sent_late_p50_us": number(run.lateness.percentile(50) / 1e3),
        "sent_late_p99_us": number(run.lateness.percentile(99) / 1e3),
        "waited_for_stream": run.waited,
        "reconnects": run.reconnects,
        "client_cpu_us_per_request": number(run.cpu_seconds * 1e6 / max(run.requests, 1)),
    }


def report_of(measured: Measured) -> dict[str, Any]:
    """Return all of a load test as data: verdict, figures, intervals, runs, machine."""
    settings, total = measured.settings, measured.total
    percentile = f"p{settings.percentile:g}"
    return {
        "target": measured.test.target.address,
        "protocol": measured.test.target.protocol.name.lower(),
        "model": measured.test.model,
        "rows": {"count": len(measured.test.rows), "origin": measured.test.origin},
        "load": _load(measured),
        "verdict": measured.verdict.value,
        "is_marked": bool(measured.machine.get("is_marked")),
        "was_interrupted": measured.was_interrupted,
        "figures": None if total is None else run_figures(total),
        "intervals_95": {
            "answered_per_second": _interval([one.per_second for one in measured.kept]),
            f"{percentile}_ms": _interval(
                [one.latency.percentile(settings.percentile) / 1e6 for one in measured.kept]
            ),
        },
        "outcomes": None if total is None else _outcomes(total),
        "statuses": None if total is None else dict(total.statuses),
        "answers": _answers(measured),
        "void_runs": measured.void,
        "runs": [run_figures(one) for one in measured.runs],
        "histogram": None if total is None else _histogram(total.latency),
        "machine": measured.machine,
    }


def _load(measured: Measured) -> dict[str, Any]:
    settings = measured.settings
    promised = {"percentile": settings.percentile, "bound_ms": settings.bound_ms}
    return {
        "loop": "open" if settings.is_open else "closed",
        "meaning": OPEN if settings.is_open else CLOSED,
        "rate_per_second": settings.rate,
        "arrivals": settings.arrivals.value if settings.is_open else None,
        "burstiness": settings.burstiness if settings.is_open else None,
        "connections": settings.connections,
        "streams": settings.used_streams,
        "threads": settings.threads,
        "seconds": settings.seconds,
        "warm_up_seconds": settings.warm_up,
        **promised,
    }


def _interval(values: Sequence[float]) -> dict[str, float | None] | None:
    if not values or any(map(math.isnan, values)):
        return None
    found: Interval = interval_of(values)
    return {"mean": number(found.mean), "low": number(found.low), "high": number(found.high)}


def _outcomes(run: RunResult) -> dict[str, int]:
    return {one.name.lower(): int(run.outcomes[one]) for one in Outcome}


def _answers(measured: Measured) -> dict[str, Any]:
    total = measured.total
    return {
        "checked_against": "golden outputs" if measured.test.check.is_golden else "first answers",
        "other_bytes": 0 if total is None else different(total),
        "other_values": measured.differences()[:10],
        "wrong": measured.wrong[:10],
    }


def _histogram(latency: Histogram) -> dict[str, Any]:
    cells = np.flatnonzero(latency.counts)
    return {
        "relative_error": RELATIVE_ERROR,
        "cells": [[int(cell), int(latency.counts[cell])] for cell in cells],
    }


def time_series(run: RunResult) -> list[dict[str, Any]]:
    """Return latency over time: one entry for each slot, in order."""
    return [
        {
            "at_seconds": round(index * run.slot_seconds, 6),
            "requests": int(slot.outcomes.sum()),
            "failed": int(slot.outcomes[Outcome.REFUSED] + slot.outcomes[Outcome.LOST :].sum()),
            "p50_ms": number(slot.latency.percentile(50) / 1e6),
            "p99_ms": number(slot.latency.percentile(99) / 1e6),
            "max_ms": number(slot.latency.maximum / 1e6),
        }
        for index, slot in enumerate(run.slots)
    ]


def csv_text(measured: Measured) -> str:
    """Return one line for each run, under names with units."""
    text = io.StringIO()
    rows = [run_figures(one) for one in measured.runs]
    writer = csv.DictWriter(text, fieldnames=list(rows[0]) if rows else ["requests"])
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
