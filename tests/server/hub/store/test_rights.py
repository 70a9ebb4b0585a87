"""Who may do what: the table, the page that tells it, and every door."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from gnomon.command.root import root
from gnomon.runtime.errors import InvalidInput, NotAllowed
from gnomon.runtime.packages.package import Package
from gnomon.server.hub.store.rights import RULES, Actor, Grant, Role, Scope, parse_grant

Make = Callable[..., Package]
PAGE = Path(__file__).parents[4] / "docs" / "registry.md"

_names = st.sampled_from(["eta-north", "eta", "cost", "staging", "production"])


def may(actor: Actor, action: str, model: str | None = None, place: str | None = None) -> bool:
    try:
        actor.check(action, model, place)
    except NotAllowed:
        return False
    return True


def told() -> dict[str, tuple[set[str], str]]:
    """Return the table of the page: each action with the roles marked and what bounds it."""
    rows = {}
    for line in PAGE.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 6 and cells[0].startswith("`"):
            roles = {
                role
                for role, mark in zip(
                    ("builder", "approver", "operator", "admin"), cells[1:5], strict=True
                )
                if mark
            }
            for action in re.findall(r"`([a-z_]+)`", cells[0]):
                rows[action] = (roles, cells[5])
    return rows


def test_the_page_tells_the_table() -> None:
    words = {
        Scope.NOTHING: "",
        Scope.MODEL: "model",
        Scope.ENVIRONMENT: "environment",
        Scope.BOTH: "model, environment",
    }
    assert told() == {
        action: (set(map(str, rule.roles)), words[rule.scope]) for action, rule in RULES.items()
    }


@pytest.mark.parametrize("action", [*RULES, "fly_to_the_moon"])
@pytest.mark.parametrize("role", list(Role))
def test_a_role_may_what_the_table_says_and_nothing_else(role: Role, action: str) -> None:
    rule = RULES.get(action)
    allowed = rule is not None and role in rule.roles
    assert may(Actor("ada", (Grant(role),)), action, "eta", "staging") == allowed
    scope = rule.scope if rule else Scope.NOTHING
    of_eta = Actor("ada", (Grant(role, "eta-*"),))
    in_staging = Actor("ada", (Grant(role, "*", "staging"),))
    assert may(of_eta, action, "eta-1", "staging") == (allowed and Scope.MODEL in scope)
    assert not may(of_eta, action, "cost", "staging")
    assert not may(of_eta, action, None, "staging")
    assert may(in_staging, action, "eta", "staging") == (allowed and Scope.ENVIRONMENT in scope)
    assert not may(in_staging, action, "eta", "production")
    assert not may(Actor("ada"), action, "eta", "staging")


@given(grants=st.lists(st.builds(Grant, st.sampled_from(Role), _names, _names)), more=_names)
def test_a_further_grant_takes_nothing_away(grants: list[Grant], more: str) -> None:
    actor = Actor("ada", tuple(grants))
    richer = Actor("ada", (*grants, Grant(Role.OPERATOR, more)))
    for action in RULES:
        for model in ("eta", "cost", None):
            assert may(richer, action, model, "staging") >= may(actor, action, model, "staging")


@pytest.mark.parametrize(
    "grant", [("king",), ("builder", "a b"), ("builder", "*", "[a]"), ("viewer", "eta")]
)
def test_what_is_no_grant_is_refused(grant: tuple[str, ...]) -> None:
    with pytest.raises(InvalidInput):
        parse_grant(*grant)


def test_every_frontend_hands_on_who_asks() -> None:
    """A change under a plain name would be one of the hub's own: no door may make one."""
    hub = Path(__file__).parents[4] / "server" / "hub"
    text = "".join(
        file.read_text() for room in ("rest", "web") for file in (hub / room).glob("*.py")
    )
    changes = re.findall(r"\.change\((.*?)\)", text)
    assert len(changes) > 15
    assert set(changes) == {"actor"}
    assert text.count(".write()") == text.count('actor.check("label"') == 1


@pytest.fixture
def as_of(caller: Any) -> Callable[..., httpx.Client]:
    """Return a client with the key of a new principal that has these grants."""

    def as_of(name: str, role: str, **scope: str) -> httpx.Client:
        key = caller.post("principals", name=name, role=role, **scope)["key"]
        headers = {"authorization": f"Bearer {key}"}
        return httpx.Client(
            base_url=f"{caller.addresses.rest}/api/v1", headers=headers, trust_env=False
        )

    return as_of


def test_who_may_only_read_changes_nothing_by_any_route(caller: Any, as_of: Any) -> None:
    vera = as_of("vera", "viewer")
    before = caller.get("audit", limit=1)[0]["sequence"]
    tried = 0
    for path, methods in caller.http.get("/openapi.json").json()["paths"].items():
        # A session of one's own gives no more rights than the key.
        for method in methods.keys() - {"get"} if not path.endswith("/sign-in-links") else ():
            answer = vera.request(method, caller.addresses.rest + re.sub("{.*?}", "eta", path))
            assert answer.status_code == 403, (method, path)
            tried += 1
    assert tried > 20
    for action in ("alerts/a/acknowledge", "alerts/a/close", "rollouts/a/abort"):
        assert vera.post(f"{caller.addresses.rest}/{action}").status_code == 403
    assert caller.get("audit", limit=1)[0]["sequence"] == before
    assert vera.get("/models").is_success


def test_scopes_hold_at_the_frontend(caller: Any, as_of: Any, builder: Any, make: Make) -> None:
    builder.publish(make())
    olga = as_of("olga", "operator", models="eta", environments="staging")
    other = as_of("otto", "operator", models="cost*")
    vera = as_of("vera", "approver")

    def placed(client: httpx.Client, environment: str) -> int:
        body = {"model": "eta", "version": "1", "environment": environment}
        return client.post("/placements", json=body).status_code

    assert placed(olga, "production") == 403
    assert placed(other, "staging") == 403
    assert placed(vera, "staging") == 403
    assert placed(olga, "staging") == 201
    (record,) = [one for one in caller.get("audit") if one["action"] == "place"]
    assert (record["actor"], record["detail"]["environment"]) == ("olga", "staging")
    assert olga.post("/models/eta/aliases", json={"alias": "a", "version": "1"}).status_code == 403
    assert olga.post("/principals", json={"name": "x", "role": "admin"}).status_code == 403

    caller.post("principals/olga/grants", role="operator")
    assert placed(olga, "production") == 201
    caller.post("principals/olga/grants/take", role="operator")
    assert placed(olga, "production") == 403
    listed = {one["name"]: one["grants"] for one in caller.get("principals")}
    assert listed["olga"] == [{"role": "operator", "models": "eta", "environments": "staging"}]
    assert "key" not in str(caller.get("principals"))


def test_the_command_line_makes_and_unmakes_principals(caller: Any) -> None:
    def command(*arguments: str, key: str = "") -> Any:
        line = ["hub", *arguments, "--url", caller.addresses.rest, "--json"]
        result = CliRunner().invoke(root, [*line, *(["--api-key", key] if key else [])], obj=None)
        assert result.exit_code == 0, result.output
        return json.loads(result.output)

    scope = ("--role", "operator", "--models", "eta-*", "--env", "staging")
    key = command("principal", "create", "olga", *scope)["key"]
    assert command("token", "--name", "d", "--env", "staging", "--models", "*")["token"]
    command("principal", "grant", "olga", "--role", "approver")
    (olga,) = command("principal", "list", key=key)
    assert [one["role"] for one in olga["grants"]] == ["approver", "operator"]
    command("principal", "take", "olga", *scope)
    command("principal", "revoke", "olga")
    (olga,) = command("principal", "list")
    assert (len(olga["grants"]), olga["revoked_at"] is not None) == (1, True)
    trusted = command("trust", "ab" * 32, "--role", "approver")
    assert trusted["added"]


def test_a_builder_publishes_only_its_models(caller: Any, make: Make, fresh_key: Any) -> None:
    token = caller.post("tokens", role="builder", name="bob", models="cost-*")
    key = fresh_key()
    answer = caller.stranger(token).enrol(token["token"], key, "bob")
    bob = caller.known(answer.authority, key, answer.certificate)
    with pytest.raises(NotAllowed, match=r"'bob' may not publish of model 'eta'"):
        bob.publish(make())
    assert caller.get("models") == []
