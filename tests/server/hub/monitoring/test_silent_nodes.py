"""A node that calls no more raises one alert, which closes when it calls again."""

from typing import Any

import pytest

from gnomon.server.hub.monitoring import alerts, silent_nodes
from gnomon.server.hub.monitoring.silent_nodes import MANY, SilenceWatch, check_nodes
from gnomon.server.hub.settings import HubSettings
from gnomon.server.hub.store.clock import now_ms
from gnomon.server.hub.store.database import Database

MINUTE = 60_000


def open_alerts(database: Database) -> list[tuple[str, str, int]]:
    with database.read() as connection:
        found = alerts.find(connection, open_only=True)
    return sorted((one.kind, one.source, one.count) for one in found)


def check(database: Database) -> None:
    check_nodes(database, now_ms() - 15 * MINUTE)


@pytest.mark.both_databases
def test_a_silent_node_raises_one_alert_until_it_calls_again(
    world: Any, database: Database
) -> None:
    world.node("n1", last_seen_at=now_ms() - 20 * MINUTE)
    world.node("n2", last_seen_at=now_ms() - 14 * MINUTE)
    world.node("new", last_seen_at=None)
    world.node("builder", role="builder", last_seen_at=1)
    world.node("gone", revoked_at=1, last_seen_at=1)
    for _ in range(3):
        check(database)
    assert open_alerts(database) == [("node_silent", "n1", 1)]
    with database.read() as connection:
        (alert,) = alerts.find(connection)
    assert alert.text == "n1 has not called for 15 minutes"
    world.node("n1", last_seen_at=now_ms())
    check(database)
    assert open_alerts(database) == []
    world.node("n1", last_seen_at=1)
    check(database)
    world.node("n1", revoked_at=now_ms())
    check(database)
    assert open_alerts(database) == []
    with database.read() as connection:
        assert [one.closed_at is None for one in alerts.find(connection)] == [False, False]


def test_many_silent_nodes_raise_one_alert_together(world: Any, database: Database) -> None:
    for number in range(MANY + 5):
        world.node(f"n{number:02}", last_seen_at=1 if number < MANY else now_ms())
    check(database)
    assert len(open_alerts(database)) == MANY
    world.node("n12", last_seen_at=1)
    for _ in range(3):
        check(database)
    assert open_alerts(database) == [("nodes_silent", "", 1)]
    world.node("n13", last_seen_at=1)  # one more is no news
    check(database)
    assert open_alerts(database) == [("nodes_silent", "", 1)]


def test_the_time_without_a_hub_is_no_silence(
    world: Any, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = now_ms()
    world.node("n1", last_seen_at=started - 24 * 60 * MINUTE)
    watch, never = SilenceWatch(15 * MINUTE), SilenceWatch(0)
    # At the 26th minute it was frozen for ten, in which no node could call.
    for minutes in (*range(15), *range(26, 43)):
        monkeypatch.setattr(silent_nodes, "now_ms", lambda m=minutes: started + m * MINUTE)
        never.run_once(database)
        assert len(open_alerts(database)) == (minutes > 25 + 15 + 1), minutes
        watch.run_once(database)
        assert len(open_alerts(database)) == (minutes > 25 + 15), minutes


@pytest.mark.parametrize(("seconds", "silent_ms"), [(900, 900_000), (10, 15_000), (0, 0)])
def test_a_node_may_miss_three_calls(seconds: int, silent_ms: int) -> None:
    settings = HubSettings(node_silent_seconds=seconds, node_call_ms=5_000)
    assert settings.node_silent_ms == silent_ms


def test_a_limit_below_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="node_silent_seconds"):
        HubSettings(node_silent_seconds=-1)
