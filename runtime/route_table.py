"""The routes in service, with their batchers, and the watchers of their replacement."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from gnomon.runtime.predicting.batching import Batcher
from gnomon.runtime.predicting.execution import RowOutcome
from gnomon.runtime.predicting.served_routes import ServedRoute
from gnomon.runtime.prediction import PredictRequest
from gnomon.runtime.routing.routes import Route

#: Called with the routes as they are served, whenever they are replaced.
Watcher = Callable[[Mapping[str, ServedRoute]], None]


class RouteTable:
    """Routes by name. Any thread may read; what changes something runs under the runtime's lock.

    Args:
        serve_route: Returns a route with its models; may raise.
        execute_rows: Answers rows of one route with as few runs of the engine as there can be.
    """

    def __init__(
        self,
        serve_route: Callable[[Route], ServedRoute],
        execute_rows: Callable[[str, Sequence[PredictRequest]], list[RowOutcome]],
    ) -> None:
        # Both are replaced as a whole, never changed: who reads them needs no lock.
        self.served: Mapping[str, ServedRoute] = {}
        self.batchers: Mapping[str, Batcher] = {}
        #: Whether there has been a route.
        self.has_served = False
        self._serve_route = serve_route
        self._execute_rows = execute_rows
        self._watchers: tuple[Watcher, ...] = ()

    def replace(self, routes: Iterable[Route]) -> None:
        """Serve these routes and no others; raises as `serve_route`, and then changes nothing."""
        served = {route.name: self._serve_route(route) for route in routes}
        self.served = served
        self.has_served = self.has_served or bool(served)
        # Who waits in an old batcher is answered by its own thread, on the new routes.
        self.batchers = {
            name: Batcher(one.batching, self._executor(name), runs=one.instances)
            for name, one in served.items()
            if one.batching is not None
        }
        for watcher in self._watchers:
            watcher(served)

    def refresh(self) -> None:
        """Serve the same routes with engines that were loaded again; watchers are called."""
        self.replace([one.route for one in self.served.values()])

    def watch(self, watcher: Watcher) -> None:
        """Call a watcher with the routes: now, and whenever they are replaced."""
        self._watchers = (*self._watchers, watcher)
        watcher(self.served)

    def unwatch(self, watcher: Watcher) -> None:
        """Stop calling a watcher."""
        self._watchers = tuple(one for one in self._watchers if one != watcher)

    def routes_of(self, digest: str) -> list[str]:
        """Return the names of the routes that need a package."""
        return [name for name, one in self.served.items() if digest in one.route.digests]

    def digests_only_of(self, routes: Collection[str]) -> set[str]:
        """Return the packages that these routes need and no other does."""
        here: set[str] = set()
        elsewhere: set[str] = set()
        for name, one in self.served.items():
            (here if name in routes else elsewhere).update(one.route.digests)
        return here - elsewhere

    def _executor(self, name: str) -> Callable[[Sequence[PredictRequest]], list[RowOutcome]]:
        return lambda requests: self._execute_rows(name, requests)
