"""Sampled predictions of nodes, joined to labels by request id."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection, insert, select

from gnomon.server.hub.monitoring import losses, waiting
from gnomon.server.hub.store.clock import now_ms
from gnomon.server.hub.store.dialect import BATCH
from gnomon.server.hub.store.limits import is_comparable
from gnomon.server.hub.store.rollout_state import RolloutState
from gnomon.server.hub.store.schema import PRODUCTION, prediction, rollout


class PredictionRow(NamedTuple):
    """One sampled prediction of a node."""

    request_id: str
    at: int  # Unix milliseconds, the data's own time
    value: float


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
    common = {
        "node": node,
        "model": model,
        "digest": digest,
        "received_at": now_ms(),
        "rollout": under_way,
        "step": step,
    }
    for start in range(0, len(comparable), BATCH):
        batch = comparable[start : start + BATCH]
        connection.execute(insert(prediction), [common | row._asdict() for row in batch])
        waiting.match(connection, model, [row.request_id for row in batch])
        losses.join(connection, model, [row.request_id for row in batch])
    return len(comparable)


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
