"""The last version of a model is taken out of service, and can be decommissioned then."""

from collections.abc import Callable
from typing import Any

from gnomon.server.hub.process import Hub
from gnomon.server.hub.rollout import rollouts

FACTS = {"engines": "onnx"}
RETIRE = "/api/v1/placements/retire"


def test_a_models_last_version_is_retired(
    caller: Any, builder: Any, node: Any, make: Callable[..., Any]
) -> None:
    builder.publish(make("1"))
    caller.post("placements", model="eta", version="1")
    before = node.exchange(facts=FACTS).desired
    assert [one.version for one in before.packages] == ["1"]
    decommission = "/api/v1/models/eta/versions/1/decommission"
    assert caller.http.post(decommission, json={"reason": "over"}).status_code == 409
    told = caller.post("placements/retire", model="eta", reason="replaced by arrival")
    assert told == {"model": "eta", "version": "1", "environment": "production"}
    after = node.exchange(facts=FACTS).desired
    assert (list(after.packages), list(after.routes)) == ([], [])
    assert after.generation > before.generation
    assert caller.get("models")[0]["in_service"] is None
    assert caller.get("placements")[0]["ended_at"] is not None
    assert caller.http.post(RETIRE, json={"model": "eta"}).status_code == 404
    assert caller.http.post(decommission, json={"reason": "over"}).is_success
    (record,) = [one for one in caller.get("audit") if one["action"] == "retire"]
    assert (record["subject"], record["detail"]["reason"]) == ("eta@1", "replaced by arrival")
    assert caller.get("audit/verify")["intact"]


def test_a_rollout_of_a_retired_model_ends(
    hub: Hub, caller: Any, builder: Any, make: Callable[..., Any]
) -> None:
    for version in ("1", "2"):
        builder.publish(make(version))
    caller.post("placements", model="eta", version="1")
    begun = caller.post("rollouts", model="eta", version="2")
    caller.post("placements/retire", model="eta")
    rollouts.run_once(hub.services.database)
    ended = caller.get(f"rollouts/{begun['id']}")
    assert (ended["state"], ended["reason"]) == (
        "aborted",
        "eta was taken out of service in production",
    )


def test_who_may_not_place_may_not_retire(
    caller: Any, builder: Any, make: Callable[..., Any]
) -> None:
    builder.publish(make("1"))
    caller.post("placements", model="eta", version="1")
    key = caller.post("principals", name="ada", role="builder")["key"]
    headers = {"authorization": f"Bearer {key}"}
    assert caller.http.post(RETIRE, json={"model": "eta"}, headers=headers).status_code == 403
    assert caller.get("models")[0]["in_service"] == "1"
