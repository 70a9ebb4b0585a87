"""A thread that never gives the interpreter's lock away by itself."""

import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from gnomon.runtime import latency
from gnomon.runtime.latency import SLOW_SECONDS
from gnomon.runtime.models import batching_benefit


class BusyInterpreter:
    """Keeps the interpreter busy until `stop`.

    Whoever waits for the interpreter's lock waits ten times as long as a slow call takes.
    """

    def __init__(self) -> None:
        self.turns = 0
        self._is_stopped = False
        self._before = sys.getswitchinterval()
        sys.setswitchinterval(10 * SLOW_SECONDS)
        self._thread = threading.Thread(target=self._burn, daemon=True)
        self._thread.start()

    def _burn(self) -> None:
        while not self._is_stopped:
            self.turns += 1

    def let_in(self) -> None:
        """Give the lock away, and return when the busy thread had it and gave it back."""
        before = self.turns
        while self.turns == before and not self._is_stopped:
            time.sleep(0.000_1)

    def stop(self) -> None:
        """Stop, as often as it is said."""
        self._is_stopped = True
        self._thread.join(10)
        sys.setswitchinterval(self._before)


def widen_thresholds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put what decides far from both clocks for the length of a test.

    A run that `GivesWay` interrupts takes up to 2 ms of CPU time (its caches are cold) and at least
    20 ms by the wall clock: 10 ms tells the two apart on any machine, 2 ms does not.
    """
    monkeypatch.setattr(latency, "SLOW_SECONDS", 5 * SLOW_SECONDS)
    monkeypatch.setattr(latency, "QUICK_SECONDS", 4 * SLOW_SECONDS)
    monkeypatch.setattr(latency, "_LONGEST_COUNTED", 20 * SLOW_SECONDS)
    monkeypatch.setattr(batching_benefit, "GATHERING_NS", int(5e9 * SLOW_SECONDS))


class GivesWay:
    """An engine in which every run loses the interpreter's lock to a busy thread."""

    def __init__(self, engine: Any, busy: BusyInterpreter, works_in_caller: bool) -> None:
        self._engine = engine
        self._busy = busy
        self.works_in_caller = works_in_caller
        self.row_runner: Callable[[Any], None] = lambda packing: None
        self.close = engine.close

    def run(self, tensors: Mapping[str, Any]) -> Any:
        """Run as the engine does, after the busy thread's turn."""
        self._busy.let_in()
        return self._engine.run(tensors)
