"""Checks before every REST call: authentication of all but health, and the size of bodies.

Without keys, the frontend serves this machine only, and the Host header must be one of its names.
That stops DNS rebinding: a web page whose domain name resolves to this machine. The Origin header
must not be another site's, so that a browser does not call for a foreign page.
"""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gnomon.runtime.errors import GnomonError, InvalidInput, NotAllowed
from gnomon.server.rest.bounded_http import CERTIFICATE_NAME
from gnomon.server.rest.hosts import LOCAL_NAMES, host_of, host_of_header
from gnomon.server.rest.problems import problem_of
from gnomon.server.serving.admission.admission import Admission

#: Open to all callers: they only report whether the server is there and ready.
HEALTH_PATHS = ("/", "/v2/health/live", "/v2/health/ready")


class RestGuard:
    """Lets a request through with `state["caller"]`, or answers it."""

    def __init__(
        self, app: ASGIApp, *, admission: Admission, message_bytes: int, is_local: bool
    ) -> None:
        self._app = app
        self._admission = admission
        self._message_bytes = message_bytes
        self._checks_host = is_local and not admission.authentication.needs_keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check one request, and hand it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        try:
            if self._checks_host:
                _check_host(_text(headers.get(b"host")) or "")
                _check_origin(_text(headers.get(b"origin")))
            if scope["path"] not in HEALTH_PATHS:
                # What comes more than once is one list (RFC 9110, 5.2), and that is no credential.
                shown = [value for name, value in scope["headers"] if name == b"authorization"]
                key = _text(b", ".join(shown)) if shown else None
                state = scope.setdefault("state", {})
                certificate = state.get(CERTIFICATE_NAME)
                state["caller"] = self._admission.identify(key, certificate)
            self._check_size(headers.get(b"content-length", b"0"))
        except GnomonError as error:
            await problem_of(error)(scope, receive, send)
            return
        await self._app(scope, self._bounded(receive), send)

    def _check_size(self, length: bytes) -> None:
        if length.isdigit() and int(length) > self._message_bytes:
            raise self._too_long()

    def _bounded(self, receive: Receive) -> Receive:
        """Return a way to receive that refuses more than a message may have."""
        received = 0

        async def bounded() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._message_bytes:
                raise self._too_long()
            return message

        return bounded

    def _too_long(self) -> InvalidInput:
        return InvalidInput(f"the body is too long; at most {self._message_bytes} bytes may come")


def _check_host(host: str) -> None:
    if host_of_header(host) not in LOCAL_NAMES:
        raise NotAllowed(
            f"this server is for its own machine, and that is not called {host[:80]!r}; "
            "call 127.0.0.1, or give the server keys_file"
        )


def _check_origin(origin: str | None) -> None:
    if origin is not None and host_of(origin) not in LOCAL_NAMES:
        raise NotAllowed(
            f"this server answers no pages from elsewhere, such as {origin[:80]!r}; "
            "give the server keys_file, or use a page of this machine"
        )


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("latin-1")
