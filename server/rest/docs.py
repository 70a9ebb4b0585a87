"""`/docs`: the REST interface for people, from its own OpenAPI description; fetches nothing."""

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from fastapi import FastAPI
from fastapi.responses import HTMLResponse

DOCS_PATH = "/docs"

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "code{font-size:.95em}dt{margin-top:1rem}dd{margin:0 0 0 1.5rem;color:#444}"
)


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
        f"<style>{_STYLE}</style><h1>{title}</h1>"
        '<p>For programs: <a href="/openapi.json">/openapi.json</a>. Errors are problem documents '
        "(RFC 9457) whose <code>code</code> names the kind.</p>"
        f"<dl>{calls}</dl></html>"
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
    content = operation.get("requestBody", {}).get("content", {})
    schema = content.get("application/json", {}).get("schema", {})
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    body = description.get("components", {}).get("schemas", {}).get(name, schema)
    required = body.get("required", ())
    for field in body.get("properties", {}):
        yield field, "(body)" if field in required else "(body, optional)"
