"""The registry's typed methods say what REST says, and what they do not say is unset."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnomon.proto import hub_pb2, registry_pb2
from gnomon.runtime.errors import InvalidInput, NotAllowed, UnknownModel
from gnomon.runtime.ids import new_id
from gnomon.runtime.packages.package import Package
from gnomon.server.hub.grpc.interceptor import RULES
from gnomon.server.hub.grpc.messages import to_message, to_parameters

Make = Callable[..., Package]

NAME = {"name": "eta"}
VERSION = {"name": "eta", "version": "1"}

#: Method, its request, REST's path and query, and the key of the answer, if it has one.
SAME: list[tuple[str, Any, str, dict[str, Any], str]] = [
    ("ListModels", registry_pb2.ListModelsRequest(), "models", {}, "models"),
    (
        "ListVersions",
        registry_pb2.ListVersionsRequest(**NAME, limit=1),
        "models/eta/versions",
        {"limit": 1},
        "packages",
    ),
    ("GetVersion", registry_pb2.GetVersionRequest(**VERSION), "models/eta/versions/1", {}, ""),
    (
        "SearchVersions",
        registry_pb2.SearchVersionsRequest(tag="region", since=1, limit=10),
        "versions",
        {"tag": "region", "since": 1, "limit": 10},
        "",
    ),
    (
        "ListAliases",
        registry_pb2.ListAliasesRequest(**NAME),
        "models/eta/aliases",
        {},
        "aliases",
    ),
    (
        "GetAlias",
        registry_pb2.GetAliasRequest(**NAME, alias="champion"),
        "models/eta/aliases/champion",
        {},
        "",
    ),
    (
        "GetLineage",
        registry_pb2.GetLineageRequest(**VERSION),
        "models/eta/versions/1/lineage",
        {},
        "",
    ),
    (
        "CompareVersions",
        registry_pb2.CompareVersionsRequest(**NAME, left="1", right="2"),
        "models/eta/compare",
        {"left": "1", "right": "2"},
        "",
    ),
    (
        "GetStateAt",
        registry_pb2.GetStateAtRequest(when="2026-03-01", environment="production"),
        "registry/at",
        {"when": "2026-03-01", "environment": "production"},
        "models",
    ),
    (
        "ListPlacements",
        registry_pb2.ListPlacementsRequest(model="eta"),
        "placements",
        {"model": "eta"},
        "placements",
    ),
    (
        "ListEnvironments",
        registry_pb2.ListEnvironmentsRequest(),
        "environments",
        {},
        "environments",
    ),
    (
        "ListApprovals",
        registry_pb2.ListApprovalsRequest(**VERSION),
        "models/eta/versions/1/approvals",
        {},
        "approvals",
    ),
]


@pytest.fixture
def filled(caller: Any, builder: Any, make: Make) -> None:
    for version in ("1", "2"):
        builder.publish(make(version))
    caller.post("placements", model="eta", version="1")
    caller.post("models/eta/versions/1/tags", tags={"region": "north"})


def plain(value: Any) -> Any:
    """Return a message as REST shows it, without what is unset."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if not hasattr(value, "DESCRIPTOR"):
        return value
    shown: dict[str, Any] = {}
    for field in value.DESCRIPTOR.fields:
        if field.has_presence and not value.HasField(field.name):
            continue
        held = getattr(value, field.name)
        if field.name.endswith("_json"):
            shown[field.name.removesuffix("_json")] = json.loads(held)
        elif hasattr(held, "items"):
            shown[field.name] = {key: plain(one) for key, one in held.items()}
        elif hasattr(held, "append") or hasattr(held, "add"):
            shown[field.name] = [plain(one) for one in held]
        else:
            shown[field.name] = plain(held)
    return shown


def covered(shown: Any, rest: Any, place: str = "") -> None:
    """Check that a message holds all that REST says; what is null there is unset here."""
    if isinstance(rest, dict):
        for key, value in rest.items():
            if value is None and key not in shown:
                continue
            assert key in shown, f"{place}.{key} is missing"
            covered(shown[key], value, f"{place}.{key}")
        left = {key for key, value in shown.items() if key not in rest and value}
        assert not left, f"{place}: {left} is not in REST's answer"
    elif isinstance(rest, list) and isinstance(shown, dict):
        covered(shown["tiers"], rest, place)
    elif isinstance(rest, list):
        assert len(shown) == len(rest), place
        for number, (one, other) in enumerate(zip(shown, rest, strict=True)):
            covered(one, other, f"{place}[{number}]")
    else:
        assert shown == rest, place


@pytest.mark.parametrize(("method", "request_", "path", "query", "key"), SAME)
def test_a_method_says_what_rest_says(
    filled: None,
    caller: Any,
    builder: Any,
    method: str,
    request_: Any,
    path: str,
    query: dict[str, Any],
    key: str,
) -> None:
    answer = plain(builder.registry_call(method, request_))
    covered(answer[key] if key else answer, caller.get(path, **query), method)


def test_an_environment_without_exemptions_differs_from_one_that_exempts_all(
    caller: Any, builder: Any
) -> None:
    caller.post("environments", name="trial")
    answer = builder.registry_call("ListEnvironments", registry_pb2.ListEnvironmentsRequest())
    rest = {one["name"]: one["exempt_tiers"] for one in caller.get("environments")}
    for one in answer.environments:
        assert one.HasField("exempt_tiers") == (rest[one.name] is not None)
        assert list(one.exempt_tiers.tiers) == (rest[one.name] or [])


def test_aliases_and_tags_are_set_and_removed(filled: None, caller: Any, builder: Any) -> None:
    request = registry_pb2.SetAliasRequest(**VERSION, alias="aliases")
    assert dict(builder.registry_call("SetAlias", request).aliases) == {
        "aliases": "1",
        "champion": "1",
    }
    request = registry_pb2.SetAliasRequest(**NAME, alias="aliases")
    assert dict(builder.registry_call("SetAlias", request).aliases) == {"champion": "1"}
    tags = registry_pb2.SetTagsRequest(**VERSION, tags={"checked": "yes"}, removed=["region"])
    assert dict(builder.registry_call("SetTags", tags).tags) == {"checked": "yes"}


def test_a_run_is_recorded_with_exact_numbers(caller: Any, builder: Any) -> None:
    request = registry_pb2.RecordRunRequest(
        id=new_id(),
        pipeline="eta",
        trigger="hand",
        state="succeeded",
        started_at=1,
        ended_at=2,
        parameters_json='{"seed": 9007199254740993}',
        steps_json=['{"name": "train"}'],
        metrics={"mae": 0.5},
    )
    assert builder.registry_call("RecordRun", request).created
    assert not builder.registry_call("RecordRun", request).created
    recorded = caller.get(f"runs/{request.id}")
    assert recorded["parameters"] == {"seed": 2**53 + 1}
    assert recorded["steps"] == [{"name": "train"}]


@pytest.mark.slow
def test_what_is_wrong_is_rejected_by_name(filled: None, builder: Any, node: Any) -> None:
    with pytest.raises(UnknownModel, match="no model 'cost'"):
        builder.registry_call(
            "GetVersion", registry_pb2.GetVersionRequest(name="cost", version="1")
        )
    with pytest.raises(InvalidInput, match="limit"):
        builder.registry_call("ListVersions", registry_pb2.ListVersionsRequest(**NAME, limit=5_000))
    with pytest.raises(InvalidInput, match="parameters_json should be a JSON document"):
        builder.registry_call("RecordRun", registry_pb2.RecordRunRequest(parameters_json="{"))
    with pytest.raises(NotAllowed):
        node.registry_call("ListModels", registry_pb2.ListModelsRequest())


def test_every_method_has_a_rule() -> None:
    registry = hub_pb2.DESCRIPTOR.services_by_name["Registry"]
    methods = {f"/gnomon.v1.Registry/{method.name}" for method in registry.methods}
    assert methods == {name for name in RULES if name.startswith("/gnomon.v1.Registry/")}


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(
    parameters=st.dictionaries(st.text(), JSON_VALUES, max_size=3),
    metrics=st.dictionaries(st.text(), st.floats(allow_nan=False), max_size=3),
    steps=st.lists(st.dictionaries(st.text(), JSON_VALUES, max_size=2), max_size=3),
    ended_at=st.integers(0, 2**53),
)
def test_plain_values_survive_a_message(
    parameters: dict[str, Any], metrics: dict[str, float], steps: list[Any], ended_at: int
) -> None:
    value = {
        "parameters": parameters,
        "metrics": metrics,
        "steps": steps,
        "ended_at": ended_at,
        "packages": [{"name": "eta", "version": "1", "format": "onnx", "digest": "0" * 64}],
    }
    message = to_message(registry_pb2.RecordRunRequest, value)
    back = to_parameters(registry_pb2.RecordRunRequest.FromString(message.SerializeToString()))
    assert {name: back[name] for name in value} == value
