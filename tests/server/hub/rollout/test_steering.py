"""What a person does with a rollout, and what its gate may do meanwhile."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select, update

from gnomon.runtime.errors import Conflict, NotAllowed, NotFound
from gnomon.server.hub.rollout import listing, rollouts, steering
from gnomon.server.hub.rollout.criteria import (
    Decision,
    GateCheck,
    GateFinding,
    Gates,
    GateVerdict,
)
from gnomon.server.hub.rollout.needs import find_needs
from gnomon.server.hub.rollout.plan import RolloutPlan
from gnomon.server.hub.store import schema
from gnomon.server.hub.store.change import Change
from gnomon.server.hub.store.database import Database
from gnomon.server.hub.store.rights import Actor, Grant, Role

PLAN = RolloutPlan(steps=(100, 500, 1000), gates=Gates(minimum_predictions=100))
ADA = Actor("ada", (Grant(Role.OPERATOR, "eta", "production"),))


@pytest.fixture
def eta(world: Any) -> tuple[str, str]:
    """Champion eta@1 in service, candidate eta@2 published; their digests."""
    digests = world.publish("eta", "1"), world.publish("eta", "2")
    world.place("eta", "1")
    world.node("n0", digests=list(digests), facts={"engines": "onnx"})
    return digests


@pytest.fixture
def rollout(database: Database, eta: tuple[str, str]) -> str:
    """A rollout of eta@2 at its first step."""
    with database.change(ADA) as change:
        rollout_id = rollouts.create(change, "eta", "2", PLAN)
    rollouts.run_once(database)
    return rollout_id


def do(database: Database, act: Callable[..., Any], rollout: str, *given: Any, **named: Any) -> Any:
    with database.change(ADA) as change:
        return act(change, rollout, *given, **named)


def record(database: Database, rollout: str) -> listing.RolloutRecord:
    with database.read() as connection:
        return listing.describe(connection, rollout)


def stands(database: Database, rollout: str) -> tuple[str, int, int]:
    found = record(database, rollout)
    return found.state, found.step, found.weight


def serve(world: Any, eta: tuple[str, str], failed: int = 0) -> None:
    world.window(eta[0], rows=200)
    world.window(eta[1], rows=200, failed=failed)


@pytest.mark.both_databases
def test_a_paused_rollout_waits_for_its_person(
    world: Any, database: Database, eta: tuple[str, str], rollout: str
) -> None:
    do(database, steering.pause, rollout, "off-peak only")
    serve(world, eta)
    rollouts.run_once(database)
    paused = record(database, rollout)
    assert (paused.state, paused.step) == ("running", 0)
    assert paused.gate is not None
    assert paused.gate.decision is Decision.ADVANCE
    assert paused.paused_at is not None
    assert paused.pause_reason == "by ada: off-peak only"
    with pytest.raises(Conflict, match="paused already: by ada"):
        do(database, steering.pause, rollout)
    do(database, steering.resume, rollout)
    rollouts.run_once(database)
    assert stands(database, rollout) == ("running", 1, 500)
    with pytest.raises(Conflict, match="not paused"):
        do(database, steering.resume, rollout)


def test_a_paused_rollout_still_goes_back_if_it_is_worse(
    world: Any, database: Database, eta: tuple[str, str], rollout: str
) -> None:
    do(database, steering.pause, rollout)
    serve(world, eta, failed=200)
    rollouts.run_once(database)
    assert record(database, rollout).state == "rolled_back"


def test_a_pause_between_verdict_and_step_holds(
    world: Any,
    database: Database,
    eta: tuple[str, str],
    rollout: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    serve(world, eta)
    judged = rollouts.verdict

    def pause_then(connection: Any, row: Any) -> GateVerdict:
        found = judged(connection, row)
        monkeypatch.setattr(rollouts, "verdict", judged)
        other = Database(str(database.engine.url))
        with other.change(ADA) as change:
            steering.pause(change, rollout)
        other.close()
        return found

    monkeypatch.setattr(rollouts, "verdict", pause_then)
    rollouts.run_once(database)
    assert stands(database, rollout) == ("running", 0, 100)


@pytest.mark.both_databases
def test_a_person_promotes_without_evidence(database: Database, rollout: str) -> None:
    do(database, steering.pause, rollout)
    do(database, steering.promote, rollout, "known from the trial")
    promoted = record(database, rollout)
    assert (promoted.state, promoted.step, promoted.weight) == ("running", 1, 500)
    assert promoted.paused_at is None
    reason = promoted.steps[0].evidence["reason"]
    assert reason.startswith("promoted by ada; the gate said: predictions: 0 of the 100 wanted")
    do(database, steering.promote, rollout, to_end=True)
    assert stands(database, rollout) == ("completed", 2, 1000)
    with database.read() as connection:
        actions = connection.execute(
            select(schema.audit.c.actor, schema.audit.c.action).order_by(schema.audit.c.sequence)
        ).all()
    assert [tuple(one) for one in actions[-6:]] == [
        ("ada", "promote_rollout"),
        ("gate", "advance_rollout"),
        ("ada", "promote_rollout"),
        ("gate", "advance_rollout"),
        ("gate", "place"),
        ("gate", "complete_rollout"),
    ]


def test_nobody_promotes_what_is_shown_to_be_worse(
    world: Any, database: Database, eta: tuple[str, str], rollout: str
) -> None:
    serve(world, eta, failed=200)
    with pytest.raises(Conflict, match="sends it back: failed: "):
        do(database, steering.promote, rollout)
    assert stands(database, rollout) == ("running", 0, 100)


def test_what_is_sent_back_can_be_retried_with_its_plan(
    world: Any, database: Database, eta: tuple[str, str], rollout: str
) -> None:
    with pytest.raises(Conflict, match="is running; one that was sent back or aborted"):
        do(database, steering.retry, rollout)
    serve(world, eta, failed=200)
    rollouts.run_once(database)
    begun = do(database, steering.retry, rollout, "the disk was full")
    again = record(database, begun)
    assert (again.state, again.candidate, again.plan["steps"]) == ("pending", "2", [100, 500, 1000])
    assert again.plan["gates"]["minimum_predictions"] == 100


@pytest.mark.parametrize(
    "act", [steering.pause, steering.resume, steering.promote, steering.retry, rollouts.abort]
)
def test_each_step_of_a_person_is_theirs_to_take(
    database: Database, rollout: str, act: Callable[..., Any]
) -> None:
    """Whoever may not is refused, in whatever state the rollout is; nothing is changed."""
    with database.write() as connection:
        if act is steering.resume:
            connection.execute(update(schema.rollout).values(paused_at=1))
        if act is steering.retry:
            connection.execute(update(schema.rollout).values(state="aborted"))
    with database.read() as connection:
        before = connection.execute(select(schema.rollout)).all()
    for grant in (Grant(Role.OPERATOR, "other"), Grant(Role.BUILDER), Grant(Role.VIEWER)):
        with pytest.raises(NotAllowed), database.change(Actor("bob", (grant,))) as change:
            act(change, rollout, "why")
    with pytest.raises(NotFound):
        do(database, act, "none", "why")
    with database.read() as connection:
        assert connection.execute(select(schema.rollout)).all() == before


@pytest.mark.parametrize("act", [steering.pause, steering.resume, steering.promote])
def test_a_rollout_that_has_ended_takes_no_step(
    database: Database, rollout: str, act: Callable[[Change, str], None]
) -> None:
    do(database, rollouts.abort, rollout, "why")
    with pytest.raises(Conflict, match="is aborted; it has ended"):
        do(database, act, rollout)


@pytest.mark.parametrize(
    ("seen", "wanted", "seconds", "text"),
    [
        (40, 100, 60.0, "60 more requests, about 2 min at the present rate"),
        (1, 1_001, 3_600.0, "1,000 more requests, about 1,000 h at the present rate"),
        (0, 100, 60.0, "100 more requests, and none has come since the step began"),
    ],
)
def test_a_gate_says_what_it_still_needs(seen: int, wanted: int, seconds: float, text: str) -> None:
    waiting = GateCheck("predictions", GateFinding.WAITING, "", seen, wanted)
    passed = GateCheck("failed", GateFinding.PASSED, "")
    unknown = GateCheck("latency", GateFinding.WAITING, "")
    verdict = GateVerdict(Decision.HOLD, "", (waiting, passed, unknown))
    (need,) = find_needs(verdict, seconds)
    assert (need.check, need.missing, need.text) == ("predictions", wanted - seen, text)


def test_a_rollout_shows_what_its_gate_needs(
    world: Any, database: Database, eta: tuple[str, str], rollout: str
) -> None:
    world.window(eta[1], rows=40)
    (need,) = record(database, rollout).needs
    assert (need.check, need.missing) == ("predictions", 60)
