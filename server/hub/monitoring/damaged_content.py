"""Alerts for nodes whose packages in service were damaged: one a node, until it has mended them.

A node that cannot restore a package at its start goes on with what it has, reports the event
`restore_failed`, fetches the content again, and reports `installed`. So the newest of these events
tells whether it is whole.
"""

from typing import Any

from sqlalchemy import Connection, func, select

from gnomon.server.hub.monitoring import alerts
from gnomon.server.hub.store import schema
from gnomon.server.hub.store.database import Database

#: The kind of the alerts.
CONTENT_DAMAGED = "content_damaged"

#: Kinds of nodes' events.
_FAILED, _MENDED = "restore_failed", "installed"

_TEXT_CHARACTERS = 1_000

_EVENT, _ALERT = schema.event.c, schema.alert.c


class DamageWatch:
    """Follows the events of nodes; one hub process has one, for a single thread."""

    def __init__(self) -> None:
        self._position = 0
        self._damaged: dict[str, str] = {}  # by node: what it said
        self._reported: set[str] = set()  # of these, the reports that no alert was raised for yet

    def run_once(self, database: Database) -> None:
        """Raise alerts for nodes that report damage, and close those of nodes that are whole."""
        with database.read() as connection:
            self._follow(connection)
            open_alerts = _open_alerts(connection)
        # One that a person has closed is raised by another report alone.
        new = self._reported & self._damaged.keys() - open_alerts.keys()
        mended = open_alerts.keys() - self._damaged.keys()
        if not new and not mended:
            self._reported.clear()
            return
        with database.change(alerts.MONITOR) as change:
            for node in new:
                alerts.raise_alert(change.connection, _condition(node, self._damaged[node]))
            for node in mended:
                alerts.close(change, open_alerts[node], "the node has installed its packages again")
        self._reported.clear()

    def _follow(self, connection: Connection) -> None:
        """Read the events since the last time."""
        newest = connection.scalar(select(func.max(_EVENT.position))) or 0
        if newest == self._position:
            return
        rows = connection.execute(
            select(_EVENT.node, _EVENT.kind, _EVENT.detail)
            .where(
                _EVENT.position > self._position,
                _EVENT.position <= newest,
                _EVENT.kind.in_((_FAILED, _MENDED)),
            )
            .order_by(_EVENT.position)
        )
        for row in rows:
            if row.kind == _FAILED:
                self._damaged[row.node] = row.detail
                self._reported.add(row.node)
            else:
                self._damaged.pop(row.node, None)
        self._position = newest


def _condition(node: str, detail: str) -> alerts.Condition:
    text = f"{node} could not restore what was in service: {detail[:_TEXT_CHARACTERS]}"
    return alerts.Condition("", CONTENT_DAMAGED, node, "", "", text)


def _open_alerts(connection: Connection) -> dict[str, Any]:
    rows = connection.execute(
        select(_ALERT.source, _ALERT.id).where(
            _ALERT.kind == CONTENT_DAMAGED, _ALERT.closed_at.is_(None)
        )
    )
    return {row.source: row.id for row in rows}
