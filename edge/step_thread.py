"""Runs a step of an installation in a thread of its own, while the node goes on to call its hub.

A model that passed its examination may still take long to load here, or never end. No thread can be
ended, so a step that takes too long is named: to the hub by a warning, and to a watchdog, which
starts the process again.
"""

import threading
import time
from collections.abc import Callable

__all__ = ["STEP_THREAD", "StepThread", "StepUnderWay"]

#: The thread's name.
STEP_THREAD = "node-install"


class StepUnderWay(Exception):
    """A step is not done yet: it is to be executed again, after a call to the hub."""


class StepThread:
    """Runs one step at a time; one thread calls `run`, any thread may call the rest.

    Args:
        wait_seconds: how long `run` waits for the step.
        clock: seconds that only rise.
    """

    def __init__(self, wait_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._wait_seconds = wait_seconds
        self._clock = clock
        self._running: _Running | None = None

    def run(self, step: Callable[[], None], name: str, seconds: float) -> None:
        """Run a step, or wait for the one that runs; raise what it raised.

        Args:
            step: what to do; left out while another one runs.
            name: of the step, for messages.
            seconds: how long it may take before it is overdue.

        Raises:
            StepUnderWay: it has not ended within the time to wait.
        """
        if self._running is None:
            self._running = _Running(step, name, self._clock() + seconds)
        if not self._running.wait(self._wait_seconds):
            raise StepUnderWay
        ended, self._running = self._running, None
        if ended.error is not None:
            raise ended.error

    @property
    def overdue(self) -> str:
        """Return the name of a step that takes longer than it may; empty: none does."""
        running = self._running
        return running.name if running is not None and self._clock() > running.ends_at else ""

    def join(self, seconds: float) -> None:
        """Wait for the step that runs to end, at most this time."""
        if self._running is not None:
            self._running.wait(seconds)


class _Running:
    """A step that runs, and the error that it ended with."""

    def __init__(self, step: Callable[[], None], name: str, ends_at: float) -> None:
        self.name = name
        self.ends_at = ends_at
        self.error: BaseException | None = None
        self._step = step
        self._thread = threading.Thread(target=self._run, name=STEP_THREAD, daemon=True)
        self._thread.start()

    def wait(self, seconds: float) -> bool:
        """Return whether the step has ended within this time."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._step()
        except BaseException as error:  # whatever it is, it is raised in the node's thread
            self.error = error
