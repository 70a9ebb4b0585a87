"""`gnomon hub audit`: list, verify and export the audit chain."""

from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from gnomon.command.shared.hub_command import CommandResult, as_list, hub_command, without_none
from gnomon.command.shared.listing import wide_option
from gnomon.command.shared.output import show, styled
from gnomon.runtime.audit_chain import verify_export
from gnomon.runtime.errors import Conflict

if TYPE_CHECKING:
    from gnomon.client.hub import HubClient

_COLUMNS = ("sequence", "at", "actor", "action", "subject")


@click.group()
def audit() -> None:
    """List who did what, and verify the audit chain."""


@audit.command("list")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@click.option("--before", type=int, help="The last number of the page before.")
@wide_option
@hub_command
def list_records(client: "HubClient", **page: int | None) -> CommandResult:
    """List who did what, newest first."""
    return as_list(client.get("audit", **without_none(page)), "Audit", _COLUMNS)


@audit.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@hub_command
def export(client: "HubClient", file: Path) -> CommandResult:
    """Write the whole chain to the new FILE; exit code 1 if it is broken."""
    if file.exists():
        raise Conflict(f"{file} exists; name a file that does not")
    client.download("audit/export", file)
    return _as_verdict(asdict(verify_export(file)))


@audit.command()
@click.option(
    "--file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="An export, to be verified without the hub.",
)
@click.option("--last", help="The last hash noted before: the chain should still have it.")
@click.option(
    "--against",
    "nodes",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    multiple=True,
    help="A node's audit.json, of its data folder: the chain should have what the node knows.",
)
@hub_command
def verify(
    client: "HubClient", file: Path | None, last: str | None, nodes: tuple[Path, ...]
) -> CommandResult:
    """Check every record of the chain of the hub, or of an export; exit code 1: it is broken.

    With --against, repeated for several nodes, a chain that was rewritten as a whole is found too.
    """
    if file is None and not nodes:
        return _as_verdict(client.get("audit/verify", **({"last": last} if last else {})))
    from gnomon.edge.audit_watch import read_heads

    heads = [head for node in nodes for head in read_heads(node)]
    with TemporaryDirectory(prefix="gnomon-audit-") as folder:
        if file is None:
            file = Path(folder) / "chain.jsonl"
            client.download("audit/export", file)
        return _as_verdict(asdict(verify_export(file, last, heads)))


def _as_verdict(found: dict[str, Any]) -> CommandResult:
    def render() -> None:
        if found["intact"]:
            show(f"intact: {found['records']} records, the last is {found['last']}")
        else:
            show(styled("broken", "red"), f" at record {found['broken_at']}: {found['reason']}")

    return CommandResult(found, render, 0 if found["intact"] else 1)
