"""What the holder of an API key can do, by role, and what not."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

ADMIN, OPERATOR, BUILDER, APPROVER, VIEWER = "admin", "operator", "builder", "approver", "viewer"
EVERYBODY = {ADMIN, OPERATOR, BUILDER, APPROVER, VIEWER}
VERSION = "models/eta/versions/1"
HOOK = {"name": "board", "url": "http://127.0.0.1:9/x", "events": ["version.published"]}

#: Who may do what: path, body, roles.
ACTIONS: dict[str, tuple[str, dict[str, Any], set[str]]] = {
    "tag": (f"{VERSION}/tags", {"tags": {"a": "b"}}, {ADMIN, OPERATOR, BUILDER}),
    "name": ("models/eta/aliases", {"alias": "x", "version": "1"}, {ADMIN, OPERATOR, BUILDER}),
    "place": ("placements", {"model": "eta", "version": "1"}, {ADMIN, OPERATOR}),
    "decommission": (f"{VERSION}/decommission", {"reason": "r", "force": True}, {ADMIN, OPERATOR}),
    "token of a node": ("tokens", {"role": "node"}, {ADMIN, OPERATOR}),
    "webhook": ("webhooks", HOOK, {ADMIN, OPERATOR}),
    "token of a builder": ("tokens", {"role": "builder"}, {ADMIN}),
    "environment": ("environments", {"name": "lab"}, {ADMIN}),
    "policy": ("environments/staging/policy", {"exempt_tiers": []}, {ADMIN}),
    "key": ("keys", {"key": "ab" * 32}, {ADMIN}),
    "principal": ("principals", {"name": "eve", "role": "admin"}, {ADMIN}),
    "grant": ("principals/viewer/grants", {"role": "approver"}, {ADMIN}),
    "end of a principal": ("principals/viewer", {}, {ADMIN}),
}


@pytest.mark.slow
def test_a_role_does_what_is_its_own_and_nothing_else(
    caller: Any, builder: Any, make: Callable[..., Any]
) -> None:
    builder.publish(make("1"))
    keys = {role: caller.post("principals", name=role, role=role)["key"] for role in EVERYBODY}
    scoped = {"role": OPERATOR, "models": "other-*", "environments": "staging"}
    keys["scoped"] = caller.post("principals", name="scoped", **scoped)["key"]
    for what, (path, body, roles) in ACTIONS.items():
        method = "DELETE" if what.startswith("end") else "POST"
        # Those who may do it last: it changes what the others would be told.
        for role in sorted(keys, key=lambda role: (role in roles, role == ADMIN)):
            headers = {"authorization": f"Bearer {keys[role]}"}
            answer = caller.http.request(
                method, f"/api/v1/{path}", headers=headers, json=body or None
            )
            assert (answer.status_code != 403) == (role in roles), (what, role, answer.text)
    assert caller.get("audit/verify")["intact"]


def test_a_builders_certificate_changes_no_rights(builder: Any, caller: Any) -> None:
    """Over gRPC it publishes and names; what is in service is not for it to say."""
    for operation in ("place", "create_principal", "trust_key", "create_token"):
        with pytest.raises(Exception, match="there is no operation"):
            builder.ask(operation, model="eta", version="1")
    assert caller.get("principals") == []


@pytest.mark.slow
def test_no_key_gives_away_another(caller: Any) -> None:
    """Neither keys of principals, nor secrets of webhooks, nor the local key are in any answer."""
    made = [caller.post("principals", name="ada", role="admin")["key"]]
    made.append(caller.post("webhooks", **HOOK)["secret"])
    made.append(caller.http.headers["authorization"].partition(" ")[2])
    paths = caller.http.get("/openapi.json").json()["paths"]
    answers: list[httpx.Response] = [
        caller.http.get(path) for path in paths if "get" in paths[path] and "{" not in path
    ]
    answers += [
        caller.http.get(path) for path in ("/", "/docs", "/api/v1/webhooks/board/deliveries")
    ]
    for answer in answers:
        assert not any(secret in answer.text for secret in made), answer.url
