"""Events as lines: text for people, or JSON for programs. An event never takes a second line."""

import json
from collections.abc import MutableMapping
from typing import Any

Event = MutableMapping[str, Any]


def render_json(_logger: Any, _method: str, event: Event) -> str:
    """Return an event as a JSON object with timestamp, level, logger and event first."""
    first = {name: event.pop(name, "") for name in ("timestamp", "level", "logger", "event")}
    return json.dumps({**first, **event}, default=str)


def render_text(_logger: Any, _method: str, event: Event) -> str:
    """Return an event as `timestamp level logger: event name=value …`."""
    head = [str(event.pop(name, "")) for name in ("timestamp", "level", "logger")]
    text = _on_one_line(str(event.pop("event", "")))
    rest = "".join(f" {name}={_quoted(value)}" for name, value in event.items())
    return f"{head[0]} {head[1]} {head[2]}: {text}{rest}"


def _quoted(value: Any) -> str:
    """Return a value, in quotes if it would not be one word otherwise."""
    text = str(value)
    is_word = text.isprintable() and text and not set(text) & set(" \"'=")
    return text if is_word else json.dumps(text, ensure_ascii=False)


def _on_one_line(text: str) -> str:
    """Escape what would end the line or control a terminal."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in text)
