"""Dynamic batching: rows of different callers that are under way at once share a run of the engine.

A caller's own thread does the work: the one that has waited longest leads, lets others join for as
long as the settings allow, and answers all of them with one run. Meanwhile the next ones gather.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from time import perf_counter

from gnomon.runtime.errors import GnomonError, Overloaded
from gnomon.runtime.packages.manifest import Batching
from gnomon.runtime.predicting.execution import RowOutcome
from gnomon.runtime.prediction import PredictRequest

#: Calls that may wait for their turn; one more is refused.
WAITING_LIMIT = 1_024


class _Call:
    """A row that waits for its answer."""

    __slots__ = ("outcome", "request", "since", "wake")

    def __init__(self, request: PredictRequest) -> None:
        self.request = request
        self.since = perf_counter()
        self.outcome: RowOutcome | None = None
        self.wake = threading.Event()


class Batcher:
    """Gathers the calls of one route. Threads call `execute`, and wait in it.

    `execute` answers many rows in order and may raise; `runs` of them may be under way at once.
    """

    def __init__(
        self,
        batching: Batching,
        execute: Callable[[Sequence[PredictRequest]], list[RowOutcome]],
        *,
        runs: int = 1,
        waiting_limit: int = WAITING_LIMIT,
    ) -> None:
        self.batching = batching
        self._waiting_limit = waiting_limit
        self._execute = execute
        self._runs = runs
        self._under_way = 0
        self._lock = threading.Lock()
        self._waiting: deque[_Call] = deque()

    def execute(self, request: PredictRequest) -> RowOutcome:
        """Return what became of a row.

        Raises:
            Overloaded: too many are waiting.
        """
        call = _Call(request)
        with self._lock:
            if len(self._waiting) >= self._waiting_limit:
                raise Overloaded(
                    f"{self._waiting_limit} calls wait to be gathered already; try again later"
                )
            self._waiting.append(call)
            if len(self._waiting) == self.batching.max_rows:
                self._waiting[0].wake.set()
        while call.outcome is None:
            if self._leads(call):
                self._run(self._gather(call))
            else:
                call.wake.wait()
                call.wake.clear()
        return call.outcome

    def _leads(self, call: _Call) -> bool:
        with self._lock:
            leads = (
                self._under_way < self._runs and bool(self._waiting) and self._waiting[0] is call
            )
            self._under_way += leads
            return leads

    def _gather(self, first: _Call) -> list[_Call]:
        """Wait until there are enough or it has been long enough; take them, the oldest first."""
        until = first.since + self.batching.max_delay_seconds
        while True:
            first.wake.clear()
            with self._lock:
                left = until - perf_counter()
                if len(self._waiting) >= self.batching.max_rows or left <= 0:
                    count = min(len(self._waiting), self.batching.max_rows)
                    taken = [self._waiting.popleft() for _ in range(count)]
                    self._wake_next()
                    return taken
            first.wake.wait(left)

    def _run(self, calls: Sequence[_Call]) -> None:
        """Answer the calls; an error of the run is the outcome of each."""
        outcomes: Sequence[RowOutcome]
        try:
            outcomes = self._execute([call.request for call in calls])
        except GnomonError as error:
            outcomes = [error] * len(calls)
        except BaseException:
            outcomes = [GnomonError("a gathered run failed")] * len(calls)
            raise
        finally:
            with self._lock:
                self._under_way -= 1
                self._wake_next()
            for call, outcome in zip(calls, outcomes, strict=True):
                call.outcome = outcome
                call.wake.set()

    def _wake_next(self) -> None:
        if self._waiting:
            self._waiting[0].wake.set()
