"""Routes of the monitor: alerts, drift, losses."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from gnomon.server.hub.monitoring import alerts, drift, losses
from gnomon.server.hub.rest.answers import DailyLoss, ModelDrift
from gnomon.server.hub.rest.dependencies import ActorDependency, DatabaseDependency

monitor_router = APIRouter(tags=["monitor"])

_Limit = Annotated[int, Query(ge=1, le=10_000)]


class CloseBody(BaseModel):
    """Why an alert is closed."""

    model_config = ConfigDict(extra="forbid")

    reason: Annotated[str, Field(max_length=1_000)] = ""


@monitor_router.get("/alerts")
def list_alerts(
    database: DatabaseDependency,
    model: str | None = None,
    open_only: bool = False,
    limit: _Limit = 200,
) -> list[alerts.Alert]:
    """List alerts: the open ones first, then the newest first."""
    with database.read() as connection:
        return alerts.find(connection, model=model, open_only=open_only, limit=limit)


@monitor_router.post("/alerts/{alert_id}/acknowledge")
def acknowledge_alert(
    alert_id: str, database: DatabaseDependency, actor: ActorDependency
) -> alerts.Alert:
    """Say that the caller takes care of an alert."""
    with database.change(actor) as change:
        alerts.acknowledge(change, alert_id)
        return alerts.get(change.connection, alert_id)


@monitor_router.post("/alerts/{alert_id}/close")
def close_alert(
    alert_id: str,
    database: DatabaseDependency,
    actor: ActorDependency,
    body: CloseBody | None = None,
) -> alerts.Alert:
    """Close an alert; its condition, met again, opens a new one."""
    with database.change(actor) as change:
        alerts.close(change, alert_id, body.reason if body else "")
        return alerts.get(change.connection, alert_id)


@monitor_router.get("/models/{model}/drift")
def list_drift(
    model: str, database: DatabaseDependency, field: str | None = None, source: str = ""
) -> ModelDrift:
    """Return how far each field was from the reference, interval by interval.

    `source` is a node's name; empty: all nodes together.
    """
    with database.read() as connection:
        return ModelDrift(
            status=drift.status(connection, model),
            intervals=drift.series(connection, model, field, source),
        )


@monitor_router.get("/models/{model}/losses")
def list_losses(model: str, database: DatabaseDependency) -> list[DailyLoss]:
    """Return the error of predictions against labels by version and day."""
    with database.read() as connection:
        by_day = losses.by_day(connection, model)
    return [
        DailyLoss(version, day, **one.to_dict())
        for version, days in by_day.items()
        for day, one in days.items()
    ]
