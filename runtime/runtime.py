"""The runtime: the packages of this process, and the only path to a prediction.

contract (inputs) → engine → contract (outputs) → window. Rejections, failures and fallbacks are
counted as exactly as answers.
"""

import itertools
import random
import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from time import perf_counter_ns
from typing import Any, TypeVar

from msgspec.structs import replace

from gnomon.runtime.engines import EngineClosed
from gnomon.runtime.errors import GnomonError
from gnomon.runtime.predicting.batch_execution import execute_rows
from gnomon.runtime.predicting.execution import RowOutcome, execute_columns, execute_row
from gnomon.runtime.predicting.served_routes import (
    RouteTarget,
)
from gnomon.runtime.predicting.shadow_execution import run_shadows
from gnomon.runtime.predicting.shadows import ShadowQueue
from gnomon.runtime.prediction import Prediction, Predictions, PredictRequest
from gnomon.runtime.recording.recorder import Recorder
from gnomon.runtime.recording.series_records import SeriesKey
from gnomon.runtime.recording.series_totals import SeriesTotals
from gnomon.runtime.recording.sink import TelemetrySink
from gnomon.runtime.recording.transcripts import Transcripts, TranscriptSink
from gnomon.runtime.route_service import RouteService
from gnomon.runtime.routing.routes import WEIGHT_TOTAL
from gnomon.runtime.sleeping import Sleeper

Outcome = TypeVar("Outcome")

#: How long `flush` waits for shadows, in seconds.
SHADOWS_SECONDS = 5.0


class Runtime(RouteService):
    """Answers on the routes that its packages are in service on. Threads may share it.

    Args:
        sink: Takes the telemetry.
        checkpoint_seconds: After this time an open window goes to the sink even if its interval has
            not ended, so that a crash loses little.
        idle_unload_seconds: The engines of a route without calls for this time are released until
            the next call, which loads them again; 0: never.
        memory_budget_bytes: What all models together may take; 0: no limit.
        transcripts: Keeps what packages allow to be recorded of requests and answers.
    """

    def __init__(
        self,
        sink: TelemetrySink,
        *,
        checkpoint_seconds: float = 10.0,
        idle_unload_seconds: float = 0.0,
        memory_budget_bytes: int = 0,
        transcripts: TranscriptSink | None = None,
    ) -> None:
        super().__init__(
            Recorder(sink, checkpoint_seconds),
            memory_budget_bytes=memory_budget_bytes,
            keeps_transcripts=transcripts is not None,
        )
        self._shadows = ShadowQueue()
        self._transcripts = Transcripts(transcripts) if transcripts is not None else None
        self._prefix = secrets.token_hex(6)
        self._counter = itertools.count(1)
        self._sleeper = Sleeper(self, idle_unload_seconds) if idle_unload_seconds else None

    def series_totals(self) -> Mapping[SeriesKey, SeriesTotals]:
        """Return what each package has counted so far on each route, as a target or a shadow."""
        return self._recorder.series_totals()

    @property
    def dropped(self) -> int:
        """Return how many samples, transcripts and shadow calls were dropped; no count ever is."""
        transcripts = self._transcripts.dropped if self._transcripts is not None else 0
        return self._recorder.dropped_samples + self._shadows.dropped + transcripts

    def predict(
        self,
        route: str,
        row: Mapping[str, Any],
        *,
        request_id: str | None = None,
        key: str | None = None,
        at: datetime | float | None = None,
        version: str = "",
        bucket: int | None = None,
    ) -> Prediction:
        """Answer one row.

        Args:
            route: the public model name.
            row: value by field; text for a category; None or NaN is missing.
            request_id: what labels will be joined by; made here if None.
            key: whose answers stick to one target (a customer); None: by chance.
            at: the data's own time, epoch seconds or datetime (naive: UTC); None: now.
            version: which of the route's versions is to answer; empty: as the route has it.
            bucket: the call's traffic bucket, 0 to 999, if a frontend has chosen one already.

        Raises:
            UnknownModel: there is no such route, or no such version on it.
            InvalidInput: the row breaks the contract; `details` has an entry a violation.
            Overloaded: too many rows wait to be gathered with others.
            EngineError: the engine failed, and no fallback of the route could answer.
            InvalidOutput: the answer breaks its contract, and no fallback could answer.
            NotReady: the runtime is closed.
        """
        started = perf_counter_ns()
        request_id = self._identity() if request_id is None else str(request_id)
        request = PredictRequest(row, request_id, key, at, version, bucket, started)
        batcher = self._table.batchers.get(route)
        if batcher is None or version or bucket is not None:
            outcome = self._execute_row(route, request)
        else:
            outcome = batcher.execute(request)
        if isinstance(outcome, GnomonError):
            raise outcome
        return outcome

    def predict_columns(
        self,
        route: str,
        columns: Mapping[str, Any],
        *,
        request_id: str | None = None,
        key: str | None = None,
        at: datetime | float | None = None,
        version: str = "",
        bucket: int | None = None,
        is_divisible: bool = False,
    ) -> Predictions:
        """Answer many rows; one bad row refuses the request.

        A request without rows raises `InvalidInput` and counts as one refused row.

        Args:
            route: the public model name.
            columns: field → values of all rows. A scalar field is `(N,)` or `(N, 1)`; a category is
                an object or string array, or a list.
            request_id: what labels will be joined by; made here if None.
            key: whose answers stick to one target (a customer); None: by chance.
            at: the data's own time, epoch seconds or datetime (naive: UTC); None: now.
            version: which of the route's versions is to answer; empty: as the route has it.
            bucket: the call's traffic bucket, 0 to 999, if a frontend has chosen one already.
            is_divisible: whether the caller asks for the rows one by one if one has no answer.

        Raises:
            GnomonError: as `predict`.
            RowsDiffer: a row of a divisible request has no answer; none has been counted.
        """
        started = perf_counter_ns()
        request_id = self._identity() if request_id is None else str(request_id)
        request = PredictRequest(
            columns, request_id, key, at, version, bucket, started, is_divisible
        )
        outcome = self._execute(execute_columns, route, request)
        if isinstance(outcome, GnomonError):
            raise outcome
        model = self.models.get(outcome.digest)
        if self._transcripts is not None and model is not None:
            self._transcripts.columns(model, route, columns, at, outcome)
        return outcome

    def predict_rows(self, route: str, requests: Sequence[PredictRequest]) -> list[RowOutcome]:
        """Answer rows that have nothing to do with each other, with as few runs as there can be.

        Returns for each row what `predict` returns or raises for it; each is counted as it became.

        Raises:
            UnknownModel: there is no such route.
            NotReady: the runtime is closed.
        """
        served = self._table.served

        def target_of(request: PredictRequest) -> RouteTarget:
            return self._find_target(served, route, request.key, request.version, request.bucket)

        def execute_alone(request: PredictRequest) -> RowOutcome:
            try:
                return self._execute_row(route, request)
            except GnomonError as error:
                return error

        # A bucket is chosen once: a row that is executed alone stays where it was when grouped.
        with_buckets = [replace(one, bucket=random.randrange(WEIGHT_TOTAL)) for one in requests]  # noqa: S311
        on_answer = partial(self._write_down, route)
        return execute_rows(with_buckets, target_of, self._shadows, execute_alone, on_answer)

    def run_shadows(
        self, route: str, columns: Mapping[str, Any], *, request_id: str, at: float
    ) -> None:
        """Run the shadows of a call that a frontend has answered and counted by itself.

        They run in this thread. A route that is gone has no shadows.

        Args:
            route: the route's name.
            columns: field → values of all rows.
            request_id: decides, by its hash, which shadows receive the call.
            at: the data's time, in epoch seconds.
        """
        served = self._table.served.get(route)
        if served is not None:
            run_shadows(next(iter(served.targets.values())), columns, at, request_id)

    def count_dropped_shadows(self, calls: int) -> None:
        """Count shadow calls that a frontend had to drop."""
        self._shadows.count_dropped(calls)

    def flush(self) -> None:
        """Close all open windows and batches and hand them to the sink.

        Raises:
            StorageError: the sink cannot take them; they are kept and offered again.
        """
        self._shadows.wait(SHADOWS_SECONDS)
        if self._transcripts is not None:
            self._transcripts.flush()
        self._recorder.flush()

    def close(self) -> None:
        """Stop answering, flush, and close all models; a second call does nothing."""
        with self._control:
            if self._closed:
                return
            self._closed = True
            self._table.replace([])
        if self._sleeper is not None:
            self._sleeper.stop()
        self._shadows.stop()
        if self._transcripts is not None:
            self._transcripts.stop()
        try:
            self._recorder.stop()
        finally:
            self._store.close()

    def _execute_row(self, route: str, request: PredictRequest) -> RowOutcome:
        """Execute one row by itself; raises as `predict`, apart from what its outcome tells."""
        if not request.started_ns:
            request = replace(request, started_ns=perf_counter_ns())
        outcome = self._execute(execute_row, route, request)
        if isinstance(outcome, Prediction):
            self._write_down(route, request, outcome)
        return outcome

    def _execute(
        self,
        execute: Callable[[RouteTarget, ShadowQueue, PredictRequest], Outcome],
        route: str,
        request: PredictRequest,
    ) -> Outcome:
        while True:
            served = self._table.served
            target = self._find_target(served, route, request.key, request.version, request.bucket)
            try:
                return execute(target, self._shadows, request)
            except EngineClosed:
                # Unloaded between look-up and call: there are new routes to look at.
                if served is self._table.served and not self._wake(route, served):
                    raise

    def _write_down(self, route: str, request: PredictRequest, answer: Prediction) -> None:
        """Let a transcript be made of an answered row, if that is wanted and allowed."""
        model = self.models.get(answer.digest) if self._transcripts is not None else None
        if self._transcripts is not None and model is not None:
            self._transcripts.row(model, route, request.inputs, request.at, answer)

    def _identity(self) -> str:
        return f"{self._prefix}-{next(self._counter):x}"
