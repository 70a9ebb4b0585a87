"""When a pipeline runs by itself: on a schedule, or because something has happened at the hub.

Decisions only, without a clock and without a network: `Triggers.due` takes the time and the hub's
counts, and returns why the pipeline should run now. What it has handled is kept in `seen`, so that
a restart neither misses a scheduled time (several missed ones make one run) nor repeats one.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec
from cronsim import CronSim, CronSimError

__all__ = ["Facts", "RunConditions", "TriggerProgress", "Triggers"]


class _Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the records."""


class Labels(_Record, frozen=True, kw_only=True):
    """Run when this number of further labels has been joined to predictions of a model."""

    model: str
    minimum: int = 1


class Alerts(_Record, frozen=True, kw_only=True):
    """Run when an alert of one of these kinds has opened for a model; without kinds, any alert."""

    model: str
    kinds: tuple[str, ...] = ()


class RunConditions(_Record, frozen=True, kw_only=True):
    """What makes a pipeline run; `cron` is in UTC: minute, hour, day, month, day of the week."""

    cron: str = ""
    labels: Labels | None = None
    alerts: Alerts | None = None

    def __post_init__(self) -> None:
        """Raise ConfigurationError if `cron` is not a cron expression."""
        if self.cron:
            try:
                CronSim(self.cron, datetime(2026, 1, 1, tzinfo=UTC))
            except CronSimError as error:
                raise ValueError(f"cron {self.cron!r} is no cron expression: {error}") from error

    @property
    def asks_hub(self) -> bool:
        """Whether the hub must be queried."""
        return self.labels is not None or self.alerts is not None


class TriggerProgress(_Record, frozen=True, kw_only=True):
    """What has been handled: the time, the number of labels and the newest alert."""

    at: float  # Unix seconds
    labels: int | None = None
    alert: str | None = None


class Facts(_Record, frozen=True, kw_only=True):
    """What the hub knows: the number of joined labels; ids and kinds of alerts, oldest first."""

    labels: int = 0
    alerts: Sequence[tuple[str, str]] = ()


class Triggers:
    """Decides when a pipeline is due."""

    def __init__(self, when: RunConditions, seen: TriggerProgress) -> None:
        """Continue from what was seen; `TriggerProgress(at=now)` for the first time."""
        self._when = when
        self.seen = seen

    def due(self, now: float, facts: Facts | None) -> str:
        """Return why the pipeline should run now, or ""; facts are None without a hub.

        What was there when a hub is first asked counts as seen.
        """
        reasons = [self._schedule(now)]
        if facts is not None:
            reasons += [self._labels(facts.labels), self._alerts(facts.alerts)]
        return "; ".join(filter(None, reasons))

    def next_time(self) -> float | None:
        """Return when the schedule is due next, in Unix seconds."""
        if not self._when.cron:
            return None
        after = datetime.fromtimestamp(self.seen.at, UTC)
        return next(CronSim(self._when.cron, after)).timestamp()

    def _schedule(self, now: float) -> str:
        following = self.next_time()
        if following is None or following > now:
            return ""
        self.seen = msgspec.structs.replace(self.seen, at=now)
        return "schedule"

    def _labels(self, count: int) -> str:
        if self._when.labels is None:
            return ""
        before = self.seen.labels
        fresh = 0 if before is None else count - before
        if before is not None and fresh < self._when.labels.minimum:
            return ""
        self.seen = msgspec.structs.replace(self.seen, labels=count)
        return f"{fresh} new labels" if before is not None else ""

    def _alerts(self, alerts: Sequence[tuple[str, str]]) -> str:
        if self._when.alerts is None:
            return ""
        before = self.seen.alert
        newest = max((identity for identity, _ in alerts), default=before or "")
        kinds = self._when.alerts.kinds
        fresh = [
            kind
            for identity, kind in alerts
            if before is not None and identity > before and (not kinds or kind in kinds)
        ]
        self.seen = msgspec.structs.replace(self.seen, alert=newest)
        return f"alert {fresh[-1]}" if fresh else ""
