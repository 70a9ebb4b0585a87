"""`gnomon hub`: run the hub, and speak with one."""

import json
import re
from typing import Any

import click

from gnomon.client.hub import HubClient
from gnomon.command.hub import actions, audit, environments, principals, transfer, upkeep, webhooks
from gnomon.command.shared.hub_options import client_options, environment_option, given
from gnomon.command.shared.output import emit, json_option, render_list, show, styled, table
from gnomon.command.shared.references import split_reference
from gnomon.command.shared.settings_options import load_settings, settings_command


def read_steps(_context: click.Context, _option: click.Parameter, value: str) -> list[int]:
    """Return the steps of a rollout.

    Raises:
        click.BadParameter: one is no number from 1 to 1000, such as `10%`.
    """
    steps = [step.strip() for step in value.split(",")]
    if not all(re.fullmatch("[0-9]{1,4}", step) and 1 <= int(step) <= 1000 for step in steps):
        raise click.BadParameter(f"{value!r} should be parts in 1,000, such as 100,500,1000")
    return [int(step) for step in steps]


@click.group()
def hub() -> None:
    """Run the hub, and speak with one."""


@hub.command(cls=settings_command("hub", is_long_running=True))
@json_option
@click.pass_obj
def run(config_file: str | None, /, as_json: bool, **flags: Any) -> None:
    """Run a hub until it is told to stop (SIGTERM, Ctrl-C)."""
    from gnomon.server.hub.process import run_hub
    from gnomon.server.hub.settings import HubAddresses

    def ready(addresses: HubAddresses) -> None:
        payload = {
            "rest": addresses.rest,
            "enrolment": addresses.enrolment,
            "sync": addresses.sync,
            "fingerprint": addresses.fingerprint,
        }
        if as_json:
            click.echo(json.dumps(payload))
        else:
            show(
                "hub is ready: ",
                styled(addresses.rest, "bold"),
                f"\nnodes enrol at {addresses.enrolment}, "
                f"sync at {addresses.sync}\nauthority SHA-256 {addresses.fingerprint}",
            )

    run_hub(load_settings("hub", config_file, flags), ready)


for _command in (
    upkeep.backup,
    upkeep.restore,
    upkeep.doctor,
    environments.environments,
    environments.move,
    environments.policy,
    actions.rollouts,
    actions.abort,
    actions.acknowledge,
    actions.close,
    actions.revoke,
    actions.untrust,
    principals.principal,
    audit.audit,
    webhooks.webhook,
    transfer.export,
    transfer.import_command,
):
    hub.add_command(_command)


@hub.command()
@click.option("--role", type=click.Choice(["node", "builder"]), default="node", show_default=True)
@click.option("--name", help="The only name that may use the token; default: any that is free.")
@environment_option
@click.option("--models", default="*", help="Pattern of the models that a builder may publish.")
@client_options
def token(url: str, api_key: str | None, as_json: bool, **body: str | None) -> None:
    """Make a one-time token with which a node or a builder can enrol."""
    with HubClient(url, api_key=api_key) as client:
        payload = client.post("tokens", body)
    shown = [[name, payload[name]] for name in ("token", "fingerprint", "enrolment", "sync")]
    emit(
        payload,
        as_json=as_json,
        render=lambda: show(table("Shown only now", ["what", "value"], shown)),
    )


@hub.command()
@click.argument("key")
@click.option("--name", default="builder", show_default=True)
@click.option(
    "--role",
    type=click.Choice(["builder", "approver"]),
    default="builder",
    show_default=True,
    help="What its signatures vouch for: packages, or approvals.",
)
@client_options
def trust(key: str, name: str, role: str, url: str, api_key: str | None, as_json: bool) -> None:
    """Trust what is signed with the public KEY (hex), from now on."""
    with HubClient(url, api_key=api_key) as client:
        payload = client.post("keys", {"key": key, "name": name, "role": role})
    emit(payload, as_json=as_json, render=lambda: show(f"trusted {payload['key']}"))


@hub.command()
@click.argument("reference", metavar="NAME@VERSION")
@environment_option
@client_options
def place(reference: str, environment: str, url: str, api_key: str | None, as_json: bool) -> None:
    """Put NAME@VERSION straight into service on all nodes of an environment, without a rollout."""
    model, version = split_reference(reference)
    body = {"model": model, "version": version, "environment": environment}
    with HubClient(url, api_key=api_key) as client:
        payload = client.post("placements", body)
    emit(
        payload,
        as_json=as_json,
        render=lambda: show(f"in service in {environment}: {reference}"),
    )


@hub.command()
@click.argument("reference", metavar="NAME@VERSION")
@click.option(
    "--steps",
    default="100,500,1000",
    show_default=True,
    callback=read_steps,
    help="Parts in 1,000.",
)
@environment_option
@client_options
def rollout(
    reference: str,
    steps: list[int],
    environment: str,
    url: str,
    api_key: str | None,
    as_json: bool,
) -> None:
    """Move traffic to NAME@VERSION step by step, each step behind its gate."""
    model, version = split_reference(reference)
    body = {
        "model": model,
        "version": version,
        "environment": environment,
        "steps": steps,
    }
    with HubClient(url, api_key=api_key) as client:
        payload = client.post("rollouts", body)
    emit(
        payload,
        as_json=as_json,
        render=lambda: show(f"rollout {payload['id']} of {reference} has begun"),
    )


@hub.command()
@client_options
def nodes(url: str, api_key: str | None, as_json: bool) -> None:
    """List the nodes and what each last said of itself."""
    with HubClient(url, api_key=api_key) as client:
        payload = client.get("nodes")
    emit(payload, as_json=as_json, render=lambda: render_list("Nodes", payload))


@hub.command()
@click.option("--model", help="Only this model's.")
@client_options
def counts(model: str | None, url: str, api_key: str | None, as_json: bool) -> None:
    """Count the rows that were asked for, by version, node and outcome."""
    with HubClient(url, api_key=api_key) as client:
        payload = client.get("counts", **given({"model": model}))
    emit(payload, as_json=as_json, render=lambda: render_list("Rows", payload))


@hub.command()
@client_options
def alerts(url: str, api_key: str | None, as_json: bool) -> None:
    """List the alerts, newest first."""
    with HubClient(url, api_key=api_key) as client:
        payload = client.get("alerts")
    emit(payload, as_json=as_json, render=lambda: render_list("Alerts", payload))
