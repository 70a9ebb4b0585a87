"""Environments: each has its own nodes, versions in service, rollouts and history."""

import json
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
from click.testing import CliRunner

from gnomon.command.root import root
from gnomon.runtime.errors import Conflict
from gnomon.runtime.packages.package import Package

Make = Callable[..., Package]


def command(caller: Any, *arguments: str) -> Any:
    line = [*arguments, "--url", caller.addresses.rest, "--json"]
    result = CliRunner().invoke(root, line, obj=None)
    assert result.exit_code == 0, result.output
    return json.loads(result.output)


def enrol(caller: Any, fresh_key: Any, name: str, environment: str) -> Any:
    token = command(caller, "hub", "token", "--name", name, "--env", environment)
    key = fresh_key()
    answer = caller.stranger(token).enrol(token["token"], key, name)
    return caller.known(answer.authority, key, answer.certificate)


def wanted(node: Any) -> list[str]:
    desired = node.exchange(facts={"engines": "onnx"}).desired
    return [package.version for package in desired.packages]


@pytest.mark.both_databases
def test_a_node_gets_what_its_environment_has(
    caller: Any, builder: Any, make: Make, fresh_key: Any
) -> None:
    for version in ("1", "2"):
        builder.publish(make(version))
    staging = enrol(caller, fresh_key, "device-s", "staging")
    production = enrol(caller, fresh_key, "device-p", "production")
    assert (wanted(staging), wanted(production)) == ([], [])

    command(caller, "hub", "place", "eta@1")
    command(caller, "hub", "place", "eta@2", "--env", "staging")
    assert (wanted(staging), wanted(production)) == (["2"], ["1"])
    (model,) = caller.get("models")
    assert model["in_service"] == "1"
    assert model["environments"] == {"production": "1", "staging": "2"}
    assert caller.get("models/eta/aliases") == {"champion": "1"}

    before = production.exchange(facts={"engines": "onnx"}).desired.generation
    moved = command(caller, "hub", "move", "device-p", "--env", "staging")
    assert moved["previous"] == "production"
    answer = production.exchange(facts={"engines": "onnx"}).desired
    assert [package.version for package in answer.packages] == ["2"]
    assert answer.generation > before
    listed = {one["name"]: one["nodes"] for one in command(caller, "hub", "environments")}
    assert listed == {"development": 0, "test": 0, "staging": 2, "production": 0}


def test_a_token_of_another_environment_takes_no_name_over(
    caller: Any, fresh_key: Any, builder: Any
) -> None:
    """Who may make tokens for staging could otherwise become a node, or a builder, elsewhere."""
    enrol(caller, fresh_key, "device-1", "production")
    for name, told in (("device-1", "as a node in production"), ("ada", "as a builder")):
        token = caller.post("tokens", role="node", name=name, environment="staging")
        with pytest.raises(Conflict, match=told):
            caller.stranger(token).enrol(token["token"], fresh_key(), name)
    enrol(caller, fresh_key, "device-1", "production")
    caller.post("nodes/device-1/environment", environment="staging")
    enrol(caller, fresh_key, "device-1", "staging")


def test_rollouts_of_two_environments_do_not_meet(
    caller: Any, builder: Any, make: Make, fresh_key: Any
) -> None:
    for version in ("1", "2"):
        builder.publish(make(version))
    staging = enrol(caller, fresh_key, "device-s", "staging")
    for environment in ("staging", "production"):
        caller.post("placements", model="eta", version="1", environment=environment)
    begun = command(caller, "hub", "rollout", "eta@2", "--env", "staging")
    assert begun["environment"] == "staging"
    assert caller.get("models/eta/aliases") == {"champion": "1"}
    assert sorted(wanted(staging)) == ["1", "2"]
    command(caller, "hub", "rollout", "eta@2")
    assert caller.get("models/eta/aliases") == {"champion": "1", "challenger": "2"}
    assert [one["environment"] for one in caller.get("rollouts")] == ["production", "staging"]
    assert len(caller.get("rollouts", environment="staging")) == 1


def test_what_ran_is_reported_by_environment(caller: Any, builder: Any, make: Make) -> None:
    for version in ("1", "2"):
        builder.publish(make(version))
    caller.post("placements", model="eta", version="1")
    caller.post("placements", model="eta", version="2", environment="test")
    today = caller.http.get("/healthz").headers["date"]
    when = parsedate_to_datetime(today).date().isoformat()
    (everywhere,) = command(caller, "registry", "at", when)
    assert [one["environment"] for one in everywhere["placements"]] == ["production", "test"]
    (there,) = command(caller, "registry", "at", when, "--env", "test")
    assert [one["version"] for one in there["placements"]] == ["2"]
    assert "in test" in caller.http.get("/models/eta").text


def test_an_environment_of_ones_own(shared_caller: Any) -> None:
    names = [one["name"] for one in command(shared_caller, "hub", "environments", "--add", "lab")]
    assert names == ["development", "test", "staging", "lab", "production"]
    for body, status in (({"name": "lab"}, 409), ({"name": "No good"}, 422)):
        assert shared_caller.http.post("/api/v1/environments", json=body).status_code == status
    body = {"model": "eta", "version": "1", "environment": "labs"}
    refused = shared_caller.http.post("/api/v1/placements", json=body)
    assert refused.status_code == 404
    assert "there are development, test, staging, lab, production" in refused.json()["detail"]
