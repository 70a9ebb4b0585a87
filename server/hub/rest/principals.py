"""Routes of principals: who may use the hub, and what was granted to them."""

from fastapi import APIRouter

from gnomon.server.hub.access import principals
from gnomon.server.hub.rest.answers import CreatedPrincipal, NamedGrant, Revocation
from gnomon.server.hub.rest.bodies import GrantBody, PrincipalBody
from gnomon.server.hub.rest.dependencies import ActorDependency, DatabaseDependency

principals_router = APIRouter(tags=["principals"])


@principals_router.get("/principals")
def list_principals(database: DatabaseDependency) -> list[principals.PrincipalRecord]:
    """List principals with what was granted to them; never a key."""
    with database.read() as connection:
        return principals.listing(connection)


@principals_router.post("/principals", status_code=201)
def create_principal(
    body: PrincipalBody, database: DatabaseDependency, actor: ActorDependency
) -> CreatedPrincipal:
    """Make an API key; it is shown only now."""
    with database.change(actor) as change:
        return CreatedPrincipal(body.name, principals.create(change, body.name, body.grant))


@principals_router.post("/principals/{name}/grants", status_code=201)
def grant_role(
    name: str, body: GrantBody, database: DatabaseDependency, actor: ActorDependency
) -> NamedGrant:
    """Give a principal one more role."""
    with database.change(actor) as change:
        principals.grant(change, name, body.grant)
    return NamedGrant(name, **body.model_dump())


@principals_router.post("/principals/{name}/grants/take")
def take_role(
    name: str, body: GrantBody, database: DatabaseDependency, actor: ActorDependency
) -> NamedGrant:
    """Take a role away from a principal."""
    with database.change(actor) as change:
        principals.take(change, name, body.grant)
    return NamedGrant(name, **body.model_dump())


@principals_router.delete("/principals/{name}")
def revoke_principal(name: str, database: DatabaseDependency, actor: ActorDependency) -> Revocation:
    """Revoke a principal's key."""
    with database.change(actor) as change:
        principals.revoke(change, name)
    return Revocation(name, revoked=True)
