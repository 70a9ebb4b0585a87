"""Retention: records that have been kept long enough are deleted, a few at a time.

What counts is when a record arrived, by the hub's clock: a node may say any time of its data. Sums
stay: rows by outcome and day, errors by day. So do packages, rollouts and the audit chain. Windows
stay while a rollout that began before them is active.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import structlog

from gnomon.server.hub.monitoring import expiry
from gnomon.server.hub.store.clock import DAY_MS, now_ms
from gnomon.server.hub.store.database import Database

_log = structlog.get_logger(__name__)

#: How often is looked, and how long one look may take; what is left then is deleted at the next
#: tick.
EVERY_SECONDS = 3_600.0
RUN_SECONDS = 2.0
#: Pause after each batch, in which other writers have their turn.
PAUSE_SECONDS = 0.02


@dataclass(frozen=True)
class ExpiryRule:
    """Which records expire together: a kind of the settings, and the tables that it is about."""

    kind: str
    delete: tuple[Callable[[Database, int, int], expiry.Batch], ...]


RULES: tuple[ExpiryRule, ...] = (
    ExpiryRule("window", (expiry.windows, expiry.drift_figures)),
    ExpiryRule("label", (expiry.labels, expiry.predictions)),
    ExpiryRule("sample", (expiry.refusals,)),
    ExpiryRule("event", (expiry.events,)),
    ExpiryRule("alert", (expiry.alerts,)),
    ExpiryRule("delivery", (expiry.deliveries,)),
)


class Retention:
    """The periodic task; one hub process has one, for a single thread."""

    def __init__(self, kept_days: Mapping[str, int]) -> None:
        """Take for how many days each kind of record is kept; 0: for ever."""
        self._kept_days = dict(kept_days)
        self._due_at = 0.0
        self._stopped = threading.Event()

    def stop(self) -> None:
        """End a run after its batch."""
        self._stopped.set()

    def run_once(self, database: Database) -> None:
        """Delete what has expired, if it is time to look."""
        if time.monotonic() < self._due_at:
            return
        until = time.monotonic() + RUN_SECONDS
        deleted, finished = self._expire(database, until)
        if finished:
            self._due_at = time.monotonic() + EVERY_SECONDS
        if deleted:
            _log.info("records_expired", **deleted)

    def _expire(self, database: Database, until: float) -> tuple[dict[str, int], bool]:
        """Return how many records were deleted by table, and whether nothing is left."""
        deleted: dict[str, int] = {}
        for rule in RULES:
            days = self._kept_days.get(rule.kind, 0)
            if not days:
                continue
            before = now_ms() - days * DAY_MS
            for delete in rule.delete:
                batch = expiry.Batch(0, 0)
                while batch.next is not None:
                    if time.monotonic() >= until or self._stopped.wait(PAUSE_SECONDS):
                        return deleted, False
                    batch = delete(database, before, batch.next)
                    if batch.deleted:
                        deleted[delete.__name__] = deleted.get(delete.__name__, 0) + batch.deleted
        return deleted, True
