"""Routes of alerts: silences, alerts of other systems, and one alert."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from gnomon.server.hub.monitoring import alerts, external_alerts, silences
from gnomon.server.hub.monitoring.external_alerts import ExternalAlerts, ReceivedAlerts
from gnomon.server.hub.rest.dependencies import ActorDependency, DatabaseDependency
from gnomon.server.hub.store.limits import TimeMs

alerts_router = APIRouter(tags=["monitor"])

_Pattern = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.:*-]+$")]


class SilenceBody(BaseModel):
    """Which alerts are not sent, and until when; patterns such as `eta-*`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    ends_at: TimeMs
    models: _Pattern = "*"
    kinds: _Pattern = "*"
    sources: _Pattern = "*"
    reason: Annotated[str, Field(max_length=1_000)] = ""


@alerts_router.post("/alerts/alertmanager")
def receive_alerts(
    body: ExternalAlerts, database: DatabaseDependency, actor: ActorDependency
) -> ReceivedAlerts:
    """Take alerts of another system, as Alertmanager's webhook sends them."""
    with database.change(actor) as change:
        return external_alerts.receive(change, body.alerts)


@alerts_router.get("/alerts/{alert_id}")
def get_alert(alert_id: str, database: DatabaseDependency) -> alerts.Alert:
    """Return one alert with its evidence."""
    with database.read() as connection:
        return alerts.get(connection, alert_id)


@alerts_router.get("/silences")
def list_silences(database: DatabaseDependency, ended: bool = False) -> list[silences.Silence]:
    """List the silences that hold now; `ended`: also those that have ended."""
    with database.read() as connection:
        return silences.listing(connection, ended=ended)


@alerts_router.post("/silences", status_code=201)
def add_silence(
    body: SilenceBody, database: DatabaseDependency, actor: ActorDependency
) -> silences.Silence:
    """Send no event of alerts that match, until a time; what is open then is sent."""
    with database.change(actor) as change:
        return silences.add(change, silences.SilenceRequest(**body.model_dump()))


@alerts_router.post("/silences/{silence_id}/end")
def end_silence(
    silence_id: str, database: DatabaseDependency, actor: ActorDependency
) -> silences.Silence:
    """End a silence now."""
    with database.change(actor) as change:
        return silences.end(change, silence_id)
