"""Rollouts: step by step, gated, and the same after a hub is killed between any two statements."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, select

from gnomon.proto import hub_pb2
from gnomon.runtime.errors import Conflict, NotFound, UnknownModel
from gnomon.server.hub.fleet import desired
from gnomon.server.hub.fleet.desired_cache import DesiredStates
from gnomon.server.hub.monitoring import alerts
from gnomon.server.hub.rollout import rollouts
from gnomon.server.hub.rollout.criteria import Gates
from gnomon.server.hub.rollout.plan import RolloutPlan
from gnomon.server.hub.store import schema
from gnomon.server.hub.store.audit import verify_chain
from gnomon.server.hub.store.clock import now_ms
from gnomon.server.hub.store.database import Database
from gnomon.server.hub.store.rollout_state import RolloutState, check_transition
from gnomon.server.hub.versions import decommission

pytestmark = pytest.mark.both_databases

STATES = DesiredStates(desired.build)
REQUEST = hub_pb2.ExchangeRequest(facts={"engines": "onnx"})
PLAN = RolloutPlan(steps=(100, 500, 1000), gates=Gates(minimum_predictions=100, minimum_labels=40))


@pytest.fixture
def eta(world: Any) -> tuple[str, str]:
    """Champion eta@1 in service, candidate eta@2 published; their digests."""
    digests = world.publish("eta", "1"), world.publish("eta", "2")
    world.place("eta", "1")
    world.node("n0", digests=list(digests), facts={"engines": "onnx"})
    return digests


def start(database: Database, version: str = "2", plan: RolloutPlan = PLAN) -> str:
    with database.change("ada") as change:
        return rollouts.create(change, "eta", version, plan)


def row_of(database: Database, rollout_id: str) -> Any:
    with database.read() as connection:
        return connection.execute(
            select(schema.rollout).where(schema.rollout.c.id == rollout_id)
        ).one()


def stands(database: Database, rollout_id: str) -> tuple[str, int, int]:
    row = row_of(database, rollout_id)
    return row.state, row.step, row.weight


def weights(database: Database) -> dict[str, int]:
    with database.read() as connection:
        (route,) = desired.build(connection, ["onnx"]).routes
    return {target.digest: target.weight for target in route.targets}


def audited(database: Database) -> list[tuple[str, str, str]]:
    with database.read() as connection:
        assert verify_chain(connection).intact
        return [
            (row.actor, row.action, row.subject)
            for row in connection.execute(select(schema.audit).order_by(schema.audit.c.sequence))
        ]


def serve_well(world: Any, eta: tuple[str, str], tag: str = "") -> None:
    for digest in eta:
        world.window(digest, rows=120)
        world.judged(digest, [2.0, -2.0] * 30, tag=tag)


def test_a_decommissioned_candidate_loses_its_traffic(
    world: Any, database: Database, eta: tuple[str, str]
) -> None:
    rollout_id = start(database)
    rollouts.run_once(database)
    with database.change("ada") as change:
        used = decommission.decommission(change, "eta", "2", "leaks", force=True)
    assert used == [f"rollout {rollout_id}", "node n0"]
    rollouts.run_once(database)
    row = row_of(database, rollout_id)
    assert (row.state, row.reason) == ("aborted", "eta@2 was decommissioned: leaks")
    assert weights(database) == {eta[0]: 1000}


def test_a_good_version_goes_through_all_steps(
    world: Any, database: Database, eta: tuple[str, str]
) -> None:
    rollout_id = start(database)
    assert stands(database, rollout_id) == ("pending", 0, 0)
    assert weights(database) == {eta[0]: 1000}
    rollouts.run_once(database)
    assert stands(database, rollout_id) == ("running", 0, 100)
    assert weights(database) == {eta[0]: 900, eta[1]: 100}
    rollouts.run_once(database)  # nothing was seen yet
    assert stands(database, rollout_id) == ("running", 0, 100)
    serve_well(world, eta, "first")
    rollouts.run_once(database)
    assert stands(database, rollout_id) == ("running", 1, 500)
    rollouts.run_once(database)  # what was seen in the first step does not count in the second
    assert stands(database, rollout_id) == ("running", 1, 500)
    serve_well(world, eta, "second")
    rollouts.run_once(database)
    assert weights(database) == {eta[1]: 1000}
    world.window(eta[1], rows=100)
    rollouts.run_once(database)
    assert stands(database, rollout_id) == ("completed", 2, 1000)
    assert weights(database) == {eta[1]: 1000}
    rollouts.run_once(database)
    assert audited(database) == [
        ("ada", "place", "eta@1"),
        ("ada", "start_rollout", "eta@2"),
        ("gate", "advance_rollout", "eta@2"),
        ("gate", "advance_rollout", "eta@2"),
        ("gate", "advance_rollout", "eta@2"),
        ("gate", "place", "eta@2"),
        ("gate", "complete_rollout", "eta@2"),
    ]
    with database.read() as connection:
        steps = connection.execute(
            select(schema.rollout_step).order_by(schema.rollout_step.c.position)
        ).all()
    assert [(one.weight, one.verdict) for one in steps] == [
        (100, "passed"),
        (500, "passed"),
        (1000, "passed"),
    ]
    assert all(one.left_at >= one.entered_at and one.evidence["checks"] for one in steps)


BAD: dict[str, Callable[[Any, str], None]] = {
    "failed": lambda world, digest: world.window(digest, rows=20, failed=20),
    "refused": lambda world, digest: world.window(digest, rows=60, refused=40),
    "latency": lambda world, digest: world.window(digest, rows=120, latency_ms=80.0),
    "error": lambda world, digest: world.judged(digest, [40.0, 44.0] * 20, tag="bad"),
}


@pytest.mark.parametrize("how", BAD)
def test_a_bad_version_is_sent_back(
    world: Any, database: Database, eta: tuple[str, str], how: str
) -> None:
    rollout_id = start(database)
    rollouts.run_once(database)
    world.window(eta[0], rows=500)
    world.judged(eta[0], [2.0, -2.0] * 60)
    BAD[how](world, eta[1])
    rollouts.run_once(database)
    row = row_of(database, rollout_id)
    assert (row.state, row.weight) == ("rolled_back", 0)
    assert row.reason.startswith(f"{how}: ")
    assert row.ended_at is not None
    assert weights(database) == {eta[0]: 1000}
    with database.read() as connection:
        (alert,) = connection.execute(select(schema.alert)).all()
    assert (alert.kind, alert.version) == ("rolled_back", "2")
    assert ("gate", "roll_back", "eta@2") in audited(database)
    rollouts.run_once(database)
    assert row_of(database, rollout_id) == row


@pytest.mark.parametrize("running", [False, True])
def test_a_node_that_refuses_sends_it_back_with_its_reason(
    world: Any, database: Database, eta: tuple[str, str], running: bool
) -> None:
    world.node("n0", refused_generation=0)
    rollout_id = start(database)
    if running:
        rollouts.run_once(database)
    with database.write() as connection:
        generation = desired.for_node(connection, "n0", REQUEST, STATES).generation
    world.node("n0", refused_generation=generation, reason="golden sample 7: 3.1, expected 2.9")
    rollouts.run_once(database)
    row = row_of(database, rollout_id)
    assert row.state == "rolled_back"
    assert "n0 refused it: golden sample 7" in row.reason
    # What was refused then does not stand against the next one.
    second = start(database)
    rollouts.run_once(database)
    assert row_of(database, second).state == "running"


@pytest.mark.parametrize("what", ["candidate", "route", "other package", "other route"])
def test_only_a_refusal_of_the_candidate_sends_it_back(
    world: Any, database: Database, eta: tuple[str, str], what: str
) -> None:
    world.node("n0", refused_generation=0)
    rollout_id = start(database)
    with database.write() as connection:
        generation = desired.for_node(connection, "n0", REQUEST, STATES).generation
    route, digest = {
        "candidate": ("eta", eta[1]),
        "route": ("eta", ""),
        "other package": ("price", "f" * 64),
        "other route": ("price", ""),
    }[what]
    refused = {"route": route, "digest": digest, "reason": "out of memory"}
    world.node("n0", refused_generation=generation, refused=[refused])
    rollouts.run_once(database)
    is_sent_back = row_of(database, rollout_id).state == "rolled_back"
    assert is_sent_back == (route == "eta")


def test_nodes_in_touch_stage_it_before_it_gets_traffic(
    world: Any, database: Database, eta: tuple[str, str]
) -> None:
    world.node("n1", digests=[eta[0]], facts={"engines": "onnx"})
    world.node("gone", digests=[eta[0]], facts={"engines": "onnx"}, last_seen_at=1)
    rollout_id = start(database)
    rollouts.run_once(database)
    assert stands(database, rollout_id) == ("pending", 0, 0)
    with database.read() as connection:
        found = rollouts.verdict(connection, row_of(database, rollout_id))
    assert "n1 still fetch" in found.reason and "gone" not in found.reason
    world.node("n1", digests=[eta[0], eta[1]])
    rollouts.run_once(database)
    assert stands(database, rollout_id) == ("running", 0, 100)


@pytest.mark.parametrize(
    "seen", ["nobody", "out of touch", "revoked", "elsewhere", "another model"]
)
def test_no_traffic_moves_while_no_node_is_in_touch(
    world: Any, database: Database, eta: tuple[str, str], seen: str
) -> None:
    """However long staging has lasted: nobody could tell that the candidate is bad."""
    values: dict[str, dict[str, Any]] = {
        "nobody": {"digests": []},
        "out of touch": {"last_seen_at": 1},
        "revoked": {"revoked_at": 1},
        "elsewhere": {"environment": "staging"},
        "another model": {"digests": ["ab" * 32]},
    }
    world.node("n0", **values[seen])
    rollout_id = start(database, plan=PLAN.model_copy(update={"staging_seconds": 0}))
    rollouts.run_once(database)
    assert stands(database, rollout_id) == ("pending", 0, 0)
    with database.read() as connection:
        found = rollouts.verdict(connection, row_of(database, rollout_id))
    assert found.reason == "no node that serves eta in production is in touch"
    world.node("n0", **row_for(eta))
    rollouts.run_once(database)
    assert stands(database, rollout_id) == ("running", 0, 100)


def row_for(digests: tuple[str, str]) -> dict[str, Any]:
    """Return what a node in touch, with both versions, has in the database."""
    return {
        "digests": list(digests),
        "last_seen_at": now_ms(),
        "revoked_at": None,
        "environment": "production",
    }


def test_staging_is_not_waited_for_forever(
    world: Any, database: Database, eta: tuple[str, str]
) -> None:
    world.node("n1", digests=[eta[0]], facts={"engines": "onnx"})
    rollout_id = start(database, plan=PLAN.model_copy(update={"staging_seconds": 0}))
    rollouts.run_once(database)
    assert stands(database, rollout_id)[0] == "running"


def test_a_node_without_an_engine_for_it_is_not_waited_for(
    world: Any, database: Database, eta: tuple[str, str]
) -> None:
    world.node("n1", digests=[eta[0]], facts={"engines": "onnx"})
    rollout_id = start(database)
    with database.write() as connection:
        generation = desired.for_node(connection, "n1", REQUEST, STATES).generation
    world.node("n1", reported_generation=generation)
    rollouts.run_once(database)
    assert stands(database, rollout_id)[0] == "running"


def test_a_person_can_abort(world: Any, database: Database, eta: tuple[str, str]) -> None:
    rollout_id = start(database)
    rollouts.run_once(database)
    with database.change("bob") as change:
        rollouts.abort(change, rollout_id, "wrong file")
    row = row_of(database, rollout_id)
    assert (row.state, row.weight, row.reason) == ("aborted", 0, "wrong file")
    assert audited(database)[-1] == ("bob", "abort_rollout", "eta@2")
    refused = pytest.raises(Conflict, match="is aborted and cannot become aborted")
    with refused, database.change("bob") as change:
        rollouts.abort(change, rollout_id, "again")
    rollouts.run_once(database)
    assert row_of(database, rollout_id) == row


def test_one_rollout_a_model_at_a_time(
    world: Any, database: Database, eta: tuple[str, str]
) -> None:
    world.publish("eta", "3")
    first = start(database)
    with pytest.raises(Conflict, match="is being rolled out to 2 already") as caught:
        start(database, "3")
    assert caught.value.details[0]["rollout"] == first
    with database.change("ada") as change:
        rollouts.abort(change, first, "make way")
    start(database, "3")


def test_what_cannot_be_rolled_out_is_refused(world: Any, database: Database) -> None:
    world.publish("eta", "1")
    with pytest.raises(UnknownModel, match="eta@9"):
        start(database, "9")
    with pytest.raises(Conflict, match="place one first"):
        start(database, "1")
    world.place("eta", "1")
    with pytest.raises(Conflict, match="in service already"):
        start(database, "1")
    with pytest.raises(NotFound, match="no rollout"), database.change("ada") as change:
        rollouts.abort(change, "nothing", "")
    assert [action for _, action, _ in audited(database)] == ["place"]


@pytest.mark.parametrize("placed", ["2", "3"])
def test_a_version_that_is_placed_meanwhile_ends_the_rollout(
    world: Any, database: Database, eta: tuple[str, str], placed: str
) -> None:
    world.publish("eta", "3")
    rollout_id = start(database)
    rollouts.run_once(database)
    world.place("eta", placed)
    rollouts.run_once(database)
    row = row_of(database, rollout_id)
    assert row.state == "aborted"
    assert row.reason == f"eta@{placed} was put into service in place of 1"
    assert list(weights(database).values()) == [1000]


def test_no_node_is_left_without_a_version_that_it_can_run(
    world: Any, database: Database, eta: tuple[str, str]
) -> None:
    small = world.publish("eta", "1", "tflite")
    world.node("server", digests=[eta[0]], facts={"engines": "onnx,sklearn"})
    world.node("device", digests=[small], facts={"engines": "tflite"})
    with pytest.raises(Conflict, match="device run eta@1 and have no engine for any") as caught:
        start(database)
    assert caught.value.details == ({"node": "device"},)
    world.publish("eta", "2", "tflite")
    start(database)


@pytest.mark.parametrize(
    "steps", [(), (500,), (0, 1000), (500, 100, 1000), (100, 100, 1000), (1001,)]
)
def test_steps_rise_to_the_whole(steps: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="steps"):
        RolloutPlan(steps=steps)


def test_no_state_is_left_twice() -> None:
    for ended in (RolloutState.COMPLETED, RolloutState.ROLLED_BACK, RolloutState.ABORTED):
        for wanted in RolloutState:
            with pytest.raises(Conflict, match=f"{ended} and cannot become {wanted}"):
                check_transition(ended, wanted, "rollout x")


class Killed(BaseException):
    """Stands for kill -9 between two statements."""


def test_a_kill_between_any_two_statements_changes_nothing(
    world: Any, database: Database, eta: tuple[str, str], tmp_path: Path
) -> None:
    """Kill before the n-th write, n = 1, 2, …, in every transition; each ends as if undisturbed."""
    left = [10**9]

    def before(_c: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if statement.split()[0] in {"INSERT", "UPDATE"}:
            left[0] -= 1
            if left[0] < 0:
                raise Killed

    event.listen(database.engine, "before_cursor_execute", before)

    def step_through_kills() -> int:
        before_step = _content(database)
        for kills in range(60):
            left[0] = kills
            try:
                rollouts.run_once(database)
                return kills
            except Killed:
                left[0] = 10**9
                assert _content(database) == before_step
            finally:
                left[0] = 10**9
        raise AssertionError("never came through")

    rollout_id = start(database)
    kills = step_through_kills()
    for tag in ("first", "second", "third"):
        serve_well(world, eta, tag)
        kills += step_through_kills()
    assert kills > 12
    assert stands(database, rollout_id) == ("completed", 2, 1000)
    assert weights(database) == {eta[1]: 1000}
    assert [action for _, action, _ in audited(database)].count("advance_rollout") == 3


def _content(database: Database) -> list[Any]:
    tables = (schema.rollout, schema.rollout_step, schema.placement, schema.audit, schema.alert)
    with database.read() as connection:
        return [list(connection.execute(select(table))) for table in tables]


def test_a_rollout_that_cannot_be_read_stops_no_other(
    world: Any, database: Database, eta: tuple[str, str]
) -> None:
    world.publish("cost", "1")
    world.publish("cost", "2")
    world.place("cost", "1")
    with database.change("ada") as change:
        damaged = rollouts.create(change, "cost", "2", PLAN)
    with database.write() as connection:
        connection.execute(
            schema.rollout.update().where(schema.rollout.c.id == damaged).values(plan={"steps": []})
        )
    rollout_id = start(database)
    rollouts.run_once(database)
    rollouts.run_once(database)
    assert stands(database, rollout_id) == ("running", 0, 100)
    assert stands(database, damaged)[0] == "pending"
    with database.read() as connection:
        (alert,) = alerts.find(connection, model="cost", open_only=True)
    assert (alert.kind, alert.count) == ("rollout_failed", 1)
