"""Quotas: how much one node, builder or API key may send in a minute or a day.

Each hub process counts by itself, in memory, so a quota costs no SQL. What was counted goes down
steadily, so there is no moment at which all quotas begin again. A caller that has reached one is
refused until it is below; what it could not send waits at the node, which merges its windows. The
first refusal is logged and raises an alert; the next one does only after the caller has been below
half of the quota.
"""

import enum
import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress

import structlog

from gnomon.runtime.errors import GnomonError, Overloaded
from gnomon.server.hub.monitoring import alerts, task_failures
from gnomon.server.hub.store.database import Database

_log = structlog.get_logger(__name__)

#: The kind of the alerts; the source is the caller, the field the quota.
QUOTA_REACHED = "quota_reached"

_MINUTE, _DAY = 60.0, 86_400.0
#: A caller is told to come again within an hour.
_LONGEST_WAIT_SECONDS = 3_600.0


class Quota(enum.StrEnum):
    """What is bounded, by the setting that says how much."""

    CALLS = "quota_calls_per_minute"
    REST_CALLS = "quota_rest_calls_per_minute"
    TELEMETRY_BYTES = "quota_telemetry_bytes_per_day"
    WINDOWS = "quota_windows_per_day"
    LABELS = "quota_labels_per_day"
    SAMPLES = "quota_samples_per_day"
    BLOB_BYTES = "quota_blob_bytes_per_day"

    @property
    def period_seconds(self) -> float:
        """Return the time for which the quota is."""
        return _MINUTE if self.value.endswith("_per_minute") else _DAY


#: What an upload of telemetry is counted by.
UPLOADS = (Quota.TELEMETRY_BYTES, Quota.WINDOWS, Quota.LABELS, Quota.SAMPLES)


class Quotas:
    """The quotas of one hub process. Threads may share it."""

    def __init__(
        self,
        database: Database,
        limits: Mapping[str, int],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take limits by the quota's name; 0, and none: no limit."""
        self._database = database
        self._limits = {quota: limits.get(quota, 0) for quota in Quota}
        self._clock = clock
        self._lock = threading.Lock()
        self._used: dict[tuple[str, Quota], tuple[float, float]] = {}  # amount, and when
        self._reached: set[tuple[str, Quota]] = set()

    def check(self, caller: str, *quotas: Quota) -> None:
        """Check that a caller has reached none of the quotas.

        Raises:
            Overloaded: naming the caller and the quota, and when to come again.
        """
        for quota in quotas:
            with self._lock:
                # There is room for one more, as a whole.
                over = self._amount(caller, quota) + 1 - self._limits[quota]
            if over > 0 and self._limits[quota]:
                self._refuse(caller, quota, over)

    def count(self, caller: str, quota: Quota, amount: int = 1) -> None:
        """Count what a caller has sent."""
        limit = self._limits[quota]
        if not limit or not amount:
            return
        key = caller, quota
        with self._lock:
            used = self._amount(caller, quota)
            if used < limit / 2:
                self._reached.discard(key)
            self._used[key] = (used + amount, self._clock())

    def spend(self, caller: str, quota: Quota) -> None:
        """Count one, unless the quota is reached; raises as `check`."""
        self.check(caller, quota)
        self.count(caller, quota)

    def metered(
        self, caller: str, blobs: Iterable[tuple[str, bytes]]
    ) -> Iterator[tuple[str, bytes]]:
        """Yield blobs, each counted by its bytes; raises as `check`, with the first one too many.

        What was yielded before it is stored, so that a push is resumed later.
        """
        for digest, data in blobs:
            self.check(caller, Quota.BLOB_BYTES)
            self.count(caller, Quota.BLOB_BYTES, len(data))
            yield digest, data

    def _amount(self, caller: str, quota: Quota) -> float:
        """Return what counts now; the caller holds the lock."""
        used, at = self._used.get((caller, quota), (0.0, 0.0))
        passed = self._clock() - at
        return max(0.0, used - passed * self._limits[quota] / quota.period_seconds)

    def _refuse(self, caller: str, quota: Quota, over: float) -> None:
        limit = self._limits[quota]
        with self._lock:
            is_first = (caller, quota) not in self._reached
            self._reached.add((caller, quota))
        text = f"{caller} has reached {quota.value}, which is {limit:,}"
        if is_first:
            self._report(caller, quota, text)
        wait = max(1.0, over * quota.period_seconds / limit)
        details = [
            {
                "quota": quota.value,
                "limit": limit,
                "retry_after_seconds": math.ceil(min(wait, _LONGEST_WAIT_SECONDS)),
            }
        ]
        raise Overloaded(f"{text}; call again later", details=details)

    def _report(self, caller: str, quota: Quota, text: str) -> None:
        limit = self._limits[quota]
        _log.warning(QUOTA_REACHED, caller=caller, quota=quota.value, limit=limit)
        advice = "; what it sends is refused until it is below; a setting of the hub raises it"
        condition = alerts.Condition(
            "", QUOTA_REACHED, caller, quota.value, "", text + advice, {"limit": limit}
        )
        with suppress(GnomonError):  # of the database, which logs it; the refusal stands
            task_failures.raise_once(self._database, condition)
