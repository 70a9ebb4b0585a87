"""A node whose packages were damaged raises one alert, which closes when it is whole again."""

import pytest
from sqlalchemy import insert

from gnomon.server.hub.monitoring import alerts
from gnomon.server.hub.monitoring.damaged_content import DamageWatch
from gnomon.server.hub.store import schema
from gnomon.server.hub.store.database import Database


def say(database: Database, node: str, kind: str, detail: str = "") -> None:
    event = {"node": node, "boot": "b", "sequence": 1, "at": 1, "received_at": 1}
    with database.write() as connection:
        connection.execute(insert(schema.event).values(**event, kind=kind, detail=detail))


def found(database: Database) -> list[tuple[str, str, bool]]:
    with database.read() as connection:
        ones = alerts.find(connection)
    return sorted((one.kind, one.source, one.closed_at is None) for one in ones)


@pytest.mark.both_databases
def test_damage_is_an_alert_until_the_node_has_installed_again(database: Database) -> None:
    watch = DamageWatch()
    watch.run_once(database)
    say(database, "n1", "installed")
    say(database, "n1", "restore_failed", "eta@1: chunk 3 is damaged")
    say(database, "n1", "warning", "the disk is full")
    say(database, "n2", "installed")
    for _ in range(2):
        watch.run_once(database)
    assert found(database) == [("content_damaged", "n1", True)]
    with database.read() as connection:
        (alert,) = alerts.find(connection)
    assert alert.text == "n1 could not restore what was in service: eta@1: chunk 3 is damaged"
    DamageWatch().run_once(database)  # of another hub, or after a restart
    assert found(database) == [("content_damaged", "n1", True)]
    say(database, "n1", "installed")
    watch.run_once(database)
    assert found(database) == [("content_damaged", "n1", False)]


def test_damage_that_was_mended_meanwhile_raises_nothing(database: Database) -> None:
    say(database, "n1", "restore_failed")
    say(database, "n1", "installed")
    DamageWatch().run_once(database)
    assert found(database) == []


def test_an_alert_that_a_person_closed_is_raised_again_by_another_event_alone(
    database: Database,
) -> None:
    watch = DamageWatch()
    say(database, "n1", "restore_failed")
    watch.run_once(database)
    with database.change("ada") as change:
        (alert,) = alerts.find(change.connection)
        alerts.close(change, alert.id)
    watch.run_once(database)
    assert found(database) == [("content_damaged", "n1", False)]
    say(database, "n1", "restore_failed")
    watch.run_once(database)
    assert ("content_damaged", "n1", True) in found(database)
