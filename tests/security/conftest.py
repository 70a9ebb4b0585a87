"""The hub's fixtures: a real hub on free ports, and whoever speaks with it."""

from pathlib import Path
from typing import Any

import pytest

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
    postgres_server,
    pytest_generate_tests,
    settings,
    shared_caller,
    signer,
    world,
)
from tests.support.restorable_hub import RestorableHub
from tests.support.trusting_node import TrustingNode

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
    "postgres_server",
    "pytest_generate_tests",
    "settings",
    "shared_caller",
    "signer",
    "world",
]


@pytest.fixture
def device(caller: Any, builder: Any, make: Any, tmp_path: Path) -> TrustingNode:
    """A node with eta@1 in service."""
    builder.publish(make("1"))
    caller.post("placements", model="eta", version="1")
    device = TrustingNode(caller.enrol("node", "device-1"), tmp_path / "device")
    assert device.call() == ["1"]
    return device


@pytest.fixture
def restorable(settings: Any, caller: Any, caller_of: Any, tmp_path: Path) -> RestorableHub:
    """A hub that can be saved and restored, with a device."""
    return RestorableHub(settings, caller, caller_of, tmp_path)
