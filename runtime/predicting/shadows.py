"""The queue of shadow calls. Shadows run after the answer; their outputs go to no client.

They must never slow or fail a call: a bounded queue and one thread; when the queue is full, a
shadow's call is the first thing to go, and is counted.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable

logger = logging.getLogger("gnomon.runtime")

QUEUE_LIMIT = 1_000


class ShadowQueue:
    """Runs jobs one after the other on a thread of its own, started with the first of them."""

    def __init__(self) -> None:
        self._jobs: queue.Queue[Callable[[], None] | None] = queue.Queue(QUEUE_LIMIT)
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self.dropped = 0

    def submit(self, job: Callable[[], None]) -> None:
        """Run a job later, or drop it."""
        if self._thread is None:
            self._start()
        try:
            self._jobs.put_nowait(job)
        except queue.Full:
            with self._lock:
                self.dropped += 1

    def count_dropped(self, jobs: int) -> None:
        """Count jobs that were dropped before they came here."""
        with self._lock:
            self.dropped += jobs

    def wait(self, seconds: float) -> bool:
        """Wait at most `seconds` until all jobs are done; return whether they are."""
        until = time.monotonic() + seconds
        while self._jobs.unfinished_tasks:
            if time.monotonic() > until:
                return False
            time.sleep(0.001)
        return True

    def stop(self) -> None:
        """Drop what waits and end the thread; a second call does nothing."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is None:
            return
        with_room = False
        while not with_room:
            try:
                self._jobs.put_nowait(None)
                with_room = True
            except queue.Full:
                self._drop_one()
        thread.join(timeout=10)

    def _drop_one(self) -> None:
        try:
            self._jobs.get_nowait()
        except queue.Empty:
            return
        self._jobs.task_done()
        with self._lock:
            self.dropped += 1

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._work, name="gnomon-shadows", daemon=True
                )
                self._thread.start()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job()
            except Exception:
                logger.exception("a shadow failed")
            finally:
                self._jobs.task_done()
        self._jobs.task_done()
