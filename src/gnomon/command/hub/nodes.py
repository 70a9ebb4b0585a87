"""`gnomon hub nodes`, `revoke`, `adopt`, `counts`: nodes, their certificates and their rows."""

from typing import TYPE_CHECKING

import click

from gnomon.command.shared.hub_command import (
    CommandResult,
    as_line,
    as_list,
    environment_option,
    hub_command,
    without_none,
)
from gnomon.command.shared.listing import wide_option

if TYPE_CHECKING:
    from gnomon.client.hub import HubClient

_NODE_COLUMNS = ("name", "role", "environment", "state", "last_seen_at", "reason")
_ROW_COLUMNS = ("model", "version", "node", "shadow", "outcome", "rows")


@click.command()
@wide_option
@hub_command
def nodes(client: "HubClient") -> CommandResult:
    """List the nodes with the last report of each."""
    return as_list(client.get("nodes"), "Nodes", _NODE_COLUMNS)


@click.command()
@click.argument("name")
@hub_command
def revoke(client: "HubClient", name: str) -> CommandResult:
    """Revoke all certificates issued so far to the node or builder NAME."""
    return as_line(client.post(f"nodes/{name}/revoke"), f"revoked {name}")


@click.command()
@click.argument("name")
@environment_option
@click.option("--key", default="", help="How its key begins, if several have called by the name.")
@hub_command
def adopt(client: "HubClient", name: str, **body: str) -> CommandResult:
    """Enrol the node NAME again, which calls with a certificate of this hub's, and is not known.

    An alert `unknown_node` names it, as after the hub was restored from an older backup.
    """
    payload = client.post(f"nodes/{name}/adopt", body)
    return as_line(payload, f"adopted {name} in {payload['environment']}")


@click.command()
@click.option("--model", help="Only this model's.")
@wide_option
@hub_command
def counts(client: "HubClient", model: str | None) -> CommandResult:
    """Count requested rows by version, node and outcome."""
    return as_list(client.get("counts", **without_none({"model": model})), "Rows", _ROW_COLUMNS)
