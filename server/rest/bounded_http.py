"""HTTP with limits that uvicorn's fast parser lacks: headers, time of a request, connections.

Without them, any client could fill the memory with an endless header, or hold all connections with
requests that never begin. These limits apply before authentication.
"""

import asyncio
from typing import Any

from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gnomon.runtime.errors import NotReady
from gnomon.server.rest.connection_limit import DrainingTransport, limit_of
from gnomon.server.rest.problems import problem_of

#: Most bytes outside of the body (request line, headers, chunk marks, trailers); an eighth of the
#: body's length is added.
HEAD_BYTES = 64 << 10
_BODY_SHARE = 8
#: Seconds to receive a whole request; those of the first one count from the connection.
REQUEST_SECONDS = 60.0

#: Most bytes of a body that are read after the request was answered, so that the answer arrives.
DRAINED_BYTES = 32 << 20

#: Key in a request's `state` for the common name of the verified client certificate, or None.
CERTIFICATE_NAME = "certificate_name"

_TOO_LONG = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-length: 0\r\nconnection: close\r\n\r\n"
)


class BoundedHttp(HttpToolsProtocol):
    """One connection."""

    _timer: asyncio.TimerHandle | None = None
    _certificate_name: str | None = None
    _bytes = 0
    _body_bytes = 0
    _drained_bytes = 0

    def connection_made(self, transport: Any) -> None:
        """Start the timer for the first request; make room if there are too many connections."""
        self._draining = DrainingTransport(transport)
        self._limit = limit_of(self.server_state)
        super().connection_made(self._draining)  # type: ignore[arg-type]
        self._limit.open(self)
        self._certificate_name = _common_name(transport.get_extra_info("peercert"))
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timer."""
        self._waited()
        self._limit.close(self)
        super().connection_lost(exc)

    def close_now(self) -> None:
        """Close the connection, whatever it is at."""
        self._draining.is_receiving = False
        self._draining.close()

    def data_received(self, data: bytes) -> None:
        """Parse the data; close the connection above a limit."""
        self._bytes += len(data)
        super().data_received(data)
        if self._bytes - self._body_bytes > HEAD_BYTES + self._body_bytes // _BODY_SHARE:
            self.transport.write(_TOO_LONG)
            self.close_now()

    def on_message_begin(self) -> None:
        """Start the timer for the rest of a request."""
        super().on_message_begin()
        self.scope["state"][CERTIFICATE_NAME] = self._certificate_name
        self._draining.is_receiving = True
        self._wait()

    def on_headers_complete(self) -> None:
        """Begin to answer, unless there are too many connections."""
        self._limit.has_head(self)
        app = self.app
        if not self._limit.takes(self.url.partition(b"?")[0].decode("latin-1")):
            self.app = _answer_busy
        super().on_headers_complete()
        self.app = app

    def on_body(self, body: bytes) -> None:
        """Count the body's bytes, which the application limits."""
        self._body_bytes += len(body)
        super().on_body(body)
        if self.cycle.response_complete:
            self._drained_bytes += len(body)
            if self._drained_bytes > DRAINED_BYTES:
                self.close_now()

    def on_message_complete(self) -> None:
        """Reset timer and counts after a whole request."""
        self._waited()
        self._bytes = self._body_bytes = self._drained_bytes = 0
        self._limit.has_all(self)
        self._draining.is_receiving = False
        super().on_message_complete()
        if self._draining.is_ending:
            self._draining.close()

    def _wait(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(REQUEST_SECONDS, self.close_now)

    def _waited(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


async def _answer_busy(scope: Scope, receive: Receive, send: Send) -> None:
    error = NotReady("too many connections are open here; try again later")
    response = problem_of(error)
    response.headers["connection"] = "close"
    await response(scope, receive, send)


def _common_name(certificate: Any) -> str | None:
    """Return the common name in the result of `getpeercert`, or None."""
    for pairs in (certificate or {}).get("subject", ()):
        for name, value in pairs:
            if name == "commonName":
                return str(value)
    return None
