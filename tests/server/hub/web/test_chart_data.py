"""From the monitor's rows to charts: what alarms comes first, and no peak is lost."""

from hypothesis import given
from hypothesis import strategies as st

from gnomon.server.hub.monitoring.drift import DriftInterval
from gnomon.server.hub.monitoring.losses import Losses
from gnomon.server.hub.web.chart_data import drift_charts, error_chart

DAY = 86_400_000


def row(day: int, field: str, source: str, psi: float) -> DriftInterval:
    return DriftInterval(
        started_at=day * DAY,
        ended_at=(day + 1) * DAY,
        source=source,
        field=field,
        version="1",
        rows=100,
        psi=psi,
        chance=0.02,
    )


def test_what_has_an_alert_comes_first_and_then_what_is_furthest() -> None:
    rows = [
        row(day, field, source, psi)
        for day in range(3)
        for field, psi in (("calm", 0.03), ("far", 0.9), ("accused", 0.02))
        for source in ("", "n1", "n2")
    ]
    charts = drift_charts(rows, {"accused": {"n2"}})
    assert [chart.title for chart in charts] == ["accused", "far", "calm"]
    styles = {line.label: line.style for line in charts[0].lines}
    assert styles == {"n1": "quiet", "n2": "alarm", "all sources together": "main"}
    assert "open alert for n2" in charts[0].summary
    assert "0.88 beyond chance on 1970-01-03; 3 intervals, 2 sources" in charts[1].summary
    # By chance alone is nothing; below chance is no less.
    assert [value for _, value in charts[0].lines[-1].points] == [0.0, 0.0, 0.0]


@given(st.integers(1, 2_000), st.integers(0, 1_999))
def test_thinning_keeps_the_peak(days: int, at: int) -> None:
    peak = min(at, days - 1)
    rows = [row(day, "f", "", 5.0 if day == peak else 0.1) for day in range(days)]
    (chart,) = drift_charts(rows, {})
    points = chart.lines[-1].points
    assert len(points) <= 160
    assert max(value for _, value in points) == 4.98
    assert [at for at, _ in points] == sorted(at for at, _ in points)


def test_errors_have_a_line_a_version() -> None:
    by_day = {"1": {0: Losses(2, 0.0, 6.0, 20.0), DAY: Losses(1, 1.0, 1.0, 1.0)}, "2": {}}
    chart = error_chart(by_day)
    assert [(line.label, list(line.points)) for line in chart.lines] == [
        ("1", [(0, 3.0), (DAY, 1.0)]),
        ("2", []),
    ]
    assert "version 1 last 1 on 1970-01-02" in chart.summary
    assert "no labels yet" in error_chart({}).summary
