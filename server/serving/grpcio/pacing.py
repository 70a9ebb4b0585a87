"""Where a prediction runs: on the event loop where it is quick, else on a thread beside it.

Slow models have threads of their own, so that others never stand in line behind them.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Answer = TypeVar("Answer")

#: A request of a model that usually takes less may run on the event loop, if it is this small:
#: handing it to a thread and back costs about as much as the answer.
_QUICK_SECONDS = 0.001
_SMALL_BYTES = 4_096
#: A model that usually takes longer is slow.
_SLOW_SECONDS = 0.005
_SMOOTHING = 0.1


class Pacer:
    """Runs the calls of one event loop; those of models that `waits` names never on it."""

    def __init__(self, threads: int, waits: Callable[[str], bool] = lambda model: False) -> None:
        self._waits = waits
        self._seconds: dict[str, float] = {}
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="predict")
        self._slow_pool = ThreadPoolExecutor(threads, thread_name_prefix="predict-slow")

    async def run(self, model: str, size: int, call: Callable[[], Answer]) -> Answer:
        """Run a call whose request has `size` bytes, and learn how long the model takes."""
        usual = self._seconds.get(model, _QUICK_SECONDS)
        if usual < _QUICK_SECONDS and size < _SMALL_BYTES and not self._waits(model):
            return self._timed(model, call)
        loop = asyncio.get_running_loop()
        pool = self._slow_pool if usual > _SLOW_SECONDS else self._pool
        return await loop.run_in_executor(pool, self._timed, model, call)

    def close(self) -> None:
        """Begin nothing more."""
        for pool in (self._pool, self._slow_pool):
            pool.shutdown(wait=False, cancel_futures=True)

    def _timed(self, model: str, call: Callable[[], Answer]) -> Answer:
        started = time.perf_counter()
        answer = call()
        took = time.perf_counter() - started
        usual = self._seconds.get(model, took)
        self._seconds[model] = usual + _SMOOTHING * (took - usual)
        return answer
