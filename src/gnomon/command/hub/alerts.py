"""`gnomon hub alerts`, `acknowledge` and `close`."""

from typing import TYPE_CHECKING

import click

from gnomon.command.shared.hub_command import (
    CommandResult,
    as_line,
    as_list,
    hub_command,
    reason_option,
)
from gnomon.command.shared.listing import wide_option

if TYPE_CHECKING:
    from gnomon.client.hub import HubClient

_COLUMNS = ("id", "model", "kind", "opened_at", "closed_at", "text")


@click.command()
@wide_option
@hub_command
def alerts(client: "HubClient") -> CommandResult:
    """List the alerts, newest first."""
    return as_list(client.get("alerts"), "Alerts", _COLUMNS)


@click.command()
@click.argument("alert")
@hub_command
def acknowledge(client: "HubClient", alert: str) -> CommandResult:
    """Say that you take care of ALERT."""
    return as_line(client.post(f"alerts/{alert}/acknowledge"), f"acknowledged {alert}")


@click.command()
@click.argument("alert")
@reason_option
@hub_command
def close(client: "HubClient", alert: str, reason: str) -> CommandResult:
    """Close ALERT; its condition, met again, opens a new one."""
    payload = client.post(f"alerts/{alert}/close", {"reason": reason})
    return as_line(payload, f"closed {alert}")
