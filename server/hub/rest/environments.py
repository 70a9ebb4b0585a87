"""Routes of environments: which there are, new ones, and which one a node belongs to."""

from fastapi import APIRouter

from gnomon.server.hub.access import environments
from gnomon.server.hub.rest.answers import MovedNode
from gnomon.server.hub.rest.bodies import EnvironmentBody, MoveBody, PolicyBody
from gnomon.server.hub.rest.dependencies import ActorDependency, DatabaseDependency
from gnomon.server.hub.versions import approvals

environments_router = APIRouter(tags=["environments"])


@environments_router.get("/environments")
def list_environments(database: DatabaseDependency) -> list[environments.EnvironmentRecord]:
    """List the environments, each with how many nodes and models in service it has."""
    with database.read() as connection:
        return environments.listing(connection)


@environments_router.post("/environments", status_code=201)
def add_environment(
    body: EnvironmentBody, database: DatabaseDependency, actor: ActorDependency
) -> list[environments.EnvironmentRecord]:
    """Add an environment, and return all."""
    with database.change(actor) as change:
        environments.add(change, body.name)
        return environments.listing(change.connection)


@environments_router.post("/environments/{name}/policy")
def set_policy(
    name: str, body: PolicyBody, database: DatabaseDependency, actor: ActorDependency
) -> list[environments.EnvironmentRecord]:
    """Say which risk tiers need no approval in an environment, and return all environments."""
    with database.change(actor) as change:
        approvals.set_policy(change, name, body.exempt_tiers)
        return environments.listing(change.connection)


@environments_router.post("/nodes/{name}/environment")
def move_node(
    name: str, body: MoveBody, database: DatabaseDependency, actor: ActorDependency
) -> MovedNode:
    """Move a node to another environment; at its next call it learns what is in service there."""
    with database.change(actor) as change:
        previous = environments.move(change, name, body.environment)
    return MovedNode(name, body.environment, previous)
