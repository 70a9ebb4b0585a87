"""Line charts as inline SVG, made on the server: no script, no library, no foreign host.

Colours come from classes, so that the style sheet decides them for light and dark alike. A chart
has a sentence for those who do not see it.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from gnomon.server.hub.store.clock import DAY_MS, calendar

#: Width and height of one of many charts, and of one that stands alone.
SMALL = (340, 150)
WIDE = (760, 240)
_LEFT, _RIGHT, _TOP, _BOTTOM = 38, 10, 10, 22
_NICE = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class ChartLine:
    """One line: points of time (Unix milliseconds) and value, in order of time."""

    label: str
    points: Sequence[tuple[int, float]]
    style: str  # a class of the style sheet: main, quiet, alarm, v0 … v5


@dataclass(frozen=True, slots=True)
class Chart:
    """Lines over time, from 0 up."""

    title: str
    lines: Sequence[ChartLine]
    summary: str
    least_top: float = 0.0  # the scale reaches at least this far
    size: tuple[int, int] = SMALL

    def svg(self) -> Markup:
        """Return the chart, or empty markup if there is no point to draw."""
        points = [point for line in self.lines for point in line.points]
        if not points:
            return Markup("")
        times = [at for at, _ in points]
        top = nice_top(max(self.least_top, max(value for _, value in points)))
        frame = _Frame(min(times), max(times), top, *self.size)
        body = Markup("").join(
            [*_grid(frame), *_dates(frame), *(_line(frame, line) for line in self.lines)]
        )
        return Markup(
            '<svg class="chart" viewBox="0 0 {w} {h}" role="img" aria-label="{summary}" '
            'preserveAspectRatio="xMidYMid meet"><title>{title}</title>{body}</svg>'
        ).format(w=frame.width, h=frame.height, summary=self.summary, title=self.title, body=body)


@dataclass(frozen=True, slots=True)
class _Frame:
    """The scale: maps times and values to coordinates."""

    first: int
    last: int
    top: float
    width: int
    height: int

    def x(self, at: int) -> float:
        if self.last == self.first:
            return (_LEFT + self.width - _RIGHT) / 2
        share = (at - self.first) / (self.last - self.first)
        return _LEFT + share * (self.width - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        share = min(value, self.top) / self.top
        return self.height - _BOTTOM - share * (self.height - _TOP - _BOTTOM)


def nice_top(value: float) -> float:
    """Return a round number at or above a value.

    >>> [nice_top(value) for value in (0.0, 0.07, 1.3, 24.0, 25.0)]
    [1.0, 0.1, 2.0, 25.0, 25.0]
    """
    if not value > 0 or not math.isfinite(value):
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in _NICE if step * power >= value * (1 - 1e-9))


def _grid(frame: _Frame) -> Iterator[Markup]:
    for share in (0.0, 0.5, 1.0):
        value = share * frame.top
        y = frame.y(value)
        yield Markup(
            '<line class="grid" x1="{x1}" x2="{x2}" y1="{y:.1f}" y2="{y:.1f}"/>'
            '<text class="tick" x="{tx}" y="{ty:.1f}" text-anchor="end">{value:g}</text>'
        ).format(x1=_LEFT, x2=frame.width - _RIGHT, y=y, tx=_LEFT - 5, ty=y + 3.5, value=value)


def _dates(frame: _Frame) -> Iterator[Markup]:
    ends = [(frame.first, "start"), (frame.last, "end")]
    if frame.first == frame.last:
        ends = [(frame.first, "middle")]
    form = "%Y-%m-%d" if frame.last - frame.first >= 2 * DAY_MS else "%m-%d %H:%M"
    for at, anchor in ends:
        moment = calendar(at)
        yield Markup(
            '<text class="tick" x="{x:.1f}" y="{y}" text-anchor="{anchor}">{moment}</text>'
        ).format(x=frame.x(at), y=frame.height - 6, anchor=anchor, moment=f"{moment:{form}}")


def _line(frame: _Frame, line: ChartLine) -> Markup:
    if not line.points:
        return Markup("")
    if len(line.points) == 1:
        at, value = line.points[0]
        return Markup('<circle class="dot {style}" cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>').format(
            style=line.style, x=frame.x(at), y=frame.y(value)
        )
    path = " ".join(f"{frame.x(at):.1f},{frame.y(value):.1f}" for at, value in line.points)
    return Markup(
        '<polyline class="line {style}" points="{path}"><title>{label}</title></polyline>'
    ).format(style=line.style, path=path, label=line.label)
