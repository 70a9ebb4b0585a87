"""From what became of a call to what a series counts."""

import time
from collections.abc import Mapping, Sequence
from time import perf_counter_ns
from typing import Any, NamedTuple

import numpy as np

from gnomon.core.contract.violations import Violation, Violations
from gnomon.core.window import ANSWERED_CODE, REFUSED_CODE
from gnomon.runtime import clock
from gnomon.runtime.errors import GnomonError, InvalidInput
from gnomon.runtime.limits import REQUEST_ID_CHARACTERS
from gnomon.runtime.models.model import Model
from gnomon.runtime.models.results import ColumnsResult, ModelAnswer, RowResult
from gnomon.runtime.prediction import PredictRequest, row_ids
from gnomon.runtime.recording.series import WindowSeries
from gnomon.runtime.recording.series_records import BrokenRules, CallOutcome, Example


class PerRowIdentity(NamedTuple):
    """Calls that one run answered: whose each row is, and the nanoseconds that it took."""

    ids: Sequence[str]
    latencies: Sequence[int]


def timestamp_of(series: WindowSeries, request: PredictRequest, rows: int = 1) -> float:
    """Return epoch seconds; a call with an invalid time or id is counted now, as refused.

    Args:
        series: in which a refused call is counted.
        request: the call; its `at` and `request_id` are checked.
        rows: how many rows are counted if the call is refused.

    Raises:
        InvalidInput: `at` is not a time, or `request_id` is too long to be kept.
    """
    at, request_id = request.at, request.request_id
    if at is None and len(request_id) <= REQUEST_ID_CHARACTERS:
        return time.time()
    try:
        if len(request_id) > REQUEST_ID_CHARACTERS:
            raise InvalidInput(
                f"the request's id has {len(request_id)} characters; at most "
                f"{REQUEST_ID_CHARACTERS} are allowed",
                details=[{"field": "request_id", "value": request_id[:80]}],
            )
        return clock.seconds(at)
    except InvalidInput as error:
        latency = perf_counter_ns() - request.started_ns
        outcome = CallOutcome(
            REFUSED_CODE, latency, time.time(), request_id[:REQUEST_ID_CHARACTERS]
        )
        series.count_unread(outcome, rows, _unread(outcome, error))
        raise


def count_row(model: Model, series: WindowSeries, result: RowResult, outcome: CallOutcome) -> None:
    """Count one row.

    Args:
        model: the model that was to answer.
        series: counts for it.
        result: the model's own result; its inputs may be None if they could not be read.
        outcome: of the call, which differs from the result's if a fallback answered.
    """
    inputs, outputs = result.inputs, result.checked_outputs
    if inputs is None:
        series.count_unread(outcome, 1, _unread(outcome, _error_of(result)))
        return
    value = None
    if outcome.code == ANSWERED_CODE and outputs is not None:
        number = float(outputs.values[0])
        value = number if number == number else None
    broken: Sequence[BrokenRules] = ()
    if result.violations is not None or result.output_violations is not None:
        broken = _broken(model, result.violations, result.output_violations)
    series.count_row(outcome, inputs, outputs, value, broken)


def count_columns(
    model: Model,
    series: WindowSeries,
    columns: Mapping[str, Any],
    result: ColumnsResult,
    outcome: CallOutcome,
    per_row: PerRowIdentity | None = None,
) -> None:
    """Count the rows of one request; a request without rows counts as one.

    Args:
        model: the model that was to answer.
        series: counts for it.
        columns: field → values, as the client sent them.
        result: the model's own result.
        outcome: of the whole call; differs from the result if a fallback answered.
        per_row: ids and latencies, if each row is a call of its own; None: all are one call.
    """
    inputs, outputs = result.inputs, result.checked_outputs
    if inputs is None or len(inputs) == 0:
        error = _error_of(result)
        series.count_unread(outcome, max(rows_of(columns), 1), _unread(outcome, error))
        return
    ids: Sequence[str] = ()
    numbers: list[float] = []
    if outcome.code == ANSWERED_CODE and outputs is not None and series.keeps_samples:
        values = outputs.values(0)
        ids = per_row.ids if per_row else row_ids(outcome.request_id, len(values))
        if (missing := np.isnan(values)).any():
            ids = [identity for identity, gone in zip(ids, missing, strict=True) if not gone]
            values = values[~missing]
        numbers = values.tolist()
    broken = _broken(model, result.violations, result.output_violations)
    latencies = per_row.latencies if per_row else None
    series.count_columns(outcome, inputs, outputs, ids, numbers, broken, latencies)


def _error_of(result: RowResult | ColumnsResult) -> GnomonError | None:
    return None if isinstance(result, ModelAnswer) else result.error


def rows_of(columns: Mapping[str, Any]) -> int:
    """Return how many rows a request has: those of its longest column."""
    return max(
        (len(column) for column in columns.values() if hasattr(column, "__len__")), default=0
    )


def described(*violations: Violations | None) -> tuple[Violation, ...]:
    """Return violations for people."""
    return tuple(one for some in violations if some is not None for one in some.describe())


def _broken(
    model: Model, violations: Violations | None, output_violations: Violations | None
) -> list[BrokenRules]:
    broken = []
    if violations is not None:
        broken.append(BrokenRules(violations, violations.rules.astype(np.int64)))
    if output_violations is not None:
        offset = model.package.profile.output_rules_start
        broken.append(
            BrokenRules(output_violations, output_violations.rules.astype(np.int64) + offset)
        )
    return broken


def _unread(outcome: CallOutcome, error: GnomonError | None) -> Example:
    return Example(
        request_id=outcome.request_id,
        timestamp=outcome.timestamp,
        field="",
        rule="request",
        value="",
        expected=str(error)[:200],
    )
