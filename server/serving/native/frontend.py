"""The native frontend: the Open Inference Protocol over gRPC, without the interpreter's lock.

An event loop in C serves HTTP/2 and answers calls that need no Python. All other calls go to the
`Handler` on Python threads and never block the loop. Admission comes before both: C finds callers
that Python has authenticated before (`NativeAdmission`), and uses the same counts. TLS is OpenSSL,
loaded at run time.
"""

import asyncio
import logging
import os
import threading
from collections.abc import Mapping, Sequence

from gnomon.runtime.errors import ConfigurationError
from gnomon.server.rest.certificates import Follower, HandshakeLog
from gnomon.server.rest.ciphers import TLS12_CIPHERS
from gnomon.server.serving.admission.admission import Admission, make_admission
from gnomon.server.serving.grpc_listener import identity_of, listen, remove
from gnomon.server.serving.handler import Handler
from gnomon.server.serving.native.call_handler import NativeCallHandler
from gnomon.server.serving.native.event_loop_group import EventLoopGroup
from gnomon.server.serving.native.loop import Call, Tls, missing_library, missing_tls
from gnomon.server.serving.native.native_routes import NativeRoutes
from gnomon.server.serving.route_path import RoutePath
from gnomon.server.serving.settings import FrontendSettings

_log = logging.getLogger(__name__)

#: Limits of the loop beside the settings, in bytes, counts or seconds by their names.
_LIMITS: Mapping[str, float] = {
    "header_bytes": 16 << 10,
    "total_bytes": 256 << 20,
    "connections": 1_024,
    "waiting_calls": 1_024,
    "header_seconds": 10.0,
    "idle_seconds": 600.0,
}


def why_not(settings: FrontendSettings) -> str | None:
    """Return why the native frontend cannot serve these settings here, or None."""
    if settings.traces:
        return "it does not support traces"
    return missing_library() or (missing_tls() if settings.certificate_file else None)


class NativeFrontend:
    """One listening port, the threads of its loops, and the threads of Python's calls.

    `limits` replace some of the loop's limits, for tests.

    Raises:
        ConfigurationError: `why_not` says why.
    """

    def __init__(
        self,
        handler: Handler,
        settings: FrontendSettings,
        admission: Admission | None = None,
        *,
        limits: Mapping[str, float] = _LIMITS,
    ) -> None:
        why = why_not(settings)
        if why is not None:
            raise ConfigurationError(f"the native frontend cannot open on {settings.host!r}: {why}")
        self._handler = handler
        self._settings = settings
        self._limits = {**_LIMITS, **limits}
        admission = admission or make_admission(settings, handler)
        self._calls = NativeCallHandler(
            handler, admission, settings.message_bytes, settings.threads
        )
        asks_certificates = settings.client_authority_file is not None
        self._routes = NativeRoutes(handler, admission, asks_certificates=asks_certificates)
        tables = [self._routes.new_table() for _ in range(settings.loops or _usable_cores())]
        self._loops = EventLoopGroup(tables, self._bounds())
        self._follower: Follower | None = None
        self._handshakes = HandshakeLog("native")
        self._tls_faults: list[tuple[int, str]] = []
        self._socket: tuple[int, int] | None = None
        self._is_open = False

    async def open(self) -> str:
        """Listen; return the address as clients of gRPC write it.

        Raises:
            ConfigurationError: the address is taken or not to be opened without authentication, or
                a TLS file is not to be used.
        """
        settings = self._settings
        if not settings.is_grpc_local:
            settings.check_reach()
        tls = self._tls()
        listener, address = listen(settings)
        if settings.socket_path is not None:
            self._socket = identity_of(settings.socket_path)
        self._routes.open()
        self._loops.start(listener, self._calls.streaming, self._calls.unary, tls)
        if tls is not None:
            self._follower = Follower(
                self._settings.tls_files, self._renew, self._report_handshakes
            )
        for number in range(self._settings.threads):
            name = f"native-frontend-{number}"
            threading.Thread(target=self._answer, name=name, daemon=True).start()
        self._is_open = True
        return address

    async def close(self, grace_seconds: float) -> None:
        """Take no new calls, let running ones finish, and cut the rest after the grace."""
        if not self._is_open:
            return
        if self._follower is not None:
            await asyncio.to_thread(self._follower.stop)
        if self._settings.socket_path is not None:
            remove(self._settings.socket_path, self._socket)
        await asyncio.to_thread(self._calls.close)
        await asyncio.to_thread(self._loops.drain, grace_seconds)
        self._routes.close()
        self._calls.stop()

    @property
    def counts(self) -> Mapping[str, int]:
        """Return what the loops have counted, and what became of requests for predictions."""
        return {**self._loops.counts, **self._routes.reasons}

    @property
    def paths(self) -> Mapping[str, RoutePath]:
        """Return for each route whether the loops answer it, or why Python does."""
        return self._handler.paths

    def review_paths(self) -> None:
        """Review which routes are too slow for the loops; a thread does so every second."""
        self._routes.review()

    @property
    def counts_by_loop(self) -> Sequence[Mapping[str, int]]:
        """Return what each loop has counted."""
        return self._loops.counts_by_loop

    def _tls(self) -> Tls | None:
        """Read the TLS files, if TLS is on.

        Raises:
            ConfigurationError: they cannot be used.
        """
        files = self._settings.tls_files
        try:
            return None if files is None else Tls(TLS12_CIPHERS, *files)
        except ValueError as error:
            named = ", ".join(str(file) for file in files or () if file is not None)
            raise ConfigurationError(f"TLS cannot begin with {named}: {error}") from error

    def _renew(self) -> None:
        tls = self._tls()
        if tls is not None:
            self._loops.use_tls(tls)

    def _report_handshakes(self) -> None:
        faults = self._loops.tls_faults
        before, self._tls_faults = self._tls_faults or [(0, "")] * len(faults), faults
        for (count, _), (now, reason) in zip(before, faults, strict=True):
            self._handshakes.add(now - count, reason)
        self._handshakes.report()

    def _bounds(self) -> Mapping[str, float]:
        settings = self._settings
        own = {
            "message_bytes": settings.message_bytes,
            "connection_bytes": 4 * settings.message_bytes,
            "concurrent_streams": settings.concurrent_streams,
            "keepalive_seconds": settings.keepalive_seconds,
            "connection_age_seconds": settings.connection_age_seconds,
        }
        return {**own, **self._limits}

    def _answer(self) -> None:
        self._loops.answer(self._answer_one)

    def _answer_one(self, call: Call) -> None:
        self._calls.answer(call)
        self._routes.arm()


def _usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
