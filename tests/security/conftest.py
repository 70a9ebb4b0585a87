"""The hub's fixtures: a real hub on free ports, and whoever speaks with it."""

from tests.server.hub.conftest import (
    builder,
    caller,
    caller_of,
    database_kind,
    first_start,
    fresh_key,
    hub,
    make,
    node,
    settings,
    shared_caller,
    signer,
)

__all__ = [
    "builder",
    "caller",
    "caller_of",
    "database_kind",
    "first_start",
    "fresh_key",
    "hub",
    "make",
    "node",
    "settings",
    "shared_caller",
    "signer",
]
