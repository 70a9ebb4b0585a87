"""`gnomon registry`: find, name, compare and follow versions, and ask what ran when."""

from typing import Any

import click

from gnomon.client.hub import HubClient
from gnomon.command.registry.lifecycle import approvals, approve, decommission, withdraw
from gnomon.command.registry.replay import archive, replay
from gnomon.command.registry.runs import runs
from gnomon.command.shared.hub_options import client_options, given
from gnomon.command.shared.output import emit, readable, render_list, show, styled, table
from gnomon.command.shared.references import split_reference
from gnomon.runtime.errors import ConfigurationError


@click.group()
def registry() -> None:
    """Find, name, compare and follow versions, and ask what ran when."""


for _command in (approve, withdraw, approvals, decommission, runs, archive, replay):
    registry.add_command(_command)


@registry.command()
@client_options
def models(url: str, api_key: str | None, as_json: bool) -> None:
    """List the models, how many versions each has, and the one in service."""
    with HubClient(url, api_key=api_key) as client:
        payload = client.get("models")
    rows = [[one["name"], one["version_count"], one["in_service"]] for one in payload]
    emit(
        payload,
        as_json=as_json,
        render=lambda: show(table("Models", ["name", "versions", "in service"], rows)),
    )


@registry.command()
@click.option("--model", help="Only this model's.")
@click.option("--text", help="Stands in name, version, publisher or owner.")
@click.option("--alias", help="Only what is called so; also champion and challenger.")
@click.option("--tag", help="KEY, with any value, or KEY=VALUE.")
@click.option("--format", help="onnx, tflite, …")
@click.option("--publisher")
@click.option("--owner")
@click.option("--risk-tier")
@click.option("--dataset", help="Fingerprint of the training data.")
@click.option("--limit", type=click.IntRange(1, 1_000), default=50, show_default=True)
@click.option("--cursor", help="Where the page before ended.")
@client_options
def versions(url: str, api_key: str | None, as_json: bool, **filters: Any) -> None:
    """Search versions, newest first; every filter given must hold."""
    with HubClient(url, api_key=api_key) as client:
        payload = client.get("versions", **given(filters))
    emit(payload, as_json=as_json, render=lambda: _render_versions(payload))


@registry.command("show")
@click.argument("reference", metavar="NAME@VERSION")
@client_options
def show_lineage(reference: str, url: str, api_key: str | None, as_json: bool) -> None:
    """Follow NAME@VERSION from its dataset and run to its rollouts and nodes."""
    name, version = split_reference(reference)
    with HubClient(url, api_key=api_key) as client:
        payload = client.get(f"models/{name}/versions/{version}/lineage")
    emit(payload, as_json=as_json, render=lambda: _render_lineage(payload))


@registry.command()
@click.argument("name")
@click.argument("left")
@click.argument("right")
@client_options
def compare(name: str, left: str, right: str, url: str, api_key: str | None, as_json: bool) -> None:
    """Compare versions LEFT and RIGHT of model NAME: metrics, rules, training data, manifests."""
    with HubClient(url, api_key=api_key) as client:
        payload = client.get(f"models/{name}/compare", left=left, right=right)
    emit(payload, as_json=as_json, render=lambda: _render_comparison(payload))


@registry.command()
@click.argument("when")
@click.option("--model", help="Only this model.")
@click.option("--env", "environment", help="Only this environment.")
@client_options
def at(when: str, url: str, api_key: str | None, as_json: bool, **filters: str | None) -> None:
    """Tell what ran at WHEN: a day (2026-03-01) or an instant (2026-03-01T12:00+01:00)."""
    with HubClient(url, api_key=api_key) as client:
        payload = client.get("registry/at", when=when, **given(filters))
    emit(payload, as_json=as_json, render=lambda: _render_at(when, payload))


@registry.command()
@click.argument("reference", metavar="NAME[@VERSION]")
@click.argument("name", metavar="ALIAS", required=False)
@click.option("--remove", is_flag=True, help="Let ALIAS stand for nothing.")
@client_options
def alias(
    reference: str,
    name: str | None,
    remove: bool,
    url: str,
    api_key: str | None,
    as_json: bool,
) -> None:
    """Let ALIAS stand for NAME@VERSION, or, without ALIAS, list the aliases of NAME."""
    if name is None or remove:
        model, version = reference.partition("@")[0], None
    else:
        model, version = split_reference(reference)
    path = f"models/{model}/aliases"
    with HubClient(url, api_key=api_key) as client:
        if name is None:
            payload = client.get(path)
        else:
            payload = client.post(path, {"alias": name, "version": version})
    emit(
        payload,
        as_json=as_json,
        render=lambda: show(table("Aliases", ["alias", "version"], payload.items())),
    )


@registry.command()
@click.argument("reference", metavar="NAME@VERSION")
@click.argument("tags", metavar="KEY=VALUE...", nargs=-1)
@click.option("--remove", multiple=True, metavar="KEY", help="Take a tag away.")
@client_options
def tag(
    reference: str,
    tags: tuple[str, ...],
    remove: tuple[str, ...],
    url: str,
    api_key: str | None,
    as_json: bool,
) -> None:
    """Set tags of NAME@VERSION, each as KEY=VALUE."""
    name, version = split_reference(reference)
    body: dict[str, str | None] = dict.fromkeys(remove)
    for one in tags:
        key, separator, value = one.partition("=")
        if not separator:
            raise ConfigurationError(f"{one!r} should be KEY=VALUE")
        body[key] = value
    with HubClient(url, api_key=api_key) as client:
        payload = client.post(f"models/{name}/versions/{version}/tags", {"tags": body})
    emit(
        payload,
        as_json=as_json,
        render=lambda: show(table("Tags", ["tag", "value"], payload.items())),
    )


def _render_versions(payload: dict[str, Any]) -> None:
    rows = [
        [
            f"{one['name']}@{one['version']}",
            one["format"],
            readable("published_at", one["published_at"]),
            one["publisher"],
            one["owner"],
            ", ".join(one["aliases"]),
            ", ".join(f"{key}={value}" for key, value in one["tags"].items()),
            one["digest"][:16],
        ]
        for one in payload["packages"]
    ]
    columns = ["version", "format", "published", "by", "owner", "aliases", "tags", "digest"]
    show(table("Versions", columns, rows))
    if payload["next"]:
        show(f"more: --cursor {payload['next']}")


def _render_lineage(payload: dict[str, Any]) -> None:
    dataset, run = payload["dataset"], payload["run"]
    show(
        styled(f"{payload['model']}@{payload['version']}", "bold"),
        f" {', '.join(payload['aliases'])}\n"
        f"data {dataset['uri']} {dataset['fingerprint']}\ncode {run.get('code_version')}",
    )
    for title in ("runs", "packages", "placements", "rollouts", "nodes"):
        render_list(title.capitalize(), payload[title])


def _render_comparison(payload: dict[str, Any]) -> None:
    sides = [payload["left"]["version"], payload["right"]["version"]]
    metrics = [[name, *values.values()] for name, values in payload["metrics"].items()]
    show(table("Test metrics", ["metric", *sides, "difference"], metrics))
    for title, part in (("Rules", "rules"), ("Manifest", "manifest")):
        rows = [[one["path"], one["left"], one["right"]] for one in payload[part]]
        show(table(title, ["what", *sides], rows))
    moved = [[one["field"], *_spread(one)] for one in payload["reference"]]
    columns = ["field", *(f"mean ± sd, {side}" for side in sides), "shift in sd"]
    show(table("Training data", columns, moved))


def _spread(one: dict[str, Any]) -> list[str]:
    shown = [
        f"{side['mean']:.4g} ± {side['standard_deviation']:.4g}" if "mean" in side else ""
        for side in (one["left"] or {}, one["right"] or {})
    ]
    return [*shown, "" if one["shift"] is None else f"{one['shift']:+.2f}"]


def _render_at(when: str, payload: list[dict[str, Any]]) -> None:
    if not payload:
        show(f"{when}: nothing was in service")
    for model in payload:
        show(styled(model["model"], "bold"), f" at {when}")
        render_list("In service", model["placements"])
        if model["rollouts"]:
            render_list("Rolled out", model["rollouts"])
        render_list("Rows that nodes counted", model["counted"])
