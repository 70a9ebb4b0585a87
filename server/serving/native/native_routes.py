"""What the native loops answer from: the routes in service, admission, and shadows."""

import contextlib
import logging
import threading
import time
from collections import Counter
from collections.abc import Mapping

from gnomon.runtime.errors import GnomonError, Unauthenticated
from gnomon.runtime.latency import SLOW_SECONDS
from gnomon.runtime.models.model import Model
from gnomon.runtime.predicting.served_routes import ServedRoute
from gnomon.server.serving.admission import authentication
from gnomon.server.serving.admission.admission import Admission
from gnomon.server.serving.handler import Handler
from gnomon.server.serving.native.eligible import BuiltRoute, build_route, why_python
from gnomon.server.serving.native.native_admission import native_admission
from gnomon.server.serving.native.path_selector import PathSelector
from gnomon.server.serving.native.route_table import NativeRouteTable
from gnomon.server.serving.native.shadow_queue import NativeShadowQueue
from gnomon.server.serving.route_path import RoutePath

_log = logging.getLogger(__name__)

#: Seconds between two reviews of which routes are too slow for the loops.
_REVIEW_SECONDS = 1.0
#: Shortest pause between two checks of the key files.
_LEAST_CHECK_SECONDS = 0.02


class NativeRoutes:
    """Follows a runtime's routes between `open` and `close`, for any number of loops."""

    def __init__(
        self, handler: Handler, admission: Admission, *, asks_certificates: bool = False
    ) -> None:
        self._handler = handler
        self._runtime = handler.runtime
        self._admission = admission
        self._native_admission = native_admission(admission, asks_certificates=asks_certificates)
        self._shadows = NativeShadowQueue()
        self._tables: list[NativeRouteTable] = []
        # For each table, what it answers from, with the served routes that it was built from.
        self._built: list[dict[str, tuple[ServedRoute, BuiltRoute]]] = []
        self._lock = threading.Lock()
        self._selector = PathSelector()
        # Routes that need Python by their settings or engines, with the reasons.
        self._unsupported: Mapping[str, RoutePath] = {}
        self._served: Mapping[str, ServedRoute] = {}
        self._closed = threading.Event()

    def new_table(self) -> NativeRouteTable:
        """Return a table for one loop; call it before `open`."""
        table = NativeRouteTable(SLOW_SECONDS, self._native_admission, self._shadows)
        self._tables.append(table)
        self._built.append({})
        return table

    @property
    def reasons(self) -> Mapping[str, int]:
        """Return how many requests were taken, and how many declined for which reason."""
        total: Counter[str] = Counter()
        for table in self._tables:
            total.update(table.reasons)
        return dict(total)

    def open(self) -> None:
        """Put the routes in service, and start the threads for shadows, paths and key files."""
        self._runtime.watch(self._publish)
        jobs = [
            ("native-frontend-shadows", self._ask_shadows),
            ("native-frontend-paths", self._keep_reviewing),
        ]
        if self._admission.authentication.needs_keys:
            jobs.append(("native-frontend-keys", self._watch_keys))
        for name, job in jobs:
            threading.Thread(target=job, name=name, daemon=True).start()

    def arm(self) -> None:
        """Move counters whose interval has ended to the current one."""
        now = time.time()
        for served in self._served.values():
            for target in served.targets.values():
                target.series.arm(now)

    def close(self) -> None:
        """Take the routes out of service."""
        self._closed.set()
        self._shadows.close()
        self._runtime.unwatch(self._publish)
        with self._lock:
            for table in self._tables:
                table.publish({})

    def review(self) -> None:
        """Measure again which routes are too slow for the loops, and move those that changed."""
        with self._lock:
            served, due = self._served, self._selector.due()
        measured = [model for model in due if _is_measured(model)]
        with self._lock:
            if served is not self._served or self._closed.is_set():
                return
            if self._selector.review(self._usual_seconds(), measured):
                self._fill_tables()

    def _usual_seconds(self) -> Mapping[str, float]:
        """Return how long calls of each route usually take on the slowest of the loops."""
        usual: dict[str, float] = {}
        for built in self._built:
            for name, (_, one) in built.items():
                usual[name] = max(usual.get(name, 0.0), one.usual_seconds)
        return usual

    def _keep_reviewing(self) -> None:
        while not self._closed.wait(_REVIEW_SECONDS):
            try:
                self.review()
            except Exception:
                _log.exception("could not review which routes the loops answer")

    def _publish(self, served: Mapping[str, ServedRoute]) -> None:
        with self._lock:
            self._served = served
            self._unsupported = {
                name: path for name, one in served.items() if (path := why_python(one)) is not None
            }
            # Only routes that the loops could answer are measured again.
            self._selector.follow(
                {name: one for name, one in served.items() if name not in self._unsupported}
            )
            self._fill_tables()

    def _fill_tables(self) -> None:
        """Fill each table with native routes; those built from the same route are kept."""
        paths = {**self._unsupported, **self._selector.held}
        clients = self._admission.clients
        wanted = {name: one for name, one in self._served.items() if name not in paths}
        for number, table in enumerate(self._tables):
            old, new = self._built[number], {}
            for name, served in wanted.items():
                known = old.get(name)
                if known is not None and known[0] is served:
                    new[name] = known
                    continue
                # Targets have their own buffers, so each loop has its own; counters are shared.
                built = build_route(name, served, clients)
                if isinstance(built, RoutePath):
                    paths[name] = built
                else:
                    new[name] = (served, built)
            table.publish({name: built.route for name, (_, built) in new.items()})
            self._built[number] = new
        self._tell_paths({name: paths.get(name, RoutePath(True)) for name in self._served})

    def _tell_paths(self, paths: Mapping[str, RoutePath]) -> None:
        """Keep the paths for the metrics, and log those that changed."""
        before, self._handler.paths = self._handler.paths, paths
        for name, path in paths.items():
            if before.get(name) == path:
                continue
            if path.is_native:
                _log.info("route %s is answered by the native loops", name)
            else:
                _log.info("route %s is answered by Python: %s", name, path.detail)

    def _ask_shadows(self) -> None:
        """Run shadow calls, one after the other, until closed."""
        counted = 0
        while (call := self._shadows.take()) is not None:
            identity, message, moment = call
            try:
                self._handler.run_shadows(message, identity, moment)
            except Exception:
                _log.exception("shadow call failed")
            dropped = self._shadows.dropped
            if dropped != counted:
                self._runtime.count_dropped_shadows(dropped - counted)
                counted = dropped

    def _watch_keys(self) -> None:
        """Check the key files regularly, since C does not."""
        while not self._closed.wait(max(authentication.CHECK_SECONDS, _LEAST_CHECK_SECONDS)):
            with contextlib.suppress(Unauthenticated):
                self._admission.authentication.reload_if_changed()


def _is_measured(model: Model) -> bool:
    """Measure a row of a model again; False if it is asleep, unloaded or fails."""
    try:
        model.measure_row()
    except GnomonError:
        return False
    return True
