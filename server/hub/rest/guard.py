"""The guard of every route: identifies the caller, and rejects cross-site requests of browsers.

From this machine no key is needed; from elsewhere, or through a proxy, an API key is. The Host
header must be one of the hub's own names, or a page whose name was made to resolve to the hub could
call it (DNS rebinding). A page of another origin may not change anything. What a proxy says of the
caller is not believed.
"""

import ipaddress
from collections.abc import Iterable

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.middleware.base import RequestResponseEndpoint
from starlette.responses import Response

from gnomon.runtime.errors import GnomonError, InvalidInput, NotAllowed, Unauthenticated
from gnomon.server.hub.access import principals
from gnomon.server.hub.store.database import Database
from gnomon.server.hub.store.rights import Actor
from gnomon.server.rest.hosts import LOCAL_NAMES, host_of
from gnomon.server.rest.problems import problem_of

_PROXY_HEADERS = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip")
_SAFE = ("GET", "HEAD", "OPTIONS")

#: A body of more than this is refused before it is read.
MAXIMUM_BODY_BYTES = 16 << 20

#: Open to all: it says only that the hub is alive.
HEALTH_PATH = "/healthz"


class Guard:
    """Passes a request on, or rejects it."""

    def __init__(self, database: Database, names: Iterable[str]) -> None:
        self._database = database
        self._names = {name.lower() for name in (*LOCAL_NAMES, *names)}

    async def __call__(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        """Check a request, set `request.state.actor` to the caller, and pass it on."""
        try:
            self._check_host(request)
            self._check_size(request)
            if request.url.path != HEALTH_PATH:
                actor = await self._actor(request)
                _check_right(request, actor)
                request.state.actor = actor
        except GnomonError as error:
            return problem_of(error)
        return await call_next(request)

    def _check_host(self, request: Request) -> None:
        host = host_of(f"//{request.headers.get('host', '')}")
        if host not in self._names:
            raise NotAllowed(f"this hub is not called {host[:80]!r}; add it to the hub's names")
        origin = request.headers.get("origin")
        if (
            request.method not in _SAFE
            and origin is not None
            and host_of(origin) not in self._names
        ):
            raise NotAllowed(f"a page of {origin[:80]!r} may not change anything here")

    def _check_size(self, request: Request) -> None:
        length = request.headers.get("content-length", "0")
        if "transfer-encoding" in request.headers or not length.isdecimal():
            raise InvalidInput("a request should say its body's length")
        if int(length) > MAXIMUM_BODY_BYTES:
            raise InvalidInput(
                f"a body of {length} bytes; at most {MAXIMUM_BODY_BYTES} are allowed"
            )

    async def _actor(self, request: Request) -> Actor:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and key:
            return await run_in_threadpool(principals.find, self._database, key.strip())
        if _is_local(request):
            return principals.LOCAL
        raise Unauthenticated("an API key is needed from other machines: Authorization: Bearer …")


def _check_right(request: Request, actor: Actor) -> None:
    """Refuse a caller that may change nothing; each right is checked with its audit record."""
    if not actor.grants:
        raise NotAllowed(f"{actor.name!r} has no role here")
    if request.method not in _SAFE and actor.only_reads:
        raise NotAllowed(f"{actor.name!r} may only read")


def _is_local(request: Request) -> bool:
    """Whether the caller is on this machine, and not a proxy on it for another machine."""
    host = host_of(f"//{request.headers.get('host', '')}")
    if host not in LOCAL_NAMES or any(name in request.headers for name in _PROXY_HEADERS):
        return False
    try:
        return request.client is not None and ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False
