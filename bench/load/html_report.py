"""The report of a load test as one page of HTML, with curves, that opens without a network."""

import html
import math
from collections.abc import Sequence
from typing import Any

from gnomon.bench.load.measure import Measured
from gnomon.bench.load.report import report_of, time_series

__all__ = ["html_page"]

WIDTH, HEIGHT, LEFT, BOTTOM = 720, 260, 64, 28
COLOURS = ("#1f5fa8", "#c2410c", "#6b7280")
#: Percentiles of the plot: from the median to one in 100,000.
CURVE = (0, 10, 25, 50, 75, 90, 95, 98, 99, 99.5, 99.9, 99.95, 99.99, 99.999)

#: Points of a curve; a gap where the second is None.
Points = Sequence[tuple[float, float | None]]

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 760px; margin: 2rem auto }}
table {{ border-collapse: collapse }} td {{ padding: .1rem 1rem .1rem 0; vertical-align: top }}
svg {{ max-width: 100%; height: auto }} .marked {{ color: #b91c1c }}
</style></head><body>
<h1>{title}</h1><p><strong>{verdict}</strong>{marks}</p><p>{meaning}</p>
<h2>Figures</h2>{figures}
<h2>Latency over time</h2>{over_time}
<h2>Latency by percentile</h2>{by_percentile}
<h2>Load</h2>{load}
<h2>Answers</h2>{answers}
<h2>Machine</h2>{machine}
</body></html>
"""


def html_page(measured: Measured) -> str:
    """Return the page; all text of others is escaped."""
    report = report_of(measured)
    marks = [] if not report["is_marked"] else ["taken beside other work on this machine"]
    marks += [f"void run: {one}" for one in report["void_runs"]]
    return _PAGE.format(
        title=html.escape(f"Load test of {report['model']} at {report['target']}"),
        verdict=html.escape(str(report["verdict"])),
        marks="".join(f'<br><span class="marked">{html.escape(one)}</span>' for one in marks),
        meaning=html.escape(report["load"]["meaning"]),
        figures=_table({**(report["figures"] or {}), **(report["outcomes"] or {})}),
        over_time=_over_time(measured),
        by_percentile=_by_percentile(measured),
        load=_table(report["load"]),
        answers=_table(report["answers"]),
        machine=_table(report["machine"]),
    )


def _table(values: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><td>{html.escape(name)}</td><td>{html.escape(str(value))}</td></tr>"
        for name, value in values.items()
        if value is not None
    )
    return f"<table>{rows}</table>"


def _over_time(measured: Measured) -> str:
    total = measured.total
    if total is None:
        return "<p>no run</p>"
    series = time_series(total)
    curves: dict[str, Points] = {
        name: [(one["at_seconds"], one[f"{name}_ms"]) for one in series]
        for name in ("p50", "p99", "max")
    }
    return _plot(curves, "seconds of the kept runs, one behind the other", {})


def _by_percentile(measured: Measured) -> str:
    total = measured.total
    if total is None or not total.latency.total:
        return "<p>no answer</p>"
    named = [one for one in CURVE if total.latency.total * (1 - one / 100) >= 1]
    # Each 9 takes as much room as the one before.
    places = {one: -math.log10(1 - one / 100) for one in named}
    curves: dict[str, Points] = {
        "from due": [(places[one], total.latency.percentile(one) / 1e6) for one in named],
        "from sent": [(places[one], total.service.percentile(one) / 1e6) for one in named],
    }
    marks = {places[one]: f"{one:g}" for one in (0, 50, 90, 99, 99.9, 99.99) if one in places}
    return _plot(curves, "percentile", marks)


def _plot(curves: dict[str, Points], label: str, marks: dict[float, str]) -> str:
    """Return curves over a common axis, milliseconds on a logarithmic scale."""
    points = [point for curve in curves.values() for point in curve]
    known = [(x, y) for x, y in points if y is not None and y > 0]
    if not known:
        return "<p>no answer</p>"
    right = max(x for x, _ in known) or 1.0
    low = math.floor(math.log10(min(y for _, y in known)))
    high = max(math.ceil(math.log10(max(y for _, y in known))), low + 1)

    def place(x: float, y: float) -> tuple[float, float]:
        share = (math.log10(y) - low) / (high - low)
        across = LEFT + (WIDTH - LEFT - 10) * x / right
        return across, 10 + (HEIGHT - BOTTOM - 10) * (1 - share)

    parts = [_grid(low, high, label)]
    for number, (name, curve) in enumerate(curves.items()):
        colour = COLOURS[number % len(COLOURS)]
        line = " ".join(
            "{:.1f},{:.1f}".format(*place(x, y)) for x, y in curve if y is not None and y > 0
        )
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}"/>')
        left = WIDTH - 80 * (len(curves) - number)
        parts.append(f'<text x="{left}" y="22" fill="{colour}" font-size="12">{name}</text>')
    for x, text in marks.items():
        across, _ = place(x, 10.0**low)
        parts.append(f'<text x="{across:.0f}" y="{HEIGHT - 14}" font-size="11">{text}</text>')
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img">{"".join(parts)}</svg>'


def _grid(low: int, high: int, label: str) -> str:
    lines = []
    for power in range(low, high + 1):
        y = 10 + (HEIGHT - BOTTOM - 10) * (1 - (power - low) / (high - low))
        lines.append(
            f'<line x1="{LEFT}" x2="{WIDTH - 10}" y1="{y:.1f}" y2="{y:.1f}" stroke="#e5e7eb"/>'
            f'<text x="4" y="{y + 4:.1f}" font-size="11">{10.0**power:g} ms</text>'
        )
    lines.append(f'<text x="{LEFT}" y="{HEIGHT - 2}" font-size="11">{html.escape(label)}</text>')
    return "".join(lines)
