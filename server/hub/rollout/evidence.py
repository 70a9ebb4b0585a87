"""What a gate looks at: windows and errors of both versions since the step began, from SQL."""

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Connection, Row, select

from gnomon.runtime.routing.routes import WEIGHT_TOTAL
from gnomon.server.hub.fleet.desired import engines_of
from gnomon.server.hub.monitoring import losses
from gnomon.server.hub.monitoring.windows import merge_latency
from gnomon.server.hub.rollout.contributions import Contribution
from gnomon.server.hub.rollout.criteria import (
    Decision,
    GateCheck,
    GateFinding,
    GateVerdict,
)
from gnomon.server.hub.rollout.plan import RolloutPlan
from gnomon.server.hub.rollout.step_evidence import StepEvidence
from gnomon.server.hub.store import schema
from gnomon.server.hub.store.clock import now_ms

#: A node that has not called for so long is not waited for.
IN_TOUCH_MS = 120_000

_Rows = Sequence[Row[*tuple[Any, ...]]]

_NODE = schema.node.c


def gather(connection: Connection, rollout: Row[Any]) -> StepEvidence:
    """Return what each node counted of champion and candidate since the rollout's step began.

    Args:
        connection: of a read transaction, so that all is of one state.
        rollout: the rollout's row, running.
    """
    window, steps = schema.window.c, schema.rollout_step.c
    since = connection.scalar(
        select(steps.window_position).where(
            steps.rollout == rollout.id, steps.position == rollout.step
        )
    )
    rows = connection.execute(
        select(window.version, window.node, window.outcomes, window.latency).where(
            window.model == rollout.model,
            window.position > (since or 0),
            window.version.in_((rollout.champion, rollout.candidate)),
            window.environment == rollout.environment,
            window.shadow.is_(False),
        )
    )
    sides: dict[str, dict[str, Contribution]] = defaultdict(lambda: defaultdict(Contribution))
    for row in rows:
        buckets = merge_latency([row.latency])
        sides[row.version][row.node].add(Contribution(Counter(row.outcomes), buckets))
    loss = schema.loss.c
    errors = losses.by_node(connection, loss.rollout == rollout.id, loss.step == rollout.step)
    for (version, node), found in errors.items():
        sides[version][node].add(Contribution(losses=found))
    # A step of the whole traffic leaves the champion none: what it still reports is from before.
    champion = sides[rollout.champion] if rollout.weight < WEIGHT_TOTAL else None
    return StepEvidence(sides[rollout.candidate], champion, refusals(connection, rollout))


def refusals(connection: Connection, rollout: Row[Any]) -> tuple[str, ...]:
    """Return why nodes refuse the candidate, or else their whole desired state of now.

    A refusal of a state from before the rollout says nothing about this one, nor does the refusal
    of another model's package.
    """
    rows = connection.execute(
        select(_NODE.name, _NODE.reason, _NODE.refused)
        .where(
            _NODE.refused_generation > rollout.plan["generation"],
            _NODE.refused_generation == _NODE.generation,
            _NODE.environment == rollout.environment,
            _NODE.revoked_at.is_(None),
        )
        .order_by(_NODE.name)
    ).all()
    candidates = _formats(connection, rollout.model, rollout.candidate) if rows else {}
    found = []
    for row in rows:
        if row.refused:
            reasons = [
                one["reason"]
                for one in row.refused
                if one["digest"] in candidates
                or (one["route"], one["digest"]) == (rollout.model, "")
            ]
        else:
            reasons = [row.reason]
        found += [f"{row.name} refused it: {text or 'no reason given'}" for text in reasons[:1]]
    return tuple(found)


def staging_gap(connection: Connection, rollout: Row[Any], plan: RolloutPlan) -> GateVerdict:
    """Return whether the nodes in touch have the candidate ready, so that it may get traffic."""
    refused = refusals(connection, rollout)
    if refused:
        checks = tuple(GateCheck("node", GateFinding.FAILED, text) for text in refused)
        return GateVerdict(Decision.ROLL_BACK, "; ".join(refused), checks)
    waited_ms = now_ms() - rollout.created_at
    champions = _formats(connection, rollout.model, rollout.champion)
    candidates = _formats(connection, rollout.model, rollout.candidate)
    serving = _serving(connection, rollout.environment, champions.keys() | candidates.keys())
    if not serving:
        text = f"no node that serves {rollout.model} in {rollout.environment} is in touch"
        return GateVerdict(Decision.HOLD, text, (GateCheck("staging", GateFinding.WAITING, text),))
    late = _not_ready(serving, candidates.keys(), rollout.plan["generation"])
    if late and waited_ms < 1_000 * plan.staging_seconds:
        names = ", ".join(late[:5]) + (" and others" if len(late) > 5 else "")
        check = GateCheck(
            "staging", GateFinding.WAITING, f"{names} still fetch and try the candidate"
        )
        return GateVerdict(Decision.HOLD, f"staging: {check.text}", (check,))
    text = f"{len(late)} nodes in touch are not ready" if late else "every node in touch is ready"
    check = GateCheck("staging", GateFinding.PASSED, text)
    return GateVerdict(Decision.ADVANCE, text, (check,))


def _serving(connection: Connection, environment: str, packages: Collection[str]) -> _Rows:
    """Return the nodes in touch that have one of these packages (digests) in service."""
    nodes = connection.execute(
        select(_NODE.name, _NODE.digests, _NODE.generation, _NODE.reported_generation)
        .where(
            _NODE.last_seen_at >= now_ms() - IN_TOUCH_MS,
            _NODE.environment == environment,
            _NODE.revoked_at.is_(None),
        )
        .order_by(_NODE.name)
    )
    return [node for node in nodes if not set(node.digests).isdisjoint(packages)]


def _not_ready(serving: _Rows, candidates: Collection[str], generation: int) -> list[str]:
    """Return those of the nodes that lack the candidate of a rollout begun at a generation."""
    return [
        node.name
        for node in serving
        if set(node.digests).isdisjoint(candidates)
        # Told since the rollout began and done with it: this node has no engine for the candidate.
        and not generation < node.generation <= node.reported_generation
    ]


def without_engine(
    connection: Connection, model: str, champion: str, candidate: str, environment: str
) -> list[str]:
    """Return an environment's nodes that serve the champion and can run no candidate's format.

    Args:
        connection: of an open transaction; it only reads.
        model: the model's name.
        champion: the version in service.
        candidate: the version to be rolled out.
        environment: whose nodes.
    """
    champions = set(_formats(connection, model, champion))
    formats = set(_formats(connection, model, candidate).values())
    nodes = connection.execute(
        select(_NODE.name, _NODE.digests, _NODE.facts)
        .where(_NODE.environment == environment, _NODE.revoked_at.is_(None))
        .order_by(_NODE.name)
    )
    return [
        node.name
        for node in nodes
        if champions & set(node.digests) and not formats & set(engines_of(node.facts))
    ]


def _formats(connection: Connection, model: str, version: str) -> dict[str, str]:
    """Return the format of each package of a version, by digest."""
    columns = schema.version.c
    rows = connection.execute(
        select(columns.digest, columns.format).where(
            columns.name == model, columns.version == version
        )
    )
    return {row.digest: row.format for row in rows}
