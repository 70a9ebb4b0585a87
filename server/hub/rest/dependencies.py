"""Parameter types of routes: `DatabaseDependency`, `ActorDependency` and others."""

from typing import Annotated

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool

from gnomon.runtime.decoding import check_unique_names
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


async def check_body(request: Request) -> None:
    """Check that no object in a body has a name twice; the last value would win in silence.

    Raises:
        InvalidInput: one has.
    """
    body = await request.body()
    if body:
        await run_in_threadpool(check_unique_names, body, 0)


ServicesDependency = Annotated[Services, Depends(services_of)]
SettingsDependency = Annotated[HubSettings, Depends(settings_of)]
DatabaseDependency = Annotated[Database, Depends(database_of)]
ActorDependency = Annotated[Actor, Depends(actor_of)]
