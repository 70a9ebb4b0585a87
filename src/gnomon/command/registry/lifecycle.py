"""`gnomon registry approve`, `withdraw`, `approvals` and `decommission`: a version's life."""

from typing import Any

import click

from gnomon.client.hub import HubClient
from gnomon.command.shared.hub_options import client_options, environment_option
from gnomon.command.shared.output import emit, render_list, show
from gnomon.command.shared.references import split_reference

_reference = click.argument("reference", metavar="NAME@VERSION")
_reason = click.option("--reason", default="", help="Why; it stands in the audit record.")


def _path(reference: str) -> str:
    name, version = split_reference(reference)
    return f"models/{name}/versions/{version}"


def _render(payload: list[dict[str, Any]]) -> None:
    render_list("Approvals", payload)


@click.command()
@_reference
@environment_option
@_reason
@client_options
def approve(
    reference: str, environment: str, reason: str, url: str, api_key: str | None, as_json: bool
) -> None:
    """Approve NAME@VERSION, in all its formats, for an environment; not one's own publication."""
    body = {"environment": environment, "reason": reason}
    with HubClient(url, api_key=api_key) as client:
        payload = client.post(f"{_path(reference)}/approvals", body)
    emit(payload, as_json=as_json, render=lambda: _render(payload))


@click.command()
@_reference
@environment_option
@_reason
@client_options
def withdraw(
    reference: str, environment: str, reason: str, url: str, api_key: str | None, as_json: bool
) -> None:
    """Let the approvals of NAME@VERSION for an environment count no longer."""
    body = {"environment": environment, "reason": reason}
    with HubClient(url, api_key=api_key) as client:
        payload = client.post(f"{_path(reference)}/approvals/withdraw", body)
    emit(payload, as_json=as_json, render=lambda: _render(payload))


@click.command()
@_reference
@client_options
def approvals(reference: str, url: str, api_key: str | None, as_json: bool) -> None:
    """List who approved NAME@VERSION for which environment."""
    with HubClient(url, api_key=api_key) as client:
        payload = client.get(f"{_path(reference)}/approvals")
    emit(payload, as_json=as_json, render=lambda: _render(payload))


@click.command()
@_reference
@_reason
@click.option("--force", is_flag=True, help="Although something runs it; needs a reason.")
@client_options
def decommission(
    reference: str, reason: str, force: bool, url: str, api_key: str | None, as_json: bool
) -> None:
    """Let NAME@VERSION be rolled out no more; it stays readable."""
    with HubClient(url, api_key=api_key) as client:
        payload = client.post(
            f"{_path(reference)}/decommission", {"reason": reason, "force": force}
        )
    emit(payload, as_json=as_json, render=lambda: show(f"decommissioned {reference}"))
