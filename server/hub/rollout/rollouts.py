"""Rollouts: a version takes over a model's traffic step by step, or is sent back.

    PENDING: the candidate is fetched and tried by the nodes, without traffic.
    RUNNING: it has its step's share; the gate decides: next step, wait, or back.
    COMPLETED: it is the version in service. ROLLED_BACK, ABORTED: the champion has all the traffic.

All state is in SQL, and each transition is one transaction with its audit record, so a hub that is
killed continues from the last transition. Nodes learn of a transition at their next exchange, since
their desired state is derived from these rows.
"""

from typing import Any, NoReturn

from sqlalchemy import Connection, Row, insert, select
from sqlalchemy.exc import IntegrityError

from gnomon.runtime.errors import Conflict, UnknownModel
from gnomon.server.hub import placements
from gnomon.server.hub.access import environments, keys
from gnomon.server.hub.access.environments import PRODUCTION
from gnomon.server.hub.monitoring import alerts, task_failures
from gnomon.server.hub.rollout.criteria import Decision, GateVerdict
from gnomon.server.hub.rollout.evidence import gather, staging_gap, without_engine
from gnomon.server.hub.rollout.plan import RolloutPlan
from gnomon.server.hub.rollout.step_evidence import judge
from gnomon.server.hub.rollout.transitions import (
    advance_rollout,
    end_rollout,
    lock_rollout,
    plan_of,
)
from gnomon.server.hub.store import counters, schema
from gnomon.server.hub.store.change import Change
from gnomon.server.hub.store.clock import new_id, now_ms
from gnomon.server.hub.store.database import Database
from gnomon.server.hub.store.rollout_state import ACTIVE, RolloutState, check_transition
from gnomon.server.hub.versions import approvals, decommission

#: The kind of alert for a node whose evidence contradicts that of all others.
NODE_CONTRADICTS = "node_contradicts"

#: The actor of the steps in the audit chain.
GATE = "gate"

_ROLLOUT = schema.rollout.c


def create(
    change: Change, model: str, version: str, plan: RolloutPlan, environment: str = PRODUCTION
) -> str:
    """Begin a rollout in an environment, in the caller's change; return its id.

    Args:
        change: the caller's open transaction; its audit record is part of it.
        model: the model's name.
        version: the candidate.
        plan: the steps in parts per 1,000, and the gates.
        environment: whose nodes take part.

    Raises:
        UnknownModel: if there is no such version.
        NotFound: if there is no such environment.
        UntrustedPackage: if no key that is trusted now signed it.
        Conflict: if the model has no version in service yet, has this one, is being rolled
            out already, a node that runs it could not run the candidate, or the candidate was
            decommissioned or lacks the approval that its risk tier needs.
    """
    environments.check(change.connection, environment)
    change.check("start_rollout", model, environment)
    champion = _champion(change.connection, model, version, environment)
    decommission.check_in_use(change.connection, model, version)
    keys.check_signed(change.connection, model, version)
    approvals.check_approved(change.connection, model, version, environment)
    under_way = change.execute(
        select(_ROLLOUT.id, _ROLLOUT.candidate).where(
            _ROLLOUT.model == model,
            _ROLLOUT.environment == environment,
            _ROLLOUT.state.in_(ACTIVE),
        )
    ).first()
    if under_way is not None:
        _refuse_second(model, under_way.candidate, under_way.id)
    rollout_id, now = new_id(), now_ms()
    generation = counters.read(change.connection, counters.GENERATION)
    written_plan = {**plan.model_dump(mode="json"), "generation": generation}
    values = {
        "id": rollout_id,
        "model": model,
        "champion": champion,
        "candidate": version,
        "environment": environment,
        "state": RolloutState.PENDING.value,
        "weight": 0,
        "shadow": 0,
        "step": 0,
        "plan": written_plan,
        "created_at": now,
        "updated_at": now,
        "actor": change.actor,
    }
    try:
        change.execute(insert(schema.rollout).values(**values))
    except IntegrityError:  # another process was quicker: the unique index says so
        _refuse_second(model, "another version", "")
    detail = {"rollout": rollout_id, "environment": environment, **written_plan}
    change.audit(
        "start_rollout", f"{model}@{version}", detail, model=model, environment=environment
    )
    return rollout_id


def abort(change: Change, rollout_id: str, reason: str) -> None:
    """Abort a rollout: give all traffic back to the champion.

    Raises:
        NotFound: if there is no such rollout.
        Conflict: if it has ended.
    """
    row = lock_rollout(change, rollout_id)
    check_transition(RolloutState(row.state), RolloutState.ABORTED, f"rollout {rollout_id}")
    end_rollout(change, row, RolloutState.ABORTED, reason, "cancelled", {})


def run_once(database: Database) -> None:
    """Take the next transition of every active rollout whose gate allows it."""
    with database.read() as connection:
        active = connection.execute(
            select(schema.rollout).where(_ROLLOUT.state.in_(ACTIVE)).order_by(_ROLLOUT.id)
        ).all()
    for row in active:
        try:
            _take(database, row)
        except Exception as error:
            # One rollout must not stop all behind it; without a verdict it holds.
            task_failures.report(database, row.model, "rollout", error)


def verdict(connection: Connection, row: Row[Any]) -> GateVerdict:
    """Return the gate's verdict on an active rollout now."""
    plan = plan_of(row)
    if row.state == RolloutState.PENDING:
        return staging_gap(connection, row, plan)
    return judge(gather(connection, row), plan.gates, plan.gates.alpha(len(plan.steps)))


def _take(database: Database, seen: Row[Any]) -> None:
    with database.read() as connection:
        overtaken = find_end(connection, seen)
        found = verdict(connection, seen)
    _name_contradictions(database, seen, found)
    if not overtaken and not _is_due(seen, found):
        return
    with database.change(GATE) as change:
        row = lock_rollout(change, seen.id)
        # A person or another hub process may have moved it in the meantime.
        if (row.state, row.step) != (seen.state, seen.step):
            return
        if not overtaken and not _is_due(row, found):
            return
        if overtaken:
            end_rollout(change, row, RolloutState.ABORTED, overtaken, "cancelled", {})
        elif found.decision is Decision.ROLL_BACK:
            end_rollout(
                change, row, RolloutState.ROLLED_BACK, found.reason, "failed", found.to_dict()
            )
        else:
            advance_rollout(change, row, found)


def _is_due(row: Row[Any], found: GateVerdict) -> bool:
    """Return whether a verdict moves a rollout; one that is paused only goes back."""
    if found.decision is Decision.ADVANCE:
        return row.paused_at is None
    return found.decision is Decision.ROLL_BACK


def _name_contradictions(database: Database, row: Row[Any], found: GateVerdict) -> None:
    """Raise an alert for each node that contradicts its peers, once while it is open."""
    for node, how in found.contradicting.items():
        text = f"{node} contradicts its peers about {row.model}@{row.candidate}: {how}"
        condition = alerts.Condition(
            row.model, NODE_CONTRADICTS, node, "", row.candidate, text, {"rollout": row.id}
        )
        task_failures.raise_once(database, condition)


def find_end(connection: Connection, row: Row[Any]) -> str:
    """Return why a change by somebody else ends the rollout, or an empty text."""
    gone = decommission.find(connection, row.model, row.candidate)
    if gone is not None:
        return f"{row.model}@{row.candidate} was decommissioned: {gone.reason}"
    version = placements.version_in_service(connection, row.model, row.environment)
    if version == row.champion:
        return ""
    if version is None:
        return f"{row.model} was taken out of service in {row.environment}"
    return f"{row.model}@{version} was put into service in place of {row.champion}"


def _champion(connection: Connection, model: str, candidate: str, environment: str) -> str:
    versions = schema.version.c
    known = connection.scalar(
        select(versions.digest)
        .where(versions.name == model, versions.version == candidate)
        .limit(1)
    )
    if known is None:
        raise UnknownModel(f"there is no {model}@{candidate} in the registry")
    champion = placements.version_in_service(connection, model, environment)
    if champion is None:
        raise Conflict(
            f"{model} has no version in service in {environment} to compare with; place one first"
        )
    if champion == candidate:
        raise Conflict(f"{model}@{candidate} is in service already")
    stranded = without_engine(connection, model, champion, candidate, environment)
    if stranded:
        raise Conflict(
            f"{', '.join(stranded[:5])} run {model}@{champion} and have no engine for any format "
            f"of {model}@{candidate}; publish it in a format that they run",
            details=[{"node": name} for name in stranded],
        )
    return champion


def _refuse_second(model: str, candidate: str, rollout_id: str) -> NoReturn:
    raise Conflict(
        f"{model} is being rolled out to {candidate} already; wait for the end or abort it",
        details=[{"rollout": rollout_id}],
    )
