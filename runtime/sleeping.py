"""Unloads the engines of idle routes, from a thread of its own."""

import threading
import time
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Protocol

from gnomon.runtime.models.idleness import Idleness
from gnomon.runtime.recording.series_records import SeriesKey
from gnomon.runtime.recording.series_totals import SeriesTotals

_LONGEST_PAUSE_SECONDS = 1.0


class IdleRuntime(Protocol):
    """What is watched: a runtime."""

    def series_totals(self) -> Mapping[SeriesKey, SeriesTotals]:
        """Return what was counted so far."""

    def sleep(self, idle: Collection[str]) -> None:
        """Let the models sleep that idle routes name and no other route does."""


class Sleeper:
    """Reads the counts of a runtime, and unloads idle models."""

    def __init__(self, runtime: IdleRuntime, seconds: float) -> None:
        self._runtime = runtime
        self._idleness = Idleness(seconds)
        self._pause = min(seconds / 4, _LONGEST_PAUSE_SECONDS)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, name="gnomon-sleeper", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Look no longer."""
        self._stopped.set()
        self._thread.join(timeout=10)

    def _work(self) -> None:
        while not self._stopped.wait(self._pause):
            calls: Counter[str] = Counter()
            for key, totals in self._runtime.series_totals().items():
                calls[key.route] += sum(totals.calls.values())
            idle = self._idleness.idle(calls, time.monotonic())
            if idle:
                self._runtime.sleep(idle)
