"""A REST port, served from `start` to `stop`; clients that connect earlier wait."""

import socket
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from gnomon.runtime.errors import NotReady
from gnomon.server.rest.bounded_http import BoundedHttp
from gnomon.server.rest.ciphers import restrict
from gnomon.server.rest.head import HeadAsGet

_START_SECONDS = 30.0


class RestPort:
    """Serves an application over HTTP on a listening socket, in its own thread."""

    def __init__(self, listener: socket.socket) -> None:
        self._socket = listener
        self.port = int(listener.getsockname()[1])
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    def start(
        self,
        app: ASGIApp,
        drain_seconds: float,
        *,
        on_tls: Callable[[ssl.SSLContext], None] | None = None,
        **options: Any,
    ) -> None:
        """Open the port; `options` are uvicorn's, such as its TLS files.

        `on_tls` is called with the TLS context that is created from them.

        Raises:
            NotReady: the server does not start.
        """
        configuration = uvicorn.Config(
            HeadAsGet(app),
            http=BoundedHttp,
            ws="none",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=max(1, round(drain_seconds)),
            **options,
        )
        configuration.load()
        if configuration.ssl is not None:
            restrict(configuration.ssl)
            if on_tls is not None:
                on_tls(configuration.ssl)
        self._server = server = uvicorn.Server(configuration)
        self._thread = threading.Thread(
            target=server.run, args=([self._socket],), name="rest", daemon=True
        )
        self._thread.start()
        deadline = time.monotonic() + _START_SECONDS
        while not server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                raise NotReady("the web server did not start")
            time.sleep(0.005)

    def stop(self, timeout_seconds: float) -> None:
        """Take no new requests, let running ones finish, and close."""
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join(timeout_seconds)
        self._socket.close()
