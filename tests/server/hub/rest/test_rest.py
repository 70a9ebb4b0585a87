"""What people and scripts ask the hub for, over real HTTP."""

import dataclasses
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from gnomon.runtime.errors import ConfigurationError, StorageError
from gnomon.server.hub.process import Hub
from gnomon.server.hub.rest.bodies import LabelBody


def problem(response: httpx.Response) -> tuple[int, str]:
    assert response.headers["content-type"] == "application/problem+json"
    document = response.json()
    assert document["status"] == response.status_code
    return response.status_code, document["code"]


def test_the_hub_says_that_it_lives(shared_caller: Any) -> None:
    assert shared_caller.http.get("/healthz").json() == {"status": "ok"}


def test_a_placement_is_history(builder: Any, caller: Any, make: Any) -> None:
    for version in ("1", "2"):
        builder.publish(make(version))
        caller.post("placements", model="eta", version=version)
    newest, oldest = caller.get("placements", model="eta")
    assert (newest["version"], newest["ended_at"]) == ("2", None)
    assert (oldest["version"], oldest["ended_at"]) == ("1", newest["started_at"])
    assert caller.get("models")[0]["in_service"] == "2"
    placed = [one for one in caller.get("audit") if one["action"] == "place"]
    assert [one["detail"]["previous"] for one in placed] == ["1", None]
    assert caller.get("audit/verify")["intact"]


_LABEL = {"request_id": "r1", "value": 1.5, "at": 1}


def test_labels_count_once(caller: Any, builder: Any, make: Any) -> None:
    builder.publish(make())
    assert caller.post("labels", model="eta", labels=[_LABEL])["new"] == 1
    assert caller.post("labels", model="eta", labels=[_LABEL])["repeated"] == 1


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("labels", '{"model":"m","labels":[{"request_id":"r","value":1,"value":2,"at":1}]}'),
        ("labels", '{"model":"m","labels":[],"model":"n"}'),
        ("rollouts", '{"gates":{"require_proof":true,"require_pr\\u006fof":false}}'),
        ("placements", '{"model":"a","version":"1","version":"2"}'),
    ],
)
def test_a_name_that_comes_twice_is_refused(shared_caller: Any, path: str, body: str) -> None:
    refused = shared_caller.http.post(
        f"/api/v1/{path}", content=body, headers={"Content-Type": "application/json"}
    )
    assert problem(refused) == (422, "invalid_input")
    assert "comes twice" in refused.json()["detail"]


def test_a_key_is_added_once_and_never_again_after_it_was_revoked(caller: Any) -> None:
    key = "ab" * 32
    assert caller.post("keys", key=key)["added"]
    assert not caller.post("keys", key=key.upper())["added"]
    caller.http.delete(f"/api/v1/keys/{key}").raise_for_status()
    refused = caller.http.post("/api/v1/keys", json={"key": key})
    assert problem(refused) == (409, "conflict")
    assert caller.get("keys")[0]["revoked_at"] is not None


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("GET", "/nowhere", None, (404, "unknown_path")),
        ("GET", "/api/v1/models/none/versions", None, (404, "unknown_model")),
        ("GET", "/api/v1/events?limit=many", None, (422, "invalid_input")),
        ("GET", "/api/v1/events?limit=1000000", None, (422, "invalid_input")),
        ("DELETE", "/api/v1/models", None, (405, "unknown_method")),
        ("POST", "/api/v1/placements", {"model": "a", "version": "1"}, (404, "unknown_model")),
        ("POST", "/api/v1/labels", {"model": "rentx", "labels": [_LABEL]}, (404, "unknown_model")),
        ("POST", "/api/v1/placements", {"model": "a"}, (422, "invalid_input")),
        ("POST", "/api/v1/tokens", {"role": "king"}, (422, "invalid_input")),
        ("POST", "/api/v1/tokens", {"role": "node", "name": "a b"}, (422, "invalid_input")),
        ("POST", "/api/v1/tokens", {"role": "node", "nme": "a"}, (422, "invalid_input")),
        ("POST", "/api/v1/keys", {"key": "xyz"}, (422, "invalid_input")),
        ("POST", "/api/v1/keys", {"key": "ab"}, (422, "invalid_input")),
        ("POST", "/api/v1/principals", {"name": "a", "role": "x"}, (422, "invalid_input")),
        ("DELETE", "/api/v1/principals/none", None, (404, "not_found")),
        ("POST", "/api/v1/nodes/none/revoke", None, (404, "not_found")),
    ],
)
def test_a_wrong_call_is_a_problem_document(
    shared_caller: Any, method: str, path: str, body: Any, expected: tuple[int, str]
) -> None:
    assert problem(shared_caller.http.request(method, path, json=body)) == expected


def test_the_offending_field_is_named(shared_caller: Any) -> None:
    answer = shared_caller.http.post(
        "/api/v1/placements", json={"model": "a", "verson": "1"}
    ).json()
    assert {one["field"] for one in answer["details"]} == {"body.version", "body.verson"}


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "", "127.0.0.1.evil.example"])
def test_a_name_that_was_made_to_point_here_is_refused(shared_caller: Any, host: str) -> None:
    answer = shared_caller.http.get("/api/v1/models", headers={"host": host})
    assert answer.status_code in (400, 403)
    assert answer.text != "[]"


def test_a_page_of_another_origin_may_not_change_anything(shared_caller: Any) -> None:
    origin = {"origin": "https://evil.example"}
    assert problem(
        shared_caller.http.post("/api/v1/tokens", json={"role": "node"}, headers=origin)
    ) == (
        403,
        "not_allowed",
    )
    own = {"origin": shared_caller.addresses.rest}
    assert shared_caller.http.post("/api/v1/tokens", json={"role": "node"}, headers=own).is_success


def test_a_form_is_not_json(shared_caller: Any) -> None:
    answer = shared_caller.http.post(
        "/api/v1/tokens", content='{"role": "node"}', headers={"content-type": "text/plain"}
    )
    assert problem(answer) == (422, "invalid_input")


def test_a_body_without_a_bound_is_refused(shared_caller: Any) -> None:
    huge = b"POST /api/v1/labels HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000000\r\n\r\n"
    address = ("127.0.0.1", shared_caller.http.base_url.port)
    with socket.create_connection(address, timeout=20) as connection:
        connection.sendall(huge)
        assert connection.recv(1_000).startswith(b"HTTP/1.1 422")
    endless = shared_caller.http.post("/api/v1/labels", content=iter([b"{}"]))
    assert problem(endless) == (422, "invalid_input")


def test_a_false_key_is_refused_even_from_here(shared_caller: Any) -> None:
    headers = {"authorization": "Bearer wrong"}
    answer = shared_caller.http.get("/api/v1/models", headers=headers)
    assert problem(answer) == (403, "not_allowed")


def test_a_viewer_may_only_read(caller: Any) -> None:
    key = caller.post("principals", name="vera", role="viewer")["key"]
    headers = {"authorization": f"Bearer {key}"}
    assert caller.http.get("/api/v1/models", headers=headers).is_success
    answer = caller.http.post("/api/v1/tokens", json={"role": "node"}, headers=headers)
    assert problem(answer) == (403, "not_allowed")
    caller.http.delete("/api/v1/principals/vera").raise_for_status()
    assert caller.http.get("/api/v1/models", headers=headers).status_code == 403


def test_who_did_it_stands_in_the_audit(caller: Any) -> None:
    key = caller.post("principals", name="olga", role="operator")["key"]
    headers = {"authorization": f"Bearer {key}"}
    caller.http.post("/api/v1/tokens", json={"role": "node"}, headers=headers).raise_for_status()
    newest = caller.get("audit", limit=1)[0]
    assert (newest["actor"], newest["action"]) == ("olga", "create_token")


def test_a_port_in_use_is_named(hub: Hub, settings: Any, tmp_path: Path) -> None:
    port = int(hub.addresses.sync.rpartition(":")[2])
    with pytest.raises(ConfigurationError, match=str(port)):
        Hub(dataclasses.replace(settings, sync_port=port, data_folder=tmp_path / "other"))


def test_a_data_folder_has_one_hub(hub: Hub, settings: Any) -> None:
    with pytest.raises(StorageError, match="another process uses"):
        Hub(settings)


def test_the_interface_describes_itself(shared_caller: Any) -> None:
    paths = shared_caller.http.get("/openapi.json").json()["paths"]
    assert {"/api/v1/models", "/api/v1/tokens", "/api/v1/audit/verify"} <= set(paths)
    page = shared_caller.http.get("/docs").text
    assert "/api/v1/tokens" in page
    assert "http://" not in page.replace(shared_caller.addresses.rest, "")
    assert "https://" not in page


def integers_in(schema: Any, where: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every schema of an integer below one, with its place."""
    if isinstance(schema, list):
        for one in schema:
            yield from integers_in(one, where)
    elif isinstance(schema, dict):
        if schema.get("type") == "integer":
            yield where, schema
        for name, one in schema.items():
            yield from integers_in(one, f"{where}.{name}")


def referred(schema: Any, schemas: dict[str, Any]) -> set[str]:
    """Return the names of the components that a schema refers to, directly or through others."""
    found: set[str] = set()
    open_ = [schema]
    while open_:
        one = open_.pop()
        if isinstance(one, list):
            open_ += one
        elif isinstance(one, dict):
            open_ += [inner for key, inner in one.items() if key != "$ref"]
            name = str(one.get("$ref", "")).rpartition("/")[2]
            if name and name not in found:
                found.add(name)
                open_.append(schemas[name])
    return found


def test_every_integer_that_is_sent_has_bounds_that_sql_can_store(shared_caller: Any) -> None:
    described = shared_caller.http.get("/openapi.json").json()
    found = [
        one
        for path, methods in described["paths"].items()
        for method, call in methods.items()
        for one in integers_in(call.get("parameters", []), f"{method} {path}")
    ]
    bodies = [
        call["requestBody"]
        for methods in described["paths"].values()
        for call in methods.values()
        if "requestBody" in call
    ]
    schemas = described["components"]["schemas"]
    for name in referred(bodies, schemas):
        found += integers_in(schemas[name], name)
    assert len(found) > 20
    for where, schema in found:
        assert schema.get("minimum", -(2**70)) >= -(2**63), where
        # OpenAPI's limits are floats here, so 2**63 - 1 reads as 2**63.
        assert schema.get("maximum", schema.get("exclusiveMaximum", 2**70)) <= 2**63, where


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 10**400])
def test_an_integer_that_sql_cannot_store_is_the_callers_mistake(
    shared_caller: Any, number: int
) -> None:
    http = shared_caller.http
    answers = [
        http.get("/api/v1/audit", params={"before": number}),
        http.get("/api/v1/versions", params={"since": number}),
        http.get("/api/v1/versions", params={"until": number}),
        http.get("/api/v1/counts", params={"offset": number}),
        http.post(
            "/api/v1/labels",
            json={"model": "eta", "labels": [{"request_id": "r", "value": 1.0, "at": number}]},
        ),
        http.post(
            "/api/v1/rollouts",
            json={"model": "eta", "version": "1", "gates": {"minimum_labels": number}},
        ),
    ]
    assert [answer.status_code for answer in answers] == [422] * len(answers)


@pytest.mark.parametrize(
    ("at", "milliseconds"),
    [
        ("2026-03-01T12:00Z", 1_772_366_400_000),
        ("2026-03-01T13:00:00.250+01:00", 1_772_366_400_250),
        ("2026-03-01", 1_772_323_200_000),
        ("1969-12-31T23:59:59", -1_000),
        (1_772_366_400_000, 1_772_366_400_000),
    ],
)
def test_the_time_of_a_label_is_iso_8601_or_milliseconds(at: str | int, milliseconds: int) -> None:
    assert LabelBody.model_validate({"request_id": "r", "value": 1.0, "at": at}).at == milliseconds


@pytest.mark.parametrize("at", ["yesterday", "", "2026-13-01", "1772366400000", 1.5, True, None])
def test_what_is_no_time_of_a_label_is_refused(shared_caller: Any, at: object) -> None:
    label = {"request_id": "r", "value": 1.0, "at": at}
    answer = shared_caller.http.post("/api/v1/labels", json={"model": "eta", "labels": [label]})
    assert answer.status_code == 422


@pytest.mark.parametrize("value", ["1e101", "-1.7e308", "1e999", "NaN", "Infinity"])
def test_a_label_that_no_sum_could_hold_is_refused(shared_caller: Any, value: str) -> None:
    body = f'{{"model": "eta", "labels": [{{"request_id": "r", "value": {value}, "at": 1}}]}}'
    answer = shared_caller.http.post(
        "/api/v1/labels", content=body, headers={"content-type": "application/json"}
    )
    assert answer.status_code == 422
