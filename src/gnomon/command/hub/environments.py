"""`gnomon hub environments`, `policy` and `move`: places to roll out in, and their nodes."""

from typing import TYPE_CHECKING

import click

from gnomon.command.shared.hub_command import CommandResult, as_line, as_list, hub_command
from gnomon.command.shared.listing import wide_option
from gnomon.runtime.errors import ConfigurationError

if TYPE_CHECKING:
    from gnomon.client.hub import HubClient

_COLUMNS = ("name", "nodes", "models", "exempt_tiers")


@click.command()
@click.option("--add", metavar="NAME", help="Add one of your own first.")
@wide_option
@hub_command
def environments(client: "HubClient", add: str | None) -> CommandResult:
    """List the environments, each with its nodes and the models in service."""
    if add is None:
        return as_list(client.get("environments"), "Environments", _COLUMNS)
    return as_list(client.post("environments", {"name": add}), "Environments", _COLUMNS)


@click.command()
@click.argument("environment")
@click.option(
    "--exempt", multiple=True, help="A risk tier that needs no approval; may be repeated."
)
@click.option("--no-approvals", is_flag=True, help="No tier needs an approval.")
@hub_command
def policy(
    client: "HubClient", environment: str, exempt: tuple[str, ...], no_approvals: bool
) -> CommandResult:
    """Say which risk tiers need an approval in ENVIRONMENT: all but those that are exempt."""
    if bool(exempt) == no_approvals:
        raise ConfigurationError("give either --exempt TIER or --no-approvals")
    body = {"exempt_tiers": None if no_approvals else list(exempt)}
    return as_list(
        client.post(f"environments/{environment}/policy", body), "Environments", _COLUMNS
    )


@click.command()
@click.argument("node")
@click.option("--env", "environment", required=True, help="Where it should belong.")
@hub_command
def move(client: "HubClient", node: str, environment: str) -> CommandResult:
    """Move NODE to another environment: it gets what is in service there."""
    payload = client.post(f"nodes/{node}/environment", {"environment": environment})
    return as_line(payload, f"{node}: {payload['previous']} → {environment}")
