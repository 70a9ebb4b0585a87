"""The hub's fixtures: a real hub on free ports, and whoever speaks with it."""

from tests.server.hub.conftest import (
    builder,
    caller,
    caller_of,
    database,
    database_kind,
    database_url,
    first_start,
    fresh_key,
    hub,
    make,
    new_database_url,
    node,
    settings,
    shared_caller,
    signer,
    world,
)

__all__ = [
    "builder",
    "caller",
    "caller_of",
    "database",
    "database_kind",
    "database_url",
    "first_start",
    "fresh_key",
    "hub",
    "make",
    "new_database_url",
    "node",
    "settings",
    "shared_caller",
    "signer",
    "world",
]
