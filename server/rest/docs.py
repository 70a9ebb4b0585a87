"""`/docs`: a page of the REST interface from its OpenAPI description; it fetches nothing."""

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from fastapi import FastAPI
from fastapi.responses import HTMLResponse

DOCS_PATH = "/docs"

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "code{font-size:.95em;overflow-wrap:anywhere}dt{margin-top:1rem}dd{margin:0 0 0 1.5rem;"
    "color:#444;overflow-wrap:anywhere}"
)

#: How deep fields are shown within fields, and how many of a list of values.
_DEPTH = 2
_LISTED = 40
_COMPARISONS = {
    "minimum": "≥",
    "exclusiveMinimum": ">",
    "maximum": "≤",
    "exclusiveMaximum": "<",
    "minLength": "length ≥",
    "maxLength": "length ≤",
}


def install(app: FastAPI) -> None:
    """Serve the page."""

    @app.get(DOCS_PATH, include_in_schema=False, response_class=HTMLResponse)
    def docs() -> str:
        """Show every call, its parameters and its body."""
        return render(app.openapi())


def render(description: Mapping[str, Any]) -> str:
    """Return the page of an OpenAPI description."""
    title = escape(str(description["info"]["title"]))
    calls = "".join(
        _call(description, path, method, operation)
        for path, operations in description["paths"].items()
        for method, operation in operations.items()
    )
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        # Without it browsers ask for /favicon.ico, which is not there.
        '<link rel="icon" href="data:,">'
        f"<style>{_STYLE}</style><main><h1>{title}</h1>"
        '<p>For programs: <a href="/openapi.json">/openapi.json</a>. Errors are problem documents '
        "(RFC 9457) whose <code>code</code> names the kind.</p>"
        f"<dl>{calls}</dl></main></html>"
    )


def _call(
    description: Mapping[str, Any], path: str, method: str, operation: Mapping[str, Any]
) -> str:
    text = operation.get("description") or operation.get("summary") or ""
    parts = [f"<dt><code><b>{escape(method.upper())}</b> {escape(path)}</code></dt>"]
    parts.append(f"<dd>{escape(str(text))}")
    for name, detail in _inputs(description, operation):
        parts.append(f"<br><code>{escape(name)}</code> {escape(detail)}")
    return "".join(parts) + "</dd>"


def _inputs(
    description: Mapping[str, Any], operation: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    for parameter in operation.get("parameters", ()):
        yield parameter["name"], f"({parameter['in']})"
    body = _schema_of(operation.get("requestBody", {}))
    yield from _fields(description, body, "body", "", 0)
    answer = _schema_of(operation.get("responses", {}).get("200", {}))
    yield from _fields(description, answer, "answer", "", 0)


def _schema_of(content: Mapping[str, Any]) -> Mapping[str, Any]:
    schema: Mapping[str, Any] = (
        content.get("content", {}).get("application/json", {}).get("schema", {})
    )
    return schema


def _fields(
    description: Mapping[str, Any], schema: Mapping[str, Any], place: str, prefix: str, depth: int
) -> Iterator[tuple[str, str]]:
    """Yield the fields of a schema and of its parts, each with its rules."""
    schema = _resolved(description, schema)
    if depth > _DEPTH:
        return
    required = schema.get("required", ())
    for name, one in schema.get("properties", {}).items():
        one = _resolved(description, one)
        optional = ", optional" if place == "body" and name not in required else ""
        yield f"{prefix}{name}", f"({place}{optional}) {rules_of(one)}".strip()
        inner = _resolved(description, one.get("items", one))
        mark = "[]." if "items" in one else "."
        yield from _fields(description, inner, place, f"{prefix}{name}{mark}", depth + 1)


def _resolved(description: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the schema behind a reference, or behind the first of several choices."""
    while True:
        choices = schema.get("oneOf") or schema.get("anyOf")
        if choices:
            schema = choices[0]
        elif "$ref" in schema:
            name = str(schema["$ref"]).rpartition("/")[2]
            schema = description.get("components", {}).get("schemas", {}).get(name, {})
        else:
            return schema


def rules_of(schema: Mapping[str, Any]) -> str:
    """Return the rules of a value, in one line."""
    kinds = schema.get("type", "")
    parts = [" or ".join(kinds) if isinstance(kinds, list) else str(kinds)]
    for key, sign in _COMPARISONS.items():
        if key in schema:
            parts.append(f"{sign} {schema[key]}")
    if "enum" in schema:
        parts.append("one of " + ", ".join(str(value) for value in schema["enum"][:_LISTED]))
    if "pattern" in schema:
        parts.append(f"matches {schema['pattern']}")
    parts.append(str(schema.get("description", "")))
    return "; ".join(part for part in parts if part)
