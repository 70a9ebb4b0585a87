"""`gnomon hub principal`: API keys of a hub and their roles."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from gnomon.command.shared.hub_command import CommandResult, as_line, hub_command
from gnomon.command.shared.listing import render_list, wide_option

if TYPE_CHECKING:
    from gnomon.client.hub import HubClient

#: As the hub defines them, which is not installed with a client.
_ROLES = ("viewer", "builder", "approver", "operator", "admin")

_COLUMNS = ("name", "role", "models", "environments", "revoked_at")


@click.group()
def principal() -> None:
    """Say API keys of a hub and their roles."""


def _grant_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--env", "environments", default="*", help="Pattern of the environments."),
        click.option("--models", default="*", help="Pattern of the models, such as 'eta-*'."),
        click.option("--role", type=click.Choice(_ROLES), required=True),
    ):
        command = option(command)
    return command


@click.command("sign-in")
@hub_command
def sign_in(client: "HubClient") -> CommandResult:
    """Print a link to the hub's web page that signs in once, within ten minutes."""
    payload = client.post("sign-in-links")
    return as_line(payload, f"{client.url}{payload['path']}")


@principal.command("list")
@wide_option
@hub_command
def list_principals(client: "HubClient") -> CommandResult:
    """List the principals and what was granted to each."""
    payload = client.get("principals")
    nothing = {"role": "nothing", "models": "", "environments": ""}
    records = [
        {name: value for name, value in one.items() if name != "grants"} | grant
        for one in payload
        for grant in one["grants"] or [nothing]
    ]
    return CommandResult(payload, lambda: render_list("Principals", records, _COLUMNS))


@principal.command()
@click.argument("name")
@_grant_options
@hub_command
def create(client: "HubClient", name: str, **grant: str) -> CommandResult:
    """Make an API key for NAME with a first role; the key is shown only now."""
    payload = client.post("principals", {"name": name, **grant})
    return as_line(payload, f"key of {name}: {payload['key']}")


@principal.command("grant")
@click.argument("name")
@_grant_options
@hub_command
def grant_role(client: "HubClient", name: str, **grant: str) -> CommandResult:
    """Give NAME one more role."""
    return as_line(client.post(f"principals/{name}/grants", grant), f"{name} is {grant['role']}")


@principal.command("take")
@click.argument("name")
@_grant_options
@hub_command
def take_role(client: "HubClient", name: str, **grant: str) -> CommandResult:
    """Take a role away from NAME; its scope as it was granted."""
    payload = client.post(f"principals/{name}/grants/take", grant)
    return as_line(payload, f"{name} is no {grant['role']}")


@principal.command()
@click.argument("name")
@hub_command
def revoke(client: "HubClient", name: str) -> CommandResult:
    """Revoke the key of NAME."""
    return as_line(client.delete(f"principals/{name}"), f"revoked {name}")
