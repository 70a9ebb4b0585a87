"""The monitor: closed intervals are judged once, in order, the same after any kill or replay."""

import dataclasses
from typing import Any

import numpy as np
import pytest
from pydantic_core import to_jsonable_python
from sqlalchemy import event, select

from gnomon.core.contract import Contract
from gnomon.core.window import ANSWERED_CODE
from gnomon.server.hub.monitoring import alerts, drift, monitor
from gnomon.server.hub.monitoring.intervals import Arrival, MonitorSettings, closed
from gnomon.server.hub.monitoring.progress import SourceClock, load
from gnomon.server.hub.store import schema
from gnomon.server.hub.store.audit import verify_chain
from gnomon.server.hub.store.clock import now_ms
from gnomon.server.hub.store.database import Database
from tests.support.hub_world import profile

DAY = 86_400_000
NODES = ("n1", "n2", "n3", "n4")
#: No waiting: what is over by the clock is closed.
AT_ONCE = MonitorSettings(grace_ms=0)


@pytest.fixture
def eta(world: Any) -> str:
    digest = world.publish("eta", "1")
    world.place("eta", "1")
    return str(digest)


def open_alerts(database: Database) -> list[dict[str, Any]]:
    with database.read() as connection:
        return to_jsonable_python(alerts.find(connection, model="eta", open_only=True))


def judged(database: Database) -> list[int]:
    with database.read() as connection:
        rows = to_jsonable_python(drift.series(connection, "eta", "distance"))
    return [row["started_at"] // DAY for row in rows]


def progress(database: Database) -> Any:
    with database.read() as connection:
        return load(connection, "eta")[0]


def content(database: Database) -> list[Any]:
    tables = (schema.drift, schema.alert, schema.audit, schema.detector_state)
    with database.read() as connection:
        return [list(connection.execute(select(table))) for table in tables]


def send_day(world: Any, digest: str, day: int, **broken: Any) -> None:
    for node in NODES:
        world.window(digest, node=node, day=day, **(broken if node == "n3" else {}))


def test_quiet_days_raise_nothing_and_are_evaluated_once(
    world: Any, database: Database, eta: str
) -> None:
    for day in range(8):
        send_day(world, eta, day)
        monitor.run_once(database, AT_ONCE)
        before = content(database)
        monitor.run_once(database, AT_ONCE)
        assert content(database) == before
    assert judged(database) == list(range(8))
    assert open_alerts(database) == []
    with database.read() as connection:
        rows = to_jsonable_python(drift.series(connection, "eta", "distance", None))
    assert {row["source"] for row in rows} == {"", *NODES}
    assert sum(row["rows"] for row in rows if row["source"] == "") == 8 * 4 * 200
    assert all(0 < row["psi"] < 0.3 and 0 < row["chance"] < 0.1 for row in rows)


@pytest.mark.both_databases
def test_one_source_that_leaves_its_peers_is_named(
    world: Any, database: Database, eta: str
) -> None:
    for day in range(6):
        send_day(world, eta, day, **({"shift": 1.0} if day >= 3 else {}))
        monitor.run_once(database, AT_ONCE)
    (alert,) = open_alerts(database)
    assert (alert["kind"], alert["source"], alert["field"]) == ("source_moved", "n3", "distance")
    assert alert["version"] == "1"
    assert alert["text"].startswith("n3 alone: distance")
    assert "at its peers" in alert["text"] and "since about 1970-01-04" in alert["text"]
    evidence = alert["evidence"]
    assert evidence["log_evidence"] >= evidence["log_threshold"]
    assert evidence["mean"] == pytest.approx(1.0, abs=0.3)
    assert evidence["mean_of_peers"] == pytest.approx(0.0, abs=0.2)
    assert alert["count"] == 3  # the same condition, met on three days


def test_a_world_that_has_moved_is_distinguished_from_a_broken_source(
    world: Any, database: Database, eta: str
) -> None:
    for day in range(6):
        for node in NODES:
            world.window(eta, node=node, day=day, field=1, shift=0.6 if day >= 2 else 0.0)
        monitor.run_once(database, AT_ONCE)
    (alert,) = open_alerts(database)
    assert (alert["kind"], alert["source"], alert["field"]) == ("all_moved", "", "hour")
    assert "in the training data" in alert["text"]
    assert alert["text"].startswith("all sources: ") and alert["evidence"]["sources"] == 4


def test_a_single_source_does_not_speak_for_all(world: Any, database: Database, eta: str) -> None:
    for day in range(4):
        world.window(eta, node="n1", day=day, rows=400, shift=0.8 if day >= 1 else 0.0)
    monitor.run_once(database, AT_ONCE)
    (alert,) = open_alerts(database)
    assert (alert["kind"], alert["evidence"]["sources"]) == ("all_moved", 1)
    assert alert["text"].startswith("n1, the only source: distance")


def test_partial_windows_of_one_interval_count_as_one(
    world: Any, database: Database, eta: str, tmp_path: Any
) -> None:
    folder = tmp_path / "whole"
    folder.mkdir()
    whole = type(world)(Database.in_folder(folder))
    whole.publish("eta", "1")
    whole.place("eta", "1")
    for day in range(3):
        for node in NODES:
            parts = [world.window(eta, node=node, day=day, rows=50) for _ in range(3)]
            for part in parts[1:]:
                parts[0].merge(part)
            whole.send(eta, parts[0], node=node, day=day)
    for one in (world, whole):
        monitor.run_once(one.database, AT_ONCE)
    states = [progress(one.database) for one in (world, whole)]
    assert states[0].detectors == states[1].detectors
    assert [drift_of(one.database) for one in (world,)] == [drift_of(whole.database)]


def drift_of(database: Database) -> list[dict[str, Any]]:
    with database.read() as connection:
        return to_jsonable_python(drift.series(connection, "eta", None, None))


def test_steps_between_arrivals_and_one_step_at_the_end_find_the_same(
    world: Any, database: Database, eta: str, tmp_path: Any
) -> None:
    folder = tmp_path / "late"
    folder.mkdir()
    once = type(world)(Database.in_folder(folder))
    once.publish("eta", "1")
    once.place("eta", "1")
    for day in range(10):
        for node in NODES:
            shift = 0.5 if day > 4 and node == "n2" else 0.0
            window = world.window(eta, node=node, day=day, shift=shift)
            once.send(eta, window, node=node, day=day)
        monitor.run_once(database, AT_ONCE)
    monitor.run_once(once.database, AT_ONCE)
    assert progress(database).detectors == progress(once.database).detectors
    assert drift_of(database) == drift_of(once.database)
    found = [
        [(one["kind"], one["source"], one["field"], one["count"]) for one in open_alerts(each)]
        for each in (database, once.database)
    ]
    assert found[0] == found[1] != []


class Killed(BaseException):
    """Stands for kill -9 between two statements."""


@pytest.mark.both_databases
def test_a_kill_between_any_two_statements_is_as_if_it_had_not_been(
    world: Any, database: Database, eta: str
) -> None:
    left = [10**9]

    def before(_c: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if statement.split()[0] in {"INSERT", "UPDATE"}:
            left[0] -= 1
            if left[0] < 0:
                raise Killed

    event.listen(database.engine, "before_cursor_execute", before)
    kills = 0
    for day in range(5):
        send_day(world, eta, day, **({"shift": 2.0} if day >= 3 else {}))
        untouched = content(database)
        for allowed in range(40):
            left[0] = allowed
            try:
                monitor.run_once(database, AT_ONCE)
                break
            except Killed:
                kills += 1
                left[0] = 10**9
                assert content(database) == untouched
        left[0] = 10**9
    assert kills > 8
    assert judged(database) == list(range(5))
    (alert,) = open_alerts(database)
    assert (alert["source"], alert["count"]) == ("n3", 2)
    with database.read() as connection:
        assert verify_chain(connection).intact


@pytest.mark.both_databases
def test_two_hubs_evaluate_an_interval_once(world: Any, database: Database, eta: str) -> None:
    """The other hub steps between this one's reading and writing."""
    for day in range(3):
        send_day(world, eta, day, **({"shift": 2.0} if day == 2 else {}))
    other = Database(str(database.engine.url))
    stepped = []

    def between(_c: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        writes = "BEGIN IMMEDIATE" in statement or "pg_advisory_xact_lock" in statement
        if writes and not stepped:
            stepped.append(True)
            monitor.run_once(other, AT_ONCE)

    event.listen(database.engine, "before_cursor_execute", between)
    monitor.run_once(database, AT_ONCE)
    assert stepped
    assert judged(database) == [0, 1, 2]
    (alert,) = open_alerts(database)
    assert alert["count"] == 1


def test_a_late_window_is_counted_and_said_to_be_late(
    world: Any, database: Database, eta: str
) -> None:
    send_day(world, eta, 0)
    send_day(world, eta, 1)
    monitor.run_once(database, AT_ONCE)
    before = drift_of(database)
    world.window(eta, node="n2", day=0, rows=37)
    monitor.run_once(database, AT_ONCE)
    monitor.run_once(database, AT_ONCE)
    assert drift_of(database) == before
    with database.read() as connection:
        status = to_jsonable_python(drift.status(connection, "eta"))
    assert status == {"judged_to": 2 * DAY, "late_windows": 1, "late_rows": 37, "waiting_labels": 0}


@pytest.mark.slow
def test_shadows_are_left_out(world: Any, database: Database, eta: str) -> None:
    for day in range(3):
        send_day(world, eta, day)
        for node in NODES:
            world.window(eta, node=node, day=day, shift=5.0, shadow=True)
    monitor.run_once(database, AT_ONCE)
    assert open_alerts(database) == []
    assert sum(row["rows"] for row in drift_of(database) if row["source"] == "n1") == 3 * 200 * 3


def test_other_environments_are_left_out(world: Any, database: Database, eta: str) -> None:
    world.place("eta", "1", "staging")
    for day in range(3):
        send_day(world, eta, day)
        world.window(eta, node="tried", day=day, shift=50.0, environment="staging")
    monitor.run_once(database, AT_ONCE)
    assert judged(database) == [0, 1, 2]
    assert open_alerts(database) == []


def test_formats_and_versions_are_compared_where_their_cells_are_equal(
    world: Any, database: Database, eta: str
) -> None:
    other_format = world.publish("eta", "1", "tflite")
    candidate = world.publish("eta", "2")
    for day in range(3):
        for node, digest in zip(NODES, (eta, other_format, candidate, eta), strict=True):
            world.window(digest, node=node, day=day)
    monitor.run_once(database, AT_ONCE)
    rows = {(row["source"], row["field"]): row["rows"] for row in drift_of(database)}
    assert {rows[node, "distance"] for node in NODES} == {200}
    # The answers of another version are no measure of this one's.
    assert rows["n2", "minutes"] == 200 and ("n3", "minutes") not in rows


def test_a_field_that_is_not_to_be_monitored_is_left_alone(world: Any, database: Database) -> None:
    from gnomon.core.fields import Field, Kind
    from gnomon.core.reference import Reference
    from gnomon.runtime.packages.profile import Profile

    base = world._profiles[world.publish("eta", "0")]
    fields = tuple(
        type(one)(**{**_as_dict(one), "monitored": one.name != "hour"})
        for one in base.input_reference.fields
    )
    shape = Profile(
        inputs=tuple(Field(name=one.name, kind=Kind.FLOAT64) for one in fields),
        rules=(),
        outputs=base.outputs,
        input_reference=Reference(fields, rows=40_000),
        output_reference=base.output_reference,
    )
    digest = world.publish("eta", "1", shape=shape)
    world.place("eta", "1")
    for day in range(3):
        for node in NODES:
            world.window(digest, node=node, day=day, field=1, shift=4.0)
    monitor.run_once(database, AT_ONCE)
    assert open_alerts(database) == []
    assert {row["field"] for row in drift_of(database)} == {"distance", "minutes"}


def _as_dict(one: Any) -> dict[str, Any]:
    import dataclasses

    return dataclasses.asdict(one)


def test_a_new_reference_is_evaluated_again(world: Any, database: Database, eta: str) -> None:
    for day in range(3):
        for node in NODES:
            world.window(eta, node=node, day=day, shift=1.0)
        monitor.run_once(database, AT_ONCE)
    assert [one["kind"] for one in open_alerts(database)] == ["all_moved"]
    reference = world._profiles[eta].input_reference.fields[0]
    wider = type(reference)(**{**_as_dict(reference), "counts": (0, *(9_000,) * 8, 0, 0, 0)})
    base = world._profiles[eta]
    shape = type(base)(
        inputs=base.inputs,
        rules=(),
        outputs=base.outputs,
        input_reference=type(base.input_reference)(
            (wider, *base.input_reference.fields[1:]), rows=72_000
        ),
        output_reference=base.output_reference,
    )
    newer = world.publish("eta", "2", shape=shape)
    world.place("eta", "2")
    for day in range(3, 6):
        for node in NODES:
            world.window(newer, node=node, day=day)
        monitor.run_once(database, AT_ONCE)
    assert open_alerts(database) == []
    assert judged(database) == list(range(6))
    with database.read() as connection:
        closings = connection.scalars(
            select(schema.audit.c.detail).where(schema.audit.c.action == "close_alert")
        ).all()
    assert len(closings) == 1 and "evaluated again, against eta@2" in closings[0]


def test_without_a_version_in_service_nothing_is_evaluated_and_nothing_lost(
    world: Any, database: Database
) -> None:
    digest = world.publish("eta", "1")
    send_day(world, digest, 0)
    monitor.run_once(database, AT_ONCE)
    assert judged(database) == []
    world.place("eta", "1")
    monitor.run_once(database, AT_ONCE)
    assert judged(database) == [0]


def test_what_cannot_be_read_holds_nothing_up(world: Any, database: Database, eta: str) -> None:
    send_day(world, eta, 0)
    with database.write() as connection:
        connection.execute(
            schema.window.update()
            .where(schema.window.c.node == "n4")
            .values(digest="f" * 64, outcomes={})
        )
    monitor.run_once(database, AT_ONCE)
    assert judged(database) == [0]
    assert {row["source"] for row in drift_of(database)} == {"", "n1", "n2", "n3"}


def test_an_active_source_is_waited_for(world: Any, database: Database, eta: str) -> None:
    patient = MonitorSettings(grace_ms=10**12)
    for node in NODES:
        world.window(eta, node=node, day=0)
    monitor.run_once(database, patient)
    assert judged(database) == []
    for node in NODES[:3]:
        world.window(eta, node=node, day=1)
    monitor.run_once(database, patient)
    assert judged(database) == []
    world.window(eta, node="n4", day=1)
    monitor.run_once(database, patient)
    assert judged(database) == [0]


def test_a_source_that_fell_silent_is_not_waited_for(
    world: Any, database: Database, eta: str
) -> None:
    patient = MonitorSettings(grace_ms=10**12)
    world.window(eta, node="n4", day=0, received_at=now_ms() - 2 * patient.active_ms)
    for day in range(2):
        for node in NODES[:3]:
            world.window(eta, node=node, day=day)
    monitor.run_once(database, patient)
    assert judged(database) == [0]


def test_a_clock_that_is_far_ahead_does_not_make_the_rest_late(
    world: Any, database: Database, eta: str
) -> None:
    for day in (50_000, 50_001, 50_002):
        world.window(eta, node="n1", day=day)
    monitor.run_once(database, AT_ONCE)
    for node in NODES:
        world.window(eta, node=node, day=3)
    monitor.run_once(database, AT_ONCE)
    assert judged(database) == [3]
    assert progress(database).late_windows == 0


def test_intervals_close_in_order() -> None:
    settings = MonitorSettings(grace_ms=10, active_ms=1_000)
    sources = {"a": SourceClock(latest_start=20, received_at=100)}
    arrivals = [Arrival((end, end - 10), 100, 100) for end in (10, 20, 30)]
    assert closed(reversed(arrivals), sources, 105, settings) == [(10, 0), (20, 10)]
    assert closed(arrivals, sources, 110, settings) == [(10, 0), (20, 10), (30, 20)]
    # The first that is open holds back what is behind it, though that were over.
    blocked = [Arrival((10, 0), 105, 105), Arrival((9, 3), 105, 105), Arrival((30, 20), 0, 0)]
    assert closed(blocked, {"a": SourceClock(0, 105)}, 110, settings) == []
    # An interval that the clock has not reached is not over, however quiet it is.
    assert closed([Arrival((10**6, 0), 0, 0)], {}, 500, settings) == []


@pytest.mark.both_databases
def test_a_model_that_cannot_be_evaluated_stops_no_other(
    world: Any, database: Database, eta: str
) -> None:
    """The state of `cost`, which comes first, is damaged."""
    world.publish("cost", "1")
    world.place("cost", "1")
    with database.write() as connection:
        connection.execute(
            schema.detector_state.insert().values(
                model="cost", key="fleet", state=b"\xff", position=0, updated_at=0
            )
        )
    for day in range(2):
        send_day(world, eta, day)
        monitor.run_once(database, AT_ONCE)
    assert judged(database) == [0, 1]
    with database.read() as connection:
        (alert,) = alerts.find(connection, model="cost", open_only=True)
    assert (alert.kind, alert.count) == ("evaluation_failed", 1)
    assert "the hub's log has the error" in alert.text


@pytest.mark.parametrize(("nullable", "kind"), [(False, "rows_refused"), (True, "all_moved")])
def test_rows_that_the_contract_refuses_are_no_drift(
    world: Any, database: Database, nullable: bool, kind: str
) -> None:
    shape = profile()
    fields = tuple(dataclasses.replace(one, nullable=nullable) for one in shape.inputs)
    shape = dataclasses.replace(shape, inputs=fields)
    eta = world.publish("eta", "1", shape=shape)
    world.place("eta", "1")
    for day in range(3):
        for node in NODES:
            values = world.random.normal(size=(2, 200))
            values[0, : 10 * (day >= 1)] = np.nan
            named = {one.name: column for one, column in zip(fields, values, strict=True)}
            columns, broken = Contract(fields).check_columns(named)
            window = shape.new_window()
            window.update_columns(columns, broken)
            window.observe(ANSWERED_CODE, 1_000, 200)
            world.send(eta, window, node=node, day=day)
        monitor.run_once(database, AT_ONCE)
    (alert,) = open_alerts(database)
    assert (alert["kind"], alert["field"]) == (kind, "distance")
    assert ("refuses such rows" in alert["text"]) is not nullable
    assert "5.00% of rows" in alert["text"]
    with database.read() as connection:
        last = drift.series(connection, "eta", "distance")[-1]
    assert last.rows == 800 - 40 * (not nullable)
    assert (last.psi - last.chance > 0.05) is nullable


@pytest.mark.parametrize(
    ("factor", "shift", "is_unit"), [(0.5, 6.0, False), (5 / 9, 255.372, True)]
)
def test_an_alert_names_no_unit_that_the_windows_mean_refutes(
    world: Any, database: Database, factor: float, shift: float, is_unit: bool
) -> None:
    """A summer after a reference of winter is beyond it, as kelvin are: their means differ."""
    winter = profile(["temp"])
    known = dataclasses.replace(winter.input_reference.fields[0], unit="°F")
    reference = dataclasses.replace(winter.input_reference, fields=(known,))
    eta = world.publish("eta", "1", shape=dataclasses.replace(winter, input_reference=reference))
    world.place("eta", "1")
    for day in range(3):
        for node in NODES:
            changed = {"factor": factor, "shift": shift} if day >= 1 else {}
            world.window(eta, node=node, day=day, **changed)
        monitor.run_once(database, AT_ONCE)
    texts = [alert["text"] for alert in open_alerts(database)]
    assert texts and "temp" in texts[0]
    assert any("unit" in text for text in texts) is is_unit
    assert not any("wide" in text for text in texts)
