"""A thread pool for calls of slow models, so that no quick call waits for them."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from gnomon.runtime.errors import Overloaded
from gnomon.server.serving.call_timer import CallTimer

#: Most calls that may wait for a thread; one more is rejected.
WAITING_LIMIT = 1_024


class OffloadPool:
    """Runs calls of slow models on its own threads. Threads may share it."""

    def __init__(self, threads: int, timer: CallTimer, waiting_limit: int = WAITING_LIMIT) -> None:
        self._timer = timer
        self._limit = threads + waiting_limit
        self._under_way = 0
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="slow-calls")

    def is_slow(self, model: str) -> bool:
        """Whether calls of a model usually take long."""
        return self._timer.is_slow(model)

    def timed(self, model: str, call: Callable[[], None]) -> None:
        """Make a call, and update the model's estimate."""
        self._timer.timed(model, call)

    def put(self, model: str, call: Callable[[], None]) -> None:
        """Submit a call to a thread of the pool; it must not raise.

        Raises:
            Overloaded: too many are waiting.
        """
        with self._lock:
            if self._under_way >= self._limit:
                raise Overloaded(
                    f"model {model[:80]!r} is slow, and {self._limit} calls of slow models are "
                    "under way already; try again later"
                )
            self._under_way += 1
        self._pool.submit(self._run, model, call)

    def close(self) -> None:
        """Accept no more calls; submitted ones are still answered."""
        self._pool.shutdown(wait=False)

    def _run(self, model: str, call: Callable[[], None]) -> None:
        try:
            self.timed(model, call)
        finally:
            with self._lock:
                self._under_way -= 1
