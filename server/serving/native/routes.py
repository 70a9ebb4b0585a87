"""What the loops of a native door answer from: the routes in service, the gates, the shadows."""

import contextlib
import logging
import threading
import time
from collections import Counter
from collections.abc import Mapping

from gnomon.runtime.errors import Unauthenticated
from gnomon.runtime.predicting.lanes import Served
from gnomon.server.serving.gates import authentication
from gnomon.server.serving.gates.admission import Admission
from gnomon.server.serving.handler import Handler
from gnomon.server.serving.native.eligible import native_routes
from gnomon.server.serving.native.gates import native_gates
from gnomon.server.serving.native.shadow_queue import ShadowQueue
from gnomon.server.serving.native.table import Table

_log = logging.getLogger(__name__)

#: A model that usually takes longer runs beside the loop.
_SLOW_SECONDS = 0.002
#: Files of keys are looked at no more often than this, whatever the doors allow.
_LEAST_LOOK_SECONDS = 0.02


class NativeRoutes:
    """Follows a runtime's routes between `open` and `close`, for any number of loops."""

    def __init__(
        self, handler: Handler, admission: Admission, *, asks_certificates: bool = False
    ) -> None:
        self._handler = handler
        self._runtime = handler.runtime
        self._admission = admission
        self._gates = native_gates(admission, asks_certificates=asks_certificates)
        self._shadows = ShadowQueue()
        self._tables: list[Table] = []
        self._served: Mapping[str, Served] = {}
        self._closed = threading.Event()

    def new_table(self) -> Table:
        """Return what one loop is to answer from; before `open`."""
        table = Table(_SLOW_SECONDS, self._gates, self._shadows)
        self._tables.append(table)
        return table

    @property
    def reasons(self) -> Mapping[str, int]:
        """Return how many requests were taken, and how many declined for which reason."""
        total: Counter[str] = Counter()
        for table in self._tables:
            total.update(table.reasons)
        return dict(total)

    def open(self) -> None:
        """Put the routes in service, and begin to ask shadows and to look at files of keys."""
        self._runtime.watch(self._publish)
        jobs = [("native-door-shadows", self._ask_shadows)]
        if self._admission.authentication.needs_keys:
            jobs.append(("native-door-keys", self._look))
        for name, job in jobs:
            threading.Thread(target=job, name=name, daemon=True).start()

    def arm(self) -> None:
        """Let counters whose interval has ended count on in the present one."""
        now = time.time()
        for served in self._served.values():
            for lane in served.lanes.values():
                lane.series.arm(now)

    def close(self) -> None:
        """Take the routes out of service."""
        self._closed.set()
        self._shadows.close()
        self._runtime.unwatch(self._publish)
        for table in self._tables:
            table.publish({})

    def _publish(self, served: Mapping[str, Served]) -> None:
        self._served = served
        for table in self._tables:
            # Lanes have buffers of their own, so each loop has its own; the counters are shared.
            table.publish(native_routes(served, self._admission.clients, _SLOW_SECONDS))

    def _ask_shadows(self) -> None:
        """Ask shadows, one request after the other, until the end."""
        told = 0
        while (call := self._shadows.take()) is not None:
            identity, message, moment = call
            try:
                self._handler.ask_shadows(message, identity, moment)
            except Exception:
                _log.exception("a shadow failed")
            dropped = self._shadows.dropped
            if dropped != told:
                self._runtime.count_dropped_shadows(dropped - told)
                told = dropped

    def _look(self) -> None:
        """Look at the files of keys, since C does not."""
        while not self._closed.wait(max(authentication.LOOK_SECONDS, _LEAST_LOOK_SECONDS)):
            with contextlib.suppress(Unauthenticated):
                self._admission.authentication.look()
