"""`gnomon registry runs`: the runs of builds that a hub knows."""

from typing import TYPE_CHECKING, Any

import click

from gnomon.command.shared.hub_command import CommandResult, hub_command, without_none
from gnomon.command.shared.listing import render_list, wide_option
from gnomon.command.shared.output import show, table

if TYPE_CHECKING:
    from gnomon.client.hub import HubClient

_COLUMNS = ("id", "pipeline", "state", "started_at", "seconds", "error")


@click.command()
@click.argument("run", metavar="[RUN]", required=False)
@click.option("--pipeline", help="Only runs of this pipeline.")
@click.option(
    "--state",
    type=click.Choice(["succeeded", "failed", "refused", "interrupted"]),
    help="Only runs in this state.",
)
@click.option("--before", metavar="RUN", help="Last run of the previous page.")
@click.option("--limit", type=click.IntRange(1, 1_000), default=50, show_default=True)
@wide_option
@hub_command
def runs(client: "HubClient", run: str | None, **filters: Any) -> CommandResult:
    """List the runs of builds, newest first; with RUN, an id, show all details of that run."""
    if run is None:
        listed = client.get("runs", **without_none(filters))
        return CommandResult(listed, lambda: _render_list(listed))
    found = client.get(f"runs/{run}")
    return CommandResult(found, lambda: _render(found))


def _render_list(payload: list[dict[str, Any]]) -> None:
    render_list("Runs", [_summary(one) for one in payload], _COLUMNS)


def _summary(run: dict[str, Any]) -> dict[str, Any]:
    """Return what a list says of a run; what is nested, and the log, are shown by themselves."""
    seconds = f"{(run['ended_at'] - run['started_at']) / 1e3:.1f}"
    flat = {name: value for name, value in run.items() if not isinstance(value, dict | list)}
    return {name: value for name, value in flat.items() if name != "log"} | {"seconds": seconds}


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
