"""The hub's clockwork: every tick, the monitor reads what is new and rollouts take their steps."""

import threading
from collections.abc import Callable, Sequence

import structlog

from gnomon.server.hub.monitoring import monitor
from gnomon.server.hub.rollout import rollouts
from gnomon.server.hub.store.database import Database

_log = structlog.get_logger(__name__)

Step = Callable[[Database], object]

#: In this order: rollouts judge by what the monitor has read.
STEPS: tuple[Step, ...] = (monitor.step, rollouts.step)


class Loop:
    """A thread that takes the steps every tick. A step that fails is logged, and tried again."""

    def __init__(
        self, database: Database, tick_seconds: float, steps: Sequence[Step] = STEPS
    ) -> None:
        self._database = database
        self._tick_seconds = tick_seconds
        self._steps = tuple(steps)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="hub-loop", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, timeout_seconds: float = 10.0) -> None:
        """Ask the thread to end after its step, and wait for it."""
        self._stop.set()
        self._thread.join(timeout_seconds)

    def _run(self) -> None:
        while not self._stop.wait(self._tick_seconds):
            for step in self._steps:
                self._take(step)

    def _take(self, step: Step) -> None:
        try:
            step(self._database)
        except Exception:
            # The state is in SQL and each step one transaction, so the next tick starts clean.
            _log.exception("step_failed", step=f"{step.__module__}.{step.__qualname__}")
