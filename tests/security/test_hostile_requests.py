"""Whatever a request holds, the answer is the caller's error and not the hub's."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

pytestmark = pytest.mark.slow

NASTY: tuple[Any, ...] = (
    2**63,
    -(2**63) - 1,
    10**400,
    -1,
    1e308,
    True,
    None,
    "",
    "\0",
    "\ud800",
    "x" * 70_000,
    "%00",
    "../../etc/passwd",
    "' OR 1=1 --",
    "[/b]",
    [],
    [[[[]]]],
    {"a": {"b": {}}},
)
IN_A_PATH = ("%00", "..%2f..", "x" * 300, "%f0%9f%92%a9", "'", "9" * 30)
IN_A_QUERY = (*(str(one) for one in NASTY[:5]), "", "\0", "x" * 20_000, "' OR 1=1 --", "[/b]")


def operations(document: Any) -> Iterator[tuple[str, str, Any]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def fields_of(document: Any, operation: Any) -> list[str]:
    """Return the names of the fields of an operation's body."""
    content = operation.get("requestBody", {}).get("content", {})
    name = content.get("application/json", {}).get("schema", {}).get("$ref", "").rpartition("/")[2]
    return list(document["components"]["schemas"].get(name, {}).get("properties", {}))


@pytest.fixture
def document(shared_caller: Any) -> Any:
    return shared_caller.http.get("/openapi.json").json()


def test_no_path_is_the_hubs_failure(shared_caller: Any, document: Any) -> None:
    for method, path, _ in operations(document):
        for value in IN_A_PATH if "{" in path else ():
            parts = [value if part.startswith("{") else part for part in path.split("/")]
            answer = shared_caller.http.request(method, "/".join(parts))
            assert answer.status_code < 500, (method, path, value, answer.text)


def test_no_query_is_the_hubs_failure(shared_caller: Any, document: Any) -> None:
    for method, path, operation in operations(document):
        for one in operation.get("parameters", ()):
            for value in IN_A_QUERY if one["in"] == "query" and "{" not in path else ():
                answer = shared_caller.http.request(method, path, params={one["name"]: value})
                assert answer.status_code < 500, (path, one["name"], value, answer.text)


def test_no_body_is_the_hubs_failure(shared_caller: Any, document: Any) -> None:
    for method, path, operation in operations(document):
        fields = fields_of(document, operation)
        concrete = "/".join("x" if part.startswith("{") else part for part in path.split("/"))
        for value in NASTY if fields else ():
            for body in (value, dict.fromkeys(fields, value)):
                answer = shared_caller.http.request(
                    method,
                    concrete,
                    content=json.dumps(body),
                    headers={"content-type": "application/json"},
                )
                assert answer.status_code < 500, (path, str(value)[:80], answer.text)
