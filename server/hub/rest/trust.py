"""Routes of signed metadata: what it states, the files, and those that were signed elsewhere."""

from dataclasses import dataclass

from fastapi import APIRouter

from gnomon.server.hub.rest.bodies import MetadataBody
from gnomon.server.hub.rest.dependencies import (
    ActorDependency,
    DatabaseDependency,
    ServicesDependency,
)
from gnomon.server.hub.trust.adopting import SignedFile
from gnomon.server.hub.trust.repository import OnlineKey, TrustRecord

trust_router = APIRouter(tags=["trust"])


@dataclass(frozen=True)
class MetadataText:
    """Signed metadata of a role, as JSON text."""

    role: str
    version: int
    data: str


@dataclass(frozen=True)
class MetadataVersions:
    """The versions that are stored now, by role."""

    versions: dict[str, int]


@trust_router.get("/trust")
def get_trust(services: ServicesDependency) -> TrustRecord:
    """Say what the signed metadata states."""
    return services.trust.describe()


@trust_router.get("/trust/metadata")
def list_metadata(services: ServicesDependency) -> list[MetadataText]:
    """List the signed metadata: every root, and the newest of each other role."""
    current = services.trust.current()
    return [
        MetadataText(one.role, one.version, one.data.decode())
        for one in (*current.roots, *current.others.values())
    ]


@trust_router.post("/trust/metadata", status_code=201)
def import_metadata(
    body: MetadataBody,
    services: ServicesDependency,
    database: DatabaseDependency,
    actor: ActorDependency,
) -> MetadataVersions:
    """Take metadata that was signed elsewhere, if it is signed as the root says."""
    files = [SignedFile(one.role, one.data.encode()) for one in body.files]
    with database.change(actor) as change:
        return MetadataVersions(services.trust.import_metadata(change, files))


@trust_router.post("/trust/rotate", status_code=201)
def rotate_keys(
    services: ServicesDependency, database: DatabaseDependency, actor: ActorDependency
) -> MetadataVersions:
    """Replace all keys of the signed metadata by new ones; simple mode only."""
    with database.change(actor) as change:
        return MetadataVersions(services.trust.rotate(change))


@trust_router.post("/trust/online-keys", status_code=201)
def make_online_keys(
    services: ServicesDependency, database: DatabaseDependency, actor: ActorDependency
) -> list[OnlineKey]:
    """Make new keys of the hub for offline mode; they count once an imported root names them."""
    with database.change(actor) as change:
        return services.trust.make_online_keys(change)
