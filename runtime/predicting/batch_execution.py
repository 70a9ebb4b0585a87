"""Many rows with one run of the engine; each is validated, counted and reported individually.

Only rows without a violation are gathered. All others go alone; so do all if the run fails.
Nothing of a gathered run is counted before its rows are answered, so nothing is counted twice.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from time import perf_counter_ns
from typing import Any

from numpy.typing import NDArray

from gnomon.runtime import clock
from gnomon.runtime.decoding import UNREADABLE
from gnomon.runtime.engines import EngineClosed
from gnomon.runtime.errors import GnomonError
from gnomon.runtime.limits import REQUEST_ID_CHARACTERS
from gnomon.runtime.models.columns import columns_of
from gnomon.runtime.models.model import Model
from gnomon.runtime.models.results import ModelAnswer
from gnomon.runtime.predicting.execution import RowOutcome
from gnomon.runtime.predicting.served_routes import RouteTarget
from gnomon.runtime.predicting.shadow_execution import shadow_row, submit_to_shadows
from gnomon.runtime.predicting.shadows import ShadowQueue
from gnomon.runtime.prediction import Prediction, PredictRequest
from gnomon.runtime.recording import counting
from gnomon.runtime.recording.counting import PerRowIdentity
from gnomon.runtime.recording.series_records import CallOutcome


def execute_rows(
    requests: Sequence[PredictRequest],
    find_target: Callable[[PredictRequest], RouteTarget],
    shadows: ShadowQueue,
    execute_alone: Callable[[PredictRequest], RowOutcome],
    on_answer: Callable[[PredictRequest, Prediction], None],
) -> list[RowOutcome]:
    """Return what became of each row, in order.

    Args:
        requests: One row each.
        find_target: Returns the target that answers a row.
        shadows: The queue of shadow calls.
        execute_alone: Answers and counts one row by itself.
        on_answer: Called in this thread with each row that was answered together with others.
    """
    answers: dict[int, Prediction] = {}
    for target, places in _groups(requests, find_target):
        if len(places) > 1:
            answers.update(_answer(target, requests, places, shadows))
    for place, answer in answers.items():
        on_answer(requests[place], answer)
    return [answers.get(place) or execute_alone(one) for place, one in enumerate(requests)]


def _groups(
    requests: Sequence[PredictRequest], find_target: Callable[[PredictRequest], RouteTarget]
) -> Iterator[tuple[RouteTarget, dict[int, float]]]:
    """Yield rows that go together, by place with their time: one model, one interval of windows."""
    groups: dict[tuple[str, int], tuple[RouteTarget, dict[int, float]]] = {}
    for place, request in enumerate(requests):
        target = find_target(request)
        is_kept = len(request.request_id) <= REQUEST_ID_CHARACTERS
        if not is_kept or not _is_clean(target.model, request.inputs):
            continue
        try:
            timestamp = clock.seconds(request.at)
        except GnomonError:
            continue
        length = target.model.package.manifest.deployment.window_seconds
        group = (target.model.digest, clock.interval(timestamp, length))
        groups.setdefault(group, (target, {}))[1][place] = timestamp
    yield from groups.values()


def _is_clean(model: Model, row: Mapping[str, Any]) -> bool:
    """Whether a row breaks no rule, not even one that is only mended or flagged."""
    try:
        return model.inputs.check_row(row, model.inputs.new_row()) is None
    except UNREADABLE:
        return False


def _answer(
    target: RouteTarget,
    requests: Sequence[PredictRequest],
    places: Mapping[int, float],
    shadows: ShadowQueue,
) -> dict[int, Prediction]:
    """Return the answers by place, counted; none of them if the run is not wholly good."""
    started = perf_counter_ns()
    gathered = [requests[place] for place in places]
    columns = columns_of([one.inputs for one in gathered])
    try:
        result = target.model.answer_columns(columns)
    except EngineClosed:
        return {}
    if not isinstance(result, ModelAnswer):
        return {}
    if result.violations is not None or result.output_violations is not None:
        return {}
    now = perf_counter_ns()
    ids = [one.request_id for one in gathered]
    per_row = PerRowIdentity(ids, [now - (one.started_ns or started) for one in gathered])
    timestamps = list(places.values())
    outcome = CallOutcome(result.code, per_row.latencies[0], timestamps[0], ids[0])
    counting.count_columns(target.model, target.series, columns, result, outcome, per_row)
    if target.shadows:
        for one, timestamp in zip(gathered, timestamps, strict=True):
            job = partial(shadow_row, dict(one.inputs), timestamp, one.request_id)
            submit_to_shadows(target, shadows, one.request_id, job)
    predictions = _predictions(target.model, result.outputs, per_row)
    return dict(zip(places, predictions, strict=True))


def _predictions(
    model: Model, outputs: Mapping[str, NDArray[Any]], per_row: PerRowIdentity
) -> Iterator[Prediction]:
    rows = zip(*(outputs[name].tolist() for name in outputs), strict=True)
    for request_id, latency, values in zip(per_row.ids, per_row.latencies, rows, strict=True):
        one = dict(zip(outputs, values, strict=True))
        yield Prediction(
            one, model.name, model.version, model.digest, request_id, (), None, latency
        )
