"""A REST port: bound when made, open from `start` to `stop`."""

import socket
import threading
import time
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from gnomon.runtime.errors import ConfigurationError, NotReady
from gnomon.server.rest.protocol import BoundedHttp

_START_SECONDS = 30.0
_WAITING_CONNECTIONS = 128


class RestPort:
    """Serves an application over HTTP, in a thread of its own."""

    def __init__(self, host: str, port: int) -> None:
        """Bind.

        Raises:
            ConfigurationError: where the port is taken.
        """
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        # Only where the protocol is named does asyncio set TCP_NODELAY; without it, each answer
        # whose head and body are written apart waits 40 ms for the client's acknowledgement.
        self._socket = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        # A process that was killed must come up on its port again, at once.
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind((host, port))
            self._socket.listen(_WAITING_CONNECTIONS)
        except OSError as error:
            self._socket.close()
            raise ConfigurationError(f"{host}:{port} cannot be listened on: {error}") from error
        self.port = int(self._socket.getsockname()[1])
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    def start(self, app: ASGIApp, drain_seconds: float, **options: Any) -> None:
        """Open the port; `options` are uvicorn's, such as its TLS files.

        Raises:
            NotReady: where the server does not come up.
        """
        configuration = uvicorn.Config(
            app,
            http=BoundedHttp,
            ws="none",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=max(1, round(drain_seconds)),
            **options,
        )
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
        """Take no new requests, let those under way end, and close."""
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join(timeout_seconds)
        self._socket.close()
