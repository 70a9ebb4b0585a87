"""Puts new routes into service, and names the one that cannot be, beside those in service."""

from collections.abc import Sequence

from gnomon.runtime.errors import GnomonError
from gnomon.runtime.routing.routes import Route
from gnomon.runtime.runtime import Runtime


def try_routes(runtime: Runtime, routes: Sequence[Route]) -> tuple[str, GnomonError | None]:
    """Put routes into service, all or none; return which one cannot be, and why.

    If they cannot be put into service, the caller restores the former ones. The name is empty if
    the error is of no single route.
    """
    try:
        runtime.apply(routes)
    except GnomonError as error:
        for route in routes:
            try:
                runtime.apply([*({**runtime.routes, route.name: route}.values())])
            except GnomonError as own:
                return route.name, own
        return "", error
    return "", None
