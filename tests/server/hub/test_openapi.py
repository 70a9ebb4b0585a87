"""The hub's OpenAPI document describes every answer."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from fastapi.routing import APIRoute

from gnomon.server.hub.application import API

ROUTES = [route for router in API for route in router.routes if isinstance(route, APIRoute)]

#: What is a document of somebody else's: a manifest, a plan, what a node said of itself.
FREE_FORM = {
    *("manifest", "run", "detail", "evidence", "facts", "plan", "parameters", "steps", "datasets"),
    # A key of signed metadata, as the framework of it writes keys.
    "key",
    # A setting of a manifest is what its field is.
    *("left", "right"),
}

#: Lines of JSON that are kept and verified elsewhere.
STREAMS = {"export"}


def free_forms(
    schema: Mapping[str, Any], definitions: Mapping[str, Any], place: str, seen: frozenset[str]
) -> Iterator[str]:
    """Yield the places of a schema that say nothing of what stands there."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        if name not in seen:
            yield from free_forms(definitions[name], definitions, name, seen | {name})
        return
    for inner in (*schema.get("anyOf", ()), *schema.get("prefixItems", ())):
        yield from free_forms(inner, definitions, place, seen)
    for name, inner in schema.get("properties", {}).items():
        yield from free_forms(inner, definitions, f"{place}.{name}", seen)
    if "items" in schema:
        yield from free_forms(schema["items"], definitions, f"{place}[]", seen)
    extra = schema.get("additionalProperties")
    if isinstance(extra, dict):
        yield from free_forms(extra, definitions, f"{place}{{}}", seen)
    is_open = schema.get("type") == "object" and not schema.get("properties")
    if not schema.keys() - {"title", "description"} or (is_open and not isinstance(extra, dict)):
        yield place


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_every_answer_is_described(route: APIRoute, hub_openapi: dict[str, Any]) -> None:
    if route.name in STREAMS:
        return
    (method,) = route.methods
    operation = hub_openapi["paths"][f"/api/v1{route.path}"][method.lower()]
    content = operation["responses"][str(route.status_code or 200)]["content"]
    schema = content["application/json"]["schema"]
    definitions = hub_openapi["components"]["schemas"]
    places = free_forms(schema, definitions, route.name, frozenset())
    assert not [one for one in places if re.findall(r"\w+", one)[-1] not in FREE_FORM]


@pytest.fixture(scope="module")
def hub_openapi() -> dict[str, Any]:
    from fastapi import FastAPI

    app = FastAPI()
    for router in API:
        app.include_router(router, prefix="/api/v1")
    return app.openapi()
