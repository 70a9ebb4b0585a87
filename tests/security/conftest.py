"""The hub's fixtures: a real hub on free ports, and whoever speaks with it."""

from tests.server.hub.conftest import (
    caller,
    database_kind,
    first_start,
    fresh_key,
    hub,
    settings,
)

__all__ = ["caller", "database_kind", "first_start", "fresh_key", "hub", "settings"]
