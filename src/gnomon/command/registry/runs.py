"""`gnomon registry runs`: the runs of builds that a hub has heard of."""

from typing import Any

import click

from gnomon.client.hub import HubClient
from gnomon.command.shared.hub_options import client_options, given
from gnomon.command.shared.output import emit, readable, show, table


@click.command()
@click.argument("run", metavar="[RUN]", required=False)
@click.option("--pipeline", help="Only runs of this one.")
@click.option(
    "--state", type=click.Choice(["succeeded", "failed", "refused", "interrupted"]), help="Only so."
)
@click.option("--before", metavar="RUN", help="Where the page before ended.")
@click.option("--limit", type=click.IntRange(1, 1_000), default=50, show_default=True)
@client_options
def runs(run: str | None, url: str, api_key: str | None, as_json: bool, **filters: Any) -> None:
    """List the runs of builds, newest first; with RUN, an id, show all that is known of it."""
    with HubClient(url, api_key=api_key) as client:
        path = "runs" if run is None else f"runs/{run}"
        payload = client.get(path, **(given(filters) if run is None else {}))
    show = _render_list if run is None else _render
    emit(payload, as_json=as_json, render=lambda: show(payload))


def _render_list(payload: list[dict[str, Any]]) -> None:
    rows = [
        [
            one["id"],
            one["pipeline"],
            one["trigger"],
            one["state"],
            readable("started_at", one["started_at"]),
            f"{(one['ended_at'] - one['started_at']) / 1e3:.1f}",
            one["code_version"],
            one["error"][:80],
        ]
        for one in payload
    ]
    columns = ["run", "pipeline", "by", "", "started", "seconds", "code", "why"]
    show(table("Runs", columns, rows))


def _render(payload: dict[str, Any]) -> None:
    _render_list([payload])
    for title in ("parameters", "metrics", "environment"):
        show(table(title.capitalize(), ["name", "value"], payload[title].items()))
    data = [
        [one.get("uri"), one.get("rows"), one.get("fingerprint")] for one in payload["datasets"]
    ]
    show(table("Datasets", ["from", "rows", "fingerprint"], data))
    made = [[f"{o['name']}@{o['version']}", o["format"], o["digest"]] for o in payload["packages"]]
    show(table("Packages", ["version", "format", "digest"], made))
    show(payload["log"])
