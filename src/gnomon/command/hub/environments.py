"""`gnomon hub environments` and `move`: places to roll out in, and which nodes are where."""

import click

from gnomon.client.hub import HubClient
from gnomon.command.shared.hub_options import client_options
from gnomon.command.shared.output import emit, render_list, show
from gnomon.runtime.errors import ConfigurationError


@click.command()
@click.option("--add", metavar="NAME", help="Add one of your own first.")
@client_options
def environments(add: str | None, url: str, api_key: str | None, as_json: bool) -> None:
    """List the environments, each with its nodes and the models in service."""
    with HubClient(url, api_key=api_key) as client:
        if add is None:
            payload = client.get("environments")
        else:
            payload = client.post("environments", {"name": add})
    emit(payload, as_json=as_json, render=lambda: render_list("Environments", payload))


@click.command()
@click.argument("environment")
@click.option(
    "--exempt", multiple=True, help="A risk tier that needs no approval; may be repeated."
)
@click.option("--no-approvals", is_flag=True, help="No tier needs an approval.")
@client_options
def policy(
    environment: str,
    exempt: tuple[str, ...],
    no_approvals: bool,
    url: str,
    api_key: str | None,
    as_json: bool,
) -> None:
    """Say which risk tiers need an approval in ENVIRONMENT: all but those that are exempt."""
    if bool(exempt) == no_approvals:
        raise ConfigurationError("give either --exempt TIER or --no-approvals")
    body = {"exempt_tiers": None if no_approvals else list(exempt)}
    with HubClient(url, api_key=api_key) as client:
        payload = client.post(f"environments/{environment}/policy", body)
    emit(payload, as_json=as_json, render=lambda: render_list("Environments", payload))


@click.command()
@click.argument("node")
@click.option("--env", "environment", required=True, help="Where it should belong.")
@client_options
def move(node: str, environment: str, url: str, api_key: str | None, as_json: bool) -> None:
    """Move NODE to another environment: it gets what is in service there."""
    with HubClient(url, api_key=api_key) as client:
        payload = client.post(f"nodes/{node}/environment", {"environment": environment})
    emit(
        payload,
        as_json=as_json,
        render=lambda: show(f"{node}: {payload['previous']} → {environment}"),
    )
