"""Routes of rollouts: begin, watch, abort."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from gnomon.server.hub.rest.dependencies import (
    ActorDependency,
    DatabaseDependency,
    SettingsDependency,
)
from gnomon.server.hub.rollout import listing, rollouts
from gnomon.server.hub.rollout.plan import RolloutRequest
from gnomon.server.hub.versions import promotion

rollouts_router = APIRouter(tags=["rollouts"])

_Limit = Annotated[int, Query(ge=1, le=1_000)]


class AbortBody(BaseModel):
    """Why a person stops a rollout."""

    model_config = ConfigDict(extra="forbid")

    reason: Annotated[str, Field(max_length=1_000)] = ""


@rollouts_router.post("/rollouts", status_code=201)
def create_rollout(
    body: RolloutRequest,
    database: DatabaseDependency,
    settings: SettingsDependency,
    actor: ActorDependency,
) -> listing.RolloutRecord:
    """Begin to move a model's traffic to another version."""
    with database.change(actor) as change:
        if not settings.promote_untested:
            promotion.check_tested(change.connection, body.model, body.version)
        rollout_id = rollouts.create(change, body.model, body.version, body.plan, body.environment)
    with database.read() as connection:
        return listing.describe(connection, rollout_id)


@rollouts_router.get("/rollouts")
def list_rollouts(
    database: DatabaseDependency,
    model: str | None = None,
    environment: str | None = None,
    limit: _Limit = 50,
) -> list[listing.RolloutRecord]:
    """List rollouts, newest first; those under way with what their gate says now."""
    with database.read() as connection:
        return listing.find(connection, model, limit, environment)


@rollouts_router.get("/rollouts/{rollout_id}")
def get_rollout(rollout_id: str, database: DatabaseDependency) -> listing.RolloutRecord:
    """Return one rollout with its steps and what its gate says now."""
    with database.read() as connection:
        return listing.describe(connection, rollout_id)


@rollouts_router.post("/rollouts/{rollout_id}/abort")
def abort_rollout(
    rollout_id: str,
    database: DatabaseDependency,
    actor: ActorDependency,
    body: AbortBody | None = None,
) -> listing.RolloutRecord:
    """Give all the traffic back to the version in service."""
    reason = body.reason if body and body.reason else f"aborted by {actor}"
    with database.change(actor) as change:
        rollouts.abort(change, rollout_id, reason)
    with database.read() as connection:
        return listing.describe(connection, rollout_id)
