"""Labels: true values, joined to predictions by request id, in either order of arrival.

The first value of a label is kept: the same value again changes nothing, and a contradicting one is
reported to the sender.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, insert, select

from gnomon.runtime.errors import InvalidInput
from gnomon.server.hub.monitoring import losses
from gnomon.server.hub.store.clock import now_ms
from gnomon.server.hub.store.dialect import BATCH, insert_into
from gnomon.server.hub.store.limits import (
    MAXIMUM_TIME_MS,
    MAXIMUM_VALUE,
    is_comparable,
    is_time,
)
from gnomon.server.hub.store.rollout_state import RolloutState
from gnomon.server.hub.store.schema import PRODUCTION, label, prediction, rollout


class LabelRow(NamedTuple):
    """One label of one request, from a node or from a person."""

    model: str
    request_id: str
    at: int  # Unix milliseconds, the data's own time
    value: float


class PredictionRow(NamedTuple):
    """One sampled prediction of a node."""

    request_id: str
    at: int  # Unix milliseconds, the data's own time
    value: float


#: Parts of a label that are bounded: name, test, and what is right.
_BOUNDS: tuple[tuple[str, Callable[[LabelRow], bool], str], ...] = (
    (
        "value",
        lambda row: is_comparable(row.value),
        f"a finite number of at most {MAXIMUM_VALUE:g} in magnitude",
    ),
    (
        "at",
        lambda row: is_time(row.at),
        f"Unix milliseconds of at most {MAXIMUM_TIME_MS:.0e} in magnitude",
    ),
)


class IngestResult(NamedTuple):
    """The result of storing a batch of labels."""

    new: int
    repeated: int  # known already, with this very value
    contradicting: tuple[str, ...]  # request ids known with another value, which stays


def ingest(connection: Connection, labels: Iterable[LabelRow]) -> IngestResult:
    """Store labels in the caller's transaction; each counts once, however often it is sent.

    Raises:
        InvalidInput: if a label's value or time is out of bounds; nothing is stored then.
    """
    rows = list(labels)
    check(rows)
    new = repeated = 0
    contradicting: list[str] = []
    for model, batch in _batches(rows):
        known = _known(connection, model, [row.request_id for row in batch])
        fresh: dict[str, LabelRow] = {}
        for row in batch:
            if row.request_id not in known:
                known[row.request_id] = row.value
                fresh[row.request_id] = row
            elif known[row.request_id] == row.value:
                repeated += 1
            else:
                contradicting.append(row.request_id)
        _store(connection, fresh.values())
        losses.join(connection, model, list(fresh))
        new += len(fresh)
    return IngestResult(new, repeated, tuple(contradicting))


def record_predictions(
    connection: Connection,
    node: str,
    model: str,
    digest: str,
    rows: Sequence[PredictionRow],
    environment: str = PRODUCTION,
) -> int:
    """Store a node's sampled predictions in the caller's transaction; returns how many.

    A value that is not finite, or too large to be compared, is left out; windows count it. The
    caller vouches that a sample comes once (the watermark of the node's telemetry does).

    Args:
        connection: of the caller's transaction.
        node: who predicted.
        model: the model's name.
        digest: of the package.
        rows: the sampled predictions.
        environment: in which the node was.
    """
    comparable = [row for row in rows if is_comparable(row.value)]
    if not comparable:
        return 0
    under_way, step = _stage(connection, model, environment)
    common = {"node": node, "model": model, "digest": digest, "rollout": under_way, "step": step}
    for start in range(0, len(comparable), BATCH):
        batch = comparable[start : start + BATCH]
        connection.execute(insert(prediction), [common | row._asdict() for row in batch])
        losses.join(connection, model, [row.request_id for row in batch])
    return len(comparable)


def check(rows: Sequence[LabelRow]) -> None:
    """Check values and times of labels; raises `InvalidInput` if one is out of bounds."""
    for name, holds, expected in _BOUNDS:
        wrong = [row for row in rows if not holds(row)]
        if wrong:
            raise InvalidInput(
                f"{name} of the label of request {wrong[0].request_id!r} of model "
                f"{wrong[0].model!r} is {getattr(wrong[0], name)}, expected {expected}",
                details=[
                    {"field": name, "request_id": row.request_id, "rule": "range"} for row in wrong
                ],
            )


def _batches(rows: Iterable[LabelRow]) -> Iterator[tuple[str, list[LabelRow]]]:
    by_model: dict[str, list[LabelRow]] = defaultdict(list)
    for row in rows:
        by_model[row.model].append(row)
    for model, of_model in by_model.items():
        for start in range(0, len(of_model), BATCH):
            yield model, of_model[start : start + BATCH]


def _known(connection: Connection, model: str, request_ids: Sequence[str]) -> dict[str, float]:
    rows = connection.execute(
        select(label.c.request_id, label.c.value).where(
            label.c.model == model, label.c.request_id.in_(request_ids)
        )
    )
    return {row.request_id: row.value for row in rows}


def _store(connection: Connection, rows: Iterable[LabelRow]) -> None:
    received_at = now_ms()
    values = [row._asdict() | {"received_at": received_at} for row in rows]
    if values:
        connection.execute(insert_into(connection, label).on_conflict_do_nothing(), values)


def _stage(connection: Connection, model: str, environment: str) -> tuple[str, int]:
    """Return the rollout that splits a model's traffic there and its step, or nothing and 0."""
    row = connection.execute(
        select(rollout.c.id, rollout.c.step).where(
            rollout.c.model == model,
            rollout.c.environment == environment,
            rollout.c.state == RolloutState.RUNNING,
        )
    ).first()
    return ("", 0) if row is None else (row.id, row.step)
