"""A package that nodes refuse raises one alert for its model, which closes when none refuses it."""

from typing import Any

import pytest

from gnomon.server.hub.monitoring import alerts, refused_packages
from gnomon.server.hub.store.database import Database


def open_alerts(database: Database) -> dict[tuple[str, str], str]:
    refused_packages.run_once(database)
    with database.read() as connection:
        found = alerts.find(connection, open_only=True)
    assert {one.kind for one in found} <= {"package_refused"}
    assert {one.count for one in found} <= {1}
    return {(one.model, one.source): one.text for one in found}


def refused(digest: str, route: str = "eta", reason: str = "golden samples differ") -> Any:
    return {"route": route, "digest": digest, "reason": reason}


@pytest.mark.both_databases
def test_one_alert_names_package_nodes_and_reason(world: Any, database: Database) -> None:
    world.publish("eta", "1")
    digest = world.publish("eta", "2")
    told = {"generation": 7, "assigned": [digest], "refused": [refused(digest)]}
    world.node("n1", refused_generation=7, **told)
    world.node("n2", refused_generation=6, **told)
    world.node("n3", refused_generation=7, revoked_at=1, **told)
    for _ in range(3):
        found = open_alerts(database)
    assert found == {("eta", ""): "n1 refuses eta@2: golden samples differ"}
    world.node("n1", refused=[])
    world.node("n2", refused_generation=7)
    assert found.keys() == open_alerts(database).keys() - {("", "n1")}
    world.node("n1", refused_generation=0)
    world.node("n2", generation=8)
    assert open_alerts(database) == {}


def test_a_node_is_believed_only_about_what_was_assigned_to_it(
    world: Any, database: Database
) -> None:
    digest = world.publish("eta", "2")
    claims = [refused(digest, "eta"), refused("", "invented"), refused("f" * 64, "\x1b[1m")]
    world.node("n1", generation=7, refused_generation=7, refused=claims)
    assert open_alerts(database) == {
        ("eta", ""): "n1 refuses eta: golden samples differ",
        ("", "n1"): "n1 refuses the desired state: golden samples differ",
    }


def test_a_refusal_of_a_whole_state_without_details_is_an_alert_of_the_node(
    world: Any, database: Database
) -> None:
    world.node("n1", generation=7, refused_generation=7, reason="CHECK: no engine")
    assert open_alerts(database) == {("", "n1"): "n1 refuses the desired state: CHECK: no engine"}
