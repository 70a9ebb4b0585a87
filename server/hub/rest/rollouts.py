"""Routes of rollouts: begin, watch, pause, resume, promote, retry, abort."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from gnomon.server.hub.rest.dependencies import (
    ActorDependency,
    DatabaseDependency,
    SettingsDependency,
)
from gnomon.server.hub.rollout import listing, rollouts, steering
from gnomon.server.hub.rollout.plan import RolloutRequest
from gnomon.server.hub.versions import promotion

rollouts_router = APIRouter(tags=["rollouts"])

_Limit = Annotated[int, Query(ge=1, le=1_000)]


class AbortBody(BaseModel):
    """Why a person stops a rollout."""

    model_config = ConfigDict(extra="forbid")

    reason: Annotated[str, Field(max_length=1_000)] = ""


class SteeringBody(AbortBody):
    """Why a person pauses, resumes or retries a rollout."""


class PromotionBody(AbortBody):
    """Why a person promotes a rollout, and how far."""

    to_end: bool = False
    """All steps that are left, and not only the next."""


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
    return get_rollout(rollout_id, database)


@rollouts_router.post("/rollouts/{rollout_id}/pause")
def pause_rollout(
    rollout_id: str,
    database: DatabaseDependency,
    actor: ActorDependency,
    body: SteeringBody | None = None,
) -> listing.RolloutRecord:
    """Let a rollout stay at its step until it is resumed."""
    with database.change(actor) as change:
        steering.pause(change, rollout_id, body.reason if body else "")
    return get_rollout(rollout_id, database)


@rollouts_router.post("/rollouts/{rollout_id}/resume")
def resume_rollout(
    rollout_id: str,
    database: DatabaseDependency,
    actor: ActorDependency,
    body: SteeringBody | None = None,
) -> listing.RolloutRecord:
    """Let the gates of a paused rollout decide again."""
    with database.change(actor) as change:
        steering.resume(change, rollout_id, body.reason if body else "")
    return get_rollout(rollout_id, database)


@rollouts_router.post("/rollouts/{rollout_id}/promote")
def promote_rollout(
    rollout_id: str,
    database: DatabaseDependency,
    actor: ActorDependency,
    body: PromotionBody | None = None,
) -> listing.RolloutRecord:
    """Begin the next step before its gate has enough evidence; not against its verdict."""
    given = body or PromotionBody()
    with database.change(actor) as change:
        steering.promote(change, rollout_id, given.reason, to_end=given.to_end)
    return get_rollout(rollout_id, database)


@rollouts_router.post("/rollouts/{rollout_id}/retry", status_code=201)
def retry_rollout(
    rollout_id: str,
    database: DatabaseDependency,
    settings: SettingsDependency,
    actor: ActorDependency,
    body: SteeringBody | None = None,
) -> listing.RolloutRecord:
    """Begin a rollout that was sent back or aborted again, with its plan; returns the new one."""
    with database.change(actor) as change:
        begun = steering.retry(change, rollout_id, body.reason if body else "")
        if not settings.promote_untested:
            new = listing.describe(change.connection, begun)
            promotion.check_tested(change.connection, new.model, new.candidate)
    return get_rollout(begun, database)
