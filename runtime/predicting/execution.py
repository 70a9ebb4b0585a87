"""One call to one target: answer, fall back, count, submit to the shadows.

Nothing is counted if `EngineClosed` is raised, since the call is then made again.
"""

from collections.abc import Iterable
from functools import partial
from time import perf_counter_ns
from typing import Any, ClassVar

import msgspec

from gnomon.core.contract.violations import Violation
from gnomon.core.window import ANSWERED_CODE, FALLBACK_CODE
from gnomon.runtime.errors import GnomonError
from gnomon.runtime.models.model import Model
from gnomon.runtime.models.results import ColumnsResult, Failure, ModelAnswer, RowResult
from gnomon.runtime.predicting.fallback_chain import FallbackResult
from gnomon.runtime.predicting.served_routes import RouteTarget
from gnomon.runtime.predicting.shadow_execution import (
    shadow_columns,
    shadow_row,
    submit_to_shadows,
)
from gnomon.runtime.predicting.shadows import ShadowQueue
from gnomon.runtime.prediction import Prediction, Predictions, PredictRequest
from gnomon.runtime.recording import counting
from gnomon.runtime.recording.series_records import CallOutcome


class RowsDiffer(GnomonError):
    """Not all rows of a divisible request can be answered together; none has been counted."""


#: What becomes of one row: its prediction, or why it has none.
RowOutcome = Prediction | GnomonError
#: What becomes of the rows of one request.
ColumnsOutcome = Predictions | GnomonError

_Fields = tuple[dict[str, Any], str, str, str, str, tuple[Violation, ...], str, int]


class FallbackAnswer(msgspec.Struct, frozen=True):
    """A fallback's answer, and the target's error that it answers for."""

    result: FallbackResult
    error: GnomonError

    code: ClassVar[int] = FALLBACK_CODE


def execute_row(target: RouteTarget, shadows: ShadowQueue, request: PredictRequest) -> RowOutcome:
    """Answer and count one row.

    Raises:
        EngineClosed: the model was unloaded meanwhile.
        InvalidInput: the request's time or identity cannot be kept.
    """
    model, series = target.model, target.series
    timestamp = counting.timestamp_of(series, request)
    scratch = model.acquire()
    try:
        result = model.answer_row(request.inputs, scratch)
        answer: RowResult | FallbackAnswer = result
        if target.fallbacks and isinstance(result, Failure):
            found = (one.row(request.inputs, result.inputs) for one in target.fallbacks)
            answer = _first_answer(found, result.error) or result
        latency = perf_counter_ns() - request.started_ns
        call = CallOutcome(answer.code, latency, timestamp, request.request_id)
        counting.count_row(model, series, result, call)
        # Violations are described while the buffers that they point into are ours.
        outcome = _row_outcome(model, answer, request, latency)
    finally:
        model.release(scratch)
    if target.shadows:
        job = partial(shadow_row, dict(request.inputs), timestamp, request.request_id)
        submit_to_shadows(target, shadows, request.request_id, job)
    return outcome


def execute_columns(
    target: RouteTarget, shadows: ShadowQueue, request: PredictRequest
) -> ColumnsOutcome:
    """Answer and count many rows; raises as `execute_row`.

    A divisible request with a row that has no answer gives `RowsDiffer`, and counts nothing.
    """
    model, columns = target.model, request.inputs
    rows = counting.rows_of(columns)
    timestamp = counting.timestamp_of(target.series, request, max(rows, 1))
    result = model.answer_columns(columns)
    if request.is_divisible and result.inputs is not None and result.code != ANSWERED_CODE:
        return RowsDiffer(f"{model.reference}: not all rows can be answered together")
    answer: ColumnsResult | FallbackAnswer = result
    if target.fallbacks and isinstance(result, Failure):
        found = (one.columns(columns, result.inputs) for one in target.fallbacks)
        answer = _first_answer(found, result.error) or result
    latency = perf_counter_ns() - request.started_ns
    call = CallOutcome(answer.code, latency, timestamp, request.request_id)
    counting.count_columns(model, target.series, columns, result, call)
    if target.shadows:
        job = partial(shadow_columns, columns, timestamp, request.request_id)
        submit_to_shadows(target, shadows, request.request_id, job)
    return _columns_outcome(model, answer, request, latency, rows)


def _first_answer(
    found: Iterable[FallbackResult | None], error: GnomonError
) -> FallbackAnswer | None:
    """Return the answer of the first fallback that has one, or None."""
    result = next((one for one in found if one is not None), None)
    return None if result is None else FallbackAnswer(result, error)


def _row_outcome(
    model: Model, answer: RowResult | FallbackAnswer, request: PredictRequest, latency: int
) -> RowOutcome:
    if isinstance(answer, ModelAnswer):
        inputs, outputs = answer.violations, answer.output_violations
        return Prediction(
            answer.outputs,
            model.name,
            model.version,
            model.digest,
            request.request_id,
            () if inputs is None and outputs is None else counting.described(inputs, outputs),
            None,
            latency,
        )
    if isinstance(answer, FallbackAnswer):
        return Prediction(*_fallback_fields(answer, request, latency), fallback_by=answer.result.by)
    return answer.error


def _columns_outcome(
    model: Model,
    answer: ColumnsResult | FallbackAnswer,
    request: PredictRequest,
    latency: int,
    rows: int,
) -> ColumnsOutcome:
    if isinstance(answer, ModelAnswer):
        return Predictions(
            answer.outputs,
            model.name,
            model.version,
            model.digest,
            request.request_id,
            counting.described(answer.violations, answer.output_violations),
            None,
            latency,
            rows,
        )
    if isinstance(answer, FallbackAnswer):
        return Predictions(
            *_fallback_fields(answer, request, latency), rows=rows, fallback_by=answer.result.by
        )
    return answer.error


def _fallback_fields(answer: FallbackAnswer, request: PredictRequest, latency: int) -> _Fields:
    """Return what both kinds of prediction hold, in their order."""
    result, model = answer.result, answer.result.model
    return (
        result.outputs,
        model.name,
        model.version,
        model.digest,
        request.request_id,
        result.violations,
        str(answer.error),
        latency,
    )
