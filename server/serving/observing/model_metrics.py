"""Metrics of the models themselves: memory, and how often they slept and woke."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from gnomon.runtime.runtime import Runtime

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
    for digest, upkeep in runtime.upkeep.items():
        model = models.get(digest)
        if model is None:
            continue
        labels = (model.name, model.version, digest[:16])
        memory.add_metric(labels, upkeep.memory_bytes if model.is_awake else 0)
        sleeps.add_metric(labels, upkeep.sleeps)
        wakes.add_metric(labels, upkeep.wakes)
    yield from (memory, sleeps, wakes)
