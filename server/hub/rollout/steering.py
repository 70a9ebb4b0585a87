"""What a person does with a rollout besides its gates: pause, resume, promote, retry.

A paused rollout does not advance, and still goes back if its gate shows that the candidate is
worse. Promotion begins the next step although the gate has not enough evidence; a candidate that
its gate shows to be worse cannot be promoted.
"""

from dataclasses import replace
from typing import Any

from sqlalchemy import Row, update

from gnomon.runtime.errors import Conflict
from gnomon.server.hub.rollout.criteria import Decision
from gnomon.server.hub.rollout.rollouts import GATE, create, find_end, verdict
from gnomon.server.hub.rollout.transitions import advance_rollout, lock_rollout, plan_of
from gnomon.server.hub.store import schema
from gnomon.server.hub.store.change import Change
from gnomon.server.hub.store.clock import now_ms
from gnomon.server.hub.store.rollout_state import ACTIVE, RolloutState

_ROLLOUT = schema.rollout.c


def pause(change: Change, rollout_id: str, reason: str = "") -> None:
    """Let a rollout stay at its step until it is resumed.

    Raises:
        NotFound: if there is no such rollout.
        Conflict: if it has ended, or is paused already.
    """
    row = _active(change, rollout_id)
    if row.paused_at is not None:
        raise Conflict(f"rollout {rollout_id} is paused already: {row.pause_reason}")
    text = f"by {change.actor}" + (f": {reason}" if reason else "")
    _write(change, row, paused_at=now_ms(), pause_reason=text)
    _audit(change, row, "pause_rollout", reason)


def resume(change: Change, rollout_id: str, reason: str = "") -> None:
    """Let the gates of a paused rollout decide again.

    Raises:
        NotFound: if there is no such rollout.
        Conflict: if it has ended, or is not paused.
    """
    row = _active(change, rollout_id)
    if row.paused_at is None:
        raise Conflict(f"rollout {rollout_id} is not paused")
    _write(change, row, paused_at=None, pause_reason="")
    _audit(change, row, "resume_rollout", reason)


def promote(change: Change, rollout_id: str, reason: str = "", *, to_end: bool = False) -> None:
    """Begin the next step, or complete the rollout, before its gate has enough evidence.

    A paused rollout is resumed by it.

    Args:
        change: the caller's open transaction.
        rollout_id: which one.
        reason: for the audit record.
        to_end: all steps that are left, and not only the next.

    Raises:
        NotFound: if there is no such rollout.
        Conflict: if it is not running, another change has ended it, or its gate shows that the
            candidate is worse.
    """
    row = _active(change, rollout_id)
    if row.state != RolloutState.RUNNING:
        raise Conflict(f"rollout {rollout_id} is {row.state}: nodes are fetching the candidate")
    found, end = verdict(change.connection, row), find_end(change.connection, row)
    if end:
        raise Conflict(f"rollout {rollout_id} ends: {end}")
    if found.decision is Decision.ROLL_BACK:
        raise Conflict(f"the gate of rollout {rollout_id} sends it back: {found.reason}")
    detail = {"to_end": to_end, "verdict": found.to_dict()}
    _audit(change, row, "promote_rollout", reason, **detail)
    _write(change, row, paused_at=None, pause_reason="")
    found = replace(found, reason=f"promoted by {change.actor}; the gate said: {found.reason}")
    # The person may promote; what follows is what the gate does.
    gate = Change(change.connection, GATE)
    for _ in range(row.step, len(plan_of(row).steps) if to_end else row.step + 1):
        advance_rollout(gate, lock_rollout(change, rollout_id), found)


def retry(change: Change, rollout_id: str, reason: str = "") -> str:
    """Begin a rollout that was sent back or aborted again, with its plan; return the new id.

    Raises:
        NotFound: if there is no such rollout.
        Conflict: if it has not ended, or was completed; and as `rollouts.create`.
    """
    row = lock_rollout(change, rollout_id)
    if row.state not in (RolloutState.ROLLED_BACK, RolloutState.ABORTED):
        raise Conflict(
            f"rollout {rollout_id} is {row.state}; one that was sent back or aborted can be retried"
        )
    begun = create(change, row.model, row.candidate, plan_of(row), row.environment)
    _audit(change, row, "retry_rollout", reason, by=begun)
    return begun


def _active(change: Change, rollout_id: str) -> Row[Any]:
    row = lock_rollout(change, rollout_id)
    if row.state not in ACTIVE:
        raise Conflict(f"rollout {rollout_id} is {row.state}; it has ended")
    return row


def _write(change: Change, row: Row[Any], **values: object) -> None:
    change.execute(
        update(schema.rollout).where(_ROLLOUT.id == row.id).values(updated_at=now_ms(), **values)
    )


def _audit(change: Change, row: Row[Any], action: str, reason: str, **detail: object) -> None:
    change.audit(
        action,
        f"{row.model}@{row.candidate}",
        {"rollout": row.id, "reason": reason, **detail},
        model=row.model,
        environment=row.environment,
    )
