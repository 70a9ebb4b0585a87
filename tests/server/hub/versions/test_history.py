"""What ran when, and where a version came from and went to."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from pydantic_core import to_jsonable_python
from sqlalchemy import update

from gnomon.runtime.errors import InvalidInput, UnknownModel
from gnomon.server.hub.ingest import counts
from gnomon.server.hub.store import schema
from gnomon.server.hub.store.database import Database
from gnomon.server.hub.versions import history

pytestmark = pytest.mark.both_databases

DAY = 86_400_000
FIRST = datetime(2026, 3, 1, tzinfo=UTC)
FIRST_DAY = int(FIRST.timestamp()) // 86_400


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The hub's clock, as the test sets it: noon of the n-th day since the first."""
    from gnomon.server.hub import placements
    from gnomon.server.hub.rollout import rollouts, transitions

    now = [0]

    def at(day: int) -> None:
        now[0] = (FIRST_DAY + day) * DAY + DAY // 2

    for module in (placements, rollouts, transitions):
        monkeypatch.setattr(module, "now_ms", lambda: now[0])
    ids = count()
    monkeypatch.setattr(placements, "new_id", lambda: f"{next(ids):026}")
    at(0)
    yield at


def ran(database: Database, when: str, model: str | None = None) -> Any:
    with database.read() as connection:
        return to_jsonable_python(history.ran_at(connection, history.Span.parse(when), model))


def placed(database: Database, when: str) -> dict[str, list[str]]:
    return {
        one["model"]: [placement["version"] for placement in one["placements"]]
        for one in ran(database, when)
    }


def test_what_ran_on_a_day_is_known(world: Any, database: Database, clock: Any) -> None:
    for model, version in (("eta", "1"), ("eta", "2"), ("cost", "1")):
        world.publish(model, version)
    world.place("eta", "1")
    clock(2)
    world.place("eta", "2")
    clock(4)
    world.place("cost", "1")

    assert placed(database, "2026-02-28") == {}
    assert placed(database, "2026-03-01") == {"eta": ["1"]}
    assert placed(database, "2026-03-02") == {"eta": ["1"]}
    assert placed(database, "2026-03-03") == {"eta": ["1", "2"]}
    assert placed(database, "2026-03-03T11:59:59Z") == {"eta": ["1"]}
    assert placed(database, "2026-03-03T12:00") == {"eta": ["2"]}
    assert placed(database, "2026-03-03T12:30+01:00") == {"eta": ["1"]}
    assert placed(database, "2026-03-05") == {"cost": ["1"], "eta": ["2"]}
    (only,) = ran(database, "2026-03-05", "cost")
    assert only["placements"][0]["actor"] == "ada"


def test_what_nodes_counted_is_reported_by_the_datas_own_day(
    world: Any, database: Database
) -> None:
    one, two = (world.publish("eta", version) for version in ("1", "2"))
    for day, digest, node, rows in (
        (0, one, "n1", 100),
        (0, one, "n1", 50),
        (0, two, "n2", 30),
        (1, two, "n1", 20),
    ):
        world.window(digest, node=node, day=FIRST_DAY + day, rows=rows)
    (whole,) = ran(database, "2026-03-01")
    seen = [(row["version"], row["nodes"], row["rows"]) for row in whole["counted"]]
    assert seen == [("1", 1, 150), ("2", 1, 30)]
    (first,) = ran(database, "2026-03-01", "eta")
    kept = [(row["version"], row["node"], row["rows"]) for row in first["counted"]]
    assert kept == [("1", "n1", 150), ("2", "n2", 30)]
    (second,) = ran(database, "2026-03-02T06:00")
    assert [row["rows"] for row in second["counted"]] == [20]


def test_counts_of_what_is_current_leave_history_out(world: Any, database: Database) -> None:
    digests = [world.publish("eta", version) for version in ("1", "2")]
    for digest in digests:
        world.window(digest, rows=10)
    unread = {
        "model": "local",
        "version": "",
        "node": "n1",
        "shadow": False,
        "started_at": 0,
        "outcomes": {},
        "rows": 7,
    }
    with database.write() as connection:
        counts.add(connection, [unread, unread])

    def current() -> list[tuple[str, str, int]]:
        with database.read() as connection:
            rows = to_jsonable_python(counts.current(connection))
        return [(row["model"], row["version"], row["rows"]) for row in rows]

    assert current() == [("local", "", 14)]
    world.place("eta", "1")
    assert current() == [("eta", "1", 10), ("local", "", 14)]
    world.place("eta", "2")
    assert current() == [("eta", "2", 10), ("local", "", 14)]
    with database.read() as connection:
        assert len(counts.by_outcome(connection, "eta")) == 2


def test_a_rollout_shows_its_share_of_that_time(world: Any, database: Database, clock: Any) -> None:
    from gnomon.server.hub.rollout import rollouts
    from gnomon.server.hub.rollout.plan import RolloutPlan

    digests = [world.publish("eta", version) for version in ("1", "2")]
    world.place("eta", "1")
    world.node("n1", digests=digests, facts={"engines": "onnx"})
    clock(1)
    with database.change("ada") as change:
        rollout_id = rollouts.create(change, "eta", "2", RolloutPlan(staging_seconds=0))
    clock(2)
    rollouts.run_once(database)
    clock(3)
    with database.change("ada") as change:
        rollouts.abort(change, rollout_id, "enough")

    def shares(when: str) -> list[list[int]]:
        (eta,) = ran(database, when)
        return [[step["weight"] for step in one["steps"]] for one in eta["rollouts"]]

    assert shares("2026-03-01") == []
    assert shares("2026-03-02") == [[]]
    assert shares("2026-03-03") == [[100]]
    assert shares("2026-03-05") == []


@pytest.mark.parametrize("when", ["", "yesterday", "2026-13-01", "1e400"])
def test_a_time_that_is_none_is_refused(when: str) -> None:
    with pytest.raises(InvalidInput, match="expected one such as"):
        history.Span.parse(when)


def test_the_future_is_not_known() -> None:
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    with pytest.raises(InvalidInput, match="is in the future"):
        history.Span.parse(tomorrow)


def test_a_version_is_followed_from_data_to_nodes(
    world: Any, database: Database, clock: Any
) -> None:
    one, two = (world.publish("eta", version) for version in ("1", "2"))
    world.publish("other", "1")
    with database.write() as connection:
        connection.execute(update(schema.version).values(dataset="d" * 64))
    world.place("eta", "1")
    world.node("n3", digests=[one])
    world.window(one, node="n1", rows=40)
    world.window(two, node="n2", rows=10)

    with database.read() as connection:
        followed = to_jsonable_python(history.lineage(connection, "eta", "1"))
        assert history.lineage(connection, "eta", "2").placements == []
        with pytest.raises(UnknownModel, match="eta@9"):
            history.lineage(connection, "eta", "9")
    assert followed["dataset"]["others"] == ["eta@2", "other@1"]
    assert followed["aliases"] == ["champion"]
    assert [package["digest"] for package in followed["packages"]] == [one]
    assert [placement["actor"] for placement in followed["placements"]] == ["ada"]
    assert followed["nodes"] == [
        {"node": "n1", "rows": 40, "installed": False},
        {"node": "n3", "rows": 0, "installed": True},
    ]


def test_what_other_environments_counted_is_distinguished(world: Any, database: Database) -> None:
    digest = world.publish("eta", "1")
    world.window(digest, day=FIRST_DAY, rows=100)
    world.window(digest, node="n2", day=FIRST_DAY, rows=30, environment="staging")
    with database.read() as connection:
        span = history.Span.parse("2026-03-01")
        (there,) = history.ran_at(connection, span, None, "staging")
    assert [(row.environment, row.rows) for row in there.counted] == [("staging", 30)]
    (everywhere,) = ran(database, "2026-03-01")
    assert [row["rows"] for row in everywhere["counted"]] == [100, 30]
