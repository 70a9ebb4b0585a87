"""Dynamic batching: rows of different callers that are under way at once share a run of the engine.

A caller's own thread does the work: whoever waits longest leads, lets others join for as long as
the settings allow, and answers all of them with one run. While it runs, the next ones gather.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from time import perf_counter

from gnomon.runtime.errors import GnomonError, Overloaded
from gnomon.runtime.packages.manifest import Batching
from gnomon.runtime.predicting.batch_execution import Answer, Ask

#: Calls that may wait for their turn; one more is refused.
WAITING_LIMIT = 1_024


class _Call:
    """A row that waits for its answer."""

    __slots__ = ("answer", "ask", "since", "wake")

    def __init__(self, ask: Ask) -> None:
        self.ask = ask
        self.since = perf_counter()
        self.answer: Answer | None = None
        self.wake = threading.Event()


class Batcher:
    """Gathers the calls of one route. Threads call `ask`, and wait in it.

    `answer` answers many rows in order and may raise; `runs` of them may be under way at once.
    """

    def __init__(
        self,
        batching: Batching,
        answer: Callable[[Sequence[Ask]], list[Answer]],
        *,
        runs: int = 1,
        waiting_limit: int = WAITING_LIMIT,
    ) -> None:
        self.batching = batching
        self._waiting_limit = waiting_limit
        self._answer = answer
        self._runs = runs
        self._under_way = 0
        self._lock = threading.Lock()
        self._waiting: deque[_Call] = deque()

    def ask(self, ask: Ask) -> Answer:
        """Return what became of a row.

        Raises:
            Overloaded: too many are waiting.
        """
        call = _Call(ask)
        with self._lock:
            if len(self._waiting) >= self._waiting_limit:
                raise Overloaded(
                    f"{self._waiting_limit} calls wait to be gathered already; try again later"
                )
            self._waiting.append(call)
            if len(self._waiting) == self.batching.max_rows:
                self._waiting[0].wake.set()
        while call.answer is None:
            if self._leads(call):
                self._run(self._gather(call))
            else:
                call.wake.wait()
                call.wake.clear()
        return call.answer

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
        """Answer the calls; what goes wrong with all of them is told to each."""
        answers: Sequence[Answer]
        try:
            answers = self._answer([call.ask for call in calls])
        except GnomonError as error:
            answers = [error] * len(calls)
        except BaseException:
            answers = [GnomonError("a gathered run failed")] * len(calls)
            raise
        finally:
            with self._lock:
                self._under_way -= 1
                self._wake_next()
            for call, answer in zip(calls, answers, strict=True):
                call.answer = answer
                call.wake.set()

    def _wake_next(self) -> None:
        if self._waiting:
            self._waiting[0].wake.set()
