"""A node that the hub has lost is named by an alert, and can be adopted without a token."""

from typing import Any

import httpx
import pytest
from sqlalchemy import delete

from gnomon.runtime.errors import Conflict, NotAllowed, NotFound
from gnomon.server.hub.access.authority import BUILDER, NODE, CertificateIdentity
from gnomon.server.hub.fleet.unknown_nodes import UNKNOWN_NODE, UnknownNodes, adopt
from gnomon.server.hub.monitoring import alerts
from gnomon.server.hub.store import schema
from gnomon.server.hub.store.database import Database
from gnomon.server.hub.store.rights import Actor, parse_grant
from tests.support.hub import Caller, Party


def forget(database: Database, name: str) -> None:
    """Lose a node, as a backup from before its enrolment does."""
    with database.change("test") as change:
        change.execute(delete(schema.node).where(schema.node.c.name == name))
        change.audit("test", name)


def shown(name: str, key: str, role: str = NODE) -> CertificateIdentity:
    return CertificateIdentity(name, role, "1", 0, 10**15, key * 64)


def found(database: Database, *, open_only: bool = True) -> list[tuple[str, str]]:
    with database.read() as connection:
        listed = alerts.find(connection, open_only=open_only)
    return sorted((one.source, one.field[0]) for one in listed if one.kind == UNKNOWN_NODE)


def test_a_node_that_a_restored_hub_lost_comes_back_when_it_is_adopted(
    hub: Any, caller: Caller, node: Party
) -> None:
    node.exchange()
    unknown, database = hub._unknown_nodes, hub.services.database
    forget(database, "device-1")
    for _ in range(2):
        with pytest.raises(NotAllowed, match=r"not enrolled at this hub.*adopt the node"):
            node.exchange()
        unknown.run_once(database)
    (alert,) = caller.get("alerts")
    assert (alert["kind"], alert["source"]) == (UNKNOWN_NODE, "device-1")
    assert "gnomon hub adopt device-1" in alert["text"]
    answer = caller.post("nodes/device-1/adopt", environment="production")
    assert answer == {"name": "device-1", "environment": "production", "key": alert["field"]}
    node.exchange()
    unknown.run_once(database)
    assert caller.get("alerts")[0]["closed_at"] is not None
    (row,) = caller.get("nodes")
    assert (row["name"], row["environment"]) == ("device-1", "production")
    again = caller.http.post("/api/v1/nodes/device-1/adopt", json={})
    assert again.status_code == httpx.codes.CONFLICT
    forget(database, "device-1")
    with pytest.raises(NotAllowed):
        node.exchange()
    unknown.run_once(database)
    assert found(database) == [("device-1", alert["field"][0])]


def test_of_two_keys_one_has_to_be_said(database: Database) -> None:
    unknown = UnknownNodes()
    for one in (shown("n1", "a"), shown("n1", "b"), shown("n2", "c"), shown("ada", "d", BUILDER)):
        unknown.note(one)
    unknown.run_once(database)
    assert found(database) == [("n1", "a"), ("n1", "b"), ("n2", "c")]
    with (
        pytest.raises(Conflict, match=r"2 keys have called by the name 'n1'.*aaaa"),
        database.change("test") as change,
    ):
        adopt(change, "n1", "production")
    with database.change("test") as change:
        assert adopt(change, "n1", "production", "bb") == "b" * 64
    unknown.run_once(database)
    assert found(database) == [("n2", "c")]


@pytest.mark.parametrize(("name", "key"), [("nobody", ""), ("n1", "b"), ("ada", "")])
def test_only_who_has_called_is_adopted(database: Database, name: str, key: str) -> None:
    unknown = UnknownNodes()
    for one in (shown("n1", "a"), shown("ada", "d", BUILDER)):
        unknown.note(one)
    unknown.run_once(database)
    with pytest.raises(NotFound, match="no unknown node"), database.change("test") as change:
        adopt(change, name, "production", key)


def test_a_person_without_the_right_adopts_nobody(database: Database) -> None:
    unknown = UnknownNodes()
    unknown.note(shown("n1", "a"))
    unknown.run_once(database)
    actor = Actor("olga", (parse_grant("operator", "*", "lab"),))
    with pytest.raises(NotAllowed, match="may not adopt node"), database.change(actor) as change:
        adopt(change, "n1", "production")


def test_an_alert_that_a_person_has_closed_stays_closed(database: Database) -> None:
    unknown = UnknownNodes()
    unknown.note(shown("n1", "a"))
    unknown.run_once(database)
    with database.read() as connection:
        (alert,) = alerts.find(connection)
    with database.change("test") as change:
        alerts.close(change, alert.id)
    unknown.note(shown("n1", "a"))
    unknown.run_once(database)
    assert found(database) == []
    with database.change("test") as change:  # and still can be adopted
        assert adopt(change, "n1", "production") == "a" * 64
