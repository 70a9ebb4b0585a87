"""`gnomon hub rollouts`, `abort`, `acknowledge`, `close`, `revoke`, `untrust`, as in REST."""

from collections.abc import Callable
from typing import Any

import click

from gnomon.client.hub import HubClient
from gnomon.command.shared.hub_options import client_options, given
from gnomon.command.shared.output import emit, render_list, show

_reason = click.option("--reason", default="", help="Why; it stands in the audit record.")


@click.command()
@click.option("--model", help="Only this model's.")
@click.option("--env", "environment", help="Only this environment's.")
@client_options
def rollouts(url: str, api_key: str | None, as_json: bool, **filters: str | None) -> None:
    """List the rollouts, newest first; with --json also what each gate says now."""
    with HubClient(url, api_key=api_key) as client:
        payload = client.get("rollouts", **given(filters))
    emit(payload, as_json=as_json, render=lambda: render_list("Rollouts", payload))


@click.command()
@click.argument("rollout")
@_reason
@client_options
def abort(rollout: str, reason: str, url: str, api_key: str | None, as_json: bool) -> None:
    """Give all traffic of ROLLOUT back to the version in service."""
    _do(
        lambda client: client.post(f"rollouts/{rollout}/abort", {"reason": reason}),
        f"aborted {rollout}",
        url,
        api_key,
        as_json=as_json,
    )


@click.command()
@click.argument("alert")
@client_options
def acknowledge(alert: str, url: str, api_key: str | None, as_json: bool) -> None:
    """Say that you take care of ALERT."""
    _do(
        lambda client: client.post(f"alerts/{alert}/acknowledge"),
        f"acknowledged {alert}",
        url,
        api_key,
        as_json=as_json,
    )


@click.command()
@click.argument("alert")
@_reason
@client_options
def close(alert: str, reason: str, url: str, api_key: str | None, as_json: bool) -> None:
    """Close ALERT; its condition, met again, opens a new one."""
    _do(
        lambda client: client.post(f"alerts/{alert}/close", {"reason": reason}),
        f"closed {alert}",
        url,
        api_key,
        as_json=as_json,
    )


@click.command()
@click.argument("name")
@client_options
def revoke(name: str, url: str, api_key: str | None, as_json: bool) -> None:
    """Make all certificates issued so far to the node or builder NAME worthless."""
    _do(
        lambda client: client.post(f"nodes/{name}/revoke"),
        f"revoked {name}",
        url,
        api_key,
        as_json=as_json,
    )


@click.command()
@click.argument("key")
@client_options
def untrust(key: str, url: str, api_key: str | None, as_json: bool) -> None:
    """Trust the public KEY (hex) no longer, and never again."""
    _do(
        lambda client: client.delete(f"keys/{key}"),
        f"no longer trusted: {key}",
        url,
        api_key,
        as_json=as_json,
    )


def _do(
    ask: Callable[[HubClient], Any], told: str, url: str, api_key: str | None, *, as_json: bool
) -> None:
    with HubClient(url, api_key=api_key) as client:
        payload = ask(client)
    emit(payload, as_json=as_json, render=lambda: show(told))
