"""One call along one target: answer, fall back, count, ask the shadows.

Nothing is counted where `EngineClosed` is raised, since the call is then made again.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from time import perf_counter_ns
from typing import Any, TypeVar

from gnomon.core.window import ANSWERED_CODE, FAILED_CODE, FALLBACK_CODE
from gnomon.runtime.engines import EngineClosed
from gnomon.runtime.errors import GnomonError
from gnomon.runtime.models.model import BatchResult, Model, RowScratch
from gnomon.runtime.predicting.fallback_chain import FallbackResult
from gnomon.runtime.predicting.served_routes import RouteTarget
from gnomon.runtime.predicting.shadows import ShadowQueue
from gnomon.runtime.prediction import Prediction, Predictions
from gnomon.runtime.recording import counting
from gnomon.runtime.recording.series import CallOutcome, WindowSeries
from gnomon.runtime.routing import routes

#: What a caller is told: one answer, or those of many rows.
Told = TypeVar("Told", Prediction, Predictions)


def ask_row(
    target: RouteTarget,
    shadows: ShadowQueue,
    row: Mapping[str, Any],
    request_id: str,
    at: datetime | float | None,
    started: int,
) -> Prediction:
    """Answer and count one row; arguments and errors as `Runtime.predict`.

    `started` is the `perf_counter_ns` of the call.
    """
    model, series = target.model, target.series
    timestamp = counting.timestamp_of(series, at, request_id, started)
    work = model.acquire()
    try:
        model.answer_row(row, work)
        prediction = _prediction(model, work, request_id, started)
        code = work.code
        if prediction is None and code == FAILED_CODE and target.fallbacks:
            prediction = _fall_back(target, row, work, request_id, started)
            code = FALLBACK_CODE if prediction is not None else code
        latency = prediction.latency_ns if prediction is not None else perf_counter_ns() - started
        counting.count_row(model, series, work, CallOutcome(code, latency, timestamp, request_id))
        error = work.error
    finally:
        model.release(work)
    if target.shadows:
        ask_shadows(
            target, shadows, request_id, partial(shadow_row, dict(row), timestamp, request_id)
        )
    if prediction is None:
        raise _raised(error)
    return prediction


def ask_columns(
    target: RouteTarget,
    shadows: ShadowQueue,
    columns: Mapping[str, Any],
    request_id: str,
    at: datetime | float | None,
    started: int,
) -> Predictions:
    """Answer and count many rows; arguments and errors as `Runtime.predict_columns`."""
    rows = counting.rows_of(columns)
    timestamp = counting.timestamp_of(target.series, at, request_id, started, max(rows, 1))
    batch = target.model.answer_columns(columns)
    fallback_result = _stand_in(target, columns, batch)
    code = batch.code if fallback_result is None else FALLBACK_CODE
    latency = perf_counter_ns() - started
    outcome = CallOutcome(code, latency, timestamp, request_id)
    counting.count_columns(target.model, target.series, columns, batch, outcome)
    if target.shadows:
        ask_shadows(
            target, shadows, request_id, partial(_shadow_columns, columns, timestamp, request_id)
        )
    if fallback_result is not None:
        return _told(Predictions, fallback_result, batch.error, request_id, latency, rows=rows)
    if batch.error is not None:
        raise _raised(batch.error)
    return _predictions(target.model, batch, request_id, latency, rows)


def _prediction(model: Model, work: RowScratch, request_id: str, started: int) -> Prediction | None:
    """Return the answer in a workspace, or None where there is none."""
    if work.code != ANSWERED_CODE:
        return None
    return Prediction(
        work.outputs,
        model.name,
        model.version,
        model.digest,
        request_id,
        ()
        if work.violations is None and work.output_violations is None
        else counting.described(work.violations, work.output_violations),
        None,
        perf_counter_ns() - started,
    )


def _predictions(
    model: Model, batch: BatchResult, request_id: str, latency: int, rows: int
) -> Predictions:
    return Predictions(
        batch.outputs,
        model.name,
        model.version,
        model.digest,
        request_id,
        counting.described(batch.violations, batch.output_violations),
        None,
        latency,
        rows,
    )


def _fall_back(
    target: RouteTarget, row: Mapping[str, Any], work: RowScratch, request_id: str, started: int
) -> Prediction | None:
    """Return the answer of the first fallback that has one, or None."""
    found = (one.row(row, work.inputs) for one in target.fallbacks)
    fallback_result = next((one for one in found if one is not None), None)
    if fallback_result is None:
        return None
    return _told(Prediction, fallback_result, work.error, request_id, perf_counter_ns() - started)


def _stand_in(
    target: RouteTarget, columns: Mapping[str, Any], batch: BatchResult
) -> FallbackResult | None:
    """Return the answers of the first fallback that has them, where the target has failed."""
    inputs = batch.input_columns
    if batch.code != FAILED_CODE or inputs is None:
        return None
    found = (one.columns(columns, inputs) for one in target.fallbacks)
    return next((one for one in found if one is not None), None)


def _told(
    kind: type[Told],
    fallback_result: FallbackResult,
    error: GnomonError | None,
    request_id: str,
    latency: int,
    **more: Any,
) -> Told:
    """Return a fallback's answer for the caller, with who gave it and why."""
    model = fallback_result.model
    return kind(
        outputs=fallback_result.outputs,
        model=model.name,
        version=model.version,
        digest=model.digest,
        request_id=request_id,
        violations=fallback_result.violations,
        fallback=str(error),
        latency_ns=latency,
        fallback_by=fallback_result.by,
        **more,
    )


def _raised(error: GnomonError | None) -> GnomonError:
    """Return what is to be raised for a call without an answer."""
    return error if error is not None else GnomonError("a call ended with neither answer nor error")


def ask_shadows(
    target: RouteTarget,
    shadows: ShadowQueue,
    request_id: str,
    ask: Callable[[Model, WindowSeries], None],
) -> None:
    """Let those of the target's shadows that a request is chosen for be asked too."""
    for digest in routes.choose_shadows(target.route, request_id):
        model, series = target.shadows[digest]
        shadows.submit(partial(ask, model, series))


def shadow_row(
    row: Mapping[str, Any], timestamp: float, request_id: str, model: Model, series: WindowSeries
) -> None:
    """Ask a shadow for one row, and count what became of it."""
    started = perf_counter_ns()
    work = model.acquire()
    try:
        model.answer_row(row, work)
        outcome = CallOutcome(work.code, perf_counter_ns() - started, timestamp, request_id)
        counting.count_row(model, series, work, outcome)
    except EngineClosed:
        return
    finally:
        model.release(work)


def shadow_columns(
    target: RouteTarget, columns: Mapping[str, Any], timestamp: float, request_id: str
) -> None:
    """Ask those of the target's shadows that a request is chosen for, at once."""
    for digest in routes.choose_shadows(target.route, request_id):
        _shadow_columns(columns, timestamp, request_id, *target.shadows[digest])


def _shadow_columns(
    columns: Mapping[str, Any],
    timestamp: float,
    request_id: str,
    model: Model,
    series: WindowSeries,
) -> None:
    started = perf_counter_ns()
    try:
        batch = model.answer_columns(columns)
    except EngineClosed:
        return
    outcome = CallOutcome(batch.code, perf_counter_ns() - started, timestamp, request_id)
    counting.count_columns(model, series, columns, batch, outcome)
