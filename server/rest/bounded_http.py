"""HTTP with bounds that uvicorn's fast parser has not: on a head's length and a request's time.

Without them whoever reaches the port can fill the memory with one header that never ends, or hold
every connection with requests that never begin. This stands before authentication.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

#: What is no body (request line, headers, chunk marks, trailers) may be so long, and an eighth of
#: the body beside.
HEAD_BYTES = 64 << 10
_BODY_SHARE = 8
#: A request must have come whole after so long; the first one counts from the connection.
REQUEST_SECONDS = 60.0

#: Where a request's `state` has the name in the client's verified certificate, or None.
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

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._certificate_name = _common_name(transport.get_extra_info("peercert"))
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """End the waiting."""
        self._waited()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, as far as the bounds allow."""
        self._bytes += len(data)
        super().data_received(data)
        if self._bytes - self._body_bytes > HEAD_BYTES + self._body_bytes // _BODY_SHARE:
            self.transport.write(_TOO_LONG)
            self.transport.close()

    def on_message_begin(self) -> None:
        """Wait for the rest of a request."""
        super().on_message_begin()
        self.scope["state"][CERTIFICATE_NAME] = self._certificate_name
        self._wait()

    def on_body(self, body: bytes) -> None:
        """Count what has a bound of its own further in."""
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Forget the counts of a request that has come whole."""
        self._waited()
        self._bytes = self._body_bytes = 0
        super().on_message_complete()

    def _wait(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(REQUEST_SECONDS, self.transport.close)

    def _waited(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _common_name(certificate: Any) -> str | None:
    """Return the common name in what `getpeercert` gives; None where there is none."""
    for pairs in (certificate or {}).get("subject", ()):
        for name, value in pairs:
            if name == "commonName":
                return str(value)
    return None
