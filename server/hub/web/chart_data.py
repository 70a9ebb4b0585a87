"""Data of the charts: drift by field, error by day."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise

from gnomon.server.hub.monitoring.drift import DriftInterval
from gnomon.server.hub.monitoring.losses import Losses
from gnomon.server.hub.store.clock import calendar
from gnomon.server.hub.web.charts import WIDE, Chart, ChartLine

# A chart's scale reaches at least so far: over 0.2 people read the index as changed.
_LEAST_PSI = 0.25
_COLOURS = 6
# More points than this cannot be told apart on a chart of this width.
_MOST_POINTS = 160


def drift_charts(rows: Sequence[DriftInterval], alarmed: Mapping[str, set[str]]) -> list[Chart]:
    """Return one chart a field, those that are furthest from their reference first.

    Args:
        rows: as from `drift.series`, each source and all together.
        alarmed: sources with an open alert, by field; empty text: all together.
    """
    by_field: dict[str, dict[str, list[DriftInterval]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        by_field[row.field][row.source].append(row)
    charts = [
        (_recent(sources, alarmed.get(field, set())), _drift_chart(field, sources, alarmed))
        for field, sources in by_field.items()
    ]
    return [chart for _, chart in sorted(charts, key=lambda one: (one[0], one[1].title))]


def _recent(sources: Mapping[str, list[DriftInterval]], alarmed: set[str]) -> tuple[bool, float]:
    together = sources.get("", [])
    return not alarmed, -_excess(together[-1]) if together else 0.0


def _drift_chart(
    field: str, sources: Mapping[str, list[DriftInterval]], alarmed: Mapping[str, set[str]]
) -> Chart:
    accused = alarmed.get(field, set())
    together = sources.get("", [])
    lines = [
        ChartLine(source, _points(rows), "alarm" if source in accused else "quiet")
        for source, rows in sorted(sources.items(), key=lambda one: one[0] in accused)
        if source
    ]
    main = "alarm" if "" in accused else "main"
    lines.append(ChartLine("all sources together", _points(together), main))
    last = together[-1] if together else None
    summary = f"{field}: no evaluated interval yet"
    if last is not None:
        summary = (
            f"{field}: population stability index of all sources together, last "
            f"{_excess(last):.3g} beyond chance on {_date(last.started_at)}; "
            f"{len(together)} intervals, {len(sources) - 1} sources"
        )
        if accused:
            summary += "; open alert for " + ", ".join(sorted(one or "all" for one in accused))
    return Chart(field, lines, summary, _LEAST_PSI)


def error_chart(by_day: Mapping[str, Mapping[int, Losses]]) -> Chart:
    """Return the mean absolute error by day, a line a version."""
    lines, parts = [], []
    for index, (version, days) in enumerate(by_day.items()):
        known = [(day, one.mean_absolute_error) for day, one in days.items()]
        points = [(day, error) for day, error in known if error is not None]
        lines.append(ChartLine(version, _thinned(points), f"v{index % _COLOURS}"))
        if points:
            parts.append(f"version {version} last {points[-1][1]:.3g} on {_date(points[-1][0])}")
    summary = "Mean absolute error by day: " + ("; ".join(parts) or "no labels yet")
    return Chart("Mean absolute error by day", lines, summary, size=WIDE)


def _excess(row: DriftInterval) -> float:
    """Return what the index is beyond what so few rows give by chance alone."""
    return max(0.0, row.psi - row.chance)


def _points(rows: Sequence[DriftInterval]) -> list[tuple[int, float]]:
    return _thinned([(row.started_at, _excess(row)) for row in rows])


def _thinned(points: list[tuple[int, float]]) -> list[tuple[int, float]]:
    """Keep the maximum of each stretch, so that no peak is lost."""
    if len(points) <= _MOST_POINTS:
        return points
    cuts = [round(part * len(points) / _MOST_POINTS) for part in range(_MOST_POINTS + 1)]
    return [max(points[low:high], key=lambda point: point[1]) for low, high in pairwise(cuts)]


def _date(at: int) -> str:
    return f"{calendar(at):%Y-%m-%d}"
