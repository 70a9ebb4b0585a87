"""Selects where a prediction runs: on the event loop if it is quick, else on a thread.

Slow models have their own threads, so that calls of other models never wait for them.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from gnomon.runtime.runtime import Runtime
from gnomon.server.serving.call_timer import CallTimer

Answer = TypeVar("Answer")

#: A request of a quick model may run on the event loop if it has fewer bytes: handing it to a
#: thread and back costs about as much as the answer.
_SMALL_BYTES = 4_096


class ExecutorSelector:
    """Runs the calls of one event loop; those of routes that gather rows never on it."""

    def __init__(self, threads: int, runtime: Runtime) -> None:
        self._waits = runtime.gathers
        self._timer = CallTimer(runtime.works_in_caller)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="predict")
        self._slow_pool = ThreadPoolExecutor(threads, thread_name_prefix="predict-slow")

    async def run(self, model: str, size: int, call: Callable[[], Answer]) -> Answer:
        """Run a call whose request has `size` bytes, and update the model's estimate."""
        timer = self._timer
        if timer.is_quick(model) and size < _SMALL_BYTES and not self._waits(model):
            return timer.timed(model, call)
        loop = asyncio.get_running_loop()
        pool = self._slow_pool if timer.is_slow(model) else self._pool
        return await loop.run_in_executor(pool, timer.timed, model, call)

    def close(self) -> None:
        """Begin nothing more."""
        for pool in (self._pool, self._slow_pool):
            pool.shutdown(wait=False, cancel_futures=True)
