"""Pages of incidents: the list with its search, and one incident with its timeline."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, PlainTextResponse

from gnomon.runtime.errors import NotFound
from gnomon.server.hub.monitoring import incident_timeline, incidents
from gnomon.server.hub.rest.dependencies import DatabaseDependency
from gnomon.server.hub.web.rendering import render

incident_pages = APIRouter(include_in_schema=False)


@incident_pages.get("/incidents")
def show_incidents(
    request: Request,
    database: DatabaseDependency,
    text: Annotated[str, Query(max_length=200)] = "",
) -> HTMLResponse:
    """Show incidents, the newest first, or those with a text."""
    with database.read() as connection:
        found = incidents.find(connection, text)
        causes = incidents.count_causes(connection)
    return render("incidents.html", request=request, incidents=found, causes=causes, text=text)


@incident_pages.get("/incidents/{incident_id}")
def show_incident(request: Request, incident_id: str, database: DatabaseDependency) -> HTMLResponse:
    """Show one incident."""
    try:
        with database.read() as connection:
            found = incident_timeline.describe(connection, incident_id)
    except NotFound as error:
        return render("missing.html", 404, request, text=str(error))
    return render("incident.html", request=request, incident=found)


@incident_pages.get("/incidents/{incident_id}/postmortem.md")
def send_postmortem(incident_id: str, database: DatabaseDependency) -> PlainTextResponse:
    """Send the postmortem as Markdown."""
    with database.read() as connection:
        found = incident_timeline.describe(connection, incident_id)
    headers = {"X-Content-Type-Options": "nosniff"}
    return PlainTextResponse(incident_timeline.to_markdown(found), headers=headers)
