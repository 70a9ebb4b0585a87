"""Alerts for nodes that have not called for long: killed for good, cut off, or out of power.

Nodes call every few seconds, so a missing call says more than any error message. An alert is closed
when its node calls again or is revoked. If many nodes are silent, one alert stands for all of them:
then it is the network or the hub, and not the nodes.
"""

from collections.abc import Mapping

from sqlalchemy import Connection, func, select

from gnomon.server.hub.monitoring import alerts
from gnomon.server.hub.store import schema
from gnomon.server.hub.store.change import Change
from gnomon.server.hub.store.clock import now_ms
from gnomon.server.hub.store.database import Database

#: Kinds of alerts: one node, or more than `MANY`.
NODE_SILENT = "node_silent"
NODES_SILENT = "nodes_silent"

#: Silent nodes that are named one by one.
MANY = 10

#: How often is looked.
EVERY_MS = 10_000

_NODE, _ALERT = schema.node.c, schema.alert.c

# Builders are enrolled too, and call only when they publish.
_ROLE = "node"


class SilenceWatch:
    """Looks for silent nodes; one hub process has one, for a single thread.

    The time in which no hub has run, or this one was frozen, counts as no silence: the watch waits
    as long as a node may be silent before its first alert, and again after it has not looked for
    long.

    Args:
        silent_ms: a node that has not called for this time is silent; 0: none ever is.
    """

    def __init__(self, silent_ms: int) -> None:
        self._silent_ms = silent_ms
        self._started_at = self._looked_at = self._called_at = now_ms()

    def run_once(self, database: Database) -> None:
        """Raise and close alerts, if it is time to look."""
        now = now_ms()
        if now - self._called_at > self._silent_ms // 2:
            self._started_at = now  # it was frozen, or its database away: nodes could not call
        self._called_at = now
        waited = now - self._started_at >= self._silent_ms
        if not self._silent_ms or not waited or now - self._looked_at < EVERY_MS:
            return
        self._looked_at = now
        check_nodes(database, now - self._silent_ms)


def check_nodes(database: Database, since: int) -> None:
    """Raise alerts for the nodes that have not called since a time, and close those of others.

    Args:
        database: the hub's state.
        since: epoch milliseconds.
    """
    with database.read() as connection:
        silent = _silent(connection, since)
        wanted = _conditions(connection, silent, since)
        known = _open_alerts(connection)
    if wanted.keys() == known.keys():
        return
    with database.change(alerts.MONITOR) as change:
        for key in wanted.keys() - known.keys():
            alerts.raise_alert(change.connection, wanted[key])
        for key in known.keys() - wanted.keys():
            _close(change, known[key])


def _silent(connection: Connection, since: int) -> dict[str, int]:
    """Return the silent nodes and when each called last; a node that never has is not one."""
    rows = connection.execute(
        select(_NODE.name, _NODE.last_seen_at)
        .where(_NODE.role == _ROLE, _NODE.revoked_at.is_(None), _NODE.last_seen_at < since)
        .order_by(_NODE.name)
    )
    return {row.name: row.last_seen_at for row in rows}


def _conditions(
    connection: Connection, silent: Mapping[str, int], since: int
) -> dict[str, alerts.Condition]:
    if len(silent) > MANY:
        nodes = connection.scalar(
            select(func.count()).where(_NODE.role == _ROLE, _NODE.revoked_at.is_(None))
        )
        text = f"{len(silent):,} of {nodes:,} nodes have not called for {_minutes(since)}"
        evidence = {"nodes": len(silent), "examples": list(silent)[:MANY]}
        found = [alerts.Condition("", NODES_SILENT, "", "", "", text, evidence)]
    else:
        found = [
            alerts.Condition(
                "",
                NODE_SILENT,
                name,
                "",
                "",
                f"{name} has not called for {_minutes(since)}",
                {"last_seen_at": seen_at},
            )
            for name, seen_at in silent.items()
        ]
    return {condition.key: condition for condition in found}


def _open_alerts(connection: Connection) -> dict[str, str]:
    rows = connection.execute(
        select(_ALERT.key, _ALERT.id).where(
            _ALERT.kind.in_((NODE_SILENT, NODES_SILENT)), _ALERT.closed_at.is_(None)
        )
    )
    return {row.key: row.id for row in rows}


def _close(change: Change, alert_id: str) -> None:
    alerts.close(change, alert_id, "the node has called again, was revoked, or is one of many")


def _minutes(since: int) -> str:
    minutes = (now_ms() - since) / 60_000
    return f"{minutes:,.0f} minutes" if minutes >= 1 else f"{60 * minutes:.0f} seconds"
