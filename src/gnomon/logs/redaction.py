"""Secrets never reach a log: values of secret names, and keys and tokens within a text."""

import re
from collections.abc import MutableMapping
from typing import Any

REDACTED = "(redacted)"

#: Parts of the names of settings and event keys whose values are secret.
_SECRET_WORDS = ("token", "key", "password", "secret", "authorization", "database_url")

_PATTERNS = (
    # API keys, one-time tokens and webhook secrets, as Gnomon makes them.
    (re.compile(r"gnomon_(?:[0-9a-f]{8}_)?[A-Za-z0-9_-]{43}"), REDACTED),
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}"), rf"\1 {REDACTED}"),
    # The password of a URL.
    (re.compile(r"(?<=://)([^\s/:@]*):([^\s/@]+)@"), rf"\1:{REDACTED}@"),
    (
        re.compile(
            r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|$)", re.S
        ),
        REDACTED,
    ),
)


def is_secret(name: str) -> bool:
    """Return whether a setting or an event's entry of this name holds a secret."""
    return any(word in name for word in _SECRET_WORDS)


def redact_text(text: str) -> str:
    """Return a text without the secrets that can be recognised in it."""
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Remove secrets from an event: a processor of structlog, for events that are rendered next."""
    for name, value in event.items():
        if name != "event" and is_secret(name) and isinstance(value, str) and value:
            event[name] = REDACTED
        elif isinstance(value, str):
            event[name] = redact_text(value)
        elif not isinstance(value, int | float | None):
            text = str(value)
            redacted = redact_text(text)
            event[name] = value if redacted == text else redacted
    return event
