"""Routes of models, versions, placements and builders' keys."""

from typing import Annotated

from fastapi import APIRouter, Query

from gnomon.runtime.errors import UnknownModel
from gnomon.server.hub import placements
from gnomon.server.hub.access import keys
from gnomon.server.hub.fleet import desired
from gnomon.server.hub.rest.answers import AddedKey, PlacementChange, Retirement, RevokedKey
from gnomon.server.hub.rest.bodies import KeyBody, PlacementBody, RetirementBody
from gnomon.server.hub.rest.dependencies import (
    ActorDependency,
    DatabaseDependency,
    SettingsDependency,
)
from gnomon.server.hub.versions import catalogue, promotion

registry_router = APIRouter(tags=["registry"])

_Limit = Annotated[int, Query(ge=1, le=1_000)]
_Offset = Annotated[int, Query(ge=0, le=1_000_000_000)]


@registry_router.get("/models")
def list_models(database: DatabaseDependency) -> list[catalogue.ModelSummary]:
    """List all models, each with its versions and the one in service."""
    with database.read() as connection:
        return catalogue.models(connection)


@registry_router.get("/models/{name}/versions")
def list_versions(
    name: str, database: DatabaseDependency, limit: _Limit = 100, offset: _Offset = 0
) -> list[catalogue.PublishedPackage]:
    """List a model's packages with manifests and attestations, newest first."""
    with database.read() as connection:
        versions = catalogue.versions(connection, name, limit, offset)
    if not versions and not offset:
        raise UnknownModel(f"there is no model {name!r} in the registry")
    return versions


@registry_router.get("/models/{name}/versions/{version}")
def get_version(name: str, version: str, database: DatabaseDependency) -> catalogue.VersionDetails:
    """Return a version: aliases, tags, and its package in each format, ready to be verified."""
    with database.read() as connection:
        return catalogue.version(connection, name, version)


@registry_router.get("/placements")
def list_placements(
    database: DatabaseDependency, model: str | None = None, environment: str | None = None
) -> list[placements.Placement]:
    """List what should be and was in service, newest first."""
    with database.read() as connection:
        return placements.listing(connection, model, environment)


@registry_router.post("/placements", status_code=201)
def place(
    body: PlacementBody,
    database: DatabaseDependency,
    settings: SettingsDependency,
    actor: ActorDependency,
) -> PlacementChange:
    """Put a version straight into service on all nodes of an environment, without a rollout."""
    with database.change(actor) as change:
        if not settings.promote_untested:
            promotion.check_tested(change.connection, body.model, body.version)
        changed = desired.place(change, body.model, body.version, body.environment)
    return PlacementChange(**body.model_dump(), changed=changed)


@registry_router.post("/placements/retire")
def retire(
    body: RetirementBody, database: DatabaseDependency, actor: ActorDependency
) -> Retirement:
    """Take a model out of service on all nodes of an environment; its rollout there ends."""
    with database.change(actor) as change:
        version = placements.end_service(change, body.model, body.environment, body.reason)
    return Retirement(body.model, version, body.environment)


@registry_router.get("/keys")
def list_keys(database: DatabaseDependency) -> list[keys.TrustedKey]:
    """List builders' keys, those revoked too."""
    with database.read() as connection:
        return keys.listing(connection)


@registry_router.post("/keys", status_code=201)
def add_key(body: KeyBody, database: DatabaseDependency, actor: ActorDependency) -> AddedKey:
    """Trust a builder's public key from now on."""
    added = keys.add(database, actor, body.name, body.key, body.role, body.models)
    return AddedKey(body.key.lower(), added)


@registry_router.delete("/keys/{key}")
def revoke_key(key: str, database: DatabaseDependency, actor: ActorDependency) -> RevokedKey:
    """Trust a key no longer."""
    keys.revoke(database, actor, key)
    return RevokedKey(key.lower(), revoked=True)
