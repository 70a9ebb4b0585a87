"""HEAD wherever GET is (RFC 9110, 9.3.2), and the methods that a path has."""

from collections.abc import Iterable

from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Receive, Scope, Send

_METHODS = ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")


class HeadAsGet:
    """Passes HEAD on as GET.

    The web server keeps its own scope, and so sends the head of the answer without its body.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http" and scope["method"] == "HEAD":
            scope = {**scope, "method": "GET"}
        await self._app(scope, receive, send)


def allowed_methods(routes: Iterable[BaseRoute], scope: Scope) -> list[str]:
    """Return the methods that the routes of a request's path take."""
    routes = list(routes)
    path = {"type": scope["type"], "path": scope["path"], "root_path": scope.get("root_path", "")}
    return [method for method in _METHODS if any(_takes(one, path, method) for one in routes)]


def _takes(route: BaseRoute, path: Scope, method: str) -> bool:
    # Routers write into a scope that they match.
    scope = {**path, "method": "GET" if method == "HEAD" else method, "headers": []}
    return route.matches(scope)[0] is Match.FULL
