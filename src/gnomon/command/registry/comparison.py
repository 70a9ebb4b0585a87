"""`gnomon registry compare`: two versions side by side."""

from typing import TYPE_CHECKING, Any

import click

from gnomon.command.shared.hub_command import CommandResult, hub_command
from gnomon.command.shared.output import show, table
from gnomon.command.shared.references import resolve_version

if TYPE_CHECKING:
    from gnomon.client.hub import HubClient


@click.command()
@click.argument("name")
@click.argument("left")
@click.argument("right")
@hub_command
def compare(client: "HubClient", name: str, left: str, right: str) -> CommandResult:
    """Compare versions or aliases LEFT and RIGHT of model NAME: metrics, rules, data, manifests."""
    sides = {"left": left, "right": right}
    versions = {side: resolve_version(client, name, one) for side, one in sides.items()}
    payload = client.get(f"models/{name}/compare", **versions)
    return CommandResult(payload, lambda: _render(payload))


def _render(payload: dict[str, Any]) -> None:
    sides = [payload["left"]["version"], payload["right"]["version"]]
    metrics = [[name, *values.values()] for name, values in payload["metrics"].items()]
    show(table("Test metrics", ["metric", *sides, "difference"], metrics))
    for title, part in (("Rules", "rules"), ("Manifest", "manifest")):
        rows = [[one["path"], one["left"], one["right"]] for one in payload[part]]
        show(table(title, ["what", *sides], rows))
    moved = [[one["field"], *_moments(one)] for one in payload["reference"]]
    columns = ["field", *(f"mean ± sd, {side}" for side in sides), "shift in sd"]
    show(table("Training data", columns, moved))


def _moments(one: dict[str, Any]) -> list[str]:
    """Return mean and standard deviation of both sides, and the shift in standard deviations."""
    moments = [
        f"{side['mean']:.4g} ± {side['standard_deviation']:.4g}" if "mean" in side else ""
        for side in (one["left"] or {}, one["right"] or {})
    ]
    return [*moments, "" if one["shift"] is None else f"{one['shift']:+.2f}"]
