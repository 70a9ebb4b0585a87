"""The registry answers the same over gRPC, REST and command line."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner
from fastapi.routing import APIRoute

from gnomon.command.root import root
from gnomon.runtime.errors import InvalidInput, NotAllowed, UnknownModel
from gnomon.runtime.packages.package import Package
from gnomon.server.hub.application import API
from gnomon.server.hub.grpc.operations import OPERATIONS
from gnomon.server.hub.monitoring import alerts

Make = Callable[..., Package]

ETA = {"name": "eta"}
ETA_1 = {"name": "eta", "version": "1"}

#: Operation, its parameters, REST's path and query, and the command line that prints the same.
SAME: list[tuple[str, dict[str, Any], str, dict[str, Any], str]] = [
    ("list_models", {}, "models", {}, "models"),
    ("list_versions", ETA, "models/eta/versions", {}, ""),
    ("get_version", ETA_1, "models/eta/versions/1", {}, ""),
    ("search_versions", {"tag": "region"}, "versions", {"tag": "region"}, "versions --tag region"),
    ("list_aliases", ETA, "models/eta/aliases", {}, "alias eta"),
    ("get_alias", {**ETA, "alias": "champion"}, "models/eta/aliases/champion", {}, ""),
    ("get_lineage", ETA_1, "models/eta/versions/1/lineage", {}, "show eta@1"),
    (
        "compare_versions",
        {**ETA, "left": "1", "right": "2"},
        "models/eta/compare",
        {"left": "1", "right": "2"},
        "compare eta 1 2",
    ),
    (
        "ran_at",
        {"when": "2026-03-01", "environment": "production"},
        "registry/at",
        {"when": "2026-03-01", "environment": "production"},
        "at 2026-03-01 --env production",
    ),
    ("list_placements", {"model": "eta"}, "placements", {"model": "eta"}, ""),
    ("list_environments", {}, "environments", {}, ""),
    ("list_approvals", ETA_1, "models/eta/versions/1/approvals", {}, "approvals eta@1"),
]


@pytest.fixture
def filled(caller: Any, builder: Any, make: Make) -> None:
    for version in ("1", "2"):
        builder.publish(make(version))
    caller.post("placements", model="eta", version="1")
    caller.post("models/eta/versions/1/tags", tags={"region": "north"})


def test_every_operation_is_a_route_of_the_same_name() -> None:
    routes = {
        route.name for router in API for route in router.routes if isinstance(route, APIRoute)
    }
    assert set(OPERATIONS) <= routes
    assert {name for name, *_ in SAME} == {n for n, one in OPERATIONS.items() if one.read}


def test_all_three_say_the_same(filled: None, caller: Any, builder: Any) -> None:
    for operation, parameters, path, query, line in SAME:
        answer = builder.ask(operation, **parameters)
        assert answer == caller.get(path, **query), operation
        if line:
            arguments = ["registry", *line.split(), "--url", caller.addresses.rest, "--json"]
            printed = CliRunner().invoke(root, arguments, obj=None)
            assert json.loads(printed.output) == answer, operation


def test_people_do_by_command_line_what_rest_does(
    filled: None, caller: Any, hub: Any, node: Any
) -> None:
    def command(*arguments: str) -> Any:
        line = ["hub", *arguments, "--url", caller.addresses.rest, "--json"]
        result = CliRunner().invoke(root, line, obj=None)
        assert result.exit_code == 0, result.output
        return json.loads(result.output)

    begun = caller.post("rollouts", model="eta", version="2")
    assert command("rollouts", "--env", "production")[0]["id"] == begun["id"]
    assert command("abort", begun["id"], "--reason", "changed my mind")["state"] == "aborted"
    with hub.services.database.write() as connection:
        condition = alerts.Condition("eta", "all_moved", "", "distance", "1", "moved")
        alerts.raise_alert(connection, condition)
    (alert,) = command("alerts")
    assert command("acknowledge", alert["id"])["acknowledged_by"] == "local"
    assert command("close", alert["id"], "--reason", "a holiday")["closed_at"]
    assert command("revoke", "device-1")["revoked"]
    key = caller.get("keys")[0]["key"]
    assert command("untrust", key)["revoked"]
    done = [one["action"] for one in caller.get("audit", limit=6)]
    assert done[:4] == ["revoke_key", "revoke", "close_alert", "acknowledge_alert"]


@pytest.mark.both_databases
def test_a_builder_names_and_tags_what_it_may(filled: None, caller: Any, builder: Any) -> None:
    assert builder.ask("set_alias", **ETA_1, alias="audited") == {
        "audited": "1",
        "champion": "1",
    }
    assert builder.ask("set_tags", **ETA_1, tags={"checked": "yes"})["checked"] == "yes"
    newest = caller.get("audit", limit=2)
    assert [(one["actor"], one["action"]) for one in newest] == [
        ("ada", "tag"),
        ("ada", "set_alias"),
    ]
    assert builder.ask("set_alias", name="eta", alias="audited") == {"champion": "1"}


def test_what_cannot_be_asked_is_refused_by_name(
    filled: None, builder: Any, node: Any, caller: Any, fresh_key: Any
) -> None:
    with pytest.raises(InvalidInput, match="no operation 'fly'; there are list_models"):
        builder.ask("fly")
    with pytest.raises(InvalidInput, match="version: Field required"):
        builder.ask("get_version", name="eta")
    with pytest.raises(InvalidInput, match="colour"):
        builder.ask("search_versions", colour="red")
    with pytest.raises(UnknownModel, match="no model 'cost'"):
        builder.ask("get_version", name="cost", version="1")
    with pytest.raises(NotAllowed):
        node.ask("list_models")
    token, key = caller.post("tokens", role="builder", name="bob", models="cost-*"), fresh_key()
    answer = caller.stranger(token).enrol(token["token"], key, "bob")
    bob = caller.known(answer.authority, key, answer.certificate)
    assert bob.ask("get_version", **ETA_1)["version"] == "1"
    with pytest.raises(NotAllowed, match="'bob' may not set alias of model 'eta'"):
        bob.ask("set_alias", **ETA_1, alias="mine")
