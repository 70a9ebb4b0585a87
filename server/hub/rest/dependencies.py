"""Parameter types of routes: `DatabaseDependency`, `ActorDependency` and others."""

from typing import Annotated

from fastapi import Depends, Request

from gnomon.server.hub.services import Services
from gnomon.server.hub.settings import HubSettings
from gnomon.server.hub.store.database import Database
from gnomon.server.hub.store.rights import Actor


def services_of(request: Request) -> Services:
    """Return the hub's services."""
    services: Services = request.app.state.services
    return services


def database_of(request: Request) -> Database:
    """Return the hub's database."""
    return services_of(request).database


def settings_of(request: Request) -> HubSettings:
    """Return how the hub is set."""
    return services_of(request).settings


def actor_of(request: Request) -> Actor:
    """Return the caller with its grants; set by the guard of all routes."""
    actor: Actor = request.state.actor
    return actor


ServicesDependency = Annotated[Services, Depends(services_of)]
SettingsDependency = Annotated[HubSettings, Depends(settings_of)]
DatabaseDependency = Annotated[Database, Depends(database_of)]
ActorDependency = Annotated[Actor, Depends(actor_of)]
