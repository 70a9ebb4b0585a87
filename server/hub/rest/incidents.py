"""Routes of incidents: open, note, resolve, search, postmortem."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from gnomon.server.hub.alert_kinds import Severity
from gnomon.server.hub.monitoring import incident_timeline, incidents
from gnomon.server.hub.monitoring.incident_timeline import IncidentDetails
from gnomon.server.hub.rest.dependencies import ActorDependency, DatabaseDependency

incidents_router = APIRouter(tags=["monitor"])

_Text = Annotated[str, Field(max_length=10_000)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class IncidentBody(_Body):
    """What an incident is about; with an alert, what is empty is the alert's."""

    title: Annotated[str, Field(max_length=255)] = ""
    severity: Severity | None = None
    model: Annotated[str, Field(max_length=64)] = ""
    alert: Annotated[str, Field(max_length=26)] = ""


class NoteBody(_Body):
    """A note, or what is to be done after the incident (`follow_up`)."""

    text: Annotated[str, Field(min_length=1, max_length=10_000)]
    kind: incidents.NoteKind = incidents.NoteKind.NOTE


class ResolutionBody(_Body):
    """Where the cause was, what it was, and what was done."""

    cause: incidents.Cause
    root_cause: _Text
    resolution: _Text = ""


@dataclass(frozen=True, slots=True)
class Postmortem:
    """The postmortem of an incident, as Markdown."""

    incident: str
    markdown: str


@incidents_router.get("/incidents")
def list_incidents(
    database: DatabaseDependency,
    text: Annotated[str, Query(max_length=200)] = "",
    open_only: bool = False,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
) -> list[incidents.Incident]:
    """List incidents, the newest first; `text`: in title, model, cause, resolution or notes."""
    with database.read() as connection:
        return incidents.find(connection, text, open_only=open_only, limit=limit)


@incidents_router.get("/incidents/causes")
def count_causes(database: DatabaseDependency) -> dict[str, int]:
    """Return how many resolved incidents had each cause."""
    with database.read() as connection:
        return incidents.count_causes(connection)


@incidents_router.post("/incidents", status_code=201)
def open_incident(
    body: IncidentBody, database: DatabaseDependency, actor: ActorDependency
) -> IncidentDetails:
    """Open an incident, of an alert or by hand."""
    with database.change(actor) as change:
        wanted = incidents.IncidentRequest(**body.model_dump())
        incident_id = incidents.open_incident(change, wanted)
        return incident_timeline.describe(change.connection, incident_id)


@incidents_router.get("/incidents/{incident_id}")
def get_incident(incident_id: str, database: DatabaseDependency) -> IncidentDetails:
    """Return an incident with its notes and timeline."""
    with database.read() as connection:
        return incident_timeline.describe(connection, incident_id)


@incidents_router.get("/incidents/{incident_id}/postmortem")
def get_postmortem(incident_id: str, database: DatabaseDependency) -> Postmortem:
    """Return the postmortem as Markdown."""
    with database.read() as connection:
        found = incident_timeline.describe(connection, incident_id)
    return Postmortem(incident_id, incident_timeline.to_markdown(found))


@incidents_router.post("/incidents/{incident_id}/notes", status_code=201)
def add_note(
    incident_id: str, body: NoteBody, database: DatabaseDependency, actor: ActorDependency
) -> IncidentDetails:
    """Write a note, or what is to be done."""
    with database.change(actor) as change:
        incidents.add_note(change, incident_id, body.kind, body.text)
        return incident_timeline.describe(change.connection, incident_id)


@incidents_router.post("/incidents/{incident_id}/resolve")
def resolve_incident(
    incident_id: str, body: ResolutionBody, database: DatabaseDependency, actor: ActorDependency
) -> IncidentDetails:
    """Resolve an incident, or say better what its resolution said."""
    found = incidents.Resolution(body.cause, body.root_cause, body.resolution)
    with database.change(actor) as change:
        incidents.resolve(change, incident_id, found)
        return incident_timeline.describe(change.connection, incident_id)
