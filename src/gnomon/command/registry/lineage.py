"""`gnomon registry show`: the lineage of a version."""

from typing import TYPE_CHECKING, Any

import click

from gnomon.command.shared.hub_command import CommandResult, hub_command
from gnomon.command.shared.output import render_list, show, styled
from gnomon.command.shared.references import split_reference

if TYPE_CHECKING:
    from gnomon.client.hub import HubClient


@click.command("show")
@click.argument("reference", metavar="NAME@VERSION")
@hub_command
def show_lineage(client: "HubClient", reference: str) -> CommandResult:
    """Trace NAME@VERSION from its dataset and run to its rollouts and nodes."""
    name, version = split_reference(reference)
    payload = client.get(f"models/{name}/versions/{version}/lineage")
    return CommandResult(payload, lambda: _render(payload))


def _render(payload: dict[str, Any]) -> None:
    dataset, run = payload["dataset"], payload["run"]
    show(
        styled(f"{payload['model']}@{payload['version']}", "bold"),
        f" {', '.join(payload['aliases'])}\n"
        f"data {dataset['uri']} {dataset['fingerprint']}\ncode {run.get('code_version')}",
    )
    for title in ("runs", "packages", "placements", "rollouts", "nodes"):
        render_list(title.capitalize(), payload[title])
