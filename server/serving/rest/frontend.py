"""The REST frontend: the same handler over HTTP, on its own port and thread."""

import socket
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI

from gnomon.runtime.runtime import Runtime
from gnomon.server.rest import docs, problems
from gnomon.server.rest.port import RestPort
from gnomon.server.rest.tls import RestTls
from gnomon.server.serving.admission.admission import Admission
from gnomon.server.serving.executor_selector import ExecutorSelector
from gnomon.server.serving.handler import Handler
from gnomon.server.serving.observing.metrics import metrics_router
from gnomon.server.serving.rest.address import listen_rest, url_of
from gnomon.server.serving.rest.guard import RestGuard
from gnomon.server.serving.rest.inference_calls import InferenceCalls, calls_router
from gnomon.server.serving.rest.models import models_router
from gnomon.server.serving.rest.schema import add_models
from gnomon.server.serving.settings import FrontendSettings

_STOP_SECONDS = 5.0


class RestFrontend:
    """One listening port. Bound when made, open from `open` to `close`."""

    def __init__(
        self,
        handler: Handler,
        runtime: Runtime,
        settings: FrontendSettings,
        port: int | socket.socket,
        admission: Admission,
    ) -> None:
        """Bind a port by number, or take a socket that listens already.

        Raises:
            ConfigurationError: the port is in use, or not local and without authentication.
        """
        listener = listen_rest(settings, port) if isinstance(port, int) else port
        self._tls = RestTls(settings.tls_files)
        self._executor = ExecutorSelector(settings.threads, handler.runtime)
        self.app = create_app(handler, runtime, admission, self._executor, settings.message_bytes)
        self._guard = RestGuard(
            self.app,
            admission=admission,
            message_bytes=settings.message_bytes,
            is_local=settings.is_local,
        )
        self._port = RestPort(listener)
        self.url = url_of(settings, listener)

    def open(self, grace_seconds: float = _STOP_SECONDS) -> None:
        """Start to serve.

        Raises:
            ConfigurationError: a TLS file cannot be used.
            NotReady: the web server does not come up.
        """
        self._port.start(self._guard, grace_seconds, on_tls=self._tls.follow, **self._tls.options)

    def close(self, grace_seconds: float) -> None:
        """Take no new calls, let running ones finish, and close."""
        self._tls.stop()
        self._port.stop(grace_seconds + _STOP_SECONDS)
        self._executor.close()


def create_app(
    handler: Handler,
    runtime: Runtime,
    admission: Admission,
    executor: ExecutorSelector,
    message_bytes: int,
) -> FastAPI:
    """Build the application: the protocol's calls, rows, metrics, and the pages about them.

    Args:
        handler: answers the protocol's calls.
        runtime: whose models the pages and metrics show.
        admission: authenticates and throttles every call.
        executor: chooses the thread in which a model answers.
        message_bytes: most bytes of a request body.
    """
    # FastAPI's own page fetches its scripts from a CDN.
    app = FastAPI(title="Gnomon server", version=version("gnomon"), docs_url=None, redoc_url=None)
    problems.install(app)
    # Before the calls of one model, so that "stats" is not taken for a model's name.
    app.include_router(models_router(handler, admission))
    app.include_router(
        calls_router(InferenceCalls(handler, runtime, admission, executor, message_bytes))
    )
    app.include_router(metrics_router(handler, admission))
    general = app.openapi

    def openapi() -> dict[str, Any]:
        """Describe all calls, with the fields of what is in service now."""
        app.openapi_schema = None
        return add_models(general(), runtime)

    app.openapi = openapi  # type: ignore[method-assign]
    docs.install(app)
    return app
