"""Rollouts as plain values, for REST and the pages."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, select

from gnomon.runtime.errors import NotFound
from gnomon.server.hub.rollout.criteria import GateVerdict
from gnomon.server.hub.rollout.needs import GateNeed, find_needs
from gnomon.server.hub.rollout.rollouts import verdict
from gnomon.server.hub.store import schema
from gnomon.server.hub.store.clock import now_ms
from gnomon.server.hub.store.rollout_state import ACTIVE

_ROLLOUT = schema.rollout.c
_STEP = schema.rollout_step.c


@dataclass(frozen=True, slots=True)
class RolloutStepRecord:
    """A step of a rollout, with what its gate saw when it was left; Unix milliseconds."""

    position: int
    weight: int
    entered_at: int
    left_at: int | None
    verdict: str
    evidence: dict[str, Any]


@dataclass(frozen=True, slots=True)
class RolloutRecord:
    """A rollout with its steps; weights are parts in 1,000, times Unix milliseconds.

    `gate` is what the gate of the step under way says now; None if the rollout has ended. `needs`
    is the evidence that it waits for. `paused_at` is None unless somebody has paused it.
    """

    id: str
    model: str
    champion: str
    candidate: str
    environment: str
    state: str
    weight: int
    shadow: int
    step: int
    plan: dict[str, Any]
    created_at: int
    updated_at: int
    ended_at: int | None
    actor: str
    reason: str
    paused_at: int | None
    pause_reason: str
    steps: list[RolloutStepRecord]
    gate: GateVerdict | None
    needs: list[GateNeed]


def find(
    connection: Connection,
    model: str | None = None,
    limit: int = 50,
    environment: str | None = None,
) -> list[RolloutRecord]:
    """Return rollouts, newest first.

    Args:
        connection: of an open transaction; it only reads.
        model: one model; None: all.
        limit: most rollouts.
        environment: one environment; None: all.
    """
    wanted = select(schema.rollout).order_by(_ROLLOUT.id.desc()).limit(limit)
    if model is not None:
        wanted = wanted.where(_ROLLOUT.model == model)
    if environment is not None:
        wanted = wanted.where(_ROLLOUT.environment == environment)
    return [_describe(connection, row) for row in connection.execute(wanted).all()]


def describe(connection: Connection, rollout_id: str) -> RolloutRecord:
    """Return one rollout.

    Raises:
        NotFound: if there is no such rollout.
    """
    row = connection.execute(select(schema.rollout).where(_ROLLOUT.id == rollout_id)).one_or_none()
    if row is None:
        raise NotFound(f"there is no rollout {rollout_id!r}", kind="rollout")
    return _describe(connection, row)


def _describe(connection: Connection, row: Row[Any]) -> RolloutRecord:
    steps = connection.execute(
        select(schema.rollout_step).where(_STEP.rollout == row.id).order_by(_STEP.position)
    ).mappings()
    kept = ("position", "weight", "entered_at", "left_at", "verdict", "evidence")
    entered = [RolloutStepRecord(**{key: step[key] for key in kept}) for step in steps]
    # A rollout that has ended has only its steps; one under way has a gate's verdict too.
    gate = verdict(connection, row) if row.state in ACTIVE else None
    seconds = (now_ms() - entered[-1].entered_at) / 1_000 if entered else 0.0
    needs = find_needs(gate, seconds) if gate else []
    return RolloutRecord(**row._mapping, steps=entered, gate=gate, needs=needs)
