"""Alerts that stand for many nodes: when more than a few nodes show the same, it is one alert.

The first few nodes have alerts of their own. With the next one, an alert of the kind and model
opens for all of them together, those are closed, and further nodes are added to it.
"""

from collections.abc import Sequence

from sqlalchemy import Connection, func, select

from gnomon.server.hub.store import schema
from gnomon.server.hub.store.dialect import BATCH, insert_into

#: Nodes of a kind and model that have alerts of their own.
MANY = 10

#: Kinds that are grouped; others close by themselves, node by node, or are about one node only.
GROUPED_KINDS = frozenset({"source_moved", "quota_reached"})

_ALERT, _MEMBER = schema.alert.c, schema.alert_node.c


def find_group(connection: Connection, model: str, kind: str) -> str:
    """Return the id of the open alert that stands for many nodes, or nothing."""
    found = connection.scalar(
        select(_ALERT.id).where(
            _ALERT.model == model,
            _ALERT.kind == kind,
            _ALERT.source == "",
            _ALERT.closed_at.is_(None),
        )
    )
    return found or ""


def find_members(connection: Connection, model: str, kind: str) -> dict[str, str]:
    """Return the open alerts of single nodes: id → node."""
    rows = connection.execute(
        select(_ALERT.id, _ALERT.source).where(
            _ALERT.model == model,
            _ALERT.kind == kind,
            _ALERT.source != "",
            _ALERT.closed_at.is_(None),
        )
    )
    return {row.id: row.source for row in rows}


def add_nodes(connection: Connection, alert_id: str, nodes: Sequence[str]) -> None:
    """Add nodes to an alert, each once."""
    connection.execute(
        insert_into(connection, schema.alert_node).on_conflict_do_nothing(),
        [{"alert": alert_id, "node": node} for node in nodes],
    )


def count_nodes(connection: Connection, alerts: Sequence[str]) -> dict[str, int]:
    """Return how many nodes each alert stands for, of those that stand for many."""
    found: dict[str, int] = {}
    for start in range(0, len(alerts), BATCH):
        rows = connection.execute(
            select(_MEMBER.alert, func.count())
            .where(_MEMBER.alert.in_(alerts[start : start + BATCH]))
            .group_by(_MEMBER.alert)
        )
        found |= {row[0]: row[1] for row in rows}
    return found
