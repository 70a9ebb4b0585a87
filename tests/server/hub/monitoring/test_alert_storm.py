"""A storm of alerts is one alert on the page and one message to each receiver, with the count."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select

from gnomon.server.hub.alert_kinds import KINDS
from gnomon.server.hub.monitoring import alerts
from gnomon.server.hub.monitoring.alert_groups import MANY
from gnomon.server.hub.store import schema
from gnomon.server.hub.store.audit import verify_chain
from gnomon.server.hub.store.clock import now_ms
from gnomon.server.hub.store.database import Database
from gnomon.server.hub.webhooks import queue
from gnomon.server.hub.webhooks.grouping import FEW
from gnomon.server.hub.webhooks.queue import QueueSettings


@pytest.fixture(autouse=True)
def webhooks(database: Database) -> None:
    """Two receivers of all alerts."""
    with database.write() as connection:
        for name in ("board", "phone"):
            values = {"events": ["alert.*"], "models": "*", "secret": "", "since": 0}
            values |= {"id": name, "name": name, "url": "https://example.com", "actor": "ada"}
            connection.execute(insert(schema.webhook).values(created_at=1, **values))


def moved(node: str, model: str = "eta") -> alerts.Condition:
    return alerts.Condition(model, "source_moved", node, "wind", "1", f"{node} has moved")


def open_alerts(database: Database) -> list[alerts.Alert]:
    with database.read() as connection:
        assert verify_chain(connection).intact
        return alerts.find(connection, open_only=True)


def messages(database: Database) -> dict[str, list[dict[str, Any]]]:
    queue.fill(database, QueueSettings())
    found: dict[str, list[dict[str, Any]]] = {"board": [], "phone": []}
    columns = schema.delivery.c
    with database.read() as connection:
        for row in connection.execute(
            select(columns.webhook, columns.body).order_by(columns.sequence)
        ):
            found[row.webhook].append(json.loads(row.body))
    return found


@pytest.mark.both_databases
def test_many_nodes_at_once_are_one_alert_and_one_message(database: Database) -> None:
    nodes = 60
    with database.write() as connection:
        for number in range(nodes):
            alerts.raise_alert(connection, moved(f"n{number}"))
        alerts.raise_alert(connection, moved("other", model="fraud"))
    by_model = {one.model: one for one in open_alerts(database)}
    assert len(open_alerts(database)) == 2
    assert (by_model["eta"].nodes, by_model["eta"].source) == (nodes, "")
    assert (by_model["fraud"].nodes, by_model["fraud"].source) == (0, "other")
    for sent in messages(database).values():
        assert [(one["subject"], one.get("count", 1)) for one in sent] == [
            ("eta", nodes),
            ("fraud", 1),
        ]
        assert sent[0]["detail"]["text"].startswith(f"{nodes} nodes; more than {MANY} nodes show")


def test_the_same_nodes_again_are_counted_once(database: Database) -> None:
    for _ in range(2):
        with database.write() as connection:
            for number in range(MANY + 3):
                alerts.raise_alert(connection, moved(f"n{number}"))
    (alert,) = open_alerts(database)
    assert alert.nodes == MANY + 3
    assert len(messages(database)["board"]) == 1


def test_a_few_nodes_have_alerts_of_their_own(database: Database) -> None:
    with database.write() as connection:
        for number in range(MANY):
            alerts.raise_alert(connection, moved(f"n{number}"))
    assert {one.nodes for one in open_alerts(database)} == {0}
    (message,) = messages(database)["phone"]
    assert message["count"] == MANY > FEW
    assert message["detail"]["text"] == f"{MANY} alerts: source moved; the first: n0 has moved"
    assert len(message["detail"]["alerts"]) == MANY


def test_what_opens_and_closes_between_two_passes_is_not_sent(database: Database) -> None:
    with database.write() as connection:
        alerts.raise_alert(connection, moved("n1"))
    (alert,) = open_alerts(database)
    with database.change(alerts.MONITOR) as change:
        alerts.close(change, alert.id, "again in order")
    assert messages(database)["board"] == []


def test_the_worst_alert_is_listed_first(database: Database) -> None:
    with database.write() as connection:
        for kind in ("source_moved", "nodes_silent", "error_rose"):
            alerts.raise_alert(connection, alerts.Condition("eta", kind, "", "", "", kind))
    found = open_alerts(database)
    assert [one.severity for one in found] == ["critical", "error", "warning"]
    assert (found[0].component, found[0].certainty) == ("network", "observed")
    assert found[0].opened_at <= now_ms()
    assert found[0].first_look.startswith("Look at the network")


def test_every_kind_is_known_and_documented() -> None:
    page = Path(__file__).parents[4] / "docs" / "monitoring.md"
    rows = re.findall(r"^\| (`[a-z_]+`(?:, `[a-z_]+`)*) \|", page.read_text(), re.M)
    documented = {kind for row in rows for kind in re.findall("`([a-z_]+)`", row)}
    assert KINDS.keys() <= documented
