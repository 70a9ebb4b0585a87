"""The consumer: read, answer, write, commit, in this order and no other.

A record is committed only once its answer is durable. Whoever kills the process in between has the
last micro-batch answered twice, and nothing lost.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from gnomon.edge.backoff import Backoff
from gnomon.runtime.errors import NotReady, UnknownModel
from gnomon.server.streams.connectors import AnswerSink, Record, RecordSource, Unavailable
from gnomon.server.streams.scoring import RecordAnswer, Scorer

_log = logging.getLogger(__name__)

#: How long one reading waits, so that a stop is heeded soon.
_READ_SECONDS = 0.25
#: Where a broker or the model is away: the first pause, and the longest.
_PAUSES_SECONDS = (0.1, 5.0)

Result = TypeVar("Result")


@dataclass
class StreamCounts:
    """What a consumer has done so far: records by what became of them, and micro-batches."""

    answered: int = 0
    refused: int = 0
    batches: int = 0


class Consumer:
    """Consumes one source until it ends, or `stop` is called: by any thread or signal handler."""

    def __init__(
        self,
        source: RecordSource,
        scorer: Scorer,
        answers: AnswerSink,
        refusals: AnswerSink,
        *,
        max_rows: int,
        max_delay_seconds: float,
    ) -> None:
        self._source = source
        self._scorer = scorer
        self._answers = answers
        self._refusals = refusals
        self._max_rows = max_rows
        self._max_delay_seconds = max_delay_seconds
        # No event: a signal handler that sets one can meet its own thread holding its lock.
        self._is_stopped = False
        self._backoff = Backoff(*_PAUSES_SECONDS)
        self.counts = StreamCounts()

    def stop(self) -> None:
        """End after the micro-batch under way."""
        self._is_stopped = True

    def run(self) -> StreamCounts:
        """Consume.

        Raises:
            StorageError: a disk failed; what was not committed is read again by the next.
        """
        while not self._is_stopped and not self._source.ended:
            records = self._insist(self._gather) or []
            if records:
                self._consume(records)
        return self.counts

    def _gather(self) -> list[Record]:
        """Return a micro-batch: full, or as much as came within the delay after the first."""
        records = self._source.read(self._max_rows, _READ_SECONDS)
        until = time.monotonic() + self._max_delay_seconds
        while records and len(records) < self._max_rows and not self._source.ended:
            left = until - time.monotonic()
            if left <= 0:
                break
            try:
                records += self._source.read(self._max_rows - len(records), left)
            except Unavailable:
                # What was read must be answered: the next commit is for all of it.
                break
        return records

    def _consume(self, records: list[Record]) -> None:
        answered = self._insist(lambda: self._scorer.answer(self._source.name, records))
        if answered is None or not self._write(answered):
            return
        try:
            self._source.commit()
        except Unavailable as error:
            _log.warning("records may come again: they could not be committed (%s)", error)
        self.counts.batches += 1
        for one in answered:
            self.counts.refused += one.is_refused
            self.counts.answered += not one.is_refused

    def _write(self, answered: list[RecordAnswer]) -> bool:
        """Write all answers and return True, or False where a stop came first."""
        good: list[tuple[str, bytes]] = []
        bad: list[tuple[str, bytes]] = []
        for one in answered:
            place = bad if one.is_refused and self._refusals is not self._answers else good
            place.append((one.identity, one.data))
        for sink, answers in ((self._answers, good), (self._refusals, bad)):
            if answers and self._insist(partial(_written, sink, answers)) is None:
                return False
        return True

    def _insist(self, step: Callable[[], Result]) -> Result | None:
        """Return a step's result, trying again as long as it takes; None where a stop came."""
        told = False
        while True:
            try:
                result = step()
            except (Unavailable, UnknownModel, NotReady) as error:
                if self._is_stopped:
                    return None
                if not told:
                    _log.warning("the stream waits: %s", error)
                told = True
                self._pause(self._backoff.failed())
            else:
                self._backoff.succeeded()
                return result

    def _pause(self, seconds: float) -> None:
        """Wait so long, or until a stop."""
        until = time.monotonic() + seconds
        while not self._is_stopped and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, _READ_SECONDS))


def _written(sink: AnswerSink, answers: Sequence[tuple[str, bytes]]) -> bool:
    sink.write(answers)
    return True
