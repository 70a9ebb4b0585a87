"""Metrics of the models themselves: memory, sleep, and the path of each route's gRPC calls."""

from collections.abc import Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from gnomon.runtime.runtime import Runtime
from gnomon.server.serving.route_path import OTHER_FRONTEND, RoutePath

_LABELS = ("model", "version", "digest")


def model_metrics(runtime: Runtime) -> Iterator[Metric]:
    """Return them for what is loaded now."""
    memory = GaugeMetricFamily(
        "gnomon_model_memory_bytes",
        "Estimate of what a loaded model takes; 0 while it sleeps.",
        labels=_LABELS,
    )
    sleeps = CounterMetricFamily(
        "gnomon_model_sleeps", "How often a model gave its engine back.", labels=_LABELS
    )
    wakes = CounterMetricFamily(
        "gnomon_model_wakes", "How often a call loaded it again.", labels=_LABELS
    )
    models = runtime.models
    for digest, usage in runtime.usage.items():
        model = models.get(digest)
        if model is None:
            continue
        labels = (model.name, model.version, digest[:16])
        memory.add_metric(labels, usage.memory_bytes if model.is_awake else 0)
        sleeps.add_metric(labels, usage.sleeps)
        wakes.add_metric(labels, usage.wakes)
    yield from (memory, sleeps, wakes)


def path_metrics(runtime: Runtime, paths: Mapping[str, RoutePath]) -> Metric:
    """Return the path of each route in service."""
    family = GaugeMetricFamily(
        "gnomon_route_path",
        "1 for the path that a route's gRPC calls take: native or python, and why not native.",
        labels=("route", "path", "reason"),
    )
    for route in runtime.routes:
        path = paths.get(route, OTHER_FRONTEND)
        family.add_metric((route, "native" if path.is_native else "python", path.reason), 1)
    return family
