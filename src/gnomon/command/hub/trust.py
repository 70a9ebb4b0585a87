"""`gnomon hub token`, `trust` and `untrust`: who may enrol, and whose signatures are trusted."""

from typing import TYPE_CHECKING

import click

from gnomon.command.shared.hub_command import (
    CommandResult,
    as_line,
    as_table,
    environment_option,
    hub_command,
)
from gnomon.command.shared.package_options import MODELS, key_in_hex

if TYPE_CHECKING:
    from gnomon.client.hub import HubClient


@click.command()
@click.option("--role", type=click.Choice(["node", "builder"]), default="node", show_default=True)
@click.option("--name", help="The only name that may use the token; default: any that is free.")
@environment_option
@click.option("--models", default="*", help="Pattern of the models that a builder may publish.")
@hub_command
def token(client: "HubClient", **body: str | None) -> CommandResult:
    """Make a one-time token with which a node or a builder can enrol."""
    payload = client.post("tokens", body)
    rows = [[name, payload[name]] for name in ("token", "fingerprint", "enrolment", "sync")]
    return as_table(payload, "Shown only now", ["what", "value"], rows)


@click.command()
@click.argument("key", callback=key_in_hex)
@click.option("--name", default="builder", show_default=True)
@click.option(
    "--role",
    type=click.Choice(["builder", "tester", "approver"]),
    default="builder",
    show_default=True,
    help="What it signs: packages, tests, or approvals.",
)
@MODELS
@hub_command
def trust(client: "HubClient", **body: str) -> CommandResult:
    """Trust what is signed with the public KEY (hex, or a file that holds it), from now on.

    With --models it signs for these alone; repeat the command to change that.
    """
    payload = client.post("keys", body)
    return as_line(payload, f"trusted {payload['key']}")


@click.command()
@click.argument("key", callback=key_in_hex)
@hub_command
def untrust(client: "HubClient", key: str) -> CommandResult:
    """Trust the public KEY (hex, or a file that holds it) no longer, and never again."""
    return as_line(client.delete(f"keys/{key}"), f"no longer trusted: {key}")
