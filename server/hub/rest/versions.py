"""Routes by which versions are found, named, compared and followed."""

from typing import Annotated

from fastapi import APIRouter, Query

from gnomon.server.hub.rest.bodies import AliasBody, TagsBody
from gnomon.server.hub.rest.dependencies import ActorDependency, DatabaseDependency
from gnomon.server.hub.versions import aliases, catalogue, compare, history, search, tags
from gnomon.server.hub.versions.history_records import Lineage, ModelHistory

versions_router = APIRouter(tags=["registry"])


@versions_router.get("/versions")
def search_versions(
    database: DatabaseDependency, wanted: Annotated[search.Search, Query()]
) -> search.SearchPage:
    """Search the packages of all models, newest first, page by page."""
    with database.read() as connection:
        return search.search(connection, wanted)


@versions_router.get("/models/{name}/aliases")
def list_aliases(name: str, database: DatabaseDependency) -> dict[str, str]:
    """List a model's aliases, `champion` and `challenger` among them, with their versions."""
    with database.read() as connection:
        return aliases.of_model(connection, name)


@versions_router.post("/models/{name}/aliases")
def set_alias(
    name: str, body: AliasBody, database: DatabaseDependency, actor: ActorDependency
) -> dict[str, str]:
    """Let an alias stand for a version, or, without a version, for none any more."""
    with database.change(actor) as change:
        return aliases.set_alias(change, name, body.alias, body.version)


@versions_router.get("/models/{name}/aliases/{alias}")
def get_alias(name: str, alias: str, database: DatabaseDependency) -> catalogue.VersionDetails:
    """Return the version that an alias stands for."""
    with database.read() as connection:
        return catalogue.version(connection, name, aliases.resolve(connection, name, alias))


@versions_router.post("/models/{name}/versions/{version}/tags")
def set_tags(
    name: str,
    version: str,
    body: TagsBody,
    database: DatabaseDependency,
    actor: ActorDependency,
) -> dict[str, str]:
    """Set tags of a version; null takes one away."""
    with database.change(actor) as change:
        return tags.set_tags(change, name, version, body.tags)


@versions_router.get("/models/{name}/versions/{version}/lineage")
def get_lineage(name: str, version: str, database: DatabaseDependency) -> Lineage:
    """Follow a version from its dataset and run to its rollouts and nodes."""
    with database.read() as connection:
        return history.lineage(connection, name, version)


@versions_router.get("/models/{name}/compare")
def compare_versions(
    name: str, left: str, right: str, database: DatabaseDependency
) -> compare.VersionComparison:
    """Compare two versions: metrics, rules, training data, manifests."""
    with database.read() as connection:
        return compare.compare(connection, name, left, right)


@versions_router.get("/registry/at")
def ran_at(
    database: DatabaseDependency,
    when: str,
    model: str | None = None,
    environment: str | None = None,
) -> list[ModelHistory]:
    """Return what was in service, rolled out and counted on a day or at an instant (ISO 8601)."""
    with database.read() as connection:
        return history.ran_at(connection, history.Span.parse(when), model, environment)
