"""`gnomon hub principal`: who may use the hub from other machines, and what they may do."""

from collections.abc import Callable
from typing import Any

import click

from gnomon.client.hub import HubClient
from gnomon.command.shared.hub_options import client_options
from gnomon.command.shared.output import emit, show, table

#: As in gnomon.server.hub.store.rights, which a client need not have.
_ROLES = ("viewer", "builder", "approver", "operator", "admin")


@click.group()
def principal() -> None:
    """Say who may use the hub from other machines, and what they may do."""


def _grant_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--env", "environments", default="*", help="Pattern of the environments."),
        click.option("--models", default="*", help="Pattern of the models, such as 'eta-*'."),
        click.option("--role", type=click.Choice(_ROLES), required=True),
    ):
        command = option(command)
    return command


@principal.command("list")
@client_options
def list_principals(url: str, api_key: str | None, as_json: bool) -> None:
    """List the principals and what was granted to each."""
    with HubClient(url, api_key=api_key) as client:
        payload = client.get("principals")
    rows = [
        [one["name"], "revoked" if one["revoked_at"] else "", *grant.values()]
        for one in payload
        for grant in one["grants"] or [{"role": "nothing"}]
    ]
    columns = ["name", "", "role", "models", "environments"]
    emit(
        payload,
        as_json=as_json,
        render=lambda: show(table("Principals", columns, rows)),
    )


@principal.command()
@click.argument("name")
@_grant_options
@client_options
def create(name: str, url: str, api_key: str | None, as_json: bool, **grant: str) -> None:
    """Make an API key for NAME with a first role; the key is shown only now."""
    with HubClient(url, api_key=api_key) as client:
        payload = client.post("principals", {"name": name, **grant})
    emit(payload, as_json=as_json, render=lambda: show(f"key of {name}: {payload['key']}"))


@principal.command()
@click.argument("name")
@_grant_options
@client_options
def grant(name: str, url: str, api_key: str | None, as_json: bool, **grant: str) -> None:
    """Give NAME one more role."""
    with HubClient(url, api_key=api_key) as client:
        payload = client.post(f"principals/{name}/grants", grant)
    emit(payload, as_json=as_json, render=lambda: show(f"{name} is {grant['role']}"))


@principal.command()
@click.argument("name")
@_grant_options
@client_options
def take(name: str, url: str, api_key: str | None, as_json: bool, **grant: str) -> None:
    """Take a role away from NAME; its scope as it was granted."""
    with HubClient(url, api_key=api_key) as client:
        payload = client.post(f"principals/{name}/grants/take", grant)
    emit(payload, as_json=as_json, render=lambda: show(f"{name} is no {grant['role']}"))


@principal.command()
@click.argument("name")
@client_options
def revoke(name: str, url: str, api_key: str | None, as_json: bool) -> None:
    """Make the key of NAME worthless."""
    with HubClient(url, api_key=api_key) as client:
        payload = client.delete(f"principals/{name}")
    emit(payload, as_json=as_json, render=lambda: show(f"revoked {name}"))
