"""Routes of a version's life: approved for an environment, and in the end decommissioned."""

from fastapi import APIRouter

from gnomon.server.hub.rest.answers import DecommissionResult
from gnomon.server.hub.rest.bodies import ApprovalBody, DecommissionBody
from gnomon.server.hub.rest.dependencies import ActorDependency, DatabaseDependency
from gnomon.server.hub.versions import approvals, decommission

lifecycle_router = APIRouter(prefix="/models/{name}/versions/{version}", tags=["registry"])


@lifecycle_router.get("/approvals")
def list_approvals(
    name: str, version: str, database: DatabaseDependency
) -> list[approvals.Approval]:
    """List who approved a version for which environment, those withdrawn too, newest first."""
    with database.read() as connection:
        return approvals.listing(connection, name, version)


@lifecycle_router.post("/approvals", status_code=201)
def approve(
    name: str,
    version: str,
    body: ApprovalBody,
    database: DatabaseDependency,
    actor: ActorDependency,
) -> list[approvals.Approval]:
    """Approve the packages that a version has now for an environment."""
    with database.change(actor) as change:
        approvals.approve(change, name, version, body.environment, body.reason)
        return approvals.listing(change.connection, name, version)


@lifecycle_router.post("/approvals/withdraw")
def withdraw(
    name: str,
    version: str,
    body: ApprovalBody,
    database: DatabaseDependency,
    actor: ActorDependency,
) -> list[approvals.Approval]:
    """Withdraw a version's approvals for an environment."""
    with database.change(actor) as change:
        approvals.withdraw(change, name, version, body.environment, body.reason)
        return approvals.listing(change.connection, name, version)


@lifecycle_router.post("/decommission")
def decommission_version(
    name: str,
    version: str,
    body: DecommissionBody,
    database: DatabaseDependency,
    actor: ActorDependency,
) -> DecommissionResult:
    """Decommission a version; refused while something runs it, unless forced."""
    with database.change(actor) as change:
        uses = decommission.decommission(change, name, version, body.reason, force=body.force)
    return DecommissionResult(name, version, forced=body.force, uses=uses)
