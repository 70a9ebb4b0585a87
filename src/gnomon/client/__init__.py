"""Clients of servers and hubs.

`Client` blocks and `AsyncClient` is for asyncio: both request predictions from a server over gRPC,
and both work beside tritonclient in one process. `HubClient` calls a hub's REST interface;
`RegistryClient` pushes packages to a hub's registry and pulls them. Each is imported on first use.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gnomon.client.hub import HubClient
    from gnomon.client.inference.asynchronous import AsyncClient
    from gnomon.client.inference.blocking import Client
    from gnomon.client.inference.codec import Answer
    from gnomon.client.registry import BuilderSettings, RegistryClient

__all__ = ["Answer", "AsyncClient", "BuilderSettings", "Client", "HubClient", "RegistryClient"]

_MODULES = {
    "Answer": "gnomon.client.inference.codec",
    "AsyncClient": "gnomon.client.inference.asynchronous",
    "BuilderSettings": "gnomon.client.registry",
    "Client": "gnomon.client.inference.blocking",
    "HubClient": "gnomon.client.hub",
    "RegistryClient": "gnomon.client.registry",
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use."""
    if name not in _MODULES:
        raise AttributeError(f"module 'gnomon.client' has no attribute {name!r}")
    value = getattr(importlib.import_module(_MODULES[name]), name)
    globals()[name] = value
    return value
