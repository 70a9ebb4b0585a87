"""Prometheus metrics, read from the recorder's windows, so that they cost a request nothing.

All frontends record into the same windows. Latencies come from log-linear buckets: a duration
within 1/32 of a bound may be counted in the neighbouring bucket, and the sum has the same error.
`nv_inference_*` are the names that Triton's dashboards use.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
from fastapi import APIRouter, Request
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar
from starlette.responses import PlainTextResponse, Response

from gnomon.runtime.recording.series_records import SeriesKey
from gnomon.runtime.recording.series_totals import MIDDLES_NS, SeriesTotals, latency_ns
from gnomon.server.serving.admission.admission import Admission
from gnomon.server.serving.admission.exemplars import TracedCall
from gnomon.server.serving.handler import Handler
from gnomon.server.serving.observing.model_metrics import model_metrics, path_metrics

METRICS_PATH = "/metrics"

#: Upper bounds of the latency histogram, in seconds.
BOUNDS = (
    *(0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005),
    *(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)
_PLACES = np.array([bisect_left(BOUNDS, middle / 1e9) for middle in MIDDLES_NS])
_LABELS = ("model", "version", "route", "shadow")
_TRITON_LABELS = ("model", "version")

Labelled = list[tuple[tuple[str, ...], SeriesTotals]]


class ServingCollector(Collector):
    """Turns series_totals into metrics at each scrape."""

    def __init__(self, handler: Handler, admission: Admission) -> None:
        self._handler = handler
        self._runtime = handler.runtime
        self._admission = admission

    def collect(self) -> Iterator[Metric]:
        """Return all metrics."""
        counted = self._admission.clients.digests()
        found = self._runtime.series_totals()
        names = {key.digest: (totals.model, totals.version) for key, totals in found.items()}
        series_totals = _labelled(found)
        self._admission.clients.retire(counted - set(names))
        yield from _requests(series_totals, self._admission)
        yield from _triton(series_totals)
        yield from model_metrics(self._runtime)
        yield path_metrics(self._runtime, self._handler.paths)
        rejected = CounterMetricFamily(
            "gnomon_turned_away_requests",
            "Requests that admission rejected, by the error's code.",
            labels=("code",),
        )
        for code, count in sorted(self._admission.rejected.items()):
            rejected.add_metric((code,), count)
        yield rejected
        yield self._clients(names)
        yield GaugeMetricFamily(
            "gnomon_requests_under_way",
            "Admitted requests that are not answered yet.",
            self._admission.throttle.under_way,
        )
        yield CounterMetricFamily(
            "gnomon_dropped_samples",
            "Samples and shadow calls that there was no room for; no count is ever dropped.",
            self._runtime.dropped,
        )

    def _clients(self, names: Mapping[str, tuple[str, str]]) -> Metric:
        """Return requests by client; of a package that has left, no more."""
        requests = _SummedCounter(
            "gnomon_client_requests",
            "Requests by client and outcome; model and version if one answered.",
            labels=("client", "route", "model", "version", "outcome"),
        )
        for one in self._admission.clients.read():
            labels = (one.client, one.route, *names.get(one.digest, ("", "")), one.outcome)
            requests.add(labels, one.requests)
        return requests.family()


class _SummedCounter:
    """A counter whose samples are sums: two packages may have the same name and version."""

    def __init__(self, name: str, description: str, labels: tuple[str, ...]) -> None:
        self._family = CounterMetricFamily(name, description, labels=labels)
        self._sums: dict[tuple[str, ...], float] = {}

    def add(self, labels: tuple[str, ...], count: float) -> None:
        """Add to the sample of these labels."""
        self._sums[labels] = self._sums.get(labels, 0) + count

    def family(self) -> Metric:
        """Return the metric."""
        for labels, total in self._sums.items():
            self._family.add_metric(labels, total)
        return self._family


def _labelled(series_totals: Mapping[SeriesKey, SeriesTotals]) -> Labelled:
    """Return the totals with their labels, which they bring along for packages that have left."""
    return [
        ((totals.model, totals.version, key.route, str(key.shadow).lower()), totals)
        for key, totals in series_totals.items()
    ]


def _requests(series_totals: Labelled, admission: Admission) -> Iterator[Metric]:
    requests = _SummedCounter("gnomon_requests", "Requests by outcome.", (*_LABELS, "outcome"))
    rows = _SummedCounter("gnomon_rows", "Rows by outcome.", (*_LABELS, "outcome"))
    violations = _SummedCounter(
        "gnomon_violations",
        "Broken rules of the contracts: those that refused a row, and those that were mended.",
        (*_LABELS, "side", "rule"),
    )
    durations: dict[tuple[str, ...], NDArray[np.int64]] = {}
    for labels, totals in series_totals:
        for outcome, count in totals.calls.items():
            requests.add((*labels, outcome), count)
        for outcome, count in totals.rows.items():
            rows.add((*labels, outcome), count)
        for name, count in zip(totals.rule_names, totals.violations.tolist(), strict=True):
            if count:
                side, _, rule = name.partition(".")
                violations.add((*labels, side, rule), count)
        durations[labels] = durations.get(labels, 0) + totals.latency_counts
    yield from (requests.family(), rows.family(), violations.family())
    yield _durations(durations, admission)


def _durations(
    latency_counts: Mapping[tuple[str, ...], NDArray[np.int64]], admission: Admission
) -> Metric:
    family = HistogramMetricFamily(
        "gnomon_request_duration_seconds",
        "From call to answer, of answered requests; within 1/32.",
        labels=_LABELS,
    )
    for labels, counts in latency_counts.items():
        _model, version, route, shadow = labels
        calls = [] if shadow == "true" else admission.traced_calls(route, version)
        buckets = _with_exemplars(_buckets(counts), calls)
        family.add_metric(labels, buckets, latency_ns(counts) / 1e9)
    return family


def _with_exemplars(
    buckets: list[tuple[str, float]], calls: Iterable[TracedCall]
) -> list[tuple[str, float] | tuple[str, float, Exemplar]]:
    """Add the newest traced request to each bucket that has one."""
    found = {
        bisect_left(BOUNDS, one.seconds): Exemplar(
            {"trace_id": one.trace_id}, one.seconds, one.ended_at
        )
        for one in calls
    }
    return [
        (*bucket, found[place]) if place in found else bucket
        for place, bucket in enumerate(buckets)
    ]


def _buckets(latency_counts: NDArray[np.int64]) -> list[tuple[str, float]]:
    counts = np.bincount(_PLACES, latency_counts, len(BOUNDS) + 1).cumsum()
    names = [*(f"{bound:g}" for bound in BOUNDS), "+Inf"]
    return list(zip(names, counts.tolist(), strict=True))


def _triton(series_totals: Labelled) -> Iterator[Metric]:
    """Return the metrics under Triton's names, by package over all routes."""
    success = CounterMetricFamily(
        "nv_inference_request_success", "Requests that were answered.", labels=_TRITON_LABELS
    )
    failure = CounterMetricFamily(
        "nv_inference_request_failure",
        "Requests that were not answered.",
        labels=(*_TRITON_LABELS, "reason"),
    )
    count = CounterMetricFamily(
        "nv_inference_count", "Rows that were answered.", labels=_TRITON_LABELS
    )
    duration = CounterMetricFamily(
        "nv_inference_request_duration_us",
        "Microseconds of answered requests.",
        labels=_TRITON_LABELS,
    )
    for labels, (calls, rows, seconds) in _by_package(series_totals).items():
        success.add_metric(labels, calls["answered"] + calls["fallback"])
        failure.add_metric((*labels, "REJECTED"), calls["refused"])
        failure.add_metric((*labels, "BACKEND"), calls["failed"])
        count.add_metric(labels, rows["answered"] + rows["fallback"])
        duration.add_metric(labels, round(seconds * 1e6))
    for family in (success, failure, count, duration):
        # Triton's counters have no suffix; its dashboards expect that.
        family.samples = [
            sample._replace(name=sample.name.removesuffix("_total")) for sample in family.samples
        ]
        family.type = "unknown"
        yield family


def _by_package(
    series_totals: Labelled,
) -> dict[tuple[str, str], tuple[dict[str, int], dict[str, int], float]]:
    """Return calls and rows by outcome, and seconds, of each package, without shadows."""
    found: dict[tuple[str, str], tuple[dict[str, int], dict[str, int], float]] = {}
    for (model, version, _, shadow), totals in series_totals:
        if shadow == "true":
            continue
        calls, rows, seconds = found.get((model, version), ({}, {}, 0.0))
        found[model, version] = (
            {name: calls.get(name, 0) + more for name, more in totals.calls.items()},
            {name: rows.get(name, 0) + more for name, more in totals.rows.items()},
            seconds + totals.latency_ns / 1e9,
        )
    return found


def metrics_router(handler: Handler, admission: Admission) -> APIRouter:
    """Return the route that Prometheus scrapes."""
    registry = CollectorRegistry()
    registry.register(ServingCollector(handler, admission))
    ProcessCollector(registry=registry)
    router = APIRouter()

    @router.get(METRICS_PATH, response_class=PlainTextResponse)
    def metrics(request: Request) -> Response:
        """Return all metrics in Prometheus' text format, or as OpenMetrics if that is accepted."""
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(registry), media_type=content_type)

    return router
