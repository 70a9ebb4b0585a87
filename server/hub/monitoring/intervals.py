"""Which intervals of the data's own time are closed, so that each is evaluated once.

An interval is closed once every active source has sent a window of a later one: a node sends its
windows in order of time, so only late rows can follow. A silent source would block all intervals,
so one that is over by the clock is also closed if none of its windows has arrived for a while.
A source that sends windows of one interval again and again cannot keep it open: it is closed at the
latest `deadline_ms` after its end and its first window, with all intervals before it. Replays of
old data follow the same rules.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gnomon.server.hub.monitoring.progress import Interval, SourceClock
from gnomon.server.hub.store.clock import DAY_MS


@dataclass(frozen=True, slots=True)
class MonitorSettings:
    """How the monitor waits and how rarely it may be wrong."""

    active_ms: int = 600_000
    """A source is active for this time after its last window."""
    grace_ms: int = 30_000
    """An interval that is over is closed when nothing of it has come for this time."""
    deadline_ms: int = 600_000
    """An interval that is over is closed this time after its first window, whatever still comes."""
    windows_per_false_alarm: float = 1_000.0
    """Mean number of intervals of a model between false alarms."""
    tolerance: float = 0.1
    """How far all sources together may move before it matters, in σ."""
    ahead_ms: int = DAY_MS
    """An interval that begins later than this from now waits: some node's clock is wrong."""
    intervals_a_transaction: int = 16


@dataclass(frozen=True, slots=True)
class Arrival:
    """One open interval, and when the first and the last of its windows came."""

    interval: Interval
    first_at: int
    received_at: int


def closed(
    arrivals: Iterable[Arrival],
    sources: Mapping[str, SourceClock],
    now: int,
    settings: MonitorSettings,
) -> list[Interval]:
    """Return the intervals that are closed, in order; the first that is not holds back the rest.

    >>> waiting = {"a": SourceClock(10, 0), "b": SourceClock(0, 0)}
    >>> day = Arrival((10, 0), 0, 0)
    >>> closed([day], waiting, 1, MonitorSettings())
    []
    >>> closed([day], {**waiting, "b": SourceClock(10, 0)}, 1, MonitorSettings())
    [(10, 0)]
    >>> closed([day], waiting, 30_010, MonitorSettings())
    [(10, 0)]

    Args:
        arrivals: intervals of which something came, in order.
        sources: node → how far its windows go, and when one came last.
        now: epoch milliseconds.
        settings: how long a source that is late is waited for.
    """
    starts = [
        source.latest_start
        for source in sources.values()
        if now - source.received_at <= settings.active_ms
    ]
    slowest = min(starts, default=None)
    ready: list[Interval] = []
    open_ones: list[Interval] = []  # since the last that is closed
    for arrival in sorted(arrivals, key=lambda one: one.interval):
        end, start = arrival.interval
        if start - now > settings.ahead_ms:
            break  # evaluated now, it would make every window until then late
        open_ones.append(arrival.interval)
        passed = slowest is not None and slowest >= end
        over = now - max(end, arrival.received_at) >= settings.grace_ms
        overdue = now - max(end, arrival.first_at) >= settings.deadline_ms
        if overdue or (len(open_ones) == 1 and (passed or over)):
            ready += open_ones
            open_ones = []
    return ready
