"""What a running hub does by itself, with its own settings."""

import dataclasses
from collections.abc import Iterator

import pytest
from sqlalchemy import insert, select

from gnomon.server.hub.monitoring import alerts, silent_nodes
from gnomon.server.hub.process import Hub
from gnomon.server.hub.settings import HubSettings
from gnomon.server.hub.store import schema
from gnomon.server.hub.webhooks import targets
from tests.support.hub_world import World
from tests.support.waiting import wait_for


@pytest.fixture
def busy_hub(settings: HubSettings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub that ticks, and for which a second is long."""
    monkeypatch.setattr(silent_nodes, "EVERY_MS", 0)
    hub = Hub(dataclasses.replace(settings, tick_seconds=0.1, node_silent_seconds=1))
    hub.start()
    yield hub
    hub.stop()


@pytest.mark.parametrize(
    ("event_kind", "alert_kind"),
    [("audit_chain", "audit_chain"), ("restore_failed", "content_damaged")],
)
def test_what_a_node_says_is_wrong_is_reported(
    busy_hub: Hub, event_kind: str, alert_kind: str
) -> None:
    database = busy_hub.services.database
    event = {"node": "n1", "boot": "b", "sequence": 1, "at": 1, "received_at": 1}
    with database.write() as connection:
        connection.execute(insert(schema.event).values(**event, kind=event_kind, detail="no"))

    def kinds() -> list[str]:
        with database.read() as connection:
            return [one.kind for one in alerts.find(connection)]

    assert wait_for(kinds) == [alert_kind]


def test_a_silent_node_is_reported_and_the_report_does_not_reach_the_hub_itself(
    busy_hub: Hub,
) -> None:
    database, secrets = busy_hub.services.database, busy_hub.services.webhook_secrets
    with database.change("ada") as change:
        # Past the check of the address when a webhook is set.
        targets.add(change, "self", busy_hub.addresses.rest, ["alert.opened"], "*", secrets)
    World(database).node("n1", last_seen_at=1)

    def errors() -> list[str]:
        with database.read() as connection:
            return [*filter(None, connection.scalars(select(schema.delivery.c.error)))]

    assert wait_for(errors) == ["webhooks do not go to the hub itself"]
    with database.read() as connection:
        (alert,) = alerts.find(connection)
    assert (alert.kind, alert.source) == (silent_nodes.NODE_SILENT, "n1")
