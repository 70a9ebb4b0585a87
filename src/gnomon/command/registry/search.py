"""`gnomon registry models`, `versions` and `at`: what there is, and what ran when."""

from typing import TYPE_CHECKING, Any

import click

from gnomon.command.shared.hub_command import CommandResult, as_list, hub_command, without_none
from gnomon.command.shared.listing import render_list, wide_option, with_versions
from gnomon.command.shared.output import show, styled

if TYPE_CHECKING:
    from gnomon.client.hub import HubClient

_MODEL_COLUMNS = ("name", "version_count", "in_service")
_VERSION_COLUMNS = ("reference", "format", "published_at", "publisher", "aliases")
_PLACEMENT_COLUMNS = ("environment", "version", "started_at", "ended_at", "actor")
_ROLLOUT_COLUMNS = ("id", "versions", "state", "environment")


@click.command()
@wide_option
@hub_command
def models(client: "HubClient") -> CommandResult:
    """List the models, how many versions each has, and the one in service."""
    payload = client.get("models")
    return as_list(payload, "Models", _MODEL_COLUMNS)


@click.command()
@click.option("--model", help="Only this model's.")
@click.option("--text", help="Contained in name, version, publisher or owner.")
@click.option("--alias", help="Only versions with this alias; also champion and challenger.")
@click.option("--tag", help="KEY, with any value, or KEY=VALUE.")
@click.option("--format", help="onnx, tflite, …")
@click.option("--publisher")
@click.option("--owner")
@click.option("--risk-tier")
@click.option("--dataset", help="Fingerprint of the training data.")
@click.option("--limit", type=click.IntRange(1, 1_000), default=50, show_default=True)
@click.option("--cursor", help="Cursor of the previous page.")
@wide_option
@hub_command
def versions(client: "HubClient", **filters: Any) -> CommandResult:
    """Search versions, newest first; every filter given must hold."""
    payload = client.get("versions", **without_none(filters))
    return CommandResult(payload, lambda: _render_versions(payload))


@click.command()
@click.argument("when")
@click.option("--model", help="Only this model.")
@click.option("--env", "environment", help="Only this environment.")
@wide_option
@hub_command
def at(client: "HubClient", when: str, **filters: str | None) -> CommandResult:
    """Show what ran at WHEN: a day (2026-03-01) or an instant (2026-03-01T12:00+01:00)."""
    payload = client.get("registry/at", when=when, **without_none(filters))
    return CommandResult(payload, lambda: _render_at(when, payload))


def _render_versions(payload: dict[str, Any]) -> None:
    records = [
        {"reference": f"{one['name']}@{one['version']}"} | one for one in payload["packages"]
    ]
    render_list("Versions", records, _VERSION_COLUMNS)
    if payload["next"]:
        show(f"more: --cursor {payload['next']}")


def _render_at(when: str, payload: list[dict[str, Any]]) -> None:
    if not payload:
        show(f"{when}: nothing was in service")
    for model in payload:
        show(styled(model["model"], "bold"), f" at {when}")
        render_list("In service", model["placements"], _PLACEMENT_COLUMNS)
        if model["rollouts"]:
            render_list(
                "Rolled out", with_versions(model["rollouts"], model["model"]), _ROLLOUT_COLUMNS
            )
        render_list("Rows that nodes counted", model["counted"])
