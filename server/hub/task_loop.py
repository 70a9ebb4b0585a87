"""The hub's periodic tasks: every tick, the monitor reads what is new and rollouts advance."""

import threading
from collections.abc import Callable, Sequence

import structlog

from gnomon.server.hub.monitoring import incidents, monitor, refused_packages, silences
from gnomon.server.hub.rollout import rollouts
from gnomon.server.hub.store.database import Database

_log = structlog.get_logger(__name__)

Task = Callable[[Database], object]

#: In this order: rollouts use what the monitor has read.
TASKS: tuple[Task, ...] = (
    monitor.run_once,
    rollouts.run_once,
    refused_packages.run_once,
    silences.run_once,
    incidents.run_once,
)


class TaskLoop:
    """A thread that runs the tasks every tick. A task that fails is logged and tried again."""

    def __init__(
        self, database: Database, tick_seconds: float, tasks: Sequence[Task] = TASKS
    ) -> None:
        self._database = database
        self._tick_seconds = tick_seconds
        self._tasks = tuple(tasks)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="hub-loop", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, timeout_seconds: float = 10.0) -> None:
        """Ask the thread to end after its task, and wait for it."""
        self._stop.set()
        self._thread.join(timeout_seconds)

    def _run(self) -> None:
        while not self._stop.wait(self._tick_seconds):
            for task in self._tasks:
                self._run_task(task)

    def _run_task(self, task: Task) -> None:
        try:
            task(self._database)
        except Exception:
            # State is in SQL and written in one transaction, so the next tick starts clean.
            _log.exception("task_failed", task=f"{task.__module__}.{task.__qualname__}")
