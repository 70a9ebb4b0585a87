"""`gnomon registry show`: the lineage of a version."""

from typing import TYPE_CHECKING, Any

import click

from gnomon.command.shared.hub_command import CommandResult, hub_command
from gnomon.command.shared.listing import render_list, wide_option, with_versions
from gnomon.command.shared.output import show, styled
from gnomon.command.shared.references import resolve_reference

if TYPE_CHECKING:
    from gnomon.client.hub import HubClient

_COLUMNS = {
    "runs": ("id", "pipeline", "state", "started_at"),
    "packages": ("format", "digest", "published_at", "publisher"),
    "placements": ("environment", "started_at", "ended_at", "actor"),
    "rollouts": ("id", "versions", "state", "environment"),
    "nodes": ("node", "rows", "installed"),
}


@click.command("show")
@click.argument("reference", metavar="NAME@VERSION")
@wide_option
@hub_command
def show_lineage(client: "HubClient", reference: str) -> CommandResult:
    """Trace NAME@VERSION from its dataset and run to its rollouts and nodes."""
    name, version = resolve_reference(client, reference)
    payload = client.get(f"models/{name}/versions/{version}/lineage")
    return CommandResult(payload, lambda: _render(payload))


def _render(payload: dict[str, Any]) -> None:
    dataset, run = payload["dataset"], payload["run"]
    show(
        styled(f"{payload['model']}@{payload['version']}", "bold"),
        f" {', '.join(payload['aliases'])}\n"
        f"data {dataset['uri']} {dataset['fingerprint']}\ncode {run.get('code_version')}",
    )
    listed = payload | {"rollouts": with_versions(payload["rollouts"], payload["model"])}
    for title, columns in _COLUMNS.items():
        render_list(title.capitalize(), listed[title], columns)
