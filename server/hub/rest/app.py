"""The hub's web application: every router, one gate, one way to tell errors."""

from fastapi import FastAPI

from gnomon.server.hub.rest.monitor import monitor_router
from gnomon.server.hub.rest.rollouts import rollouts_router
from gnomon.server.hub.services import Services
from gnomon.server.hub.web.pages import web_router


def create_app(services: Services) -> FastAPI:
    """Build the application over the hub's services."""
    app = FastAPI(title="Gnomon hub")
    app.state.services = services
    app.include_router(monitor_router, prefix="/api/v1")
    app.include_router(rollouts_router, prefix="/api/v1")
    app.include_router(web_router)
    return app
