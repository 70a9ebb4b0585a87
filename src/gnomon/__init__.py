"""Gnomon: an inference runtime for edge and server.

`Agent` embeds models in a program; `Client` and `AsyncClient` request predictions from a server.
`Package` is what both run; `build_package` makes one of a fitted estimator; `TrustStore` and
`Signer` verify and sign packages. `HubClient` calls a hub. Each is imported on first use.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gnomon.client import AsyncClient, Client
    from gnomon.client.hub import HubClient
    from gnomon.edge.agent import Agent
    from gnomon.pipeline.estimator_package import build_package
    from gnomon.runtime.errors import GnomonError, InvalidInput
    from gnomon.runtime.packages.package import Package
    from gnomon.runtime.packages.signing import Signer, TrustStore

__all__ = [
    "Agent",
    "AsyncClient",
    "Client",
    "GnomonError",
    "HubClient",
    "InvalidInput",
    "Package",
    "Signer",
    "TrustStore",
    "build_package",
]

_HOMES = {
    "Agent": "gnomon.edge.agent",
    "AsyncClient": "gnomon.client",
    "Client": "gnomon.client",
    "GnomonError": "gnomon.runtime.errors",
    "HubClient": "gnomon.client.hub",
    "InvalidInput": "gnomon.runtime.errors",
    "Package": "gnomon.runtime.packages.package",
    "Signer": "gnomon.runtime.packages.signing",
    "TrustStore": "gnomon.runtime.packages.signing",
    "build_package": "gnomon.pipeline.estimator_package",
}


def __getattr__(name: str) -> Any:
    """Import a public name from its module on first use."""
    if name not in _HOMES:
        raise AttributeError(f"module 'gnomon' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value
