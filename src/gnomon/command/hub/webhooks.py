"""`gnomon hub webhook`: receivers of the hub's events, and their deliveries."""

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

if TYPE_CHECKING:
    from gnomon.client.hub import HubClient

_COLUMNS = ("name", "target", "events", "waiting", "dead")
_DELIVERY_COLUMNS = ("id", "event", "state", "attempts", "next_at", "error")


@click.group()
def webhook() -> None:
    """Manage receivers of the hub's events, and list deliveries."""


@webhook.command()
@click.argument("name")
@click.argument("target")
@click.option("--event", "events", multiple=True, help="A name or pattern; default: all.")
@click.option("--models", default="*", show_default=True, help="Pattern of the models.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["gnomon", "alertmanager", "pagerduty"]),
    default="gnomon",
    show_default=True,
    help="Of the bodies; the last two are for alerts.",
)
@hub_command
def add(
    client: "HubClient", name: str, target: str, events: tuple[str, ...], **options: str
) -> CommandResult:
    """Send events from now on to the URL TARGET, as NAME; its secret is shown only now."""
    body = {
        "name": name,
        "url": target,
        "events": list(events),
        "models": options["models"],
        "format": options["form"],
    }
    payload = client.post("webhooks", body)
    return as_line(payload, f"secret: {payload['secret']}")


@webhook.command("list")
@wide_option
@hub_command
def list_webhooks(client: "HubClient") -> CommandResult:
    """List the webhooks, and how many deliveries wait or are dead."""
    return as_list(client.get("webhooks"), "Webhooks", _COLUMNS)


@webhook.command()
@click.argument("name")
@hub_command
def remove(client: "HubClient", name: str) -> CommandResult:
    """Stop sending events to NAME."""
    return as_line(client.delete(f"webhooks/{name}"), f"removed {name}")


@webhook.command()
@click.argument("name")
@click.option("--state", type=click.Choice(["waiting", "delivered", "dead"]))
@wide_option
@hub_command
def deliveries(client: "HubClient", name: str, state: str | None) -> CommandResult:
    """List the deliveries to NAME, newest first."""
    payload = client.get(f"webhooks/{name}/deliveries", **without_none({"state": state}))
    return as_list(payload, "Deliveries", _DELIVERY_COLUMNS)


@webhook.command()
@click.argument("name")
@click.argument("delivery")
@hub_command
def retry(client: "HubClient", name: str, delivery: str) -> CommandResult:
    """Try the dead DELIVERY of NAME again."""
    payload = client.post(f"webhooks/{name}/deliveries/{delivery}/retry")
    return as_line(payload, f"waiting again: {delivery}")
