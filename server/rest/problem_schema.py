"""Problem documents in OpenAPI: every operation names the statuses that it may answer with."""

from collections.abc import Collection, Mapping
from http import HTTPStatus
from typing import Any

#: What the guards and the framework answer at any path. 503 is also for too many connections.
EVERYWHERE = (400, 401, 403, 422, 500, 503)

_PROBLEM = {
    "type": "object",
    "description": "A problem document (RFC 9457).",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string", "description": "the kind of error"},
        "detail": {"type": "string", "description": "what was wrong, for people"},
        "error": {"type": "string", "description": "the same as detail"},
        "details": {
            "type": "array",
            "items": {
                "type": "object",
                "description": "row, field, rule, value, and what is expected",
            },
        },
    },
    "required": ["type", "title", "status", "code", "detail", "error", "details"],
}
_CONTENT = {
    "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}},
}
#: What the web server itself answers to what is no HTTP, or above its limit of connections.
_PLAIN = {"text/plain": {"schema": {"type": "string"}}}
#: FastAPI's own form of 422, which is never sent.
_UNSENT = ("HTTPValidationError", "ValidationError")


def describe_problems(
    description: dict[str, Any], further: Mapping[str, Collection[int]]
) -> dict[str, Any]:
    """Add the errors of every operation to an OpenAPI description, and return it.

    Args:
        description: as FastAPI makes it.
        further: statuses beside `EVERYWHERE`, by the path's longest prefix; "" is for all.
    """
    schemas = description.setdefault("components", {}).setdefault("schemas", {})
    for name in _UNSENT:
        schemas.pop(name, None)
    schemas["Problem"] = _PROBLEM
    for path, operations in description["paths"].items():
        prefix = max((one for one in further if path.startswith(one)), key=len, default="")
        statuses = {*EVERYWHERE, *further.get(prefix, ())}
        for operation in operations.values():
            responses = operation.setdefault("responses", {})
            responses.pop("422", None)
            for status in sorted(statuses):
                responses.setdefault(str(status), _response(status))
    return description


def _response(status: int) -> dict[str, Any]:
    content = _CONTENT | _PLAIN if status in (400, 503) else _CONTENT
    return {"description": HTTPStatus(status).phrase, "content": content}
