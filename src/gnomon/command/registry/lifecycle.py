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
from gnomon.command.shared.references import split_reference

if TYPE_CHECKING:
    from gnomon.client.hub import HubClient

_COLUMNS = ("environment", "approver", "approved_at", "withdrawn_at", "reason")
_reference = click.argument("reference", metavar="NAME@VERSION")


def _path(reference: str) -> str:
    name, version = split_reference(reference)
    return f"models/{name}/versions/{version}"


@click.command()
@_reference
@environment_option
@reason_option
@hub_command
def approve(client: "HubClient", reference: str, **body: str) -> CommandResult:
    """Approve NAME@VERSION, in all its formats, for an environment; not one's own publication."""
    return as_list(client.post(f"{_path(reference)}/approvals", body), "Approvals", _COLUMNS)


@click.command()
@_reference
@environment_option
@reason_option
@hub_command
def withdraw(client: "HubClient", reference: str, **body: str) -> CommandResult:
    """Withdraw the approvals of NAME@VERSION for an environment."""
    return as_list(
        client.post(f"{_path(reference)}/approvals/withdraw", body), "Approvals", _COLUMNS
    )


@click.command()
@_reference
@wide_option
@hub_command
def approvals(client: "HubClient", reference: str) -> CommandResult:
    """List who approved NAME@VERSION for which environment."""
    return as_list(client.get(f"{_path(reference)}/approvals"), "Approvals", _COLUMNS)


@click.command()
@_reference
@reason_option
@click.option("--force", is_flag=True, help="Even if something runs it; needs a reason.")
@hub_command
def decommission(client: "HubClient", reference: str, **body: str | bool) -> CommandResult:
    """Exclude NAME@VERSION from rollouts; it stays readable."""
    payload = client.post(f"{_path(reference)}/decommission", body)
    return as_line(payload, f"decommissioned {reference}")
