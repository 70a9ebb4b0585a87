"""The guard of every route: identifies the caller, and rejects cross-site requests of browsers.

No caller is known by its address. Programs show an API key, programs of the hub's own user the key
in the data folder. A browser shows the cookie of a session, which counts for the pages and for
reading. The Host header must be one of the hub's own names, or a page whose name was made to
resolve to the hub could call it (DNS rebinding). A page of another origin, of another port too, may
not change anything. What a proxy says of the caller is not believed.
"""

from collections.abc import Callable, Iterable

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.middleware.base import RequestResponseEndpoint
from starlette.responses import RedirectResponse, Response

from gnomon.runtime.errors import GnomonError, InvalidInput, NotAllowed, Unauthenticated
from gnomon.server.hub.access.callers import Callers
from gnomon.server.hub.access.principals import LOCAL
from gnomon.server.hub.ingest.quotas import Quota, Quotas
from gnomon.server.hub.store.rights import Actor
from gnomon.server.rest.hosts import LOCAL_NAMES, host_of_header
from gnomon.server.rest.problems import problem_of

_SAFE = ("GET", "HEAD", "OPTIONS")
#: Values of Sec-Fetch-Site with which a browser may change something.
_OWN_SITES = ("same-origin", "none")

#: Headers that say where a request comes from and goes to: of two, readers take different ones.
_ONCE = ("host", "origin", "sec-fetch-site")

#: A body of more than this is refused before it is read.
MAXIMUM_BODY_BYTES = 16 << 20

#: Open to all: it says only that the hub is alive.
HEALTH_PATH = "/healthz"
SIGN_IN_PATH = "/sign-in"
SIGN_OUT_PATH = "/sign-out"
#: Begins a sign-in with an issuer of OpenID Connect, and takes its answer.
OIDC_PATH = "/sign-in/oidc"
OIDC_CALLBACK_PATH = "/sign-in/oidc/callback"
#: Makes a link that begins a session of the caller's own.
LINKS_PATH = "/api/v1/sign-in-links"

_OPEN_PATHS = (HEALTH_PATH, SIGN_IN_PATH, OIDC_PATH, OIDC_CALLBACK_PATH)
_ASSETS = "/assets/"
_API = "/api/"
_FOR_PROGRAMS = (_API, "/openapi.json")


class Guard:
    """Passes a request on, or rejects it."""

    def __init__(self, callers: Callers, quotas: Quotas, names: Iterable[str], scheme: str) -> None:
        """Guard a hub's routes.

        Args:
            callers: who is known.
            quotas: how many calls a principal may make.
            names: host names of the hub besides those of this machine.
            scheme: of the hub's pages as a browser sees them, http or https.
        """
        self._callers = callers
        self._quotas = quotas
        self._names = {name.lower() for name in (*LOCAL_NAMES, *names)}
        self._scheme = scheme

    async def __call__(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        """Check a request, set `request.state.actor` to the caller, and pass it on."""
        request.state.actor = request.state.session = None
        path = request.url.path
        try:
            self._check_host(request)
            self._check_size(request)
            if path not in _OPEN_PATHS and not path.startswith(_ASSETS):
                request.state.actor = await self._identify(request)
        except Unauthenticated as error:
            if request.method in _SAFE and not path.startswith(_FOR_PROGRAMS):
                return RedirectResponse(SIGN_IN_PATH, 303, {"Cache-Control": "no-store"})
            return problem_of(error)
        except GnomonError as error:
            return problem_of(error)
        return await call_next(request)

    def _check_host(self, request: Request) -> None:
        for name in _ONCE:
            if len(request.headers.getlist(name)) > 1:
                raise InvalidInput(f"a request has one header {name} at most")
        shown = request.headers.get("host", "").lower()
        host = host_of_header(shown)
        if host not in self._names:
            raise NotAllowed(f"this hub is not called {host[:80]!r}; add it to the hub's names")
        if request.method in _SAFE:
            return
        origin = request.headers.get("origin")
        site = request.headers.get("sec-fetch-site", "none")
        own = f"{self._scheme}://{shown}"
        if site not in _OWN_SITES or (origin is not None and origin.lower() != own):
            raise NotAllowed(
                f"a page of {(origin or site)[:80]!r} may not change anything here, at {own[:80]}; "
                "behind a proxy that speaks TLS, set behind_tls_proxy and pass on the Host header"
            )

    def _check_size(self, request: Request) -> None:
        length = request.headers.get("content-length", "0")
        if "transfer-encoding" in request.headers or not length.isdecimal():
            raise InvalidInput("a request should say its body's length")
        if int(length) > MAXIMUM_BODY_BYTES:
            raise InvalidInput(
                f"a body of {length} bytes; at most {MAXIMUM_BODY_BYTES} are allowed"
            )

    async def _identify(self, request: Request) -> Actor:
        shown = request.headers.getlist("authorization")
        if len(shown) > 1:
            raise InvalidInput("a request has one authorization header at most")
        address = request.client.host if request.client else ""
        if shown:
            actor = await run_in_threadpool(self._admit, self._callers.by_key, shown[0], address)
        else:
            actor = await self._by_session(request, address)
        _check_right(request, actor)
        return actor

    def _admit(self, find: Callable[[str, str], Actor], secret: str, address: str) -> Actor:
        """Return the caller, if it has calls left; raises as `find`, and `Overloaded`."""
        actor = find(secret, address)
        if actor.name != LOCAL.name:
            self._quotas.spend(actor.name, Quota.REST_CALLS)
        return actor

    async def _by_session(self, request: Request, address: str) -> Actor:
        secret = request.cookies.get(cookie_name(request))
        is_for_pages = request.method in _SAFE or not request.url.path.startswith(_API)
        if secret and is_for_pages:
            actor = await run_in_threadpool(self._admit, self._callers.by_session, secret, address)
            request.state.session = secret
            return actor
        raise Unauthenticated(
            "an API key is needed: Authorization: Bearer …; commands of the hub's own user on its "
            "own machine find the hub's key, others take --api-key-file or GNOMON_HUB_API_KEY"
        )


def cookie_name(request: Request) -> str:
    """Return the name of the session's cookie; browsers do not keep ports apart."""
    port = request.headers.get("host", "").rpartition(":")[2]
    name = f"gnomon_session_{port}" if port.isdecimal() else "gnomon_session"
    return f"__Host-{name}" if is_secure(request) else name


def is_secure(request: Request) -> bool:
    """Whether browsers reach the pages by TLS."""
    return bool(request.app.state.services.settings.scheme == "https")


def _check_right(request: Request, actor: Actor) -> None:
    """Refuse a caller that may change nothing; each right is checked with its audit record."""
    if not actor.grants:
        raise NotAllowed(f"{actor.name!r} has no role here")
    own = request.url.path in (SIGN_OUT_PATH, LINKS_PATH)
    if request.method not in _SAFE and actor.only_reads and not own:
        raise NotAllowed(f"{actor.name!r} may only read")
