"""The packages of a process, and the routes that they are in service on."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence

from gnomon.runtime.errors import Conflict, NotReady
from gnomon.runtime.models.model import Model
from gnomon.runtime.models.model_store import ModelStore, ModelUsage
from gnomon.runtime.packages.manifest import Deployment
from gnomon.runtime.packages.package import Package
from gnomon.runtime.predicting.execution import RowOutcome
from gnomon.runtime.predicting.fallback_chain import check_declared
from gnomon.runtime.predicting.served_routes import (
    RouteTarget,
    ServedRoute,
    find_target,
    serve_route,
)
from gnomon.runtime.prediction import PredictRequest
from gnomon.runtime.recording.recorder import Recorder
from gnomon.runtime.route_table import RouteTable, Watcher
from gnomon.runtime.routing.routes import Route


class RouteService(ABC):
    """Loads packages and puts them in service on routes; a runtime adds the answers.

    Any thread may read. What changes something holds the control lock meanwhile.

    Args:
        recorder: Counts the calls of each package on each route.
        memory_budget_bytes: What all models together may take; 0: no limit.
        keeps_transcripts: Whether requests and answers are recorded if a package allows it.
    """

    def __init__(
        self, recorder: Recorder, *, memory_budget_bytes: int, keeps_transcripts: bool
    ) -> None:
        self._recorder = recorder
        self._keeps_transcripts = keeps_transcripts
        self._control = threading.Lock()
        self._store = ModelStore(memory_budget_bytes)
        self._table = RouteTable(self._serve_route, self.predict_rows)
        self._closed = False

    @abstractmethod
    def predict_rows(self, route: str, requests: Sequence[PredictRequest]) -> list[RowOutcome]:
        """Answer rows of one route with as few runs of the engine as possible."""

    def load(
        self,
        package: Package,
        *,
        check_golden: bool = False,
        deployment: Deployment | None = None,
    ) -> Model:
        """Make a package ready to answer; loading a digest again returns what is there.

        `deployment` replaces the settings in its manifest.

        Raises:
            EngineError: the engine cannot load or run it.
            PackageError: its contract or packing contradicts itself.
            MemoryExceeded: it exceeds the memory budget.
            GoldenMismatch: with `check_golden`, if it does not reproduce its golden samples.
        """
        with self._control:
            self._check_open()
            if package.digest in self.models and self._store.wake([package.digest]):
                self._table.refresh()
            return self._store.load(package, check_golden, deployment, check_declared)

    def unload(self, digest: str) -> None:
        """Close a package that no route names; what it counted goes to the sink.

        Raises:
            Conflict: a route in service still needs it.
            UnknownModel: it is not loaded.
        """
        with self._control:
            needed = self._table.routes_of(digest)
            if needed:
                raise Conflict(f"the package {digest[:16]} is in service on {', '.join(needed)}")
            self._store.remove(digest)
        self._recorder.retire(digest)

    def apply(self, routes: Iterable[Route]) -> None:
        """Replace all routes at once; a call in progress ends on the old ones.

        Raises:
            UnknownModel: a route needs a package that is not loaded; nothing was changed.
            ConfigurationError: a fallback does not fit its target; nothing was changed.
        """
        with self._control:
            self._check_open()
            self._table.replace(routes)

    def watch(self, changed: Watcher) -> None:
        """Call `changed` with the routes as they are served: now, and whenever they are replaced.

        It is called under the control lock, before `apply` returns; it must not change routes.
        """
        with self._control:
            self._table.watch(changed)

    def unwatch(self, changed: Watcher) -> None:
        """Stop calling `changed`."""
        with self._control:
            self._table.unwatch(changed)

    @property
    def routes(self) -> Mapping[str, Route]:
        """Return the routes in service by name."""
        return {name: served.route for name, served in self._table.served.items()}

    def route_names(self) -> list[str]:
        """Return the names of the routes in service."""
        return list(self._table.served)

    def has_route(self, name: str) -> bool:
        """Whether a route of that name is in service."""
        return name in self._table.served

    def model_of(self, route: str, key: str, version: str = "") -> Model:
        """Return the model of a route that answers a key, or requests for a version.

        Raises:
            UnknownModel: there is no such route, or no such version on it.
        """
        return self._find_target(self._table.served, route, key, version).model

    def gathers(self, name: str) -> bool:
        """Whether calls on a route wait for others, to share a run of the engine."""
        return name in self._table.batchers

    def works_in_caller(self, name: str) -> bool:
        """Whether calls on a route are answered by the calling thread alone; False: no such route.

        Its CPU clock then times them, waiting for the interpreter's lock left out.
        """
        served = self._table.served.get(name)
        return served is not None and served.works_in_caller

    @property
    def models(self) -> Mapping[str, Model]:
        """Return the loaded models by digest."""
        return self._store.models

    @property
    def usage(self) -> Mapping[str, ModelUsage]:
        """Return what each loaded model has cost, by digest."""
        return self._store.usage

    def sleep(self, idle: Collection[str]) -> None:
        """Let the models sleep that idle routes name and no other route does."""
        with self._control:
            self._store.sleep(self._table.digests_only_of(idle))

    def _wake(self, route: str, seen: Mapping[str, ServedRoute]) -> bool:
        """Load the engines that a route has released; return whether to try again."""
        with self._control:
            if self._table.served is not seen or route not in seen:
                return True
            woken = self._store.wake(seen[route].route.digests)
            if woken:
                self._table.refresh()
            return woken

    def _serve_route(self, route: Route) -> ServedRoute:
        return serve_route(
            route, self.models, self._recorder, keeps_transcripts=self._keeps_transcripts
        )

    def _find_target(
        self,
        served: Mapping[str, ServedRoute],
        route: str,
        key: str | None,
        version: str = "",
        bucket: int | None = None,
    ) -> RouteTarget:
        if route not in served:
            self.check_started()
        return find_target(served, route, key, version, bucket)

    def check_started(self) -> None:
        """Check that routes were put into service: before that, no name is known to be wrong.

        Raises:
            NotReady: none was yet, or the runtime is closed.
        """
        self._check_open()
        if not self._table.has_served:
            raise NotReady("no model is in service here yet; try again")

    def _check_open(self) -> None:
        if self._closed:
            raise NotReady("the runtime is closed")
