"""Many rows with one run of the engine, each judged, counted and told as if it had come alone.

Only rows without any broken rule are gathered; all others, and all where the run fails, go alone.
Until its rows are answered nothing of a gathered run is counted, so nothing is counted twice.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from time import perf_counter_ns
from typing import Any

from gnomon.core.window import ANSWERED_CODE
from gnomon.runtime import clock
from gnomon.runtime.engines import EngineClosed
from gnomon.runtime.errors import GnomonError
from gnomon.runtime.limits import REQUEST_ID_CHARACTERS
from gnomon.runtime.models.columns import columns_of
from gnomon.runtime.models.model import UNREADABLE, BatchResult, Model
from gnomon.runtime.predicting.execution import ask_shadows, shadow_row
from gnomon.runtime.predicting.served_routes import RouteTarget
from gnomon.runtime.predicting.shadows import ShadowQueue
from gnomon.runtime.prediction import Prediction
from gnomon.runtime.recording import counting
from gnomon.runtime.recording.series import CallOutcome

#: What becomes of each row: its answer, or why it has none.
Answer = Prediction | GnomonError


@dataclass(frozen=True, slots=True)
class Ask:
    """One row and what belongs to it; the first four are the arguments of `Runtime.predict`."""

    row: Mapping[str, Any]
    request_id: str
    key: str | None = None
    at: datetime | float | None = None
    #: `perf_counter_ns` of the call; 0: it begins with the run.
    started: int = 0


def ask_rows(
    asks: Sequence[Ask],
    find_target: Callable[[int], RouteTarget],
    shadows: ShadowQueue,
    alone: Callable[[int], Answer],
    told: Callable[[Ask, Prediction], None],
) -> list[Answer]:
    """Return what became of each row, in order.

    `find_target` says which target answers the row at a place; `alone` answers and counts the one
    at a place by itself; `told` is shown those that were answered together.
    """
    answers: dict[int, Prediction] = {}
    for target, places in _groups(asks, find_target):
        if len(places) > 1:
            answers.update(_answer(target, asks, places, shadows))
    for place, answer in answers.items():
        told(asks[place], answer)
    return [answers.get(place) or alone(place) for place in range(len(asks))]


def _groups(
    asks: Sequence[Ask], find_target: Callable[[int], RouteTarget]
) -> Iterator[tuple[RouteTarget, dict[int, float]]]:
    """Yield rows that go together, by place with their time: one model, one interval of windows."""
    groups: dict[tuple[str, int], tuple[RouteTarget, dict[int, float]]] = {}
    for place, ask in enumerate(asks):
        target = find_target(place)
        if len(ask.request_id) > REQUEST_ID_CHARACTERS or not _is_clean(target.model, ask.row):
            continue
        try:
            timestamp = clock.seconds(ask.at)
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
    target: RouteTarget, asks: Sequence[Ask], places: Mapping[int, float], shadows: ShadowQueue
) -> dict[int, Prediction]:
    """Return the answers by place, counted; none of them where the run is not wholly good."""
    started = perf_counter_ns()
    gathered = [asks[place] for place in places]
    columns = columns_of([ask.row for ask in gathered])
    try:
        batch = target.model.answer_columns(columns)
    except EngineClosed:
        return {}
    broken = batch.violations is not None or batch.output_violations is not None
    if batch.code != ANSWERED_CODE or broken:
        return {}
    now = perf_counter_ns()
    latencies = [now - (ask.started or started) for ask in gathered]
    timestamps = list(places.values())
    outcome = CallOutcome(ANSWERED_CODE, latencies[0], timestamps[0], gathered[0].request_id)
    ids = [ask.request_id for ask in gathered]
    per_row = counting.PerRowIdentity(ids, latencies)
    counting.count_columns(target.model, target.series, columns, batch, outcome, per_row)
    if target.shadows:
        for ask, timestamp in zip(gathered, timestamps, strict=True):
            job = partial(shadow_row, dict(ask.row), timestamp, ask.request_id)
            ask_shadows(target, shadows, ask.request_id, job)
    predictions = _predictions(target.model, batch, ids, latencies)
    return dict(zip(places, predictions, strict=True))


def _predictions(
    model: Model, batch: BatchResult, ids: Sequence[str], latencies: Sequence[int]
) -> Iterator[Prediction]:
    names = list(batch.outputs)
    rows = zip(*(batch.outputs[name].tolist() for name in names), strict=True)
    for request_id, latency, values in zip(ids, latencies, rows, strict=True):
        outputs = dict(zip(names, values, strict=True))
        yield Prediction(
            outputs, model.name, model.version, model.digest, request_id, (), None, latency
        )
