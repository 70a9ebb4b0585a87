"""Records are deleted once they have been kept long enough, and nothing else is."""

import itertools
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Table, func, insert, select, update

from gnomon.server.hub.monitoring import expiry, labels, retention, waiting
from gnomon.server.hub.monitoring.label_sources import LabelSource
from gnomon.server.hub.monitoring.retention import Retention
from gnomon.server.hub.settings import HubSettings
from gnomon.server.hub.store import schema
from gnomon.server.hub.store.clock import DAY_MS, now_ms
from gnomon.server.hub.store.database import Database
from tests.support.hub_world import World

OLD = 10 * DAY_MS
KEPT = {"window": 9, "label": 9, "sample": 9, "event": 9, "alert": 9, "delivery": 9}


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(expiry, "BATCH", 3)
    monkeypatch.setattr(retention, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(retention, "RUN_SECONDS", 60.0)
    return


def number(database: Database, table: Table) -> int:
    with database.read() as connection:
        return connection.scalar(select(func.count()).select_from(table)) or 0


def fill(database: Database, table: Table, ages: list[int], **values: Any) -> None:
    """Insert a row for each age in milliseconds, with a number of its own in `at`."""
    now = now_ms()
    rows = [{"received_at": now - age, "at": number, **values} for number, age in enumerate(ages)]
    with database.write() as connection:
        connection.execute(insert(table), rows)


EVENT = {"node": "n1", "boot": "b", "sequence": 1, "kind": "k", "detail": ""}
PREDICTION = {"request_id": "r", "node": "n1", "digest": "d", "model": "eta", "value": 1.0}
REFUSAL = {
    "node": "n1",
    "digest": "d",
    "model": "eta",
    "request_id": "r",
    "field": "f",
    "rule": "r",
    "value": "",
    "expected": "",
}


@pytest.mark.both_databases
@pytest.mark.parametrize(
    ("kind", "table", "values"),
    [
        ("event", schema.event, EVENT),
        ("label", schema.prediction, PREDICTION),
        ("sample", schema.refusal, REFUSAL),
    ],
)
def test_what_arrived_long_ago_is_deleted_by_the_hubs_clock(
    database: Database, kind: str, table: Table, values: dict[str, Any]
) -> None:
    fill(database, table, [OLD] * 8 + [0] * 2, **values)
    Retention(KEPT | {kind: 0}).run_once(database)
    assert number(database, table) == 10  # for ever
    Retention(KEPT).run_once(database)
    assert number(database, table) == 2


@pytest.mark.both_databases
def test_a_labels_age_counts_from_its_correction_and_waiting_labels_are_counted(
    database: Database,
) -> None:
    World(database).publish("eta", "1")
    with database.write() as connection:
        rows = [labels.LabelRow("eta", f"r{number}", 0, 1.0) for number in range(8)]
        labels.ingest(connection, rows, LabelSource("ada", is_node=False))
        connection.execute(
            update(schema.label)
            .where(schema.label.c.request_id.not_in(["r1", "r7"]))
            .values(received_at=now_ms() - OLD)
        )
    Retention(KEPT).run_once(database)
    with database.read() as connection:
        assert connection.scalars(select(schema.label.c.request_id)).all() == ["r1", "r7"]
        assert waiting.count(connection, "eta") == 2


@pytest.mark.both_databases
def test_windows_go_with_their_figures_of_drift_and_totals_stay(database: Database) -> None:
    world = World(database)
    digest = world.publish("eta", "1")
    figures = {"source": "", "field": "f", "version": "1", "rows": 1, "psi": 0.0, "chance": 0.0}
    for day in range(6):
        world.window(digest, day=day, received_at=now_ms() - (OLD if day < 5 else 0))
        interval = {"model": "eta", "started_at": day * DAY_MS, "ended_at": (day + 1) * DAY_MS}
        with database.write() as connection:
            connection.execute(insert(schema.drift).values(**interval, **figures))
    Retention(KEPT).run_once(database)
    with database.read() as connection:
        assert connection.scalars(select(schema.window.c.started_at)).all() == [5 * DAY_MS]
        assert connection.scalars(select(schema.drift.c.started_at)).all() == [5 * DAY_MS]
        assert connection.scalar(select(func.sum(schema.tally.c.rows))) == 6 * 200


def test_the_newest_window_stays_so_that_the_monitor_reads_the_next(database: Database) -> None:
    world = World(database)
    digest = world.publish("eta", "1")
    for day in range(5):
        world.window(digest, day=day, received_at=now_ms() - OLD)
    with database.read() as connection:
        last = connection.scalar(select(func.max(schema.window.c.position)))
    Retention(KEPT).run_once(database)
    world.window(digest, day=6)
    with database.read() as connection:
        assert connection.scalar(select(func.max(schema.window.c.position))) == last + 1
        assert number(database, schema.window) == 2


def test_windows_of_an_active_rollout_stay(database: Database) -> None:
    world = World(database)
    digest = world.publish("eta", "1")
    for _ in range(4):
        world.window(digest, received_at=now_ms() - OLD)
    rollout = {
        "id": "R",
        "model": "eta",
        "champion": "1",
        "candidate": "2",
        "state": "running",
        "weight": 1,
        "shadow": 0,
        "step": 0,
        "plan": {},
        "created_at": now_ms() - 2 * OLD,
        "updated_at": now_ms(),
        "actor": "ada",
    }
    with database.write() as connection:
        connection.execute(insert(schema.rollout).values(**rollout))
    Retention(KEPT).run_once(database)
    assert number(database, schema.window) == 4


@pytest.mark.both_databases
def test_only_closed_alerts_and_ended_deliveries_expire(database: Database) -> None:
    now = now_ms()
    alert = dict.fromkeys(("model", "version", "kind", "source", "field", "text"), "")
    alert |= {"opened_at": 1, "last_at": 1, "count": 1, "evidence": {}}
    delivery = {"webhook": "w", "event": "e", "body": "", "attempts": 1, "created_at": 1}
    delivery |= {"next_at": 1, "error": ""}
    with database.write() as connection:
        for name, closed_at in (("open", None), ("old", now - OLD), ("new", now)):
            row = alert | {"id": name, "key": name, "closed_at": closed_at}
            connection.execute(insert(schema.alert).values(**row))
        for sequence, (state, ended_at) in enumerate(
            (("waiting", None), ("dead", now - OLD), ("dead", now))
        ):
            row = delivery | {"id": str(sequence), "sequence": sequence, "state": state}
            connection.execute(insert(schema.delivery).values(**row, ended_at=ended_at))
    Retention(KEPT).run_once(database)
    with database.read() as connection:
        assert sorted(connection.scalars(select(schema.alert.c.id))) == ["new", "open"]
        assert sorted(connection.scalars(select(schema.delivery.c.id))) == ["0", "2"]


def test_writers_have_their_turn_between_two_batches(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Retention never holds the writers' lock for longer than one batch."""
    fill(database, schema.event, [OLD] * 30, **EVENT)
    turns: list[int] = []

    class Stopped(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            turns.append(number(database, schema.event))
            with database.write() as connection:  # would wait for ever if the lock were held
                connection.execute(insert(schema.event).values(at=0, received_at=now_ms(), **EVENT))
            return False

    task = Retention({"event": 9})
    monkeypatch.setattr(task, "_stopped", Stopped())
    task.run_once(database)
    assert max(before - after for before, after in itertools.pairwise(turns)) <= 3


def test_a_run_ends_in_time_and_goes_on_at_the_next_tick(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(database, schema.event, [OLD] * 10, **EVENT)
    task = Retention({"event": 9})
    monkeypatch.setattr(retention, "RUN_SECONDS", -1.0)
    task.run_once(database)
    assert number(database, schema.event) == 10
    monkeypatch.setattr(retention, "RUN_SECONDS", 60.0)
    task.run_once(database)
    assert number(database, schema.event) == 1


def test_each_kind_has_a_setting() -> None:
    assert {rule.kind for rule in retention.RULES} == set(HubSettings().kept_days)
    with pytest.raises(ValueError, match="keep_window_days should be at least 0"):
        HubSettings(keep_window_days=-1)
