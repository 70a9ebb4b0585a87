"""The transitions of a rollout: what each writes, in one transaction with its audit record."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Row, func, insert, select, update

from gnomon.runtime.errors import NotFound
from gnomon.server.hub import placements
from gnomon.server.hub.access.environments import PRODUCTION
from gnomon.server.hub.monitoring import alerts
from gnomon.server.hub.rollout.criteria import GateVerdict
from gnomon.server.hub.rollout.plan import RolloutPlan
from gnomon.server.hub.store import schema
from gnomon.server.hub.store.change import Change
from gnomon.server.hub.store.clock import now_ms
from gnomon.server.hub.store.rollout_state import RolloutState, check_transition

_ROLLOUT = schema.rollout.c
_STEP = schema.rollout_step.c


def plan_of(row: Row[Any]) -> RolloutPlan:
    """Return the plan of a stored rollout."""
    return RolloutPlan.model_validate({k: v for k, v in row.plan.items() if k != "generation"})


def lock_rollout(change: Change, rollout_id: str) -> Row[Any]:
    """Return a rollout's row, locked for this change; raises `NotFound` if it does not exist."""
    row = change.execute(
        select(schema.rollout).where(_ROLLOUT.id == rollout_id).with_for_update()
    ).one_or_none()
    if row is None:
        raise NotFound(f"there is no rollout {rollout_id!r}", kind="rollout")
    return row


def advance_rollout(change: Change, row: Row[Any], found: GateVerdict) -> None:
    """Begin the next step, or complete the rollout after the last one."""
    steps = plan_of(row).steps
    following = 0 if row.state == RolloutState.PENDING else row.step + 1
    if row.state == RolloutState.RUNNING:
        if following == len(steps):
            _complete(change, row, found)
            return
        _leave(change, row, "passed", found.to_dict())
    check_transition(RolloutState(row.state), RolloutState.RUNNING, f"rollout {row.id}")
    _update(change, row, state=RolloutState.RUNNING.value, step=following, weight=steps[following])
    last_window = select(func.coalesce(func.max(schema.window.c.position), 0)).where(
        schema.window.c.model == row.model
    )
    change.execute(
        insert(schema.rollout_step).values(
            rollout=row.id,
            position=following,
            weight=steps[following],
            shadow=0,
            entered_at=now_ms(),
            window_position=last_window.scalar_subquery(),
            verdict="open",
            evidence={},
        )
    )
    change.audit(
        "advance_rollout",
        f"{row.model}@{row.candidate}",
        {"rollout": row.id, "weight": steps[following], "verdict": found.to_dict()},
    )


def end_rollout(
    change: Change,
    row: Row[Any],
    state: RolloutState,
    reason: str,
    left: str,
    evidence: Mapping[str, Any],
) -> None:
    """End a rollout before its last step: give all traffic back to the champion.

    Args:
        change: the caller's open transaction; its audit record is part of it.
        row: the rollout's row, locked.
        state: rolled back or aborted.
        reason: for people.
        left: how its step ended: failed or cancelled.
        evidence: the gate's verdict; empty if it was not the gate.

    Raises:
        Conflict: if it has ended.
    """
    check_transition(RolloutState(row.state), state, f"rollout {row.id}")
    if row.state == RolloutState.RUNNING:
        _leave(change, row, left, evidence)
    _update(change, row, state=state.value, weight=0, shadow=0, ended_at=now_ms(), reason=reason)
    change.audit(
        "roll_back" if state is RolloutState.ROLLED_BACK else "abort_rollout",
        f"{row.model}@{row.candidate}",
        {"rollout": row.id, "reason": reason, "verdict": dict(evidence)},
        model=row.model,
        environment=row.environment,
    )
    if state is RolloutState.ROLLED_BACK:
        where = "" if row.environment == PRODUCTION else f" in {row.environment}"
        text = f"{row.model}@{row.candidate} was rolled back to {row.champion}{where}: {reason}"
        condition = alerts.Condition(
            row.model, "rolled_back", "", row.candidate, row.candidate, text, evidence
        )
        alerts.raise_alert(change.connection, condition)


def _complete(change: Change, row: Row[Any], found: GateVerdict) -> None:
    check_transition(RolloutState(row.state), RolloutState.COMPLETED, f"rollout {row.id}")
    _leave(change, row, "passed", found.to_dict())
    now = now_ms()
    _update(change, row, state=RolloutState.COMPLETED.value, ended_at=now, reason=found.reason)
    placements.put_in_service(change, row.model, row.candidate, row.environment)
    change.audit(
        "complete_rollout",
        f"{row.model}@{row.candidate}",
        {"rollout": row.id, "verdict": found.to_dict()},
    )


def _leave(change: Change, row: Row[Any], left: str, evidence: Mapping[str, Any]) -> None:
    change.execute(
        update(schema.rollout_step)
        .where(_STEP.rollout == row.id, _STEP.position == row.step)
        .values(left_at=now_ms(), verdict=left, evidence=dict(evidence))
    )


def _update(change: Change, row: Row[Any], **values: object) -> None:
    change.execute(
        update(schema.rollout).where(_ROLLOUT.id == row.id).values(updated_at=now_ms(), **values)
    )
