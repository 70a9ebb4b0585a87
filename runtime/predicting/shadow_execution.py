"""What shadows do with a request: answer it, and be counted; their answers go to no client."""

from collections.abc import Callable, Mapping
from functools import partial
from time import perf_counter_ns
from typing import Any

from gnomon.runtime.engines import EngineClosed
from gnomon.runtime.models.model import Model
from gnomon.runtime.predicting.served_routes import RouteTarget
from gnomon.runtime.predicting.shadows import ShadowQueue
from gnomon.runtime.recording import counting
from gnomon.runtime.recording.series import WindowSeries
from gnomon.runtime.recording.series_records import CallOutcome
from gnomon.runtime.routing import routes


def submit_to_shadows(
    target: RouteTarget,
    shadows: ShadowQueue,
    request_id: str,
    job: Callable[[Model, WindowSeries], None],
) -> None:
    """Submit a job for each of the target's shadows that the request is chosen for.

    Args:
        target: what answers the request.
        shadows: the queue, whose thread runs the jobs; a full queue drops them.
        request_id: decides, by its hash, which shadows the request is chosen for.
        job: called with each shadow's model and series.
    """
    for digest in routes.choose_shadows(target.route, request_id):
        model, series = target.shadows[digest]
        shadows.submit(partial(job, model, series))


def run_shadows(
    target: RouteTarget, columns: Mapping[str, Any], timestamp: float, request_id: str
) -> None:
    """Run those of the target's shadows that the request is chosen for, in this thread.

    Args:
        target: what has answered the request.
        columns: field → values of all rows, as the client sent them.
        timestamp: of the data, in epoch seconds.
        request_id: decides, by its hash, which shadows the request is chosen for.
    """
    for digest in routes.choose_shadows(target.route, request_id):
        shadow_columns(columns, timestamp, request_id, *target.shadows[digest])


def shadow_row(
    row: Mapping[str, Any], timestamp: float, request_id: str, model: Model, series: WindowSeries
) -> None:
    """Answer one row as a shadow, and count the outcome; nothing is counted if the model is closed.

    Args:
        row: value by field, as the client sent it.
        timestamp: of the data, in epoch seconds.
        request_id: of the request that the shadow also receives.
        model: the shadow's.
        series: counts the shadow.
    """
    started = perf_counter_ns()
    scratch = model.acquire()
    try:
        result = model.answer_row(row, scratch)
        outcome = CallOutcome(result.code, perf_counter_ns() - started, timestamp, request_id)
        counting.count_row(model, series, result, outcome)
    except EngineClosed:
        return
    finally:
        model.release(scratch)


def shadow_columns(
    columns: Mapping[str, Any],
    timestamp: float,
    request_id: str,
    model: Model,
    series: WindowSeries,
) -> None:
    """Answer many rows as a shadow, and count the outcome; of a closed model nothing is counted.

    Args:
        columns: field → values of all rows, as the client sent them.
        timestamp: of the data, in epoch seconds.
        request_id: of the request that the shadow also receives.
        model: the shadow's.
        series: counts the shadow.
    """
    started = perf_counter_ns()
    try:
        result = model.answer_columns(columns)
    except EngineClosed:
        return
    outcome = CallOutcome(result.code, perf_counter_ns() - started, timestamp, request_id)
    counting.count_columns(model, series, columns, result, outcome)
