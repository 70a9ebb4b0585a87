"""A node without a hub: it answers from package folders, and keeps no telemetry."""

import threading
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Protocol, Self

from gnomon.edge.node import Node, NodeStatus
from gnomon.edge.settings import NodeSettings
from gnomon.proto import hub_pb2
from gnomon.runtime.errors import ConfigurationError, Conflict
from gnomon.runtime.package import Package
from gnomon.runtime.routes import single
from gnomon.runtime.runtime import Runtime
from gnomon.runtime.signing import TrustStore


class AnyNode(Protocol):
    """What doors and agents need of a node, with a hub or without."""

    runtime: Runtime

    def start(self) -> None:
        """Begin."""

    def ready(self, timeout_seconds: float | None = None) -> bool:
        """Wait until some route is in service; return whether one is."""

    def label(
        self, model: str, request_id: str, value: float, at: datetime | float | None = None
    ) -> None:
        """Report what a prediction should have been."""

    def status(self) -> NodeStatus:
        """Return what the node is doing now."""

    def stop(self) -> None:
        """End; a second call does nothing."""


class _NoHub:
    """The sink of telemetry that nobody will ask for."""

    def put(self, record: hub_pb2.Record) -> None:
        """Let the record go."""


class Standalone:
    """Packages from folders, each under its own name."""

    def __init__(self, name: str, packages: Sequence[Path], trust: TrustStore | None) -> None:
        """Open, load and check the packages; `trust=None` takes unsigned ones.

        Raises:
            PackageError: one is damaged, untrusted, or does not reproduce its golden samples.
            EngineError: one cannot be loaded.
            Conflict: two have the same name.
        """
        self.runtime = Runtime(_NoHub())
        self._name = name
        self._stopped = threading.Event()
        try:
            routes = {}
            for path in packages:
                package = Package.open(path, trust)
                model = package.manifest.name
                if model in routes:
                    raise Conflict(f"two packages are named {model!r}; without a hub, give one")
                self.runtime.load(package, check_golden=True)
                routes[model] = single(model, package.digest)
            self.runtime.apply(routes.values())
        except BaseException:
            self.runtime.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Do nothing: the packages are in service already."""

    def ready(self, timeout_seconds: float | None = None) -> bool:
        """Return whether a route is in service."""
        return bool(self.runtime.routes)

    def label(
        self, model: str, request_id: str, value: float, at: datetime | float | None = None
    ) -> None:
        """Refuse: there is no hub to tell.

        Raises:
            ConfigurationError: always.
        """
        raise ConfigurationError("labels go to a hub, and this node has none; give it one")

    def status(self) -> NodeStatus:
        """Return what is in service."""
        models = self.runtime.models
        return NodeStatus(
            name=self._name,
            step="idle",
            generation=0,
            refused_generation=0,
            reason="",
            models={
                name: tuple(models[digest].reference for digest in route.digests)
                for name, route in self.runtime.routes.items()
            },
            is_enrolled=False,
            is_hub_reachable=False,
            last_error="",
            spool=None,
        )

    def stop(self) -> None:
        """Close the packages."""
        if not self._stopped.is_set():
            self._stopped.set()
            self.runtime.close()


def open_node(settings: NodeSettings) -> AnyNode:
    """Return the node that the settings describe, not yet started."""
    if settings.hub:
        return Node(settings)
    try:
        keys = [bytes.fromhex(key) for key in settings.trusted_keys]
    except ValueError as error:
        raise ConfigurationError(f"trusted_keys should be Ed25519 keys in hex: {error}") from error
    return Standalone(settings.name, settings.packages, TrustStore(keys) if keys else None)
