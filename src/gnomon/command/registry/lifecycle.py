"""`gnomon registry approve`, `withdraw`, `approvals` and `decommission`: a version's life."""

from typing import TYPE_CHECKING

import click

from gnomon.command.shared.hub_command import (
    CommandResult,
    as_line,
    as_list,
    environment_option,
    hub_command,
    reason_option,
)
from gnomon.command.shared.listing import wide_option
from gnomon.command.shared.references import resolve_reference

if TYPE_CHECKING:
    from gnomon.client.hub import HubClient

_COLUMNS = ("environment", "approver", "approved_at", "withdrawn_at", "reason")
_reference = click.argument("reference", metavar="NAME@VERSION")


def _resolve(client: "HubClient", reference: str) -> tuple[str, str]:
    """Return the path of a version at the hub, and how people write it."""
    name, version = resolve_reference(client, reference)
    return f"models/{name}/versions/{version}", f"{name}@{version}"


@click.command()
@_reference
@environment_option
@reason_option
@hub_command
def approve(client: "HubClient", reference: str, **body: str) -> CommandResult:
    """Approve NAME@VERSION, in all its formats, for an environment; not one's own publication."""
    path, version = _resolve(client, reference)
    payload = client.post(f"{path}/approvals", body)
    return as_list(payload, f"Approvals of {version}", _COLUMNS)


@click.command()
@_reference
@environment_option
@reason_option
@hub_command
def withdraw(client: "HubClient", reference: str, **body: str) -> CommandResult:
    """Withdraw the approvals of NAME@VERSION for an environment."""
    path, version = _resolve(client, reference)
    payload = client.post(f"{path}/approvals/withdraw", body)
    return as_list(payload, f"Approvals of {version}", _COLUMNS)


@click.command()
@_reference
@wide_option
@hub_command
def approvals(client: "HubClient", reference: str) -> CommandResult:
    """List who approved NAME@VERSION for which environment."""
    path, version = _resolve(client, reference)
    return as_list(client.get(f"{path}/approvals"), f"Approvals of {version}", _COLUMNS)


@click.command()
@_reference
@reason_option
@click.option("--force", is_flag=True, help="Even if something runs it; needs a reason.")
@hub_command
def decommission(client: "HubClient", reference: str, **body: str | bool) -> CommandResult:
    """Exclude NAME@VERSION from rollouts; it stays readable."""
    path, version = _resolve(client, reference)
    return as_line(client.post(f"{path}/decommission", body), f"decommissioned {version}")
