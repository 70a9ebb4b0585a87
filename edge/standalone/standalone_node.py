"""A node without a hub: it serves packages, bare model files and folders of their versions.

A route file may assign versions to routes; without one, the newest version of each model is served.
A change goes into service in one step, or, if any part of it is wrong, not at all.
"""

import logging
import threading
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple, Self

from gnomon.edge.node_protocol import NodeProtocol
from gnomon.edge.settings import NodeSettings
from gnomon.edge.standalone.file_watcher import FileWatcher
from gnomon.edge.standalone.package_repository import PackageRepository
from gnomon.edge.standalone.route_file import ModelEntry, RouteEntry, RouteFile, read_routes
from gnomon.edge.status import NodeStatus
from gnomon.edge.telemetry.transcript_folder import open_transcripts
from gnomon.runtime.errors import ConfigurationError, GnomonError, UnknownModel
from gnomon.runtime.packages.package_keys import read_trusted_keys
from gnomon.runtime.packages.signing import TrustStore
from gnomon.runtime.packages.versioning import VersionPolicy
from gnomon.runtime.recording.sink import NullSink
from gnomon.runtime.recording.transcripts import TranscriptSink
from gnomon.runtime.routing.routes import WEIGHT_TOTAL, Route, Target
from gnomon.runtime.runtime import Runtime

__all__ = ["AvailableModel", "NodeProtocol", "StandaloneNode", "open_node"]

_log = logging.getLogger(__name__)


class AvailableModel(NamedTuple):
    """An available version of a model, whether it is in service, and if not, why."""

    name: str
    version: str
    is_ready: bool
    reason: str


class StandaloneNode:
    """Models from the operator's own paths, each under its own name. Threads may share it."""

    def __init__(
        self,
        name: str,
        packages: Sequence[Path],
        trust: TrustStore | None,
        *,
        policy: VersionPolicy | None = None,
        routes_file: Path | None = None,
        idle_unload_seconds: float = 0.0,
        memory_budget_bytes: int = 0,
        transcripts: TranscriptSink | None = None,
    ) -> None:
        """Open, load and check the models; `trust=None` accepts unsigned packages.

        Raises:
            PackageError: one is damaged, untrusted, or does not reproduce its golden samples.
            EngineError: one cannot be loaded.
            MemoryExceeded: one exceeds the memory budget.
            Conflict: two have the same name and version.
            ConfigurationError: there is no model, or the route file is invalid.
        """
        self.runtime = Runtime(
            NullSink(),
            idle_unload_seconds=idle_unload_seconds,
            memory_budget_bytes=memory_budget_bytes,
            transcripts=transcripts,
        )
        self._name = name
        self._policy = policy or VersionPolicy()
        self._routes_file = routes_file
        self._control = threading.RLock()
        self._unloaded: set[str] = set()
        self._digests: Mapping[str, str] = {}
        self._stopped = threading.Event()
        self._watch: FileWatcher | None = None
        try:
            self._repository = PackageRepository(packages, trust)
            self._apply()
        except BaseException:
            self.runtime.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start to watch the route file, if there is one; the models are in service already."""
        if self._routes_file is not None and self._watch is None:
            self._watch = FileWatcher(self._routes_file, self.reload)

    def ready(self, timeout_seconds: float | None = None) -> bool:
        """Return whether a route is in service."""
        return bool(self.runtime.routes)

    def reload(self) -> bool:
        """Read paths and route file again; return whether they are in service now.

        If not, everything stays as it was, and the log says why.
        """
        try:
            with self._control:
                self._repository.refresh()
                self._apply()
        except GnomonError as error:
            _log.error("reload failed, nothing was changed: %s", error)
            return False
        served = [f"{name} ({', '.join(ones)})" for name, ones in self.status().models.items()]
        _log.info("in service now: %s", "; ".join(served) or "nothing")
        return True

    def index(self) -> list[AvailableModel]:
        """Return all available versions."""
        with self._control:
            return [
                self._state(name, version)
                for name in self._repository.names
                for version in self._repository.versions(name)
            ]

    def load(self, model: str) -> None:
        """Put a model into service after reading its files again.

        Raises:
            UnknownModel: there is no model of that name.
            GnomonError: as the constructor; nothing was changed.
        """
        with self._control:
            self._repository.refresh()
            self._check_known(model)
            self._set_unloaded(self._unloaded - {model})

    def unload(self, model: str) -> None:
        """Take a model out of service until it is loaded again.

        Raises:
            UnknownModel: there is no model of that name.
        """
        with self._control:
            self._check_known(model)
            self._set_unloaded(self._unloaded | {model})

    def label(
        self, model: str, request_id: str, value: float, at: datetime | float | None = None
    ) -> None:
        """Raise: there is no hub for labels.

        Args:
            model: not used, as all others.
            request_id: not used.
            value: not used.
            at: not used.

        Raises:
            ConfigurationError: always.
        """
        raise ConfigurationError("labels need a hub, and this node has none")

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
                name: tuple(models[one].reference for one in route.digests if one in models)
                for name, route in self.runtime.routes.items()
            },
            is_enrolled=False,
            is_hub_reachable=False,
            last_error="",
            spool=None,
        )

    def stalled(self) -> tuple[str, ...]:
        """Return no thread: the node has none that could stop to work."""
        return ()

    def refusal(self) -> GnomonError | None:
        """Return nothing: the node enrols nowhere."""
        return None

    def stop(self) -> None:
        """Close the packages."""
        if not self._stopped.is_set():
            self._stopped.set()
            if self._watch is not None:
                self._watch.stop()
            self.runtime.close()
            self._repository.close()

    def _apply(self) -> None:
        """Put into service what paths and route file say, and unload everything else."""
        file = read_routes(self._routes_file)
        entries = self._route_entries(file)
        versions = {name: self._versions(name, entry) for name, entry in entries.items()}
        needed = {
            reference: None
            for name, entry in entries.items()
            for reference in (*entry.references, *versions[name])
        }
        packages = {one: self._repository.open(*one.split("@", 1)) for one in needed}
        digests = {reference: package.digest for reference, package in packages.items()}
        routes = [_route(name, one, digests, versions[name]) for name, one in entries.items()]
        try:
            for package in packages.values():
                if package.digest not in self.runtime.models:
                    model = file.models.get(package.manifest.name, ModelEntry())
                    deployment = model.override(package.manifest.deployment)
                    self.runtime.load(package, check_golden=True, deployment=deployment)
            self.runtime.apply(routes)
        finally:
            self._unload_unused()
        self._digests = digests

    def _route_entries(self, file: RouteFile) -> dict[str, RouteEntry]:
        """Return an entry for each route: the file's, or the newest version of the model."""
        entries = dict(file.routes)
        for name in self._repository.names:
            if name not in entries:
                versions = self._policy.choose(self._repository.versions(name))
                further = ",".join(versions)
                entries[name] = RouteEntry(
                    targets={f"{name}@{versions[-1]}": WEIGHT_TOTAL}, versions=f"specific:{further}"
                )
        return {name: one for name, one in entries.items() if name not in self._unloaded}

    def _versions(self, name: str, route: RouteEntry) -> tuple[str, ...]:
        if not route.versions:
            return ()
        chosen = VersionPolicy.parse(route.versions).choose(self._repository.versions(name))
        return tuple(f"{name}@{version}" for version in chosen)

    def _unload_unused(self) -> None:
        """Unload the packages that no route needs."""
        needed = {one for route in self.runtime.routes.values() for one in route.digests}
        for digest in set(self.runtime.models) - needed:
            self.runtime.unload(digest)

    def _set_unloaded(self, names: set[str]) -> None:
        before, self._unloaded = self._unloaded, names
        try:
            self._apply()
        except GnomonError:
            self._unloaded = before
            raise

    def _check_known(self, model: str) -> None:
        known = {*self._repository.names, *read_routes(self._routes_file).routes}
        if model not in known:
            raise UnknownModel(
                f"there is no model {model[:80]!r} here; there are {', '.join(sorted(known))}"
            )

    def _state(self, name: str, version: str) -> AvailableModel:
        digest = self._digests.get(f"{name}@{version}")
        in_service = {one for route in self.runtime.routes.values() for one in route.digests}
        if digest in in_service:
            return AvailableModel(name, version, True, "")
        is_unloaded = name in self._unloaded
        return AvailableModel(name, version, False, "unloaded" if is_unloaded else "not chosen")


def _route(
    name: str, route: RouteEntry, digests: Mapping[str, str], versions: Sequence[str]
) -> Route:
    return Route(
        name,
        tuple(Target(digests[one], weight) for one, weight in route.targets.items()),
        tuple(Target(digests[one], weight) for one, weight in route.shadows.items()),
        route.fallbacks(digests),
        tuple(digests[one] for one in versions),
    )


def open_node(settings: NodeSettings) -> NodeProtocol:
    """Return the node that the settings describe, not yet started."""
    if settings.hub:
        # What a hub needs is imported only if there is one.
        from gnomon.edge.node import Node

        return Node(settings)
    keys = read_trusted_keys(settings.trusted_keys)
    return StandaloneNode(
        settings.name,
        settings.packages,
        TrustStore(keys) if keys else None,
        policy=VersionPolicy.parse(settings.version_policy),
        routes_file=settings.routes_file,
        idle_unload_seconds=settings.idle_unload_seconds,
        memory_budget_bytes=settings.memory_budget_bytes,
        transcripts=open_transcripts(settings),
    )
