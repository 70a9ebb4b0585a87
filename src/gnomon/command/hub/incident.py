"""`gnomon incident`: incidents from their opening to the postmortem."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from gnomon.command.shared.hub_command import (
    CommandResult,
    as_line,
    as_list,
    hub_command,
    without_none,
)
from gnomon.command.shared.listing import wide_option
from gnomon.runtime.errors import StorageError

if TYPE_CHECKING:
    from gnomon.client.hub import HubClient

_COLUMNS = ("id", "severity", "model", "began_at", "resolved_at", "title", "cause")
_SEVERITIES = ("critical", "error", "warning", "info")
_CAUSES = ("model", "data", "code", "configuration", "node", "network", "hub", "other")


@click.group()
def incident() -> None:
    """Open, note, resolve and search incidents; write postmortems."""


@incident.command("list")
@click.option("--text", help="Only those with this text: have we seen this?")
@click.option("--open", "open_only", is_flag=True, help="Only those that are not resolved.")
@wide_option
@hub_command
def list_incidents(client: "HubClient", text: str | None, open_only: bool) -> CommandResult:
    """List the incidents, newest first."""
    payload = client.get("incidents", open_only=open_only, **without_none({"text": text}))
    return as_list(payload, "Incidents", _COLUMNS)


@incident.command("open")
@click.argument("title", required=False, default="")
@click.option("--alert", default="", help="The alert that it is about.")
@click.option("--model", default="", help="The model that it is about.")
@click.option("--severity", type=click.Choice(_SEVERITIES))
@hub_command
def open_incident(
    client: "HubClient", title: str, severity: str | None, **about: str
) -> CommandResult:
    """Open an incident called TITLE, or of an alert."""
    body = {"title": title, "severity": severity, **about}
    payload = client.post("incidents", body)
    return as_line(payload, f"opened {payload['id']}: {payload['title']}")


@incident.command()
@click.argument("incident_id", metavar="INCIDENT")
@click.argument("text")
@click.option("--follow-up", is_flag=True, help="It is to be done after the incident.")
@hub_command
def note(client: "HubClient", incident_id: str, text: str, follow_up: bool) -> CommandResult:
    """Write TEXT down about INCIDENT."""
    body = {"text": text, "kind": "follow_up" if follow_up else "note"}
    return as_line(client.post(f"incidents/{incident_id}/notes", body), f"noted at {incident_id}")


@incident.command()
@click.argument("incident_id", metavar="INCIDENT")
@click.option("--cause", type=click.Choice(_CAUSES), required=True, help="Where the cause was.")
@click.option("--root-cause", required=True, help="What it was.")
@click.option("--resolution", default="", help="What was done.")
@hub_command
def resolve(client: "HubClient", incident_id: str, **found: str) -> CommandResult:
    """Resolve INCIDENT, or say better what its resolution said."""
    payload = client.post(f"incidents/{incident_id}/resolve", found)
    return as_line(payload, f"resolved {incident_id}")


@incident.command()
@click.argument("incident_id", metavar="INCIDENT")
@hub_command
def show(client: "HubClient", incident_id: str) -> CommandResult:
    """Show what happened around INCIDENT."""
    payload = client.get(f"incidents/{incident_id}")
    columns = ("at", "actor", "action", "subject", "text")
    shown = as_list(payload["timeline"], payload["title"], columns)
    return CommandResult(payload, shown.render)


@incident.command()
@click.argument("incident_id", metavar="INCIDENT")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@hub_command
def postmortem(client: "HubClient", incident_id: str, file: Path) -> CommandResult:
    """Write the postmortem of INCIDENT to FILE, as Markdown."""
    payload = client.get(f"incidents/{incident_id}/postmortem")
    try:
        file.write_text(payload["markdown"], encoding="utf-8")
    except OSError as error:
        raise StorageError(f"the postmortem cannot be written to {file}: {error}") from error
    return as_line(payload, f"wrote {file}")
