"""Text and JSON as both databases can store them, whatever was sent."""

import json
import math
from typing import Any

from sqlalchemy import Dialect, String, TypeDecorator


def storable(text: str) -> str:
    """Return a text with U+FFFD or ? for what SQL cannot store: NUL, and halves of surrogates.

    PostgreSQL refuses NUL; without this, one such record would block its node's telemetry.
    """
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()


def storable_json(value: object) -> str:
    """Return JSON with null for numbers that are not finite: PostgreSQL and browsers refuse them.

    >>> storable_json({"mean": float("nan"), "rows": 3})
    '{"mean": null, "rows": 3}'
    """
    try:
        return json.dumps(value, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(value))


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _finite(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return value


class StorableText(TypeDecorator[str]):
    """A column of such text; without a length, of any."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Make a value storable."""
        return None if value is None else storable(value)
