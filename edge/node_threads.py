"""The threads of a node: each repeats one task, and pauses longer after each failure in a row."""

import logging
import threading
import time
from collections.abc import Callable

from gnomon.edge.backoff import Backoff
from gnomon.edge.heartbeats import Heartbeats
from gnomon.runtime.errors import GnomonError
from gnomon.runtime.ids import now_ms

_log = logging.getLogger(__name__)

#: A thread that is not heard of for so long, besides what a call may take, does not work any more.
_STALLED_SECONDS = 600.0


class NodeThreads:
    """Starts, watches and stops the threads of a node, and keeps the errors of each."""

    def __init__(self, first_pause_seconds: float, longest_pause_seconds: float) -> None:
        """Start nothing yet; the pauses are those after failures."""
        self._pauses = first_pause_seconds, longest_pause_seconds
        self._errors: dict[str, tuple[float, str]] = {}
        self._threads: list[threading.Thread] = []
        self._beats = Heartbeats()
        self._stop = threading.Event()

    @property
    def errors(self) -> list[tuple[float, str]]:
        """Time (epoch seconds) and text of each error that no success of its thread followed."""
        return list(self._errors.values())

    def start(self, name: str, iteration: Callable[[], float]) -> None:
        """Start a thread that repeats a task, which returns the seconds until the next time."""
        thread = threading.Thread(
            target=self._repeat, args=(name, iteration), name=name, daemon=True
        )
        self._threads.append(thread)
        thread.start()

    def is_stopping(self) -> bool:
        """Whether the threads were asked to stop."""
        return self._stop.is_set()

    def ask_to_stop(self) -> None:
        """Let each thread end after its task."""
        self._stop.set()

    def join(self, timeout_seconds: float) -> bool:
        """Wait for the threads to end; return whether all have."""
        deadline = time.monotonic() + timeout_seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def beat(self, seconds: float = 0.0) -> None:
        """Say that the calling thread works, and how long its next step may take at most."""
        name = threading.current_thread().name
        if any(thread.name == name for thread in self._threads):
            self._beats.beat(name, seconds + _STALLED_SECONDS)

    def stalled(self) -> tuple[str, ...]:
        """Return the threads that ended, or took longer for a step than it may take."""
        ended = [one.name for one in self._threads if not one.is_alive()]
        return tuple(sorted({*ended, *self._beats.stalled()}))

    def record_error(self, error: Exception, source: str) -> None:
        """Log an error, and keep it until its source has succeeded again."""
        self._errors[source] = (now_ms() / 1000, str(error) or type(error).__name__)
        if not isinstance(error, GnomonError):
            _log.error("%s failed", source, exc_info=error)
        elif not self._stop.is_set():
            _log.warning("%s", error)

    def _repeat(self, name: str, iteration: Callable[[], float]) -> None:
        backoff = Backoff(*self._pauses)
        pause = 0.0
        while not self._stop.wait(pause):
            try:
                self.beat()
                pause = iteration()
                backoff.succeeded()
                self._errors.pop(name, None)
            except Exception as error:
                pause = backoff.failed()
                self.record_error(error, name)
            self.beat(pause)
