"""The consumer: read, answer, write, commit, always in this order.

A record is committed only once its answer is durable. If the process is killed in between, the last
micro-batch is answered twice, and nothing is lost.
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

#: Longest wait of one read in seconds, so that a stop takes effect soon.
_READ_SECONDS = 0.25
#: First and longest pause while a broker or the model is unavailable.
_PAUSES_SECONDS = (0.1, 5.0)

Result = TypeVar("Result")


@dataclass
class StreamCounts:
    """Records by outcome, and micro-batches, of a consumer so far."""

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
        # Not an event: a signal handler that sets one may deadlock on its own thread's lock.
        self._is_stopped = False
        self._backoff = Backoff(*_PAUSES_SECONDS)
        self.counts = StreamCounts()

    def stop(self) -> None:
        """End after the current micro-batch."""
        self._is_stopped = True

    def run(self) -> StreamCounts:
        """Consume.

        Raises:
            StorageError: a disk failed; the next consumer reads again what was not committed.
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
                # The records read so far must be answered: the next commit covers them.
                break
        return records

    def _consume(self, records: list[Record]) -> None:
        answered = self._insist(lambda: self._scorer.answer(self._source.name, records))
        if answered is None or not self._write(answered):
            return
        try:
            self._source.commit()
        except Unavailable as error:
            _log.warning("commit failed; records may be read again: %s", error)
        self.counts.batches += 1
        for one in answered:
            self.counts.refused += one.is_refused
            self.counts.answered += not one.is_refused

    def _write(self, answered: list[RecordAnswer]) -> bool:
        """Write all answers and return True; False if a stop came first."""
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
        """Return a step's result, retried until it succeeds; None after a stop."""
        is_logged = False
        while True:
            try:
                result = step()
            except (Unavailable, UnknownModel, NotReady) as error:
                if self._is_stopped:
                    return None
                if not is_logged:
                    _log.warning("waiting for broker or model; retrying: %s", error)
                is_logged = True
                self._pause(self._backoff.failed())
            else:
                self._backoff.succeeded()
                return result

    def _pause(self, seconds: float) -> None:
        """Wait, at most until a stop."""
        until = time.monotonic() + seconds
        while not self._is_stopped and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, _READ_SECONDS))


def _written(sink: AnswerSink, answers: Sequence[tuple[str, bytes]]) -> bool:
    sink.write(answers)
    return True
