"""The hub's web application: all routers, the guard, and the handling of errors."""

from importlib.metadata import version
from typing import Any

from fastapi import Depends, FastAPI
from starlette.middleware.base import BaseHTTPMiddleware

from gnomon.server.hub.rest.alerts import alerts_router
from gnomon.server.hub.rest.audit import audit_router
from gnomon.server.hub.rest.dependencies import check_body
from gnomon.server.hub.rest.environments import environments_router
from gnomon.server.hub.rest.guard import HEALTH_PATH, Guard
from gnomon.server.hub.rest.incidents import incidents_router
from gnomon.server.hub.rest.lifecycle import lifecycle_router
from gnomon.server.hub.rest.links import links_router
from gnomon.server.hub.rest.monitor import monitor_router
from gnomon.server.hub.rest.nodes import nodes_router
from gnomon.server.hub.rest.principals import principals_router
from gnomon.server.hub.rest.registry import registry_router
from gnomon.server.hub.rest.rollouts import rollouts_router
from gnomon.server.hub.rest.runs import runs_router
from gnomon.server.hub.rest.trust import trust_router
from gnomon.server.hub.rest.versions import versions_router
from gnomon.server.hub.rest.webhooks import webhooks_router
from gnomon.server.hub.services import Services
from gnomon.server.hub.web.incident_pages import incident_pages
from gnomon.server.hub.web.oidc_sign_in import oidc_router
from gnomon.server.hub.web.pages import web_router
from gnomon.server.hub.web.sign_in import sign_in_router
from gnomon.server.rest import docs, problems
from gnomon.server.rest.problem_schema import describe_problems

API = (
    registry_router,
    versions_router,
    runs_router,
    nodes_router,
    trust_router,
    environments_router,
    principals_router,
    links_router,
    lifecycle_router,
    webhooks_router,
    audit_router,
    monitor_router,
    alerts_router,
    incidents_router,
    rollouts_router,
)


#: What any call of the hub's may answer, beside what every REST port may.
_STATUSES = (404, 409, 413, 429, 502, 507)


def create_app(services: Services) -> FastAPI:
    """Build the application over the hub's services."""
    # FastAPI's own page fetches its scripts from a CDN.
    app = FastAPI(title="Gnomon hub", version=version("gnomon"), docs_url=None, redoc_url=None)
    app.state.services = services
    problems.install(app)
    docs.install(app)
    settings = services.settings
    names = (settings.host, *settings.names)
    guard = Guard(services.callers, services.quotas, names, settings.scheme)
    app.add_middleware(BaseHTTPMiddleware, dispatch=guard)
    for router in API:
        app.include_router(router, prefix="/api/v1", dependencies=[Depends(check_body)])
    app.include_router(web_router)
    app.include_router(incident_pages)
    app.include_router(sign_in_router)
    app.include_router(oidc_router)

    @app.get(HEALTH_PATH, include_in_schema=False)
    def health() -> dict[str, str]:
        """Say that the hub is alive and its database answers."""
        with services.database.read() as connection:
            connection.exec_driver_sql("SELECT 1")
        return {"status": "ok"}

    general = app.openapi

    def openapi() -> dict[str, Any]:
        """Describe all calls, with the errors of each."""
        return describe_problems(general(), {"": _STATUSES})

    app.openapi = openapi  # type: ignore[method-assign]
    return app
