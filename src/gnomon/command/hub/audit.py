"""`gnomon hub audit`: who did what, verified, exported, and verified again without the hub."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from gnomon.client.hub import HubClient
from gnomon.command.shared.hub_options import client_options
from gnomon.command.shared.output import emit, render_list, show, styled
from gnomon.runtime.audit_chain import verify_export
from gnomon.runtime.errors import Conflict


@click.group()
def audit() -> None:
    """See who did what, and verify that the record of it is whole."""


@audit.command("list")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@click.option("--before", type=int, help="The last number of the page before.")
@client_options
def list_records(
    limit: int, before: int | None, url: str, api_key: str | None, as_json: bool
) -> None:
    """List who did what, newest first."""
    asked = {"limit": limit} | ({} if before is None else {"before": before})
    with HubClient(url, api_key=api_key) as client:
        payload = client.get("audit", **asked)
    emit(payload, as_json=as_json, render=lambda: render_list("Audit", payload))


@audit.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@client_options
def export(file: Path, url: str, api_key: str | None, as_json: bool) -> int:
    """Write the whole chain to the new FILE; exit code 1 where it is broken."""
    if file.exists():
        raise Conflict(f"{file} exists; name a file that does not")
    with HubClient(url, api_key=api_key) as client:
        client.download("audit/export", file)
    return _tell(asdict(verify_export(file)), as_json=as_json)


@audit.command()
@click.option(
    "--file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="An export, to be verified without the hub.",
)
@click.option("--last", help="The last hash noted before: the chain should still have it.")
@client_options
def verify(
    file: Path | None, last: str | None, url: str, api_key: str | None, as_json: bool
) -> int:
    """Check every record of the chain of the hub, or of an export; exit code 1: it is broken."""
    if file is not None:
        return _tell(asdict(verify_export(file, last)), as_json=as_json)
    with HubClient(url, api_key=api_key) as client:
        found = client.get("audit/verify", **({"last": last} if last else {}))
    return _tell(found, as_json=as_json)


def _tell(found: dict[str, Any], *, as_json: bool) -> int:
    def render() -> None:
        if found["intact"]:
            show(f"intact: {found['records']} records, the last is {found['last']}")
        else:
            show(styled("broken", "red"), f" at record {found['broken_at']}: {found['reason']}")

    emit(found, as_json=as_json, render=render)
    return 0 if found["intact"] else 1
